//! The group: the targets, their order, and what is remembered between calls.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::admin::AdminState;
use crate::budget::Spent;
use crate::codes::StatusCodes;
use crate::cursor::{Cursor, Position};
use crate::entry::{Bounds, Entry};
use crate::error::BuildError;
use crate::evidence::{Needs, Standing};
use crate::failback::{Clock, Clocks, Lease};
use crate::health::{Health, Rules, TargetHealth};
use crate::mark::Mark;
use crate::outcome::BodyToken;
use crate::pause::Jitter;
use crate::policy::Policy;
use crate::snapshot::{Snapshot, TargetSnapshot};
use crate::time::{Limit, Timestamp};

/// An ordered list of targets, the policy, and what is remembered between calls: the sticky target,
/// strikes and cool-downs, the failback clocks, the budget.
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
    names: Box<[Box<str>]>,
    bounds: Box<[Bounds]>,
    pub(crate) cursor: Cursor,
    pub(crate) health: Health,
    pub(crate) failback: Clocks,
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
        Self::of(targets.into_iter().map(Entry::new), policy)
    }

    /// A group of targets with names, bounds or states of their own.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); and two targets have the same name.
    pub fn of(targets: impl IntoIterator<Item = Entry<T>>, policy: Policy) -> Result<Self, BuildError> {
        let (entries, names) = checked(targets, &policy)?;
        let health = Health::new(rules(&policy), entries.iter().map(|entry| TargetHealth::new(entry.state)));
        let clocks = Clocks::new(entries.iter().map(|_| Clock::new(Mark::CLEAN)));
        Ok(Self::assemble((entries, names), policy, 0, health, clocks, Spent::new()))
    }

    /// A group with another list of targets, or another policy, that remembers what this one knows of those that have the
    /// same name (`identity`).
    ///
    /// The sticky target stays; if it is gone, the first one after it that is still there takes its place, else target 0. Failback to a target that was not there before is due at once. What the policy no longer has is forgotten, and
    /// each target has the state of its entry. Calls in flight finish on the old list and report to the old memory.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn with_targets(
        &self,
        targets: impl IntoIterator<Item = Entry<T>>,
        policy: Policy,
    ) -> Result<Self, BuildError> {
        let (entries, names) = checked(targets, &policy)?;
        let shared = self.shared();
        let before = |index: usize| names.get(index).and_then(|name| shared.place_of(name));
        let rules = rules(&policy);
        let known = |(index, entry): (usize, &Entry<T>)| match before(index) {
            Some(index) => shared.health.copied(index, &rules, entry.state),
            None => TargetHealth::new(entry.state),
        };
        let known: Vec<_> = entries.iter().enumerate().map(known).collect();
        let health = Health::new(rules, known);
        let before = |index| before(index).filter(|_| policy.failback.is_some());
        let clock =
            |index| before(index).map_or(Clock::new(Mark::CLEAN), |index| shared.failback.copied(index));
        let clocks = Clocks::new((0..entries.len()).map(clock));
        let place = |index: usize| names.iter().position(|name| *name == shared.names[index]);
        let sticky = (self.sticky()..self.targets().len()).find_map(place).unwrap_or(0);
        Ok(Self::assemble((entries, names), policy, sticky, health, clocks, shared.spent.copied()))
    }

    /// The targets in order.
    #[must_use]
    #[inline]
    pub fn targets(&self) -> &[T] {
        &self.shared.targets
    }

    /// The names of the targets, in order: those that they were given, or else their places in the list.
    #[must_use]
    pub fn names(&self) -> &[Box<str>] {
        &self.shared.names
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

    /// Makes a target the sticky one by hand: the next call begins there.
    ///
    /// If that leaves a preferred target, failback returns to it in time, as after a failover. One that cools is
    /// asked after the others all the same, until it has answered or its cool-down is over.
    ///
    /// # Errors
    ///
    /// There is no target with this index.
    pub fn prefer(&self, index: usize, now: Timestamp) -> Result<(), BuildError> {
        self.check_index(index)?;
        while !self.shared.move_cursor(self.shared.cursor.read(), index, now) {}
        Ok(())
    }

    /// Sets whether a target is to be used, from the next attempt on. A sticky target that is not ready is left with the
    /// next answer.
    ///
    /// # Errors
    ///
    /// There is no target with this index.
    pub fn set_state(&self, index: usize, state: AdminState) -> Result<(), BuildError> {
        self.check_index(index)?;
        self.shared.health.set_state(index, state);
        Ok(())
    }

    /// Notes that the body of an answer ended whole, or that 64 KiB of it passed. If the answer was a probe's, its
    /// target is the sticky one now; until then the probe is under way (`failback`). Said again, it does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use failover_core::{Action, Facts, Group, Policy, Timestamp};
    /// use http::{HeaderMap, Method, StatusCode};
    /// use std::time::Duration;
    ///
    /// let group = Group::new(["http://preferred", "http://standby"], Policy::default())?;
    /// group.prefer(1, Timestamp::ORIGIN)?;
    /// let (facts, now) = (Facts::of(&Method::GET, &HeaderMap::new()), Timestamp::from(Duration::from_secs(40)));
    /// let Action::Send(probe) = group.begin::<_, &str>(facts, now) else { unreachable!() };
    /// assert_eq!((probe.index(), probe.is_probe()), (0, true));
    /// let Action::Return(answer) = probe.handle_response(StatusCode::OK, None, "whole", now) else { unreachable!() };
    /// assert_eq!(group.sticky(), 1);
    /// group.body_whole(answer.body(), now);
    /// assert_eq!(group.sticky(), 0);
    /// # Ok::<(), failover_core::BuildError>(())
    /// ```
    pub fn body_whole(&self, body: BodyToken, now: Timestamp) {
        let shared = self.shared();
        if body.lease.is_held() && shared.failback.has(body.lease) {
            shared.move_cursor(body.seen, body.target.into(), now);
            shared.failback.release(body.lease);
        }
    }

    /// Notes that the body of an answer broke off after its head, by the target's doing: a strike, beside those that the
    /// head cleared (`broken_body`). A probe has failed by that.
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
        shared.health.broke_off(body.target.into(), body.cleared, now, &shared.jitter);
        if body.lease.is_held() {
            shared.fail_probe(body.target.into(), body.lease, now);
        }
    }

    /// What the group remembers, for a status page.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let Shared { health, failback, policy, .. } = self.shared();
        let sticky = self.sticky();
        let target = |index| {
            let (mark, due) = (health.mark(index), failback.due(index));
            let is_away = policy.failback.is_some() && index < sticky;
            TargetSnapshot {
                name: self.names()[index].to_string(),
                state: health.state(index),
                check: health.check_state(index),
                cooling: Some(health.cools_until(index).since(now)).filter(|left| !left.is_zero()),
                strikes: mark.strikes(),
                usual: health.usual(index, now),
                probe_in: is_away.then(|| due.until().since(now)),
                failed_probes: if is_away { due.strikes() } else { 0 },
                last_failure: health.last_failure(index),
            }
        };
        Snapshot {
            sticky,
            targets: (0..self.targets().len()).map(target).collect(),
            probes: failback.probes(),
        }
    }

    /// Takes over what another group remembered, of targets that have the same name: the sticky target, strikes and cool-downs,
    /// the failback clocks, what answers usually take, and what administrators want. The other way of [`snapshot`](Self::snapshot),
    /// for a process that takes another one's place.
    ///
    /// # Examples
    ///
    /// ```
    /// use failover_core::{Group, Policy, Timestamp};
    ///
    /// let (old, now) = (Group::new(["http://a", "http://b"], Policy::default())?, Timestamp::ORIGIN);
    /// old.prefer(1, now)?;
    /// let new = Group::new(["http://a", "http://b"], Policy::default())?;
    /// new.restore(&old.snapshot(now), now);
    /// assert_eq!(new.sticky(), 1);
    /// # Ok::<(), failover_core::BuildError>(())
    /// ```
    pub fn restore(&self, snapshot: &Snapshot, now: Timestamp) {
        let shared = self.shared();
        let places = snapshot.targets.iter().map(|known| (known, shared.place_of(&known.name)));
        for (known, place) in places {
            let Some(place) = place else { continue };
            shared.health.restore(place, known, now);
            if let Some(left) = known.probe_in {
                shared.failback.restore(place, Mark::new(now + left, known.failed_probes));
            }
        }
        let sticky = snapshot.targets.get(snapshot.sticky).and_then(|known| shared.place_of(&known.name));
        if let Some(sticky) = sticky {
            while !shared.cursor.advance(shared.cursor.read(), sticky) {}
        }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Shared<T> {
        &self.shared
    }

    fn check_index(&self, index: usize) -> Result<(), BuildError> {
        let targets = self.targets().len();
        let is_there = || BuildError::new("index", index, format!("less than the {targets} targets"));
        (index < targets).then_some(()).ok_or_else(is_there)
    }

    fn assemble(
        (entries, names): Checked<T>,
        policy: Policy,
        sticky: usize,
        health: Health,
        failback: Clocks,
        spent: Spent,
    ) -> Self {
        let bounds = entries.iter().map(|entry| entry.bounds).collect();
        Self {
            shared: Arc::new(Shared {
                targets: entries.into_iter().map(Entry::into_target).collect(),
                names,
                bounds,
                cursor: Cursor::new(sticky),
                health,
                failback,
                jitter: Jitter::new(policy.jitter, policy.seed),
                gives_up: policy.gives_up(),
                deadline: policy.deadline.map_or(Limit::NONE, Limit::from),
                policy,
                spent,
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
    /// Moves the cursor from where it was `seen`, and starts the failback clocks of the targets that it leaves or passes.
    ///
    /// The clocks first: a call that sees the cursor elsewhere then also sees the clocks.
    pub(crate) fn move_cursor(&self, seen: Position, target: usize, now: Timestamp) -> bool {
        let from = seen.target();
        let Some(rule) = self.policy.failback else { return self.cursor.advance(seen, target) };
        let clock = self.failback.due(target);
        let is_there = || self.cursor.read() == seen;
        let moved = self.failback.leave(from, target, is_there, rule, &self.jitter, now)
            && self.cursor.advance(seen, target);
        if moved && from != target {
            self.failback.arrive(target, clock, now);
        }
        moved
    }

    /// The first target in order that may be tried: from the sticky one on, circularly, those that cool last, the soonest to
    /// be done first, those whose checks say that they are down after them, and those that an administrator drains after
    /// them. If all cool, the order is as if none did (`all_cool`); if all are down, as if none were.
    #[inline(never)]
    pub(crate) fn next_target(
        &self,
        seen: Position,
        now: Timestamp,
        may_be_tried: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let sticky = seen.target();
        let is_ready = |&target: &usize| self.health.state(target) == AdminState::Ready;
        let none_is_ready = !(0..self.targets.len()).any(|target| is_ready(&target));
        // Drained ones are asked only where there are no others.
        let is_asked = |target: &usize| is_ready(target) || none_is_ready && self.is_usable(*target);
        let all_cool = (0..self.targets.len()).filter(is_asked).all(|target| self.health.cools(target, now));
        let cooling = |target| match self.health.cools_until(target) {
            until if until > now && !all_cool => until,
            _ => Timestamp::ORIGIN,
        };
        let candidates = (sticky..self.targets.len()).chain(0..sticky);
        let may_be_tried = |&target: &usize| self.is_usable(target) && may_be_tried(target);
        let rank = |target: &usize| (!is_ready(target), self.health.is_down(*target), cooling(*target));
        candidates.filter(may_be_tried).min_by_key(rank)
    }

    /// Whether a target may be tried at all.
    pub(crate) fn is_usable(&self, target: usize) -> bool {
        self.health.state(target) != AdminState::Maintenance
    }

    /// The bounds of a target.
    pub(crate) fn bounds(&self, target: usize) -> Bounds {
        self.bounds.get(target).copied().unwrap_or_default()
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| **other == *name)
    }

    /// The right to probe a target before the cursor, if there is one and a probe of it is due.
    #[inline]
    pub(crate) fn probe(&self, seen: Position, standing: Standing, now: Timestamp) -> Option<(usize, Lease)> {
        let rule = self.policy.failback.filter(|_| seen.target() != 0)?;
        let may_replay = standing.lacks(Needs::ProofAndBody, self.policy.replay).is_none();
        let may_be_probed = |target| self.health.may_be_probed(target, now);
        let bound = |target| self.bounds(target).longest(&self.policy);
        self.failback.lease(seen.target(), may_be_probed, rule, may_replay, now, bound)
    }

    /// Books that a probe failed, at once, so that the next one waits for the doubled clock.
    pub(crate) fn fail_probe(&self, target: usize, lease: Lease, now: Timestamp) {
        if let Some(rule) = self.policy.failback {
            self.failback.failed(target, lease, rule, &self.jitter, now);
        }
    }
}

fn rules(policy: &Policy) -> Rules {
    let Policy { leave_after, cool_down, late, ref checks, .. } = *policy;
    Rules { leave_after, cool_down, late, checks: checks.clone() }
}

type Checked<T> = (Vec<Entry<T>>, Box<[Box<str>]>);

fn checked<T>(
    targets: impl IntoIterator<Item = Entry<T>>,
    policy: &Policy,
) -> Result<Checked<T>, BuildError> {
    policy.check()?;
    let entries: Vec<Entry<T>> = targets.into_iter().collect();
    match entries.len() {
        0 => return Err(BuildError::new("targets", "[]", "at least one target")),
        1..=MAX_TARGETS => {}
        more => return Err(BuildError::new("targets", more, format!("at most {MAX_TARGETS} targets"))),
    }
    let most = MAX_TRIES / entries.len();
    if usize::from(policy.rounds) > most {
        let expected = format!("at most {most}, for {} targets: {MAX_TRIES} attempts", entries.len());
        return Err(BuildError::new("rounds", policy.rounds, expected));
    }
    entries.iter().enumerate().try_for_each(|(place, entry)| entry.check(place))?;
    let names = Entry::names(&entries)?;
    Ok((entries, names))
}

/// A list in order of preference that is longer is no list of preferences.
const MAX_TARGETS: usize = 256;

/// What a call that has no other bound may try.
const MAX_TRIES: usize = 1_024;
