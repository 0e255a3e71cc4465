//! What callers need of an adapter and its runtime.

use std::time::Duration;

use bytes::Bytes;
use failover_core::{Evidence, Failure, Policy, Reason, Target};
use failover_tokio::AttemptError;
use failover_tokio::rustls::ClientConfig;

use super::DEADLINE;

/// An adapter with its client.
pub(super) trait Adapter: Clone + Send + Sync + 'static {
    /// The body of an answer.
    type Body: Send;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// What a future gives, unless that takes longer.
    fn within<F: Future<Output: Send> + Send>(
        time: Duration,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// Makes a call.
    fn call(&self, call: Call) -> impl Future<Output = Result<Head<Self::Body>, Stop<Self::Body>>> + Send;

    /// The next piece of a body, or why it broke off.
    fn piece(body: &mut Self::Body) -> impl Future<Output = Result<Option<Bytes>, String>> + Send;

    /// How many tasks there are, where the runtime tells.
    fn tasks(&self) -> Option<usize> {
        self.watch()()
    }

    /// What tells it after the client is dropped.
    fn watch(&self) -> impl Fn() -> Option<usize> + 'static;
}

/// What a client is made of.
pub(super) struct Settings {
    pub(super) targets: Vec<Target>,
    pub(super) policy: Policy,
    pub(super) tls: ClientConfig,
}

/// A request as a caller makes it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) method: &'static str,
    pub(super) body: Bytes,
    pub(super) is_streamed: bool,
    pub(super) has_key: bool,
    pub(super) is_fine: bool,
    pub(super) within: Option<Duration>,
}

/// An answer.
pub(super) struct Head<B> {
    pub(super) status: u16,
    pub(super) id: Option<u64>,
    pub(super) target: usize,
    pub(super) body: B,
}

/// No answer.
pub(super) struct Stop<B> {
    /// `None`: the call was refused as one that cannot be made.
    pub(super) reason: Option<Reason>,
    pub(super) failures: Vec<Failed>,
    /// The last answer that was given up.
    pub(super) answer: Option<Head<B>>,
    /// The error as it displays.
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) target: usize,
    pub(super) evidence: Option<Evidence>,
    pub(super) status: Option<u16>,
}

impl From<&Failure<AttemptError>> for Failed {
    fn from(failure: &Failure<AttemptError>) -> Self {
        Self {
            target: failure.target(),
            evidence: failure.evidence(),
            status: failure.status().map(|status| status.as_u16()),
        }
    }
}

impl Call {
    /// Its headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let key = self.has_key.then(|| ("idempotency-key", format!("key-{}", self.id)));
        let fine = self.is_fine.then(|| ("x-fine", "yes".to_owned()));
        [("x-id", self.id.to_string())].into_iter().chain(key).chain(fine)
    }

    /// The time that it has.
    pub(super) fn deadline(&self) -> Duration {
        self.within.map_or(DEADLINE, |time| time.min(DEADLINE))
    }

    /// The size of the pieces of a streamed body.
    pub(super) fn piece(&self) -> usize {
        (self.body.len() / 5).max(1)
    }
}
