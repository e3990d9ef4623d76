// Repulsion through the spline mesh: spread in fixed point, convolve by Fourier transforms of lines in workgroup memory, read.

@compute @workgroup_size(256)
fn clear(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let i = group_of(wg, count) * 256u + lid;
    if i < plan.nodes * plan.nodes {
        atomicStore(&grid[i], 0u);
    }
}

/// Integer sums do not depend on their order, so the grid is the same every time.
@compute @workgroup_size(256)
fn spread(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let i = group_of(wg, count) * 256u + lid;
    if i >= plan.n {
        return;
    }
    let s = spot(y[i]);
    let wx = weights(s.t.x);
    let wy = weights(s.t.y);
    let first = (s.cell.y - 1u) * plan.nodes + s.cell.x - 1u;
    for (var a = 0u; a < 4u; a++) {
        for (var b = 0u; b < 4u; b++) {
            atomicAdd(&grid[first + a * plan.nodes + b], u32(wy[a] * wx[b] * plan.scale + 0.5));
        }
    }
}

var<workgroup> line: array<vec2<f32>, 2048>;

fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

/// Forward transform of `line` (Stockham's, radix 2): every thread keeps up to four butterflies in registers, so that one
/// line of 2,048 numbers, 16 KB, is all the workgroup memory it takes.
fn transform(lid: u32) {
    let butterflies = plan.size / 2u;
    for (var stage = 0u; stage < plan.log_size; stage++) {
        let width = 1u << stage;
        var kept: array<vec4<f32>, 4>;
        workgroupBarrier();
        for (var k = 0u; k < 4u; k++) {
            let b = lid + 256u * k;
            if b < butterflies {
                let turn = twiddles[(b & (width - 1u)) * (butterflies / width)];
                let p = line[b];
                let q = times(line[b + butterflies], turn);
                kept[k] = vec4(p + q, p - q);
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < 4u; k++) {
            let b = lid + 256u * k;
            if b < butterflies {
                let j = b & (width - 1u);
                let at = (b - j) * 2u + j;
                line[at] = kept[k].xy;
                line[at + width] = kept[k].zw;
            }
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(256)
fn forward_rows(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let r = wg.x;
    for (var c = lid; c < plan.size; c += 256u) {
        var v = 0.0;
        if c < plan.nodes {
            v = f32(atomicLoad(&grid[r * plan.nodes + c])) / plan.scale;
        }
        line[c] = vec2(v, 0.0);
    }
    transform(lid);
    for (var c = lid; c <= plan.size / 2u; c += 256u) {
        spectra[c * plan.nodes + r] = line[c];
    }
}

@compute @workgroup_size(256)
fn columns(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let first = wg.x * plan.nodes;
    for (var r = lid; r < plan.size; r += 256u) {
        var v = vec2(0.0);
        if r < plan.nodes {
            v = spectra[first + r];
        }
        line[r] = v;
    }
    transform(lid);
    // Back by the transform of the conjugate.
    for (var r = lid; r < plan.size; r += 256u) {
        line[r] = line[r] * vec2(1.0, -1.0) * spectrum[wg.x * plan.size + r];
    }
    transform(lid);
    for (var r = lid; r < plan.nodes; r += 256u) {
        spectra[first + r] = line[r] * vec2(1.0, -1.0);
    }
}

@compute @workgroup_size(256)
fn back_rows(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let r = wg.x;
    let middle = plan.size / 2u;
    for (var c = lid; c <= middle; c += 256u) {
        let v = spectra[c * plan.nodes + r];
        if c == 0u || c == middle {
            line[c] = vec2(v.x, 0.0);
        } else {
            line[c] = v * vec2(1.0, -1.0);
            line[plan.size - c] = v;
        }
    }
    transform(lid);
    for (var c = lid; c < plan.nodes; c += 256u) {
        field[r * plan.nodes + c] = line[c].x;
    }
}

var<workgroup> potentials: array<f32, 256>;

/// Sum of 256 numbers in a fixed order, for the first thread.
fn potential_sum(lid: u32, v: f32) -> f32 {
    potentials[lid] = v;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lid < step {
            potentials[lid] += potentials[lid + step];
        }
    }
    workgroupBarrier();
    return potentials[0];
}

fn read_field(p: vec2<f32>) -> vec3<f32> {
    let s = spot(p);
    let wx = weights(s.t.x);
    let wy = weights(s.t.y);
    let vx = slopes(s.t.x);
    let vy = slopes(s.t.y);
    let first = (s.cell.y - 1u) * plan.nodes + s.cell.x - 1u;
    var phi = 0.0;
    var g = vec2(0.0);
    for (var a = 0u; a < 4u; a++) {
        let at = first + a * plan.nodes;
        let row = vec4(field[at], field[at + 1u], field[at + 2u], field[at + 3u]);
        let sum = dot(row, wx);
        phi += wy[a] * sum;
        g += vec2(wy[a] * dot(row, vx), vy[a] * sum);
    }
    // The place's own charge: overlaps of its weights with themselves shifted by 0..4 nodes.
    var e = array<vec2<f32>, 4>();
    var c = array<vec2<f32>, 4>();
    for (var a = 0u; a < 4u; a++) {
        let w = vec2(wx[a], wy[a]);
        let v = vec2(vx[a], vy[a]);
        e[0] += w * w;
        c[0] += w * v;
        for (var m = 1u; m + a < 4u; m++) {
            let wm = vec2(wx[a + m], wy[a + m]);
            e[m] += 2.0 * w * wm;
            c[m] += v * wm + w * vec2(vx[a + m], vy[a + m]);
        }
    }
    for (var m = 0u; m < 4u; m++) {
        for (var l = 0u; l < 4u; l++) {
            let k = plan.near[m][l];
            phi -= e[m].y * e[l].x * k;
            g -= vec2(e[m].y * c[l].x, c[m].y * e[l].x) * k;
        }
    }
    return vec3(phi, -0.5 / plan.spacing * g);
}

/// Force on a place of a speck of a map, from moments about its centre (as `close` of the processor's mesh).
fn read_moments(p: vec2<f32>) -> vec2<f32> {
    let q = p - state.centre;
    let n = f32(plan.n);
    let r2 = dot(q, q);
    let first = vec2(state.moments[0], state.moments[1]);
    let along = vec2(q.x * state.moments[2] + q.y * state.moments[3], q.x * state.moments[3] + q.y * state.moments[4]);
    let third = vec2(state.moments[5], state.moments[6]);
    let square = n * r2 - 2.0 * dot(q, first) + state.moments[2] + state.moments[4];
    let pull = q * square - (r2 * first - 2.0 * along + third);
    return n * q - first - 2.0 * pull;
}

@compute @workgroup_size(256)
fn gather(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let group = group_of(wg, count);
    var sum = 0.0;
    for (var k = 0u; k < 4u; k++) {
        let i = group * 1024u + k * 256u + lid;
        if i < plan.n {
            var found = vec3(0.0);
            if state.close == 1u {
                found = vec3(0.0, read_moments(y[i]));
            } else {
                found = read_field(y[i]);
            }
            field_at[i] = vec4(found.yz, found.x, 0.0);
            sum += found.x;
        }
    }
    let all = potential_sum(lid, sum);
    if lid == 0u && group < plan.blocks {
        partial[group] = all;
    }
}

@compute @workgroup_size(256)
fn gather_end(@builtin(local_invocation_index) lid: u32) {
    var sum = 0.0;
    for (var g = lid; g < plan.blocks; g += 256u) {
        sum += partial[g];
    }
    let all = potential_sum(lid, sum);
    if lid == 0u && state.close == 0u {
        state.z = max(all, 1e-12);
    }
}
