//! Two policies of other systems, as small as they can be, to be tried in the same scenes.

use std::time::Duration;

use failover_core::{CheckNext, Evidence};

use crate::simulation::scene::{Callers, Knobs};
use crate::simulation::subject::{Step, Subject};

/// What a rival goes by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// A target is ejected after 5 failures in a row, for 30 s, doubled each time; a call goes on to every target.
    Ejection,
    /// Checks each 5 s say which targets are up: down after 3 bad ones, up after 2 good ones; a call goes on once.
    Checks,
}

/// A policy of another system. The first target in order that is not known to be bad gets the call.
#[derive(Debug)]
pub struct Rival {
    rule: Rule,
    attempt_timeout: Duration,
    deadline: Duration,
    targets: Vec<Known>,
    calls: Vec<Call>,
    /// The last moment that was told.
    now: Duration,
}

/// What is known of a target.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Failures or bad checks in a row.
    bad: u32,
    good: u32,
    down: bool,
    ejections: u32,
    ejected_until: Duration,
    check_at: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Call {
    post: bool,
    deadline: Duration,
    target: usize,
    /// One bit for each target.
    tried: u32,
}

impl Rival {
    /// A fresh one with so many targets.
    ///
    /// # Panics
    ///
    /// There are too many to count.
    #[must_use]
    pub fn new(rule: Rule, targets: usize, knobs: Knobs) -> Self {
        let count = u32::try_from(targets).expect("some targets");
        let known = |nth| Known { check_at: CHECK_EVERY * nth / count, ..Known::default() };
        Self {
            rule,
            attempt_timeout: knobs.attempt_timeout.unwrap_or(Duration::from_secs(10)),
            deadline: knobs.deadline.unwrap_or(Duration::from_secs(30)),
            targets: (1..=count).map(known).collect(),
            calls: vec![],
            now: Duration::ZERO,
        }
    }

    fn is_bad(&self, target: usize, now: Duration) -> bool {
        match self.rule {
            Rule::Ejection => self.targets[target].ejected_until > now,
            Rule::Checks => self.targets[target].down,
        }
    }

    /// The first target in order, those that are bad last.
    fn next(&self, tried: u32, now: Duration) -> Option<usize> {
        let mut left = (0..self.targets.len()).filter(|target| tried >> target & 1 == 0);
        left.clone().find(|&target| !self.is_bad(target, now)).or_else(|| left.next())
    }

    fn go_on(&mut self, call: usize, now: Duration) -> Step {
        let open = self.calls[call];
        let is_over = self.rule == Rule::Checks && open.tried.count_ones() > 1 || open.deadline <= now;
        match self.next(open.tried, now) {
            Some(target) if !is_over => {
                self.calls[call] = Call { target, tried: open.tried | 1 << target, ..open };
                let bound = self.attempt_timeout.min(open.deadline.saturating_sub(now));
                Step::Send { target, bound, connect: bound }
            }
            _ => Step::Stop,
        }
    }

    fn book(&mut self, target: usize, good: bool, now: Duration) {
        let known = &mut self.targets[target];
        if self.rule == Rule::Checks || known.ejected_until > now {
            return;
        }
        known.bad = if good { 0 } else { known.bad + 1 };
        if known.bad >= 5 {
            let time = Duration::from_secs(30) * 2_u32.pow(known.ejections.min(4));
            known.ejected_until = now + time.min(Duration::from_secs(300));
            (known.bad, known.ejections) = (0, known.ejections + 1);
        }
    }

    fn give_up(&mut self, call: usize, may_replay: bool, now: Duration) -> Step {
        self.now = now;
        self.book(self.calls[call].target, false, now);
        if may_replay { self.go_on(call, now) } else { Step::Stop }
    }
}

impl Subject for Rival {
    fn begin(&mut self, call: usize, caller: &Callers, now: Duration) -> Step {
        self.now = now;
        if self.calls.len() <= call {
            self.calls.resize(call + 1, Call::default());
        }
        let deadline = now + caller.within.map_or(self.deadline, |within| within.min(self.deadline));
        self.calls[call] = Call { post: caller.post, deadline, ..Call::default() };
        self.go_on(call, now)
    }

    fn answered(&mut self, call: usize, status: u16, _retry_after: Option<Duration>, now: Duration) -> Step {
        self.now = now;
        if matches!(status, 502..=504) {
            return self.give_up(call, !self.calls[call].post, now);
        }
        self.book(self.calls[call].target, status < 500, now);
        Step::Return
    }

    fn failed(&mut self, call: usize, evidence: Evidence, now: Duration) -> Step {
        self.give_up(call, evidence == Evidence::NoConnection || !self.calls[call].post, now)
    }

    fn expired(&mut self, call: usize, evidence: Evidence, now: Duration) -> Step {
        self.failed(call, evidence, now)
    }

    fn resumed(&mut self, _call: usize, _now: Duration) -> Step {
        unreachable!("it never pauses")
    }

    fn left(&mut self, _call: usize, _now: Duration) {}

    fn body_ended(&mut self, _call: usize, _whole: bool, _now: Duration) {}

    fn cursor(&self) -> usize {
        self.next(0, self.now).unwrap_or(0)
    }

    fn knows_bad(&self, target: usize, now: Duration) -> bool {
        self.is_bad(target, now)
    }

    fn next_check(&mut self, now: Duration) -> Option<CheckNext> {
        let checked = self.targets.iter_mut().filter(|_| self.rule == Rule::Checks).enumerate();
        let (target, known) = checked.min_by_key(|(_, known)| known.check_at)?;
        let left = known.check_at.saturating_sub(now);
        if !left.is_zero() {
            return Some(CheckNext::Wait(left));
        }
        known.check_at += CHECK_EVERY;
        Some(CheckNext::Ask(target))
    }

    fn checked(&mut self, target: usize, good: bool) {
        let known = &mut self.targets[target];
        (known.good, known.bad) = if good { (known.good + 1, 0) } else { (0, known.bad + 1) };
        known.down = if known.down { known.good < 2 } else { known.bad >= 3 };
    }
}

/// How often each target is checked.
const CHECK_EVERY: Duration = Duration::from_secs(5);
