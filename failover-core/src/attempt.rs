//! A call from its first attempt to its end: every transition of the machine, and nothing else.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use http::StatusCode;

use crate::cursor::Position;
use crate::evidence::{Ending, Evidence, Facts, Goes, Harm, Moves, Needs, Row, Standing, is_well};
use crate::failback::Lease;
use crate::group::Group;
use crate::mark::Mark;
use crate::outcome::{Answer, Cause, Failure, Stopped, Trail};
use crate::pause::pause;
use crate::reason::Reason;
use crate::time::Timestamp;

impl<T> Group<T> {
    /// Begins a call: with an attempt at the sticky target, or at target 0 if it is to be probed. A call whose time is
    /// over before it began is refused unsent.
    ///
    /// `R` is the driver's response and `E` its error.
    #[inline]
    pub fn begin<R, E>(&self, facts: Facts, now: Timestamp) -> Action<T, R, E> {
        let deadline = now + self.shared().deadline.min(facts.deadline());
        if deadline > now {
            Action::Send(Attempt(Call::begin(self.clone(), facts, deadline, now)))
        } else {
            Action::Fail(Stopped { trail: Box::default(), reason: Reason::Deadline })
        }
    }
}

/// What a driver does next: one arm each in its one `match`.
#[derive(Debug)]
#[must_use = "an action that is not performed abandons the call"]
pub enum Action<T, R, E> {
    /// Gives the answer to the caller.
    Return(Answer<R, E>),
    /// Sends the request to the attempt's target and reports how that went.
    Send(Attempt<T, R, E>),
    /// Waits for the pause, then resumes.
    Wait(Wait<T, R, E>),
    /// Tells the caller that the call stopped without an acceptable answer.
    Fail(Stopped<R, E>),
}

/// One request to one target, to be sent, bounded by [`timeout`](Self::timeout), and reported.
///
/// Reporting consumes the attempt, so that it can happen once only:
///
/// ```compile_fail,E0382
/// # use failover_core::{Attempt, Evidence, Timestamp};
/// fn report_twice(attempt: Attempt<&str, (), &str>, now: Timestamp) {
///     let _ = attempt.handle_error(Evidence::NoConnection, "refused", now);
///     let _ = attempt.handle_error(Evidence::NoConnection, "refused", now);
/// }
/// ```
///
/// An attempt cannot be copied, so that one call cannot go two ways:
///
/// ```compile_fail,E0599
/// # use failover_core::Attempt;
/// fn fork(attempt: &Attempt<&str, (), &str>) -> Attempt<&'static str, (), &'static str> {
///     attempt.clone()
/// }
/// ```
///
/// Dropping it abandons the call: nothing is booked, and the right to probe is given back (`cancel_neutral`).
#[must_use = "an attempt that is dropped abandons the call"]
pub struct Attempt<T, R, E>(Call<T, R, E>);

impl<T, R, E> Attempt<T, R, E> {
    /// Reports an answer by its status, what it asks for by Retry-After, and itself.
    ///
    /// An answer that is given up is held until a later one replaces it or the call ends; drain it before, so that it
    /// pins no connection. See [`retry_after`](crate::retry_after) for the header.
    #[inline]
    pub fn handle_response(
        mut self,
        status: StatusCode,
        retry_after: Option<Duration>,
        response: R,
        now: Timestamp,
    ) -> Action<T, R, E> {
        if self.gives_up(status) {
            let step = self.0.give_up_answer(status, retry_after, response, now);
            self.0.perform(step)
        } else {
            Action::Return(self.0.answer(status, response, now))
        }
    }

    /// Reports an error, or that the attempt's time ran out, by what that proves about the request.
    pub fn handle_error(mut self, evidence: Evidence, error: E, now: Timestamp) -> Action<T, R, E> {
        let step = self.0.give_up(Ending::Error(evidence), Cause::Error(evidence, error), None, now);
        self.0.perform(step)
    }

    /// States that the request's body cannot be sent again after all: it outgrew the replay buffer, or was read by
    /// somebody else. Then no replay is possible, whatever an error proves (`body_gone`).
    pub fn body_gone(&mut self) {
        self.0.standing.gone = true;
    }

    /// The target to send to.
    #[must_use]
    #[inline]
    pub fn target(&self) -> &T {
        // The target's index comes from the same list, which never changes.
        &self.0.group.targets()[self.index()]
    }

    /// The index of the target.
    #[must_use]
    #[inline]
    pub fn index(&self) -> usize {
        self.0.target.into()
    }

    /// The bound of the attempt, from its beginning: resolve, connect, TLS and the wait for the head.
    ///
    /// It is the policy's attempt timeout, but not longer than the time that is left, and half of that if the call could
    /// go on to another target afterwards. Progress of the request's body restarts it; bytes of the answer do not.
    #[must_use]
    #[inline]
    pub fn timeout(&self) -> Duration {
        self.0.timeout()
    }

    /// The bound of resolve, connect and TLS together, within [`timeout`](Self::timeout) (`connect_bound`).
    ///
    /// It is the policy's connect timeout, but at most half of the time that is left if another target is untried: a
    /// request that was not sent can go there whatever its method.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout()
    }

    /// Whether an answer with this status is given up, so that an adapter can drain it before it reports it.
    #[must_use]
    #[inline]
    pub fn gives_up(&self, status: StatusCode) -> bool {
        self.0.group.shared().gives_up.contains(status)
    }

    /// When the attempt began.
    #[must_use]
    #[inline]
    pub fn began(&self) -> Timestamp {
        self.0.latest
    }
}

impl<T, R, E> fmt::Debug for Attempt<T, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("target", &self.0.target)
            .field("began", &self.0.latest)
            .finish_non_exhaustive()
    }
}

/// A pause between two attempts.
///
/// There is nothing to report but that it is over:
///
/// ```compile_fail,E0599
/// # use failover_core::{Evidence, Timestamp, Wait};
/// fn send_while_waiting(wait: Wait<&str, (), &str>, now: Timestamp) {
///     let _ = wait.handle_error(Evidence::NoConnection, "refused", now);
/// }
/// ```
#[must_use = "a wait that is dropped abandons the call"]
pub struct Wait<T, R, E> {
    call: Call<T, R, E>,
    /// After the call's latest moment.
    until: Timestamp,
}

impl<T, R, E> Wait<T, R, E> {
    /// How long to wait from now on. Never zero.
    #[must_use]
    pub fn pause(&self) -> Duration {
        self.until.since(self.call.latest)
    }

    /// Goes on after the pause: with the next attempt, or not at all if it has become too late for one.
    pub fn resume(mut self, now: Timestamp) -> Action<T, R, E> {
        let step = self.call.next(now);
        self.call.perform(step)
    }
}

impl<T, R, E> fmt::Debug for Wait<T, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("pause", &self.pause()).finish_non_exhaustive()
    }
}

/// A call between two events. What can be told from the trail is not kept beside it.
struct Call<T, R, E> {
    group: Group<T>,
    /// There from the first failure on.
    trail: Option<Box<Trail<R, E>>>,
    deadline: Timestamp,
    /// When the attempt began; while waiting, when the last one ended.
    latest: Timestamp,
    /// The cursor, read once when the call began.
    seen: Position,
    /// The target's mark, read when the attempt began.
    mark: Mark,
    lease: Lease,
    standing: Standing,
    target: u8,
}

/// What a call does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    /// After the call's latest moment.
    Wait(Timestamp),
    Stop(Reason),
}

impl<T, R, E> Call<T, R, E> {
    #[inline]
    fn begin(group: Group<T>, facts: Facts, deadline: Timestamp, now: Timestamp) -> Self {
        let shared = group.shared();
        let policy = &shared.policy;
        let standing = facts.standing(policy.replay);
        let seen = shared.cursor.read();
        let lease = shared.probe(seen, standing, now);
        if policy.budget.is_some() {
            shared.spent.call(now);
        }
        let mut target = if lease.is_held() { 0 } else { seen.target() };
        let mut mark = shared.health.mark(target);
        if mark.until() > now && !lease.is_held() {
            target = shared.next_target(seen, now, |_| true);
            mark = shared.health.mark(target);
        }
        let target = target.to_le_bytes()[0];
        Self { group, trail: None, deadline, latest: now, seen, mark, lease, standing, target }
    }

    /// Ends the call with an answer: clears the target's mark, books the failures before it, moves the cursor.
    #[inline]
    fn answer(&mut self, status: StatusCode, response: R, now: Timestamp) -> Answer<R, E> {
        let ended = self.latest.max(now);
        let sticky = usize::from(self.target) == self.seen.target();
        let mut cleared = Mark::CLEAN;
        if self.mark != Mark::CLEAN || self.trail.is_some() || !sticky {
            cleared = self.settle(status, ended);
        }
        let (began, target) = (self.latest, self.target);
        Answer { response, trail: self.trail.take(), began, ended, cleared, target }
    }

    /// Tells what the answer cleared of its target's mark.
    #[inline(never)]
    fn settle(&mut self, status: StatusCode, ended: Timestamp) -> Mark {
        if let Some(trail) = &mut self.trail {
            trail.response = None;
        }
        let answered = usize::from(self.target);
        let well = is_well(status);
        let health = &self.group.shared().health;
        let cleared = if well { health.succeeded(answered, self.mark) } else { Mark::CLEAN };
        self.note_failures();
        self.book_failures(Some(answered));
        let sticky = self.seen.target();
        let stays = self.last_failure_of(sticky).is_some_and(|row| row.cursor == Moves::Stays);
        if self.lease.is_held() && !well {
            self.fail_probe(ended);
        } else if answered != sticky && !stays {
            self.group.shared().move_cursor(self.seen, answered, ended);
        }
        cleared
    }

    #[inline(never)]
    fn give_up_answer(
        &mut self,
        status: StatusCode,
        retry_after: Option<Duration>,
        response: R,
        now: Timestamp,
    ) -> Step {
        let policy = self.group.policy();
        let ending = if policy.failover_codes.contains(status) {
            let not_processed = policy.not_processed.as_ref().is_none_or(|codes| codes.contains(status));
            Ending::FailoverCode { status, not_processed }
        } else {
            Ending::NotProcessed
        };
        let retry_after = retry_after.and_then(|asked| Some(asked.min(policy.retry_after?)));
        self.trail.get_or_insert_default().response = Some(response);
        self.give_up(ending, Cause::Status(status), retry_after, now)
    }

    /// Gives the attempt up and decides: again, on to the next target, or not at all.
    fn give_up(
        &mut self,
        ending: Ending,
        cause: Cause<E>,
        retry_after: Option<Duration>,
        now: Timestamp,
    ) -> Step {
        let (began, ended) = (self.latest, self.latest.max(now));
        let mut row = ending.row();
        if row.goes == Goes::SameFree && !self.may_repeat() {
            row = ending.without_free_repeat().row();
        }
        let probe = self.lease.is_held();
        if !row.is_neutral() {
            self.fail_probe(ended);
        }

        self.trail.get_or_insert_default().failures.push(Failure {
            cause,
            began,
            ended,
            mark: self.mark,
            retry_after,
            row,
            target: self.target,
            probe,
            repeated: false,
        });
        self.latest = ended;

        if let Some(reason) = self.standing.lacks(row.needs) {
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
        if tries >= self.all_tries() {
            return Step::Stop(Reason::TargetsTried);
        }
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
        let until = self.latest + self.pause(tries);
        if until > self.latest {
            return Step::Wait(until);
        }
        self.next(self.latest)
    }

    /// Begins the next attempt, if there is time for one.
    fn next(&mut self, now: Timestamp) -> Step {
        self.latest = self.latest.max(now);
        if self.is_too_late(self.latest) {
            return Step::Stop(Reason::Deadline);
        }
        self.aim(self.next_target());
        Step::Send
    }

    /// Hands the call over to the driver.
    fn perform(mut self, step: Step) -> Action<T, R, E> {
        match step {
            Step::Send => Action::Send(Attempt(self)),
            Step::Wait(until) => Action::Wait(Wait { call: self, until }),
            Step::Stop(reason) => Action::Fail(self.stop(reason)),
        }
    }

    /// Ends the call without an answer. If a target was left untried, its failures are booked, and the next call
    /// begins elsewhere if the sticky target is to blame (`steer`). If all were tried in vain, the cause is likely
    /// here or in the request, and nothing is learned.
    #[inline(never)]
    fn stop(&mut self, reason: Reason) -> Stopped<R, E> {
        self.note_failures();
        if self.tries() < self.group.targets().len() {
            self.book_failures(None);
            if self.last_failure_of(self.seen.target()).is_some_and(|row| row.harm != Harm::None) {
                self.group.shared().move_cursor(self.seen, self.next_target(), self.latest);
            }
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
        // The list of targets is never longer than 256.
        self.target = target.to_le_bytes()[0];
        self.mark = self.group.shared().health.mark(target);
    }

    /// Books the probe's failure at once, so that the next probe waits for the doubled clock.
    fn fail_probe(&mut self, now: Timestamp) {
        let shared = self.group.shared();
        if let Some(rule) = shared.policy.failback.filter(|_| self.lease.is_held()) {
            shared.failback.failed(self.lease, rule, &shared.jitter, now);
            self.lease = Lease::NONE;
        }
    }

    /// Books the failures of all targets but the one that answered.
    fn book_failures(&self, answered: Option<usize>) {
        let shared = self.group.shared();
        for failure in self.failures().iter().filter(|failure| Some(failure.target()) != answered) {
            shared.health.failed(failure, shared.policy.cool_down, &shared.jitter);
        }
    }

    /// Remembers what happened last at each target, for status pages only.
    fn note_failures(&self) {
        for failure in self.failures() {
            self.group.shared().health.note(failure);
        }
    }

    /// The next target of this round in order: from the sticky one on, circularly, those that cool last, the soonest
    /// to be done first.
    fn next_target(&self) -> usize {
        let rounds = self.tries() / self.group.targets().len();
        self.group.shared().next_target(self.seen, self.latest, |target| self.tries_of(target) <= rounds)
    }

    fn timeout(&self) -> Duration {
        let could_go_on = self.standing.lacks(Needs::ProofAndBody).is_none() && self.has_another_try();
        self.group.policy().attempt_timeout.min(self.time_left(could_go_on))
    }

    fn connect_timeout(&self) -> Duration {
        let could_go_on = self.standing.lacks(Needs::BodyNotGone).is_none() && self.has_another_try();
        self.group.policy().connect_timeout.min(self.timeout()).min(self.time_left(could_go_on))
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
        self.tries() + 1 < self.allowed_tries()
    }

    /// The pause before the next attempt of a call that made this many tries. It gives way to the attempt: at most half
    /// of the time that is left.
    fn pause(&self, tries: usize) -> Duration {
        let shared = self.group.shared();
        let (rounds, rest) = (tries / shared.targets.len(), tries % shared.targets.len());
        let backoff = (rest == 0).then(|| shared.policy.backoff.pause(rounds - 1, &shared.jitter));
        let asked = self.failures().last().and_then(|failure| failure.retry_after);
        pause(shared.policy.interval, backoff, asked).min(self.time_left(true))
    }

    fn is_too_late(&self, moment: Timestamp) -> bool {
        self.deadline <= moment && self.deadline != Timestamp::NEVER
    }

    /// The tries in which every target gets all its chances.
    fn all_tries(&self) -> usize {
        self.group.targets().len() * usize::from(self.group.policy().rounds)
    }

    /// The tries that the policy allows. A probe is not counted, so that it costs no call its answer.
    fn allowed_tries(&self) -> usize {
        let Some(most) = self.group.policy().max_attempts else { return self.all_tries() };
        let probed = self.lease.is_held() || self.failures().iter().any(|failure| failure.probe);
        (usize::from(most) + usize::from(probed)).min(self.all_tries())
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
    fn failures(&self) -> &[Failure<E>] {
        self.trail.as_deref().map_or(&[], |trail| &trail.failures)
    }
}

impl<T, R, E> Drop for Call<T, R, E> {
    #[inline]
    fn drop(&mut self) {
        if self.lease.is_held() {
            self.group.shared().failback.release(self.lease);
        }
    }
}
