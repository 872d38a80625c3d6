// Reads and writes every number once, four at a time, neighbours by neighbouring threads.
// Bindings: out [n / 4] vec4f, x [n / 4] vec4f.

@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let stride = groups.x * 256u;
  for (var i = id.x; i < arrayLength(&x); i += stride) {
    out[i] = x[i];
  }
}
