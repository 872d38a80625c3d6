// y = (x - mean) / sqrt(variance + epsilon) * gamma + beta over each row; where BACKWARD, the gradient towards x,
// plus `addend` where ACCUMULATE.
//
// A team of TEAM threads takes a row. Values are taken relative to the row's first one, and the variance in a second pass, so
// that a large common offset costs no digits. The backward pass recomputes both statistics: the row is in the cache anyway.
//   g = dy * gamma;  dx = (g - mean(g) - xhat * mean(g * xhat)) / sqrt(variance + epsilon)
struct Params { rows: u32, columns4: u32, epsilon: f32 };
@group(0) @binding(0) var<storage, read_write> out: array<vec4f>; // y or dx, [rows, C]
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(3) var<storage, read> beta: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> addend: array<vec4f>; // [rows, C]
@group(0) @binding(6) var<uniform> params: Params;

const ROWS = 8u; // per workgroup
const TEAM = 8u; // threads of a row

var<workgroup> partial: array<vec2f, 3 * ROWS * TEAM>;

// The sums of `value` over the team; `slot` is a part of the workgroup's memory that no other call uses.
fn team_sum(slot: u32, thread: u32, value: vec2f) -> vec2f {
  partial[slot * ROWS * TEAM + thread] = value;
  workgroupBarrier();
  let first = slot * ROWS * TEAM + thread / TEAM * TEAM;
  var sum = vec2f();
  for (var i = 0u; i < TEAM; i++) { sum += partial[first + i]; }
  return sum;
}

fn total(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }

@compute @workgroup_size(ROWS * TEAM)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = (group.x + group.y * grid.x) * ROWS + thread / TEAM;
  let member = thread % TEAM;
  let n4 = params.columns4;
  // Threads beyond the last row go through the barriers, but over no columns.
  let end = select(0u, n4, row < params.rows);
  let base = min(row, params.rows - 1u) * n4;
  let origin = x[base].x;
  let n = f32(n4 * 4u);

  var sum = vec4f();
  for (var i = member; i < end; i += TEAM) { sum += x[base + i] - origin; }
  let mean = team_sum(0u, thread, vec2f(total(sum), 0.0)).x / n;

  var squares = vec4f();
  for (var i = member; i < end; i += TEAM) {
    let d = (x[base + i] - origin) - mean;
    squares += d * d;
  }
  let variance = team_sum(1u, thread, vec2f(total(squares), 0.0)).x / n;
  let scale = 1.0 / sqrt(variance + params.epsilon);

  if (BACKWARD) {
    var sum_g = vec4f();
    var sum_gx = vec4f();
    for (var i = member; i < end; i += TEAM) {
      let g = dy[base + i] * gamma[i];
      sum_g += g;
      sum_gx += g * ((x[base + i] - origin) - mean);
    }
    let sums = team_sum(2u, thread, vec2f(total(sum_g), total(sum_gx) * scale)) / n;
    for (var i = member; i < end; i += TEAM) {
      let xhat = ((x[base + i] - origin) - mean) * scale;
      var dx = scale * (dy[base + i] * gamma[i] - sums.x - xhat * sums.y);
      if (ACCUMULATE) { dx += addend[base + i]; }
      out[base + i] = dx;
    }
  } else {
    for (var i = member; i < end; i += TEAM) {
      out[base + i] = ((x[base + i] - origin) - mean) * scale * gamma[i] + beta[i];
    }
  }
}
