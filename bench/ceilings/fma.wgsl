// Multiply-adds and nothing else: 16 chains of vec4 a thread, long enough that neither memory nor latency is seen.
// Constants: ROUNDS, F16. Bindings: out [invocations] f32.

@group(0) @binding(0) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var a: array<vec4<real>, 16>;
  for (var i = 0u; i < 16u; i++) {
    a[i] = vec4<real>(real(i + id.x % 7u));
  }
  let b = vec4<real>(real(0.999));
  let c = vec4<real>(real(0.001));
  for (var round = 0u; round < ROUNDS; round++) {
    for (var i = 0u; i < 16u; i++) {
      a[i] = fma(a[i], b, c);
    }
  }
  var sum = vec4<real>(real(0));
  for (var i = 0u; i < 16u; i++) {
    sum += a[i];
  }
  out[id.x] = f32(sum.x + sum.y + sum.z + sum.w);
}
