// Flash attention, the keys' and values' gradients (Dao 2023, section 3.1), with scores recomputed block by block:
//   p = exp(q k^T / sqrt(D) - lse);  ds = p * (dy v^T - delta);  dv = p^T dy;  dk = ds^T q / sqrt(D).
// The work is split as in attention.wgsl with keys and queries changing places: a thread takes 4 keys and walks over blocks of
// BLOCK queries. The threads of a workgroup are two teams, so that each needs half the registers: team 0 holds k, multiplies it
// with q and sums up dk; team 1 holds v, multiplies it with dy and sums up dv.
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
@group(0) @binding(0) var<storage, read_write> dkv: array<vec4f>; // rows of kv_stride; only keys' and values' columns are written
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;        // [N, Lq, heads * D]
@group(0) @binding(4) var<storage, read> lse: array<f32>;         // [N, heads, Lq]
@group(0) @binding(5) var<storage, read> delta: array<f32>;       // [N, heads, Lq]
@group(0) @binding(6) var<uniform> params: Params;

const MASKED = -1e30;
const THREADS = 64u;
const BLOCK = 8u;

var<workgroup> parts: array<vec4f, BLOCK * THREADS>;   // [BLOCK][THREADS]: the slices' parts of q k^T and of dy v^T
var<workgroup> weights: array<vec4f, BLOCK * THREADS>; // [BLOCK][2][rows]: ds for team 0, p for team 1

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
  let keys = id.x * 4u * rows + row + vec4u(0u, rows, 2u * rows, 3u * rows);
  let head_column = id.y * depth4;
  let own_column = head_column + select(params.v_offset, params.k_offset, team == 0u);
  let factor = select(1.0, params.scale, team == 0u);

  var own: array<vec4f, 4u * WIDTH>; // k or v
  var sum: array<vec4f, 4u * WIDTH>; // dk or dv
  // Keys beyond Lk stay zero. A loop, as every access that stands in the code costs some drivers much time to compile.
  let real = min(4u, params.lk);
  for (var n = 0u; n < real; n++) {
    let at = (sample * params.lk + min(keys[n], params.lk - 1u)) * params.kv_stride + own_column;
    let lane = vec4u(n) == vec4u(0u, 1u, 2u, 3u);
    for (var d = 0u; d < WIDTH; d++) {
      var value = kv[at + min(first + d, depth4 - 1u)] * factor;
      if (first + d >= depth4) { value = vec4f(); }
      own[4u * d] = select(own[4u * d], value, lane.x);
      own[4u * d + 1u] = select(own[4u * d + 1u], value, lane.y);
      own[4u * d + 2u] = select(own[4u * d + 2u], value, lane.z);
      own[4u * d + 3u] = select(own[4u * d + 3u], value, lane.w);
    }
  }
  let dy_stride = params.heads * depth4;
  let q_at = sample * params.lq * params.q_stride + head_column;
  let dy_at = sample * params.lq * dy_stride + head_column;
  let statistics_at = (sample * params.heads + id.y) * params.lq;
  var start = 0u;
  var first_query = vec4u();
  if (params.causal != 0u) {
    start = id.x * 4u * rows;
    first_query = keys;
  }
  for (var begin = start; begin < params.lq; begin += BLOCK) {
    // Not up to BLOCK itself: drivers would unroll the loops over queries into many seconds of compilation. Each team walks
    // over its own tensor; its loops over the other one are empty.
    let count = min(BLOCK, params.lq - begin);
    let q_count = select(0u, count, team == 0u);
    let dy_count = select(0u, count, team == 1u);
    var block: array<vec4f, WIDTH>;
    if (TOGETHER) {
      let query = begin + min(lane_of(own_thread), count - 1u);
      for (var d = 0u; d < WIDTH; d++) {
        let column = min(first + d, depth4 - 1u);
        if (team == 0u) { block[d] = q[q_at + query * params.q_stride + column]; } else { block[d] = dy[dy_at + query * dy_stride + column]; }
      }
    }
    for (var i = 0u; i < q_count; i++) {
      let at = q_at + (begin + i) * params.q_stride;
      var s0 = vec4f();
      var s1 = vec4f();
      var s2 = vec4f();
      var s3 = vec4f();
      for (var d = 0u; d < WIDTH; d++) {
        var x: vec4f;
        if (TOGETHER) { x = quad_of(block[d], i); } else { x = q[at + min(first + d, depth4 - 1u)]; }
        s0 += own[4u * d] * x;
        s1 += own[4u * d + 1u] * x;
        s2 += own[4u * d + 2u] * x;
        s3 += own[4u * d + 3u] * x;
      }
      parts[i * THREADS + thread] = vec4f(total(s0), total(s1), total(s2), total(s3));
    }
    for (var i = 0u; i < dy_count; i++) {
      let at = dy_at + (begin + i) * dy_stride;
      var s0 = vec4f();
      var s1 = vec4f();
      var s2 = vec4f();
      var s3 = vec4f();
      for (var d = 0u; d < WIDTH; d++) {
        var x: vec4f;
        if (TOGETHER) { x = quad_of(block[d], i); } else { x = dy[at + min(first + d, depth4 - 1u)]; }
        s0 += own[4u * d] * x;
        s1 += own[4u * d + 1u] * x;
        s2 += own[4u * d + 2u] * x;
        s3 += own[4u * d + 3u] * x;
      }
      parts[i * THREADS + thread] = vec4f(total(s0), total(s1), total(s2), total(s3));
    }
    workgroupBarrier();
    // The next block's parts are written after the second barrier, its weights after its first.
    let merging = select(0u, count, team < 2u);
    for (var i = member; i < merging; i += 2u * params.slices) {
      var s = vec4f();
      var dp = vec4f();
      for (var n = 0u; n < params.slices; n++) {
        s += parts[i * THREADS + n * rows + row];
        dp += parts[i * THREADS + (params.slices + n) * rows + row];
      }
      let query = begin + i;
      let p = exp(select(vec4f(MASKED), s - lse[statistics_at + query], first_query <= vec4u(query)));
      weights[2u * i * rows + row] = p * (dp - delta[statistics_at + query]);
      weights[(2u * i + 1u) * rows + row] = p;
    }
    workgroupBarrier();

    for (var i = 0u; i < q_count; i++) {
      let weight = weights[2u * i * rows + row];
      let at = q_at + (begin + i) * params.q_stride;
      for (var d = 0u; d < WIDTH; d++) {
        var x: vec4f;
        if (TOGETHER) { x = quad_of(block[d], i); } else { x = q[at + min(first + d, depth4 - 1u)]; }
        sum[4u * d] += weight.x * x;
        sum[4u * d + 1u] += weight.y * x;
        sum[4u * d + 2u] += weight.z * x;
        sum[4u * d + 3u] += weight.w * x;
      }
    }
    for (var i = 0u; i < dy_count; i++) {
      let weight = weights[(2u * i + 1u) * rows + row];
      let at = dy_at + (begin + i) * dy_stride;
      for (var d = 0u; d < WIDTH; d++) {
        var x: vec4f;
        if (TOGETHER) { x = quad_of(block[d], i); } else { x = dy[at + min(first + d, depth4 - 1u)]; }
        sum[4u * d] += weight.x * x;
        sum[4u * d + 1u] += weight.y * x;
        sum[4u * d + 2u] += weight.z * x;
        sum[4u * d + 3u] += weight.w * x;
      }
    }
  }

  if (team > 1u) { return; }
  for (var n = 0u; n < real; n++) {
    if (keys[n] >= params.lk) { continue; }
    let at = (sample * params.lk + keys[n]) * params.kv_stride + own_column + first;
    for (var d = 0u; d < WIDTH; d++) {
      let low = select(sum[4u * d], sum[4u * d + 1u], n == 1u);
      let high = select(sum[4u * d + 2u], sum[4u * d + 3u], n == 3u);
      if (first + d < depth4) { dkv[at + d] = select(low, high, n > 1u) * factor; }
    }
  }
}
