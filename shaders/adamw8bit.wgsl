// One step of AdamW whose moments are kept in 8 bits, in blocks of 256 with a scale each (Dettmers et al. 2021); one workgroup a block.
// state, 130 words a block: 64 of codes of m, 64 of codes of v, the largest |m|, the largest v. maps: what codes mean, 256 for m, 256 for
// v, ascending. The update is adamw.wgsl's, from the moments before they are rounded to codes again.
struct Params { blocks: u32 };
struct Hyper { decay: f32, one_minus_beta1: f32, beta2: f32, one_minus_beta2: f32, root_correction2: f32, epsilon: f32, step_size: f32 };
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read> factors: array<f32>;
@group(0) @binding(4) var<storage, read> report: array<f32>;
@group(0) @binding(5) var<storage, read> hyper: Hyper;
@group(0) @binding(6) var<storage, read> maps: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> largest_m: array<f32, 256>;
var<workgroup> largest_v: array<f32, 256>;
var<workgroup> codes_m: array<u32, 256>;
var<workgroup> codes_v: array<u32, 256>;

/// The code whose meaning is nearest to `share`; the lower one of two that are as near.
fn nearest(share: f32, first: u32) -> u32 {
  var low = 0u;
  var high = 255u;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (maps[first + middle] <= share) { low = middle; } else { high = middle; }
  }
  return select(low, high, maps[first + high] - share < share - maps[first + low]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) index: u32) {
  let block = group.x + group.y * grid.x;
  // Past the last block, and where the step is not applied, nothing is written; the barriers are reached by all.
  let live = block < params.blocks && report[0] != 0.0;
  let words = block * 130u;
  let i = block * 256u + index;
  var m = 0.0;
  var v = 0.0;
  if (live) {
    let shift = 8u * (index % 4u);
    let code_m = (state[words + index / 4u] >> shift) & 255u;
    let code_v = (state[words + 64u + index / 4u] >> shift) & 255u;
    let before = maps[code_m] * bitcast<f32>(state[words + 128u]);
    let gradient = gradients[i] * report[0];
    m = before + hyper.one_minus_beta1 * (gradient - before);
    v = hyper.beta2 * (maps[256u + code_v] * bitcast<f32>(state[words + 129u])) + hyper.one_minus_beta2 * gradient * gradient;
    let factor = factors[block];
    let step = factor * hyper.step_size * (m / (sqrt(v) / hyper.root_correction2 + hyper.epsilon));
    values[i] = (1.0 - factor * hyper.decay) * values[i] - step;
  }
  largest_m[index] = abs(m);
  largest_v[index] = v;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (index < half) {
      largest_m[index] = max(largest_m[index], largest_m[index + half]);
      largest_v[index] = max(largest_v[index], largest_v[index + half]);
    }
    workgroupBarrier();
  }
  let scale_m = largest_m[0];
  let scale_v = largest_v[0];
  codes_m[index] = nearest(select(0.0, m / scale_m, scale_m > 0.0), 0u);
  // A v above 0 never becomes 0: m would be divided by epsilon alone.
  codes_v[index] = max(nearest(select(0.0, v / scale_v, scale_v > 0.0), 256u), select(0u, 1u, v > 0.0));
  workgroupBarrier();
  if (live && index < 64u) {
    let at = 4u * index;
    state[words + index] = codes_m[at] | (codes_m[at + 1u] << 8u) | (codes_m[at + 2u] << 16u) | (codes_m[at + 3u] << 24u);
    state[words + 64u + index] = codes_v[at] | (codes_v[at + 1u] << 8u) | (codes_v[at + 2u] << 16u) | (codes_v[at + 3u] << 24u);
    if (index == 0u) {
      state[words + 128u] = bitcast<u32>(scale_m);
      state[words + 129u] = bitcast<u32>(scale_v);
    }
  }
}
