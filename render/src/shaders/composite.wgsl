// composite.wgsl - lays a finished canvas onto the viewport of the window's own pass: one triangle, no storage buffers.
//
// Scalar twin: none; it copies texels. Input is gamma-encoded premultiplied RGBA; `fs_linear` is for targets that encode again.

struct Composite {
    used: vec2f, // px of the texture that hold the picture
    pad: vec2f,
}

@group(0) @binding(0) var<uniform> composite: Composite;
@group(0) @binding(1) var picture: texture_2d<f32>;

struct Out {
    @builtin(position) position: vec4f,
    @location(0) uv: vec2f,
}

@vertex
fn vs_full(@builtin(vertex_index) index: u32) -> Out {
    let p = vec2f(f32(index & 1u) * 4.0 - 1.0, f32(index >> 1u) * 4.0 - 1.0);
    var out: Out;
    out.position = vec4f(p, 0.0, 1.0);
    out.uv = vec2f(p.x * 0.5 + 0.5, 0.5 - p.y * 0.5);
    return out;
}

fn texel(uv: vec2f) -> vec4f {
    let at = clamp(floor(uv * composite.used), vec2f(0.0), composite.used - 1.0);
    return textureLoad(picture, vec2u(at), 0);
}

@fragment
fn fs_gamma(in: Out) -> @location(0) vec4f {
    return texel(in.uv);
}

@fragment
fn fs_linear(in: Out) -> @location(0) vec4f {
    let c = texel(in.uv);
    let straight = c.rgb / max(c.a, 1e-6);
    let low = straight / 12.92;
    let high = pow((straight + 0.055) / 1.055, vec3f(2.4));
    return vec4f(select(high, low, straight <= vec3f(0.04045)) * c.a, c.a);
}
