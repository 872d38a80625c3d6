// Put before tile.wgsl: factors rounded to halves, as mixed precision has it. What a half cannot hold becomes the largest that it can.
alias tile_factors = vec4h;

fn tile_round(values: vec4f) -> tile_factors { return tile_factors(clamp(values, vec4f(-65504.0), vec4f(65504.0))); }
