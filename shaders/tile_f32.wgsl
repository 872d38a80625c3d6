// Put before tile.wgsl: factors as they are.
alias tile_factors = vec4f;

fn tile_round(values: vec4f) -> tile_factors { return values; }
