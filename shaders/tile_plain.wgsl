// Multiplies the tiles of tile.wgsl, which it needs: each invocation adds up 8 x 8 outputs in f32. Whatever the shape of the tile, an output
// is one sum over k in order: its bits do not depend on it.

// Row i and quad j of the outputs of this invocation: tile_sums[2 i + j]. Always indexed by constants: it stays in registers.
var<private> tile_sums: array<vec4f, 16>;
alias tile_held = u32; // nothing

/// Column and row of an invocation among the others: its outputs are the quads of columns at x and x + TILE_COLUMNS / 8, the rows
/// likewise.
fn tile_local(index: u32) -> vec2u { return vec2u(index % (TILE_COLUMNS / 8u), index / (TILE_COLUMNS / 8u)); }

/// Adds the first `depth` values of k of the two tiles. Not TILE_DEPTH, which drivers would unroll into seconds of compilation.
fn tile_multiply(held: ptr<function, tile_held>, index: u32, depth: u32) {
  let local = tile_local(index);
  for (var k = 0u; k < depth; k++) {
    let x0 = vec4f(tile_left[k * TILE_LEFT_STRIDE + local.y]);
    let x1 = vec4f(tile_left[k * TILE_LEFT_STRIDE + TILE_ROWS / 8u + local.y]);
    let w0 = vec4f(tile_right[k * TILE_RIGHT_STRIDE + local.x]);
    let w1 = vec4f(tile_right[k * TILE_RIGHT_STRIDE + TILE_COLUMNS / 8u + local.x]);
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
fn tile_finish(held: ptr<function, tile_held>, index: u32) {
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
