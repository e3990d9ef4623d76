//! Background jobs: named threads with a state that a window can show, a pause and an end.
//!
//! A job reports in two ways. A map that improves goes through a slot where the latest wins
//! ([`Live`]); facts go through a bounded channel as closures over the session ([`Finish`]), each
//! with the generation of the thing it is about, so that an old answer is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use asterism_reduce as reduce;
use crossbeam_channel::Sender;
use parking_lot::{Condvar, Mutex};

/// Number of a job, unique within the session.
pub type JobId = u64;

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// At work.
    Running,
    /// Waiting for a person to let it go on.
    Paused,
    /// Done.
    Done,
    /// Ended by a person.
    Cancelled,
    /// It failed, with the reason.
    Failed(String),
}

/// The newest state of a map being computed.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// First two coordinates of each row.
    pub xy: Arc<Vec<[f32; 2]>>,
    /// Figures by name (`kl`, `iteration`, `loss`).
    pub figures: BTreeMap<&'static str, f64>,
    /// Grows with each frame.
    pub generation: u64,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeLevel {
    /// Done, or worth knowing.
    Info,
    /// It went on, but something was lost or cut off.
    Warning,
    /// It failed.
    Error,
}

/// A line of the log, and a message where the person is looking.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How much it matters.
    pub level: NoticeLevel,
    /// In words.
    pub text: String,
    /// Seconds since 1970.
    pub unix_time: u64,
}

/// One background job.
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// For a person: "t-SNE of a478".
    pub name: String,
    /// When it began.
    pub started: Instant,
    /// Dataset it works for.
    pub dataset: u32,
    /// True for a job that makes a map: [`Job::live`] moves.
    pub is_map: bool,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cancel: AtomicBool,
    ends_soon: AtomicBool,
    paused: Mutex<bool>,
    wake: Condvar,
    progress: Mutex<(String, u64, u64)>,
    live: Mutex<Option<Live>>,
    /// Where a map that is laid out on a device has its rows.
    places: Mutex<Option<reduce::gpu::Places>>,
    /// Parameters of the map being computed, and those it is to go on with.
    params: Mutex<(Option<reduce::Params>, Option<reduce::Params>)>,
    /// The dataset with rows that came since.
    grown: Mutex<Option<Arc<crate::document::Dataset>>>,
    generation: AtomicU64,
    state: Mutex<Option<JobState>>,
    ended: Mutex<Option<Instant>>,
}

impl Job {
    /// Stage, done and of how many (0 when not known).
    pub fn progress(&self) -> (String, u64, u64) {
        self.shared.progress.lock().clone()
    }
    /// Done as a fraction, where it can be told.
    pub fn fraction(&self) -> Option<f32> {
        let (_, done, of) = self.progress();
        (of > 0).then(|| (done as f32 / of as f32).clamp(0.0, 1.0))
    }
    /// How it stands.
    pub fn state(&self) -> JobState {
        if let Some(state) = self.shared.state.lock().clone() {
            return state;
        }
        if *self.shared.paused.lock() { JobState::Paused } else { JobState::Running }
    }
    /// Whether it still runs or waits.
    pub fn alive(&self) -> bool {
        self.shared.state.lock().is_none()
    }
    /// How long it has run, or ran.
    pub fn elapsed(&self) -> Duration {
        self.shared.ended.lock().unwrap_or_else(Instant::now) - self.started
    }
    /// The newest frame of a map being computed.
    pub fn live(&self) -> Option<Live> {
        self.shared.live.lock().clone()
    }
    /// The rows of a map that is being laid out on a graphics processor, in the memory that is drawn; newer than [`Job::live`].
    pub fn places(&self) -> Option<reduce::gpu::Places> {
        self.shared.places.lock().clone()
    }
    /// Ask it to wait.
    pub fn pause(&self) {
        *self.shared.paused.lock() = true;
    }
    /// Let it go on.
    pub fn resume(&self) {
        *self.shared.paused.lock() = false;
        self.shared.wake.notify_all();
    }
    /// Parameters of the map that it computes; those asked for last, if they were changed.
    pub fn params(&self) -> Option<reduce::Params> {
        let (now, next) = &*self.shared.params.lock();
        next.clone().or_else(|| now.clone())
    }
    /// Ask it to go on with other parameters.
    pub fn change(&self, params: reduce::Params) {
        self.shared.params.lock().1 = Some(params);
        self.resume();
    }
    /// Ask it to end after the part of a search that is on its way.
    pub fn end_soon(&self) {
        self.shared.ends_soon.store(true, Ordering::Relaxed);
        self.resume();
    }
    /// Whether it was asked to.
    pub fn ends_soon(&self) -> bool {
        self.shared.ends_soon.load(Ordering::Relaxed)
    }
    /// Say that its dataset has more rows now: a map that is being made may take them in.
    pub fn grow(&self, dataset: Arc<crate::document::Dataset>) {
        *self.shared.grown.lock() = Some(dataset);
    }
    /// Ask it to end.
    pub fn cancel(&self) {
        self.shared.cancel.store(true, Ordering::Relaxed);
        self.resume();
    }
}

/// A fact that a job brings: done to the session when it is polled.
pub type Finish = Box<dyn FnOnce(&mut crate::Session) + Send>;

/// A job's own handle: it reports and asks through this.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    facts: Sender<Finish>,
    waker: Arc<dyn Fn() + Send + Sync>,
}

impl Handle {
    /// Say how far it is.
    pub fn say(&self, stage: &str, done: u64, of: u64) {
        *self.shared.progress.lock() = (stage.into(), done, of);
        (self.waker)();
    }
    /// Bring a fact. Waits while the window is behind.
    pub fn fact(&self, finish: impl FnOnce(&mut crate::Session) + Send + 'static) {
        // The receiver is gone only when the session is: then nobody wants the fact.
        let _ = self.facts.send(Box::new(finish));
        (self.waker)();
    }
    /// Whether it is to end after the part of a search that is on its way.
    pub fn ends_soon(&self) -> bool {
        self.shared.ends_soon.load(Ordering::Relaxed)
    }
    /// Whether a person ended it. Waits here while it is paused.
    pub fn cancelled(&self) -> bool {
        let mut paused = self.shared.paused.lock();
        while *paused && !self.shared.cancel.load(Ordering::Relaxed) {
            self.shared.wake.wait_for(&mut paused, Duration::from_millis(100));
        }
        self.shared.cancel.load(Ordering::Relaxed)
    }
}

impl Handle {
    /// Say which parameters the map being computed has.
    pub fn has_params(&self, params: &reduce::Params) {
        self.shared.params.lock().0 = Some(params.clone());
    }
    /// The dataset with the rows that came last, if any came.
    pub fn grown(&self) -> Option<Arc<crate::document::Dataset>> {
        self.shared.grown.lock().clone()
    }
    /// The parameters that a person wants instead, once.
    pub fn changed(&self) -> Option<reduce::Params> {
        self.shared.params.lock().1.take()
    }
}

impl reduce::Monitor for Handle {
    fn progress(&self, p: reduce::Progress) {
        *self.shared.progress.lock() = (p.stage.into(), p.done, p.of);
        (self.waker)();
    }
    fn frame(&self, coords: &[f32], dims: usize, figures: &[(&'static str, f64)]) {
        let xy = coords.chunks_exact(dims.max(1)).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]).collect();
        let generation = self.shared.generation.fetch_add(1, Ordering::Relaxed) + 1;
        *self.shared.live.lock() = Some(Live { xy: Arc::new(xy), figures: figures.iter().copied().collect(), generation });
        (self.waker)();
    }
    fn on_device(&self, places: &reduce::gpu::Places) {
        *self.shared.places.lock() = Some(places.clone());
        (self.waker)();
    }
    fn off_device(&self) {
        *self.shared.places.lock() = None;
        (self.waker)();
    }
    fn stop(&self) -> bool {
        self.cancelled() || self.shared.params.lock().1.is_some()
    }
}

/// Start `work` in a thread of its own. Its error becomes the job's state and a notice.
pub fn start(
    id: JobId,
    name: String,
    dataset: u32,
    is_map: bool,
    facts: Sender<Finish>,
    waker: Arc<dyn Fn() + Send + Sync>,
    work: impl FnOnce(&Handle) -> crate::Result<()> + Send + 'static,
) -> Arc<Job> {
    let shared = Arc::new(Shared::default());
    let job = Arc::new(Job { id, name: name.clone(), started: Instant::now(), dataset, is_map, shared: shared.clone() });
    let handle = Handle { shared: shared.clone(), facts, waker };
    let run = move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&handle)));
        let (state, said) = match outcome {
            Ok(Ok(())) if handle.shared.cancel.load(Ordering::Relaxed) => (JobState::Cancelled, None),
            Ok(Ok(())) => (JobState::Done, None),
            Ok(Err(_)) if handle.shared.cancel.load(Ordering::Relaxed) => (JobState::Cancelled, None),
            Ok(Err(e)) => (JobState::Failed(e.to_string()), Some(e.to_string())),
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or(panic.downcast_ref::<&str>().copied())
                    .unwrap_or("unknown");
                let text = format!("{name} broke off by an error in the program: {text}");
                (JobState::Failed(text.clone()), Some(text))
            }
        };
        *handle.shared.ended.lock() = Some(Instant::now());
        handle.fact(move |session| session.job_ended(id, said));
        *handle.shared.state.lock() = Some(state);
        (handle.waker)();
    };
    if let Err(e) = std::thread::Builder::new().name(format!("job-{id}")).spawn(run) {
        *shared.state.lock() = Some(JobState::Failed(format!("no thread could be started: {e}")));
    }
    job
}
