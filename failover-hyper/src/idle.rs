//! How long a body may stand still.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::runtime::Runtime;

/// The bound of the time for which a body's reader waits for its next piece: [`Policy::body_idle`].
///
/// It does not run while nobody reads.
///
/// [`Policy::body_idle`]: failover_core::Policy::body_idle
pub(crate) struct Idle {
    bound: Duration,
    now: fn() -> Instant,
    sleep: fn(Duration) -> Sleep,
    /// When the reader began to wait.
    since: Option<Instant>,
    /// Ends when `bound` may be over; one serves for many pieces.
    timer: Option<Sleep>,
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl Idle {
    pub(crate) fn new<R: Runtime>(bound: Duration) -> Self {
        Self { bound, now: R::now, sleep: |time| Box::pin(R::sleep(time)), since: None, timer: None }
    }

    /// A piece came.
    pub(crate) fn moved(&mut self) {
        self.since = None;
    }

    /// The reader waits: ready when that has been for too long.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<StoodStill> {
        let since = *self.since.get_or_insert_with(self.now);
        loop {
            let left = self.bound.saturating_sub((self.now)().saturating_duration_since(since));
            if left.is_zero() {
                return Poll::Ready(StoodStill(self.bound));
            }
            let timer = self.timer.get_or_insert_with(|| (self.sleep)(left));
            match timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.timer = None,
            }
        }
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("bound", &self.bound).field("since", &self.since).finish_non_exhaustive()
    }
}

/// The end of a body that stood still.
#[derive(Debug, thiserror::Error)]
#[error("no piece of the body came for {0:?}")]
pub(crate) struct StoodStill(pub(crate) Duration);
