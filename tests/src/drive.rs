//! A driver that sends nothing: it plays given outcomes to the machine and writes down what the machine did.

use std::time::Duration;

use failover_core::{Action, Answer, Attempt, Cause, Facts, Group, Stopped, Timestamp};
use http::{HeaderMap, Method};

use crate::oracle::{Outcome, Request, Trace};

/// The machine as the suites use it: a target is a number, a response the number of its attempt.
pub type Step = Action<usize, usize, Outcome>;

/// The facts of such a request.
#[must_use]
pub fn facts(request: Request) -> Facts {
    let method = if request.proof { Method::GET } else { Method::POST };
    let facts = Facts::of(&method, &HeaderMap::new());
    if request.body { facts } else { facts.one_shot() }
}

/// Reports an outcome.
///
/// # Panics
///
/// It is a number that is no status.
pub fn report(
    attempt: Attempt<usize, usize, Outcome>,
    nth: usize,
    outcome: Outcome,
    retry_after: Option<Duration>,
    now: Timestamp,
) -> Step {
    match outcome {
        Outcome::Status(_) => {
            let status = outcome.status().expect("a status");
            attempt.handle_response(status, retry_after, nth, now)
        }
        Outcome::Judged(verdict) => {
            let status = outcome.status().expect("a status");
            attempt.handle_judged(verdict, status, retry_after, nth, now)
        }
        Outcome::Error(evidence) => attempt.handle_error(evidence, outcome, now),
    }
}

/// Performs one call from `now` on, asking for the outcome of each attempt by its number and its target; attempts and
/// bodies take no time, pauses take theirs.
///
/// # Panics
///
/// The machine contradicts itself: an answer is not the last attempt's, or the failures are not the attempts' in order.
pub fn call(
    group: &Group<usize>,
    request: Request,
    mut now: Timestamp,
    mut outcome: impl FnMut(usize, usize) -> Outcome,
) -> Trace {
    let (mut tried, mut seen, mut pauses) = (vec![], vec![], vec![]);
    let mut action = group.begin(facts(request), now);
    let end = loop {
        action = match action {
            Action::Send(attempt) => {
                let nth = tried.len();
                assert_eq!(attempt.index(), *attempt.target());
                tried.push(attempt.index());
                seen.push(outcome(nth, attempt.index()));
                report(attempt, nth, seen[nth], None, now)
            }
            Action::Wait(wait) => {
                assert!(!wait.pause().is_zero());
                pauses.push(tried.len());
                now = now + wait.pause();
                wait.resume(now)
            }
            Action::Return(answer) => {
                check_answer(&answer, &tried, &seen);
                group.body_whole(answer.body(), now);
                break Ok(answer.target());
            }
            Action::Fail(stopped) => {
                check_stopped(&stopped, &tried, &seen);
                break Err(stopped.reason());
            }
        }
    };
    Trace { tried, pauses, end, cursor: group.sticky() }
}

fn check_answer(answer: &Answer<usize, Outcome>, tried: &[usize], seen: &[Outcome]) {
    let last = tried.len() - 1;
    assert_eq!(answer.target(), tried[last]);
    assert_eq!(*answer.response(), last, "the answer is the last attempt's");
    check_failures(answer.failures(), &tried[..last], &seen[..last]);
}

fn check_stopped(stopped: &Stopped<usize, Outcome>, tried: &[usize], seen: &[Outcome]) {
    check_failures(stopped.failures(), tried, seen);
    let last_answer = seen.iter().rposition(|outcome| outcome.status().is_some());
    assert_eq!(stopped.last_response().copied(), last_answer, "the last real answer is kept");
}

fn check_failures(failures: &[failover_core::Failure<Outcome>], tried: &[usize], seen: &[Outcome]) {
    let told = failures.iter().map(|failure| (failure.target(), *failure.cause()));
    let cause = |outcome: Outcome| match (outcome, outcome.status()) {
        (Outcome::Judged(_), Some(status)) => Cause::Judged(status),
        (_, Some(status)) => Cause::Status(status),
        (Outcome::Error(evidence), _) => Cause::Error(evidence, outcome),
        (_, None) => unreachable!("an answer has a status"),
    };
    let happened = tried.iter().zip(seen).map(|(&target, &outcome)| (target, cause(outcome)));
    assert!(told.eq(happened), "the failures are told in attempt order");
}
