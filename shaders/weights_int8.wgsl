// Put before the shaders that read frozen weights, which declare `w: array<weight_word>`: int8 in blocks of 32 consecutive weights
// that share a scale. All weights come first, a quad to a word; then the scales, f16, two to a word. The scale is the block's
// largest magnitude, which 127 stands for: a step of it might be a subnormal half, and GPUs may flush those to zero.
alias weight_word = u32;

/// Weights 4 at .. + 3.
fn weight_quad(at: u32) -> vec4f {
  // 16 words of weights have one word of scales.
  let scales = unpack2x16float(w[arrayLength(&w) / 17u * 16u + (at >> 4u)]);
  return unpack4x8snorm(w[at]) * select(scales.x, scales.y, (at & 8u) != 0u);
}
