// fold.wgsl - times to phases: x of every row's position from its share of the span, in whole numbers that wrap around.
//
// Scalar twin: `Fold::phase`.

struct Fold {
    whole: u32,
    part: u32,
    shift: u32,
    rows: u32,
    first: u32,
    columns: u32,
    scale: f32,
    offset: f32,
}

@group(0) @binding(0) var<uniform> fold: Fold;
@group(0) @binding(1) var<storage, read> shares: array<u32>;
@group(0) @binding(2) var<storage, read_write> xy: array<vec2f>;

// The upper half of a product of 64 bits.
fn upper(a: u32, b: u32) -> u32 {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let middle = ah * bl + ((al * bl) >> 16u);
    let other = al * bh + (middle & 0xffffu);
    return ah * bh + (middle >> 16u) + (other >> 16u);
}

@compute @workgroup_size(256)
fn fold_times(@builtin(global_invocation_id) id: vec3u) {
    let row = id.x + id.y * fold.columns;
    if (row >= fold.rows) {
        return;
    }
    let share = shares[row];
    // A row without a time keeps its place, which is none.
    if (share == 0xffffffffu) {
        return;
    }
    let phase = share * fold.whole + upper(share, fold.part) - fold.shift;
    let at = fold.first + row;
    xy[at] = vec2f(f32(phase >> 8u) * (1.0 / 16777216.0) * fold.scale + fold.offset, xy[at].y);
}
