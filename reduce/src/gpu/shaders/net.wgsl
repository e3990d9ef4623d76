// One step of the autoencoder: gather, forward, error, back, gradient and Adam. Products take tiles of 64 × 64 in workgroup
// memory, 16 terms deep, four by four results a thread; every sum is in fixed order, so the same device gives the same bits.
// Each kernel binds what it uses, at most eight buffers.

struct Shape {
    /// Rows and columns of the result and length of the sums; where nothing is multiplied, rows and columns.
    m: u32,
    n: u32,
    k: u32,
    pad: u32,
}

struct Step {
    /// First of its rows in `order`.
    first: u32,
    /// Scale of the error's derivative.
    scale: f32,
    /// Adam's step and the number that keeps it finite, both with the correction of the moments.
    rate: f32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<f32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;
/// Derivatives of SiLU, or Adam's first moments.
@group(0) @binding(4) var<storage, read_write> slopes: array<f32>;
/// Adam's second moments.
@group(0) @binding(5) var<storage, read_write> squares: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read> steps: array<Step>;
/// Number of the step.
@group(0) @binding(8) var<storage, read_write> now: array<u32>;
/// Rows of the data in the order in which they are learned from.
@group(0) @binding(9) var<storage, read> order: array<u32>;
/// Weighted squared error of each row of the batch, and of each step.
@group(0) @binding(10) var<storage, read_write> row_costs: array<f32>;
@group(0) @binding(11) var<storage, read_write> costs: array<f32>;

const TILE: u32 = 64u;
const DEPTH: u32 = 16u;

var<workgroup> left_tile: array<f32, 1024>;
var<workgroup> right_tile: array<f32, 1024>;

/// The four by four results of a thread: rows `TILE · wg.y + 4 · (id / 16)` and on, columns `TILE · wg.x + 4 · (id % 16)` and on.
/// `turned_left`: the left matrix is stored k × m; `turned_right`: the right one n × k.
fn product(wg: vec3<u32>, id: u32, turned_left: bool, turned_right: bool) -> array<vec4<f32>, 4> {
    var sums = array<vec4<f32>, 4>(vec4(0.0), vec4(0.0), vec4(0.0), vec4(0.0));
    let row0 = wg.y * TILE;
    let column0 = wg.x * TILE;
    let row = 4u * (id / 16u);
    let column = 4u * (id % 16u);
    for (var start = 0u; start < shape.k; start += DEPTH) {
        for (var part = 0u; part < 4u; part++) {
            let t = part * 256u + id;
            // Neighbouring threads read neighbouring numbers, however the matrix is stored.
            let along = t / DEPTH;
            let deep = t % DEPTH;
            let across = t % TILE;
            let down = t / TILE;
            if turned_left {
                let i = row0 + across;
                let l = start + down;
                var v = 0.0;
                if i < shape.m && l < shape.k {
                    v = left[l * shape.m + i];
                }
                left_tile[down * TILE + across] = v;
            } else {
                let i = row0 + along;
                let l = start + deep;
                var v = 0.0;
                if i < shape.m && l < shape.k {
                    v = left[i * shape.k + l];
                }
                left_tile[deep * TILE + along] = v;
            }
            if turned_right {
                let j = column0 + along;
                let l = start + deep;
                var v = 0.0;
                if j < shape.n && l < shape.k {
                    v = right[j * shape.k + l];
                }
                right_tile[deep * TILE + along] = v;
            } else {
                let j = column0 + across;
                let l = start + down;
                var v = 0.0;
                if j < shape.n && l < shape.k {
                    v = right[l * shape.n + j];
                }
                right_tile[down * TILE + across] = v;
            }
        }
        workgroupBarrier();
        for (var l = 0u; l < DEPTH; l++) {
            let at = l * TILE;
            let r = vec4(
                right_tile[at + column],
                right_tile[at + column + 1u],
                right_tile[at + column + 2u],
                right_tile[at + column + 3u],
            );
            sums[0] += left_tile[at + row] * r;
            sums[1] += left_tile[at + row + 1u] * r;
            sums[2] += left_tile[at + row + 2u] * r;
            sums[3] += left_tile[at + row + 3u] * r;
        }
        workgroupBarrier();
    }
    return sums;
}

/// Where a thread's result (a, b) belongs, or past all results.
fn place(wg: vec3<u32>, id: u32, a: u32, b: u32) -> vec2<u32> {
    return vec2(wg.y * TILE + 4u * (id / 16u) + a, wg.x * TILE + 4u * (id % 16u) + b);
}

fn adam(i: u32, g: f32) {
    let step = steps[now[0]];
    let m = 0.9 * slopes[i] + 0.1 * g;
    let v = 0.999 * squares[i] + 0.001 * g * g;
    slopes[i] = m;
    squares[i] = v;
    result[i] -= step.rate * m / (sqrt(v) + step.eps);
}

/// Rows of the batch out of all rows: `left` are all rows, n columns.
@compute @workgroup_size(64)
fn gather(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let r = wg.x;
    let start = order[steps[now[0]].first + r] * shape.n;
    for (var j = id; j < shape.n; j += 64u) {
        result[r * shape.n + j] = left[start + j];
    }
}

/// A hidden layer: SiLU of the sums, and its derivative.
@compute @workgroup_size(256)
fn forward(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let sums = product(wg, id, false, false);
    for (var a = 0u; a < 4u; a++) {
        for (var b = 0u; b < 4u; b++) {
            let p = place(wg, id, a, b);
            if p.x < shape.m && p.y < shape.n {
                let x = sums[a][b] + bias[p.y];
                let f = 1.0 / (1.0 + exp(-clamp(x, -80.0, 80.0)));
                result[p.x * shape.n + p.y] = x * f;
                slopes[p.x * shape.n + p.y] = f * (1.0 + x * (1.0 - f));
            }
        }
    }
}

/// The latent layer and the last one: sums and bias.
@compute @workgroup_size(256)
fn forward_linear(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let sums = product(wg, id, false, false);
    for (var a = 0u; a < 4u; a++) {
        for (var b = 0u; b < 4u; b++) {
            let p = place(wg, id, a, b);
            if p.x < shape.m && p.y < shape.n {
                result[p.x * shape.n + p.y] = sums[a][b] + bias[p.y];
            }
        }
    }
}

var<workgroup> parts: array<f32, 256>;

/// Sum of `parts`, in fixed order, in `parts[0]`.
fn sum_up(id: u32) {
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if id < half {
            parts[id] += parts[id + half];
        }
        workgroupBarrier();
    }
}

/// What came out becomes the derivative of its squared error; `left` went in. One workgroup a row.
@compute @workgroup_size(256)
fn differ(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let r = wg.x;
    let scale = steps[now[0]].scale;
    var sum = 0.0;
    for (var j = id; j < shape.n; j += 256u) {
        let i = r * shape.n + j;
        let e = result[i] - left[i];
        sum += e * e;
        result[i] = scale * e;
    }
    parts[id] = sum;
    sum_up(id);
    if id == 0u {
        row_costs[r] = parts[0];
    }
}

/// The same, each cell with its weight: `right` are the weights of all rows.
@compute @workgroup_size(256)
fn differ_weighted(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let r = wg.x;
    let step = steps[now[0]];
    let start = order[step.first + r] * shape.n;
    var sum = 0.0;
    for (var j = id; j < shape.n; j += 256u) {
        let i = r * shape.n + j;
        let w = right[start + j];
        let e = result[i] - left[i];
        sum += w * e * e;
        result[i] = step.scale * w * e;
    }
    parts[id] = sum;
    sum_up(id);
    if id == 0u {
        row_costs[r] = parts[0];
    }
}

/// Derivatives by the sums of the layer below a hidden layer's output.
@compute @workgroup_size(256)
fn back(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let sums = product(wg, id, false, true);
    for (var a = 0u; a < 4u; a++) {
        for (var b = 0u; b < 4u; b++) {
            let p = place(wg, id, a, b);
            if p.x < shape.m && p.y < shape.n {
                let i = p.x * shape.n + p.y;
                result[i] = sums[a][b] * slopes[i];
            }
        }
    }
}

/// The same below the latent layer's output, which has no bend.
@compute @workgroup_size(256)
fn back_linear(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let sums = product(wg, id, false, true);
    for (var a = 0u; a < 4u; a++) {
        for (var b = 0u; b < 4u; b++) {
            let p = place(wg, id, a, b);
            if p.x < shape.m && p.y < shape.n {
                result[p.x * shape.n + p.y] = sums[a][b];
            }
        }
    }
}

/// Gradient of a layer's weights over the batch, and their Adam step.
@compute @workgroup_size(256)
fn learn(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let sums = product(wg, id, true, false);
    for (var a = 0u; a < 4u; a++) {
        for (var b = 0u; b < 4u; b++) {
            let p = place(wg, id, a, b);
            if p.x < shape.m && p.y < shape.n {
                adam(p.x * shape.n + p.y, sums[a][b]);
            }
        }
    }
}

/// The same for a layer's biases: `left` are the derivatives, m rows × n.
@compute @workgroup_size(64)
fn learn_bias(@builtin(global_invocation_id) at: vec3<u32>) {
    if at.x < shape.n {
        var sum = 0.0;
        for (var r = 0u; r < shape.m; r++) {
            sum += left[r * shape.n + at.x];
        }
        adam(at.x, sum);
    }
}

/// The step's error, and on to the next step.
@compute @workgroup_size(256)
fn finish(@builtin(local_invocation_index) id: u32) {
    var sum = 0.0;
    for (var r = id; r < shape.m; r += 256u) {
        sum += row_costs[r];
    }
    parts[id] = sum;
    sum_up(id);
    if id == 0u {
        costs[now[0]] = parts[0];
        now[0] += 1u;
    }
}
