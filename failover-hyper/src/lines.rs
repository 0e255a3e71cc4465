//! Lines for whoever reads them, written by a thread of its own: they hold nobody up. What nobody reads in time is lost.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Takes lines for the thread that writes them, which ends with the last of these.
#[derive(Clone, Debug)]
pub struct Lines {
    sender: SyncSender<Told>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Told {
    Line(Vec<u8>),
    /// Everything so far is to be written, and that told.
    Flush(SyncSender<()>),
}

/// What lines are to be added for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Due {
    /// Time went by.
    Tick,
    /// Somebody waits for everything so far, or there will be nothing more.
    All,
}

impl Lines {
    /// Lines that are written as they are. Where the system gives no thread for it, all are lost.
    pub fn to(output: impl Write + Send + 'static) -> Self {
        Self::adding(output, Duration::MAX, |_, _| Vec::new())
    }

    /// The same, with further lines, which `add` is asked for whenever so much time has passed, before everything so far is
    /// written for somebody, and at the end; it is told how many lines were lost since.
    pub(crate) fn adding(
        output: impl Write + Send + 'static,
        every: Duration,
        add: impl FnMut(Due, u64) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = sync_channel(MOST_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer { output, every, add, lost: Arc::clone(&lost) };
        // Without the thread nobody receives.
        let _ = thread::Builder::new().name("failover-lines".to_owned()).spawn(move || writer.run(&receiver));
        Self { sender, lost }
    }

    /// Takes a line, or loses it where 10,000 wait.
    pub fn take(&self, line: Vec<u8>) {
        self.has_taken(line);
    }

    /// The same, and tells which.
    pub(crate) fn has_taken(&self, line: Vec<u8>) -> bool {
        let is_taken = self.sender.try_send(Told::Line(line)).is_ok();
        if !is_taken {
            self.lose(1);
        }
        is_taken
    }

    /// Counts lines as lost that were not even made.
    pub(crate) fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// Waits until everything so far is written, for a second at most.
    pub fn flush(&self) {
        let (sender, done) = sync_channel(1);
        if self.sender.try_send(Told::Flush(sender)).is_ok() {
            let _ = done.recv_timeout(LONGEST_WRITE);
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.take(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's.
struct Writer<O, A> {
    output: O,
    every: Duration,
    add: A,
    lost: Arc<AtomicU64>,
}

impl<O: Write, A: FnMut(Due, u64) -> Vec<u8>> Writer<O, A> {
    fn run(mut self, receiver: &Receiver<Told>) {
        let mut added = now();
        loop {
            let left = self.every.saturating_sub(now().saturating_duration_since(added));
            match receiver.recv_timeout(left) {
                Ok(Told::Line(line)) => {
                    // There is nobody else to tell that it cannot be written.
                    if self.output.write_all(&line).is_err() {
                        self.lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok(Told::Flush(done)) => {
                    self.add(Due::All);
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.add(Due::All),
            }
            if now().saturating_duration_since(added) >= self.every {
                added = now();
                self.add(Due::Tick);
            }
        }
    }

    fn add(&mut self, due: Due) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let lines = (self.add)(due, lost);
        if !lines.is_empty() && self.output.write_all(&lines).is_err() {
            self.lost.fetch_add(lost.max(1), Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the thread is nobody's runtime's")]
fn now() -> Instant {
    Instant::now()
}

const MOST_LINES: usize = 10_000;

const LONGEST_WRITE: Duration = Duration::from_secs(1);
