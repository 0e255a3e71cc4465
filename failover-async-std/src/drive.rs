//! The driver: performs the machine's actions, over anything that can send a request.

use std::time::Instant;

use async_std::task::sleep;
use failover_core::{Action, Attempt, BuildError, Group, Snapshot, Target, Timestamp};
use http::Request;

use crate::answer::{Answered, Received, Unrepresentable};
use crate::body::AttemptBody;
use crate::call::Call;
use crate::error::{AttemptError, Error};
use crate::progress::{Bound, Progress};
use crate::runtime::now;

/// Sends one request.
pub(crate) trait Exchange: Sync {
    /// Sends a request and waits for the head of the answer, within `bound`.
    fn exchange(
        &self,
        request: Request<AttemptBody>,
        bound: Bound,
    ) -> impl Future<Output = Result<Received, AttemptError>> + Send;
}

/// A group of targets, and its time.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) group: Group<Target>,
    /// Where the group's time begins: as old as the group, since the group's memory is measured from it.
    origin: Instant,
}

impl Driver {
    pub(crate) fn new(group: Group<Target>) -> Self {
        Self { group, origin: now() }
    }

    /// Runs a call from its first attempt to its end.
    ///
    /// # Errors
    ///
    /// The call stopped without an acceptable answer, or surf cannot hold the answer.
    pub(crate) async fn run(&self, call: &Call, exchange: &impl Exchange) -> Result<surf::Response, Error> {
        let mut action = Action::Send(self.group.begin(call.facts(), self.now()));
        loop {
            action = match action {
                Action::Send(attempt) => self.perform(call, exchange, attempt).await,
                Action::Wait(wait) => {
                    sleep(wait.pause()).await;
                    wait.resume(self.now())
                }
                Action::Return(answer) => {
                    let (reply, target, failures) = answer.into_parts();
                    let answered = Answered::accepted(target, failures);
                    return match reply {
                        Ok(mut response) => {
                            response.insert_ext(answered);
                            Ok(response)
                        }
                        Err(mut answer) => {
                            answer.tell(answered);
                            Err(Error::Unrepresentable(answer))
                        }
                    };
                }
                Action::Fail(stopped) => return Err(Error::Stopped(stopped)),
            };
        }
    }

    /// Sends one attempt's request, and reports how that went.
    async fn perform(
        &self,
        call: &Call,
        exchange: &impl Exchange,
        mut attempt: Attempt<Target, Result<surf::Response, Unrepresentable>, AttemptError>,
    ) -> Action<Target, Result<surf::Response, Unrepresentable>, AttemptError> {
        let progress = Progress::start();
        let body = call.body.attempt(progress.clone());
        let bound = Bound { limit: attempt.timeout(), progress };
        let received = match call.aim(attempt.target(), body) {
            Ok(request) => {
                exchange.exchange(request, bound).await.and_then(|received| call.checked(received))
            }
            Err(error) => Err(AttemptError::unbuilt(error)),
        };
        let mut received = match received {
            Ok(received) => received,
            Err(error) => {
                rewind(call, &mut attempt);
                return attempt.handle_error(error.evidence(), error, self.now());
            }
        };
        let mut rest = None;
        if attempt.gives_up(received.status) {
            rest = received.drain().await;
            rewind(call, &mut attempt);
        }
        let Received { status, retry_after, reply } = received;
        let action = attempt.handle_response(status, retry_after, reply, self.now());
        if let (Action::Send(_) | Action::Wait(_), Some(rest)) = (&action, rest) {
            rest.let_go();
        }
        action
    }

    /// Makes this target the one where the next call begins.
    pub(crate) fn prefer(&self, index: usize) -> Result<(), BuildError> {
        self.group.prefer(index, self.now())
    }

    /// What is remembered of the targets.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.group.snapshot(self.now())
    }

    /// The present moment by the system's clock.
    fn now(&self) -> Timestamp {
        Timestamp::from(now().saturating_duration_since(self.origin))
    }
}

/// Ends the attempt's body before the attempt is reported, so that what the machine knows of it stays true.
fn rewind<T, R, E>(call: &Call, attempt: &mut Attempt<T, R, E>) {
    if !call.body.rewind() {
        attempt.body_gone();
    }
}
