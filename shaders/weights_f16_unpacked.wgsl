// The same as weights_f16.wgsl for devices without shader-f16.
alias weight_word = vec2u;

/// Weights 4 at .. + 3.
fn weight_quad(at: u32) -> vec4f { return vec4f(unpack2x16float(w[at].x), unpack2x16float(w[at].y)); }
