//! The bound of one attempt: time without progress of the request body.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_std::future::timeout;

use crate::runtime::now;

/// How far one attempt's request body has come, shared by the body and by what bounds the attempt.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<Mark>>);

impl Progress {
    pub(crate) fn start() -> Self {
        Self(Arc::new(Mutex::new(Mark { at: now(), starved: false })))
    }

    /// Restarts the clock: the transport took a piece of the body.
    pub(crate) fn made(&self) {
        *self.mark() = Mark { at: now(), starved: false };
    }

    /// Notes that the transport waits for the body, and the body for the caller.
    pub(crate) fn starve(&self) {
        self.mark().starved = true;
    }

    fn mark(&self) -> MutexGuard<'_, Mark> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Mark {
    at: Instant,
    starved: bool,
}

/// The time that one attempt has, counted from the last progress of its request body.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) limit: Duration,
    pub(crate) progress: Progress,
}

impl Bound {
    /// Runs `attempt` to its end or, at the limit, drops it.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when the time is over.
    pub(crate) async fn hold<F: Future>(&self, attempt: F) -> Result<F::Output, Elapsed> {
        let mut attempt = pin!(attempt);
        let mut left = self.limit;
        loop {
            if let Ok(output) = timeout(left, attempt.as_mut()).await {
                return Ok(output);
            }
            let Mark { at, starved } = *self.progress.mark();
            left = self.limit.saturating_sub(now().saturating_duration_since(at));
            if left.is_zero() {
                return Err(Elapsed { limit: self.limit, starved });
            }
        }
    }
}

/// The end of an attempt's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed {
    pub(crate) limit: Duration,
    /// Whether the transport was waiting for the caller's part of the body.
    pub(crate) starved: bool,
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use async_std::task::{block_on, sleep};

    use super::*;

    #[test]
    fn without_progress_an_attempt_ends_at_its_limit() {
        let began = now();
        let bound = Bound { limit: SHORT, progress: Progress::start() };
        assert!(!block_on(bound.hold(pending::<()>())).unwrap_err().starved);
        assert!(began.elapsed() >= SHORT);
    }

    #[test]
    fn progress_of_the_body_restarts_the_clock() {
        let began = now();
        let progress = Progress::start();
        let bound = Bound { limit: SHORT, progress: progress.clone() };
        let upload = async {
            sleep(SHORT / 2).await;
            progress.made();
            pending::<()>().await;
        };
        assert!(block_on(bound.hold(upload)).is_err());
        assert!(began.elapsed() >= SHORT * 3 / 2);
    }

    #[test]
    fn the_longest_limit_is_no_panic() {
        let bound = Bound { limit: Duration::MAX, progress: Progress::start() };
        assert!(block_on(bound.hold(sleep(SHORT))).is_ok());
    }

    const SHORT: Duration = Duration::from_millis(100);
}
