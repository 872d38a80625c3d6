// float32 weights [outputs, inputs, taps] to two packed f16 parts, as the kernels read weights: `high` is the nearest half, `low` 4096 times
// what it lacks: subnormal halves, which GPUs may flush to zero, are avoided in both. Padding becomes zero.
struct Params { words: u32, outputs: u32, inputs: u32, taps: u32, outputs_padded: u32, inputs_padded: u32 };
@group(0) @binding(0) var<storage, read_write> high: array<u32>;
@group(0) @binding(1) var<storage, read_write> low: array<u32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn value_at(p: u32) -> f32 {
  var e = p;
  var inside = p < params.outputs * params.inputs;
  if (CONV) {
    let o = p % params.outputs_padded;
    let row = p / params.outputs_padded;
    let i = row % params.inputs_padded;
    inside = o < params.outputs && i < params.inputs;
    e = (o * params.inputs + i) * params.taps + row / params.inputs_padded;
  }
  return select(0.0, values[select(0u, e, inside)], inside);
}

// The nearest half, to even. By bits: compilers take an unpacked pack for the value itself.
fn nearest_half(v: vec2f) -> vec2f {
  let bits = bitcast<vec2u>(v);
  let rounded = (bits + 0xfffu + ((bits >> vec2u(13u)) & vec2u(1u))) & vec2u(0xffffe000u);
  return select(bitcast<vec2f>(rounded), vec2f(0.0), abs(v) < vec2f(0x1p-14));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let word = id.x + id.y * grid.x * 256u;
  if (word >= params.words) { return; }
  let pair = vec2f(value_at(2u * word), value_at(2u * word + 1u));
  let nearest = nearest_half(pair);
  high[word] = pack2x16float(nearest);
  low[word] = pack2x16float((pair - nearest) * 4096.0);
}
