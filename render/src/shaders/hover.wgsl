// hover.wgsl - the mark under the pointer: its own colour, a white ring, a dark edge, so that it shows on any ground.
//
// Scalar twin: `reference::hover_ring`. Drawn over a copy of the finished picture, so a moving pointer redraws six vertices.

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> xy: array<vec2f>;
@group(0) @binding(2) var<storage, read> rgba: array<u32>;
@group(0) @binding(3) var<storage, read> sizes: array<f32>;

struct Out {
    @builtin(position) position: vec4f,
    @location(0) local: vec2f,
    @location(1) @interpolate(flat) radius: f32,
    @location(2) @interpolate(flat) colour: vec3f,
}

@vertex
fn vs_hover(@builtin(vertex_index) index: u32) -> Out {
    var r = frame.radius;
    if ((frame.flags & HAS_SIZES) != 0u) {
        r = r * sizes[frame.row];
    }
    r = max(clamp(r, 0.5, 64.0) + 1.0, 4.0);
    var c = frame.plain;
    if ((frame.flags & HAS_COLOURS) != 0u) {
        c = rgba[frame.row];
        if ((c >> 24u) == 0u) {
            c = frame.context;
        }
    }
    let x = select(-1.0, 1.0, index == 1u || index == 3u || index == 4u);
    let y = select(-1.0, 1.0, index == 2u || index == 4u || index == 5u);
    let local = vec2f(x, y) * (r + 4.0);
    var s = xy[frame.first + frame.row];
    if ((frame.flags & GLIDES) != 0u) {
        s = s * (1.0 - frame.glide) + xy[frame.second + frame.row] * frame.glide;
    }
    let px = (s - frame.centre) * frame.scale + frame.offset + local;
    var out: Out;
    out.position = vec4f(px.x / frame.size.x * 2.0 - 1.0, 1.0 - px.y / frame.size.y * 2.0, 0.0, 1.0);
    out.local = local;
    out.radius = r;
    out.colour = unpack4x8unorm(c).rgb;
    return out;
}

@fragment
fn fs_hover(in: Out) -> @location(0) vec4f {
    let d = length(in.local);
    let ink = clamp(in.radius + 0.5 - d, 0.0, 1.0);
    let ring = clamp(in.radius + 2.0 - d, 0.0, 1.0);
    let edge = clamp(in.radius + 3.0 - d, 0.0, 1.0);
    let c = mix(mix(vec3f(0.1), vec3f(1.0), ring), in.colour, ink);
    return vec4f(c * edge, edge); // premultiplied
}
