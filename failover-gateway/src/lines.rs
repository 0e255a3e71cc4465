//! Lines for whoever reads them, written by a thread of its own: they hold nobody up. What nobody reads in time is lost.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Takes lines for the thread that writes them, which ends with the last of these.
#[derive(Clone)]
pub(crate) struct Lines(SyncSender<Told>);

enum Told {
    Line(Vec<u8>),
    /// Everything so far is to be written, and that told.
    Flush(SyncSender<()>),
}

impl Lines {
    pub(crate) fn to(mut output: impl Write + Send + 'static) -> Self {
        let (sender, receiver): (_, Receiver<Told>) = sync_channel(MOST_LINES);
        thread::spawn(move || {
            for told in receiver {
                match told {
                    // There is nobody else to tell that it cannot be written.
                    Told::Line(line) => drop(output.write_all(&line)),
                    Told::Flush(done) => drop(done.try_send(())),
                }
            }
        });
        Self(sender)
    }

    /// Takes a line, or loses it where too many wait.
    pub(crate) fn take(&self, line: Vec<u8>) {
        let _ = self.0.try_send(Told::Line(line));
    }

    /// Waits until everything so far is written, if that takes no longer than usual.
    pub(crate) fn flush(&self) {
        let (sender, done) = sync_channel(1);
        if self.0.try_send(Told::Flush(sender)).is_ok() {
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

const MOST_LINES: usize = 10_000;

const LONGEST_WRITE: Duration = Duration::from_secs(1);
