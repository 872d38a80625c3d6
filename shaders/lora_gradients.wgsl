// The gradients of a LoRA's two matrices: dB[column, r] = sum over rows of dy[row, column] * t[row, group(column) * rank + r], and where
// BOTH in the same dispatch dA[r, column] = sum over rows of dt[row, r] * x[row, column].
// A workgroup makes 64 columns x 4 ranks from one chunk of the rows; with several chunks, the outputs have a slab for each.
struct Params {
  rows: u32,
  chunk: u32,        // rows in a chunk
  in_features: u32,
  out_features: u32,
  groups: u32,       // of columns of dB
  rank: u32,         // of each group
  tiles_a: u32,      // workgroups in a chunk that make dA, before those that make dB
};
@group(0) @binding(0) var<storage, read_write> da: array<f32>; // [groups * rank, in_features]
@group(0) @binding(1) var<storage, read_write> db: array<f32>; // [out_features, rank]
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> dt: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> t: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> parts: array<vec4f, 256>; // [rank in quad][slice of the rows][column quad]

fn wide(of_a: bool, at: u32) -> vec4f {
  if (BOTH && of_a) { return x[at]; }
  return dy[at];
}

fn narrow(of_a: bool, at: u32) -> f32 {
  if (BOTH && of_a) { return dt[at]; }
  return t[at];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let of_a = BOTH && tile.x < params.tiles_a;
  let all_ranks = params.groups * params.rank;
  let columns = select(params.out_features, params.in_features, of_a);
  let ranks = select(params.rank, all_ranks, of_a);
  let own_tile = select(tile.x - params.tiles_a, tile.x, of_a);
  let columns4 = columns / 4u;
  let column_tiles = (columns4 + 15u) / 16u;
  let first4 = own_tile % column_tiles * 16u;
  let r = own_tile / column_tiles * 4u;
  let slice = index >> 4u;
  // Columns and ranks beyond the end repeat the last one and are not written.
  let c4 = min(first4 + (index & 15u), columns4 - 1u);
  let base = select(c4 * 4u / (columns / params.groups) * params.rank, 0u, of_a);
  let last_rank = ranks - 1u;
  let r0 = base + min(r, last_rank);
  let r1 = base + min(r + 1u, last_rank);
  let r2 = base + min(r + 2u, last_rank);
  let r3 = base + min(r + 3u, last_rank);
  let end = min((tile.z + 1u) * params.chunk, params.rows);
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var row = tile.z * params.chunk + slice; row < end; row += 4u) {
    let v = wide(of_a, row * columns4 + c4);
    let at = row * all_ranks;
    sum0 += v * narrow(of_a, at + r0);
    sum1 += v * narrow(of_a, at + r1);
    sum2 += v * narrow(of_a, at + r2);
    sum3 += v * narrow(of_a, at + r3);
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
  let rank = r + j;
  let column = (first4 + quad) * 4u;
  if (rank >= ranks || column >= columns) { return; }
  let slab = tile.z * columns * ranks;
  if (of_a) {
    let o = slab + rank * columns + column;
    da[o] = sum.x;
    da[o + 1u] = sum.y;
    da[o + 2u] = sum.z;
    da[o + 3u] = sum.w;
  } else {
    let o = slab + column * ranks + rank;
    db[o] = sum.x;
    db[o + ranks] = sum.y;
    db[o + 2u * ranks] = sum.z;
    db[o + 3u * ranks] = sum.w;
  }
}
