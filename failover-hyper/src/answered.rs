//! The story of an answer: which target gave it, and what happened before.

use std::sync::Arc;

use failover_core::Failure;

use crate::error::AttemptError;

/// Tells which target gave a response and what happened before it.
///
/// Every [`ResponseBody`](crate::ResponseBody::answered) has it; a response of surf's has it as an extension.
///
/// # Examples
///
/// ```
/// # fn report(response: http::Response<failover_hyper::ResponseBody>) {
/// let answered = response.body().answered();
/// println!("target {} after {} attempts", answered.target(), answered.attempts());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Answered {
    target: usize,
    pub(crate) attempts: usize,
    /// `None` where nothing failed, so that the happy path allocates nothing.
    failures: Option<Arc<[Failure<AttemptError>]>>,
}

impl Answered {
    /// The answer to the only attempt.
    pub(crate) fn at_once(target: usize) -> Self {
        Self { target, attempts: 1, failures: None }
    }

    /// An answer that was accepted, after these failures.
    pub(crate) fn accepted(target: usize, failures: Vec<Failure<AttemptError>>) -> Self {
        Self { target, attempts: failures.len() + 1, failures: share(failures) }
    }

    /// The last of the answers that were given up; it is itself among the failures.
    #[doc(hidden)]
    #[must_use]
    pub fn given_up(failures: Vec<Failure<AttemptError>>) -> Self {
        let answer = failures.iter().rfind(|failure| failure.status().is_some());
        let target = answer.map_or(0, Failure::target);
        Self { target, attempts: failures.len(), failures: share(failures) }
    }

    /// The index of the target that gave this response.
    #[must_use]
    pub fn target(&self) -> usize {
        self.target
    }

    /// How many requests were sent, or tried to be sent, in the call.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// The failures of the call, in the order in which they happened.
    #[must_use]
    pub fn failures(&self) -> &[Failure<AttemptError>] {
        self.failures.as_deref().unwrap_or_default()
    }
}

fn share(failures: Vec<Failure<AttemptError>>) -> Option<Arc<[Failure<AttemptError>]>> {
    (!failures.is_empty()).then(|| failures.into())
}
