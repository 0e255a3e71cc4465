//! The reference model of a group under many calls: what the design says, kept in plain lists, one event at a time.
//!
//! It owns no jitter and no dice. Where the machine has a choice, the model knows what may come out of it, and
//! [`Model::check`] finds what the machine's snapshot tells to be among that, and goes on with it.
//!
//! Of what is remembered, the machine keeps times in units of 256 ns, rounded down, and so does the model.

use std::time::Duration;

use failover_core::{
    Action, Attempt, Cause, Checks, Evidence, Expired, Follow, Policy, Reason, Replay, Snapshot, StatusCodes,
    Verdict,
};

use crate::drive::Step;
use crate::oracle::{Outcome, Request};

/// What a group must remember.
#[derive(Debug)]
pub struct Model {
    /// What the targets are called: equal names are the same target.
    names: Vec<usize>,
    policy: Policy,
    targets: Vec<Target>,
    cursor: usize,
    moves: usize,
    lease: Lease,
    probes: u64,
    /// By which part of a fifth cool-downs are lengthened, once one was, and how far that may be off.
    share: Option<(f64, f64)>,
    /// The calls and the charged replays that the budget counts.
    counted: Vec<Counted>,
    calls: Vec<Call>,
}

/// What is remembered of one target.
#[derive(Clone, Debug)]
struct Target {
    /// When the attempts began of its strikes in a row: those that make it cool, and one for each time that it cooled again.
    strikes: Vec<u64>,
    /// Until when it cools, or did so last.
    cools: Span,
    /// When it last asked for time while it was to be left.
    asked: Option<u64>,
    /// What its cool-down was before it was lengthened, since the last snapshot: from when on, and how long.
    drawn: Option<(u64, u64)>,
    /// How long its answers usually take, and from how many that is known.
    usual: (u64, usize),
    /// Whether no answer told that, but a call that none answered.
    taught: bool,
    /// What is usual if the last answer was looked at: one in sixteen is, by a hash of the time.
    adapted: Option<u64>,
    /// When it answered anybody; not noted again within an eighth of the floor.
    heard: Option<u64>,
    /// As of when the last attempt counted that was a strike by waiting.
    waited: Option<u64>,
    last_failure: Option<Cause<()>>,
    /// What its failback clock may be: one, unless it was set while no snapshot shows it.
    clocks: Vec<Clock>,
    /// When it would have been due that checks made due before.
    cut_short: u64,
    /// The checks in a row that were good, or bad; neither if there were none.
    checks: (usize, usize),
    is_down: bool,
    row: GoodRow,
}

/// The good checks of a target in a row that began after its clock was set to what it was then.
#[derive(Clone, Debug, Default)]
struct GoodRow {
    clocks: Vec<Clock>,
    good: usize,
    /// When the last check began.
    began: u64,
}

/// The moments that a moment may be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Span {
    least: u64,
    most: u64,
}

/// When a target's next probe is due, and how often that was doubled; for the target with the cursor, since when it has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Clock {
    due: Span,
    doubled: u32,
}

/// Until when nobody else may probe, and who does.
#[derive(Clone, Copy, Debug, Default)]
struct Lease {
    holder: Option<usize>,
    until: u64,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    window: u64,
    is_replay: bool,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Call {
    proof: bool,
    body: bool,
    gone: bool,
    deadline: Option<u64>,
    latest: u64,
    sent: u64,
    asked: u64,
    seen: (usize, usize),
    target: usize,
    /// It has the right to probe, as far as it knows.
    leased: bool,
    /// The attempt is a probe; one was.
    probe: bool,
    probed: bool,
    struck: bool,
    repeated: bool,
    /// How often each target was tried.
    tries: Vec<usize>,
    failures: Vec<Failure>,
    /// How many strikes its answer cleared.
    cleared: usize,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    target: usize,
    stays: bool,
    evidence: Option<Evidence>,
    cut: bool,
    began: u64,
    ended: u64,
    retry_after: Option<u64>,
}

/// How an attempt ended that is given up.
#[derive(Clone, Copy, Debug)]
struct Ending {
    harm: Harm,
    /// By a timeout, before it had all the time that an attempt may have.
    cut: bool,
    retry_after: Option<u64>,
}

/// What an ending says of its target.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Harm {
    None,
    /// As much as if its caller had left.
    Cut,
    Strike,
    /// All strikes that are needed, unless it answers others.
    Connect,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Needs {
    Whole,
    Body,
    Proof,
    Never,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    needs: Needs,
    same: bool,
    harm: Harm,
    stays: bool,
}

impl Target {
    fn new() -> Self {
        Self {
            strikes: vec![],
            cools: Span::default(),
            asked: None,
            drawn: None,
            usual: (0, 0),
            taught: false,
            adapted: None,
            heard: None,
            waited: None,
            last_failure: None,
            clocks: vec![Clock::default()],
            cut_short: 0,
            checks: (0, 0),
            is_down: false,
            row: GoodRow::default(),
        }
    }

    fn is_fresh(&self, now: u64) -> bool {
        self.heard.is_some_and(|heard| now.saturating_sub(heard) <= AGE)
    }

    fn usual(&self, now: u64) -> Option<u64> {
        (self.is_fresh(now) && self.usual.1 >= ENOUGH).then_some(self.usual.0)
    }

    fn was_heard_since(&self, moment: u64) -> bool {
        self.heard.is_some_and(|heard| heard >= moment)
    }

    fn hear(&mut self, now: u64, floor: u64) {
        if self.heard.is_none_or(|heard| now.saturating_sub(heard) >= floor / 8) {
            self.heard = self.heard.max(Some(now));
        }
    }

    /// Learns how long a good answer took.
    fn learn(&mut self, took: u64, now: u64) {
        let (usual, count) = self.usual;
        let is_refuted = self.taught && took < usual;
        if !self.is_fresh(now) || count == 0 || is_refuted {
            (self.usual, self.taught) = ((kept(took), 1), false);
            return;
        }
        let adapted =
            kept(if took > usual { usual + (took - usual) / 8 } else { usual - (usual - took) / 4 });
        if self.taught || count < ENOUGH || took / 2 > usual {
            (self.usual, self.taught) = ((adapted, ENOUGH.min(count + 1)), false);
        } else {
            self.adapted = Some(adapted);
        }
    }
}

impl Target {
    /// Takes over whether the last answer was looked at.
    fn adopt_usual(&mut self, told: Option<u64>) {
        if let Some(adapted) = self.adapted.take().filter(|&adapted| told == Some(adapted)) {
            self.usual.0 = adapted;
        }
    }
}

impl Model {
    /// The model of a fresh group of targets with these names.
    #[must_use]
    pub fn new(names: &[usize], policy: Policy) -> Self {
        Self {
            names: names.to_vec(),
            policy,
            targets: names.iter().map(|_| Target::new()).collect(),
            cursor: 0,
            moves: 0,
            lease: Lease::default(),
            probes: 0,
            share: None,
            counted: vec![],
            calls: vec![],
        }
    }

    /// The model of a group that was made from this one, with other targets or another policy.
    #[must_use]
    pub fn with_targets(&self, names: &[usize], policy: Policy) -> Self {
        let mut model = Self::new(names, policy);
        for (target, &known) in model.targets.iter_mut().zip(&places(names, &self.names)) {
            let Some(known) = known else { continue };
            *target = self.targets[known].clone();
            target.row = GoodRow::default();
            if model.policy.cool_down.is_none() {
                target.cools = Span::default();
            }
            if model.policy.failback.is_none() {
                (target.clocks, target.cut_short) = (vec![Clock::default()], 0);
            }
        }
        let stay = places(&self.names, names);
        model.cursor = stay[self.cursor..].iter().find_map(|&place| place).unwrap_or(0);
        model.counted.clone_from(&self.counted);
        model
    }

    /// The moments to come at which something ends that is remembered: cool-downs, and what is usual; or from which on probes
    /// are due, and a return counts for one that lasted.
    #[must_use]
    pub fn to_come(&self, now: u64) -> Vec<u64> {
        let heard = self.targets.iter().filter_map(|known| known.heard);
        let mut moments: Vec<u64> = heard.map(|heard| heard + AGE).collect();
        moments.extend(self.targets.iter().map(|known| known.cools.least));
        moments.push(self.lease.until);
        if let Some(rule) = self.policy.failback {
            for clock in self.targets[..=self.cursor].iter().map(|known| known.clocks[0]) {
                moments.extend([
                    clock.due.least,
                    clock.due.least + doubled(rule.after, clock.doubled, rule.max),
                ]);
            }
        }
        moments.retain(|&moment| moment > now);
        moments
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
        let bounds = [self.policy.deadline, within];
        let deadline = bounds.into_iter().flatten().map(|time| now.saturating_add(nanos(time))).min();
        self.calls.push(Call {
            proof,
            body: request.body,
            gone: false,
            deadline,
            latest: now,
            sent: now,
            asked: now,
            seen: (self.cursor, self.moves),
            target: self.cursor,
            leased: false,
            probe: false,
            probed: false,
            struck: false,
            repeated: false,
            tries: vec![0; self.targets.len()],
            failures: vec![],
            cleared: 0,
        });
        if deadline.is_some_and(|deadline| deadline <= now) {
            let Action::Fail(stopped) = step else { panic!("{step:?} of a call whose time is over") };
            assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::Deadline, 0));
            return number;
        }
        if self.policy.budget.is_some() {
            let window = self.window(now);
            self.counted.push(Counted { window, is_replay: false });
        }
        let probe = self.to_be_probed(&self.calls[number], now);
        let next = self.next_target(&self.calls[number]);
        let call = &mut self.calls[number];
        call.target = probe.unwrap_or(next);
        if probe.is_some() {
            let bound = self.policy.deadline.map_or(u64::MAX, nanos).min(nanos(self.policy.attempt_timeout));
            // Those of one moment are told apart by their last bits.
            let until = kept(now + bound).saturating_sub(256) + self.probes % 256;
            self.lease = Lease { holder: Some(number), until };
            self.probes += 1;
            (call.leased, call.probe, call.probed) = (true, true, true);
        }
        self.check_step(number, step);
        number
    }

    /// A call is dropped.
    pub fn cancel(&mut self, number: usize) {
        self.end_probe(number, false, 0);
    }

    /// A call's caller leaves.
    pub fn abandon(&mut self, number: usize, now: u64) {
        let now = now.max(self.calls[number].asked);
        let is_strike = self.book(number, Harm::Cut, now);
        self.end_probe(number, is_strike, now);
    }

    /// An operator moves the cursor.
    pub fn prefer(&mut self, target: usize, now: u64) {
        self.move_cursor(self.cursor, target, now);
    }

    /// A check of a target begins.
    pub fn check_begins(&mut self, target: usize, now: u64) {
        let known = &mut self.targets[target];
        if known.row.clocks != known.clocks {
            known.row = GoodRow { clocks: known.clocks.clone(), ..GoodRow::default() };
        }
        known.row.began = now;
    }

    /// A check of a target ends.
    ///
    /// # Panics
    ///
    /// There are none.
    pub fn checked(&mut self, target: usize, good: bool) {
        let rule = self.policy.checks.as_ref().expect("checks");
        let known = &mut self.targets[target];
        let (rise, fall) = (usize::from(rule.rise), usize::from(rule.fall));
        known.checks = if good { (known.checks.0 + 1, 0) } else { (0, known.checks.1 + 1) };
        known.is_down = known.checks.1 >= fall || known.is_down && known.checks.0 < rise;
        known.row.good = if good { known.row.good + 1 } else { 0 };
        let began = known.row.began;
        if known.row.good >= rise && known.row.clocks == known.clocks {
            let clock = known.clocks[0];
            if clock.doubled == 0 && clock.due.least > began {
                known.cut_short = known.cut_short.max(clock.due.least);
                known.clocks = vec![Clock { due: Span::at(kept(began)), doubled: 0 }];
            }
        }
    }

    /// The target of a call's attempt took bytes of the request.
    pub fn progress(&mut self, number: usize, now: u64) {
        let call = &mut self.calls[number];
        call.sent = call.sent.max(now);
        call.asked = call.asked.max(now);
    }

    /// A call's body cannot be sent again.
    pub fn body_gone(&mut self, number: usize) {
        self.calls[number].gone = true;
    }

    /// The body of a call's answer ended whole, or enough of it passed.
    pub fn body_whole(&mut self, number: usize, now: u64) {
        let Call { leased, seen, target, .. } = self.calls[number];
        if leased && self.lease.holder == Some(number) {
            if seen.1 == self.moves {
                self.move_cursor(seen.0, target, now);
            }
            self.free_lease(number, 0);
        }
    }

    /// The body of a call's answer broke off. What its head cleared is there again, as of this moment.
    pub fn body_broke_off(&mut self, number: usize, now: u64) {
        let Call { leased, target, cleared, .. } = self.calls[number];
        self.strike(target, cleared, 0, now, now);
        if leased {
            self.fail_probe(number, now);
        }
    }

    /// A call's pause is over.
    pub fn resume(&mut self, number: usize, now: u64, step: &Step) {
        self.calls[number].latest = self.calls[number].latest.max(now);
        self.go_on(number, step);
    }

    /// A call's attempt waited in vain, for as long as it had been told to, or less.
    ///
    /// # Panics
    ///
    /// The machine does otherwise.
    pub fn expired(
        &mut self,
        number: usize,
        evidence: Evidence,
        now: u64,
        expired: &Expired<usize, usize, Outcome>,
    ) {
        let call = &mut self.calls[number];
        call.asked = call.asked.max(now);
        let (now, target, waited) = (call.asked, call.target, call.asked - call.sent);
        let call = &self.calls[number];
        let Row { needs, harm, .. } = self.row(call, Outcome::Error(evidence));
        let is_free = needs != Needs::Proof || call.probe || self.replays_left(now) > 0;
        let could_go_on = lacks(call, needs).is_none() && self.has_another(call) && is_free;
        let is_late = harm != Harm::None && self.late_after(target, now).is_some_and(|time| waited >= time);
        let is_silent = !self.targets[target].was_heard_since(call.sent);

        let no_connection = evidence == Evidence::NoConnection && waited >= self.connect_timeout(call);
        let mut is_over = waited >= self.whole(call) || no_connection;
        if could_go_on && half(call).is_some_and(|half| waited >= half) {
            let is_overdue =
                harm != Harm::None && self.least_wait(target, now).is_some_and(|time| waited >= time);
            is_over |= self.late_after(target, now).is_none() || is_overdue && is_silent;
        }
        if !is_over && is_late {
            self.calls[number].struck = self.book(number, Harm::Cut, now);
            self.end_probe(number, true, now);
            let call = &self.calls[number];
            let rounds = rounds(call);
            let is_bad = |target: usize| self.cools(target, now) || self.targets[target].is_down;
            let is_ready = |other: usize| other != target && call.tries[other] <= rounds && !is_bad(other);
            let is_left = call.probe || is_bad(target);
            is_over = is_left && could_go_on && (0..self.targets.len()).any(is_ready);
        }
        match expired {
            Expired::WaitOn(attempt) => {
                assert!(!is_over, "waits on: {:?}", self.calls[number]);
                assert!(!attempt.bound().is_zero(), "asked at once again: {:?}", self.calls[number]);
                self.check_attempt(number, attempt);
            }
            Expired::Next(step) => {
                assert!(is_over, "{step:?} instead of waiting on: {:?}", self.calls[number]);
                self.timed_out(number, evidence, now, step);
            }
        }
    }

    /// When a driver asks a call's attempt: one that asks again at its bound, one that asks once when its whole time is over.
    /// While there is no connection that may be earlier.
    #[must_use]
    pub fn ask_at(&self, number: usize, again: bool, no_connection: bool) -> u64 {
        let call = &self.calls[number];
        let at = if again { call.asked + self.bound(call) } else { call.sent + self.timeout(call) };
        if no_connection { at.min(call.sent + self.connect_timeout(call)) } else { at }
    }

    /// A call's attempt was given up for want of an answer, by a driver that waits once only.
    pub fn timed_out(&mut self, number: usize, evidence: Evidence, now: u64, step: &Step) {
        let call = &self.calls[number];
        let (outcome, now) = (Outcome::Error(evidence), call.asked.max(now));
        let policy = &self.policy;
        let enough =
            nanos(policy.attempt_timeout).min(policy.deadline.map_or(u64::MAX, |time| nanos(time) / 2));
        let waited = now - call.sent;
        let is_enough = match evidence {
            Evidence::NoConnection => waited >= enough.min(nanos(policy.connect_timeout)),
            _ => waited >= enough && !self.targets[call.target].was_heard_since(call.sent),
        };
        let harm = table(outcome, false, true, false).harm;
        let harm = if is_enough || harm == Harm::None { harm } else { Harm::Cut };
        let cut = waited < nanos(policy.attempt_timeout);
        self.give_up(number, outcome, Ending { harm, cut, retry_after: None }, now, step);
    }

    /// A call's attempt has ended.
    ///
    /// # Panics
    ///
    /// The machine does otherwise.
    pub fn report(
        &mut self,
        number: usize,
        outcome: Outcome,
        asked: Option<Duration>,
        now: u64,
        step: &Step,
    ) {
        let call = &self.calls[number];
        let (target, ended) = (call.target, call.asked.max(now));
        if outcome.status().is_none() {
            let harm = self.row(call, outcome).harm;
            return self.give_up(
                number,
                outcome,
                Ending { harm, cut: false, retry_after: None },
                ended,
                step,
            );
        }
        let not_processed = self.policy.not_processed.unwrap_or_default();
        let verdict = match outcome {
            Outcome::Judged(verdict) => Some(verdict),
            _ if contains(self.policy.failover_codes, outcome) || contains(not_processed, outcome) => None,
            Outcome::Status(429 | 500..=599) => Some(Verdict::Pass),
            _ => Some(Verdict::Accept),
        };
        if let Some(verdict) = verdict.filter(|verdict| !verdict.gives_up()) {
            return self.answer(number, verdict == Verdict::Accept, ended, step);
        }
        let floor = self.floor();
        self.targets[target].hear(ended, floor);
        let retry_after = self.policy.retry_after.and_then(|most| Some(nanos(asked?.min(most))));
        let harm = self.row(&self.calls[number], outcome).harm;
        self.give_up(number, outcome, Ending { harm, cut: false, retry_after }, ended, step);
    }

    /// The group's memory must look like this, by a snapshot at the origin, which tells moments, and one of the present.
    ///
    /// # Panics
    ///
    /// It does not.
    pub fn check(&mut self, moments: &Snapshot, now: u64, present: &Snapshot) {
        assert_eq!((moments.sticky, present.sticky), (self.cursor, self.cursor));
        assert_eq!(moments.probes, self.probes);
        for index in 0..self.targets.len() {
            let (told, seen) = (&moments.targets[index], &present.targets[index]);
            assert_eq!(
                usize::from(told.strikes),
                self.targets[index].strikes.len(),
                "the strikes of {index}"
            );
            assert_eq!(told.last_failure, self.targets[index].last_failure);
            self.adopt_cool_down(index, told.cooling.map_or(0, nanos));
            let cooling = self.targets[index].cools.least.saturating_sub(now);
            assert_eq!(seen.cooling.map_or(0, nanos), cooling, "the cool-down of {index}");

            let known = &mut self.targets[index];
            known.adopt_usual(told.usual.map(nanos));
            assert_eq!(seen.usual.map(nanos), known.usual(now), "what is usual for {index}");

            let due = told.probe_in.map(nanos);
            assert_eq!(due.is_some(), self.policy.failback.is_some() && index < self.cursor);
            let Some(due) = due else {
                assert_eq!(told.failed_probes, 0);
                continue;
            };
            let fits =
                |clock: &Clock| clock.due.contains(due) && clock.doubled == u32::from(told.failed_probes);
            assert!(known.clocks.iter().any(fits), "{told:?} instead of {:?}", known.clocks);
            known.clocks = vec![Clock { due: Span::at(due), doubled: told.failed_probes.into() }];
            assert_eq!(seen.probe_in.map(nanos), Some(due.saturating_sub(now)));
        }
    }

    /// A call returns what its target answered.
    fn answer(&mut self, number: usize, is_well: bool, ended: u64, step: &Step) {
        let Action::Return(answer) = step else { panic!("{step:?} instead of an answer") };
        let call = &self.calls[number];
        let (target, sticky, needed, floor) = (call.target, call.seen.0, self.needed(), self.floor());
        assert_eq!((answer.target(), answer.failures().len()), (target, call.failures.len()));
        assert_eq!((answer.began().as_nanos(), answer.ended().as_nanos()), (call.latest, ended));

        let known = &mut self.targets[target];
        if is_well {
            known.learn(ended - call.sent, ended);
        }
        if is_well && known.asked.is_none_or(|asked| asked <= call.sent) {
            self.calls[number].cleared = known.strikes.len();
            (known.strikes, known.cools) = (vec![], Span::default());
        }
        known.hear(ended, floor);

        let call = &self.calls[number];
        if call.leased {
            // A good answer moves the cursor once its body ended.
            if !is_well {
                self.end_probe(number, true, ended);
            }
            return;
        }
        let is_left = match self.policy.follow {
            Follow::Answer => call
                .failures
                .iter()
                .rfind(|failure| failure.target == sticky)
                .is_some_and(|failure| !failure.stays),
            Follow::Strikes => is_well && self.targets[sticky].strikes.len() >= needed,
            other => unreachable!("{other:?} is not played"),
        };
        if target == sticky || !is_left || call.seen.1 != self.moves {
            return;
        }
        if self.policy.follow == Follow::Strikes && call.cleared >= needed {
            // All were down, which is over: the sticky target gets another chance.
            self.targets[sticky].strikes = vec![ended; needed - 1];
            self.targets[sticky].cools = Span::default();
        } else {
            self.move_cursor(sticky, target, ended);
        }
    }

    /// A call gives its attempt up.
    fn give_up(
        &mut self,
        number: usize,
        outcome: Outcome,
        Ending { harm, cut, retry_after }: Ending,
        ended: u64,
        step: &Step,
    ) {
        let row = self.row(&self.calls[number], outcome);
        let is_strike = self.book(number, harm, ended);
        if let Some(asked) = retry_after {
            self.lengthen(self.calls[number].target, asked, ended);
        }
        if !row.same {
            self.end_probe(number, is_strike, ended);
        }
        let call = &mut self.calls[number];
        let (target, probe) = (call.target, call.probe);
        self.targets[target].last_failure = Some(match outcome {
            Outcome::Status(_) => Cause::Status(outcome.status().expect("a status")),
            Outcome::Judged(_) => Cause::Judged(outcome.status().expect("a status")),
            Outcome::Error(evidence) => Cause::Error(evidence, ()),
        });
        call.failures.push(Failure {
            target,
            stays: row.stays,
            evidence: if let Outcome::Error(evidence) = outcome { Some(evidence) } else { None },
            cut,
            began: call.latest,
            ended,
            retry_after,
        });
        call.latest = ended;
        let is_too_late = call.deadline.is_some_and(|deadline| ended >= deadline);
        if let Some(reason) = lacks(call, row.needs) {
            call.tries[target] += 1;
            return self.stop(number, reason, step);
        }
        if row.same {
            if is_too_late {
                call.tries[target] += 1;
                return self.stop(number, Reason::Deadline, step);
            }
            call.repeated = true;
            return self.send(number, target, step);
        }

        call.tries[target] += 1;
        let call = &self.calls[number];
        let (tries, count) = (call.tries.iter().sum::<usize>(), self.targets.len());
        if tries >= count * usize::from(self.policy.rounds) {
            return self.stop(number, Reason::TargetsTried, step);
        }
        if tries >= self.most_tries(call) {
            return self.stop(number, Reason::MaxAttempts, step);
        }
        if is_too_late {
            return self.stop(number, Reason::Deadline, step);
        }
        if row.needs == Needs::Proof && !probe && self.policy.budget.is_some() {
            if self.replays_left(ended) == 0 {
                return self.stop(number, Reason::Budget, step);
            }
            let window = self.window(ended);
            self.counted.push(Counted { window, is_replay: true });
        }

        let call = &self.calls[number];
        let interval = nanos(self.policy.interval);
        let (least, most) = if tries % count == 0 {
            let next = self.next_target(call);
            let asked = call.failures.iter().rfind(|failure| failure.target == next);
            let asked = asked.and_then(|failure| failure.retry_after).unwrap_or(0).min(LONGEST_RETRY_AFTER);
            let round = u32::try_from(tries / count - 1).expect("few rounds");
            let backoff = doubled(self.policy.backoff.base, round, self.policy.backoff.max);
            (interval.max(asked), interval.max(asked).max(backoff))
        } else {
            (interval, interval)
        };
        let half = half(call).unwrap_or(u64::MAX);
        let (least, most) = (least.min(half), most.min(half));
        let pause = if let Action::Wait(wait) = step { nanos(wait.pause()) } else { 0 };
        assert!((least..=most).contains(&pause), "a pause of {pause} instead of {least} to {most}: {step:?}");
        if pause == 0 {
            self.go_on(number, step);
        }
    }

    fn go_on(&mut self, number: usize, step: &Step) {
        let call = &self.calls[number];
        if call.deadline.is_some_and(|deadline| call.latest >= deadline) {
            return self.stop(number, Reason::Deadline, step);
        }
        let target = self.next_target(call);
        self.calls[number].probe = false;
        self.send(number, target, step);
    }

    fn send(&mut self, number: usize, target: usize, step: &Step) {
        let call = &mut self.calls[number];
        (call.target, call.sent, call.asked) = (target, call.latest, call.latest);
        call.struck = false;
        self.check_step(number, step);
    }

    fn stop(&mut self, number: usize, reason: Reason, step: &Step) {
        let Action::Fail(stopped) = step else { panic!("{step:?} instead of {reason:?}") };
        let call = &self.calls[number];
        let no_room = reason == Reason::TargetsTried
            && call.failures.iter().all(|failure| failure.evidence == Some(Evidence::NoRoom));
        assert_eq!(stopped.reason(), if no_room { Reason::LocalFault } else { reason });
        assert_eq!(stopped.failures().len(), call.failures.len());
        let (sticky, latest) = (call.seen.0, call.latest);
        if call.tries.contains(&0) {
            let is_bad = self.targets[sticky].strikes.len() >= self.needed();
            let met_it = call.failures.iter().any(|failure| failure.target == sticky);
            let by_one = self.policy.follow == Follow::Strikes && self.policy.cool_down.is_none();
            if by_one && met_it && is_bad && call.seen.1 == self.moves {
                self.move_cursor(sticky, (sticky + 1) % self.targets.len(), latest);
            }
            let call = &self.calls[number];
            if let Some(last) = call.failures.last().filter(|last| last.cut || reason == Reason::Deadline) {
                let known = &mut self.targets[last.target];
                let took_longer = last.ended - last.began >= known.usual.0;
                if known.taught || took_longer && !known.was_heard_since(last.began) {
                    (known.usual, known.taught) = ((0, 0), false);
                }
            }
        } else if let Some(&first) = call.failures.split_last().and_then(|(_, kept)| {
            kept.iter().find(|failure| failure.cut && failure.evidence != Some(Evidence::NoConnection))
        }) {
            let (waited, floor) = (first.ended - first.began, self.floor());
            let known = &mut self.targets[first.target];
            if waited >= floor / 4 && waited > known.usual(latest).unwrap_or(0) {
                (known.usual, known.taught) = ((kept(waited), ENOUGH), true);
                known.heard = known.heard.max(Some(latest));
            }
        }
        self.end_probe(number, false, latest);
    }

    /// Books what an attempt says of its target; tells whether that is a strike.
    fn book(&mut self, number: usize, harm: Harm, now: u64) -> bool {
        let Call { target, latest, sent, struck, .. } = self.calls[number];
        let floor = self.floor();
        let known = &self.targets[target];
        match harm {
            Harm::None => return false,
            _ if struck => return true,
            Harm::Cut if !self.waited_too_long(target, latest, sent, now) => return false,
            Harm::Cut => {
                self.targets[target].waited = Some(self.counts_as_of(target, sent, now));
                self.strike(target, 0, 0, latest, now);
            }
            Harm::Connect if !known.was_heard_since(latest.min(now.saturating_sub(floor))) => {
                self.strike(target, 0, self.needed(), latest, now);
            }
            Harm::Connect | Harm::Strike => self.strike(target, 0, 0, latest, now),
        }
        true
    }

    /// Whether an attempt that had no answer yet is a strike.
    fn waited_too_long(&self, target: usize, began: u64, sent: u64, now: u64) -> bool {
        let Some(least) = self.least_wait(target, now) else { return false };
        let (known, floor) = (&self.targets[target], self.floor());
        let first = known.strikes.iter().map(|&moment| kept(moment)).fold(began, u64::min);
        let is_together = !known.strikes.is_empty() && began.saturating_sub(first) < floor / 2;
        let idle = known.heard.map_or(0, |heard| 8 * first.saturating_sub(heard));
        let silent = if is_together { 5 * floor } else { idle.clamp(floor, 5 * floor) };
        let is_last = known.strikes.len() + 1 == self.needed();
        now - sent >= least
            && !known.was_heard_since(sent)
            && !(is_last && now.saturating_sub(first) < silent)
            && known.waited.is_none_or(|last| self.counts_as_of(target, sent, now) >= last + floor / 2)
    }

    /// How long an attempt must have waited that has no time to become late.
    fn least_wait(&self, target: usize, now: u64) -> Option<u64> {
        let (factor, floor) = (self.policy.late?.factor, self.floor());
        let usual = self.targets[target].usual(now);
        Some(usual.map_or(floor, |usual| usual.saturating_mul(factor.into()).max(floor / 64)))
    }

    /// As of when an attempt counts that waits: when it was sent, or as much later as it has been late.
    fn counts_as_of(&self, target: usize, sent: u64, now: u64) -> u64 {
        self.late_after(target, now).map_or(sent, |late| sent.max(now.saturating_sub(late)))
    }

    /// Adds a strike to a target that does not cool, and those that are there again, up to `least` at least.
    ///
    /// Together they make it cool for the first time; only what had made it cool before makes it cool for longer.
    fn strike(&mut self, target: usize, again: usize, least: usize, began: u64, now: u64) {
        let needed = self.needed();
        let known = &mut self.targets[target];
        if known.strikes.len() >= needed && began < known.cools.least {
            return;
        }
        let most = known.strikes.len().max(again);
        let all = known.strikes.len() + again;
        let total = if most < needed { needed.min(all + 1) } else { most + 1 };
        let total = total.max(least).min(255);
        known.strikes.resize(total, began);
        if let Some(times) = total.checked_sub(needed) {
            let times = u32::try_from(times).expect("few strikes");
            known.cools = Span::default();
            if let Some(rule) = self.policy.cool_down {
                let time = doubled(rule.base, times, rule.max);
                known.cools = Span::drawn(now, time);
                known.drawn = Some((now, time));
            }
        }
    }

    /// Lets a target that is to be left cool at least for as long as it asked.
    fn lengthen(&mut self, target: usize, asked: u64, now: u64) {
        let needed = self.needed();
        let known = &mut self.targets[target];
        if known.strikes.len() >= needed && self.policy.cool_down.is_some() {
            known.cools = known.cools.max(Span::at(kept(now + asked)));
            known.asked = known.asked.max(Some(now));
        }
    }

    /// Takes over the end of a cool-down: it was lengthened by up to a fifth, by the same part each time.
    fn adopt_cool_down(&mut self, target: usize, told: u64) {
        let needed = self.needed();
        let known = &mut self.targets[target];
        let drawn = known.drawn.take();
        if known.strikes.len() < needed {
            return;
        }
        let Span { least, most } = known.cools;
        assert!(known.cools.contains(told), "{target} cools until {told} instead of {least} to {most}");
        known.cools = Span::at(told);
        let Some((from, time)) =
            drawn.filter(|&(from, time)| Span::drawn(from, time) == Span { least, most })
        else {
            return;
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds are short")]
        let (part, off) =
            ((told as f64 - (from + time) as f64) / (time / 5) as f64, 1_024.0 / (time / 5) as f64);
        let (known, known_off) = *self.share.get_or_insert((part, off));
        assert!((part - known).abs() <= off + known_off, "lengthened by {part} instead of {known}");
    }

    fn move_cursor(&mut self, from: usize, to: usize, now: u64) {
        if let Some(rule) = self.policy.failback {
            let wait = |doubled_times: u32| doubled(rule.after, doubled_times, rule.max);
            for target in from..to {
                let mut clocks = vec![];
                let cut_short = self.targets[target].cut_short;
                for clock in &self.targets[target].clocks {
                    let again = (clock.doubled + 1).min(255);
                    let stay = wait(clock.doubled);
                    let latest = |since: u64| since + wait(0) + wait(0) / 5;
                    let stayed = |since: u64| now.saturating_sub(since.max(cut_short.min(latest(since))));
                    let (least, most) = (stayed(clock.due.most), stayed(clock.due.least));
                    let possible = match target {
                        _ if target != from => vec![clock.doubled],
                        _ if *clock == Clock::default() || least >= stay => vec![0],
                        _ if most < stay => vec![again],
                        _ => vec![0, again],
                    };
                    // Another call that leaves it as well may have just set it.
                    let is_set = target == from && clock.due.most > now;
                    if is_set {
                        clocks.push(*clock);
                    }
                    if !is_set || clock.due.least <= now {
                        clocks.extend(possible.into_iter().map(|doubled| Clock {
                            due: Span::drawn(now, wait(doubled)).max(clock.due),
                            doubled,
                        }));
                    }
                }
                self.targets[target].clocks = clocks;
            }
            if from != to {
                for clock in &mut self.targets[to].clocks {
                    clock.due = Span::at(kept(now));
                }
            }
        }
        self.cursor = to;
        self.moves += 1;
    }

    /// The best placed target before the cursor whose clock is due and that does not cool, if the call may probe.
    fn to_be_probed(&self, call: &Call, now: u64) -> Option<usize> {
        let rule = self.policy.failback?;
        let is_due = |target: usize| {
            let clock = self.targets[target].clocks[0];
            let patience =
                if call.proof && call.body { 0 } else { doubled(rule.after, clock.doubled, rule.max) };
            let Target { checks, is_down, .. } = self.targets[target];
            let is_well = |rule: &Checks| checks == (0, 0) || !is_down && checks.0 >= rule.rise.into();
            now >= clock.due.least + patience
                && !self.cools(target, now)
                && self.policy.checks.as_ref().is_none_or(is_well)
        };
        (0..self.cursor).find(|&target| is_due(target)).filter(|_| now >= self.lease.until)
    }

    /// A call that probes does so no longer.
    fn end_probe(&mut self, number: usize, failed: bool, now: u64) {
        let Call { leased, latest, .. } = self.calls[number];
        if leased && failed {
            self.fail_probe(number, now);
        } else if leased {
            self.free_lease(number, latest + NEXT_PROBE);
        }
        self.calls[number].leased = false;
    }

    fn fail_probe(&mut self, number: usize, now: u64) {
        if self.lease.holder != Some(number) {
            return;
        }
        let rule = self.policy.failback.expect("it probed");
        for clock in &mut self.targets[self.calls[number].target].clocks {
            clock.doubled = (clock.doubled + 1).min(255);
            let wait = doubled(rule.after, clock.doubled, rule.max);
            clock.due = Span::drawn(now, wait).max(clock.due);
        }
        self.free_lease(number, 0);
    }

    fn free_lease(&mut self, number: usize, until: u64) {
        if self.lease.holder == Some(number) {
            self.lease = Lease { holder: None, until };
        }
    }

    /// The next target by the rule: untried in this round, not cooling, in order; else the one done soonest. If all cool, as
    /// if none did.
    fn next_target(&self, call: &Call) -> usize {
        let count = self.targets.len();
        let rounds = rounds(call);
        let all_cool = (0..count).all(|target| self.cools(target, call.latest));
        let order = (0..count).map(|k| (call.seen.0 + k) % count);
        let mut left: Vec<usize> = order.filter(|&target| call.tries[target] <= rounds).collect();
        left.sort_by_key(|&target| {
            let Target { is_down, cools, .. } = self.targets[target];
            (is_down, if self.cools(target, call.latest) && !all_cool { cools.least } else { 0 })
        });
        left[0]
    }

    fn cools(&self, target: usize, now: u64) -> bool {
        self.targets[target].strikes.len() >= self.needed() && self.targets[target].cools.least > now
    }

    fn check_step(&self, number: usize, step: &Step) {
        let Action::Send(attempt) = step else { panic!("{step:?} instead of {:?}", self.calls[number]) };
        self.check_attempt(number, attempt);
    }

    /// An attempt must look like this.
    ///
    /// # Panics
    ///
    /// It does not.
    pub fn check_attempt(&self, number: usize, attempt: &Attempt<usize, usize, Outcome>) {
        let call = &self.calls[number];
        assert_eq!((attempt.index(), attempt.is_probe()), (call.target, call.probe), "{call:?}");
        assert_eq!((attempt.number(), attempt.began().as_nanos()), (call.failures.len() + 1, call.latest));
        assert_eq!(nanos(attempt.timeout()), self.timeout(call));
        assert_eq!(nanos(attempt.connect_timeout()), self.connect_timeout(call));
        assert_eq!(nanos(attempt.bound()), self.bound(call), "{call:?}");
    }

    /// How long from its last report on an attempt is to be asked: when it is late, when half of the time is over, or all.
    fn bound(&self, call: &Call) -> u64 {
        let waited = call.asked - call.sent;
        let late = self.late_after(call.target, call.asked);
        let least = late.and_then(|_| self.least_wait(call.target, call.asked)).unwrap_or_default();
        let half =
            half(call).map(|half| half.max(least)).filter(|&half| half > waited && self.has_another(call));
        let late = late.map(|late| if late > waited { late } else { waited + self.floor() });
        let moments = [Some(self.whole(call)), half, late];
        moments.into_iter().flatten().min().unwrap_or_default().saturating_sub(waited)
    }

    fn whole(&self, call: &Call) -> u64 {
        nanos(self.policy.attempt_timeout).min(left(call).unwrap_or(u64::MAX))
    }

    fn timeout(&self, call: &Call) -> u64 {
        let could_go_on = lacks(call, Needs::Proof).is_none() && self.has_another(call);
        let half = half(call).filter(|_| could_go_on);
        half.map_or(self.whole(call), |half| self.whole(call).min(half))
    }

    fn connect_timeout(&self, call: &Call) -> u64 {
        let could_go_on = lacks(call, Needs::Whole).is_none() && self.has_another(call);
        let half = half(call).filter(|_| could_go_on).unwrap_or(u64::MAX);
        nanos(self.policy.connect_timeout).min(self.timeout(call)).min(half)
    }

    fn late_after(&self, target: usize, now: u64) -> Option<u64> {
        let (late, usual) = self.policy.late.zip(self.targets[target].usual(now))?;
        Some(usual.saturating_mul(late.factor.into()).max(nanos(late.floor)))
    }

    fn floor(&self) -> u64 {
        self.policy.late.map_or(1_000_000_000, |late| nanos(late.floor))
    }

    fn needed(&self) -> usize {
        self.policy.leave_after.into()
    }

    fn has_another(&self, call: &Call) -> bool {
        call.tries.iter().sum::<usize>() + 1 < self.most_tries(call)
    }

    fn most_tries(&self, call: &Call) -> usize {
        let all = self.targets.len() * usize::from(self.policy.rounds);
        let most = self.policy.max_attempts.map_or(all, |most| usize::from(most) + usize::from(call.probed));
        most.min(all)
    }

    fn row(&self, call: &Call, outcome: Outcome) -> Row {
        let failover = contains(self.policy.failover_codes, outcome);
        let not_processed =
            contains(self.policy.not_processed.unwrap_or(self.policy.failover_codes), outcome);
        table(outcome, self.policy.free_repeat && !call.repeated, failover, not_processed)
    }

    /// The window of a moment: a step back by one is none.
    fn window(&self, now: u64) -> u64 {
        let window = now / 10_000_000_000;
        self.counted.last().map(|counted| counted.window).filter(|&last| last == window + 1).unwrap_or(window)
    }

    /// How many replays the budget still grants.
    fn replays_left(&self, now: u64) -> u64 {
        let Some(budget) = self.policy.budget else { return u64::MAX };
        let window = self.window(now);
        let count = |window: u64, is_replay: bool| {
            let is_it = |counted: &&Counted| counted.window == window && counted.is_replay == is_replay;
            self.counted.iter().filter(is_it).count() as u64
        };
        let busier = count(window, false).max(window.checked_sub(1).map_or(0, |before| count(before, false)));
        let granted = busier * u64::from(budget.percent) / 100 + u64::from(budget.reserve);
        granted.saturating_sub(count(window, true))
    }
}

impl Span {
    fn at(moment: u64) -> Self {
        Self { least: moment, most: moment }
    }

    /// The end of a wait that is lengthened by up to a fifth.
    fn drawn(now: u64, wait: u64) -> Self {
        Self { least: kept(now + wait), most: kept(now + wait + wait / 5) }
    }

    fn max(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), most: self.most.max(other.most) }
    }

    fn contains(self, moment: u64) -> bool {
        (self.least..=self.most).contains(&moment)
    }
}

/// What an ending needs for a replay, and what it says.
fn table(outcome: Outcome, free: bool, failover: bool, not_processed: bool) -> Row {
    let by_status = match outcome {
        Outcome::Status(421 | 429) => Harm::Strike,
        Outcome::Status(400..=499 | 501) => Harm::None,
        _ => Harm::Strike,
    };
    let (needs, same, harm, stays) = match outcome {
        Outcome::Error(Evidence::HandedBack) if free => (Needs::Whole, true, Harm::None, true),
        Outcome::Error(Evidence::Stale) if free => (Needs::Proof, true, Harm::None, true),
        Outcome::Error(Evidence::NoConnection) => (Needs::Whole, false, Harm::Connect, false),
        Outcome::Error(Evidence::NotSent | Evidence::HandedBack) => (Needs::Whole, false, Harm::None, false),
        Outcome::Error(Evidence::NoRoom) => (Needs::Whole, false, Harm::None, true),
        Outcome::Error(Evidence::MaybeProcessed | Evidence::Stale) => {
            (Needs::Proof, false, Harm::Strike, false)
        }
        Outcome::Error(Evidence::Refused) => (Needs::Body, false, Harm::Strike, true),
        Outcome::Error(Evidence::LocalFault) => (Needs::Never, false, Harm::None, true),
        Outcome::Error(_) => unreachable!("every kind has its row"),
        Outcome::Judged(verdict) => {
            let Verdict::Elsewhere { processed, harm } = verdict else { unreachable!("it is returned") };
            let needs = if processed { Needs::Proof } else { Needs::Body };
            (needs, false, if harm { Harm::Strike } else { Harm::None }, false)
        }
        Outcome::Status(_) if !failover => (Needs::Body, false, by_status, true),
        Outcome::Status(_) if not_processed => (Needs::Body, false, by_status, false),
        Outcome::Status(_) => (Needs::Proof, false, by_status, false),
    };
    Row { needs, same, harm, stays }
}

/// Why a call may not replay what needs so much.
fn lacks(call: &Call, needs: Needs) -> Option<Reason> {
    match needs {
        Needs::Never => Some(Reason::LocalFault),
        Needs::Proof if !call.proof => Some(Reason::NoProof),
        Needs::Proof | Needs::Body if !call.body => Some(Reason::OneShotBody),
        _ if !call.gone => None,
        _ if call.body => Some(Reason::BodyGone),
        _ => Some(Reason::OneShotBody),
    }
}

/// How often all targets were tried.
fn rounds(call: &Call) -> usize {
    call.tries.iter().min().copied().unwrap_or_default()
}

/// The time that a call had left when its attempt began, or its last one ended.
fn left(call: &Call) -> Option<u64> {
    Some(call.deadline?.saturating_sub(call.latest))
}

fn half(call: &Call) -> Option<u64> {
    Some(left(call)? / 2)
}

fn contains(codes: StatusCodes, outcome: Outcome) -> bool {
    outcome.status().is_some_and(|status| codes.contains(status))
}

/// Where each of these names stands in another list: of equal ones the first is the first, the second the second.
fn places(names: &[usize], others: &[usize]) -> Vec<Option<usize>> {
    let mut free: Vec<Option<usize>> = others.iter().copied().map(Some).collect();
    let mut place = |name: &usize| {
        let place = free.iter().position(|other| *other == Some(*name))?;
        free[place] = None;
        Some(place)
    };
    names.iter().map(&mut place).collect()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// As the machine remembers a time.
fn kept(time: u64) -> u64 {
    time / 256 * 256
}

fn doubled(base: Duration, times: u32, most: Duration) -> u64 {
    let doubled = (0..times).fold(nanos(base), |time, _| time.saturating_mul(2));
    doubled.min(nanos(most))
}

/// After so many answers it is known what is usual.
const ENOUGH: usize = 8;

/// For so long after an answer.
const AGE: u64 = 600_000_000_000;

const NEXT_PROBE: u64 = 1_000_000_000;

const LONGEST_RETRY_AFTER: u64 = 10_000_000_000;
