// Put before the shaders that read frozen weights, which declare `w: array<weight_word>`: f16 weights as they lie in memory.
alias weight_word = vec4<f16>;

/// Weights 4 at .. + 3.
fn weight_quad(at: u32) -> vec4f { return vec4f(w[at]); }
