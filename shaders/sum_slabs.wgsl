// The slabs of two stacks added up, one invocation a sum: a[i] = sum over slabs of a_slabs[slab, i], and b likewise.
struct Params { slabs: u32, a_size: u32, b_size: u32 };
@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> b: array<f32>;
@group(0) @binding(2) var<storage, read> a_slabs: array<f32>;
@group(0) @binding(3) var<storage, read> b_slabs: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0.0;
  if (id.x < params.a_size) {
    for (var slab = 0u; slab < params.slabs; slab++) { sum += a_slabs[slab * params.a_size + id.x]; }
    a[id.x] = sum;
  } else if (id.x - params.a_size < params.b_size) {
    let i = id.x - params.a_size;
    for (var slab = 0u; slab < params.slabs; slab++) { sum += b_slabs[slab * params.b_size + i]; }
    b[i] = sum;
  }
}
