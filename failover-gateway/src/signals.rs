//! What the process is told while it runs.

use std::thread;

use tokio::sync::mpsc::{Sender, channel};
use tracing::{info, warn};

pub(crate) use crate::signals::system::Signals;
use crate::supervisor::{self, State};

impl Signals {
    /// Reads and adopts settings whenever it is told to, until the process is told to end.
    ///
    /// Each reading has a thread of its own: one that meets a file without an end holds nobody up.
    pub(crate) async fn obey<S: Send + 'static>(
        &mut self,
        read: impl Fn() -> Result<S, String> + Clone + Send + 'static,
        adopt: impl Fn(S) -> Result<(), String>,
    ) {
        let (sender, mut readings) = channel(MOST_READINGS);
        let (mut begun, mut ended, mut adopted) = (0, 0, 0);
        loop {
            tokio::select! {
                told = self.hangup() => {
                    if told.is_none() {
                        break;
                    }
                    if begun - ended >= MOST_READINGS {
                        warn!("the configuration stays as it was: {MOST_READINGS} readings have not come to an end");
                        supervisor::tell(&State::Reloading);
                        supervisor::tell(&State::Ready);
                        continue;
                    }
                    begun += 1;
                    supervisor::tell(&State::Reloading);
                    begin(begun, read.clone(), sender.clone());
                }
                Some((number, result)) = readings.recv() => {
                    ended += 1;
                    // What was begun later, and adopted, is newer.
                    if number > adopted {
                        match result.and_then(&adopt) {
                            Ok(()) => {
                                adopted = number;
                                info!("the configuration was read again");
                            }
                            Err(error) => warn!("the configuration stays as it was: {error}"),
                        }
                    }
                    supervisor::tell(&State::Ready);
                }
            }
        }
    }
}

/// Begins a reading.
fn begin<S: Send + 'static>(
    number: usize,
    read: impl Fn() -> Result<S, String> + Send + 'static,
    sender: Sender<(usize, Result<S, String>)>,
) {
    let failed = sender.clone();
    let begun = thread::Builder::new().spawn(move || sender.blocking_send((number, read())));
    if let Err(error) = begun {
        // There is room for each reading.
        let _ = failed.try_send((number, Err(error.to_string())));
    }
}

/// The most readings at a time.
const MOST_READINGS: usize = 8;

#[cfg(unix)]
mod system {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(crate) struct Signals {
        hangup: Signal,
        interrupt: Signal,
        terminate: Signal,
        /// Those that would end the process by default, and mean nothing.
        _others: [Signal; 3],
    }

    impl Signals {
        /// Signals count from this call on.
        pub(crate) fn listen() -> io::Result<Self> {
            let others = [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::alarm()];
            let [first, second, third] = others.map(signal);
            Ok(Self {
                hangup: signal(SignalKind::hangup())?,
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                _others: [first?, second?, third?],
            })
        }

        /// `None` when the process is to end.
        pub(super) async fn hangup(&mut self) -> Option<()> {
            tokio::select! {
                hangup = self.hangup.recv() => hangup,
                () = end(&mut self.interrupt, &mut self.terminate) => None,
            }
        }

        /// Waits until the process is to end.
        pub(crate) async fn end(&mut self) {
            end(&mut self.interrupt, &mut self.terminate).await;
        }
    }

    async fn end(interrupt: &mut Signal, terminate: &mut Signal) {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::io;

    use tokio::signal::ctrl_c;

    pub(crate) struct Signals;

    impl Signals {
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        /// `None` when the process is to end.
        pub(super) async fn hangup(&mut self) -> Option<()> {
            self.end().await;
            None
        }

        /// Waits until the process is to end.
        pub(crate) async fn end(&mut self) {
            let _ = ctrl_c().await;
        }
    }
}
