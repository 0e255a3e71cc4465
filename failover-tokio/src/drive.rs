//! The driver: performs the machine's actions, over anything that can send a request to a target.

use failover_core::{Action, Attempt, Group, Stopped, Timestamp, retry_after};
use http::Response;
use http_body::Body;
use tokio::time::{Instant, sleep};

use crate::answer::{Answered, ResponseBody};
use crate::body::{AttemptBody, CallBody};
use crate::call::{Call, Head};
use crate::error::AttemptError;
use crate::evidence::Failed;
use crate::progress::{Bound, Progress};

/// Sends one request to one target.
pub(crate) trait Exchange<T> {
    /// The body of its responses.
    type Body: Body + Unpin;

    /// Sends a request and waits for the head of the answer, within `bound`.
    fn exchange(
        &self,
        target: &T,
        head: &Head,
        body: AttemptBody,
        bound: Bound,
    ) -> impl Future<Output = Result<Response<Self::Body>, Failed>> + Send;
}

/// A group of targets, and what sends requests to them.
#[derive(Debug)]
pub(crate) struct Driver<T, X> {
    pub(crate) group: Group<T>,
    pub(crate) exchange: X,
    /// Where the group's time begins: as old as the group, since the group's memory is measured from it.
    origin: Instant,
}

impl<T, X: Exchange<T>> Driver<T, X> {
    pub(crate) fn new(group: Group<T>, exchange: X) -> Self {
        Self { group, exchange, origin: Instant::now() }
    }

    /// Runs a call from its first attempt to its end.
    ///
    /// # Errors
    ///
    /// The call stopped without an acceptable answer.
    pub(crate) async fn run(
        &self,
        call: &Call,
    ) -> Result<Response<ResponseBody<X::Body>>, Stopped<Response<ResponseBody<X::Body>>, AttemptError>> {
        let mut action = Action::Send(self.group.begin(call.facts(), self.now()));
        loop {
            action = match action {
                Action::Send(attempt) => self.perform(call, attempt).await,
                Action::Wait(wait) => {
                    sleep(wait.pause()).await;
                    wait.resume(self.now())
                }
                Action::Return(answer) => {
                    let (mut response, target, failures) = answer.into_parts();
                    response.extensions_mut().insert(Answered::accepted(target, failures));
                    return Ok(response);
                }
                Action::Fail(stopped) => return Err(stopped),
            };
        }
    }

    /// Sends one attempt's request, and reports how that went.
    async fn perform(
        &self,
        call: &Call,
        mut attempt: Attempt<T, Response<ResponseBody<X::Body>>, AttemptError>,
    ) -> Action<T, Response<ResponseBody<X::Body>>, AttemptError> {
        let progress = Progress::start();
        let body = call.body.attempt(progress.clone());
        let bound = Bound { limit: attempt.timeout(), progress };
        match self.exchange.exchange(attempt.target(), &call.head, body, bound).await {
            Ok(response) => {
                let (status, wait) = (response.status(), retry_after(response.headers()));
                let mut response = response.map(ResponseBody::new);
                if attempt.gives_up(status) {
                    response = drained(response).await;
                    rewind(&call.body, &mut attempt);
                }
                attempt.handle_response(status, wait, response, self.now())
            }
            Err(Failed { evidence, error }) => {
                rewind(&call.body, &mut attempt);
                attempt.handle_error(evidence, error, self.now())
            }
        }
    }

    /// The present moment by the runtime's clock.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from(self.origin.elapsed())
    }
}

/// Ends the attempt's body before the attempt is reported, so that what the machine knows of it stays true.
fn rewind<T, R, E>(body: &CallBody, attempt: &mut Attempt<T, R, E>) {
    if !body.rewind() {
        attempt.body_gone();
    }
}

async fn drained<B: Body + Unpin>(response: Response<ResponseBody<B>>) -> Response<ResponseBody<B>> {
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.drain().await)
}
