//! A call as its driver sees it: what to do next, and what can be reported.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use http::StatusCode;

use crate::call::{Call, Step, index_of};
use crate::evidence::{Body, Ending, Evidence, Facts, Harm, Needs, is_well};
use crate::failback::Lease;
use crate::group::Group;
use crate::outcome::{Answer, Failure, Stopped};
use crate::reason::{PassedOver, Reason};
use crate::time::Timestamp;
use crate::verdict::Verdict;

impl<T> Group<T> {
    /// Begins a call: with an attempt at the sticky target, or at a preferred one that is to be probed. A call whose time is
    /// over before it began is refused unsent, and so is one that has no target but such in maintenance.
    ///
    /// `R` is the driver's response and `E` its error.
    #[inline]
    pub fn begin<R, E>(&self, facts: Facts, now: Timestamp) -> Action<T, R, E> {
        let shared = self.shared();
        let deadline = now + shared.deadline.min(facts.deadline());
        let refused = |reason| Action::Fail(Stopped { trail: Box::default(), reason });
        if deadline <= now {
            return refused(Reason::Deadline);
        }
        let seen = shared.cursor.read();
        let probe = shared.probe(seen, facts.standing, now);
        if shared.policy.budget.is_some() {
            shared.spent.call(now);
        }
        let (target, lease) = match probe {
            Some(probe) => probe,
            None if shared.health.is_ready(seen.target(), now) => (seen.target(), Lease::NONE),
            None => match shared.next_target(seen, now, |_| true) {
                Some(target) => (target, Lease::NONE),
                None => return refused(Reason::Maintenance),
            },
        };
        Action::Send(Attempt(Call {
            group: self.clone(),
            trail: None,
            deadline,
            latest: now,
            sent: now,
            asked: now,
            seen,
            lease,
            standing: facts.standing,
            attempts: facts.attempts,
            target: index_of(target),
            probe: lease.is_held(),
            struck: false,
        }))
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

impl<T, R, E> Action<T, R, E> {
    /// The failures of the call so far, in the order in which they happened.
    #[must_use]
    pub fn failures(&self) -> &[Failure<E>] {
        match self {
            Self::Return(answer) => answer.failures(),
            Self::Send(attempt) => attempt.failures(),
            Self::Wait(wait) => wait.call.failures(),
            Self::Fail(stopped) => stopped.failures(),
        }
    }
}

/// One request to one target, to be sent, bounded by [`bound`](Self::bound), and reported.
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
/// Dropping it abandons the call: nothing counts against its target, and the right to probe is given back (`cancel_neutral`). A driver
/// whose caller left says [`abandon`](Self::abandon) instead, which has the time at which that was.
#[must_use = "an attempt that is dropped abandons the call"]
pub struct Attempt<T, R, E>(Call<T, R, E>);

impl<T, R, E> Attempt<T, R, E> {
    /// Reports an answer by its status, what it asks for by Retry-After, and itself.
    ///
    /// An answer that is given up is held until a later one replaces it or the call ends; drain it meanwhile, so that it
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
            let step = self.0.give_up_answer(self.0.ending(status), status, retry_after, response, now);
            return perform(self.0, step);
        }
        Action::Return(self.0.answer(is_well(status), response, now))
    }

    /// Reports an answer with a verdict on it that need not be the policy's: by its body, for example. See
    /// [`Judge`](crate::Judge).
    #[inline]
    pub fn handle_judged(
        mut self,
        verdict: Verdict,
        status: StatusCode,
        retry_after: Option<Duration>,
        response: R,
        now: Timestamp,
    ) -> Action<T, R, E> {
        match verdict {
            Verdict::Accept => Action::Return(self.0.answer(true, response, now)),
            Verdict::Pass => Action::Return(self.0.answer(false, response, now)),
            Verdict::Elsewhere { processed, harm } => {
                let ending = if self.verdict(status) == verdict {
                    self.0.ending(status)
                } else {
                    Ending::Judged { processed, harm }
                };
                let step = self.0.give_up_answer(ending, status, retry_after, response, now);
                perform(self.0, step)
            }
        }
    }

    /// What the policy makes of an answer with this status.
    #[must_use]
    #[inline]
    pub fn verdict(&self, status: StatusCode) -> Verdict {
        if self.gives_up(status) {
            let row = self.0.ending(status).row();
            Verdict::Elsewhere { processed: row.needs == Needs::ProofAndBody, harm: row.harm != Harm::None }
        } else if is_well(status) {
            Verdict::Accept
        } else {
            Verdict::Pass
        }
    }

    /// Reports an error by what it proves about the request.
    pub fn handle_error(mut self, evidence: Evidence, error: E, now: Timestamp) -> Action<T, R, E> {
        let step = self.0.give_up_error(evidence, None, error, now);
        perform(self.0, step)
    }

    /// Reports that there is no answer after [`bound`](Self::bound), or no connection after
    /// [`connect_timeout`](Self::connect_timeout): the attempt is given up, or goes on, with the request as it is.
    ///
    /// `evidence` and `error` are what giving it up comes to: [`NoConnection`](Evidence::NoConnection) while there is none,
    /// and what [`handle_error`](Self::handle_error) would be told otherwise. A report that comes too early does no harm.
    #[must_use = "an attempt that is dropped abandons the call"]
    pub fn expired(mut self, evidence: Evidence, error: E, now: Timestamp) -> Expired<T, R, E> {
        if self.waits_on(evidence, now) {
            Expired::WaitOn(self)
        } else {
            Expired::Next(self.timed_out(evidence, error, now))
        }
    }

    /// Whether the attempt goes on waiting: the first half of [`expired`](Self::expired), for a driver that must take its
    /// request back before it knows what giving it up proves. If not, it then says [`timed_out`](Self::timed_out).
    #[must_use]
    pub fn waits_on(&mut self, evidence: Evidence, now: Timestamp) -> bool {
        self.0.waits_on(evidence, now)
    }

    /// Reports that the attempt was given up after it waited in vain: for its [`timeout`](Self::timeout), by a driver that can
    /// wait once only.
    pub fn timed_out(mut self, evidence: Evidence, error: E, now: Timestamp) -> Action<T, R, E> {
        let harm = self.0.harm_of_waiting(evidence, now);
        let step = self.0.give_up_error(evidence, Some(harm), error, now);
        perform(self.0, step)
    }

    /// Reports that the target took bytes of the request: bounds and lateness count anew.
    ///
    /// At most once per quarter of the late floor is enough.
    pub fn progress(&mut self, now: Timestamp) {
        self.0.sent = self.0.sent.max(now);
        self.0.asked = self.0.asked.max(now);
    }

    /// Reports that the head of the answer came so long ago, and that a judge wanted a part of its body since: that time does not
    /// count as the target's.
    pub fn peeked(&mut self, time: Duration) {
        self.0.sent = self.0.sent + time;
    }

    /// Reports that the caller left; what remains is to drop the attempt. It takes no ownership, so that a guard can say it.
    ///
    /// A target that kept him waiting for longer than answers take here, and answered nobody else, has a strike by it
    /// (`abandoned`); a caller in haste harms nobody (`haste`).
    pub fn abandon(&mut self, now: Timestamp) {
        let now = self.0.asked.max(now);
        let is_strike = self.0.book(Harm::Cut, now);
        self.0.end_probe(is_strike, now);
    }

    /// States that the request's body cannot be sent again after all: it outgrew the replay buffer, or was read by
    /// somebody else. Then no replay is possible, whatever an error proves (`body_gone`).
    pub fn body_gone(&mut self) {
        self.0.standing.gone = true;
    }

    /// States that all of the request's body can be sent again, also if it can be sent only once: the target did not ask for
    /// it. If that changes in the next attempt, say [`body_gone`](Self::body_gone).
    pub fn body_kept(&mut self) {
        self.0.standing.body = Body::Repeatable;
    }

    /// The target to send to, which is also `group.targets()[attempt.index()]`, for longer than the attempt is there.
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

    /// Which attempt of its call this is, from 1 on.
    #[must_use]
    pub fn number(&self) -> usize {
        self.0.failures().len() + 1
    }

    /// The failures of the call before this attempt, in the order in which they happened.
    #[must_use]
    pub fn failures(&self) -> &[Failure<E>] {
        self.0.failures()
    }

    /// Whether this is a failback probe.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.0.probe
    }

    /// The targets that stand before this one in order and were not tried in this call, and why.
    pub fn passed_over(&self) -> impl Iterator<Item = (usize, PassedOver)> + '_ {
        let (call, count) = (&self.0, self.0.group.targets().len());
        let sticky = call.seen.target();
        let before = (0..count).map(move |place| (sticky + place) % count);
        let before = before.take_while(|target| *target != self.index() && !self.is_probe());
        before.filter_map(|target| Some((target, call.why_not(target)?)))
    }

    /// How long from now on, which is the last moment that was reported, until the driver must say
    /// [`expired`](Self::expired).
    ///
    /// That is when the attempt is late, when its call must decide whether to go on to another target, or when its time is
    /// over; it changes with each report. A driver that can wait only once uses [`timeout`](Self::timeout).
    #[must_use]
    pub fn bound(&self) -> Duration {
        self.0.bound()
    }

    /// The whole bound of the attempt, from its beginning: resolve, connect, TLS and the wait for the head, for a driver that
    /// can wait only once, and then says [`timed_out`](Self::timed_out).
    ///
    /// It is the policy's attempt timeout, but not longer than the time that is left, and half of that if the call could
    /// go on to another target afterwards. Progress of the request's body restarts it, until the policy's upload deadline; bytes of the answer do not.
    #[must_use]
    #[inline]
    pub fn timeout(&self) -> Duration {
        self.0.timeout()
    }

    /// The bound of resolve, connect and TLS together, from the attempt's beginning, within [`timeout`](Self::timeout) (`connect_bound`).
    ///
    /// It is the policy's connect timeout, but at most half of the time that is left if another target is untried: a
    /// request that was not sent can go there whatever its method.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout()
    }

    /// How much of its time the attempt has left, for a driver that has the head of the answer and waits for a part of its
    /// body; if the call could go on to another target, half of what is left of the call's time is kept for that.
    #[must_use]
    pub fn time_left(&self, now: Timestamp) -> Duration {
        self.0.time_for_body(now)
    }

    /// When the attempt began.
    #[must_use]
    #[inline]
    pub fn began(&self) -> Timestamp {
        self.0.latest
    }

    /// Whether the policy gives an answer with this status up.
    #[inline]
    fn gives_up(&self, status: StatusCode) -> bool {
        self.0.group.shared().gives_up.contains(status)
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

/// What a driver does after it waited in vain: one arm each.
#[derive(Debug)]
#[must_use = "an action that is not performed abandons the call"]
pub enum Expired<T, R, E> {
    /// Goes on waiting for the same answer, for the attempt's next bound.
    WaitOn(Attempt<T, R, E>),
    /// Drops the request, and does this.
    Next(Action<T, R, E>),
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
        perform(self.call, step)
    }
}

impl<T, R, E> fmt::Debug for Wait<T, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("pause", &self.pause()).finish_non_exhaustive()
    }
}

/// Hands a call over to the driver.
#[inline]
fn perform<T, R, E>(mut call: Call<T, R, E>, step: Step) -> Action<T, R, E> {
    match step {
        Step::Send => Action::Send(Attempt(call)),
        Step::Wait(until) => Action::Wait(Wait { call, until }),
        Step::Stop(reason) => Action::Fail(call.stop(reason)),
    }
}
