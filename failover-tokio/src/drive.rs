//! The driver: performs the machine's actions, over any service that can send a request to a target.

use failover_core::{Action, Attempt, Stopped, Target, retry_after};
use http::Response;
use tokio::time::sleep;
use tracing::{Instrument, Span};

use crate::answer::{Answered, Origin, ResponseBody};
use crate::body::CallBody;
use crate::call::Call;
use crate::classify::Classify;
use crate::error::{AttemptError, Error};
use crate::evidence::Failed;
use crate::exchange::Exchange;
use crate::observe::{self, Watch};
use crate::progress::{Bound, Progress};
use crate::targets::{Clock, List, Targets};

impl<S: Exchange> Targets<S> {
    /// Performs a call on the current list.
    ///
    /// # Errors
    ///
    /// The call stopped without an acceptable answer.
    pub(crate) async fn perform(
        &self,
        call: Call,
        classify: &(impl Classify + Sync),
    ) -> Result<Response<ResponseBody<S::Body>>, Error<S::Body>> {
        let (list, span) = (self.current(), observe::span(call.method()));
        let driver = Driver { list: &list, clock: self.clock, classify, call: &call, span: &span };
        driver.run().instrument(span.clone()).await.map_err(Error::Stopped)
    }
}

/// What performs one call.
#[derive(Debug)]
struct Driver<'a, S, C> {
    list: &'a List<S>,
    clock: Clock,
    classify: &'a C,
    call: &'a Call,
    span: &'a Span,
}

impl<S: Exchange, C: Classify + Sync> Driver<'_, S, C> {
    /// Runs the call from its first attempt to its end.
    async fn run(
        &self,
    ) -> Result<Response<ResponseBody<S::Body>>, Stopped<Response<ResponseBody<S::Body>>, AttemptError>> {
        let began = self.clock.now();
        let mut watch = Watch::begin(self.span, self.list.group.targets(), self.clock, began);
        let mut action = Action::Send(self.list.group.begin(self.call.facts(), began));
        loop {
            action = match action {
                Action::Send(attempt) => self.perform(attempt, &mut watch).await,
                Action::Wait(wait) => {
                    sleep(wait.pause()).await;
                    wait.resume(self.clock.now())
                }
                Action::Return(answer) => {
                    watch.answered(answer.ended());
                    let (mut response, target, failures) = answer.into_parts();
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
    async fn perform(
        &self,
        mut attempt: Attempt<Target, Response<ResponseBody<S::Body>>, AttemptError>,
        watch: &mut Watch<'_>,
    ) -> Action<Target, Response<ResponseBody<S::Body>>, AttemptError> {
        let (index, began, call) = (attempt.index(), attempt.began(), self.call);
        watch.sends(index);
        let progress = Progress::start();
        let body = call.body.attempt(progress.clone());
        let bound = Bound { limit: attempt.timeout(), progress };
        let result = match call.head.aim(attempt.target(), body) {
            Ok(request) => self.list.service(index).exchange(request, bound, self.classify).await,
            Err(error) => Err(Failed::unbuilt(error)),
        };
        let now = self.clock.now();
        let took = now.since(began);
        match result.and_then(|response| call.head.checked(response)) {
            Ok(mut response) => {
                let (status, wait) = (response.status(), retry_after(response.headers()));
                call.head.receive(&mut response);
                let origin = Origin { group: self.list.group.clone(), index };
                let response = response.map(|body| ResponseBody::new(body, Some(origin)));
                let given_up = attempt.gives_up(status);
                watch.response(index, took, status, given_up);
                if !given_up {
                    return attempt.handle_response(status, wait, response, now);
                }
                let (parts, body) = response.into_parts();
                let (body, rest) = body.drain().await;
                rewind(&call.body, &mut attempt);
                let response = Response::from_parts(parts, body);
                let action = attempt.handle_response(status, wait, response, self.clock.now());
                if let (Action::Send(_) | Action::Wait(_), Some(rest)) = (&action, rest) {
                    rest.let_go();
                }
                action
            }
            Err(Failed { evidence, error }) => {
                watch.error(index, took, evidence, &error);
                rewind(&call.body, &mut attempt);
                attempt.handle_error(evidence, error, now)
            }
        }
    }
}

/// Ends the attempt's body before the attempt is reported, so that what the machine knows of it stays true.
fn rewind<T, R, E>(body: &CallBody, attempt: &mut Attempt<T, R, E>) {
    if !body.rewind() {
        attempt.body_gone();
    }
}
