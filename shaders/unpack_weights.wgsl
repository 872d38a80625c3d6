// Frozen weights as they lie for the kernels to float32 [outputs, inputs, taps], torch's order.
struct Params { size: u32, outputs: u32, inputs: u32, taps: u32, outputs_padded: u32, inputs_padded: u32 };
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<weight_word>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let e = id.x + id.y * grid.x * 256u;
  if (e >= params.size) { return; }
  var p = e;
  if (CONV) {
    let row = e / params.taps;
    p = (e % params.taps * params.inputs_padded + row % params.inputs) * params.outputs_padded + row / params.inputs;
  }
  values[e] = weight_quad(p / 4u)[p % 4u];
}
