// dx[rows, inFeatures] = dy W + dt A: the gradient of linear.wgsl towards x; needs tile.wgsl.
// W f16 [outFeatures, inFeatures]; dt [rows, ranks] = the gradient of x A^T, from lora_down; A [ranks, inFeatures].
struct Params { rows: u32, outFeatures: u32, inFeatures: u32, ranks: u32 };
@group(0) @binding(0) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<weight4>;
@group(0) @binding(3) var<storage, read> dt: array<f32>;
@group(0) @binding(4) var<storage, read> a: array<vec4f>;
@group(0) @binding(5) var<uniform> params: Params;

var<private> tile_origin: vec2u; // row, column / 4

fn dy_quad(row: u32, k4: u32) -> vec4f {
  let depth4 = params.outFeatures / 4u;
  if (row < params.rows && k4 < depth4) { return dy[row * depth4 + k4]; }
  return vec4f();
}

fn dt_quad(row: u32, r: u32) -> vec4f {
  var quad = vec4f();
  if (row < params.rows) {
    let at = row * params.ranks + r;
    if (r < params.ranks) { quad.x = dt[at]; }
    if (r + 1u < params.ranks) { quad.y = dt[at + 1u]; }
    if (r + 2u < params.ranks) { quad.z = dt[at + 2u]; }
    if (r + 3u < params.ranks) { quad.w = dt[at + 3u]; }
  }
  return quad;
}

fn tile_output(row: u32, quad: u32, sum: vec4f) {
  let m = tile_origin.x + row;
  let n4 = tile_origin.y + quad;
  let width4 = params.inFeatures / 4u;
  if (m < params.rows && n4 < width4) { dx[m * width4 + n4] = sum; }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32) {
  tile_origin = vec2u(tile.y * TILE, tile.x * TILE / 4u);
  let width4 = params.inFeatures / 4u;
  // Each invocation loads four values of k of four rows, and four columns of four values of k.
  let depth4 = index & 3u;
  let quad = index >> 2u;
  let m = tile.y * TILE + quad * 4u;
  let n4 = tile_origin.y + (index & 15u);
  let steps = (params.outFeatures + TILE_DEPTH - 1u) / TILE_DEPTH;
  // The LoRA branch is the same product once more, with the ranks as its depth; none without a branch, where ranks = 0.
  let lora_steps = (params.ranks + TILE_DEPTH - 1u) / TILE_DEPTH;
  for (var step = 0u; step < steps + lora_steps; step++) {
    var depth: u32;
    if (step < steps) {
      let k0 = step * TILE_DEPTH;
      let k4 = k0 / 4u + depth4;
      depth = min(TILE_DEPTH, params.outFeatures - k0);
      tile_put_left(depth4, quad, dy_quad(m, k4), dy_quad(m + 1u, k4), dy_quad(m + 2u, k4), dy_quad(m + 3u, k4));
      for (var i = index; i < 256u; i += 64u) {
        let k = k0 + (i >> 4u);
        var right = vec4f();
        if (k < params.outFeatures && n4 < width4) { right = weight4_to_f32(w[k * width4 + n4]); }
        tile_right[i] = right;
      }
    } else {
      let r0 = (step - steps) * TILE_DEPTH;
      let r = r0 + depth4 * 4u;
      depth = min(TILE_DEPTH, params.ranks - r0);
      tile_put_left(depth4, quad, dt_quad(m, r), dt_quad(m + 1u, r), dt_quad(m + 2u, r), dt_quad(m + 3u, r));
      for (var i = index; i < 256u; i += 64u) {
        let k = r0 + (i >> 4u);
        var right = vec4f();
        if (k < params.ranks && n4 < width4) { right = a[k * width4 + n4]; }
        tile_right[i] = right;
      }
    }
    workgroupBarrier();
    tile_multiply(local.xy, depth);
    workgroupBarrier();
  }
  tile_finish(local.xy);
}
