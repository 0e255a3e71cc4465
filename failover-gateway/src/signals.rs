//! What the process is told while it runs.

use tokio::task::spawn_blocking;
use tracing::{info, warn};

pub(crate) use crate::signals::system::Signals;

impl Signals {
    /// Calls `reload` whenever it is told to, until the process is told to end.
    pub(crate) async fn obey(&mut self, reload: impl Fn() -> Result<(), String> + Clone + Send + 'static) {
        while self.hangup().await.is_some() {
            // Reading may take as long as it likes, on a thread of its own.
            let reading = spawn_blocking(reload.clone());
            tokio::select! {
                result = reading => match result {
                    Ok(Ok(())) => info!("the configuration was read again"),
                    Ok(Err(error)) => warn!("the configuration stays as it was: {error}"),
                    Err(error) => warn!("the configuration stays as it was: {error}"),
                },
                () = self.end() => break,
            }
        }
        info!("no more connections are taken, and the calls under way end");
    }
}

#[cfg(unix)]
mod system {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(crate) struct Signals {
        hangup: Signal,
        interrupt: Signal,
        terminate: Signal,
    }

    impl Signals {
        /// Signals count from this call on.
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self {
                hangup: signal(SignalKind::hangup())?,
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
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
        pub(super) async fn end(&mut self) {
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
        pub(super) async fn end(&mut self) {
            let _ = ctrl_c().await;
        }
    }
}
