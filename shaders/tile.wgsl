// Put before the shaders that multiply matrices: out[TILE_ROWS rows, TILE_COLUMNS columns] = sum over k of left[row, k] * right[k, column],
// by TILE_THREADS invocations, 16 values of k at a time. A kernel fills both tiles, calls `workgroupBarrier`, `tile_multiply`,
// `workgroupBarrier`, and so on, and at last `tile_finish`, which calls its `tile_output`. These two stand in tile_plain.wgsl or
// tile_matrix.wgsl, and what a tile keeps until then is the kernel's variable of type `tile_held`. Before all stands tile_f32.wgsl or
// tile_f16.wgsl. kernels/tile.ts puts them together and gives the constants.
const TILE_DEPTH: u32 = 16u;
const TILE_ROW_QUADS: u32 = TILE_ROWS / 4u;
const TILE_COLUMN_QUADS: u32 = TILE_COLUMNS / 4u;
const TILE_LEFT_STRIDE: u32 = TILE_ROW_QUADS + TILE_PADDING;
const TILE_RIGHT_STRIDE: u32 = TILE_COLUMN_QUADS + TILE_PADDING;
var<workgroup> tile_left: array<tile_factors, TILE_DEPTH * TILE_LEFT_STRIDE>;   // [k][row / 4]
var<workgroup> tile_right: array<tile_factors, TILE_DEPTH * TILE_RIGHT_STRIDE>; // [k][column / 4]

/// Four rows, or columns, by four values of k are loaded at a time, k = 4 (index % 4) .. + 3 by an invocation: this is the quad
/// of rows or columns of its load number `load` of TILE_LEFT_LOADS or TILE_RIGHT_LOADS. The loops over these are written out (unroll.ts).
fn tile_quad(index: u32, load: u32) -> u32 { return index / 4u + load * (TILE_THREADS / 4u); }

/// Whether the left tile has that quad: where loads do not go round, the last invocations have none.
fn tile_has_rows(quad: u32) -> bool { return TILE_THREADS <= TILE_ROWS || quad < TILE_ROW_QUADS; }

fn tile_has_columns(quad: u32) -> bool { return TILE_THREADS <= TILE_COLUMNS || quad < TILE_COLUMN_QUADS; }

/// Stores k = 4 depth4 .. + 3 of four rows of the left matrix, the rows from 4 quad on.
fn tile_put_left(depth4: u32, quad: u32, r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f) {
  let at = depth4 * 4u * TILE_LEFT_STRIDE + quad;
  tile_left[at] = tile_round(vec4f(r0.x, r1.x, r2.x, r3.x));
  tile_left[at + TILE_LEFT_STRIDE] = tile_round(vec4f(r0.y, r1.y, r2.y, r3.y));
  tile_left[at + 2u * TILE_LEFT_STRIDE] = tile_round(vec4f(r0.z, r1.z, r2.z, r3.z));
  tile_left[at + 3u * TILE_LEFT_STRIDE] = tile_round(vec4f(r0.w, r1.w, r2.w, r3.w));
}

/// Stores k = 4 depth4 .. + 3 of four columns of the right matrix, the columns from 4 quad on.
fn tile_put_right(depth4: u32, quad: u32, c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f) {
  let at = depth4 * 4u * TILE_RIGHT_STRIDE + quad;
  tile_right[at] = tile_round(vec4f(c0.x, c1.x, c2.x, c3.x));
  tile_right[at + TILE_RIGHT_STRIDE] = tile_round(vec4f(c0.y, c1.y, c2.y, c3.y));
  tile_right[at + 2u * TILE_RIGHT_STRIDE] = tile_round(vec4f(c0.z, c1.z, c2.z, c3.z));
  tile_right[at + 3u * TILE_RIGHT_STRIDE] = tile_round(vec4f(c0.w, c1.w, c2.w, c3.w));
}

/// Stores one value of k of four columns, for right matrices that lie by rows: the quads of a tile are numbered
/// TILE_COLUMN_QUADS k + column / 4, and an invocation stores each TILE_THREADSth from `index` on, all of the same columns.
fn tile_put_right_row(at: u32, columns: vec4f) { tile_right[at + at / TILE_COLUMN_QUADS * TILE_PADDING] = tile_round(columns); }
