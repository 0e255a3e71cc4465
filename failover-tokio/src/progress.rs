//! The bound of one attempt: time without progress of the request body.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::time::{Instant, timeout};

/// How far one attempt has come, shared by its request's body and by what bounds the attempt.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<Mark>>);

impl Progress {
    pub(crate) fn start() -> Self {
        Self(Arc::new(Mutex::new(Mark { at: Instant::now(), starved: false, stage: Stage::Waiting })))
    }

    /// Restarts the clock: the transport took a piece of the body.
    pub(crate) fn made(&self) {
        let mut mark = self.mark();
        mark.at = Instant::now();
        mark.starved = false;
    }

    /// Notes that the transport waits for the body, and the body for the caller.
    pub(crate) fn starve(&self) {
        self.mark().starved = true;
    }

    /// Notes who has the request.
    pub(crate) fn reach(&self, stage: Stage) {
        self.mark().stage = stage;
    }

    fn mark(&self) -> MutexGuard<'_, Mark> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Debug)]
struct Mark {
    at: Instant,
    starved: bool,
    stage: Stage,
}

/// Who has an attempt's request.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// Nobody: the target's service is not ready for it.
    Waiting,
    /// The target's service.
    Taken,
    /// The transport, which tells the connection that it is sent on.
    Pooled(CaptureConnection),
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
            let Mark { at, starved, stage } = self.progress.mark().clone();
            left = self.limit.saturating_sub(at.elapsed());
            if left.is_zero() {
                return Err(Elapsed { limit: self.limit, starved, stage });
            }
        }
    }
}

/// The end of an attempt's time.
#[derive(Debug)]
pub(crate) struct Elapsed {
    pub(crate) limit: Duration,
    /// Whether the transport was waiting for the caller's part of the body.
    pub(crate) starved: bool,
    pub(crate) stage: Stage,
}

impl Elapsed {
    /// Keeps the connection of a target that was silent from other requests: those over HTTP/2 would share it, and it
    /// may be dead.
    pub(crate) fn retire_connection(&self) {
        if let Stage::Pooled(connection) = &self.stage
            && let Some(connected) = connection.connection_metadata().as_ref()
            && !self.starved
        {
            connected.poison();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_progress_an_attempt_ends_at_its_limit() {
        let began = Instant::now();
        let bound = Bound { limit: SECOND, progress: Progress::start() };
        assert!(!bound.hold(pending::<()>()).await.unwrap_err().starved);
        assert_eq!(began.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_of_the_body_restarts_the_clock() {
        let began = Instant::now();
        let progress = Progress::start();
        let bound = Bound { limit: SECOND, progress: progress.clone() };
        let upload = async {
            for _ in 0..5 {
                sleep(SECOND * 4 / 5).await;
                progress.made();
            }
            pending::<()>().await;
        };
        assert!(bound.hold(upload).await.is_err());
        assert_eq!(began.elapsed(), SECOND * 5);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_limit_is_no_panic() {
        let bound = Bound { limit: Duration::MAX, progress: Progress::start() };
        assert!(bound.hold(sleep(SECOND)).await.is_ok());
    }

    const SECOND: Duration = Duration::from_secs(1);
}
