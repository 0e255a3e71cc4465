//! The driver: performs the machine's actions, over anything that can send a request to a target.

use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use failover_core::{Action, Attempt, Evidence, Group, Stopped, Target, retry_after};
use http::Response;
use http_body::Body;
use tracing::Span;

use crate::answered::Answered;
use crate::clock::Clock;
use crate::error::AttemptError;
use crate::exchange::Exchange;
use crate::observe::{self, Watch};
use crate::progress::{Bound, Patience, Progress};
use crate::response_body::{Origin, ResponseBody};
use crate::runtime::Runtime;
use crate::template::Template;

/// Performs a call from its first attempt to its end. `clock` is as old as the group.
///
/// # Errors
///
/// The call stopped without an acceptable answer.
pub async fn perform<R: Runtime, X: Exchange>(
    group: &Group<Target>,
    clock: Clock,
    template: &Template,
    exchange: &X,
) -> Result<Response<ResponseBody<X::Body>>, Stopped<Response<ResponseBody<X::Body>>, AttemptError>> {
    let span = observe::span(template.method());
    let driver = Driver { group, clock, template, exchange, span: &span };
    let mut call = pin!(driver.run::<R>());
    poll_fn(|cx| span.in_scope(|| call.as_mut().poll(cx))).await
}

/// What performs one call.
#[derive(Debug)]
struct Driver<'a, X> {
    group: &'a Group<Target>,
    clock: Clock,
    template: &'a Template,
    exchange: &'a X,
    span: &'a Span,
}

impl<X: Exchange> Driver<'_, X> {
    async fn run<R: Runtime>(
        &self,
    ) -> Result<Response<ResponseBody<X::Body>>, Stopped<Response<ResponseBody<X::Body>>, AttemptError>> {
        let began = self.clock.now();
        let mut watch = Watch::begin(self.span, self.group.targets(), self.clock, began);
        let mut action = self.group.begin(self.template.facts(), began);
        loop {
            action = match action {
                Action::Send(attempt) => self.attempt::<R>(attempt, &mut watch).await,
                Action::Wait(wait) => {
                    R::sleep(wait.pause()).await;
                    wait.resume(self.clock.now())
                }
                Action::Return(answer) => {
                    watch.answered(answer.ended());
                    let body = answer.body();
                    let (mut response, target, failures) = answer.into_parts();
                    let idle = self.group.policy().body_idle;
                    response.body_mut().accept::<R>(body, self.clock, idle);
                    response.extensions_mut().insert(Answered::accepted(target, failures));
                    return Ok(response);
                }
                Action::Fail(stopped) => {
                    watch.stopped(stopped.reason());
                    return Err(stopped);
                }
            };
        }
    }

    /// Sends one attempt's request, and reports how that went.
    async fn attempt<R: Runtime>(
        &self,
        mut attempt: Pending<X::Body>,
        watch: &mut Watch<'_>,
    ) -> Action<Target, Response<ResponseBody<X::Body>>, AttemptError> {
        let (index, began) = (attempt.index(), attempt.began());
        watch.sends(index);
        let progress = Progress::start::<R>();
        let request = self.template.aim(attempt.target(), progress.clone());
        let mut waiting =
            Waiting { attempt: &mut attempt, clock: self.clock, waited_in_vain: false, ended: false };
        let result = match request {
            Ok(request) => self.exchange.exchange(index, request, Bound::new(&mut waiting, progress)).await,
            Err(error) => Err(AttemptError::unbuilt(error)),
        };
        let now = self.clock.now();
        let took = now.since(began);
        let response = match result.and_then(|response| self.checked(response)) {
            Ok(response) => response,
            Err(error) => {
                let waited_in_vain = waiting.end();
                watch.error(index, took, &error);
                self.rewind(&mut attempt);
                let evidence = error.evidence();
                return if waited_in_vain {
                    attempt.timed_out(evidence, error, now)
                } else {
                    attempt.handle_error(evidence, error, now)
                };
            }
        };
        let (status, wait) = (response.status(), retry_after(response.headers()));
        let origin = Origin { group: self.group.clone(), index, body: None };
        let response = response.map(|body| ResponseBody::new(body, Some(origin)));
        let given_up = waiting.attempt.gives_up(status);
        watch.response(index, took, status, given_up);
        if !given_up {
            waiting.end();
            return attempt.handle_response(status, wait, response, now);
        }
        let (parts, body) = response.into_parts();
        let (body, rest) = body.drain::<R>().await;
        waiting.end();
        self.rewind(&mut attempt);
        let response = Response::from_parts(parts, body);
        let action = attempt.handle_response(status, wait, response, self.clock.now());
        if let (Action::Send(_) | Action::Wait(_), Some(rest)) = (&action, rest) {
            rest.let_go();
        }
        action
    }

    /// A response, if it is one to this request.
    fn checked<B>(&self, response: Response<B>) -> Result<Response<B>, AttemptError> {
        if self.template.may_be_answered_by(response.status()) {
            Ok(response)
        } else {
            Err(AttemptError::garbage())
        }
    }

    /// Ends the attempt's body before the attempt is reported, so that what the machine knows of it stays true.
    fn rewind(&self, attempt: &mut Pending<X::Body>) {
        if !self.template.rewind() {
            attempt.body_gone();
        }
    }
}

/// An attempt that was begun.
type Pending<B> = Attempt<Target, Response<ResponseBody<B>>, AttemptError>;

/// An attempt whose answer is waited for. If the caller leaves meanwhile, it is abandoned (`abandoned`).
struct Waiting<'a, B: Body> {
    attempt: &'a mut Pending<B>,
    clock: Clock,
    waited_in_vain: bool,
    ended: bool,
}

impl<B: Body> Waiting<'_, B> {
    /// Whether the attempt was given up because its answer did not come.
    fn end(mut self) -> bool {
        self.ended = true;
        self.waited_in_vain
    }
}

impl<B: Body<Data: Send> + Send> Patience for Waiting<'_, B> {
    fn bound(&self) -> Duration {
        self.attempt.bound()
    }

    fn connect_timeout(&self) -> Duration {
        self.attempt.connect_timeout()
    }

    fn progress(&mut self, at: Instant) {
        self.attempt.progress(self.clock.at(at));
    }

    fn waits_on(&mut self, evidence: Evidence) -> bool {
        self.waited_in_vain = !self.attempt.waits_on(evidence, self.clock.now());
        !self.waited_in_vain
    }
}

impl<B: Body> Drop for Waiting<'_, B> {
    fn drop(&mut self) {
        if !self.ended {
            self.attempt.abandon(self.clock.now());
        }
    }
}
