// Flash attention, the queries' gradient (Dao 2023, section 3.1), with scores recomputed block by block:
//   p = exp(q k^T / sqrt(D) - lse);  ds = p * (dy v^T - delta);  dq = ds k / sqrt(D).
// The work is split as in attention.wgsl, but the threads of a workgroup are two teams, so that each needs half the registers:
// team 0 holds q, multiplies it with k and sums up dq; team 1 holds dy and multiplies it with v.
// Needs rows_alone.wgsl or, where TOGETHER, rows_together.wgsl: then all threads of a subgroup are of one slice, and each lane reads a row of the block.
struct Params { // as in attention.wgsl
  lq: u32,
  lk: u32,
  heads: u32,
  depth4: u32,
  slices: u32,
  rows: u32, // threads of a slice; 2 * slices * rows <= THREADS
  causal: u32,
  q_stride: u32,
  kv_stride: u32,
  k_offset: u32,
  v_offset: u32,
  scale: f32,
};
@group(0) @binding(0) var<storage, read_write> dq: array<vec4f>; // rows of q_stride; only the queries' columns are written
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;       // [N, Lq, heads * D]
@group(0) @binding(4) var<storage, read> lse: array<f32>;        // [N, heads, Lq]
@group(0) @binding(5) var<storage, read> delta: array<f32>;      // [N, heads, Lq]
@group(0) @binding(6) var<uniform> params: Params;

const MASKED = -1e30;
const THREADS = 64u;
const BLOCK = 8u;

var<workgroup> parts: array<vec4f, BLOCK * THREADS>; // [BLOCK][THREADS]: the slices' parts of q k^T and of dy v^T
var<workgroup> ds: array<vec4f, BLOCK * THREADS / 2>; // [BLOCK][rows]

fn total(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, own_thread: Thread) {
  let thread = own_thread.index;
  let rows = params.rows;
  let depth4 = params.depth4;
  let row = thread % rows;
  let member = thread / rows; // over both teams; beyond 2 * slices for threads that are left over
  let team = member / params.slices;
  let first = member % params.slices * WIDTH;
  let sample = id.z;
  let queries = id.x * 4u * rows + row + vec4u(0u, rows, 2u * rows, 3u * rows);
  let head_column = id.y * depth4;

  var own: array<vec4f, 4u * WIDTH>; // q or dy
  var sum: array<vec4f, 4u * WIDTH>; // dq
  var log_sum: vec4f;
  var offset: vec4f;
  // Queries beyond Lq stay zero. A loop, as every access that stands in the code costs some drivers much time to compile.
  let real = min(4u, params.lq);
  for (var n = 0u; n < real; n++) {
    let i = sample * params.lq + min(queries[n], params.lq - 1u);
    let q_at = i * params.q_stride + head_column;
    let dy_at = i * params.heads * depth4 + head_column;
    let lane = vec4u(n) == vec4u(0u, 1u, 2u, 3u);
    for (var d = 0u; d < WIDTH; d++) {
      let column = min(first + d, depth4 - 1u);
      var value = select(dy[dy_at + column], q[q_at + column] * params.scale, team == 0u);
      if (first + d >= depth4) { value = vec4f(); }
      own[4u * d] = select(own[4u * d], value, lane.x);
      own[4u * d + 1u] = select(own[4u * d + 1u], value, lane.y);
      own[4u * d + 2u] = select(own[4u * d + 2u], value, lane.z);
      own[4u * d + 3u] = select(own[4u * d + 3u], value, lane.w);
    }
    let statistics_at = (sample * params.heads + id.y) * params.lq + min(queries[n], params.lq - 1u);
    log_sum[n] = lse[statistics_at];
    offset[n] = delta[statistics_at];
  }
  let kv_at = sample * params.lk * params.kv_stride + head_column;
  let own_at = kv_at + select(params.v_offset, params.k_offset, team == 0u);
  let k_at = kv_at + params.k_offset;
  var end = params.lk;
  var last_key = vec4u(params.lk);
  if (params.causal != 0u) {
    end = min(end, (id.x + 1u) * 4u * rows);
    last_key = queries;
  }
  for (var begin = 0u; begin < end; begin += BLOCK) {
    // Not up to BLOCK itself: drivers would unroll the loops over keys into many seconds of compilation.
    let count = min(BLOCK, end - begin);
    var block: array<vec4f, WIDTH>;
    if (TOGETHER) {
      let at = own_at + min(begin + lane_of(own_thread), end - 1u) * params.kv_stride;
      for (var d = 0u; d < WIDTH; d++) { block[d] = kv[at + min(first + d, depth4 - 1u)]; }
    }
    for (var j = 0u; j < count; j++) {
      let at = own_at + (begin + j) * params.kv_stride;
      var s0 = vec4f();
      var s1 = vec4f();
      var s2 = vec4f();
      var s3 = vec4f();
      for (var d = 0u; d < WIDTH; d++) {
        var x: vec4f;
        if (TOGETHER) { x = quad_of(block[d], j); } else { x = kv[at + min(first + d, depth4 - 1u)]; }
        s0 += own[4u * d] * x;
        s1 += own[4u * d + 1u] * x;
        s2 += own[4u * d + 2u] * x;
        s3 += own[4u * d + 3u] * x;
      }
      parts[j * THREADS + thread] = vec4f(total(s0), total(s1), total(s2), total(s3));
    }
    workgroupBarrier();
    // The next block's parts are written after the second barrier, its ds after its first.
    let merging = select(0u, count, team < 2u);
    for (var j = member; j < merging; j += 2u * params.slices) {
      var s = vec4f();
      var dp = vec4f();
      for (var n = 0u; n < params.slices; n++) {
        s += parts[j * THREADS + n * rows + row];
        dp += parts[j * THREADS + (params.slices + n) * rows + row];
      }
      let p = exp(select(vec4f(MASKED), s - log_sum, vec4u(begin + j) <= last_key));
      ds[j * rows + row] = p * (dp - offset);
    }
    workgroupBarrier();

    let summing = select(0u, count, team == 0u);
    for (var j = 0u; j < summing; j++) {
      let weight = ds[j * rows + row];
      let at = k_at + (begin + j) * params.kv_stride;
      for (var d = 0u; d < WIDTH; d++) {
        var k: vec4f;
        if (TOGETHER) { k = quad_of(block[d], j); } else { k = kv[at + min(first + d, depth4 - 1u)]; }
        sum[4u * d] += weight.x * k;
        sum[4u * d + 1u] += weight.y * k;
        sum[4u * d + 2u] += weight.z * k;
        sum[4u * d + 3u] += weight.w * k;
      }
    }
  }

  if (team != 0u) { return; }
  for (var n = 0u; n < real; n++) {
    if (queries[n] >= params.lq) { continue; }
    let at = (sample * params.lq + queries[n]) * params.q_stride + head_column + first;
    for (var d = 0u; d < WIDTH; d++) {
      let low = select(sum[4u * d], sum[4u * d + 1u], n == 1u);
      let high = select(sum[4u * d + 2u], sum[4u * d + 3u], n == 3u);
      if (first + d < depth4) { dq[at + d] = select(low, high, n > 1u) * params.scale; }
    }
  }
}
