//! The bound of one attempt: time without progress of the request body.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::client::legacy::connect::CaptureConnection;

use crate::runtime::Runtime;

/// How far one attempt has come, shared by its request's body and by what bounds the attempt.
#[derive(Clone, Debug)]
pub struct Progress {
    state: Arc<Mutex<State>>,
    now: fn() -> Instant,
}

impl Progress {
    /// The progress of an attempt that begins.
    #[must_use]
    pub fn start<R: Runtime>() -> Self {
        let state = State { at: R::now(), starved: false, stage: Stage::Waiting };
        Self { state: Arc::new(Mutex::new(state)), now: R::now }
    }

    /// Notes who has the request.
    pub fn reach(&self, stage: Stage) {
        self.state().stage = stage;
    }

    /// Who has the request.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.state().stage.clone()
    }

    /// Whether the transport has the request and no connection for it yet, so that nothing of it was sent.
    #[must_use]
    pub fn is_unconnected(&self) -> bool {
        self.state().stage.is_unconnected()
    }

    /// Restarts the clock: the transport took a piece of the body.
    pub(crate) fn made(&self) {
        let mut state = self.state();
        state.at = (self.now)();
        state.starved = false;
    }

    /// Notes that the transport waits for the body, and the body for the caller.
    pub(crate) fn starve(&self) {
        self.state().starved = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Debug)]
struct State {
    at: Instant,
    starved: bool,
    stage: Stage,
}

/// Who has an attempt's request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Stage {
    /// Nobody: the target's service is not ready for it.
    Waiting,
    /// The target's service.
    Taken,
    /// The transport, which tells the connection that it is sent on.
    Pooled(CaptureConnection),
}

impl Stage {
    pub(crate) fn is_unconnected(&self) -> bool {
        matches!(self, Self::Pooled(connection) if connection.connection_metadata().is_none())
    }
}

/// The time that one attempt has, counted from the last progress of its request's body.
#[derive(Debug)]
pub struct Bound {
    limit: Duration,
    /// While there is no connection.
    connect_limit: Duration,
    progress: Progress,
}

impl Bound {
    /// A bound of `limit` without progress, and of `connect_limit` without a connection.
    #[must_use]
    pub fn new(limit: Duration, connect_limit: Duration, progress: Progress) -> Self {
        Self { limit, connect_limit: connect_limit.min(limit), progress }
    }

    /// Notes who has the request.
    pub fn reach(&self, stage: Stage) {
        self.progress.reach(stage);
    }

    /// Runs `attempt` to its end or, at the limit, drops it.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when the time is over.
    pub async fn hold<R, F>(&self, attempt: F) -> Result<F::Output, Elapsed>
    where
        R: Runtime,
        F: Future<Output: Send> + Send,
    {
        let mut attempt = pin!(attempt);
        let mut left = self.connect_limit;
        loop {
            if let Some(output) = R::timeout(left, attempt.as_mut()).await {
                return Ok(output);
            }
            let State { at, starved, stage } = self.progress.state().clone();
            let limit = if stage.is_unconnected() { self.connect_limit } else { self.limit };
            left = limit.saturating_sub(R::now().saturating_duration_since(at));
            if left.is_zero() {
                return Err(Elapsed { limit, starved, stage });
            }
        }
    }
}

/// The end of an attempt's time.
#[derive(Debug)]
pub struct Elapsed {
    pub(crate) limit: Duration,
    /// Whether the transport was waiting for the caller's part of the body.
    pub(crate) starved: bool,
    pub(crate) stage: Stage,
}

impl Elapsed {
    /// Keeps the connection of a target that was silent from other requests: those over HTTP/2 would share it, and it
    /// may be dead.
    pub(crate) fn retire_connection(&self) {
        let Stage::Pooled(connection) = &self.stage else { return };
        if let Some(connected) = connection.connection_metadata().as_ref().filter(|_| !self.starved) {
            connected.poison();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use hyper_util::client::legacy::connect::capture_connection;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::testing::Tokio;

    #[tokio::test(start_paused = true)]
    async fn without_progress_an_attempt_ends_at_its_limit() {
        let began = Instant::now();
        let bound = Bound::new(SECOND, SECOND, Progress::start::<Tokio>());
        assert!(!bound.hold::<Tokio, _>(pending::<()>()).await.unwrap_err().starved);
        assert_eq!(began.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_of_the_body_restarts_the_clock() {
        let began = Instant::now();
        let progress = Progress::start::<Tokio>();
        let bound = Bound::new(SECOND, SECOND, progress.clone());
        let upload = async {
            for _ in 0..5 {
                sleep(SECOND * 4 / 5).await;
                progress.made();
            }
            pending::<()>().await;
        };
        assert!(bound.hold::<Tokio, _>(upload).await.is_err());
        assert_eq!(began.elapsed(), SECOND * 5);
    }

    #[tokio::test(start_paused = true)]
    async fn connect_bound_without_a_connection_an_attempt_ends_sooner() {
        let began = Instant::now();
        let progress = Progress::start::<Tokio>();
        let bound = Bound::new(SECOND * 10, SECOND * 3, progress.clone());
        progress.reach(Stage::Pooled(capture_connection(&mut http::Request::new(()))));
        assert!(bound.hold::<Tokio, _>(pending::<()>()).await.unwrap_err().stage.is_unconnected());
        assert_eq!(began.elapsed(), SECOND * 3);
        // Whoever else has the request has all the time.
        progress.reach(Stage::Taken);
        assert_eq!(bound.hold::<Tokio, _>(sleep(SECOND * 5)).await.ok(), Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_limit_is_no_panic() {
        let bound = Bound::new(Duration::MAX, Duration::MAX, Progress::start::<Tokio>());
        assert!(bound.hold::<Tokio, _>(sleep(SECOND)).await.is_ok());
    }

    const SECOND: Duration = Duration::from_secs(1);
}
