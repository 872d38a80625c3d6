// How the threads of the attention shaders read the rows that they walk: each lane of a subgroup reads one, and they hand them round.
struct Thread {
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(subgroup_size) lanes: u32,
};
fn lanes_of(thread: Thread) -> u32 { return min(thread.lanes, 64u); } // no more than the workgroup has
fn lane_of(thread: Thread) -> u32 { return thread.lane; }
fn quad_of(own: vec4f, lane: u32) -> vec4f { return subgroupShuffle(own, lane); }
fn number_of(own: f32, lane: u32) -> f32 { return subgroupShuffle(own, lane); }
