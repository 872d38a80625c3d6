// y = a * gelu(b) for rows [a | b] of x, with the exact (erf) GELU; where BACKWARD, the gradient [da | db].
struct Params {
  size4: u32,    // vec4s of y: rows * columns4
  columns4: u32, // vec4s in a row of y: a quarter of C
};
@group(0) @binding(0) var<storage, read_write> out: array<vec4f>; // y [rows, C], or dx [rows, 2C]
@group(0) @binding(1) var<storage, read> x: array<vec4f>;         // [rows, 2C]
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;        // [rows, C]
@group(0) @binding(3) var<uniform> params: Params;

// The normal distribution's cumulative function, erfc(-b / sqrt(2)) / 2. The Chebyshev fit of erfc is that of Numerical
// Recipes (erfcc): its RELATIVE error is at most 1.2e-7, so the tail of GELU is as exact as its middle.
fn normal_cdf(b: vec4f) -> vec4f {
  let z = min(abs(b) * 0.70710678118654752, vec4f(9.0));
  let t = 1.0 / (1.0 + 0.5 * z);
  let fit = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806
    + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  let tail = 0.5 * t * exp(fit - z * z);
  return select(tail, 1.0 - tail, b > vec4f(0.0));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  if (i >= params.size4) { return; }
  let at = i + (i / params.columns4) * params.columns4; // of a in x; b lies columns4 further
  let a = x[at];
  let b = x[at + params.columns4];
  let cdf = normal_cdf(b);
  if (BACKWARD) {
    let upstream = dy[i];
    let density = 0.39894228040143268 * exp(-0.5 * min(b * b, vec4f(160.0)));
    out[at] = upstream * b * cdf;
    out[at + params.columns4] = upstream * a * (cdf + b * density);
  } else {
    out[i] = a * b * cdf;
  }
}
