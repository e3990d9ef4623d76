//! How a long computation talks to whoever started it.
//!
//! One trait with three calls: how far it is, a newer map, and "shall I stop?". A trait object rather than a channel,
//! so that this crate neither chooses a queue nor a thread, and so that `stop` may simply block to pause the work.

/// How far a computation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, one lower-case word such as "neighbours" or "layout".
    pub stage: &'static str,
    /// Steps of this stage that are done.
    pub done: u64,
    /// Steps of this stage in all.
    pub of: u64,
}

/// What a long computation tells and asks. Every method has a default that does nothing.
pub trait Monitor: Sync {
    /// How far the computation is.
    fn progress(&self, _: Progress) {}

    /// A newer map: rows × `dims`, row-major, with figures by name ("kl", "iteration", "loss").
    fn frame(&self, _coords: &[f32], _dims: usize, _figures: &[(&'static str, f64)]) {}

    /// A map is being laid out on a device ([`crate::embed_on`]) and its places are there to be drawn, whatever frames are
    /// asked for.
    fn on_device(&self, _places: &crate::gpu::Places) {}

    /// The places that [`Self::on_device`] told are renewed no longer: the layout ended, or the processor goes on with it.
    fn off_device(&self) {}

    /// Whether [`Self::frame`] does anything with maps: where one has to be computed for it, that is left out otherwise.
    fn watches(&self) -> bool {
        true
    }

    /// Asked between the iterations of a t-SNE map: rows that arrived since the last call (the columns and scaling of the others,
    /// finite; any number of them). They join the map behind the others, without a restart: frames and the map that comes back
    /// have that many rows more. The same rows at the same iterations give the same map. After rows
    /// that could not be taken in ([`crate::Embedding::notes`] says why) it is not asked again.
    fn arrived(&self) -> Option<ndarray::Array2<f32>> {
        None
    }

    /// Whether [`Self::arrived`] may ever give anything: then some more memory is kept, so that less is computed anew.
    fn feeds(&self) -> bool {
        false
    }

    /// Called between steps; `true` means stop now and keep what there is. It may block to pause.
    fn stop(&self) -> bool {
        false
    }
}

/// A monitor that listens to nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Monitor for Quiet {
    fn watches(&self) -> bool {
        false
    }
}

/// Tells the progress and turns a request to stop into an error, for stages that have nothing to keep.
pub(crate) fn step(monitor: &dyn Monitor, stage: &'static str, done: usize, of: usize) -> Result<(), crate::Error> {
    monitor.progress(Progress { stage, done: done as u64, of: of as u64 });
    if monitor.stop() { Err(crate::Error::Cancelled) } else { Ok(()) }
}
