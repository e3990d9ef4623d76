//! Nearest neighbours of many rows, sorted into cells: exact by leaving out what cannot matter, or approximate with a
//! measured recall.
//!
//! About 4·√N cells are found by a few rounds of k-means on a sample, and the rows are put in order of their cells. The
//! rows of a cell are compared with those of the other cells, the nearest cell first, by the same blocked products as in
//! the plain search. In the **exact** search a row skips every cell that, by the triangle inequality, cannot hold a nearer
//! row than it has already got (as KmKnn does, Wang 2011); on images (70,000 × 50) a quarter of the pairs remains, on
//! ten columns of light curves a twelfth. How many remain is estimated first on 256 random rows whose neighbours are
//! computed plainly; where most do, the plain search is taken instead.
//!
//! In the **approximate** search only the nearest cells are looked at. How many is not guessed: the cells of the random
//! rows' true neighbours tell what recall any number of cells would give, and the smallest number that reaches the target
//! is taken. Then every row tries the rows that list it and its neighbours' neighbours (one round of Dong, Moses & Li
//! 2011), which finds most of what the cells' edges hid. Cells much larger than the others (copies of one row) are cut
//! into pieces by row number, so that the work stays bounded.
//!
//! Graphs (HNSW) were slower to build up to a million rows and depend on the order of insertion, so two threads give two
//! answers; neighbour descent alone loses recall with every dimension. Everything here is the same for any number of
//! threads. Cost: about N·(4·√N·2d + P·√N/4·2d) flops for P cells looked at, and 8·k bytes per row.

use crate::Error;
use crate::kernel::{self, CHUNK, Mat, Rng, distance2, mul};
use crate::monitor::{Monitor, step};
use crate::neighbours::{self, Neighbours};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Recall wanted of the cells alone, before the neighbours' neighbours are tried.
const TARGET: f64 = 0.96;
/// Rows whose neighbours are found exactly to choose the number of cells and to measure the recall.
const JUDGES: usize = 256;
const ROUNDS: usize = 4;
/// Rows per cell of the sample that the cells are found on.
const PER_CELL: usize = 16;
/// Share of pairs above which leaving cells out is not worth its trouble.
const MOST: f64 = 0.5;
/// Neighbours of a row whose neighbours it tries, how many of theirs, and how many rows that list it.
const VIA: usize = 16;
const THEIRS: usize = 24;
const LISTED: usize = 64;

/// Rows in order of their cells.
struct Cells {
    /// Row numbers, piece after piece.
    order: Vec<u32>,
    /// Start of each piece in `order`, P + 1 numbers.
    starts: Vec<usize>,
    /// Mean of each piece and the distance of its farthest row.
    centres: Vec<f32>,
    radius: Vec<f32>,
    /// Centred rows in that order.
    rows: Vec<f32>,
}

/// Nearest of `c` centres for every row.
fn assign(x: &[f32], d: usize, centres: &[f32], c: usize, monitor: &dyn Monitor) -> Result<Vec<u32>, Error> {
    let half: Vec<f32> = centres.chunks_exact(d).map(|r| 0.5 * r.iter().map(|v| v * v).sum::<f32>()).collect();
    let mut out = vec![0u32; x.len() / d];
    let stopped = AtomicBool::new(false);
    out.par_chunks_mut(CHUNK / 4).zip(x.par_chunks(CHUNK / 4 * d)).for_each_init(
        || vec![0.0f32; CHUNK / 4 * 1024],
        |scores, (out, rows)| {
            if stopped.load(Ordering::Relaxed) || monitor.stop() {
                stopped.store(true, Ordering::Relaxed);
                return;
            }
            let count = out.len();
            let mut best = vec![f32::INFINITY; count];
            for from in (0..c).step_by(1024) {
                let cols = (c - from).min(1024);
                mul(scores, Mat::new(rows, count, d), Mat::new(&centres[from * d..], cols, d).t(), false);
                for r in 0..count {
                    nearest_of(&scores[r * cols..(r + 1) * cols], &half[from..from + cols], from, &mut best[r], &mut out[r]);
                }
            }
        },
    );
    if stopped.into_inner() { Err(Error::Cancelled) } else { Ok(out) }
}

kernel::wide! {
    /// The smallest of half − product, if it is below `best`.
    fn nearest_of(products: &[f32], half: &[f32], from: usize, best: &mut f32, at: &mut u32) {
        let (p16, p_rest) = products.as_chunks::<16>();
        let (h16, h_rest) = half[..products.len()].as_chunks::<16>();
        for (b, (p, h)) in p16.iter().zip(h16).enumerate() {
            let mut s = [0.0f32; 16];
            let mut any = false;
            for l in 0..16 {
                s[l] = h[l] - p[l];
                any |= s[l] < *best;
            }
            if any {
                for (l, v) in s.iter().enumerate() {
                    if *v < *best {
                        (*best, *at) = (*v, (from + b * 16 + l) as u32);
                    }
                }
            }
        }
        for (l, (p, h)) in p_rest.iter().zip(h_rest).enumerate() {
            if h - p < *best {
                (*best, *at) = (h - p, (from + p16.len() * 16 + l) as u32);
            }
        }
    }
}

impl Cells {
    fn new(x: &[f32], n: usize, d: usize, monitor: &dyn Monitor) -> Result<Self, Error> {
        let c = ((4.0 * (n as f64).sqrt()) as usize).clamp(1, (n / 16).max(1));
        let mut rng = Rng::new(17, 41);
        let sample = rng.sample(n, PER_CELL * c);
        let some: Vec<f32> = sample.iter().flat_map(|i| x[i * d..(i + 1) * d].iter().copied()).collect();
        let mut centres: Vec<f32> = {
            let turn = rng.sample(sample.len(), c);
            turn.iter().flat_map(|i| some[i * d..(i + 1) * d].iter().copied()).collect()
        };
        for round in 0..ROUNDS {
            step(monitor, "cells", round, ROUNDS + 1)?;
            let own = assign(&some, d, &centres, c, monitor)?;
            let (mut sums, mut counts) = (vec![0.0f64; c * d], vec![0usize; c]);
            for (row, own) in some.chunks_exact(d).zip(&own) {
                let own = *own as usize;
                counts[own] += 1;
                sums[own * d..(own + 1) * d].iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
            }
            for (i, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                for a in 0..d {
                    centres[i * d + a] = (sums[i * d + a] / *count as f64) as f32;
                }
            }
        }
        step(monitor, "cells", ROUNDS, ROUNDS + 1)?;
        let own = assign(x, d, &centres, c, monitor)?;
        let mut at = vec![0usize; c + 1];
        own.iter().for_each(|o| at[*o as usize + 1] += 1);
        (0..c).for_each(|i| at[i + 1] += at[i]);
        let bounds = at.clone();
        let mut order = vec![0u32; n];
        for (i, o) in own.iter().enumerate() {
            order[at[*o as usize]] = i as u32;
            at[*o as usize] += 1;
        }
        let most = (4 * n / c).max(64);
        let mut starts = vec![0usize];
        for b in bounds.windows(2).filter(|b| b[1] > b[0]) {
            let pieces = (b[1] - b[0]).div_ceil(most);
            (1..=pieces).for_each(|p| starts.push(b[0] + (b[1] - b[0]) * p / pieces));
        }
        let mut rows = vec![0.0f32; n * d];
        rows.par_chunks_mut(d).zip(order.par_iter()).for_each(|(r, i)| r.copy_from_slice(&x[*i as usize * d..][..d]));
        let pieces: Vec<(Vec<f32>, f32)> = starts
            .par_windows(2)
            .map(|s| {
                let part = &rows[s[0] * d..s[1] * d];
                let mean: Vec<f32> = (0..d)
                    .map(|a| (part.iter().skip(a).step_by(d).map(|v| f64::from(*v)).sum::<f64>() / (s[1] - s[0]) as f64) as f32)
                    .collect();
                let far = part.chunks_exact(d).map(|r| distance2(r, &mean)).fold(0.0f32, f32::max).sqrt();
                (mean, far)
            })
            .collect();
        let radius = pieces.iter().map(|p| p.1).collect();
        let centres = pieces.into_iter().flat_map(|p| p.0).collect();
        Ok(Self { order, starts, centres, radius, rows })
    }

    /// From places in the cells' order to row numbers.
    fn by_row(&self, near: Neighbours) -> Neighbours {
        let k = near.k;
        let mut place = vec![0u32; self.order.len()];
        self.order.iter().enumerate().for_each(|(p, i)| place[*i as usize] = p as u32);
        let (mut ids, mut distances2) = (vec![0u32; near.ids.len()], vec![0.0f32; near.ids.len()]);
        ids.par_chunks_mut(k).zip(distances2.par_chunks_mut(k)).zip(place.par_iter()).for_each(|((ids, dist), p)| {
            let range = *p as usize * k..(*p as usize + 1) * k;
            let mut list: Vec<(f32, u32)> = near.distances2[range.clone()]
                .iter()
                .zip(&near.ids[range])
                .map(|(d2, j)| (*d2, self.order[*j as usize]))
                .collect();
            list.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for ((i, d), (d2, j)) in ids.iter_mut().zip(dist.iter_mut()).zip(list) {
                (*i, *d) = (j, d2);
            }
        });
        Neighbours { k, ids, distances2 }
    }

    fn len(&self) -> usize {
        self.radius.len()
    }

    /// The `count` pieces nearest to piece `a`, itself first, with the distances of the centres.
    fn nearest(&self, a: usize, d: usize, count: usize) -> Vec<(f32, u32)> {
        let me = &self.centres[a * d..(a + 1) * d];
        let mut all: Vec<(f32, u32)> = self
            .centres
            .chunks_exact(d)
            .enumerate()
            .map(|(b, c)| (if a == b { -1.0 } else { distance2(me, c).sqrt() }, b as u32))
            .collect();
        let by = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if count < all.len() {
            all.select_nth_unstable_by(count, by);
            all.truncate(count);
        }
        all.sort_unstable_by(by);
        all
    }
}

/// Row numbers in an order in which near rows are near to one another: cell after cell.
pub(crate) fn order(x: &[f32], n: usize, d: usize, monitor: &dyn Monitor) -> Result<Vec<u32>, Error> {
    Ok(Cells::new(x, n, d, monitor)?.order)
}

/// Neighbours of every row among the others and the share of the true ones that was found: 1 if the search was exact,
/// otherwise measured on random rows. It is exact if `exact` says so, or while its work stays below `much` (pairs times
/// columns and thirty).
pub(crate) fn within(
    x: &[f32],
    n: usize,
    d: usize,
    k: usize,
    exact: bool,
    much: f64,
    monitor: &dyn Monitor,
) -> Result<(Neighbours, f64), Error> {
    kernel::check_memory((n as u64) * (k as u64) * 12 + 12 * (n * d) as u64)?;
    let mean: Vec<f32> = kernel::column_means(x, n, d).iter().map(|v| *v as f32).collect();
    let mut centred = x[..n * d].to_vec();
    centred.par_chunks_mut(d).for_each(|row| row.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m));
    let cells = Cells::new(&centred, n, d, monitor)?;
    // What the plain search says about some rows.
    let judges = Rng::new(17, 42).sample(n, JUDGES);
    let asked: Vec<f32> = judges.iter().flat_map(|i| centred[i * d..(i + 1) * d].iter().copied()).collect();
    let truth = neighbours::exact(&asked, judges.len(), &centred, n, d, (k + 1).min(n), false, &Silent(monitor))?;
    // How many pairs an exact search would look at.
    let looked_at: Vec<usize> = (0..judges.len())
        .into_par_iter()
        .map(|r| {
            let me = &asked[r * d..(r + 1) * d];
            let reach = truth.distances2[(r + 1) * truth.k - 1].sqrt();
            (0..cells.len())
                .filter(|c| distance2(me, &cells.centres[c * d..(c + 1) * d]).sqrt() - cells.radius[*c] < reach)
                .map(|c| cells.starts[c + 1] - cells.starts[c])
                .sum()
        })
        .collect();
    let share = looked_at.iter().sum::<usize>() as f64 / (judges.len() * n) as f64;
    let most = cells.starts.windows(2).map(|s| s[1] - s[0]).max().unwrap_or(1);
    if exact || share.min(1.0) * (n as f64).powi(2) * (d + 30) as f64 <= much {
        let near = if share > MOST {
            neighbours::exact(x, n, x, n, d, k, true, monitor)?
        } else {
            cells.by_row(scan(&cells, n, d, k, None, most, monitor)?)
        };
        return Ok((near, 1.0));
    }
    let mut place = vec![0u32; n];
    cells.order.iter().enumerate().for_each(|(p, i)| place[*i as usize] = p as u32);
    let piece = |row: u32| cells.starts.partition_point(|s| *s <= place[row as usize] as usize) - 1;
    let ranks: Vec<Vec<usize>> = judges
        .par_iter()
        .enumerate()
        .map(|(r, i)| {
            let all = cells.nearest(piece(*i as u32), d, cells.len());
            let mut rank = vec![0usize; cells.len()];
            all.iter().enumerate().for_each(|(p, (_, b))| rank[*b as usize] = p);
            truth.ids[r * truth.k..(r + 1) * truth.k].iter().filter(|j| **j as usize != *i).map(|j| rank[piece(*j)]).collect()
        })
        .collect();
    let mut all: Vec<usize> = ranks.into_iter().flatten().collect();
    all.sort_unstable();
    let probes = all.get(((all.len() as f64 * TARGET) as usize).min(all.len().max(1) - 1)).map_or(1, |r| r + 1);
    // Enough rows to fill every list, whatever the sample says.
    let probes = probes.max(4).max((2 * k).div_ceil((n / cells.len()).max(1))).min(cells.len());
    let mut near = scan(&cells, n, d, k, Some(probes), most, monitor)?;
    near = cells.by_row(polish(near, &cells.rows, n, d, monitor)?);
    let mut hits = 0usize;
    for (r, i) in judges.iter().enumerate() {
        // By distance, not by number: of equally distant rows any will do.
        let own = &near.distances2[i * k..(i + 1) * k];
        let want: Vec<f32> = (0..truth.k)
            .filter(|p| truth.ids[r * truth.k + p] as usize != *i)
            .map(|p| truth.distances2[r * truth.k + p])
            .take(k)
            .collect();
        let worst = want.last().copied().unwrap_or(0.0);
        hits += own.iter().filter(|v| **v <= worst).count().min(want.len());
    }
    Ok((near, hits as f64 / (judges.len() * k).max(1) as f64))
}

/// Asks to stop, but does not tell the progress of what only helps to choose.
struct Silent<'a>(&'a dyn Monitor);

impl Monitor for Silent<'_> {
    fn stop(&self) -> bool {
        self.0.stop()
    }
}

/// Buffers of one thread of [`scan`].
struct Bench {
    scores: Vec<f32>,
    some: Vec<f32>,
    away: Vec<f32>,
}

/// Compares the rows of every piece with those of the `probes` pieces nearest to it, or of all that may matter. Rows and
/// neighbours are numbered by their places in the cells' order, where near rows are near in memory too.
fn scan(
    cells: &Cells,
    n: usize,
    d: usize,
    k: usize,
    probes: Option<usize>,
    most: usize,
    monitor: &dyn Monitor,
) -> Result<Neighbours, Error> {
    let half: Vec<f32> = cells.rows.par_chunks(d).map(|r| 0.5 * r.iter().map(|v| v * v).sum::<f32>()).collect();
    let centre_half: Vec<f32> = cells.centres.chunks_exact(d).map(|r| 0.5 * r.iter().map(|v| v * v).sum::<f32>()).collect();
    let c = cells.len();
    let keep = (k + 8).min(n - 1);
    let room = (keep * 3).max(64);
    let (mut ids, mut distances2) = (vec![0u32; n * k], vec![0.0f32; n * k]);
    let pieces: Vec<usize> = (0..c).collect();
    for wave in pieces.chunks(128) {
        step(monitor, "neighbours", cells.starts[wave[0]], n)?;
        let found: Vec<Vec<(f32, u32)>> = wave
            .par_iter()
            .map_init(
                || Bench { scores: vec![0.0; most * most], some: Vec::new(), away: Vec::new() },
                |bench, a| {
                    if monitor.stop() {
                        return Vec::new();
                    }
                    let (from, to) = (cells.starts[*a], cells.starts[*a + 1]);
                    let rows = to - from;
                    let x = &cells.rows[from * d..to * d];
                    let mut found: Vec<Vec<(f32, u32)>> = vec![Vec::with_capacity(room + 16); rows];
                    let mut limit = vec![f32::INFINITY; rows];
                    // Distance of every row to every centre, a little less than it is against rounding.
                    if probes.is_none() {
                        bench.away.resize(rows * c, 0.0);
                        mul(&mut bench.away, Mat::new(x, rows, d), Mat::new(&cells.centres, c, d).t(), false);
                        for (r, line) in bench.away.chunks_exact_mut(c).enumerate().take(rows) {
                            beyond(line, half[from + r], &centre_half, &cells.radius);
                        }
                    }
                    let mut reach = vec![f32::INFINITY; rows];
                    let mut farthest = f32::INFINITY;
                    let mut chosen: Vec<usize> = Vec::with_capacity(rows);
                    for (apart, b) in cells.nearest(*a, d, probes.unwrap_or(c)) {
                        let b = b as usize;
                        // The nearest rows of the two pieces are at least this far apart.
                        if apart - cells.radius[*a] - cells.radius[b] > farthest {
                            continue;
                        }
                        let (first, last) = (cells.starts[b], cells.starts[b + 1]);
                        let cols = last - first;
                        chosen.clear();
                        match probes {
                            None => chosen.extend((0..rows).filter(|r| bench.away[r * c + b] < reach[*r])),
                            Some(_) => chosen.extend(0..rows),
                        }
                        if chosen.is_empty() {
                            continue;
                        }
                        let queries = if chosen.len() == rows {
                            x
                        } else {
                            bench.some.clear();
                            chosen.iter().for_each(|r| bench.some.extend_from_slice(&x[r * d..(r + 1) * d]));
                            &bench.some
                        };
                        mul(
                            &mut bench.scores,
                            Mat::new(queries, chosen.len(), d),
                            Mat::new(&cells.rows[first * d..], cols, d).t(),
                            false,
                        );
                        farthest = 0.0;
                        for (s, r) in chosen.iter().enumerate() {
                            let before = limit[*r];
                            neighbours::collect(
                                &bench.scores[s * cols..(s + 1) * cols],
                                &half[first..last],
                                first,
                                if b == *a { *r } else { usize::MAX },
                                keep,
                                room,
                                &mut limit[*r],
                                &mut found[*r],
                            );
                            if limit[*r] < before {
                                let own = half[from + r];
                                reach[*r] = (2.0 * (limit[*r] + own) + 1e-5 * own).max(0.0).sqrt() * 1.0001;
                            }
                        }
                        farthest = reach.iter().copied().fold(farthest, f32::max);
                    }
                    let mut out = Vec::with_capacity(rows * k);
                    for (r, found) in found.into_iter().enumerate() {
                        let me = &x[r * d..(r + 1) * d];
                        let mut best: Vec<(f32, u32)> =
                            found.iter().map(|(_, p)| (distance2(me, &cells.rows[*p as usize * d..][..d]), *p)).collect();
                        best.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                        // Too few rows in reach: the list is filled up with copies that no later step can prefer.
                        best.resize(best.len().max(k), (f32::INFINITY, u32::MAX));
                        out.extend_from_slice(&best[..k]);
                    }
                    out
                },
            )
            .collect();
        for (a, found) in wave.iter().zip(found) {
            if found.is_empty() {
                return Err(Error::Cancelled);
            }
            let from = cells.starts[*a] * k;
            for (p, (d2, j)) in found.into_iter().enumerate() {
                ids[from + p] = j;
                distances2[from + p] = d2;
            }
        }
    }
    Ok(Neighbours { k, ids, distances2 })
}

kernel::wide! {
    /// Products with the centres into the least distances to the pieces' rows.
    fn beyond(products: &mut [f32], own: f32, centre: &[f32], radius: &[f32]) {
        for ((p, h), r) in products.iter_mut().zip(centre).zip(radius) {
            let square = 2.0 * (own + h - *p) - 1e-5 * (own + h);
            *p = square.max(0.0).sqrt() * 0.9999 - *r * 1.0001;
        }
    }
}

/// One round in which every row tries the rows that list it and its neighbours' neighbours.
fn polish(near: Neighbours, x: &[f32], n: usize, d: usize, monitor: &dyn Monitor) -> Result<Neighbours, Error> {
    let k = near.k;
    // The nearest rows that list each row.
    let (mut count, mut listed) = (vec![0u8; n], vec![0u32; n * LISTED]);
    for p in 0..k {
        for i in 0..n {
            let j = near.ids[i * k + p] as usize;
            if j < n && usize::from(count[j]) < LISTED {
                listed[j * LISTED + usize::from(count[j])] = i as u32;
                count[j] += 1;
            }
        }
    }
    let (mut ids, mut distances2) = (vec![0u32; n * k], vec![0.0f32; n * k]);
    let wave = 64 * CHUNK;
    let stopped = AtomicBool::new(false);
    for (w, (ids, dist)) in ids.chunks_mut(wave * k).zip(distances2.chunks_mut(wave * k)).enumerate() {
        step(monitor, "polish", w * wave, n)?;
        ids.par_chunks_mut(256 * k).zip(dist.par_chunks_mut(256 * k)).enumerate().with_min_len(16).for_each_init(
            || (vec![0u32; n], 0u32),
            |(seen, stamp), (c, (ids, dist))| {
                if stopped.load(Ordering::Relaxed) || monitor.stop() {
                    stopped.store(true, Ordering::Relaxed);
                    return;
                }
                let first = w * wave + c * 256;
                let mut list: Vec<(f32, u32)> = Vec::with_capacity(k + 1000);
                for r in 0..ids.len() / k {
                    let i = first + r;
                    *stamp += 1;
                    list.clear();
                    seen[i] = *stamp;
                    let own = &near.ids[i * k..(i + 1) * k];
                    for (j, d2) in own.iter().zip(&near.distances2[i * k..(i + 1) * k]) {
                        if (*j as usize) < n {
                            seen[*j as usize] = *stamp;
                            list.push((*d2, *j));
                        }
                    }
                    let worst = if list.len() < k { f32::INFINITY } else { list[k - 1].0 };
                    let me = &x[i * d..(i + 1) * d];
                    let mut offer = |j: u32| {
                        let j = j as usize;
                        if j < n && seen[j] != *stamp {
                            seen[j] = *stamp;
                            let d2 = distance2(me, &x[j * d..(j + 1) * d]);
                            if d2 < worst {
                                list.push((d2, j as u32));
                            }
                        }
                    };
                    listed[i * LISTED..][..usize::from(count[i])].iter().for_each(|j| offer(*j));
                    // Some of the nearest, and some from all over the list, whose surroundings are less well known.
                    for v in 0..VIA.min(k) {
                        let via = own[if k > VIA { v * k / VIA } else { v }] as usize;
                        if via < n {
                            near.ids[via * k..][..THEIRS.min(k)].iter().for_each(|j| offer(*j));
                        }
                    }
                    list.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                    for p in 0..k {
                        let (d2, j) = list.get(p).or(list.last()).copied().unwrap_or((0.0, i as u32));
                        ids[r * k + p] = j;
                        dist[r * k + p] = d2;
                    }
                }
            },
        );
    }
    if stopped.into_inner() {
        return Err(Error::Cancelled);
    }
    monitor.progress(crate::Progress { stage: "neighbours", done: n as u64, of: n as u64 });
    Ok(Neighbours { k, ids, distances2 })
}
