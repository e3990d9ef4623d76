// image.wgsl - one tile of an image: texels by textureLoad (R32Float cannot be filtered everywhere, and NaN must stay apart),
// nearest when magnified, area-weighted mean of the valid texels when shrunk, then cuts, stretch and colour table.
//
// Scalar twin: `reference::image` and `reference::picture`. Stretches are astropy's (astropy.visualization, defaults:
// log a = 1000, asinh a = 0.1, sinh a = 1/3), so that numbers match.

struct ImageFrame {
    scale: vec2f,  // texels per px
    offset: vec2f, // texel at the top left corner of the view
    size: vec2f,   // texels of the tile
    lo: f32,
    range: f32,    // hi - lo
    stretch: u32,
    nan: u32,      // RGBA8
    pad: vec2u,
    lut: array<vec4u, 64>,
}

@group(0) @binding(0) var<uniform> image: ImageFrame;
@group(0) @binding(1) var texels: texture_2d<f32>;

@vertex
fn vs_full(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return vec4f(f32(index & 1u) * 4.0 - 1.0, f32(index >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

// First and last texel that a pixel covers along one axis, and the ends of what it covers.
struct Span {
    first: i32,
    last: i32,
    from_: f32,
    to: f32,
}

fn span(p: f32, scale: f32, size: f32) -> Span {
    let half = abs(scale) * 0.5;
    let end = i32(ceil(size)) - 1; // a coarse level may end within a texel
    if (half <= 0.5) {
        let at = clamp(i32(floor(p)), 0, end);
        return Span(at, at, f32(at), f32(at) + 1.0);
    }
    let a = max(p - half, 0.0);
    let b = min(p + half, size);
    return Span(clamp(i32(floor(a)), 0, end), clamp(i32(ceil(b)) - 1, 0, end), a, b);
}

fn share(s: Span, i: i32) -> f32 {
    return max(min(s.to, f32(i) + 1.0) - max(s.from_, f32(i)), 0.0);
}

fn is_nan(v: f32) -> bool {
    return (bitcast<u32>(v) & 0x7f800000u) == 0x7f800000u;
}

fn stretched(t: f32) -> f32 {
    switch image.stretch {
        case 1u: { return sqrt(t); }
        case 2u: { return t * t; }
        case 3u: { return log(1.0 + 1000.0 * t) / log(1001.0); }
        case 4u: { return asinh(t / 0.1) / asinh(10.0); }
        case 5u: { return sinh(t * 3.0) / sinh(3.0); }
        default: { return t; }
    }
}

@fragment
fn fs_values(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let p = position.xy * image.scale + image.offset;
    if (any(p < vec2f(0.0)) || any(p >= image.size)) {
        discard;
    }
    let sx = span(p.x, image.scale.x, image.size.x);
    let sy = span(p.y, image.scale.y, image.size.y);
    var sum = 0.0;
    var weight = 0.0;
    for (var j = sy.first; j <= sy.last; j++) {
        for (var i = sx.first; i <= sx.last; i++) {
            let v = textureLoad(texels, vec2i(i, j), 0).r;
            if (!is_nan(v)) {
                let w = share(sx, i) * share(sy, j);
                sum += v * w;
                weight += w;
            }
        }
    }
    var packed = image.nan;
    if (weight > 0.0) {
        let t = clamp((sum / weight - image.lo) / image.range, 0.0, 1.0);
        let k = min(u32(clamp(stretched(t), 0.0, 1.0) * 256.0), 255u);
        packed = image.lut[k >> 2u][k & 3u];
    }
    let c = unpack4x8unorm(packed);
    return vec4f(c.rgb * c.a, c.a);
}

@fragment
fn fs_picture(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let p = position.xy * image.scale + image.offset;
    if (any(p < vec2f(0.0)) || any(p >= image.size)) {
        discard;
    }
    let sx = span(p.x, image.scale.x, image.size.x);
    let sy = span(p.y, image.scale.y, image.size.y);
    var sum = vec4f(0.0);
    var weight = 0.0;
    for (var j = sy.first; j <= sy.last; j++) {
        for (var i = sx.first; i <= sx.last; i++) {
            let c = textureLoad(texels, vec2i(i, j), 0);
            let w = share(sx, i) * share(sy, j);
            sum += vec4f(c.rgb * c.a, c.a) * w;
            weight += w;
        }
    }
    return sum / max(weight, 1e-6);
}
