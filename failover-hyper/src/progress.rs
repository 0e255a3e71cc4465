//! The bound of one attempt: time without progress of the request body.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::runtime::Runtime;
use crate::wire::Watermark;
use failover_core::Evidence;

/// How far one attempt has come, shared by its request's body and by what bounds the attempt.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Mutex<State>>);

impl Progress {
    /// The progress of an attempt that begins.
    #[must_use]
    pub fn start<R: Runtime>() -> Self {
        Self::start_at::<R>(R::now())
    }

    /// The progress of an attempt that began at an instant.
    pub(crate) fn start_at<R: Runtime>(at: Instant) -> Self {
        let state = State { at, starved: false, stage: Stage::Waiting, now: R::now };
        Self(Arc::new(Mutex::new(state)))
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
        state.at = (state.now)();
        state.starved = false;
    }

    /// Notes that the transport waits for the body, and the body for the caller.
    pub(crate) fn starve(&self) {
        self.state().starved = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Debug)]
struct State {
    at: Instant,
    starved: bool,
    stage: Stage,
    now: fn() -> Instant,
}

/// Who has an attempt's request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Stage {
    /// Nobody: the target's service is not ready for it.
    Waiting,
    /// The target's service.
    Taken,
    /// The transport, which has no connection for it yet.
    Connecting,
    /// The transport, whose connections to the target have no room for it, or which opens as many as it may for others.
    Queued,
    /// A connection that carries no other request meanwhile.
    Alone(Watermark),
    /// A connection that others share.
    Among(Watermark),
}

impl Stage {
    pub(crate) const fn is_unconnected(&self) -> bool {
        matches!(self, Self::Connecting | Self::Queued)
    }
}

/// What decides how long an attempt waits.
pub trait Patience: Send {
    /// How long from now on until it is to be asked again.
    fn bound(&self) -> Duration;

    /// How long the attempt may be without a connection, from its beginning.
    fn connect_timeout(&self) -> Duration;

    /// The transport took bytes of the request's body.
    fn progress(&mut self, at: Instant);

    /// Whether the attempt goes on waiting, of which giving it up would prove this.
    fn waits_on(&mut self, evidence: Evidence) -> bool;
}

/// The time that one attempt has, counted from the last progress of its request's body.
pub struct Bound<'a> {
    patience: &'a mut dyn Patience,
    progress: Progress,
}

impl<'a> Bound<'a> {
    /// The bound of an attempt that begins.
    #[must_use]
    pub fn new(patience: &'a mut dyn Patience, progress: Progress) -> Self {
        Self { patience, progress }
    }

    /// How far the attempt has come.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How long the attempt may be without a connection, from its beginning, for a transport that bounds that by itself.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.patience.connect_timeout()
    }

    /// Runs `attempt` to its end, or drops it when it waits no longer.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when the time is over.
    pub async fn hold<R, F>(&mut self, mut attempt: Pin<&mut F>) -> Result<F::Output, Elapsed>
    where
        R: Runtime,
        F: Future<Output: Send> + Send,
    {
        let began = self.progress.state().at;
        let mut left = self.patience.bound().min(self.patience.connect_timeout());
        let mut last = began;
        let mut due = began.checked_add(left);
        loop {
            if let Some(output) = R::timeout(left, attempt.as_mut()).await {
                self.note(&mut last);
                return Ok(output);
            }
            self.note(&mut last);
            let (now, State { at, starved, stage, .. }) = (R::now(), self.progress.state().clone());
            // How late the timer is, is not told.
            let waited = due.map_or(now, |due| due.min(now)).saturating_duration_since(at);
            let millis = (waited + Duration::from_micros(500)).as_millis();
            let limit = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
            let elapsed = Elapsed { limit, starved, stage };
            if !self.patience.waits_on(elapsed.proves()) {
                return Err(elapsed);
            }
            left = self.patience.bound();
            let connecting =
                self.patience.connect_timeout().saturating_sub(now.saturating_duration_since(began));
            if !connecting.is_zero() {
                left = left.min(connecting);
            }
            due = now.checked_add(left);
        }
    }

    /// Tells of progress that was made since `last`.
    fn note(&mut self, last: &mut Instant) {
        let at = self.progress.state().at;
        if at > *last {
            *last = at;
            self.patience.progress(at);
        }
    }
}

impl fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// The end of an attempt's time.
#[derive(Debug)]
pub struct Elapsed {
    /// How long it was to wait since the last progress, in whole milliseconds.
    pub(crate) limit: Duration,
    /// Whether the transport was waiting for the caller's part of the body.
    pub(crate) starved: bool,
    pub(crate) stage: Stage,
}

impl Elapsed {
    /// What is known of the request if it is given up now.
    pub(crate) fn proves(&self) -> Evidence {
        match &self.stage {
            Stage::Waiting | Stage::Queued => Evidence::NotSent,
            Stage::Connecting => Evidence::NoConnection,
            Stage::Alone(mark) if mark.is_untouched() => Evidence::NotSent,
            _ if self.starved => Evidence::LocalFault,
            _ => Evidence::MaybeProcessed,
        }
    }

    /// Keeps the connection of a target that was silent from other requests, until something is heard on it: those over
    /// HTTP/2 would share it, and it may be dead.
    pub(crate) fn suspect_connection(&self) {
        if let Stage::Among(mark) = &self.stage {
            mark.suspect();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::testing::Tokio;

    #[tokio::test(start_paused = true)]
    async fn without_progress_an_attempt_ends_at_its_limit() {
        let began = Instant::now();
        let mut limits = Limits::new(SECOND, SECOND);
        let mut bound = Bound::new(&mut limits, Progress::start::<Tokio>());
        assert!(!bound.hold::<Tokio, _>(pin!(pending::<()>())).await.unwrap_err().starved);
        assert_eq!(began.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_told_as_it_was_set_however_late_its_timer_is() {
        let mut limits = Limits::new(SECOND * 3 / 10, SECOND);
        let mut bound = Bound::new(&mut limits, Progress::start::<Tokio>());
        let busy = async {
            sleep(SECOND * 3 / 10).await;
            tokio::time::advance(SECOND / 100).await;
            pending::<()>().await;
        };
        assert_eq!(bound.hold::<Tokio, _>(pin!(busy)).await.unwrap_err().limit, SECOND * 3 / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_of_the_body_restarts_the_clock() {
        let began = Instant::now();
        let progress = Progress::start::<Tokio>();
        let mut limits = Limits::new(SECOND, SECOND);
        let mut bound = Bound::new(&mut limits, progress.clone());
        let upload = async {
            for _ in 0..5 {
                sleep(SECOND * 4 / 5).await;
                progress.made();
            }
            pending::<()>().await;
        };
        assert!(bound.hold::<Tokio, _>(pin!(upload)).await.is_err());
        assert_eq!(began.elapsed(), SECOND * 5);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_that_nobody_asked_for_is_told_before_the_answer() {
        let progress = Progress::start::<Tokio>();
        let mut limits = Limits::new(SECOND, SECOND);
        let upload = async {
            sleep(SECOND / 2).await;
            progress.made();
        };
        assert!(Bound::new(&mut limits, progress.clone()).hold::<Tokio, _>(pin!(upload)).await.is_ok());
        assert_eq!(limits.sent.saturating_duration_since(limits.began), SECOND / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn connect_bound_without_a_connection_an_attempt_ends_sooner() {
        let began = Instant::now();
        let progress = Progress::start::<Tokio>();
        let mut limits = Limits::new(SECOND * 10, SECOND * 3);
        let mut bound = Bound::new(&mut limits, progress.clone());
        progress.reach(Stage::Connecting);
        assert!(bound.hold::<Tokio, _>(pin!(pending::<()>())).await.unwrap_err().stage.is_unconnected());
        assert_eq!(began.elapsed(), SECOND * 3);
        // Whoever else has the request has all the time.
        let mut limits = Limits::new(SECOND * 10, SECOND * 3);
        progress.made();
        progress.reach(Stage::Taken);
        let mut bound = Bound::new(&mut limits, progress);
        assert_eq!(bound.hold::<Tokio, _>(pin!(sleep(SECOND * 5))).await.ok(), Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn late_an_attempt_that_waits_on_is_the_same_attempt() {
        let began = Instant::now();
        let mut limits = Limits { again: SECOND / 4, ..Limits::new(SECOND * 10, SECOND * 10) };
        let mut bound = Bound::new(&mut limits, Progress::start::<Tokio>());
        assert!(bound.hold::<Tokio, _>(pin!(sleep(SECOND))).await.is_ok());
        assert_eq!((began.elapsed(), limits.asked), (SECOND, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_limit_is_no_panic() {
        let mut limits = Limits::new(Duration::MAX, Duration::MAX);
        let mut bound = Bound::new(&mut limits, Progress::start::<Tokio>());
        assert!(bound.hold::<Tokio, _>(pin!(sleep(SECOND))).await.is_ok());
    }

    /// Waits for `limit` without progress, or for `connect_limit` without a connection, and is asked once in `again`.
    struct Limits {
        limit: Duration,
        connect_limit: Duration,
        again: Duration,
        began: std::time::Instant,
        sent: std::time::Instant,
        asked: u32,
    }

    impl Limits {
        fn new(limit: Duration, connect_limit: Duration) -> Self {
            let now = Tokio::now();
            Self { limit, connect_limit, again: Duration::MAX, began: now, sent: now, asked: 0 }
        }
    }

    impl Patience for Limits {
        fn bound(&self) -> Duration {
            self.again.min(self.limit.saturating_sub(Tokio::now() - self.sent))
        }

        fn connect_timeout(&self) -> Duration {
            self.connect_limit
        }

        fn progress(&mut self, at: std::time::Instant) {
            self.sent = at;
        }

        fn waits_on(&mut self, evidence: Evidence) -> bool {
            self.asked += 1;
            let limit = if evidence == Evidence::NoConnection { self.connect_limit } else { self.limit };
            Tokio::now() - self.sent < limit
        }
    }

    const SECOND: Duration = Duration::from_secs(1);
}
