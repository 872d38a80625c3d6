// y[n, h, w, c] = x[n, h / 2, w / 2, c], twice the height and width; where BACKWARD the gradient: each x sums its four y.
// One invocation an output value.
struct Params { size: u32, width: u32, channels: u32 }; // of the output
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  if (i >= params.size) { return; }
  let c = i % params.channels;
  let pixel = i / params.channels;
  let column = pixel % params.width;
  let row = pixel / params.width; // over all images: heights are doubled alike
  if (BACKWARD) {
    let at = ((row * 2u * params.width + column) * 2u) * params.channels + c;
    let below = at + 2u * params.width * params.channels;
    y[i] = x[at] + x[at + params.channels] + x[below] + x[below + params.channels];
  } else {
    y[i] = x[(row / 2u * (params.width / 2u) + column / 2u) * params.channels + c];
  }
}
