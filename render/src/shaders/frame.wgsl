// frame.wgsl - what every kernel of a scatter shares: the uniform of one chunk of rows and the places in the state buffer.
//
// Joined in front of field.wgsl, marks.wgsl and resolve.wgsl when the modules are made. The Rust side is `renderer::Frame`,
// byte for byte; the scalar twin is `reference::points`.

struct Frame {
    centre: vec2f,    // stored coordinates of the middle of the view
    scale: vec2f,     // px per stored unit (y runs down, so its scale is negative for an upright axis)
    offset: vec2f,    // px of `centre`
    size: vec2f,      // px of the view
    radius: f32,      // px
    opacity: f32,     // 0 = by crowding
    budget: f32,      // marks in view above which the field takes over
    density: u32,     // 0 automatic, 1 never, 2 always
    rows: u32,        // rows of this chunk
    words: u32,       // words of 32 bits of one bitmap of this chunk
    capacity: u32,    // marks of one layer that the list holds
    flags: u32,
    shift: u32,       // a cell of the field is 2^shift px wide and high
    columns: u32,     // cells in a row of the field
    cells: u32,       // cells of the field
    context: u32,     // RGBA8: rows outside the selection, and rows whose own colour has alpha 0
    plain: u32,       // RGBA8: rows of a scatter without colours
    background: u32,  // RGBA8
    row: u32,         // hovered row in this chunk
    lone: u32,        // lone marks of one layer that the list holds
    glide: f32,       // way from the first layout to the second
    first: u32,       // start of the first layout in xy
    second: u32,      // start of the second
    tone: u32,        // 0 logarithm, 1 equalised
}

const ANY_SELECTED = 1u;
const HIDE_REST = 2u;
const HAS_COLOURS = 4u;
const HAS_SIZES = 8u;
const HAS_HIDDEN = 16u;
const GLIDES = 32u;

// Places in the state buffer. Where two follow each other: rest, chosen.
const COUNT = 0u;      // rows in view
const LONE = 2u;       // cells of the field that hold one point far from others
const WHITE = 4u;      // points per cell that are drawn at full strength
const WEIGHT = 6u;     // f32 bits: share of the field, 1 - share of the marks
const ALPHA = 8u;      // f32 bits: opacity of a mark
const DRAW = 12u;      // arguments of the indirect draws, 4 words each: marks, then lone marks
const BINS = 32u;      // histograms of the counts, 256 words each; equalised: f32 bits of the share of the cells up to each

// Bin of a count: the place of its highest bit and the three bits below it. Integers only, so that all machines agree.
fn bin(n: u32) -> u32 {
    let e = firstLeadingBit(n);
    let m = select((n << (3u - min(e, 3u))) & 7u, (n >> (max(e, 3u) - 3u)) & 7u, e >= 3u);
    return e * 8u + m;
}

// The largest count of a bin.
fn top(b: u32) -> u32 {
    let e = b >> 3u;
    let m = b & 7u;
    if (e >= 3u) {
        return ((9u + m) << (e - 3u)) - 1u;
    }
    return (8u + m) >> (3u - e);
}
