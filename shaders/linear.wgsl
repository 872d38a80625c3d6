// y[rows, out_features] = x W^T + bias + residual + (t B^T by column group), frozen W [out_features, in_features]; needs tile.wgsl.
// t = scale * x A^T comes from lora_down; group g = out_features / groups columns that use ranks g * rank ... of t.
// Without a branch, rank = 0. These are no compile-time constants: one pipeline is compiled for all linear layers of a model.
struct Params { rows: u32, out_features: u32, in_features: u32, groups: u32, rank: u32, has_bias: u32, has_residual: u32, splits: u32 };
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>; // [splits, rows, out_features]: see kernels/splitDepth.ts
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<weight_word>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read> t: array<f32>;
@group(0) @binding(6) var<storage, read> b: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

var<private> tile_origin: vec2u; // row, column / 4
var<private> tile_split: u32;

// What lies beyond the last row, column, feature or rank repeats the last: it is never multiplied, or its sum never written.
fn x_quad(row: u32, k4: u32) -> vec4f {
  let depth4 = params.in_features / 4u;
  return x[min(row, params.rows - 1u) * depth4 + min(k4, depth4 - 1u)];
}

fn w_quad(column: u32, k4: u32) -> vec4f {
  let depth4 = params.in_features / 4u;
  return weight_quad(min(column, params.out_features - 1u) * depth4 + min(k4, depth4 - 1u));
}

/// Ranks r .. r + 3 of one group in one row of t.
fn t_quad(row: u32, group: u32, r: u32) -> vec4f {
  let start = (min(row, params.rows - 1u) * params.groups + group) * params.rank;
  let at = start + min(vec4u(r, r + 1u, r + 2u, r + 3u), vec4u(params.rank - 1u));
  return vec4f(t[at.x], t[at.y], t[at.z], t[at.w]);
}

/// Ranks r .. r + 3 of one column of B; zero where the column belongs to another group, so that a tile may straddle groups.
fn b_quad(column: u32, group: u32, r: u32) -> vec4f {
  let known = min(column, params.out_features - 1u);
  let at = known * params.rank + min(vec4u(r, r + 1u, r + 2u, r + 3u), vec4u(params.rank - 1u));
  return select(vec4f(), vec4f(b[at.x], b[at.y], b[at.z], b[at.w]), known / (params.out_features / params.groups) == group);
}

fn tile_output(row: u32, quad: u32, sum: vec4f) {
  let m = tile_origin.x + row;
  let n4 = tile_origin.y + quad;
  let width4 = params.out_features / 4u;
  if (m >= params.rows || n4 >= width4) { return; }
  var value = sum;
  if (params.has_bias != 0u) { value += bias[n4]; }
  if (params.has_residual != 0u) { value += residual[m * width4 + n4]; }
  y[(tile_split * params.rows + m) * width4 + n4] = value;
}

@compute @workgroup_size(TILE_THREADS)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let first_row = tile.y * TILE_ROWS;
  let first_column = tile.x * TILE_COLUMNS;
  tile_origin = vec2u(first_row, first_column / 4u);
  tile_split = tile.z;
  let depth4 = index % 4u;
  let steps = (params.in_features + TILE_DEPTH - 1u) / TILE_DEPTH;
  // The branch is the same product once more, with the rank as its depth, for each group that the tile touches. How many these
  // are must not move the bounds of the splits, which are the same for tiles of all shapes.
  let lora_steps = (params.rank + TILE_DEPTH - 1u) / TILE_DEPTH;
  let width = params.out_features / params.groups;
  let first_group = first_column / width;
  let groups = (min(first_column + TILE_COLUMNS, params.out_features) - 1u) / width - first_group + 1u;
  let share = (steps + lora_steps + params.splits - 1u) / params.splits;
  let begin = tile.z * share;
  let bounds = vec2u(begin, min(begin + share, steps + lora_steps));
  let branch = max(bounds, vec2u(steps)) - steps;
  let ends = bounds + branch * (groups - 1u);
  var held: tile_held;
  for (var step = ends.x; step < ends.y; step++) {
    var depth: u32;
    if (step < steps) {
      let k4 = step * TILE_DEPTH / 4u + depth4;
      depth = min(TILE_DEPTH, params.in_features - step * TILE_DEPTH);
      for (var load = 0u; load < TILE_LEFT_LOADS; load++) {
        let quad = tile_quad(index, load);
        let m = first_row + quad * 4u;
        if (tile_has_rows(quad)) { tile_put_left(depth4, quad, x_quad(m, k4), x_quad(m + 1u, k4), x_quad(m + 2u, k4), x_quad(m + 3u, k4)); }
      }
      for (var load = 0u; load < TILE_RIGHT_LOADS; load++) {
        let quad = tile_quad(index, load);
        let n = first_column + quad * 4u;
        if (tile_has_columns(quad)) { tile_put_right(depth4, quad, w_quad(n, k4), w_quad(n + 1u, k4), w_quad(n + 2u, k4), w_quad(n + 3u, k4)); }
      }
    } else {
      let group = first_group + (step - steps) % groups;
      let r0 = (step - steps) / groups * TILE_DEPTH;
      let r = r0 + depth4 * 4u;
      depth = min(TILE_DEPTH, params.rank - r0);
      for (var load = 0u; load < TILE_LEFT_LOADS; load++) {
        let quad = tile_quad(index, load);
        let m = first_row + quad * 4u;
        if (tile_has_rows(quad)) { tile_put_left(depth4, quad, t_quad(m, group, r), t_quad(m + 1u, group, r), t_quad(m + 2u, group, r), t_quad(m + 3u, group, r)); }
      }
      for (var load = 0u; load < TILE_RIGHT_LOADS; load++) {
        let quad = tile_quad(index, load);
        let n = first_column + quad * 4u;
        if (tile_has_columns(quad)) { tile_put_right(depth4, quad, b_quad(n, group, r), b_quad(n + 1u, group, r), b_quad(n + 2u, group, r), b_quad(n + 3u, group, r)); }
      }
    }
    workgroupBarrier();
    tile_multiply(&held, index, depth);
    workgroupBarrier();
  }
  tile_finish(&held, index);
}
