// Multiplies the tiles of tile.wgsl, which it needs, by units for small matrices: the operations of matrix_subgroup.wgsl. The invocations
// form subgroups of 32 that lie over the tile in two rows; each adds up TILE_SUMS_DOWN x TILE_SUMS_ACROSS small matrices.
// The loops over these are written out (unroll.ts), so that each is indexed by constants. Factors are halves, sums are f32.
const MATRIX_PARTS_ACROSS: u32 = TILE_THREADS / 64u;
const MATRIX_SUMS: u32 = TILE_SUMS_DOWN * TILE_SUMS_ACROSS;
const MATRIX_QUADS: u32 = MATRIX_M * MATRIX_N / 4u;
var<workgroup> matrix_results: array<vec4f, TILE_THREADS / 32u * MATRIX_QUADS>; // [subgroup][row][column / 4]
var<private> matrix_lane: u32;
alias tile_held = array<matrix_sum, MATRIX_SUMS>;

/// Row and column of the tile where the part of this invocation's subgroup begins.
fn matrix_corner(index: u32) -> vec2u {
  let part = vec2u(index / 32u / MATRIX_PARTS_ACROSS, index / 32u % MATRIX_PARTS_ACROSS);
  return part * vec2u(TILE_SUMS_DOWN * MATRIX_M, TILE_SUMS_ACROSS * MATRIX_N);
}

/// Adds the first `depth` values of k of the two tiles.
fn tile_multiply(held: ptr<function, tile_held>, index: u32, depth: u32) {
  matrix_lane = index % 32u;
  if (depth < TILE_DEPTH) {
    // Whole matrices are multiplied: what is not to count becomes zero.
    for (var i = depth * TILE_LEFT_STRIDE + index; i < TILE_DEPTH * TILE_LEFT_STRIDE; i += TILE_THREADS) { tile_left[i] = tile_factors(); }
    workgroupBarrier();
  }
  let corner = matrix_corner(index) / 4u;
  for (var k = 0u; k < TILE_DEPTH; k += MATRIX_K) {
    var left: array<matrix_left, TILE_SUMS_DOWN>;
    for (var i = 0u; i < TILE_SUMS_DOWN; i++) {
      left[i] = matrix_load_left(k * TILE_LEFT_STRIDE + corner.x + i * (MATRIX_M / 4u));
    }
    for (var j = 0u; j < TILE_SUMS_ACROSS; j++) {
      let right = matrix_load_right(k * TILE_RIGHT_STRIDE + corner.y + j * (MATRIX_N / 4u));
      for (var i = 0u; i < TILE_SUMS_DOWN; i++) {
        (*held)[i * TILE_SUMS_ACROSS + j] = matrix_multiply_add(left[i], right, (*held)[i * TILE_SUMS_ACROSS + j]);
      }
    }
  }
}

/// Calls the kernel's `tile_output(row, quad, sum)` for each quad of outputs, small matrix by small matrix.
fn tile_finish(held: ptr<function, tile_held>, index: u32) {
  let corner = matrix_corner(index);
  let results = index / 32u * MATRIX_QUADS;
  for (var place = 0u; place < MATRIX_SUMS; place++) {
    for (var i = 0u; i < TILE_SUMS_DOWN; i++) {
      for (var j = 0u; j < TILE_SUMS_ACROSS; j++) {
        if (place == i * TILE_SUMS_ACROSS + j) { matrix_store(results, (*held)[i * TILE_SUMS_ACROSS + j]); }
      }
    }
    workgroupBarrier();
    let row = corner.x + place / TILE_SUMS_ACROSS * MATRIX_M;
    let quad = (corner.y + place % TILE_SUMS_ACROSS * MATRIX_N) / 4u;
    for (var i = index % 32u; i < MATRIX_QUADS; i += 32u) {
      tile_output(row + i / (MATRIX_N / 4u), quad + i % (MATRIX_N / 4u), matrix_results[results + i]);
    }
    workgroupBarrier();
  }
}
