// resolve.wgsl - puts the layers together: background, field and marks of the rest, field and marks of the selection.
//
// Scalar twin: `reference::points` (its last loop). Colours are gamma-encoded throughout, as egui's target is; output is
// premultiplied.

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> rest: array<u32>;
@group(0) @binding(3) var<storage, read> chosen: array<u32>;
@group(0) @binding(4) var marks_rest: texture_2d<f32>;
@group(0) @binding(5) var marks_chosen: texture_2d<f32>;

@vertex
fn vs_full(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return vec4f(f32(index & 1u) * 4.0 - 1.0, f32(index >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

// Strength 0..1 of a count above 0.
fn strength(count: u32, layer: u32) -> f32 {
    if (frame.tone == 0u) {
        return min(log(1.0 + f32(count)) / log(1.0 + f32(state[WHITE + layer])), 1.0);
    }
    // Bins of up to 15 hold one count each; within wider ones the share rises in a line.
    let b = bin(count);
    let at = BINS + layer * 256u + b;
    var low = 0u;
    var before = 0.0;
    if (b > 0u) {
        low = top(b - 1u);
        before = bitcast<f32>(state[at - 1u]);
    }
    let high = top(b);
    let t = select(1.0, f32(count - low) / f32(high - low), high > low);
    return before + (bitcast<f32>(state[at]) - before) * t;
}

// Colour and alpha of a cell of the field, premultiplied.
fn tone(cell: vec4u, layer: u32) -> vec4f {
    let t = bitcast<f32>(state[WEIGHT + layer]);
    if (cell.x == 0u || t <= 0.0) {
        return vec4f(0.0);
    }
    let n = f32(cell.x);
    let a = t * (0.3 + 0.7 * strength(cell.x, layer));
    var c = unpack4x8unorm(select(frame.plain, frame.context, layer == 0u && (frame.flags & ANY_SELECTED) != 0u)).rgb;
    if ((frame.flags & HAS_COLOURS) != 0u && !(layer == 0u && (frame.flags & ANY_SELECTED) != 0u)) {
        c = vec3f(cell.yzw) / (n * 255.0);
    }
    return vec4f(c * a, a);
}

// Colour and alpha of the weighted sums of the marks, premultiplied.
fn ink(sum: vec4f) -> vec4f {
    if (sum.w <= 0.0) {
        return vec4f(0.0);
    }
    let a = 1.0 - exp(-sum.w);
    return vec4f(sum.rgb / sum.w * a, a);
}

fn over(top: vec4f, below: vec4f) -> vec4f {
    return top + below * (1.0 - top.a);
}

@fragment
fn fs_resolve(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let at = vec2u(position.xy);
    let cell = ((at.y >> frame.shift) * frame.columns + (at.x >> frame.shift)) * 4u;
    let b = unpack4x8unorm(frame.background);
    var out = vec4f(b.rgb * b.a, b.a);
    if (frame.cells > 0u) {
        out = over(tone(vec4u(rest[cell], rest[cell + 1u], rest[cell + 2u], rest[cell + 3u]), 0u), out);
    }
    out = over(ink(textureLoad(marks_rest, at, 0)), out);
    if ((frame.flags & ANY_SELECTED) != 0u) {
        if (frame.cells > 0u) {
            out = over(tone(vec4u(chosen[cell], chosen[cell + 1u], chosen[cell + 2u], chosen[cell + 3u]), 1u), out);
        }
        out = over(ink(textureLoad(marks_chosen, at, 0)), out);
    }
    return out;
}
