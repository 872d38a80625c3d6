// Statistics of GroupNorm over a picture in bands of rows: adds the chunks of one band (from group_norm_statistics.wgsl, relative
// to the band's own first values) to those of the bands before, by Chan's formula; one invocation a group. For the last band also
// what group_norm.wgsl needs: the mean itself and the scale 1 / sqrt(variance + epsilon).
struct Params {
  pixels: u32,   // in a sample of this band
  chunk: u32,    // pixels in a chunk
  chunks: u32,
  columns4: u32, // C / 4
  groups: u32,   // in a sample
  channels: u32, // in a group
  size: u32,     // samples times groups
  pixels_before: u32,
  epsilon: f32,
};
@group(0) @binding(0) var<storage, read_write> sums: array<vec2f>; // [N, groups]: mean, squares
@group(0) @binding(1) var<storage, read_write> statistics: array<vec2f>; // [N, groups]: mean, scale
@group(0) @binding(2) var<storage, read> before: array<vec2f>; // as `sums`; unused for the first band
@group(0) @binding(3) var<storage, read> partial: array<vec2f>; // [N, groups, chunks]
@group(0) @binding(4) var<storage, read> x: array<vec4f>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let at = id.x;
  if (at >= params.size) { return; }
  let sample = at / params.groups;
  let channel = at % params.groups * params.channels;
  let origin = x[sample * params.pixels * params.columns4 + channel / 4u][channel % 4u];
  var count = f32(params.pixels_before);
  var sum = vec2f();
  if (params.pixels_before > 0u) { sum = before[at]; }
  for (var i = 0u; i < params.chunks; i++) {
    let part = partial[at * params.chunks + i];
    let size = f32(min(params.chunk, params.pixels - i * params.chunk));
    let distance = origin + part.x - sum.x;
    let total = count + size;
    sum.x += distance * (size / total);
    sum.y += part.y + distance * distance * (count * size / total) * f32(params.channels);
    count = total;
  }
  sums[at] = sum;
  statistics[at] = vec2f(sum.x, 1.0 / sqrt(sum.y / (count * f32(params.channels)) + params.epsilon));
}
