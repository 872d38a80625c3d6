// The same as matrix_subgroup.wgsl in plain loops, for tests on machines without such units: 32 consecutive invocations play a
// subgroup. A matrix that was loaded is the place in its tile, and each invocation holds some sums one after the other in a row.
// Loops end where only the driver's compiler cannot know: written out, they would take it minutes.
const MATRIX_OWN: u32 = MATRIX_M * MATRIX_N / 32u;
alias matrix_left = u32;
alias matrix_right = u32;
alias matrix_sum = array<f32, MATRIX_OWN>;

/// `count`, by way of the buffer of weights, which no kernel is without.
fn matrix_bound(count: u32) -> u32 { return min(arrayLength(&w), 1u) * count; }

fn matrix_load_left(at: u32) -> matrix_left { return at; }

fn matrix_load_right(at: u32) -> matrix_right { return at; }

fn matrix_multiply_add(left: matrix_left, right: matrix_right, sum: matrix_sum) -> matrix_sum {
  var added = sum;
  for (var i = 0u; i < matrix_bound(MATRIX_OWN); i++) {
    let row = (matrix_lane * MATRIX_OWN + i) / MATRIX_N;
    let column = (matrix_lane * MATRIX_OWN + i) % MATRIX_N;
    for (var k = 0u; k < matrix_bound(MATRIX_K); k++) {
      let x = tile_left[left + k * TILE_LEFT_STRIDE + row / 4u][row % 4u];
      let w = tile_right[right + k * TILE_RIGHT_STRIDE + column / 4u][column % 4u];
      added[i] += f32(x) * f32(w);
    }
  }
  return added;
}

fn matrix_store(at: u32, sum: matrix_sum) {
  for (var i = 0u; i < matrix_bound(MATRIX_OWN); i++) {
    let place = matrix_lane * MATRIX_OWN + i;
    matrix_results[at + place / 4u][place % 4u] = sum[i];
  }
}
