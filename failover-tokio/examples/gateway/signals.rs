//! What the process is told while it runs.

use tracing::{info, warn};

pub(crate) use self::system::Signals;

impl Signals {
    /// Calls `reload` whenever it is told to, until the process is told to end.
    pub(crate) async fn obey(&mut self, reload: impl Fn() -> Result<(), String>) {
        while self.hangup().await.is_some() {
            match reload() {
                Ok(()) => info!("the configuration was read again"),
                Err(error) => warn!("the configuration stays as it was: {error}"),
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
                _ = self.interrupt.recv() => None,
                _ = self.terminate.recv() => None,
            }
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
            let _ = ctrl_c().await;
            None
        }
    }
}
