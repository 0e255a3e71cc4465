//! `Expect: 100-continue`: an attempt's body waits until its target asks for it (RFC 9110, section 10.1.1).
//!
//! Over HTTP/1.1 it waits for a 100, over HTTP/2 hyper tells of none. A second is the longest that it waits for. If the
//! answer comes first, nothing of the body is sent, and the caller is not asked for it: another target can have all of it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::EXPECT;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version};

use crate::runtime::Runtime;

/// Whether a request's body is to wait. Where it need not, nothing is expected of the target: there is no body, or the
/// request came over HTTP/1.0.
pub(crate) fn settle(headers: &mut HeaderMap, version: Version, has_body: bool) -> bool {
    // Few headers are passed over faster than one is looked up.
    let expects = headers.iter().any(|(name, value)| *name == EXPECT && is_continue(value));
    let waits = expects && has_body && version >= Version::HTTP_11;
    if expects && !waits {
        headers.remove(EXPECT);
    }
    waits
}

fn is_continue(value: &HeaderValue) -> bool {
    let mut members = value.as_bytes().split(|byte| *byte == b',');
    members.any(|member| member.trim_ascii().eq_ignore_ascii_case(b"100-continue"))
}

/// What an attempt's body waits for, shared by those who learn of it.
#[derive(Clone)]
pub(crate) struct Expectation(Arc<Mutex<State>>);

struct State {
    stage: Stage,
    begin: fn() -> Sleep,
    /// Begun when the transport first asks for the body, and so has the head.
    sleep: Option<Sleep>,
    /// Wakes who asks for the body.
    asking: Option<Waker>,
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Nothing came of the target.
    Waiting,
    /// The body is sent.
    Met,
    /// The answer came first.
    Answered,
    /// The answer was read.
    Over,
}

impl Expectation {
    /// The expectation of an attempt that begins.
    pub(crate) fn start<R: Runtime>() -> Self {
        let begin = || Box::pin(R::sleep(LONGEST)) as Sleep;
        Self(Arc::new(Mutex::new(State { stage: Stage::Waiting, begin, sleep: None, asking: None })))
    }

    /// Has hyper tell of a 100 that comes over HTTP/1.1.
    pub(crate) fn listen<B>(&self, request: &mut Request<B>) {
        let expectation = self.clone();
        hyper::ext::on_informational(request, move |interim| {
            if interim.status() == StatusCode::CONTINUE {
                expectation.turn(&[Stage::Waiting], Stage::Met);
            }
        });
    }

    /// Waits until the body is to be sent.
    ///
    /// # Errors
    ///
    /// It is not, and its answer was read.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<(), Unwanted>> {
        let mut state = self.state();
        if state.stage == Stage::Waiting {
            let begin = state.begin;
            if state.sleep.get_or_insert_with(begin).as_mut().poll(cx).is_ready() {
                state.stage = Stage::Met;
            }
        }
        match state.stage {
            Stage::Met => Poll::Ready(Ok(())),
            Stage::Over => Poll::Ready(Err(Unwanted::default())),
            Stage::Waiting | Stage::Answered => {
                state.asking = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Notes that the head of the answer came, or that none will: a body that still waits is not sent.
    pub(crate) fn answered(&self) {
        self.turn(&[Stage::Waiting], Stage::Answered);
    }

    /// What ends a body that is not sent when it is dropped, with the answer.
    pub(crate) fn while_read(&self) -> WhileRead {
        WhileRead(self.clone())
    }

    fn turn(&self, from: &[Stage], to: Stage) {
        let mut state = self.state();
        if from.contains(&state.stage) {
            state.stage = to;
            let (sleep, asking) = (state.sleep.take(), state.asking.take());
            drop(state);
            drop(sleep);
            if let Some(asking) = asking {
                asking.wake();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expectation").field(&self.state().stage).finish()
    }
}

/// Kept while an answer is read: to reset its stream before that would cut it off.
#[derive(Debug)]
pub(crate) struct WhileRead(Expectation);

impl Drop for WhileRead {
    fn drop(&mut self) {
        self.0.turn(&[Stage::Waiting, Stage::Answered], Stage::Over);
    }
}

/// The end of a body that nobody asked for. Over HTTP/2 it resets its stream.
#[derive(Debug, thiserror::Error)]
#[error("the target answered without the request body")]
#[cfg_attr(not(feature = "http2"), derive(Default))]
pub(crate) struct Unwanted(
    #[cfg(feature = "http2")]
    #[source]
    h2::Error,
);

#[cfg(feature = "http2")]
impl Default for Unwanted {
    fn default() -> Self {
        Self(h2::Reason::CANCEL.into())
    }
}

/// How long a body waits for a target that says nothing.
const LONGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::pin::pin;

    use http_body::Body;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;
    use crate::progress::{Bound, Patience, Progress};
    use crate::request_body::{AttemptBody, CallBody};
    use crate::testing::Tokio;
    use failover_core::Evidence;

    /// Guards: `settle` that heeds neither the body nor the version, or goes by the case or by the whole value.
    #[test]
    fn a_body_waits_where_there_is_one_and_the_caller_asked_for_it() {
        let (new, old) = (Version::HTTP_11, Version::HTTP_10);
        for (values, version, has_body, waits, left) in [
            (&["100-continue"][..], new, true, true, 1),
            (&["100-Continue"], Version::HTTP_2, true, true, 1),
            (&["other, 100-CONTINUE"], new, true, true, 1),
            (&["other", "100-continue"], new, true, true, 2),
            (&["100-continue"], new, false, false, 0),
            (&["100-continue"], old, true, false, 0),
            (&["other"], new, true, false, 1),
            (&["100-continue-not"], new, true, false, 1),
            (&[], new, true, false, 0),
        ] {
            let lines = values.iter().map(|value| (EXPECT, HeaderValue::from_static(value)));
            let mut headers = lines.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
            assert_eq!(settle(&mut headers, version, has_body), waits, "{values:?} {version:?} {has_body}");
            assert_eq!(headers.get_all(EXPECT).iter().count(), left, "{values:?} {version:?} {has_body}");
        }
    }

    /// Guards: `AttemptBody` that does not wait; `LONGEST` that is longer or shorter.
    #[tokio::test(start_paused = true)]
    async fn a_body_waits_for_a_second_and_no_longer() {
        let (_, mut body) = waiting();
        sleep(5 * LONGEST).await;
        let began = Instant::now();
        assert_eq!(first(&mut body).await.unwrap(), "abc");
        assert_eq!(began.elapsed(), LONGEST);
    }

    /// Guards: `Expectation::answered` that does nothing; `Expectation::turn` that turns back.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_first_keeps_the_body_until_it_was_read() {
        let (expectation, mut body) = waiting();
        let read = expectation.while_read();
        let answer = async {
            sleep(LONGEST / 2).await;
            expectation.answered();
            sleep(5 * LONGEST).await;
            drop(read);
        };
        let began = Instant::now();
        let (ended, ()) = tokio::join!(first(&mut body), answer);
        assert!(ended.unwrap_err().is::<Unwanted>());
        assert_eq!(began.elapsed(), LONGEST / 2 + 5 * LONGEST);

        let (expectation, mut body) = waiting();
        expectation.turn(&[Stage::Waiting], Stage::Met);
        expectation.answered();
        drop(expectation.while_read());
        assert_eq!(first(&mut body).await.unwrap(), "abc");
    }

    /// Guards: `AttemptBody::poll_frame` that has a body starve which waits for its target.
    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_silent_meanwhile_keeps_nobody_else_waiting() {
        let (_, mut body) = waiting();
        let progress = body.progress().clone();
        let attempt = async {
            first(&mut body).await.unwrap();
            pending::<()>().await;
        };
        let mut patience = Patient;
        let elapsed = Bound::new(&mut patience, progress).hold::<Tokio, _>(pin!(attempt)).await.unwrap_err();
        assert!(!elapsed.starved);
    }

    fn waiting() -> (Expectation, AttemptBody) {
        let expectation = Expectation::start::<Tokio>();
        let body = CallBody::whole("abc").attempt(Progress::start::<Tokio>(), Some(expectation.clone()));
        (expectation, body)
    }

    async fn first(body: &mut AttemptBody) -> Result<bytes::Bytes, crate::error::BoxError> {
        let frame = timeout(100 * LONGEST, poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))).await;
        Ok(frame.unwrap().unwrap()?.into_data().unwrap())
    }

    /// Waits for less than a body does.
    struct Patient;

    impl Patience for Patient {
        fn bound(&self) -> Duration {
            LONGEST / 2
        }

        fn connect_timeout(&self) -> Duration {
            Duration::MAX
        }

        fn progress(&mut self, _: std::time::Instant) {}

        fn waits_on(&mut self, _: Evidence) -> bool {
            false
        }
    }
}
