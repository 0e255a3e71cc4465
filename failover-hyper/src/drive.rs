//! The driver: performs the machine's actions, over anything that can send a request to a target.

use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use failover_core::{Action, Attempt, Evidence, Failure, Judgement, Stopped, Target, retry_after};
use http::Response;
use http_body::Body;
use tracing::Span;

use crate::ahead::Ahead;
use crate::answered::Answered;
use crate::clock::Clock;
use crate::drain::{Drain, Drains};
use crate::error::AttemptError;
use crate::exchange::Exchange;
use crate::expect::Expectation;
use crate::observe::{self, Watch};
use crate::observed::{Met, Observed};
use crate::peek::Bench;
use crate::progress::{Bound, Patience, Progress};
use crate::response_body::{Origin, ResponseBody};
use crate::runtime::Runtime;
use crate::template::Template;

/// Performs a call from its first attempt to its end. `drains` are those of all calls of the group.
///
/// # Errors
///
/// The call stopped without an acceptable answer.
pub async fn perform<R: Runtime, X: Exchange>(
    observed: &Observed,
    drains: &Drains,
    template: &Template,
    exchange: &X,
) -> Result<Response<ResponseBody<X::Body>>, Stopped<Response<ResponseBody<X::Body>>, AttemptError>> {
    let span = observe::span(observed, template.method());
    let driver = Driver { observed, clock: observed.clock(), drains, template, exchange, span: &span };
    let mut call = pin!(driver.run::<R>());
    poll_fn(|cx| span.in_scope(|| call.as_mut().poll(cx))).await
}

/// What performs one call.
#[derive(Debug)]
struct Driver<'a, X> {
    observed: &'a Observed,
    clock: Clock,
    drains: &'a Drains,
    template: &'a Template,
    exchange: &'a X,
    span: &'a Span,
}

impl<X: Exchange> Driver<'_, X> {
    async fn run<R: Runtime>(
        &self,
    ) -> Result<Response<ResponseBody<X::Body>>, Stopped<Response<ResponseBody<X::Body>>, AttemptError>> {
        let began = self.clock.now();
        let mut watch = Watch::begin(self.span, self.observed, self.template.method(), began);
        let group = self.observed.group();
        let mut action = group.begin(self.template.facts(&group.policy().judge), began);
        loop {
            action = match action {
                Action::Send(attempt) => pin!(self.attempt::<R>(attempt, &mut watch)).await,
                Action::Wait(wait) => {
                    R::sleep(wait.pause()).await;
                    wait.resume(self.clock.now())
                }
                Action::Return(answer) => {
                    if answer.cleared() > 0 {
                        self.observed.tell(Met::Failures(answer.failures()));
                    } else {
                        self.observed.tell_moves(answer.failures());
                    }
                    watch.answered(&answer);
                    let body = answer.body();
                    let (mut response, target, failures) = answer.into_parts();
                    let idle = self.observed.group().policy().body_idle;
                    response.body_mut().accept::<R>(body, idle);
                    if !failures.is_empty() {
                        response.body_mut().set_answered(Answered::accepted(target, failures));
                    }
                    return Ok(response);
                }
                Action::Fail(stopped) => {
                    watch.stopped(&stopped);
                    let attempts = stopped.failures().len();
                    return Err(
                        stopped.map_response(|response| response.map(|body| body.taken_over(attempts)))
                    );
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
        watch.sends(&attempt);
        let progress = Progress::start_at::<R>(self.clock.instant(began));
        let expectation = self.template.expects().then(Expectation::start::<R>);
        let request = self.template.aim(attempt.target(), progress.clone(), expectation.as_ref());
        let mut waiting = Waiting {
            attempt: &mut attempt,
            template: self.template,
            observed: self.observed,
            waited_in_vain: false,
            ended: false,
        };
        let mut result = match request {
            // Pinned where it is made, since awaiting it would move it.
            Ok(request) => {
                pin!(self.exchange.exchange(index, request, Bound::new(&mut waiting, progress))).await
            }
            Err(error) => Err(AttemptError::unbuilt(error)),
        };
        if let Some(expectation) = &expectation {
            expectation.answered();
        }
        let mut now = self.clock.now();
        let took = now.since(began);
        if let Ok(response) = &mut result {
            if let Err(error) = self.check(response) {
                result = Err(error);
            }
        }
        let waited_in_vain = waiting.end();
        let judged = match result {
            Ok(response) => {
                let mut response = response.map(Ahead::new);
                let bench = Bench { judges: &self.observed.group().policy().judge, template: self.template };
                let by_status = attempt.verdict(response.status());
                let verdict = match bench.judge(&response) {
                    Judgement::Is(verdict) => Ok(verdict),
                    Judgement::Peek(asked) => {
                        // Few calls wait here, and the others need not be as large.
                        let time = attempt.time_left(now);
                        let peeked = Box::pin(bench.peek::<R, _>(asked, &mut response, time)).await;
                        let answered = std::mem::replace(&mut now, self.clock.now());
                        attempt.peeked(now.since(answered));
                        peeked.verdict(by_status, response.body_mut())
                    }
                    _ => Ok(by_status),
                };
                verdict.map(|verdict| (verdict, response))
            }
            Err(error) => Err(error),
        };
        let (verdict, response) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                let is_too_long = self.template.body().is_too_long();
                let error = if is_too_long { AttemptError::too_long(error) } else { error };
                watch.error(index, took, &error);
                self.rewind(&mut attempt);
                let evidence = error.evidence();
                let action = if waited_in_vain {
                    attempt.timed_out(evidence, error, now)
                } else {
                    attempt.handle_error(evidence, error, now)
                };
                self.observed.tell(Met::Failures(action.failures()));
                return action;
            }
        };
        let status = response.status();
        let origin = Origin { observed: self.observed.clone(), index, body: None };
        if !verdict.gives_up() {
            watch.response(index, took, status, None);
            let response = response.map(|body| ResponseBody::new(body, Some(origin)));
            return attempt.handle_judged(verdict, status, None, response, now);
        }
        let wait = retry_after(response.headers());
        let (parts, body) = response.into_parts();
        let (body, drain) = ResponseBody::given_up(body, origin);
        self.tell(&mut attempt, self.template.body().hold());
        let action = attempt.handle_judged(verdict, status, wait, Response::from_parts(parts, body), now);
        let is_judged = action.failures().last().is_some_and(Failure::is_judged);
        watch.response(index, took, status, Some(if is_judged { "judged" } else { "failover_code" }));
        self.observed.tell(Met::Failures(action.failures()));
        let goes_on = matches!(action, Action::Send(_) | Action::Wait(_));
        match drain {
            // What ends the call is its reader's, and the request's body may still be on its way.
            Some(_) if !goes_on => self.template.body().release(),
            drain => self.leave::<R>(index, drain),
        }
        action
    }

    /// Ends the body of an attempt that was given up, and drains its answer.
    fn leave<R: Runtime>(&self, target: usize, drain: Option<Drain<X::Body>>) {
        let is_sent = !self.template.body().is_being_read();
        self.template.body().rewind();
        match drain {
            Some(drain) if is_sent => drain.start::<R>(self.drains, target),
            // Its connection cannot be used again.
            Some(drain) => drain.let_go(),
            None => {}
        }
    }

    /// Makes a response one for the caller.
    ///
    /// # Errors
    ///
    /// It is none to this request.
    fn check(&self, response: &mut Response<X::Body>) -> Result<(), AttemptError> {
        if !self.template.may_be_answered_by(response.status()) {
            return Err(AttemptError::garbage());
        }
        self.exchange.received(response)
    }

    /// Ends the attempt's body before the attempt is reported, so that what the machine knows of it stays true.
    fn rewind(&self, attempt: &mut Pending<X::Body>) {
        self.tell(attempt, self.template.body().rewind());
    }

    /// Tells whether another attempt could send all of the body.
    fn tell(&self, attempt: &mut Pending<X::Body>, is_whole: bool) {
        if !is_whole {
            attempt.body_gone();
        } else if self.template.expects() {
            attempt.body_kept();
        }
    }
}

/// An attempt that was begun.
type Pending<B> = Attempt<Target, Response<ResponseBody<B>>, AttemptError>;

/// An attempt whose answer is waited for. If the caller leaves meanwhile, it is abandoned (`abandoned`).
struct Waiting<'a, B: Body> {
    attempt: &'a mut Pending<B>,
    template: &'a Template,
    observed: &'a Observed,
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
        self.attempt.progress(self.observed.clock().at(at));
    }

    fn waits_on(&mut self, evidence: Evidence) -> bool {
        if self.template.is_gone() {
            self.attempt.body_gone();
        }
        self.waited_in_vain = !self.attempt.waits_on(evidence, self.observed.clock().now());
        self.observed.tell(Met::Said(self.attempt.index(), "its answer is late"));
        !self.waited_in_vain
    }
}

impl<B: Body> Drop for Waiting<'_, B> {
    fn drop(&mut self) {
        if !self.ended {
            self.attempt.abandon(self.observed.clock().now());
            self.observed.tell(Met::Said(self.attempt.index(), "its callers left before it answered"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::task::{Context, Waker};

    use bytes::Bytes;
    use failover_core::{Entry, Group, Policy};
    use http::{Method, Request, StatusCode, Version};
    use http_body::Frame;
    use http_body_util::{BodyExt, Collected};
    use tokio::sync::mpsc::{Sender, channel};
    use tokio::task::yield_now;
    use tokio::time::{Instant as Moment, sleep, timeout};

    use super::*;
    use crate::request_body::{AttemptBody, CallBody};
    use crate::testing::{Pieces, Tokio};

    /// Guards: a `Driver` that drains before it goes on.
    #[tokio::test(start_paused = true)]
    async fn drained_a_body_that_stalls_holds_up_nothing() {
        let (lab, began) = (Lab::of([Then::Stalls, Then::Answers]), Moment::now());
        let response = lab.call(get()).await.unwrap();
        assert_eq!((response.status(), began.elapsed()), (StatusCode::OK, Duration::ZERO));
        sleep(SECOND).await;
        assert_eq!(lab.closed(), 1);
    }

    /// Guards: a `Driver` that hands on an answer which is drained, so that it is let go while its reader has it.
    #[tokio::test(start_paused = true)]
    async fn last_answer_one_that_is_being_drained_is_the_callers_from_the_end_of_the_call_on() {
        for then in [&[Then::Stalls][..], &[Then::Stalls, Then::Breaks]] {
            let lab = Lab::of(then.iter().copied());
            let stopped = lab.call(get()).await.unwrap_err();
            assert_eq!(stopped.failures().len(), then.len());
            let body = stopped.into_response().unwrap().into_body();
            assert!(!body.is_let_go());
            sleep(SECOND).await;
            let reader = tokio::spawn(body.bytes());
            sleep(SECOND).await;
            let pieces = lab.stalled.lock().unwrap().remove(0);
            pieces.send(Ok(Frame::data("late".into()))).await.unwrap();
            drop(pieces);
            assert_eq!(reader.await.unwrap().unwrap(), "half late");
        }
    }

    /// Guards: a `Driver` that lets go as soon as a call goes on, and one that never does.
    #[tokio::test(start_paused = true)]
    async fn last_answer_one_whose_call_went_on_for_long_was_let_go() {
        let lab = Lab::of([Then::Stalls, Then::Hangs]);
        let stopped = lab.call(get()).await.unwrap_err();
        assert!(stopped.into_response().unwrap().into_body().is_let_go());
    }

    /// Guards: a `Driver` that ends the body of a request whose call ends with the answer to it, and one that does not where
    /// the call goes on.
    #[tokio::test(start_paused = true)]
    async fn early_answer_the_rest_of_the_request_goes_on_with_the_answer_that_ends_the_call() {
        for then in [&[Then::Stalls][..], &[Then::Stalls, Then::Breaks]] {
            let goes_on = then.len() > 1;
            let lab = Lab::of(then.iter().copied());
            let (upload, inbound) = channel(4);
            upload.send(Ok(Frame::data("first".into()))).await.unwrap();
            let body = CallBody::of(Pieces(inbound), Version::HTTP_11, 100);
            let stopped = lab.call((Method::PUT, body)).await.unwrap_err();
            upload.send(Ok(Frame::data(" second".into()))).await.unwrap();
            drop(upload);
            let request = lab.requests.lock().unwrap().remove(0);
            let sent = request.collect().await.map(Collected::to_bytes);
            assert_eq!(sent.ok(), (!goes_on).then(|| "first second".into()));
            assert_eq!(stopped.into_response().unwrap().into_body().is_let_go(), goes_on);
        }
    }

    /// Guards: a `Driver` whose drains are not those of its client, or that does not hand them the target.
    #[tokio::test(start_paused = true)]
    async fn drained_calls_that_were_dropped_leave_nothing_and_share_their_bound() {
        let lab = Lab::of([Then::Stalls, Then::Hangs]);
        for round in 1..=2 {
            let mut calls: Vec<_> = (0..65).map(|_| Box::pin(lab.call(get()))).collect();
            for call in &mut calls {
                assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                // tokio lets one task do so much at once only.
                yield_now().await;
            }
            sleep(SECOND / 2).await;
            assert_eq!(lab.closed(), round * 65 - 1, "one found no room, and is its call's");
            drop(calls);
            assert_eq!(lab.closed(), round * 65);
        }
        let call = Box::pin(lab.call(get()));
        assert!(timeout(Duration::ZERO, call).await.is_err());
        assert_eq!(lab.closed(), 130);
        sleep(SECOND / 2).await;
        assert_eq!(lab.closed(), 131);
    }

    /// What a target does with a request, whose body it reads no further than its first piece.
    #[derive(Clone, Copy)]
    enum Then {
        Answers,
        /// Gives the target up, by an answer whose body stalls after a half.
        Stalls,
        Breaks,
        Hangs,
    }

    /// Targets that do this, in this order.
    struct Lab {
        then: Vec<Then>,
        observed: Observed,
        drains: Drains,
        stalled: Mutex<Vec<Sender<Piece>>>,
        requests: Mutex<Vec<AttemptBody>>,
    }

    impl Lab {
        fn of(then: impl IntoIterator<Item = Then>) -> Self {
            let then: Vec<_> = then.into_iter().collect();
            let target = |nth: usize| Entry::from(Target::parse(&format!("http://{nth}.example")).unwrap());
            let group =
                Group::of((0..then.len()).map(target), Policy::default().leave_after(u8::MAX)).unwrap();
            Self {
                then,
                drains: Drains::new(&group),
                observed: Observed::new(group, Clock::start::<Tokio>(), None),
                stalled: Mutex::default(),
                requests: Mutex::default(),
            }
        }

        async fn call(
            &self,
            (method, body): (Method, CallBody),
        ) -> Result<Response<ResponseBody<Pieces>>, Stopped<Response<ResponseBody<Pieces>>, AttemptError>>
        {
            let head = Request::builder().method(method).uri("/").body(()).unwrap().into_parts().0;
            let template = Template::new(head, body).unwrap();
            perform::<Tokio, _>(&self.observed, &self.drains, &template, self).await
        }

        /// How many of the bodies that stall were dropped.
        fn closed(&self) -> usize {
            self.stalled.lock().unwrap().iter().filter(|pieces| pieces.is_closed()).count()
        }
    }

    impl Exchange for Lab {
        type Body = Pieces;

        async fn exchange(
            &self,
            target: usize,
            request: Request<AttemptBody>,
            _: Bound<'_>,
        ) -> Result<Response<Pieces>, AttemptError> {
            self.requests.lock().unwrap().push(request.into_body());
            let (pieces, receiver) = channel(4);
            let mut response = Response::new(Pieces(receiver));
            match self.then[target] {
                Then::Answers => {}
                Then::Stalls => {
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                    pieces.try_send(Ok(Frame::data("half ".into()))).unwrap();
                    self.stalled.lock().unwrap().push(pieces);
                }
                Then::Breaks => return Err(AttemptError::unconnected()),
                Then::Hangs => {
                    sleep(SECOND).await;
                    return Err(AttemptError::unconnected());
                }
            }
            Ok(response)
        }
    }

    fn get() -> (Method, CallBody) {
        (Method::GET, CallBody::whole(""))
    }

    type Piece = Result<Frame<Bytes>, &'static str>;

    const SECOND: Duration = Duration::from_secs(1);
}
