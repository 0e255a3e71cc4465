//! The log: lines to stderr, which hold nobody up. What nobody reads in time is lost.

use std::env;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::{Level, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Logs from now on as `RUST_LOG` says, and until what is returned is dropped.
pub(crate) fn begin() -> Written {
    let usual = Targets::new().with_default(Level::INFO);
    let (levels, refused) = match env::var("RUST_LOG") {
        Ok(levels) => levels.parse().map_or_else(|error| (usual, Some(error)), |levels| (levels, None)),
        Err(_) => (usual, None),
    };
    let (sender, receiver) = sync_channel::<Option<Vec<u8>>>(MOST_LINES);
    let (end, ended) = sync_channel(1);
    thread::spawn(move || {
        while let Ok(Some(line)) = receiver.recv() {
            let _ = io::stderr().write_all(&line);
        }
        end.send(())
    });
    let lines = Lines(sender);
    let written = Written { lines: lines.clone(), ended };
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || lines.clone());
    tracing_subscriber::registry().with(layer).with(levels).init();
    if let Some(error) = refused {
        warn!("RUST_LOG is not heeded: {error}: expected levels such as info or failover=debug");
    }
    written
}

/// Waits, when it is dropped, until what was logged is written, if that takes no longer than usual.
pub(crate) struct Written {
    lines: Lines,
    ended: Receiver<()>,
}

impl Drop for Written {
    fn drop(&mut self) {
        if self.lines.0.try_send(None).is_ok() {
            let _ = self.ended.recv_timeout(LONGEST_WRITE);
        }
    }
}

/// Takes lines for the thread that writes them; `None` is the end.
#[derive(Clone)]
struct Lines(SyncSender<Option<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.try_send(Some(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const MOST_LINES: usize = 10_000;

const LONGEST_WRITE: Duration = Duration::from_secs(1);
