// Put before the shaders that multiply matrices: out[64 rows, 64 columns] = sum over k of left[row, k] * right[k, column],
// by 64 invocations with 8 x 8 outputs each, 16 values of k at a time. A kernel fills both tiles, calls `workgroupBarrier`,
// `tile_multiply`, `workgroupBarrier`, and so on, and at last `tile_finish`, which calls its `tile_output`.
const TILE: u32 = 64u;
const TILE_DEPTH: u32 = 16u;
var<workgroup> tile_left: array<vec4f, 256>;  // [k][row / 4]
var<workgroup> tile_right: array<vec4f, 256>; // [k][column / 4]
// Row i and quad j of the outputs of this invocation: tile_sums[2 i + j]. Always indexed by constants: it stays in registers.
var<private> tile_sums: array<vec4f, 16>;

/// Stores k = 4 depth4 .. + 3 of four rows of the left matrix, the rows from 4 quad on.
fn tile_put_left(depth4: u32, quad: u32, r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f) {
  let at = depth4 * 64u + quad;
  tile_left[at] = vec4f(r0.x, r1.x, r2.x, r3.x);
  tile_left[at + 16u] = vec4f(r0.y, r1.y, r2.y, r3.y);
  tile_left[at + 32u] = vec4f(r0.z, r1.z, r2.z, r3.z);
  tile_left[at + 48u] = vec4f(r0.w, r1.w, r2.w, r3.w);
}

/// Stores k = 4 depth4 .. + 3 of four columns of the right matrix, the columns from 4 quad on.
fn tile_put_right(depth4: u32, quad: u32, c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f) {
  let at = depth4 * 64u + quad;
  tile_right[at] = vec4f(c0.x, c1.x, c2.x, c3.x);
  tile_right[at + 16u] = vec4f(c0.y, c1.y, c2.y, c3.y);
  tile_right[at + 32u] = vec4f(c0.z, c1.z, c2.z, c3.z);
  tile_right[at + 48u] = vec4f(c0.w, c1.w, c2.w, c3.w);
}

/// Adds the first `depth` values of k of the two tiles. Not TILE_DEPTH, which drivers would unroll into seconds of compilation.
fn tile_multiply(local: vec2u, depth: u32) {
  for (var k = 0u; k < depth; k++) {
    let x0 = tile_left[k * 16u + local.y];
    let x1 = tile_left[k * 16u + 8u + local.y];
    let w0 = tile_right[k * 16u + local.x];
    let w1 = tile_right[k * 16u + 8u + local.x];
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
fn tile_finish(local: vec2u) {
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
    tile_output(row / 4u * 32u + local.y * 4u + row % 4u, i % 2u * 8u + local.x, sum);
  }
}
