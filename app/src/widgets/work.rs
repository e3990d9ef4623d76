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
    running: Option<(K, Receiver<T>)>,
    generation: u64,
}

impl<K, T> Default for Work<K, T> {
    fn default() -> Self {
        Self { done: None, running: None, generation: 0 }
    }
}

impl<K: PartialEq, T: Send + Sync + 'static> Work<K, T> {
    /// The newest answer, which may be that of an older key. Starts `make` in a thread called
    /// `name` when the key is new; the thread asks for a frame at its end.
    pub fn get(&mut self, ctx: &egui::Context, name: &str, key: K, make: impl FnOnce() -> T + Send + 'static) -> Option<Arc<T>> {
        if let Some((_, receiver)) = &self.running {
            match receiver.try_recv() {
                Ok(answer) => {
                    if let Some((key, _)) = self.running.take() {
                        self.done = Some((key, Arc::new(answer)));
                        self.generation += 1;
                    }
                }
                // The thread broke off: keep what there was, and do not try the same again.
                Err(TryRecvError::Disconnected) => self.running = None,
                Err(TryRecvError::Empty) => {}
            }
        }
        let known = self.done.as_ref().is_some_and(|(k, _)| *k == key);
        if !known && self.running.is_none() {
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
}
