// Bounds, moments, attraction, update and divergence. All sums are made in two levels and in fixed order.

var<workgroup> corners: array<vec4<f32>, 256>;

/// Smallest (xy) and largest (zw) of 256 boxes, for the first thread.
fn box_of(lid: u32, v: vec4<f32>) -> vec4<f32> {
    corners[lid] = v;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lid < step {
            let a = corners[lid];
            let b = corners[lid + step];
            corners[lid] = vec4(min(a.xy, b.xy), max(a.zw, b.zw));
        }
    }
    workgroupBarrier();
    return corners[0];
}

const FAR: f32 = 3e38;

@compute @workgroup_size(256)
fn bounds(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let group = group_of(wg, count);
    var own = vec4(FAR, FAR, -FAR, -FAR);
    for (var k = 0u; k < 4u; k++) {
        let i = group * 1024u + k * 256u + lid;
        if i < plan.n {
            own = vec4(min(own.xy, y[i]), max(own.zw, y[i]));
        }
    }
    let all = box_of(lid, own);
    if lid < 4u && group < plan.blocks {
        partial[group * 4u + lid] = all[lid];
    }
}

@compute @workgroup_size(256)
fn bounds_end(@builtin(local_invocation_index) lid: u32) {
    var own = vec4(FAR, FAR, -FAR, -FAR);
    for (var g = lid; g < plan.blocks; g += 256u) {
        own = vec4(
            min(own.x, partial[g * 4u]),
            min(own.y, partial[g * 4u + 1u]),
            max(own.z, partial[g * 4u + 2u]),
            max(own.w, partial[g * 4u + 3u]),
        );
    }
    let all = box_of(lid, own);
    if lid == 0u {
        state.centre = 0.5 * (all.xy + all.zw);
        state.span = max(all.z - all.x, all.w - all.y);
        state.need = u32(clamp(ceil(state.span / plan.spacing), 0.0, 1e9)) + 8u;
        state.close = select(0u, 1u, state.span <= CLOSE);
        state.halt = select(0u, 1u, state.need > plan.nodes || state.iteration >= plan.until);
    }
}

var<workgroup> moment_sums: array<array<vec4<f32>, 2>, 256>;

fn sum_of(lid: u32, a: vec4<f32>, b: vec4<f32>) {
    moment_sums[lid][0] = a;
    moment_sums[lid][1] = b;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lid < step {
            moment_sums[lid][0] += moment_sums[lid + step][0];
            moment_sums[lid][1] += moment_sums[lid + step][1];
        }
    }
    workgroupBarrier();
}

/// Sums of x, y, x², xy | y², r² x, r² y, r⁴ about the centre, of a speck.
@compute @workgroup_size(256)
fn moments(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let group = group_of(wg, count);
    var a = vec4(0.0);
    var b = vec4(0.0);
    for (var k = 0u; k < 4u; k++) {
        let i = group * 1024u + k * 256u + lid;
        if i < plan.n && state.close == 1u {
            let q = y[i] - state.centre;
            let r2 = dot(q, q);
            a += vec4(q.x, q.y, q.x * q.x, q.x * q.y);
            b += vec4(q.y * q.y, r2 * q.x, r2 * q.y, r2 * r2);
        }
    }
    sum_of(lid, a, b);
    if lid < 8u && group < plan.blocks {
        partial[group * 8u + lid] = moment_sums[0][lid / 4u][lid % 4u];
    }
}

@compute @workgroup_size(256)
fn moments_end(@builtin(local_invocation_index) lid: u32) {
    var a = vec4(0.0);
    var b = vec4(0.0);
    for (var g = lid; g < plan.blocks; g += 256u) {
        let at = g * 8u;
        a += vec4(partial[at], partial[at + 1u], partial[at + 2u], partial[at + 3u]);
        b += vec4(partial[at + 4u], partial[at + 5u], partial[at + 6u], partial[at + 7u]);
    }
    sum_of(lid, a, b);
    if lid < 8u {
        state.moments[lid] = moment_sums[0][lid / 4u][lid % 4u];
    }
    if lid == 0u && state.close == 1u {
        let s = moment_sums[0][0];
        let t = moment_sums[0][1];
        let n = f32(plan.n);
        let second = s.z + t.x;
        let two = 2.0 * n * second - 2.0 * (s.x * s.x + s.y * s.y);
        let tensor = s.z * s.z + 2.0 * s.w * s.w + t.x * t.x;
        let four = 2.0 * n * t.w + 2.0 * second * second + 4.0 * tensor - 8.0 * (s.x * t.y + s.y * t.z);
        state.z = max(n * (n - 1.0) - two + four, 1e-12);
    }
}

var<workgroup> lanes: array<vec2<f32>, 64>;
var<workgroup> totals: array<vec2<f32>, 8>;

/// The eight lanes of a team, in the order of the processor's sums.
fn team_sum(first: u32) -> vec2<f32> {
    return ((lanes[first] + lanes[first + 4u]) + (lanes[first + 1u] + lanes[first + 5u]))
        + ((lanes[first + 2u] + lanes[first + 6u]) + (lanes[first + 3u] + lanes[first + 7u]));
}

fn finite(v: f32) -> bool {
    return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u;
}

/// Attraction by a team of eight threads a row, then gains, momentum and step of the row.
@compute @workgroup_size(64)
fn attract(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let group = group_of(wg, count);
    let row = group * 8u + lid / 8u;
    var sum = vec2(0.0);
    if row < plan.n {
        let me = y[row];
        let end = starts[row + 1u];
        for (var e = starts[row] + lid % 8u; e < end; e += 8u) {
            let edge = edges[e];
            let d = me - y[edge.x];
            sum += bitcast<f32>(edge.y) / (1.0 + dot(d, d)) * d;
        }
    }
    lanes[lid] = sum;
    workgroupBarrier();
    if lid % 8u == 0u {
        var to = vec2(0.0);
        if row < plan.n {
            let pull = team_sum(lid);
            let early = state.iteration < plan.early;
            let ex = select(plan.late, 12.0, early);
            let momentum = select(plan.momentum, 0.8, early);
            let rate = max(f32(plan.n) / ex, 1.0);
            let grad = ex * pull - field_at[row].xy / state.z;
            let old = moves[row];
            // Faster while the direction stays (the update is against the gradient), slower when it turns.
            let stays = (old.xy > vec2(0.0)) != (grad > vec2(0.0));
            let gain = select(max(old.zw * 0.8, vec2(0.01)), old.zw + 0.2, stays);
            var step = momentum * old.xy - rate * gain * grad;
            let norm = length(step);
            if norm > 5.0 {
                step *= 5.0 / norm;
            }
            step = vec2(select(0.0, step.x, finite(step.x)), select(0.0, step.y, finite(step.y)));
            to = y[row] + step;
            if state.halt == 0u {
                moves[row] = vec4(step, gain);
                next[row] = to;
            }
        }
        totals[lid / 8u] = to;
    }
    workgroupBarrier();
    if lid == 0u && group < plan.teams {
        var all = vec2(0.0);
        for (var t = 0u; t < 8u; t++) {
            all += totals[t];
        }
        partial[group * 2u] = all.x;
        partial[group * 2u + 1u] = all.y;
    }
}

@compute @workgroup_size(256)
fn attract_end(@builtin(local_invocation_index) lid: u32) {
    var sum = vec2(0.0);
    for (var g = lid; g < plan.teams; g += 256u) {
        sum += vec2(partial[g * 2u], partial[g * 2u + 1u]);
    }
    sum_of(lid, vec4(sum, 0.0, 0.0), vec4(0.0));
    if lid == 0u && state.halt == 0u {
        state.mean = moment_sums[0][0].xy / f32(plan.n);
        state.iteration += 1u;
    }
}

/// The new places about their mean, in the order of the layout and in that of the rows.
@compute @workgroup_size(256)
fn finish(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let i = group_of(wg, count) * 256u + lid;
    if i < plan.n && state.halt == 0u {
        let p = next[i] - state.mean;
        y[i] = p;
        positions[order[i]] = p;
    }
}

/// Σ p ln(1 + d²) of eight rows.
@compute @workgroup_size(64)
fn diverge(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let group = group_of(wg, count);
    let row = group * 8u + lid / 8u;
    var sum = 0.0;
    if row < plan.n {
        let me = y[row];
        let end = starts[row + 1u];
        for (var e = starts[row] + lid % 8u; e < end; e += 8u) {
            let edge = edges[e];
            let d = me - y[edge.x];
            let d2 = dot(d, d);
            let small = d2 * (1.0 - d2 * (0.5 - d2 / 3.0));
            sum += bitcast<f32>(edge.y) * select(log(1.0 + d2), small, d2 < 0.01);
        }
    }
    lanes[lid] = vec2(sum, 0.0);
    workgroupBarrier();
    if lid % 8u == 0u {
        totals[lid / 8u] = team_sum(lid);
    }
    workgroupBarrier();
    if lid == 0u && group < plan.teams {
        var all = 0.0;
        for (var t = 0u; t < 8u; t++) {
            all += totals[t].x;
        }
        partial[group] = all;
    }
}
