//! What is told of calls and attempts while they run: a span and events for `tracing`, and metrics.
//!
//! Nothing that is told shows more of a request than its method, or more of a URL than scheme, host and port.

use std::time::Duration;

use failover_core::{Reason, Target, Timestamp};
use http::{Method, StatusCode};
use tracing::field::{Empty, debug, display};
use tracing::{Span, debug, info, info_span, warn};

use crate::clock::Clock;
use crate::error::AttemptError;
#[cfg(feature = "metrics")]
use crate::metrics;

/// The span of one call.
pub(crate) fn span(method: &Method) -> Span {
    info_span!(target: "failover", "call", %method, outcome = Empty, target = Empty, attempts = Empty, took = Empty)
}

/// The body of an answer that was handed to the caller broke off.
pub(crate) fn answer_broke_off(index: usize, target: &Target) {
    warn!(target: "failover", index, %target, "answer broke off");
    #[cfg(feature = "metrics")]
    metrics::broken_answer(target);
}

/// One call, as it is watched from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    /// Disabled where nobody listens.
    span: &'a Span,
    targets: &'a [Target],
    clock: Clock,
    began: Timestamp,
    /// The target of the last attempt.
    last: Option<usize>,
    attempts: usize,
    ended: bool,
}

impl<'a> Watch<'a> {
    pub(crate) fn begin(span: &'a Span, targets: &'a [Target], clock: Clock, began: Timestamp) -> Self {
        Self { span, targets, clock, began, last: None, attempts: 0, ended: false }
    }

    /// An attempt begins.
    pub(crate) fn sends(&mut self, target: usize) {
        #[cfg(feature = "metrics")]
        if let Some(last) = self.last.filter(|last| *last != target) {
            metrics::failover(&self.targets[last], &self.targets[target]);
        }
        self.last = Some(target);
        self.attempts += 1;
    }

    /// An attempt was answered.
    pub(crate) fn response(&self, index: usize, took: Duration, status: StatusCode, given_up: bool) {
        let (target, status) = (&self.targets[index], status.as_u16());
        if given_up {
            info!(target: "failover", index, %target, status, ?took, "attempt given up");
        } else {
            debug!(target: "failover", index, %target, status, ?took, "attempt answered");
        }
        #[cfg(feature = "metrics")]
        metrics::attempt(target, if given_up { "failover_code" } else { "answered" }, took);
    }

    /// An attempt had no answer.
    pub(crate) fn error(&self, index: usize, took: Duration, error: &AttemptError) {
        let (target, evidence, cause) =
            (&self.targets[index], error.evidence().as_str(), error.cause().map(display));
        info!(target: "failover", index, %target, evidence, %error, cause, ?took, "attempt given up");
        #[cfg(feature = "metrics")]
        metrics::attempt(target, evidence, took);
    }

    /// The call has an answer.
    pub(crate) fn answered(&mut self, ended: Timestamp) {
        self.end("answered", ended);
    }

    /// The call has none.
    pub(crate) fn stopped(&mut self, reason: Reason) {
        let (attempts, outcome) = (self.attempts, reason.as_str());
        warn!(target: "failover", reason = outcome, attempts, "call stopped: {reason}");
        self.end(outcome, self.clock.now());
    }

    fn end(&mut self, outcome: &'static str, ended: Timestamp) {
        self.ended = true;
        let took = ended.since(self.began);
        self.span.record("outcome", outcome).record("attempts", self.attempts).record("took", debug(took));
        if let Some(last) = self.last {
            self.span.record("target", display(&self.targets[last]));
        }
        #[cfg(feature = "metrics")]
        metrics::call(outcome, took);
    }
}

impl Drop for Watch<'_> {
    /// The caller went away.
    fn drop(&mut self) {
        if !self.ended {
            // It is dropped where its span is not entered.
            debug!(target: "failover", parent: self.span, attempts = self.attempts, "call abandoned");
            self.end("abandoned", self.clock.now());
        }
    }
}
