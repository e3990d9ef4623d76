// field.wgsl - compute kernels of a scatter: find the rows in view, decide between marks and field, count points per cell.
//
// Scalar twin: `reference::points` (the counts alone: `reference::density`). The counts must agree exactly: everything that
// decides about them is either integer or one f32 subtraction, multiplication and addition per axis, in this order.
// After embedding-atlas (compute accumulation) and datashader (tone mapping by the histogram of counts); u32 atomics only,
// since 64-bit ones are missing on Metal and GL.

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> xy: array<vec2f>;
@group(0) @binding(2) var<storage, read> rgba: array<u32>;
@group(0) @binding(3) var<storage, read> sizes: array<f32>;
@group(0) @binding(4) var<storage, read> bits: array<u32>; // selection, then hidden
@group(0) @binding(5) var<storage, read_write> state: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read_write> marks: array<vec4u>; // x, y, RGBA8, radius
@group(0) @binding(7) var<storage, read_write> rest: array<atomic<u32>>; // 4 words a cell: count, red, green, blue
@group(0) @binding(8) var<storage, read_write> chosen: array<atomic<u32>>;

struct Placed {
    layer: u32, // 0 rest, 1 chosen, 2 not to be drawn
    px: vec2f,
}

// Stored position of a row that may glide: both ends are exact.
fn stored(row: u32) -> vec2f {
    let s = xy[frame.first + row];
    if ((frame.flags & GLIDES) == 0u) {
        return s;
    }
    return s * (1.0 - frame.glide) + xy[frame.second + row] * frame.glide;
}

fn place(row: u32) -> Placed {
    var placed = Placed(2u, vec2f(0.0));
    if (row >= frame.rows) {
        return placed;
    }
    let word = row >> 5u;
    let bit = 1u << (row & 31u);
    if ((frame.flags & HAS_HIDDEN) != 0u && (bits[frame.words + word] & bit) != 0u) {
        return placed;
    }
    var layer = 0u;
    if ((frame.flags & ANY_SELECTED) != 0u) {
        if ((bits[word] & bit) != 0u) {
            layer = 1u;
        } else if ((frame.flags & HIDE_REST) != 0u) {
            return placed;
        }
    }
    let s = stored(row);
    // WGSL lets a compiler assume that there is no NaN, so the bits are asked.
    let b = bitcast<vec2u>(s) & vec2u(0x7f800000u);
    if (b.x == 0x7f800000u || b.y == 0x7f800000u) {
        return placed;
    }
    placed.layer = layer;
    placed.px = (s - frame.centre) * frame.scale + frame.offset;
    return placed;
}

fn colour(row: u32, layer: u32) -> u32 {
    if (layer == 0u && (frame.flags & ANY_SELECTED) != 0u) {
        return frame.context;
    }
    if ((frame.flags & HAS_COLOURS) == 0u) {
        return frame.plain;
    }
    let c = rgba[row];
    return select(c, frame.context, (c >> 24u) == 0u);
}

var<workgroup> taken: array<atomic<u32>, 2>;
var<workgroup> start: array<u32, 2>;

// Counts the rows in view and writes their marks, as many as the list holds.
@compute @workgroup_size(256)
fn gather(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    if (lane < 2u) {
        atomicStore(&taken[lane], 0u);
    }
    workgroupBarrier();
    let row = id.y * groups.x * 256u + id.x;
    var placed = place(row);
    var radius = frame.radius;
    if (placed.layer < 2u) {
        if ((frame.flags & HAS_SIZES) != 0u) {
            radius = radius * sizes[row];
        }
        radius = clamp(radius, 0.5, 64.0);
        let pad = radius + 1.0;
        if (any(placed.px < vec2f(-pad)) || any(placed.px > frame.size + vec2f(pad))) {
            placed.layer = 2u;
        }
    }
    var slot = 0u;
    if (placed.layer < 2u) {
        slot = atomicAdd(&taken[placed.layer], 1u);
    }
    workgroupBarrier();
    if (lane < 2u) {
        let n = atomicLoad(&taken[lane]);
        if (n > 0u) {
            start[lane] = atomicAdd(&state[COUNT + lane], n);
        }
    }
    workgroupBarrier();
    if (placed.layer < 2u) {
        let at = start[placed.layer] + slot;
        if (at < frame.capacity) {
            marks[placed.layer * frame.capacity + at] =
                vec4u(bitcast<vec2u>(placed.px), colour(row, placed.layer), bitcast<u32>(radius));
        }
    }
}

// Share of the field: from half the budget to the budget, or from two to four times covered, over one octave each.
fn share(n: f32) -> f32 {
    if (frame.cells == 0u) {
        return 0.0;
    }
    if (frame.density == 2u) {
        return 1.0;
    }
    if (n > f32(frame.capacity)) {
        return 1.0;
    }
    if (frame.density == 1u || n < 1.0) {
        return 0.0;
    }
    var t = clamp(log2(n / frame.budget) + 1.0, 0.0, 1.0);
    if (n >= 4096.0) {
        let cover = n * 3.14159265 * frame.radius * frame.radius / (frame.size.x * frame.size.y);
        t = max(t, clamp(log2(cover) - 1.0, 0.0, 1.0));
    }
    return t;
}

// Opacity by crowding, as regl-scatterplot does: ink for 15 % of the view, whatever the number of points.
fn by_crowding(n: f32, least: f32) -> f32 {
    if (frame.opacity > 0.0) {
        return min(frame.opacity, 1.0);
    }
    let area = 3.14159265 * frame.radius * frame.radius;
    return clamp(0.15 * frame.size.x * frame.size.y / (max(n, 1.0) * area), least, 1.0);
}

@compute @workgroup_size(1)
fn decide() {
    for (var layer = 0u; layer < 2u; layer++) {
        let n = atomicLoad(&state[COUNT + layer]);
        let t = share(f32(n));
        atomicStore(&state[WEIGHT + layer], bitcast<u32>(t));
        atomicStore(&state[ALPHA + layer], bitcast<u32>(by_crowding(f32(n), select(0.05, 0.25, layer == 1u))));
        atomicStore(&state[DRAW + layer * 4u], select(0u, 6u * min(n, frame.capacity), t < 1.0));
        atomicStore(&state[DRAW + layer * 4u + 1u], 1u);
        atomicStore(&state[DRAW + layer * 4u + 2u], 0u);
        atomicStore(&state[DRAW + layer * 4u + 3u], 0u);
    }
}

// Adds every row in view to its cell: the count, and the sums of the colour's bytes (exact up to 16 M points a cell).
@compute @workgroup_size(256)
fn splat(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let row = id.y * groups.x * 256u + id.x;
    let placed = place(row);
    if (placed.layer > 1u || any(placed.px < vec2f(0.0)) || any(placed.px >= frame.size)) {
        return;
    }
    if (bitcast<f32>(atomicLoad(&state[WEIGHT + placed.layer])) <= 0.0) {
        return;
    }
    let cell = (u32(placed.px.y) >> frame.shift) * frame.columns + (u32(placed.px.x) >> frame.shift);
    // One colour for all needs no sums.
    let mono = (frame.flags & HAS_COLOURS) == 0u || (placed.layer == 0u && (frame.flags & ANY_SELECTED) != 0u);
    if (placed.layer == 0u) {
        atomicAdd(&rest[cell * 4u], 1u);
        if (!mono) {
            let c = colour(row, 0u);
            atomicAdd(&rest[cell * 4u + 1u], c & 255u);
            atomicAdd(&rest[cell * 4u + 2u], (c >> 8u) & 255u);
            atomicAdd(&rest[cell * 4u + 3u], (c >> 16u) & 255u);
        }
    } else {
        atomicAdd(&chosen[cell * 4u], 1u);
        if (!mono) {
            let c = colour(row, 1u);
            atomicAdd(&chosen[cell * 4u + 1u], c & 255u);
            atomicAdd(&chosen[cell * 4u + 2u], (c >> 8u) & 255u);
            atomicAdd(&chosen[cell * 4u + 3u], (c >> 16u) & 255u);
        }
    }
}

// Whether a cell's only point has no other within two diameters: such points, which are what people search for, get a mark of
// their own in the field, where one pixel would be lost.
fn is_lone(cell: u32, layer: u32) -> bool {
    let x = i32(cell % frame.columns);
    let y = i32(cell / frame.columns);
    let lines = i32(frame.cells / frame.columns);
    let k = max(i32(ceil(frame.radius * 2.0)) >> frame.shift, 1);
    for (var j = max(y - k, 0); j <= min(y + k, lines - 1); j++) {
        for (var i = max(x - k, 0); i <= min(x + k, i32(frame.columns) - 1); i++) {
            let at = u32(j) * frame.columns + u32(i);
            if (at != cell) {
                var n = 0u;
                if (layer == 0u) {
                    n = atomicLoad(&rest[at * 4u]);
                } else {
                    n = atomicLoad(&chosen[at * 4u]);
                }
                if (n > 0u) {
                    return false;
                }
            }
        }
    }
    return true;
}

fn add_lone(cell: u32, layer: u32) {
    let slot = atomicAdd(&state[LONE + layer], 1u);
    if (slot >= frame.lone) {
        return;
    }
    var c = select(frame.plain, frame.context, layer == 0u && (frame.flags & ANY_SELECTED) != 0u);
    if ((frame.flags & HAS_COLOURS) != 0u && !(layer == 0u && (frame.flags & ANY_SELECTED) != 0u)) {
        if (layer == 0u) {
            c = atomicLoad(&rest[cell * 4u + 1u]) | (atomicLoad(&rest[cell * 4u + 2u]) << 8u) | (atomicLoad(&rest[cell * 4u + 3u]) << 16u);
        } else {
            c = atomicLoad(&chosen[cell * 4u + 1u]) | (atomicLoad(&chosen[cell * 4u + 2u]) << 8u) | (atomicLoad(&chosen[cell * 4u + 3u]) << 16u);
        }
        c = c | 0xff000000u;
    }
    let at = vec2u(cell % frame.columns, cell / frame.columns) << vec2u(frame.shift);
    let px = vec2f(at) + 0.5 * f32(1u << frame.shift);
    marks[2u * frame.capacity + layer * frame.lone + slot] = vec4u(bitcast<vec2u>(px), c, bitcast<u32>(frame.radius));
}

var<workgroup> local_bins: array<atomic<u32>, 512>;

@compute @workgroup_size(256)
fn histogram(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    atomicStore(&local_bins[lane], 0u);
    atomicStore(&local_bins[lane + 256u], 0u);
    workgroupBarrier();
    // Each thread takes 16 cells, so that few workgroups share the bins.
    for (var i = 0u; i < 16u; i++) {
        let cell = (id.y * groups.x * 256u + id.x) + i * groups.x * groups.y * 256u;
        if (cell < frame.cells) {
            let n = atomicLoad(&rest[cell * 4u]);
            if (n > 0u) {
                atomicAdd(&local_bins[bin(n)], 1u);
                if (n == 1u && is_lone(cell, 0u)) {
                    add_lone(cell, 0u);
                }
            }
            if ((frame.flags & ANY_SELECTED) != 0u) {
                let c = atomicLoad(&chosen[cell * 4u]);
                if (c > 0u) {
                    atomicAdd(&local_bins[256u + bin(c)], 1u);
                    if (c == 1u && is_lone(cell, 1u)) {
                        add_lone(cell, 1u);
                    }
                }
            }
        }
    }
    workgroupBarrier();
    for (var k = lane; k < 512u; k += 256u) {
        let n = atomicLoad(&local_bins[k]);
        if (n > 0u) {
            atomicAdd(&state[BINS + k], n);
        }
    }
}

// Puts the share of the cells up to each bin, without those of the lowest count, in the place of the histogram.
fn equalise(layer: u32, all: u32) {
    var lowest = 0u;
    for (var k = 0u; k < 256u && lowest == 0u; k++) {
        lowest = atomicLoad(&state[BINS + layer * 256u + k]);
    }
    var sum = 0u;
    for (var k = 0u; k < 256u; k++) {
        sum += atomicLoad(&state[BINS + layer * 256u + k]);
        var share = 1.0;
        if (all > lowest) {
            share = f32(max(sum, lowest) - lowest) / f32(all - lowest);
        }
        atomicStore(&state[BINS + layer * 256u + k], bitcast<u32>(share));
    }
}

// Draw of the lone marks (none if they are so many that they are no exception: a part of them would depend on the order of the
// threads), and white point: the count that 99.5 % of the cells that are not empty do not exceed.
@compute @workgroup_size(1)
fn white() {
    for (var layer = 0u; layer < 2u; layer++) {
        var all = 0u;
        for (var k = 0u; k < 256u; k++) {
            all += atomicLoad(&state[BINS + layer * 256u + k]);
        }
        let wanted = all - all / 200u;
        var sum = 0u;
        var at = 1u;
        for (var k = 0u; k < 256u; k++) {
            sum += atomicLoad(&state[BINS + layer * 256u + k]);
            if (sum >= wanted) {
                at = top(k);
                break;
            }
        }
        atomicStore(&state[WHITE + layer], max(at, 1u));
        if (frame.tone == 1u) {
            equalise(layer, all);
        }
        let lone = atomicLoad(&state[LONE + layer]);
        atomicStore(&state[DRAW + 8u + layer * 4u], select(0u, 6u * lone, lone <= frame.lone));
        atomicStore(&state[DRAW + 8u + layer * 4u + 1u], 1u);
    }
}
