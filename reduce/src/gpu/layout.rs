//! The iterations on the device, as the monitor and the schedule want them.

use super::{Context, Layout, SLICE};
use crate::affinity::Joint;
use crate::monitor::{Monitor, Progress};
use crate::tsne::{self, Calm, Moves, Schedule, initial, spacing};
use std::time::{Duration, Instant};

/// Iterations between two looks at the divergence.
const LOOK: usize = 50;

/// How a run on the device ended.
pub(crate) enum Outcome {
    /// As the processor's would have.
    Done(tsne::Layout),
    /// It failed: why, the last places read back (rows' own order) and the iterations they had seen.
    Failed(String, Vec<[f32; 2]>, usize),
}

/// Lays out the rows in two dimensions from `start` (N × 2, any scale), all in the order of the joint matrix; `order` says
/// which row each is, and places go to the monitor and come back in the rows' own order.
pub(crate) fn run(
    context: &Context,
    joint: &Joint,
    start: &[f32],
    order: Option<&[u32]>,
    s: &Schedule,
    monitor: &dyn Monitor,
) -> Outcome {
    let n = start.len() / 2;
    let y: Vec<[f32; 2]> = if s.go_on || s.done > 0 { start.as_chunks().0.to_vec() } else { initial(start, n, 2, s.seed) };
    let mut last = y.clone();
    if let Some(order) = order {
        order.iter().zip(&y).for_each(|(i, p)| last[*i as usize] = *p);
    }
    let mut seen = s.done;
    let made = iterate(context, joint, &y, order, s, monitor, &mut last, &mut seen);
    monitor.off_device();
    match made {
        Ok((kl, moves)) => {
            let coords = last.into_flattened();
            let iterations = s.pace(n).iterations;
            monitor.frame(&coords, 2, &[("iteration", seen as f64), ("kl", kl)]);
            monitor.progress(Progress { stage: "layout", done: seen as u64, of: iterations as u64 });
            Outcome::Done(tsne::Layout { coords, kl, iterations: seen, complete: moves.is_none(), moves })
        }
        Err(why) => Outcome::Failed(why, last, seen),
    }
}

/// The divergence at the end, and velocities and gains where not all was done. `last` and `seen` are kept up to date for those who go on.
fn iterate(
    context: &Context,
    joint: &Joint,
    y: &[[f32; 2]],
    order: Option<&[u32]>,
    s: &Schedule,
    monitor: &dyn Monitor,
    last: &mut Vec<[f32; 2]>,
    seen: &mut usize,
) -> Result<(f64, Option<Moves>), String> {
    let n = y.len();
    let pace = s.pace(n);
    let of = pace.iterations;
    let moves: Option<Vec<[f32; 4]>> = s.moves.as_ref().map(|m| {
        let (update, gains) = (m.update.as_chunks::<2>().0, m.gains.as_chunks::<2>().0);
        update.iter().zip(gains).map(|(u, g)| [u[0], u[1], g[0], g[1]]).collect()
    });
    let mut layout = Layout::new(
        context,
        joint,
        y,
        moves.as_deref(),
        order,
        if s.spacing > 0.0 { s.spacing } else { spacing(n) },
        &pace,
        s.done,
    )?;
    monitor.on_device(&layout.positions());
    let (mut kl, mut complete, mut calm) = (f64::NAN, true, Calm::new());
    let mut shown: Option<Instant> = None;
    let (mut done, mut slice) = (s.done, 1);
    while done < of {
        monitor.progress(Progress { stage: "layout", done: done as u64, of: of as u64 });
        if monitor.watches() && shown.is_none_or(|t| t.elapsed() > Duration::from_millis(30)) {
            (*last, *seen) = (layout.places()?, done);
            monitor.frame(last.as_flattened(), 2, &[("iteration", done as f64), ("kl", kl)]);
            shown = Some(Instant::now());
        }
        if monitor.stop() {
            complete = false;
            break;
        }
        let clock = Instant::now();
        let until = ((done / LOOK + 1) * LOOK).min(of);
        let asked = slice.min(until - done);
        let state = layout.iterate(asked, until)?;
        let made = state.iteration as usize - done;
        done = state.iteration as usize;
        if made < asked {
            if made == 0 && state.need as usize <= layout.nodes() {
                return Err("the device makes no iterations".into());
            }
            layout.widen(state.need as usize)?;
        } else if clock.elapsed() > SLICE {
            slice = (slice / 2).max(1);
        } else if asked == slice && clock.elapsed() < SLICE / 2 {
            slice = (slice * 2).min(LOOK);
        }
        if done.is_multiple_of(LOOK) && made > 0 && done < of {
            // Shrunk for good, or about to leave the mesh.
            if state.halt == 0 {
                layout.widen(state.need as usize)?;
            }
            (*last, *seen) = (layout.places()?, done);
            if done >= pace.early {
                kl = layout.divergence()?;
                if calm.told(kl) && s.settle {
                    break;
                }
            }
        }
    }
    // The last step may have left the mesh.
    let need = layout.iterate(1, 0)?.need as usize;
    if need > layout.nodes() {
        layout.widen(need)?;
    }
    kl = layout.divergence()?;
    (*last, *seen) = (layout.places()?, done);
    if !kl.is_finite() {
        return Err("the device's map has no finite divergence".into());
    }
    let moves = if complete { None } else { Some(layout.moves()?) };
    let flat = |moves: Vec<[f32; 4]>| Moves {
        update: moves.iter().flat_map(|m| [m[0], m[1]]).collect(),
        gains: moves.iter().flat_map(|m| [m[2], m[3]]).collect(),
    };
    Ok((kl, moves.map(flat)))
}
