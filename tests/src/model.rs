//! The reference model of a group under many calls: what the design says, kept in plain lists, one event at a time.
//!
//! It owns no jitter. Where a wait was drawn, it checks that the machine's is within the rule's bounds and goes on
//! with that.

use std::time::Duration;

use failover_core::{Action, Evidence, Policy, Reason, Replay, Snapshot, StatusCodes};

use crate::drive::Step;
use crate::oracle::{Outcome, Request};

/// What a group must remember.
#[derive(Debug)]
pub struct Model {
    policy: Policy,
    marks: Vec<Mark>,
    cursor: usize,
    moves: usize,
    due: u64,
    failed_probes: u32,
    /// The call that probes, and until when it may.
    lease: Option<(usize, u64)>,
    probes: u64,
    /// When calls began and replays were charged, never going backwards.
    begun: Vec<u64>,
    charged: Vec<u64>,
    calls: Vec<Call>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mark {
    until: u64,
    strikes: u8,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Call {
    proof: bool,
    body: bool,
    deadline: Option<u64>,
    latest: u64,
    seen: (usize, usize),
    target: usize,
    mark: Mark,
    probing: bool,
    probed: bool,
    repeated: bool,
    /// How often each target was tried.
    tries: Vec<usize>,
    failures: Vec<Failure>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    target: usize,
    harm: Harm,
    stays: bool,
    no_room: bool,
    ended: u64,
    mark: Mark,
    retry_after: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Harm {
    None,
    Failure,
    Connect,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Needs {
    Nothing,
    Body,
    Proof,
    Never,
}

impl Model {
    /// The model of a fresh group.
    #[must_use]
    pub fn new(targets: usize, policy: Policy) -> Self {
        Self {
            policy,
            marks: vec![Mark::default(); targets],
            cursor: 0,
            moves: 0,
            due: 0,
            failed_probes: 0,
            lease: None,
            probes: 0,
            begun: vec![],
            charged: vec![],
            calls: vec![],
        }
    }

    /// A call begins; returns its number.
    ///
    /// # Panics
    ///
    /// The machine does otherwise.
    pub fn begin(&mut self, request: Request, within: Option<Duration>, now: u64, step: &Step) -> usize {
        let proof = match self.policy.replay {
            Replay::Auto | Replay::Methods => request.proof,
            Replay::Always => true,
            Replay::Never => false,
            other => unreachable!("{other:?} is not played"),
        };
        let number = self.calls.len();
        let deadline =
            [self.policy.deadline, within].into_iter().flatten().map(|time| now + nanos(time)).min();
        let refused = deadline.is_some_and(|deadline| deadline <= now);
        if refused {
            let Action::Fail(stopped) = step else { panic!("{step:?} of a call whose time is over") };
            assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::Deadline, 0));
        } else if self.policy.budget.is_some() {
            self.begun.push(now.max(self.last_counted()));
        }
        let mut call = Call {
            proof,
            body: request.body,
            deadline,
            latest: now,
            seen: (self.cursor, self.moves),
            target: self.cursor,
            mark: Mark::default(),
            probing: false,
            probed: false,
            repeated: false,
            tries: vec![0; self.marks.len()],
            failures: vec![],
        };
        if refused {
            self.calls.push(call);
            return number;
        }
        if let Some(failback) = self.policy.failback {
            let clock = doubled(failback.after, self.failed_probes, failback.max);
            let patience = if proof && request.body { 0 } else { clock };
            let free = self.lease.is_none_or(|(_, expires)| expires <= now);
            if self.cursor != 0 && now >= self.due + patience && free {
                let bound =
                    self.policy.deadline.map_or(u64::MAX, nanos).min(nanos(self.policy.attempt_timeout));
                self.lease = Some((number, now + bound));
                self.probes += 1;
                (call.probing, call.probed) = (true, true);
            }
        }
        call.target = if call.probing { 0 } else { self.next_target(&call) };
        call.mark = self.marks[call.target];
        self.check_attempt(&call, step);
        self.calls.push(call);
        number
    }

    /// A call is dropped.
    pub fn cancel(&mut self, number: usize) {
        self.free_lease(number);
    }

    /// An operator moves the cursor.
    pub fn prefer(&mut self, target: usize, now: u64, snapshot: &Snapshot) {
        self.move_cursor(target, now, snapshot);
    }

    /// A call's pause is over.
    pub fn resume(&mut self, number: usize, now: u64, step: &Step, snapshot: &Snapshot) {
        self.calls[number].latest = self.calls[number].latest.max(now);
        self.go_on(number, step, snapshot);
    }

    /// A call's attempt has ended. The snapshot was taken right after, at the origin, so that it
    /// tells moments.
    ///
    /// # Panics
    ///
    /// The machine does otherwise.
    #[expect(clippy::too_many_lines, reason = "it reads like the design, from top to bottom")]
    pub fn report(
        &mut self,
        number: usize,
        outcome: Outcome,
        asked: Option<Duration>,
        now: u64,
        step: &Step,
        snapshot: &Snapshot,
    ) {
        let policy = self.policy.clone();
        let call = &mut self.calls[number];
        let ended = call.latest.max(now);
        let target = call.target;
        let is_in = |codes: StatusCodes| outcome.status().is_some_and(|status| codes.contains(status));
        let (failover, not_processed) =
            (is_in(policy.failover_codes), is_in(policy.not_processed.unwrap_or(policy.failover_codes)));

        if outcome.status().is_some() && !failover && !not_processed {
            let Action::Return(answer) = step else { panic!("{step:?} instead of an answer") };
            assert_eq!(answer.target(), target);
            let (well, probe) = (!matches!(outcome, Outcome::Status(429 | 500..=599)), call.probing);
            if self.marks[target] == call.mark && well {
                self.marks[target] = Mark::default();
            }
            self.book(number, Some(target), snapshot);
            if probe && !well {
                self.calls[number].probing = false;
                return self.fail_probe(number, ended, snapshot);
            }
            let call = &self.calls[number];
            let stays =
                call.failures.iter().rfind(|failure| failure.target == call.seen.0).is_some_and(|f| f.stays);
            if target != call.seen.0 && !stays && call.seen.1 == self.moves {
                self.move_cursor(target, ended, snapshot);
            }
            self.free_lease(number);
            return;
        }

        let free = policy.free_repeat && !call.repeated;
        let by_status = match outcome {
            Outcome::Status(400..=499 | 501) => Harm::None,
            _ => Harm::Failure,
        };
        let (needs, same, harm, stays) = match outcome {
            Outcome::Error(Evidence::HandedBack) if free => (Needs::Nothing, true, Harm::None, true),
            Outcome::Error(Evidence::Stale) if free => (Needs::Proof, true, Harm::None, true),
            Outcome::Error(Evidence::NoConnection) => (Needs::Nothing, false, Harm::Connect, false),
            Outcome::Error(Evidence::NotSent | Evidence::HandedBack) => {
                (Needs::Nothing, false, Harm::None, false)
            }
            Outcome::Error(Evidence::NoRoom) => (Needs::Nothing, false, Harm::None, true),
            Outcome::Error(Evidence::MaybeProcessed | Evidence::Stale) => {
                (Needs::Proof, false, Harm::Failure, false)
            }
            Outcome::Error(Evidence::Refused) => (Needs::Body, false, Harm::Failure, true),
            Outcome::Error(Evidence::LocalFault) => (Needs::Never, false, Harm::None, true),
            Outcome::Error(_) => unreachable!("every kind has its row"),
            Outcome::Status(_) if !failover => (Needs::Body, false, Harm::Failure, true),
            Outcome::Status(_) if not_processed => (Needs::Body, false, by_status, false),
            Outcome::Status(_) => (Needs::Proof, false, by_status, false),
        };
        let probe = call.probing;
        let asked = asked.filter(|_| outcome.status().is_some());
        let retry_after = policy.retry_after.and_then(|most| Some(nanos(asked?.min(most))));
        let mark = call.mark;
        let no_room = outcome == Outcome::Error(Evidence::NoRoom);
        call.failures.push(Failure { target, harm, stays, no_room, ended, mark, retry_after });
        call.tries[target] += 1;
        call.latest = ended;
        let neutral = harm == Harm::None && stays;
        if probe && !neutral {
            call.probing = false;
            self.fail_probe(number, ended, snapshot);
        }

        let call = &mut self.calls[number];
        let refused = match needs {
            Needs::Never => Some(Reason::LocalFault),
            Needs::Proof if !call.proof => Some(Reason::NoProof),
            Needs::Proof | Needs::Body if !call.body => Some(Reason::OneShotBody),
            _ => None,
        };
        if let Some(reason) = refused {
            return self.stop(number, reason, step, snapshot);
        }
        if same {
            if call.deadline.is_some_and(|deadline| ended >= deadline) {
                return self.stop(number, Reason::Deadline, step, snapshot);
            }
            call.repeated = true;
            call.tries[target] -= 1;
            call.mark = self.marks[target];
            return self.check_attempt(&self.calls[number], step);
        }

        let tries: usize = call.tries.iter().sum();
        let count = self.marks.len();
        if tries >= count * usize::from(policy.rounds) {
            return self.stop(number, Reason::TargetsTried, step, snapshot);
        }
        if policy.max_attempts.is_some_and(|most| tries >= usize::from(most) + usize::from(call.probed)) {
            return self.stop(number, Reason::MaxAttempts, step, snapshot);
        }
        let deadline = call.deadline.unwrap_or(u64::MAX);
        if ended >= deadline {
            return self.stop(number, Reason::Deadline, step, snapshot);
        }
        let half = if deadline == u64::MAX { u64::MAX } else { (deadline - ended) / 2 };
        let interval = nanos(policy.interval);
        let (least, most) = if tries % count == 0 {
            let granted = retry_after.unwrap_or(0).min(10_000_000_000);
            let round = u32::try_from(tries / count - 1).expect("few rounds");
            let backoff = doubled(policy.backoff.base, round, policy.backoff.max);
            (interval.max(granted), interval.max(granted).max(backoff))
        } else {
            (interval, interval)
        };
        let (least, most) = (least.min(half), most.min(half));
        let drawn = if let Action::Wait(wait) = step { nanos(wait.pause()) } else { least };
        assert!((least..=most).contains(&drawn), "a pause of {drawn} instead of {least} to {most}: {step:?}");
        if needs == Needs::Proof && !probe && !self.grants(ended) {
            return self.stop(number, Reason::Budget, step, snapshot);
        }
        if drawn == 0 {
            return self.go_on(number, step, snapshot);
        }
        assert!(matches!(step, Action::Wait(_)), "{step:?} instead of a pause");
    }

    /// The group's memory must look like this.
    ///
    /// # Panics
    ///
    /// It does not.
    pub fn check(&self, snapshot: &Snapshot) {
        assert_eq!(snapshot.sticky, self.cursor);
        assert_eq!(snapshot.probes, self.probes);
        for (target, mark) in snapshot.targets.iter().zip(&self.marks) {
            assert_eq!(target.strikes, mark.strikes);
            assert_eq!(target.cooling.map_or(0, nanos), mark.until);
        }
        if let Some(due) = snapshot.failback_in {
            assert_eq!(nanos(due), self.due);
            assert_eq!(u32::from(snapshot.failed_probes), self.failed_probes);
        }
    }

    fn go_on(&mut self, number: usize, step: &Step, snapshot: &Snapshot) {
        let call = &self.calls[number];
        if call.deadline.is_some_and(|deadline| call.latest >= deadline) {
            return self.stop(number, Reason::Deadline, step, snapshot);
        }
        let target = self.next_target(call);
        let mark = self.marks[target];
        let call = &mut self.calls[number];
        (call.target, call.mark) = (target, mark);
        self.check_attempt(&self.calls[number], step);
    }

    fn stop(&mut self, number: usize, reason: Reason, step: &Step, snapshot: &Snapshot) {
        let Action::Fail(stopped) = step else { panic!("{step:?} instead of {reason:?}") };
        let call = &self.calls[number];
        let no_room = reason == Reason::TargetsTried && call.failures.iter().all(|failure| failure.no_room);
        assert_eq!(stopped.reason(), if no_room { Reason::LocalFault } else { reason });
        if call.tries.contains(&0) {
            let harmed = call.failures.iter().rfind(|failure| failure.target == call.seen.0);
            let harmed = harmed.is_some_and(|failure| failure.harm != Harm::None);
            self.book(number, None, snapshot);
            let call = &self.calls[number];
            if harmed && call.seen.1 == self.moves {
                self.move_cursor(self.next_target(call), call.latest, snapshot);
            }
        }
        self.free_lease(number);
    }

    /// The next target by the rule: untried in this round, not cooling, in order; else the one done soonest.
    fn next_target(&self, call: &Call) -> usize {
        let count = self.marks.len();
        let rounds = call.tries.iter().sum::<usize>() / count;
        let order = (0..count).map(|k| (call.seen.0 + k) % count);
        let mut left: Vec<usize> = order.filter(|&target| call.tries[target] <= rounds).collect();
        if let Some(&fit) = left.iter().find(|&&target| self.marks[target].until <= call.latest) {
            return fit;
        }
        left.sort_by_key(|&target| self.marks[target].until);
        left[0]
    }

    fn check_attempt(&self, call: &Call, step: &Step) {
        let Action::Send(attempt) = step else { panic!("{step:?} instead of an attempt") };
        assert_eq!(attempt.index(), call.target, "{call:?}");
        let tries: usize = call.tries.iter().sum();
        let most =
            self.policy.max_attempts.map_or(usize::MAX, |most| usize::from(most) + usize::from(call.probed));
        let another = tries + 1 < most.min(self.marks.len() * usize::from(self.policy.rounds));
        let left = |half: bool| {
            let left = call.deadline.map_or(u64::MAX, |deadline| deadline - call.latest);
            if half && call.deadline.is_some() { left / 2 } else { left }
        };
        let timeout = left(another && call.proof && call.body).min(nanos(self.policy.attempt_timeout));
        assert_eq!(nanos(attempt.timeout()), timeout);
        let connect = nanos(self.policy.connect_timeout).min(timeout).min(left(another));
        assert_eq!(nanos(attempt.connect_timeout()), connect);
    }

    /// Books the failures of a call that ends, and takes over the waits that the machine drew.
    fn book(&mut self, number: usize, answered: Option<usize>, snapshot: &Snapshot) {
        for failure in self.calls[number].failures.clone() {
            let mark = &mut self.marks[failure.target];
            if Some(failure.target) == answered || *mark != failure.mark {
                continue;
            }
            let (mut least, mut most) = (failure.retry_after.unwrap_or(0), failure.retry_after.unwrap_or(0));
            if let Some(rule) = self.policy.cool_down.filter(|_| failure.harm != Harm::None) {
                mark.strikes = mark.strikes.saturating_add(1);
                if failure.harm == Harm::Connect {
                    mark.strikes = mark.strikes.max(rule.strikes);
                }
                if mark.strikes >= rule.strikes {
                    let time = doubled(rule.base, (mark.strikes - rule.strikes).into(), rule.max);
                    (least, most) = (least.max(time), most.max(time + time / 5));
                }
            }
            if most > 0 {
                let (least, most) =
                    (mark.until.max(failure.ended + least), mark.until.max(failure.ended + most));
                mark.until = snapshot.targets[failure.target].cooling.map_or(0, nanos);
                assert!(
                    mark.until + UNIT > least && mark.until <= most,
                    "{mark:?} instead of {least} to {most}"
                );
            }
        }
    }

    fn move_cursor(&mut self, target: usize, now: u64, snapshot: &Snapshot) {
        if let Some(failback) = self.policy.failback.filter(|_| self.cursor == 0 && target != 0) {
            self.failed_probes = 0;
            self.draw_clock(nanos(failback.after), now, snapshot);
        }
        self.cursor = target;
        self.moves += 1;
    }

    fn fail_probe(&mut self, number: usize, now: u64, snapshot: &Snapshot) {
        let failback = self.policy.failback.expect("it probed");
        self.failed_probes = (self.failed_probes + 1).min(255);
        self.draw_clock(doubled(failback.after, self.failed_probes, failback.max), now, snapshot);
        self.free_lease(number);
    }

    /// Takes over the clock that the machine drew. While the cursor is at target 0 it is hidden and means nothing.
    fn draw_clock(&mut self, clock: u64, now: u64, snapshot: &Snapshot) {
        let Some(due) = snapshot.failback_in.map(nanos) else { return };
        assert!(
            due + UNIT > now + clock && due <= now + clock + clock / 5,
            "{due} instead of {now} + {clock}"
        );
        self.due = due;
    }

    fn free_lease(&mut self, number: usize) {
        self.lease = self.lease.filter(|&(holder, _)| holder != number);
    }

    fn last_counted(&self) -> u64 {
        self.begun.iter().chain(&self.charged).copied().max().unwrap_or(0)
    }

    /// Charges the budget, if there is one, for a replay.
    fn grants(&mut self, now: u64) -> bool {
        let Some(budget) = self.policy.budget else { return true };
        let now = now.max(self.last_counted());
        let window = |time: u64| time / 10_000_000_000;
        let calls = |number: u64| self.begun.iter().filter(|&&time| window(time) == number).count() as u64;
        let busier = calls(window(now)).max(window(now).checked_sub(1).map_or(0, calls));
        let granted = busier * u64::from(budget.percent) / 100 + u64::from(budget.reserve);
        let used = self.charged.iter().filter(|&&time| window(time) == window(now)).count() as u64;
        if used < granted {
            self.charged.push(now);
        }
        used < granted
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn doubled(base: Duration, times: u32, most: Duration) -> u64 {
    let doubled = (0..times).fold(nanos(base), |time, _| time.saturating_mul(2));
    doubled.min(nanos(most))
}

/// The machine keeps a wait's end in units of this many nanoseconds, rounded down.
const UNIT: u64 = 256;
