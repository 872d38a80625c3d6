// Writes twice its index into every element: the least that shows that a kernel runs.
@group(0) @binding(0) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&result)) {
    result[id.x] = 2.0 * f32(id.x);
  }
}
