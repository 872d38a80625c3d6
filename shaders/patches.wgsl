// Put before the shaders of LoRA branches of convolutions: what a pixel of the output sees. Needs params: height, width, out_height,
// out_width, kernel, stride, top, left.

/// Index of the input's pixel that a pixel of the output sees through a tap; -1 in the padding.
fn tap_source(pixel: u32, tap: u32) -> i32 {
  let per_image = params.out_height * params.out_width;
  let place = vec2u(pixel % per_image / params.out_width, pixel % params.out_width);
  let at = vec2i(place * params.stride + vec2u(tap / params.kernel, tap % params.kernel)) - vec2i(vec2u(params.top, params.left));
  let size = vec2i(vec2u(params.height, params.width));
  if (any(at < vec2i()) || any(at >= size)) { return -1; }
  return (i32(pixel / per_image) * size.x + at.x) * size.y + at.y;
}
