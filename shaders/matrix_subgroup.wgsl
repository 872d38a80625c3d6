// The four operations that tile_matrix.wgsl is made of, on the GPU's units for small matrices: M x N sums of MATRIX_M rows, MATRIX_N
// columns and MATRIX_K values of k, each spread over a subgroup. They load from the tiles, whose quads `at` and the strides count.
alias matrix_left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias matrix_right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias matrix_sum = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

fn matrix_load_left(at: u32) -> matrix_left {
  return subgroupMatrixLoad<matrix_left, col_major>(&tile_left, at, TILE_LEFT_STRIDE);
}

fn matrix_load_right(at: u32) -> matrix_right {
  return subgroupMatrixLoad<matrix_right, row_major>(&tile_right, at, TILE_RIGHT_STRIDE);
}

fn matrix_multiply_add(left: matrix_left, right: matrix_right, sum: matrix_sum) -> matrix_sum {
  return subgroupMatrixMultiplyAccumulate(left, right, sum);
}

/// By rows, one after the other.
fn matrix_store(at: u32, sum: matrix_sum) {
  subgroupMatrixStore<row_major>(&matrix_results, at, sum, MATRIX_N / 4u);
}
