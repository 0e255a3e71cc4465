//! The group: the targets, their order, and what is remembered between calls.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use crate::budget::Spent;
use crate::codes::StatusCodes;
use crate::cursor::{Cursor, Position};
use crate::error::BuildError;
use crate::evidence::{Needs, Standing};
use crate::failback::{FailbackClock, Lease};
use crate::health::Health;
use crate::mark::Mark;
use crate::outcome::BodyToken;
use crate::pause::Jitter;
use crate::policy::Policy;
use crate::snapshot::{Snapshot, TargetSnapshot};
use crate::time::{Limit, Timestamp};

/// An ordered list of targets, the policy, and what is remembered between calls: the cursor, the marks, the budget.
///
/// A clone is one reference count and shares all of it. `T` is a target's data, such as a
/// [`Target`](crate::Target); what performs requests belongs beside the group.
pub struct Group<T> {
    shared: Arc<Shared<T>>,
}

/// What all calls of a group share.
pub(crate) struct Shared<T> {
    /// Never empty, at most `MAX_TARGETS`.
    pub(crate) targets: Box<[T]>,
    pub(crate) cursor: Cursor,
    pub(crate) health: Health,
    pub(crate) failback: FailbackClock,
    pub(crate) jitter: Jitter,
    pub(crate) gives_up: StatusCodes,
    pub(crate) deadline: Limit,
    pub(crate) policy: Policy,
    pub(crate) spent: Spent,
}

impl<T> Group<T> {
    /// A group of these targets, the preferred one first.
    ///
    /// The same target may stand in the list twice: it then has a second chance.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense; an empty list of targets, for example.
    pub fn new(targets: impl IntoIterator<Item = T>, policy: Policy) -> Result<Self, BuildError> {
        let targets = checked(targets, &policy)?;
        let health = Health::new(targets.iter().map(|_| (Mark::CLEAN, None)));
        Ok(Self::assemble(targets, policy, 0, health, FailbackClock::new(Mark::CLEAN)))
    }

    /// A group with another list of targets, or another policy, that remembers what this one knows (`identity`).
    ///
    /// `is_same` says which targets are the same one, such as [`Target::is_same`](crate::Target::is_same); of several that
    /// are, the first is the first. The cursor stays at its target; if that is gone, it goes to the first one after it that
    /// is still there, else to target 0. If target 0 is another than before, failback to it is due at once. What the
    /// policy no longer has is forgotten. Calls in flight finish on the old list and report to the old memory.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_targets(
        &self,
        targets: impl IntoIterator<Item = T>,
        policy: Policy,
        is_same: impl Fn(&T, &T) -> bool,
    ) -> Result<Self, BuildError> {
        let targets = checked(targets, &policy)?;
        let (old, shared) = (self.targets(), self.shared());
        let health = Health::new((0..targets.len()).map(|index| {
            let Some(index) = same_target(&targets, index, old, &is_same) else { return (Mark::CLEAN, None) };
            let mark = policy.cool_down.map_or(Mark::CLEAN, |_| shared.health.mark(index));
            (mark, shared.health.last_failure(index))
        }));
        let place = |index| same_target(old, index, &targets, &is_same);
        let sticky = (self.sticky()..old.len()).find_map(place).unwrap_or(0);
        let same_first = targets.first().zip(old.first()).is_some_and(|(new, old)| is_same(new, old));
        let due = if same_first { shared.failback.due() } else { Mark::CLEAN };
        Ok(Self::assemble(targets, policy, sticky, health, FailbackClock::new(due)))
    }

    /// The targets in order.
    #[must_use]
    #[inline]
    pub fn targets(&self) -> &[T] {
        &self.shared.targets
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The index of the target where the next call begins.
    #[must_use]
    pub fn sticky(&self) -> usize {
        self.shared.cursor.read().target()
    }

    /// Moves the cursor by hand.
    ///
    /// If it leaves target 0, failback brings it back in time, as after a failover.
    ///
    /// # Errors
    ///
    /// There is no target with this index.
    pub fn prefer(&self, index: usize, now: Timestamp) -> Result<(), BuildError> {
        if index >= self.targets().len() {
            return Err(BuildError::new(
                "index",
                index,
                alloc::format!("less than the {} targets", self.targets().len()),
            ));
        }
        while !self.shared.move_cursor(self.shared.cursor.read(), index, now) {}
        Ok(())
    }

    /// Books that the body of an answer broke off after its head, by the target's doing: a strike, beside those that the
    /// head cleared (`broken_body`).
    ///
    /// # Examples
    ///
    /// ```
    /// use failover_core::{Action, Facts, Group, Policy, Timestamp};
    /// use http::{HeaderMap, Method, StatusCode};
    ///
    /// let group = Group::new(["http://breaks", "http://works"], Policy::default())?;
    /// let (facts, now) = (Facts::of(&Method::GET, &HeaderMap::new()), Timestamp::ORIGIN);
    /// for _ in 0..3 {
    ///     let Action::Send(attempt) = group.begin::<_, &str>(facts, now) else { unreachable!() };
    ///     let Action::Return(answer) = attempt.handle_response(StatusCode::OK, None, "half", now) else { unreachable!() };
    ///     assert_eq!(answer.target(), 0);
    ///     group.body_broke_off(answer.body(), now);
    /// }
    /// let Action::Send(attempt) = group.begin::<&str, &str>(facts, now) else { unreachable!() };
    /// assert_eq!(attempt.index(), 1);
    /// # Ok::<(), failover_core::BuildError>(())
    /// ```
    pub fn body_broke_off(&self, body: BodyToken, now: Timestamp) {
        let shared = self.shared();
        if let Some(rule) = shared.policy.cool_down {
            shared.health.broke_off(body, rule, &shared.jitter, now);
        }
    }

    /// What the group remembers, for a status page.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let Shared { health, failback, policy, .. } = self.shared();
        let sticky = self.sticky();
        let target = |index| {
            let mark = health.mark(index);
            TargetSnapshot {
                cooling: Some(mark.until().since(now)).filter(|left| !left.is_zero()),
                strikes: mark.strikes(),
                last_failure: health.last_failure(index),
            }
        };
        Snapshot {
            sticky,
            targets: (0..self.targets().len()).map(target).collect(),
            failback_in: policy.failback.filter(|_| sticky != 0).map(|_| failback.due().until().since(now)),
            failed_probes: failback.due().strikes(),
            probes: failback.probes(),
        }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Shared<T> {
        &self.shared
    }

    fn assemble(
        targets: Box<[T]>,
        policy: Policy,
        sticky: usize,
        health: Health,
        failback: FailbackClock,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                targets,
                cursor: Cursor::new(sticky),
                health,
                failback,
                jitter: Jitter::new(policy.seed),
                gives_up: policy.gives_up(),
                deadline: policy.deadline.map_or(Limit::NONE, Limit::from),
                policy,
                spent: Spent::new(),
            }),
        }
    }
}

impl<T> Clone for Group<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Group<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("targets", &self.targets())
            .field("sticky", &self.sticky())
            .field("policy", self.policy())
            .finish_non_exhaustive()
    }
}

impl<T> Shared<T> {
    /// Moves the cursor from where it was `seen`, and starts the failback clock if it leaves target 0.
    ///
    /// The clock first: a call that sees the cursor elsewhere then also sees the clock.
    pub(crate) fn move_cursor(&self, seen: Position, target: usize, now: Timestamp) -> bool {
        if let Some(rule) = self.policy.failback.filter(|_| seen.target() == 0 && target != 0) {
            let due = self.failback.due();
            if self.cursor.read() != seen {
                return false;
            }
            self.failback.arm(due, rule, &self.jitter, now);
        }
        self.cursor.advance(seen, target)
    }

    /// The first target in order that may be tried: from the sticky one on, circularly, those that cool last, the
    /// soonest to be done first.
    #[inline(never)]
    pub(crate) fn next_target(
        &self,
        seen: Position,
        now: Timestamp,
        may_be_tried: impl Fn(usize) -> bool + Clone,
    ) -> usize {
        let (sticky, until) = (seen.target(), |target: usize| self.health.mark(target).until());
        let candidates = (sticky..self.targets.len()).chain(0..sticky).filter(|&target| may_be_tried(target));
        let ready = candidates.clone().find(|&target| until(target) <= now);
        ready.or_else(|| candidates.min_by_key(|&target| until(target))).unwrap_or(sticky)
    }

    /// The right to probe target 0, if the cursor is elsewhere and a probe is due.
    #[inline]
    pub(crate) fn probe(&self, seen: Position, standing: Standing, now: Timestamp) -> Lease {
        match self.policy.failback {
            Some(rule) if seen.target() != 0 => {
                let may_replay = standing.lacks(Needs::ProofAndBody).is_none();
                self.failback.lease(rule, may_replay, now, self.policy.attempt_bound())
            }
            _ => Lease::NONE,
        }
    }
}

fn checked<T>(targets: impl IntoIterator<Item = T>, policy: &Policy) -> Result<Box<[T]>, BuildError> {
    policy.check()?;
    let targets: Box<[T]> = targets.into_iter().collect();
    match targets.len() {
        0 => Err(BuildError::new("targets", "[]", "at least one target")),
        1..=MAX_TARGETS => Ok(targets),
        more => Err(BuildError::new("targets", more, alloc::format!("at most {MAX_TARGETS} targets"))),
    }
}

/// Where the target at `index` of one list stands in another list: the n-th of equal ones is the n-th.
fn same_target<T>(list: &[T], index: usize, other: &[T], is_same: impl Fn(&T, &T) -> bool) -> Option<usize> {
    let target = list.get(index)?;
    let nth = list.iter().take(index).filter(|before| is_same(before, target)).count();
    other
        .iter()
        .enumerate()
        .filter(|(_, candidate)| is_same(candidate, target))
        .nth(nth)
        .map(|(place, _)| place)
}

/// A list in order of preference that is longer is no list of preferences.
const MAX_TARGETS: usize = 256;
