// What all kernels of the layout share: the plan of a run, the state the device keeps itself, and the buffers. Each kernel
// uses at most eight of the storage buffers, which is what every device of WebGPU has.

struct Plan {
    n: u32,
    nodes: u32,
    size: u32,
    log_size: u32,
    spacing: f32,
    /// Units of the fixed point in which charges are spread.
    scale: f32,
    /// First iteration without the early exaggeration.
    early: u32,
    /// Iterations after which nothing moves until the host says so.
    until: u32,
    late: f32,
    momentum: f32,
    /// Workgroups of 1,024 rows, and teams of eight rows.
    blocks: u32,
    teams: u32,
    /// Field of a unit charge on a node at 0..4 × 0..4 nodes' distance.
    near: array<vec4<f32>, 4>,
}

struct State {
    centre: vec2<f32>,
    span: f32,
    z: f32,
    mean: vec2<f32>,
    /// The map is a speck, narrower than CLOSE: forces come from moments.
    close: u32,
    /// The map does not fit the mesh, or enough iterations are done: nothing moves.
    halt: u32,
    iteration: u32,
    /// Nodes that the map needs.
    need: u32,
    moments: array<f32, 8>,
}

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> next: array<vec2<f32>>;
/// Last update and gain of each coordinate.
@group(0) @binding(3) var<storage, read_write> moves: array<vec4<f32>>;
/// Repulsion, and the potential of the others.
@group(0) @binding(4) var<storage, read_write> field_at: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> starts: array<u32>;
/// Column and the bits of its probability.
@group(0) @binding(6) var<storage, read> edges: array<vec2<u32>>;
@group(0) @binding(7) var<storage, read_write> grid: array<atomic<u32>>;
/// Half spectrum, column after column of `nodes` numbers.
@group(0) @binding(8) var<storage, read_write> spectra: array<vec2<f32>>;
@group(0) @binding(9) var<storage, read_write> field: array<f32>;
@group(0) @binding(10) var<storage, read> spectrum: array<f32>;
@group(0) @binding(11) var<storage, read> twiddles: array<vec2<f32>>;
@group(0) @binding(12) var<storage, read_write> partial: array<f32>;
@group(0) @binding(13) var<storage, read_write> state: State;
@group(0) @binding(14) var<storage, read> order: array<u32>;
@group(0) @binding(15) var<storage, read_write> positions: array<vec2<f32>>;

const CLOSE: f32 = 0.2;

fn group_of(wg: vec3<u32>, count: vec3<u32>) -> u32 {
    return wg.x + wg.y * count.x;
}

fn weights(t: f32) -> vec4<f32> {
    let s = 1.0 - t;
    let t2 = t * t;
    let t3 = t2 * t;
    return vec4(s * s * s, 3.0 * t3 - 6.0 * t2 + 4.0, -3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0, t3) / 6.0;
}

fn slopes(t: f32) -> vec4<f32> {
    let s = 1.0 - t;
    let t2 = t * t;
    return vec4(-0.5 * s * s, 1.5 * t2 - 2.0 * t, -1.5 * t2 + t + 0.5, 0.5 * t2);
}

struct Spot {
    cell: vec2<u32>,
    t: vec2<f32>,
}

/// The cell of a place and where in it, counted from the centre as the processor's mesh does.
fn spot(p: vec2<f32>) -> Spot {
    let middle = f32(plan.nodes / 2u);
    let last = f32(plan.nodes - 3u);
    let d = (p - state.centre) / plan.spacing;
    let cell = clamp(floor(d), vec2(1.0 - middle), vec2(last - middle));
    return Spot(vec2<u32>(cell + middle), clamp(d - cell, vec2(0.0), vec2(1.0)));
}
