// y[rows, outFeatures] = x W^T + bias + residual + (t B^T by column group), W f16 [outFeatures, inFeatures]; needs tile.wgsl.
// t = scale * x A^T comes from lora_down; group g = outFeatures / groups columns that use ranks g * rank ... of t.
// Without a branch, rank = 0. These are no compile-time constants: one pipeline is compiled for all linear layers of a model.
struct Params { rows: u32, outFeatures: u32, inFeatures: u32, groups: u32, rank: u32, has_bias: u32, has_residual: u32 };
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<weight4>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read> t: array<f32>;
@group(0) @binding(6) var<storage, read> b: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

var<private> tile_origin: vec2u; // row, column / 4

fn x_quad(row: u32, k4: u32) -> vec4f {
  let depth4 = params.inFeatures / 4u;
  if (row < params.rows && k4 < depth4) { return x[row * depth4 + k4]; }
  return vec4f();
}

fn w_quad(column: u32, k4: u32) -> vec4f {
  let depth4 = params.inFeatures / 4u;
  if (column < params.outFeatures && k4 < depth4) { return weight4_to_f32(w[column * depth4 + k4]); }
  return vec4f();
}

/// Ranks r .. r + 3 of one group in one row of t; zero beyond the group's ranks.
fn t_quad(row: u32, group: u32, r: u32) -> vec4f {
  var quad = vec4f();
  if (row < params.rows) {
    let at = (row * params.groups + group) * params.rank + r;
    if (r < params.rank) { quad.x = t[at]; }
    if (r + 1u < params.rank) { quad.y = t[at + 1u]; }
    if (r + 2u < params.rank) { quad.z = t[at + 2u]; }
    if (r + 3u < params.rank) { quad.w = t[at + 3u]; }
  }
  return quad;
}

/// Ranks r .. r + 3 of one column of B; zero where the column belongs to another group, so that a tile may straddle groups.
fn b_quad(column: u32, group: u32, r: u32) -> vec4f {
  var quad = vec4f();
  if (column < params.outFeatures && column / (params.outFeatures / params.groups) == group) {
    let at = column * params.rank + r;
    if (r < params.rank) { quad.x = b[at]; }
    if (r + 1u < params.rank) { quad.y = b[at + 1u]; }
    if (r + 2u < params.rank) { quad.z = b[at + 2u]; }
    if (r + 3u < params.rank) { quad.w = b[at + 3u]; }
  }
  return quad;
}

fn tile_output(row: u32, quad: u32, sum: vec4f) {
  let m = tile_origin.x + row;
  let n4 = tile_origin.y + quad;
  let width4 = params.outFeatures / 4u;
  if (m >= params.rows || n4 >= width4) { return; }
  var value = sum;
  if (params.has_bias != 0u) { value += bias[n4]; }
  if (params.has_residual != 0u) { value += residual[m * width4 + n4]; }
  y[m * width4 + n4] = value;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32) {
  tile_origin = vec2u(tile.y * TILE, tile.x * TILE / 4u);
  // Each invocation loads four values of k of four rows and of four columns.
  let depth4 = index & 3u;
  let quad = index >> 2u;
  let m = tile.y * TILE + quad * 4u;
  let n = tile.x * TILE + quad * 4u;
  let steps = (params.inFeatures + TILE_DEPTH - 1u) / TILE_DEPTH;
  var lora_steps = 0u;
  var steps_per_group = 1u;
  var first_group = 0u;
  if (params.rank > 0u) {
    // The branch is the same product once more, with the rank as its depth, for each group that the tile touches.
    let width = params.outFeatures / params.groups;
    let last = min(tile.x * TILE + TILE, params.outFeatures) - 1u;
    steps_per_group = (params.rank + TILE_DEPTH - 1u) / TILE_DEPTH;
    first_group = tile.x * TILE / width;
    lora_steps = (last / width - first_group + 1u) * steps_per_group;
  }
  for (var step = 0u; step < steps + lora_steps; step++) {
    var depth: u32;
    if (step < steps) {
      let k4 = step * TILE_DEPTH / 4u + depth4;
      depth = min(TILE_DEPTH, params.inFeatures - step * TILE_DEPTH);
      tile_put_left(depth4, quad, x_quad(m, k4), x_quad(m + 1u, k4), x_quad(m + 2u, k4), x_quad(m + 3u, k4));
      tile_put_right(depth4, quad, w_quad(n, k4), w_quad(n + 1u, k4), w_quad(n + 2u, k4), w_quad(n + 3u, k4));
    } else {
      let group = first_group + (step - steps) / steps_per_group;
      let r0 = (step - steps) % steps_per_group * TILE_DEPTH;
      let r = r0 + depth4 * 4u;
      depth = min(TILE_DEPTH, params.rank - r0);
      tile_put_left(depth4, quad, t_quad(m, group, r), t_quad(m + 1u, group, r), t_quad(m + 2u, group, r), t_quad(m + 3u, group, r));
      tile_put_right(depth4, quad, b_quad(n, group, r), b_quad(n + 1u, group, r), b_quad(n + 2u, group, r), b_quad(n + 3u, group, r));
    }
    workgroupBarrier();
    tile_multiply(local.xy, depth);
    workgroupBarrier();
  }
  tile_finish(local.xy);
}
