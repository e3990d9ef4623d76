//! Work off the frame: one named thread at a time computes an answer for a key.
//!
//! [`Work::get`] is called each frame with the key that is wanted now. While a newer key is being
//! worked on, the older answer stays, so that a view never flickers. A new key that comes while a
//! thread is busy waits for it and only the last one is then worked on: latest wins, no backlog.
//! A pool was not taken: at most one thread a pane runs, and a name in a crash report is worth more.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

/// How long a view that waits for an answer goes without a frame at most.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(60);

/// The newest answer, and the thread that makes the next one.
pub struct Work<K, T> {
    done: Option<(K, Arc<T>)>,
    /// `done` is a first answer in short, which a thread's whole one replaces.
    first: bool,
    running: Option<(K, Receiver<T>)>,
    generation: u64,
}

impl<K, T> Default for Work<K, T> {
    fn default() -> Self {
        Self { done: None, first: false, running: None, generation: 0 }
    }
}

impl<K: PartialEq, T: Send + Sync + 'static> Work<K, T> {
    /// The newest answer, which may be that of an older key. Starts `make` in a thread called
    /// `name` when the key is new; the thread asks for a frame at its end.
    pub fn get(&mut self, ctx: &egui::Context, name: &str, key: K, make: impl FnOnce() -> T + Send + 'static) -> Option<Arc<T>> {
        if let Some((_, receiver)) = &self.running {
            match receiver.try_recv() {
                Ok(answer) => {
                    if let Some((made, _)) = self.running.take() {
                        // A first answer for a newer key says more than the whole one for an older.
                        let newer = self.first && self.done.as_ref().is_some_and(|(k, _)| *k != made && *k == key);
                        if !newer {
                            self.put(made, answer);
                        }
                    }
                }
                // The thread broke off: keep what there was, and do not try the same again.
                Err(TryRecvError::Disconnected) => self.running = None,
                Err(TryRecvError::Empty) => {}
            }
        }
        if (self.first || !self.knows(&key)) && self.running.is_none() {
            let (sender, receiver) = sync_channel(1);
            let ctx = ctx.clone();
            let started = std::thread::Builder::new().name(name.into()).spawn(move || {
                // The receiver is gone only when the pane is.
                let _ = sender.send(make());
                ctx.request_repaint();
            });
            if started.is_ok() {
                self.running = Some((key, receiver));
            }
        }
        if self.running.is_some() {
            // The thread asks for a frame when it ends. Looking again soon as well costs little, and a view
            // never stays blank on a busy machine.
            ctx.request_repaint_after(LOOK_AGAIN);
        }
        self.newest()
    }
    /// An answer that was made at once, in the frame: for work of a millisecond or two.
    pub fn put(&mut self, key: K, answer: T) {
        self.done = Some((key, Arc::new(answer)));
        self.first = false;
        self.generation += 1;
    }
    /// A first answer in short, to be seen in this frame; [`Work::get`] has the whole one made.
    pub fn put_first(&mut self, key: K, answer: T) {
        self.put(key, answer);
        self.first = true;
    }
    /// Whether the newest answer, whole or in short, is that of this key.
    pub fn knows(&self, key: &K) -> bool {
        self.done.as_ref().is_some_and(|(k, _)| k == key)
    }
    /// The newest answer.
    pub fn newest(&self) -> Option<Arc<T>> {
        self.done.as_ref().map(|(_, answer)| answer.clone())
    }
    /// The answer for exactly this key, if it is there.
    pub fn exact(&self, key: &K) -> Option<Arc<T>> {
        self.done.as_ref().filter(|(k, _)| k == key).map(|(_, answer)| answer.clone())
    }
    /// The newest answer, if its key will do: an older page of the same table, say, but not another
    /// table.
    pub fn newest_for(&self, will_do: impl Fn(&K) -> bool) -> Option<Arc<T>> {
        self.done.as_ref().filter(|(k, _)| will_do(k)).map(|(_, answer)| answer.clone())
    }
    /// Whether a thread is at work.
    pub fn busy(&self) -> bool {
        self.running.is_some()
    }
    /// Grows with each answer.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// Answers for the last `N` keys, for a view that goes to and fro between them.
pub struct Kept<K, T, const N: usize = 8> {
    work: Work<K, T>,
    known: Vec<(K, Arc<T>)>,
}

impl<K, T, const N: usize> Default for Kept<K, T, N> {
    fn default() -> Self {
        Self { work: Work::default(), known: Vec::new() }
    }
}

impl<K: PartialEq + Clone, T: Send + Sync + 'static, const N: usize> Kept<K, T, N> {
    /// The answer for exactly this key, once it is made.
    pub fn get(&mut self, ctx: &egui::Context, name: &str, key: &K, make: impl FnOnce() -> T + Send + 'static) -> Option<Arc<T>> {
        if let Some((_, answer)) = self.known.iter().find(|(k, _)| k == key) {
            return Some(answer.clone());
        }
        self.work.get(ctx, name, key.clone(), make);
        let answer = self.work.exact(key)?;
        if self.known.len() >= N {
            self.known.remove(0);
        }
        self.known.push((key.clone(), answer.clone()));
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_last_key_wins_and_the_old_answer_stays_until_then() {
        let ctx = egui::Context::default();
        let mut work: Work<u32, u32> = Work::default();
        assert!(work.get(&ctx, "one", 1, || 10).is_none());
        while work.newest().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
            work.get(&ctx, "one", 1, || unreachable!());
        }
        assert_eq!(*work.get(&ctx, "two", 2, || 20).unwrap(), 10);
        while work.exact(&2).is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
            work.get(&ctx, "two", 2, || 20);
        }
        assert_eq!(work.generation(), 2);
    }

    #[test]
    fn kept_answers_are_made_once() {
        let ctx = egui::Context::default();
        let mut kept: Kept<u32, u32> = Kept::default();
        for key in [1, 2] {
            while kept.get(&ctx, "one", &key, move || key * 10).is_none() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        assert_eq!(*kept.get(&ctx, "again", &1, || unreachable!()).unwrap(), 10);
        assert_eq!(*kept.get(&ctx, "again", &2, || unreachable!()).unwrap(), 20);
    }

    #[test]
    fn a_first_answer_shows_until_the_whole_one_is_made() {
        let ctx = egui::Context::default();
        let mut work: Work<u32, u32> = Work::default();
        let (go, wait) = sync_channel::<()>(1);
        work.get(&ctx, "one", 1, move || {
            wait.recv().unwrap();
            10
        });
        // Another key is wanted while the first thread is at work.
        work.put_first(2, 19);
        assert!(work.knows(&2));
        go.send(()).unwrap();
        while work.newest().is_some_and(|a| *a != 20) {
            std::thread::sleep(std::time::Duration::from_millis(1));
            let seen = *work.get(&ctx, "two", 2, || 20).unwrap();
            assert!(seen == 19 || seen == 20, "the answer for the older key was shown: {seen}");
        }
        assert!(work.exact(&2).is_some());
    }
}
