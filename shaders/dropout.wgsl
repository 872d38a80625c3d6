// Put before the shaders that make a LoRA's narrow activations t [rows, ranks]: what dropout makes of one of them. Its draws depend on
// the key of the step, the layer's salt and the place alone, so that the backward pass, which never sees the forward's, repeats them.
// Needs dropout_key, and in params: salt, sample_rows, module_ranks, and of network, rank and module dropout the chances x 2^32.

fn mix_bits(bits: u32) -> u32 {
  var h = bits;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}

fn is_dropped(kind: u32, index: u32, chance: u32) -> bool {
  let state = mix_bits(dropout_key[0] ^ mix_bits(params.salt + kind));
  return mix_bits(mix_bits(state ^ index) + state) < chance;
}

/// 0 or what makes up for those that are dropped; `ranks` are all columns of t.
fn dropout_factor(row: u32, column: u32, ranks: u32) -> f32 {
  let dropped = is_dropped(0u, row * ranks + column, params.network_chance) ||
    is_dropped(1u, row / params.sample_rows * ranks + column, params.rank_chance) ||
    is_dropped(2u, column / params.module_ranks, params.module_chance);
  return select(params.dropout_scale, 0.0, dropped);
}
