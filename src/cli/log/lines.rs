//! Lines on their way to stderr: collected by many threads, written by one, in batches.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a line may wait for others to be written with it.
const BATCH_WITHIN: Duration = Duration::from_millis(20);
/// A batch of this size is written at once, bytes.
const BATCH_BYTES: usize = 64 * 1024;
/// How much may wait for stderr, bytes; further lines are dropped.
const MOST_WAITING_BYTES: usize = 8 * 1024 * 1024;
/// How long the last lines may take at the end.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Lines {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    text: Vec<u8>,
    dropped: u64,
    closing: bool,
    closed: bool,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, line: &[u8]) {
        let mut queue = self.lock();
        let before = queue.text.len();
        if before + line.len() > MOST_WAITING_BYTES {
            queue.dropped += 1;
            return;
        }
        queue.text.extend_from_slice(line);
        let full = before < BATCH_BYTES && queue.text.len() >= BATCH_BYTES;
        drop(queue);
        // Between these two the writer sleeps on purpose: a wake-up costs more than a line.
        if before == 0 || full {
            self.changed.notify_all();
        }
    }

    /// The writer's whole life.
    pub(super) fn write_all_to(&self, out: &mut dyn std::io::Write) {
        let mut batch = Vec::new();
        loop {
            let queue = self.lock();
            let idle = |queue: &mut Queue| queue.text.is_empty() && !queue.closing;
            let queue = self.changed.wait_while(queue, idle);
            let queue = queue.unwrap_or_else(PoisonError::into_inner);
            let filling = |queue: &mut Queue| queue.text.len() < BATCH_BYTES && !queue.closing;
            let waited = self
                .changed
                .wait_timeout_while(queue, BATCH_WITHIN, filling);
            let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut queue.text, &mut batch);
            let dropped = std::mem::take(&mut queue.dropped);
            let last = queue.closing && batch.is_empty();
            queue.closed = last;
            drop(queue);
            if last {
                self.changed.notify_all();
                return;
            }
            // There is nowhere to say that stderr cannot be written.
            let _ = out.write_all(&batch);
            if dropped > 0 {
                let _ = writeln!(out, "日志写得太慢, 丢弃了 {dropped} 行");
            }
            batch.clear();
        }
    }

    /// Ends the writer once it has written what waits.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.closing = true;
        self.changed.notify_all();
        let open = |queue: &mut Queue| !queue.closed;
        let _ = self.changed.wait_timeout_while(queue, LAST_WITHIN, open);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What the writer of `lines` has written by the time they are closed.
    fn written(lines: &Arc<Lines>) -> Vec<u8> {
        let writer = Arc::clone(lines);
        let thread = std::thread::spawn(move || {
            let mut out = Vec::new();
            writer.write_all_to(&mut out);
            out
        });
        lines.close();
        thread.join().expect("the writer ends")
    }

    #[test]
    fn closing_writes_every_line_in_order() {
        let lines = Arc::new(Lines::default());
        let text: Vec<String> = (0..5000).map(|n| format!("line {n}\n")).collect();
        for line in &text {
            lines.push(line.as_bytes());
        }
        assert_eq!(written(&lines), text.concat().into_bytes());
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let lines = Arc::new(Lines::default());
        let line = vec![b'x'; MOST_WAITING_BYTES / 4];
        for _ in 0..7 {
            lines.push(&line);
        }
        let out = written(&lines);
        let note = "日志写得太慢, 丢弃了 3 行\n".as_bytes();
        assert_eq!(out.len(), MOST_WAITING_BYTES + note.len());
        assert!(out.ends_with(note));
    }
}
