// Put before the shaders that multiply matrices: out[TILE_ROWS rows, TILE_COLUMNS columns] = sum over k of left[row, k] * right[k, column],
// by TILE_THREADS invocations with 8 x 8 outputs each, 16 values of k at a time. A kernel fills both tiles, calls `workgroupBarrier`,
// `tile_multiply`, `workgroupBarrier`, and so on, and at last `tile_finish`, which calls its `tile_output`. kernels/tile.ts gives the
// constants. Whatever the shape, each output is one sum over k in order: its bits do not depend on it.
const TILE_DEPTH: u32 = 16u;
const TILE_ROW_QUADS: u32 = TILE_ROWS / 4u;
const TILE_COLUMN_QUADS: u32 = TILE_COLUMNS / 4u;
var<workgroup> tile_left: array<vec4f, TILE_DEPTH * TILE_ROW_QUADS>;     // [k][row / 4]
var<workgroup> tile_right: array<vec4f, TILE_DEPTH * TILE_COLUMN_QUADS>; // [k][column / 4]
// Row i and quad j of the outputs of this invocation: tile_sums[2 i + j]. Always indexed by constants: it stays in registers.
var<private> tile_sums: array<vec4f, 16>;

/// Four rows, or columns, by four values of k are loaded at a time, k = 4 (index % 4) .. + 3 by an invocation: this is the quad
/// of rows or columns of its load number `load` of TILE_LEFT_LOADS or TILE_RIGHT_LOADS. The loops over these are written out (unroll.ts).
fn tile_quad(index: u32, load: u32) -> u32 { return index / 4u + load * (TILE_THREADS / 4u); }

/// Whether the left tile has that quad: where loads do not go round, the last invocations have none.
fn tile_has_rows(quad: u32) -> bool { return TILE_THREADS <= TILE_ROWS || quad < TILE_ROW_QUADS; }

fn tile_has_columns(quad: u32) -> bool { return TILE_THREADS <= TILE_COLUMNS || quad < TILE_COLUMN_QUADS; }

/// Stores k = 4 depth4 .. + 3 of four rows of the left matrix, the rows from 4 quad on.
fn tile_put_left(depth4: u32, quad: u32, r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f) {
  let at = depth4 * 4u * TILE_ROW_QUADS + quad;
  tile_left[at] = vec4f(r0.x, r1.x, r2.x, r3.x);
  tile_left[at + TILE_ROW_QUADS] = vec4f(r0.y, r1.y, r2.y, r3.y);
  tile_left[at + 2u * TILE_ROW_QUADS] = vec4f(r0.z, r1.z, r2.z, r3.z);
  tile_left[at + 3u * TILE_ROW_QUADS] = vec4f(r0.w, r1.w, r2.w, r3.w);
}

/// Stores k = 4 depth4 .. + 3 of four columns of the right matrix, the columns from 4 quad on.
fn tile_put_right(depth4: u32, quad: u32, c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f) {
  let at = depth4 * 4u * TILE_COLUMN_QUADS + quad;
  tile_right[at] = vec4f(c0.x, c1.x, c2.x, c3.x);
  tile_right[at + TILE_COLUMN_QUADS] = vec4f(c0.y, c1.y, c2.y, c3.y);
  tile_right[at + 2u * TILE_COLUMN_QUADS] = vec4f(c0.z, c1.z, c2.z, c3.z);
  tile_right[at + 3u * TILE_COLUMN_QUADS] = vec4f(c0.w, c1.w, c2.w, c3.w);
}

/// Stores one value of k of four columns, for right matrices that lie by rows: the quads of a tile are numbered
/// TILE_COLUMN_QUADS k + column / 4, and an invocation stores each TILE_THREADSth from `index` on, all of the same columns.
fn tile_put_right_row(at: u32, columns: vec4f) { tile_right[at] = columns; }

/// Column and row of an invocation among the others: its outputs are the quads of columns at x and x + TILE_COLUMNS / 8, the rows
/// likewise.
fn tile_local(index: u32) -> vec2u { return vec2u(index % (TILE_COLUMNS / 8u), index / (TILE_COLUMNS / 8u)); }

/// Adds the first `depth` values of k of the two tiles. Not TILE_DEPTH, which drivers would unroll into seconds of compilation.
fn tile_multiply(index: u32, depth: u32) {
  let local = tile_local(index);
  for (var k = 0u; k < depth; k++) {
    let x0 = tile_left[k * TILE_ROW_QUADS + local.y];
    let x1 = tile_left[k * TILE_ROW_QUADS + TILE_ROWS / 8u + local.y];
    let w0 = tile_right[k * TILE_COLUMN_QUADS + local.x];
    let w1 = tile_right[k * TILE_COLUMN_QUADS + TILE_COLUMNS / 8u + local.x];
    tile_sums[0] = fma(vec4f(x0.x), w0, tile_sums[0]);
    tile_sums[1] = fma(vec4f(x0.x), w1, tile_sums[1]);
    tile_sums[2] = fma(vec4f(x0.y), w0, tile_sums[2]);
    tile_sums[3] = fma(vec4f(x0.y), w1, tile_sums[3]);
    tile_sums[4] = fma(vec4f(x0.z), w0, tile_sums[4]);
    tile_sums[5] = fma(vec4f(x0.z), w1, tile_sums[5]);
    tile_sums[6] = fma(vec4f(x0.w), w0, tile_sums[6]);
    tile_sums[7] = fma(vec4f(x0.w), w1, tile_sums[7]);
    tile_sums[8] = fma(vec4f(x1.x), w0, tile_sums[8]);
    tile_sums[9] = fma(vec4f(x1.x), w1, tile_sums[9]);
    tile_sums[10] = fma(vec4f(x1.y), w0, tile_sums[10]);
    tile_sums[11] = fma(vec4f(x1.y), w1, tile_sums[11]);
    tile_sums[12] = fma(vec4f(x1.z), w0, tile_sums[12]);
    tile_sums[13] = fma(vec4f(x1.z), w1, tile_sums[13]);
    tile_sums[14] = fma(vec4f(x1.w), w0, tile_sums[14]);
    tile_sums[15] = fma(vec4f(x1.w), w1, tile_sums[15]);
  }
}

/// Calls the kernel's `tile_output(row, quad, sum)` for each output of this invocation: row and column / 4 within the tile.
/// A loop with a switch, as sixteen inlined calls take drivers seconds to compile.
fn tile_finish(index: u32) {
  let local = tile_local(index);
  for (var i = 0u; i < 16u; i++) {
    var sum: vec4f;
    switch i {
      case 0u: { sum = tile_sums[0]; }
      case 1u: { sum = tile_sums[1]; }
      case 2u: { sum = tile_sums[2]; }
      case 3u: { sum = tile_sums[3]; }
      case 4u: { sum = tile_sums[4]; }
      case 5u: { sum = tile_sums[5]; }
      case 6u: { sum = tile_sums[6]; }
      case 7u: { sum = tile_sums[7]; }
      case 8u: { sum = tile_sums[8]; }
      case 9u: { sum = tile_sums[9]; }
      case 10u: { sum = tile_sums[10]; }
      case 11u: { sum = tile_sums[11]; }
      case 12u: { sum = tile_sums[12]; }
      case 13u: { sum = tile_sums[13]; }
      case 14u: { sum = tile_sums[14]; }
      default: { sum = tile_sums[15]; }
    }
    let row = i / 2u;
    tile_output(row / 4u * (TILE_ROWS / 2u) + local.y * 4u + row % 4u, i % 2u * (TILE_COLUMNS / 8u) + local.x, sum);
  }
}
