//! A call from its first attempt to its end: every transition of the machine, and nothing else.

use alloc::boxed::Box;
use core::num::NonZeroU8;
use core::time::Duration;

use http::StatusCode;

use crate::admin::AdminState;
use crate::cursor::Position;
use crate::entry::Bounds;
use crate::evidence::{Ending, Evidence, Goes, Harm, Moves, Needs, Row, Standing};
use crate::failback::Lease;
use crate::group::Group;
use crate::mark::Mark;
use crate::outcome::{Answer, Cause, Failure, Stopped, Trail};
use crate::pause::pause;
use crate::policy::Follow;
use crate::reason::{PassedOver, Reason};
use crate::time::Timestamp;

/// A call between two events. What can be told from the trail is not kept beside it.
pub(crate) struct Call<T, R, E> {
    pub(crate) group: Group<T>,
    /// There from the first failure on.
    pub(crate) trail: Option<Box<Trail<R, E>>>,
    pub(crate) deadline: Timestamp,
    /// When the attempt began; while waiting, when the last one ended.
    pub(crate) latest: Timestamp,
    /// When the target last took bytes of the request, or the attempt began.
    pub(crate) sent: Timestamp,
    /// When the driver last reported anything of the attempt.
    pub(crate) asked: Timestamp,
    /// The cursor, read once when the call began.
    pub(crate) seen: Position,
    pub(crate) lease: Lease,
    pub(crate) standing: Standing,
    /// The most attempts, in place of the policy's.
    pub(crate) attempts: Option<NonZeroU8>,
    pub(crate) target: u8,
    /// The attempt is a probe, even if the lease was given back.
    pub(crate) probe: bool,
    /// The attempt was a strike by being late.
    pub(crate) struck: bool,
}

/// What a call does next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Send,
    /// After the call's latest moment.
    Wait(Timestamp),
    Stop(Reason),
}

impl<T, R, E> Call<T, R, E> {
    /// Ends the call with an answer: learns from it, and moves the cursor.
    #[inline]
    pub(crate) fn answer(&mut self, well: bool, response: R, now: Timestamp) -> Answer<R, E> {
        let ended = self.asked.max(now);
        let target = usize::from(self.target);
        let cleared = self.group.shared().health.answered(target, self.sent, well, ended);
        let mut lease = Lease::NONE;
        if self.trail.is_some() || target != self.seen.target() {
            lease = self.settle(well, cleared, ended);
        }
        let (began, target, seen) = (self.latest, self.target, self.seen);
        Answer { response, trail: self.trail.take(), began, ended, cleared, seen, lease, target }
    }

    /// Tells the lease that is the answer's until its body has ended.
    #[inline(never)]
    fn settle(&mut self, well: bool, cleared: Mark, ended: Timestamp) -> Lease {
        if let Some(trail) = &mut self.trail {
            trail.response = None;
        }
        if self.lease.is_held() {
            if well {
                return core::mem::replace(&mut self.lease, Lease::NONE);
            }
            self.end_probe(true, ended);
            return Lease::NONE;
        }
        let (shared, answered, sticky) = (self.group.shared(), usize::from(self.target), self.seen.target());
        let leaves = match shared.policy.follow {
            // What a call learned that saw an older cursor is over.
            _ if shared.cursor.read() != self.seen => false,
            Follow::Strikes => well && answered != sticky && shared.health.leaves(sticky, cleared, ended),
            Follow::Answer => {
                let is_given_up = |row: Row| row.cursor == Moves::Leaves;
                shared.health.state(sticky) != AdminState::Ready
                    || self.last_failure_of(sticky).is_some_and(is_given_up)
            }
        };
        if leaves && answered != sticky {
            shared.move_cursor(self.seen, answered, ended);
        }
        Lease::NONE
    }

    /// How an attempt ends whose answer the policy gives up.
    pub(crate) fn ending(&self, status: StatusCode) -> Ending {
        let policy = self.group.policy();
        if policy.failover_codes.contains(status) {
            let not_processed = policy.not_processed.as_ref().is_none_or(|codes| codes.contains(status));
            Ending::FailoverCode { status, not_processed }
        } else {
            Ending::NotProcessed { status }
        }
    }

    #[inline(never)]
    pub(crate) fn give_up_answer(
        &mut self,
        ending: Ending,
        status: StatusCode,
        retry_after: Option<Duration>,
        response: R,
        now: Timestamp,
    ) -> Step {
        let policy = self.group.policy();
        let retry_after = retry_after.and_then(|asked| Some(asked.min(policy.retry_after?)));
        let (target, now) = (self.target.into(), self.asked.max(now));
        self.group.shared().health.answered(target, self.sent, false, now);
        self.trail.get_or_insert_default().response = Some(response);
        let is_judged = matches!(ending, Ending::Judged { .. });
        let cause = if is_judged { Cause::Judged(status) } else { Cause::Status(status) };
        self.give_up(ending, None, cause, retry_after, now)
    }

    #[inline(never)]
    pub(crate) fn give_up_error(
        &mut self,
        evidence: Evidence,
        harm: Option<Harm>,
        error: E,
        now: Timestamp,
    ) -> Step {
        self.give_up(Ending::Error(evidence), harm, Cause::Error(evidence, error), None, now)
    }

    /// Gives the attempt up and decides: again, on to the next target, or not at all. `harm` is what it says of the target,
    /// if not what the table has.
    fn give_up(
        &mut self,
        ending: Ending,
        harm: Option<Harm>,
        cause: Cause<E>,
        retry_after: Option<Duration>,
        now: Timestamp,
    ) -> Step {
        let (began, ended) = (self.latest, self.asked.max(now));
        let mut row = ending.row();
        if row.goes == Goes::SameFree && !self.may_repeat() {
            row = ending.without_free_repeat().row();
        }
        let (is_timeout, harm) = (harm.is_some(), harm.unwrap_or(row.harm));
        self.group.shared().health.note(self.target.into(), &cause);
        let is_strike = self.book(harm, ended);
        if let Some(asked) = retry_after {
            self.group.shared().health.lengthen(self.target.into(), asked, ended);
        }
        let (probe, is_repeated) = (self.probe, row.goes == Goes::SameFree);
        if !is_repeated {
            self.end_probe(is_strike, ended);
        }

        let whole = self.bounds().attempt_timeout(self.group.policy());
        let cut = is_timeout && ended.since(self.sent) < whole;
        self.trail.get_or_insert_default().failures.push(Failure {
            cause,
            began,
            ended,
            retry_after,
            row,
            target: self.target,
            probe,
            cut,
            repeated: false,
        });
        self.latest = ended;

        if let Some(reason) = self.lacks(row.needs) {
            return Step::Stop(reason);
        }
        match row.goes {
            Goes::SameFree => self.repeat(),
            Goes::Next => self.go_on(row.needs, probe),
        }
    }

    /// Sends the request to the same target again, at no cost.
    fn repeat(&mut self) -> Step {
        if self.is_too_late(self.latest) {
            return Step::Stop(Reason::Deadline);
        }
        if let Some(failure) = self.trail.as_mut().and_then(|trail| trail.failures.last_mut()) {
            failure.repeated = true;
        }
        self.aim(self.target.into());
        Step::Send
    }

    /// Goes to the next target, after a pause if one is due.
    fn go_on(&mut self, needs: Needs, after_probe: bool) -> Step {
        let tries = self.tries();
        let Some(next) = self.next_target() else { return self.none_left() };
        if tries >= self.allowed_tries() {
            return Step::Stop(Reason::MaxAttempts);
        }
        if self.is_too_late(self.latest) {
            return Step::Stop(Reason::Deadline);
        }
        let shared = self.group.shared();
        let budget = shared.policy.budget.filter(|_| needs == Needs::ProofAndBody && !after_probe);
        if budget.is_some_and(|budget| !shared.spent.replay(budget, self.latest)) {
            return Step::Stop(Reason::Budget);
        }
        let until = self.latest + self.pause(next);
        if until > self.latest {
            return Step::Wait(until);
        }
        self.send_to(next)
    }

    /// Begins the next attempt, if there is time for one.
    pub(crate) fn next(&mut self, now: Timestamp) -> Step {
        self.latest = self.latest.max(now);
        if self.is_too_late(self.latest) {
            return Step::Stop(Reason::Deadline);
        }
        match self.next_target() {
            Some(target) => self.send_to(target),
            None => self.none_left(),
        }
    }

    /// Stops since there is no next target: all were tried that may be, or none may be any more.
    fn none_left(&self) -> Step {
        let shared = self.group.shared();
        let is_any_usable = (0..shared.targets.len()).any(|target| shared.is_usable(target));
        Step::Stop(if is_any_usable { Reason::TargetsTried } else { Reason::Maintenance })
    }

    fn send_to(&mut self, target: usize) -> Step {
        self.probe = false;
        self.aim(target);
        Step::Send
    }

    /// Ends the call without an answer. With cool-down off, a target that is to be left is not last in order, so the cursor
    /// moves on by one (`steer`).
    #[inline(never)]
    pub(crate) fn stop(&mut self, reason: Reason) -> Stopped<R, E> {
        let (shared, sticky) = (self.group.shared(), self.seen.target());
        let policy = &shared.policy;
        let is_untried = self.rounds() == 0;
        let steers = policy.follow == Follow::Strikes && policy.cool_down.is_none() && is_untried;
        if steers && self.last_failure_of(sticky).is_some() && shared.health.is_to_be_left(sticky) {
            shared.move_cursor(self.seen, (sticky + 1) % shared.targets.len(), self.latest);
        }
        // However those failed for which time was kept: what was left was not enough for an answer of this one.
        let kept = self.failures().split_last().map_or(&[][..], |(_, kept)| kept);
        let lacked_time =
            |failure: &&Failure<E>| failure.cut && failure.evidence() != Some(Evidence::NoConnection);
        if let Some(first) = kept.iter().find(lacked_time).filter(|_| !is_untried) {
            shared.health.teach(first.target(), first.ended.since(first.began), self.latest);
        }
        let took_all = |last: &Failure<E>| last.cut || reason == Reason::Deadline;
        if let Some(last) = self.failures().last().filter(|last| is_untried && took_all(last)) {
            shared.health.doubt(last.target(), last.began, last.ended);
        }
        let is_no_room = |failure: &Failure<E>| failure.evidence() == Some(Evidence::NoRoom);
        let reason = match reason {
            Reason::TargetsTried if self.failures().iter().all(is_no_room) => Reason::LocalFault,
            _ => reason,
        };
        Stopped { trail: self.trail.take().unwrap_or_default(), reason }
    }

    /// Points the next attempt at a target.
    #[inline]
    fn aim(&mut self, target: usize) {
        self.target = index_of(target);
        (self.sent, self.asked) = (self.latest, self.latest);
        self.struck = false;
    }

    /// Books what an attempt says of its target, at once and always. Tells whether that is a strike.
    pub(crate) fn book(&mut self, harm: Harm, now: Timestamp) -> bool {
        let (shared, target) = (self.group.shared(), usize::from(self.target));
        match harm {
            Harm::None => false,
            _ if self.struck => true,
            Harm::Cut => shared.health.waited(target, (self.latest, self.sent), now, &shared.jitter),
            Harm::Failure | Harm::Connect => {
                shared.health.strike(target, harm, self.latest, now, &shared.jitter);
                true
            }
        }
    }

    /// Ends the call's right to probe, if it has it: by a failure, or undecided.
    pub(crate) fn end_probe(&mut self, failed: bool, now: Timestamp) {
        if self.lease.is_held() {
            let (shared, lease) = (self.group.shared(), core::mem::replace(&mut self.lease, Lease::NONE));
            if failed {
                shared.fail_probe(self.target.into(), lease, now);
            } else {
                shared.failback.undecided(lease, self.latest);
            }
        }
    }

    /// What an attempt says of its target that waited in vain until now: all that its failure would say if it waited for the
    /// policy's time, whoever set its bound, and the target answered nobody meanwhile, so that it is not the request's own
    /// fault (`poison`).
    pub(crate) fn harm_of_waiting(&self, evidence: Evidence, now: Timestamp) -> Harm {
        let policy = self.group.policy();
        let bounds = self.bounds();
        let (waited, full) = (self.asked.max(now).since(self.sent), bounds.full_time(policy));
        let is_enough = match evidence {
            Evidence::NoConnection => waited >= full.min(bounds.connect_timeout(policy)),
            _ => waited >= full && !self.group.shared().health.was_heard_since(self.target.into(), self.sent),
        };
        let harm = Ending::Error(evidence).row().harm;
        if is_enough || harm == Harm::None { harm } else { Harm::Cut }
    }

    /// Whether an attempt goes on waiting that was not answered yet; notes whether it is late.
    pub(crate) fn waits_on(&mut self, evidence: Evidence, now: Timestamp) -> bool {
        self.asked = self.asked.max(now);
        let (now, waited) = (self.asked, self.asked.since(self.sent));
        let is_over = waited >= self.whole_time();
        let is_unconnected = evidence == Evidence::NoConnection && waited >= self.connect_timeout();
        if is_over || is_unconnected {
            return false;
        }
        let row = Ending::Error(evidence).row();
        let could_go_on = self.could_go_on(row.needs, now);
        let (shared, target) = (self.group.shared(), usize::from(self.target));
        let late_after = shared.health.late_after(target, now);
        let is_late = row.harm != Harm::None && late_after.is_some_and(|bound| waited >= bound);
        if could_go_on && waited >= self.time_left(true) {
            let is_silent = !shared.health.was_heard_since(target, self.sent);
            // Whether the floor is over or not: there may be no time for it.
            let is_overdue = row.harm != Harm::None && waited >= shared.health.least_wait(target, now);
            if late_after.is_none() || is_overdue && is_silent {
                return false;
            }
        }
        if is_late {
            self.struck = self.book(Harm::Cut, now);
            self.end_probe(true, now);
        }
        let health = &self.group.shared().health;
        let is_left = self.probe || health.cools(target, now) || health.is_down(target);
        !(is_late && is_left && could_go_on && self.has_ready_target(now))
    }

    /// When the driver is to ask whether the attempt goes on, from its last report on.
    pub(crate) fn bound(&self) -> Duration {
        let shared = self.group.shared();
        let mut bound = self.whole_time();
        let asked_after = self.asked.since(self.sent);
        let late = shared.health.late_after(self.target.into(), self.asked);
        let mut half = self.time_left(true);
        if half < bound && late.is_some() {
            half = half.max(shared.health.least_wait(self.target.into(), self.asked));
        }
        if half > asked_after && half < bound && self.has_another_try() {
            bound = half;
        }
        if let Some(late) = late {
            let again = asked_after.saturating_add(shared.health.floor());
            bound = bound.min(if late > asked_after { late } else { again });
        }
        bound.saturating_sub(asked_after)
    }

    /// The time that the attempt has in any case, since the target last took bytes of the request.
    fn whole_time(&self) -> Duration {
        let policy = self.group.policy();
        let whole = self.bounds().attempt_timeout(policy).min(self.time_left(false));
        let last = policy.upload_deadline.filter(|_| self.deadline != Timestamp::NEVER);
        last.map_or(whole, |more| whole.min((self.deadline + more).since(self.sent)))
    }

    /// The time that the attempt has left whose answer is held back for a part of its body.
    pub(crate) fn time_for_body(&self, now: Timestamp) -> Duration {
        let left = self.whole_time().saturating_sub(now.since(self.sent));
        let is_bounded = self.deadline != Timestamp::NEVER && self.has_another_try_after(Needs::Body);
        if is_bounded { left.min(self.deadline.since(now) / 2) } else { left }
    }

    fn bounds(&self) -> Bounds {
        self.group.shared().bounds(self.target.into())
    }

    /// Why what a replay `needs` is not there.
    fn lacks(&self, needs: Needs) -> Option<Reason> {
        self.standing.lacks(needs, self.group.policy().replay)
    }

    /// Whether the call could go on to another target after what `needs` so much.
    fn could_go_on(&self, needs: Needs, now: Timestamp) -> bool {
        let shared = self.group.shared();
        let budget = shared.policy.budget.filter(|_| needs == Needs::ProofAndBody && !self.probe);
        self.has_another_try_after(needs) && budget.is_none_or(|budget| shared.spent.has_replay(budget, now))
    }

    /// The same, whatever the budget has.
    fn has_another_try_after(&self, needs: Needs) -> bool {
        self.lacks(needs).is_none() && self.has_another_try()
    }

    /// Whether a target is untried in this round, beside the one that is asked, and ready.
    fn has_ready_target(&self, now: Timestamp) -> bool {
        let (shared, rounds) = (self.group.shared(), self.rounds());
        (0..shared.targets.len())
            .filter(|&target| target != usize::from(self.target) && self.tries_of(target) == rounds)
            .any(|target| shared.health.is_ready(target, now))
    }

    /// The next target in order that has tries left in this round.
    fn next_target(&self) -> Option<usize> {
        let rounds = self.rounds();
        let may_be_tried =
            |target| rounds < self.group.policy().rounds.into() && self.tries_of(target) == rounds;
        self.group.shared().next_target(self.seen, self.latest, may_be_tried)
    }

    /// How often every target that may be tried was tried: the rounds that are over.
    fn rounds(&self) -> usize {
        let shared = self.group.shared();
        let usable = (0..shared.targets.len()).filter(|&target| shared.is_usable(target));
        usable.map(|target| self.tries_of(target)).min().unwrap_or_default()
    }

    pub(crate) fn timeout(&self) -> Duration {
        let could_go_on = self.has_another_try_after(Needs::ProofAndBody);
        self.bounds().attempt_timeout(self.group.policy()).min(self.time_left(could_go_on))
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        let (bounds, policy) = (self.bounds(), self.group.policy());
        let bound = bounds.connect_timeout(policy).min(bounds.attempt_timeout(policy));
        // Mostly there is more time than that, whoever could go on.
        if bound <= self.time_left(true) {
            return bound;
        }
        // Whoever could go on after a timeout could do so without a connection.
        bound.min(self.time_left(self.has_another_try_after(Needs::BodyNotGone)))
    }

    /// The time until the deadline, or half of it.
    fn time_left(&self, half: bool) -> Duration {
        if self.deadline == Timestamp::NEVER {
            return Duration::MAX;
        }
        let left = self.deadline.since(self.latest);
        if half { left / 2 } else { left }
    }

    /// Whether there is one more try beside the one that is under way.
    fn has_another_try(&self) -> bool {
        let shared = self.group.shared();
        let rounds = usize::from(shared.policy.rounds);
        let has_tries = |target| {
            let is_asked = target == usize::from(self.target);
            shared.is_usable(target) && self.tries_of(target) + usize::from(is_asked) < rounds
        };
        self.tries() + 1 < self.allowed_tries() && (0..shared.targets.len()).any(has_tries)
    }

    /// Why a target that was not tried is not the next one.
    pub(crate) fn why_not(&self, target: usize) -> Option<PassedOver> {
        let health = &self.group.shared().health;
        match health.state(target) {
            _ if self.tries_of(target) > 0 => None,
            AdminState::Maintenance => Some(PassedOver::Maintenance),
            AdminState::Drain => Some(PassedOver::Drain),
            _ if health.is_down(target) => Some(PassedOver::Down),
            _ => health.cools(target, self.latest).then_some(PassedOver::Cooling),
        }
    }

    /// The pause before the next attempt. It gives way to the attempt: at most half of the time that is left.
    fn pause(&self, next: usize) -> Duration {
        let (shared, rounds) = (self.group.shared(), self.rounds());
        let is_new_round =
            rounds > 0 && (0..shared.targets.len()).all(|target| self.tries_of(target) <= rounds);
        let backoff = is_new_round.then(|| shared.policy.backoff.pause(rounds - 1, &shared.jitter));
        let asked = self.failures().iter().rfind(|failure| failure.target() == next);
        let asked = asked.and_then(|failure| failure.retry_after);
        pause(shared.policy.interval, backoff, asked).min(self.time_left(true))
    }

    fn is_too_late(&self, moment: Timestamp) -> bool {
        self.deadline <= moment && self.deadline != Timestamp::NEVER
    }

    /// The tries that the policy allows. A probe is not counted, so that it costs no call its answer.
    fn allowed_tries(&self) -> usize {
        let most = self.attempts.map(|most| most.get().into()).or(self.group.policy().max_attempts);
        let Some(most) = most else { return usize::MAX };
        let probed = self.probe || self.failures().iter().any(|failure| failure.probe);
        usize::from(most) + usize::from(probed)
    }

    /// Whether an attempt may be repeated for free: once in a call.
    fn may_repeat(&self) -> bool {
        self.group.policy().free_repeat && !self.failures().iter().any(|failure| failure.repeated)
    }

    /// The attempts so far that counted as tries: all but the one that was repeated for free.
    fn tries(&self) -> usize {
        self.failures().iter().filter(|failure| !failure.repeated).count()
    }

    fn tries_of(&self, target: usize) -> usize {
        self.failures().iter().filter(|failure| failure.target() == target && !failure.repeated).count()
    }

    fn last_failure_of(&self, target: usize) -> Option<Row> {
        self.failures().iter().rfind(|failure| failure.target() == target).map(|failure| failure.row)
    }

    #[inline]
    pub(crate) fn failures(&self) -> &[Failure<E>] {
        self.trail.as_deref().map_or(&[], |trail| &trail.failures)
    }
}

/// The index of a target, of which there are never more than 256.
#[inline]
pub(crate) fn index_of(target: usize) -> u8 {
    target.to_le_bytes()[0]
}

impl<T, R, E> Drop for Call<T, R, E> {
    #[inline]
    fn drop(&mut self) {
        if self.lease.is_held() {
            self.group.shared().failback.undecided(self.lease, self.latest);
        }
    }
}
