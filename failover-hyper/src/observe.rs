//! What is told of calls and attempts while they run: a span, events for `tracing`, and metrics.
//!
//! Nothing that is told shows more of a request than its method, or more of a URL than scheme, host and port.

use std::time::Duration;

#[cfg(feature = "record")]
use failover_core::Failure;
use failover_core::{Answer, Attempt, Evidence, Reason, Stopped, Target, Timestamp};
use http::{Method, StatusCode};
use tracing::field::{Empty, display};
use tracing::{Span, debug, info_span};

use crate::error::AttemptError;
#[cfg(feature = "record")]
use crate::notes::Notes;
use crate::observed::{Met, Observed};
#[cfg(feature = "record")]
use crate::recorded::Event;

/// The span of one call, which can be filtered apart from what is told in it: it is made for each call.
pub(crate) fn span(observed: &Observed, method: &Method) -> Span {
    info_span!(
        target: "failover::call",
        "call",
        client = observed.client(),
        %method,
        outcome = Empty,
        index = Empty,
        target_name = Empty,
        attempts = Empty,
        took = Empty
    )
}

/// The body of an answer that was handed to the caller broke off.
pub(crate) fn answer_broke_off(observed: &Observed, index: usize) {
    let (client, target_name) = (observed.client(), observed.name(index));
    debug!(target: "failover", client, index, target_name, "answer broke off");
    #[cfg(feature = "metrics")]
    observed.series(index).answer_broke_off();
    observed.tell(Met::Said(index, "its answer broke off"));
}

/// One call, as it is watched from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    /// Disabled where nobody listens.
    span: &'a Span,
    observed: &'a Observed,
    #[cfg(feature = "record")]
    method: &'a Method,
    #[cfg(feature = "record")]
    notes: Notes,
    began: Timestamp,
    /// The target of the last attempt.
    last: Option<usize>,
    attempts: usize,
    ended: bool,
}

impl<'a> Watch<'a> {
    #[cfg_attr(not(feature = "record"), expect(unused_variables, reason = "a record tells the method"))]
    pub(crate) fn begin(
        span: &'a Span,
        observed: &'a Observed,
        method: &'a Method,
        began: Timestamp,
    ) -> Self {
        Self {
            span,
            observed,
            #[cfg(feature = "record")]
            method,
            #[cfg(feature = "record")]
            notes: Notes::default(),
            began,
            last: None,
            attempts: 0,
            ended: false,
        }
    }

    /// An attempt begins.
    pub(crate) fn sends<R>(&mut self, attempt: &Attempt<Target, R, AttemptError>) {
        let target = attempt.index();
        #[cfg(feature = "record")]
        if self.observed.recording().is_some() {
            self.notes.sends(attempt);
        }
        #[cfg(feature = "metrics")]
        if let Some(last) = self.last.filter(|last| *last != target) {
            self.observed.series(last).failed_over(self.observed.series(target));
        }
        self.last = Some(target);
        self.attempts += 1;
    }

    /// An attempt was answered, and given up by the answer or not.
    pub(crate) fn response(
        &self,
        index: usize,
        took: Duration,
        status: StatusCode,
        given_up: Option<&'static str>,
    ) {
        let (target_name, code, seconds) = (self.observed.name(index), status.as_u16(), took.as_secs_f64());
        if given_up.is_some() {
            debug!(target: "failover", index, target_name, status = code, took = seconds, "attempt given up");
        } else {
            debug!(target: "failover", index, target_name, status = code, took = seconds, "attempt answered");
        }
        #[cfg(feature = "metrics")]
        if let Some(outcome) = given_up {
            self.observed.series(index).given_up(outcome, Some(status), took);
        } else {
            self.observed.series(index).answered(status, took);
        }
    }

    /// An attempt had no answer.
    pub(crate) fn error(&self, index: usize, took: Duration, error: &AttemptError) {
        let (target_name, evidence, cause) =
            (self.observed.name(index), error.evidence().as_str(), error.cause().map(display));
        let (fault, seconds) = (error.fault(), took.as_secs_f64());
        debug!(
            target: "failover", index, target_name, evidence, error = %fault, cause, took = seconds, "attempt given up"
        );
        #[cfg(feature = "metrics")]
        self.observed.series(index).given_up(evidence, None, took);
    }

    /// The call has an answer.
    pub(crate) fn answered<R>(&mut self, answer: &Answer<R, AttemptError>) {
        let ended = answer.ended();
        #[cfg(feature = "record")]
        if let Some(recording) = self.observed.recording() {
            if answer.failures().is_empty() {
                recording.answered_at_once();
            } else {
                self.record(Ok(answer.target()), answer.failures(), ended);
            }
        }
        let again = self.observed.outage().answered(self.observed.client(), ended);
        #[cfg(feature = "record")]
        if let Some((stopped, lasted)) = again {
            self.observed.record(|| Event::AnsweredAgain { stopped, lasted });
        }
        #[cfg(not(feature = "record"))]
        let _ = again;
        self.end("answered", ended);
    }

    /// The call has none.
    pub(crate) fn stopped<R>(&mut self, stopped: &Stopped<R, AttemptError>) {
        let (reason, attempts, now) = (stopped.reason(), self.attempts, self.observed.clock().now());
        debug!(target: "failover", reason = reason.as_str(), attempts, "call stopped: {reason}");
        #[cfg(feature = "record")]
        self.record(Err(reason), stopped.failures(), now);
        if !is_the_callers(stopped) {
            let is_news = self.observed.outage().stopped(self.observed.client(), reason, now);
            #[cfg(feature = "record")]
            if is_news {
                self.observed.record(|| Event::Stops { reason: reason.as_str().to_owned() });
            }
            #[cfg(not(feature = "record"))]
            let _ = is_news;
        }
        self.end(reason.as_str(), now);
    }

    #[cfg(feature = "record")]
    fn record(&self, outcome: Result<usize, Reason>, failures: &[Failure<AttemptError>], ended: Timestamp) {
        self.notes.record(self.observed, self.method, outcome, failures, ended.since(self.began));
    }

    fn end(&mut self, outcome: &'static str, ended: Timestamp) {
        self.ended = true;
        let took = ended.since(self.began);
        self.span
            .record("outcome", outcome)
            .record("attempts", self.attempts)
            .record("took", took.as_secs_f64());
        if let Some(last) = self.last {
            self.span.record("index", last).record("target_name", self.observed.name(last));
        }
        #[cfg(feature = "metrics")]
        self.observed.call_metrics().ended(self.observed.client(), outcome, took);
    }
}

impl Drop for Watch<'_> {
    /// The caller went away.
    fn drop(&mut self) {
        if !self.ended {
            // It is dropped where its span is not entered.
            debug!(target: "failover", parent: self.span, attempts = self.attempts, "call abandoned");
            #[cfg(feature = "record")]
            if let Some(recording) = self.observed.recording() {
                recording.abandoned();
            }
            self.end("abandoned", self.observed.clock().now());
        }
    }
}

/// Whether a call stopped by its own fault: it had no time at all, or its request cannot be sent.
fn is_the_callers<R>(stopped: &Stopped<R, AttemptError>) -> bool {
    let last = stopped.failures().last();
    match stopped.reason() {
        Reason::Deadline => last.is_none(),
        Reason::LocalFault => last.is_some_and(|last| last.evidence() == Some(Evidence::LocalFault)),
        _ => false,
    }
}
