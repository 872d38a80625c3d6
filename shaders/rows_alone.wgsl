// How the threads of the attention shaders read the rows that they walk: each by itself, one at a time.
struct Thread { @builtin(local_invocation_index) index: u32 };
fn lanes_of(thread: Thread) -> u32 { return 1u; }
fn lane_of(thread: Thread) -> u32 { return 0u; }
fn quad_of(own: vec4f, lane: u32) -> vec4f { return own; }
fn number_of(own: f32, lane: u32) -> f32 { return own; }
