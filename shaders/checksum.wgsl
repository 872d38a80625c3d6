// A checksum of the bits of a buffer, to tell whether two kernels wrote the same: every word times an odd number of its own, added up.
// Integers that wrap: the order of additions does not matter, and no word can change alone without changing the sum.
@group(0) @binding(0) var<storage, read_write> sum: atomic<u32>;
@group(0) @binding(1) var<storage, read> words: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  var own = 0u;
  for (var i = id.x; i < arrayLength(&words); i += grid.x * 256u) { own += words[i] * (2u * i + 1u); }
  atomicAdd(&sum, own);
}
