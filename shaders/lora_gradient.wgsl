// out[column, r] = sum over rows of p[row, column] * q[row, group(column) * rank + r]: the gradients of a LoRA's two matrices.
// dB [columns, rank]: p = dy, q = t. dA [rank, columns] where DOWN: p = x, q = dt, one group.
// A workgroup makes 64 columns x 4 ranks from one chunk of the rows; with several chunks, `out` has a slab for each.
struct Params { rows: u32, columns: u32, groups: u32, rank: u32, chunk: u32 };
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<storage, read> p: array<vec4f>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> parts: array<vec4f, 256>; // [rank in quad][slice of the rows][column quad]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let columns4 = params.columns / 4u;
  let slice = index >> 4u;
  // Columns and ranks beyond the end repeat the last one and are not written.
  let c4 = min(tile.x * 16u + (index & 15u), columns4 - 1u);
  let q_base = c4 * 4u / (params.columns / params.groups) * params.rank;
  let q_stride = params.groups * params.rank;
  let last_rank = params.rank - 1u;
  let r = tile.y * 4u;
  let r0 = q_base + min(r, last_rank);
  let r1 = q_base + min(r + 1u, last_rank);
  let r2 = q_base + min(r + 2u, last_rank);
  let r3 = q_base + min(r + 3u, last_rank);
  let end = min((tile.z + 1u) * params.chunk, params.rows);
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var row = tile.z * params.chunk + slice; row < end; row += 4u) {
    let v = p[row * columns4 + c4];
    let at = row * q_stride;
    sum0 += v * q[at + r0];
    sum1 += v * q[at + r1];
    sum2 += v * q[at + r2];
    sum3 += v * q[at + r3];
  }
  parts[index] = sum0;
  parts[64u + index] = sum1;
  parts[128u + index] = sum2;
  parts[192u + index] = sum3;
  workgroupBarrier();
  let quad = index & 15u;
  let j = index >> 4u;
  let at = j * 64u + quad;
  let sum = parts[at] + parts[at + 16u] + parts[at + 32u] + parts[at + 48u];
  let rank = tile.y * 4u + j;
  let column = (tile.x * 16u + quad) * 4u;
  if (rank >= params.rank || column >= params.columns) { return; }
  let slab = tile.z * params.columns * params.rank;
  if (DOWN) {
    let o = slab + rank * params.columns + column;
    out[o] = sum.x;
    out[o + 1u] = sum.y;
    out[o + 2u] = sum.z;
    out[o + 3u] = sum.w;
  } else {
    let o = slab + column * params.rank + rank;
    out[o] = sum.x;
    out[o + params.rank] = sum.y;
    out[o + 2u * params.rank] = sum.z;
    out[o + 3u * params.rank] = sum.w;
  }
}
