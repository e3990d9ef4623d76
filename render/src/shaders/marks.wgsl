// marks.wgsl - round marks: two triangles a mark, pulled from the list that field.wgsl wrote, anti-aliased by distance.
//
// Scalar twin: `reference::points`. Blending is a weighted sum that does not depend on the order (the list's order is that of
// the GPU's threads): the target adds up colour * w and w, with w = -ln(1 - alpha), and resolve.wgsl divides.
// Chosen against instancing (small instances are slow on many GPUs: rerun's lines.rs) and against MSAA (4 times the memory).

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> marks: array<vec4u>;

struct Out {
    @builtin(position) position: vec4f,
    @location(0) local: vec2f,                    // px from the centre of the mark
    @location(1) @interpolate(flat) radius: f32,  // px
    @location(2) @interpolate(flat) colour: vec4f,
}

fn corner(k: u32) -> vec2f {
    return vec2f(select(-1.0, 1.0, k == 1u || k == 3u || k == 4u), select(-1.0, 1.0, k == 2u || k == 4u || k == 5u));
}

const LONE_ALPHA = 0.6;

fn build(index: u32, at: u32, alpha: f32) -> Out {
    let m = marks[at];
    let r = bitcast<f32>(m.w);
    let local = corner(index % 6u) * (r + 1.0);
    let px = bitcast<vec2f>(m.xy) + local;
    var out: Out;
    out.position = vec4f(px.x / frame.size.x * 2.0 - 1.0, 1.0 - px.y / frame.size.y * 2.0, 0.0, 1.0);
    out.local = local;
    out.radius = r;
    out.colour = unpack4x8unorm(m.z);
    out.colour.a *= alpha;
    return out;
}

// A mark of the list, fading as the field takes over.
fn common_mark(index: u32, layer: u32) -> Out {
    let alpha = bitcast<f32>(state[ALPHA + layer]) * (1.0 - bitcast<f32>(state[WEIGHT + layer]));
    return build(index, layer * frame.capacity + index / 6u, alpha);
}

// A lone point of the field, coming with it.
fn lone_mark(index: u32, layer: u32) -> Out {
    return build(index, 2u * frame.capacity + layer * frame.lone + index / 6u, LONE_ALPHA * bitcast<f32>(state[WEIGHT + layer]));
}

@vertex
fn vs_rest(@builtin(vertex_index) index: u32) -> Out {
    return common_mark(index, 0u);
}

@vertex
fn vs_chosen(@builtin(vertex_index) index: u32) -> Out {
    return common_mark(index, 1u);
}

@vertex
fn vs_lone_rest(@builtin(vertex_index) index: u32) -> Out {
    return lone_mark(index, 0u);
}

@vertex
fn vs_lone_chosen(@builtin(vertex_index) index: u32) -> Out {
    return lone_mark(index, 1u);
}

@fragment
fn fs_mark(in: Out) -> @location(0) vec4f {
    let cover = clamp(in.radius + 0.5 - length(in.local), 0.0, 1.0);
    let w = -log(1.0 - min(in.colour.a * cover, 0.999));
    return vec4f(in.colour.rgb * w, w);
}
