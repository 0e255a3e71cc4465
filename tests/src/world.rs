//! A group over virtual time, as the suites of the core drive it.

use std::time::Duration;

use failover_core::{Action, Attempt, Entry, Evidence, Group, Policy, StatusCodes, Timestamp};

use crate::drive::{call, facts, report};
use crate::oracle::{Outcome, Request, Trace};

/// A request that may be executed twice.
pub const READ: Request = Request { proof: true, body: true };
/// A request that must not be executed twice.
pub const WRITE: Request = Request { proof: false, body: true };
/// A request that must not be executed twice and whose body can be sent once only.
pub const STREAM: Request = Request { proof: false, body: false };

/// An answer.
pub const OK: Outcome = Outcome::OK;
/// No connection.
pub const DEAD: Outcome = Outcome::Error(Evidence::NoConnection);
/// No answer.
pub const UNCLEAR: Outcome = Outcome::Error(Evidence::MaybeProcessed);
/// The target states that it did nothing.
pub const REFUSED: Outcome = Outcome::Error(Evidence::Refused);
/// A connection that was closed in idleness.
pub const STALE: Outcome = Outcome::Error(Evidence::Stale);
/// A request that the pool gave back.
pub const HANDED_BACK: Outcome = Outcome::Error(Evidence::HandedBack);
/// A fault on this side.
pub const LOCAL: Outcome = Outcome::Error(Evidence::LocalFault);
/// A failover code.
pub const BUSY: Outcome = Outcome::Status(503);

/// A group of numbers over virtual time.
#[derive(Debug)]
pub struct World {
    /// The group.
    pub group: Group<usize>,
    /// The present moment.
    pub now: Timestamp,
}

impl World {
    /// A fresh group of so many targets.
    ///
    /// # Panics
    ///
    /// The policy is refused.
    #[must_use]
    pub fn new(targets: usize, policy: Policy) -> Self {
        Self { group: Group::new(0..targets, policy).expect("a valid group"), now: Timestamp::ORIGIN }
    }

    /// Begins a call.
    ///
    /// # Panics
    ///
    /// It is refused.
    pub fn begin(&self, request: Request) -> Attempt<usize, usize, Outcome> {
        first(self.group.begin(facts(request), self.now))
    }

    /// Makes a call whose attempts end like this, one after another.
    ///
    /// # Panics
    ///
    /// It has more attempts.
    #[must_use]
    pub fn call(&self, request: Request, script: &[Outcome]) -> Trace {
        call(&self.group, request, self.now, |nth, _| script[nth])
    }

    /// Makes a call whose attempts end as their target has it.
    #[must_use]
    pub fn by_target(&self, request: Request, outcome: impl Fn(usize) -> Outcome) -> Trace {
        call(&self.group, request, self.now, |_, target| outcome(target))
    }

    /// Makes a read that its first target answers well, so many seconds later and with a whole body: which target that was.
    ///
    /// # Panics
    ///
    /// The call is refused, or the answer is not returned.
    pub fn answered(&mut self, took: f64) -> usize {
        let call = self.begin(READ);
        self.sleep(took);
        self.returned(call, OK)
    }

    /// Lets an attempt be answered, with a whole body: by which target it was.
    ///
    /// # Panics
    ///
    /// The answer is not returned.
    #[must_use]
    pub fn returned(&self, attempt: Attempt<usize, usize, Outcome>, outcome: Outcome) -> usize {
        let action = report(attempt, 0, outcome, None, self.now);
        let Action::Return(answer) = action else { panic!("{action:?} instead of {outcome:?}") };
        self.group.body_whole(answer.body(), self.now);
        answer.target()
    }

    /// Lets the caller of an attempt leave.
    pub fn left(&self, mut attempt: Attempt<usize, usize, Outcome>) {
        attempt.abandon(self.now);
    }

    /// Lets an attempt end in a way by which its call goes on at once: with which attempt.
    ///
    /// # Panics
    ///
    /// It does not.
    pub fn went_on(
        &self,
        attempt: Attempt<usize, usize, Outcome>,
        outcome: Outcome,
    ) -> Attempt<usize, usize, Outcome> {
        let action = report(attempt, 0, outcome, None, self.now);
        let Action::Send(next) = action else { panic!("{action:?} after {outcome:?}") };
        next
    }

    /// The strikes against each target.
    #[must_use]
    pub fn strikes(&self) -> Vec<u8> {
        self.group.snapshot(self.now).targets.iter().map(|target| target.strikes).collect()
    }

    /// How many seconds a target still cools; 0 if it does not.
    ///
    /// # Panics
    ///
    /// There is no such target.
    #[must_use]
    pub fn cooling(&self, target: usize) -> f64 {
        self.group.snapshot(self.now).targets[target].cooling.unwrap_or_default().as_secs_f64()
    }

    /// Lets seconds go by.
    pub fn sleep(&mut self, time: f64) {
        self.now = self.now + seconds(time);
    }
}

/// The first attempt of a call that has begun.
///
/// # Panics
///
/// The call was refused.
pub fn first<T, R, E>(action: Action<T, R, E>) -> Attempt<T, R, E> {
    let Action::Send(attempt) = action else { panic!("a call that was refused") };
    attempt
}

/// The default policy without what is remembered of targets.
#[must_use]
pub fn plain() -> Policy {
    Policy::default().cool_down(None).failback(None)
}

/// A set of codes.
///
/// # Panics
///
/// It is none.
#[must_use]
pub fn codes(list: &str) -> StatusCodes {
    list.parse().expect("codes")
}

/// So many seconds.
#[must_use]
pub fn seconds(time: f64) -> Duration {
    Duration::from_secs_f64(time)
}

/// The moment so many seconds after the origin.
#[must_use]
pub fn at(time: f64) -> Timestamp {
    Timestamp::from(seconds(time))
}

/// The entries of a list of targets that go by their numbers, as they do in a fresh group of `0..n`.
#[must_use]
pub fn entries(list: impl IntoIterator<Item = usize>) -> Vec<Entry<usize>> {
    list.into_iter().map(|target| Entry::new(target).known_as(target.to_string())).collect()
}
