// dx[rows, in_features] = dy W + dt A: the gradient of linear.wgsl towards x; needs tile.wgsl.
// Frozen W [out_features, in_features]; dt [rows, ranks] = the gradient of x A^T, from lora_down; A [ranks, in_features].
struct Params { rows: u32, out_features: u32, in_features: u32, ranks: u32, splits: u32 };
@group(0) @binding(0) var<storage, read_write> dx: array<vec4f>; // [splits, rows, in_features]
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<weight_word>;
@group(0) @binding(3) var<storage, read> dt: array<f32>;
@group(0) @binding(4) var<storage, read> a: array<vec4f>;
@group(0) @binding(5) var<uniform> params: Params;

var<private> tile_origin: vec2u; // row, column / 4
var<private> tile_split: u32;

// What lies beyond the last row, column, feature or rank repeats the last: it is never multiplied, or its sum never written.
fn dy_quad(row: u32, k4: u32) -> vec4f {
  let depth4 = params.out_features / 4u;
  return dy[min(row, params.rows - 1u) * depth4 + min(k4, depth4 - 1u)];
}

fn dt_quad(row: u32, r: u32) -> vec4f {
  let start = min(row, params.rows - 1u) * params.ranks;
  let at = start + min(vec4u(r, r + 1u, r + 2u, r + 3u), vec4u(params.ranks - 1u));
  return vec4f(dt[at.x], dt[at.y], dt[at.z], dt[at.w]);
}

fn tile_output(row: u32, quad: u32, sum: vec4f) {
  let m = tile_origin.x + row;
  let n4 = tile_origin.y + quad;
  let width4 = params.in_features / 4u;
  if (m < params.rows && n4 < width4) { dx[(tile_split * params.rows + m) * width4 + n4] = sum; }
}

@compute @workgroup_size(TILE_THREADS)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let first_row = tile.y * TILE_ROWS;
  tile_origin = vec2u(first_row, tile.x * TILE_COLUMNS / 4u);
  tile_split = tile.z;
  let width4 = params.in_features / 4u;
  // Each invocation loads four values of k of four rows, and four columns of some values of k.
  let depth4 = index % 4u;
  let n4 = min(tile_origin.y + index % TILE_COLUMN_QUADS, width4 - 1u);
  let steps = (params.out_features + TILE_DEPTH - 1u) / TILE_DEPTH;
  // The LoRA branch is the same product once more, with the ranks as its depth; none without a branch, where ranks = 0.
  let lora_steps = (params.ranks + TILE_DEPTH - 1u) / TILE_DEPTH;
  let share = (steps + lora_steps + params.splits - 1u) / params.splits;
  let end = min((tile.z + 1u) * share, steps + lora_steps);
  var held: tile_held;
  for (var step = tile.z * share; step < end; step++) {
    var depth: u32;
    if (step < steps) {
      let k0 = step * TILE_DEPTH;
      let k4 = k0 / 4u + depth4;
      depth = min(TILE_DEPTH, params.out_features - k0);
      for (var load = 0u; load < TILE_LEFT_LOADS; load++) {
        let quad = tile_quad(index, load);
        let m = first_row + quad * 4u;
        if (tile_has_rows(quad)) { tile_put_left(depth4, quad, dy_quad(m, k4), dy_quad(m + 1u, k4), dy_quad(m + 2u, k4), dy_quad(m + 3u, k4)); }
      }
      for (var i = index; i < TILE_DEPTH * TILE_COLUMN_QUADS; i += TILE_THREADS) {
        let k = min(k0 + i / TILE_COLUMN_QUADS, params.out_features - 1u);
        tile_put_right_row(i, weight_quad(k * width4 + n4));
      }
    } else {
      let r0 = (step - steps) * TILE_DEPTH;
      let r = r0 + depth4 * 4u;
      depth = min(TILE_DEPTH, params.ranks - r0);
      for (var load = 0u; load < TILE_LEFT_LOADS; load++) {
        let quad = tile_quad(index, load);
        let m = first_row + quad * 4u;
        if (tile_has_rows(quad)) { tile_put_left(depth4, quad, dt_quad(m, r), dt_quad(m + 1u, r), dt_quad(m + 2u, r), dt_quad(m + 3u, r)); }
      }
      for (var i = index; i < TILE_DEPTH * TILE_COLUMN_QUADS; i += TILE_THREADS) {
        let k = min(r0 + i / TILE_COLUMN_QUADS, params.ranks - 1u);
        tile_put_right_row(i, a[k * width4 + n4]);
      }
    }
    workgroupBarrier();
    tile_multiply(&held, index, depth);
    workgroupBarrier();
  }
  tile_finish(&held, index);
}
