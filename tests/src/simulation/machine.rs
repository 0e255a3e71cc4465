//! The machine as a subject: the only file of the simulation that knows its API.

use std::time::Duration;

use failover_core::{
    Action, Attempt, BodyToken, Budget, CheckNext, Checker, Checks, Evidence, Expired, Facts, Group, Policy,
    Timestamp, Wait,
};
use http::{HeaderMap, Method, StatusCode};

use crate::simulation::scene::{Callers, Knobs};
use crate::simulation::subject::{Step, Subject};

/// A group and its open calls.
#[derive(Debug)]
pub struct Machine {
    group: Group<usize>,
    checker: Option<Checker<usize>>,
    calls: Vec<Open>,
}

/// What is held of a call.
#[derive(Debug)]
enum Open {
    Nothing,
    Attempt(Attempt<usize, (), ()>),
    Wait(Wait<usize, (), ()>),
    Body(BodyToken),
}

impl Machine {
    /// A fresh group of so many targets.
    ///
    /// # Panics
    ///
    /// The policy is refused.
    #[must_use]
    pub fn new(targets: usize, policy: Policy, knobs: Knobs, seed: u64) -> Self {
        let policy = policy.with_bounds(knobs.attempt_timeout, knobs.deadline);
        let budget = knobs.budget.then(Budget::default);
        let checks = knobs.checks.then(|| Checks::at("/healthz"));
        let policy = policy.interval(knobs.interval).budget(budget).checks(checks).seed(seed);
        let group = Group::new(0..targets, policy).expect("a valid group");
        Self { checker: group.checker(), group, calls: vec![] }
    }

    fn attempt(&mut self, call: usize) -> Attempt<usize, (), ()> {
        match std::mem::replace(&mut self.calls[call], Open::Nothing) {
            Open::Attempt(attempt) => attempt,
            other => unreachable!("{other:?} is no attempt"),
        }
    }

    fn take(&mut self, call: usize, action: Action<usize, (), ()>) -> Step {
        let (open, step) = match action {
            Action::Send(attempt) => {
                let (target, bound) = (attempt.index(), attempt.bound());
                let connect = attempt.connect_timeout();
                (Open::Attempt(attempt), Step::Send { target, bound, connect })
            }
            Action::Wait(wait) => {
                let pause = wait.pause();
                (Open::Wait(wait), Step::Pause(pause))
            }
            Action::Return(answer) => (Open::Body(answer.body()), Step::Return),
            Action::Fail(_) => (Open::Nothing, Step::Stop),
        };
        self.calls[call] = open;
        step
    }
}

impl Subject for Machine {
    fn begin(&mut self, call: usize, caller: &Callers, now: Duration) -> Step {
        if self.calls.len() <= call {
            self.calls.resize_with(call + 1, || Open::Nothing);
        }
        let method = if caller.post { Method::POST } else { Method::GET };
        let facts = Facts::of(&method, &HeaderMap::new());
        let facts = caller.within.map_or(facts, |within| facts.within(within));
        let action = self.group.begin(facts, Timestamp::from(now));
        self.take(call, action)
    }

    fn answered(&mut self, call: usize, status: u16, retry_after: Option<Duration>, now: Duration) -> Step {
        let status = StatusCode::from_u16(status).expect("a status");
        let action = self.attempt(call).handle_response(status, retry_after, (), Timestamp::from(now));
        self.take(call, action)
    }

    fn failed(&mut self, call: usize, evidence: Evidence, now: Duration) -> Step {
        let action = self.attempt(call).handle_error(evidence, (), Timestamp::from(now));
        self.take(call, action)
    }

    fn expired(&mut self, call: usize, evidence: Evidence, now: Duration) -> Step {
        match self.attempt(call).expired(evidence, (), Timestamp::from(now)) {
            Expired::WaitOn(attempt) => {
                let bound = attempt.bound();
                self.calls[call] = Open::Attempt(attempt);
                Step::WaitOn(bound)
            }
            Expired::Next(action) => self.take(call, action),
        }
    }

    fn resumed(&mut self, call: usize, now: Duration) -> Step {
        match std::mem::replace(&mut self.calls[call], Open::Nothing) {
            Open::Wait(wait) => {
                let action = wait.resume(Timestamp::from(now));
                self.take(call, action)
            }
            other => unreachable!("{other:?} is no wait"),
        }
    }

    fn left(&mut self, call: usize, now: Duration) {
        if let Open::Attempt(mut attempt) = std::mem::replace(&mut self.calls[call], Open::Nothing) {
            attempt.abandon(Timestamp::from(now));
        }
    }

    fn body_ended(&mut self, call: usize, whole: bool, now: Duration) {
        if let Open::Body(body) = std::mem::replace(&mut self.calls[call], Open::Nothing) {
            let now = Timestamp::from(now);
            if whole { self.group.body_whole(body, now) } else { self.group.body_broke_off(body, now) }
        }
    }

    fn next_check(&mut self, now: Duration) -> Option<CheckNext> {
        self.checker.as_mut().map(|checker| checker.next(Timestamp::from(now)))
    }

    fn checked(&mut self, target: usize, good: bool) {
        let result = if good { Ok(StatusCode::OK) } else { Err(Evidence::MaybeProcessed) };
        self.checker.iter_mut().for_each(|checker| checker.report(target, result));
    }

    fn cursor(&self) -> usize {
        self.group.sticky()
    }

    fn knows_bad(&self, target: usize, now: Duration) -> bool {
        let known = &self.group.snapshot(Timestamp::from(now)).targets[target];
        known.strikes >= self.group.policy().leave_after
    }
}
