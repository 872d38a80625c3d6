// t[rows, groups * rank] = scale * x A^T, and its gradient where BACKWARD: dt = scale * dy B, each group of ranks from its own
// columns of dy. A [groups * rank, length] and B [groups * length, rank]. Forward, all groups read all of x: groups = 1 then.
// A workgroup makes 16 rows x 4 QUADS ranks; 16 / QUADS invocations share the sum of each and add up in workgroup memory.
// Where DROPOUT, t and dt are both multiplied by the factors of dropout.wgsl, which it needs.
struct Params {
  rows: u32, length4: u32, groups: u32, rank: u32,
  salt: u32, sample_rows: u32, module_ranks: u32, network_chance: u32, rank_chance: u32, module_chance: u32, dropout_scale: f32,
};
@group(0) @binding(0) var<storage, read_write> t: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> a: array<vec4f>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;
@group(0) @binding(5) var<storage, read> dropout_key: array<u32>;
@group(0) @binding(6) var<uniform> params: Params;

const SLICES: u32 = 16u / QUADS;
var<workgroup> parts: array<vec4f, 256>; // [row in quad][row quad, rank quad, slice]

fn down_quad(group: u32, r: u32, k4: u32) -> vec4f {
  if (BACKWARD) {
    let at = (group * params.length4 + k4) * 4u * params.rank + r;
    return vec4f(b[at], b[at + params.rank], b[at + 2u * params.rank], b[at + 3u * params.rank]);
  }
  return a[r * params.length4 + k4];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let slice = index % SLICES;
  let rank_quad = index / SLICES % QUADS;
  let row_quad = index / (SLICES * QUADS);
  let tiles_per_group = (params.rank + 4u * QUADS - 1u) / (4u * QUADS);
  let group = tile.x / tiles_per_group;
  let first_rank = tile.x % tiles_per_group * 4u * QUADS;
  let last_row = params.rows - 1u;
  let last_rank = params.rank - 1u;
  // Rows and ranks beyond the end repeat the last one and are not written.
  let m = tile.y * 16u + row_quad * 4u;
  let stride4 = params.groups * params.length4;
  let x0 = min(m, last_row) * stride4 + group * params.length4;
  let x1 = min(m + 1u, last_row) * stride4 + group * params.length4;
  let x2 = min(m + 2u, last_row) * stride4 + group * params.length4;
  let x3 = min(m + 3u, last_row) * stride4 + group * params.length4;
  let r = first_rank + rank_quad * 4u;
  let r0 = min(r, last_rank);
  let r1 = min(r + 1u, last_rank);
  let r2 = min(r + 2u, last_rank);
  let r3 = min(r + 3u, last_rank);
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var k4 = slice; k4 < params.length4; k4 += SLICES) {
    let d0 = down_quad(group, r0, k4);
    let d1 = down_quad(group, r1, k4);
    let d2 = down_quad(group, r2, k4);
    let d3 = down_quad(group, r3, k4);
    let v0 = x[x0 + k4];
    let v1 = x[x1 + k4];
    let v2 = x[x2 + k4];
    let v3 = x[x3 + k4];
    sum0 += vec4f(dot(v0, d0), dot(v0, d1), dot(v0, d2), dot(v0, d3));
    sum1 += vec4f(dot(v1, d0), dot(v1, d1), dot(v1, d2), dot(v1, d3));
    sum2 += vec4f(dot(v2, d0), dot(v2, d1), dot(v2, d2), dot(v2, d3));
    sum3 += vec4f(dot(v3, d0), dot(v3, d1), dot(v3, d2), dot(v3, d3));
  }
  parts[index] = sum0;
  parts[64u + index] = sum1;
  parts[128u + index] = sum2;
  parts[192u + index] = sum3;
  workgroupBarrier();
  if (index >= 16u * QUADS) { return; }
  let row = index / QUADS;
  let quad = index % QUADS;
  var sum = vec4f();
  for (var s = 0u; s < SLICES; s++) {
    sum += parts[row % 4u * 64u + (row / 4u * QUADS + quad) * SLICES + s];
  }
  let out_row = tile.y * 16u + row;
  if (out_row >= params.rows) { return; }
  let out_rank = first_rank + quad * 4u;
  let column = group * params.rank + out_rank;
  put(out_row, column, out_rank, sum.x);
  put(out_row, column + 1u, out_rank + 1u, sum.y);
  put(out_row, column + 2u, out_rank + 2u, sum.z);
  put(out_row, column + 3u, out_rank + 3u, sum.w);
}

fn put(row: u32, column: u32, rank: u32, sum: f32) {
  if (rank >= params.rank) { return; }
  let ranks = params.groups * params.rank;
  var value = scale[column] * sum;
  if (DROPOUT) { value *= dropout_factor(row, column, ranks); }
  t[row * ranks + column] = value;
}
