//! A group over virtual time, as the suites of the core drive it.

use std::time::Duration;

use failover_core::{Action, Attempt, Evidence, Group, Policy, StatusCodes, Timestamp};

use crate::drive::{call, facts};
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
    Policy { cool_down: None, failback: None, ..Policy::default() }
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
