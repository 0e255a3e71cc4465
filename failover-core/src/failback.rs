//! Failback: when a call tries a preferred target again after the cursor left it.

use alloc::boxed::Box;
use core::time::Duration;

use crate::mark::{Mark, Moment, SharedMark, doubled};
use crate::pause::Jitter;
use crate::sync::{AtomicU64, Ordering};
use crate::time::Timestamp;

/// When one call at a time probes a target that is preferred to the sticky one.
///
/// Each such target has a clock, armed when it is left or passed over, up to a fifth longer unless the policy's `jitter` is
/// off. A call begins at the best placed target
/// whose clock is due and that does not cool (`best_first`): a call that may be replayed and has its body at hand, or, when
/// the clock has been due for as long again, any. An answer makes its target the sticky one once its body ended whole or enough of it
/// passed, unless it is one of 5xx or 429, which is no recovery. A strike and a late probe double the clock; what says
/// nothing about the target leaves it due, for one call a second. After a return the doubling is forgotten when the target
/// has been the sticky one for as long as the last wait, so that one that flaps returns ever more seldom (`flap`).
///
/// Where there are checks, `rise` good ones in a row that began after the clock was armed make it due, unless it was doubled. A
/// return that came early by that gains nothing: the target must stay the sticky one until a wait after the clock would have been due.
/// It is so, too, after [`Group::prefer`](crate::Group::prefer): whoever wants calls to stay takes the target out of use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failback {
    /// How long calls stay away before the first probe, unless checks say before that the target is well.
    pub after: Duration,
    /// The longest time between two probes.
    pub max: Duration,
}

impl Default for Failback {
    /// After 30 s, doubling to 5 min.
    fn default() -> Self {
        Self { after: Duration::from_secs(30), max: Duration::from_secs(300) }
    }
}

impl Failback {
    /// The wait that was doubled so many times.
    fn wait(self, times: u8) -> Duration {
        doubled(self.after, times, self.max)
    }
}

/// The failback clocks, and the lease of the one probe.
#[derive(Debug)]
pub(crate) struct Clocks {
    targets: Box<[Clock]>,
    /// Until when nobody else may probe; zero if anybody may.
    lease: AtomicU64,
    probes: AtomicU64,
}

/// The clock of one target.
#[derive(Debug)]
pub(crate) struct Clock {
    /// When its next probe is due, and how often that was doubled. Of the target with the cursor: since when it has it; clean if
    /// it has not been away.
    due: SharedMark,
    /// When it would have been due that checks made due before.
    cut_short: Moment,
}

impl Clock {
    pub(crate) fn new(due: Mark) -> Self {
        Self { due: SharedMark::new(due), cut_short: Moment::none() }
    }

    /// How often the clock is to be doubled when the cursor leaves its target, which has had it as was `seen`: as if it had never
    /// been away if it kept the cursor for as long as its last wait, else once more than then.
    fn times_after_stay(&self, rule: Failback, seen: Mark, now: Timestamp) -> u8 {
        // A rule that was replaced may have had a longer wait.
        let latest = seen.until() + rule.wait(0) + rule.wait(0) / 5;
        let since = self.cut_short.read().map_or(seen.until(), |due| due.min(latest).max(seen.until()));
        let kept = seen == Mark::CLEAN || now.since(since) >= rule.wait(seen.strikes());
        if kept { 0 } else { seen.strikes().saturating_add(1) }
    }
}

impl Clocks {
    pub(crate) fn new(clocks: impl IntoIterator<Item = Clock>) -> Self {
        let targets = clocks.into_iter().collect();
        Self { targets, lease: AtomicU64::new(0), probes: AtomicU64::new(0) }
    }

    /// The clock of a target, for another group.
    pub(crate) fn copied(&self, target: usize) -> Clock {
        let due = SharedMark::new(self.due(target));
        let cut_short = self.targets.get(target).map_or_else(Moment::none, |clock| clock.cut_short.copied());
        Clock { due, cut_short }
    }

    #[inline]
    pub(crate) fn due(&self, target: usize) -> Mark {
        self.targets.get(target).map_or(Mark::CLEAN, |clock| clock.due.read())
    }

    pub(crate) fn probes(&self) -> u64 {
        self.probes.load(Ordering::Relaxed)
    }

    /// Sets the clock of a target to what another group had.
    pub(crate) fn restore(&self, target: usize, due: Mark) {
        self.targets.get(target).map(|clock| clock.due.update(|_| Some(due)));
    }

    /// Starts the clocks of the target that the cursor leaves, and of those that it passes, right before it does. `is_there`
    /// tells whether it has not left yet.
    ///
    /// A clock that another call set since it was read stays as that call set it.
    pub(crate) fn leave(
        &self,
        from: usize,
        to: usize,
        is_there: impl Fn() -> bool,
        rule: Failback,
        jitter: &Jitter,
        now: Timestamp,
    ) -> bool {
        for (target, clock) in self.targets.iter().enumerate().take(to).skip(from) {
            let seen = clock.due.read();
            if !is_there() {
                return false;
            }
            if target == from && seen.until() > now {
                // Another call, which leaves it as well, has just started it.
                continue;
            }
            let times = if target == from { clock.times_after_stay(rule, seen, now) } else { seen.strikes() };
            let due = (now + jitter.lengthen(rule.wait(times))).max(seen.until());
            clock.due.replace(seen, Mark::new(due, times));
        }
        true
    }

    /// Makes the clock of a target due as of a moment, since its checks say that it is well, if it is as it was `seen` when the
    /// first of these began. What was doubled stays.
    pub(crate) fn cut_short(&self, target: usize, seen: Mark, as_of: Timestamp) {
        let is_running = seen.strikes() == 0 && seen.until() > as_of;
        if let Some(clock) = self.targets.get(target).filter(|_| is_running) {
            clock.cut_short.raise(seen.until());
            clock.due.replace(seen, Mark::new(as_of, 0));
        }
    }

    /// Notes since when a target has the cursor, if its clock is as it was `seen` before.
    pub(crate) fn arrive(&self, target: usize, seen: Mark, now: Timestamp) {
        if let Some(clock) = self.targets.get(target) {
            clock.due.replace(seen, Mark::new(now, seen.strikes()));
        }
    }

    /// Takes the lease of a probe, if one of the targets before the cursor is due, `may_be_probed`, and nobody else
    /// has the lease (`single_flight`).
    pub(crate) fn lease(
        &self,
        cursor: usize,
        may_be_probed: impl Fn(usize) -> bool,
        rule: Failback,
        may_replay: bool,
        now: Timestamp,
        bound: impl Fn(usize) -> Duration,
    ) -> Option<(usize, Lease)> {
        let running = self.lease.load(Ordering::Acquire);
        if now.as_nanos() < running {
            return None;
        }
        let is_due = |due: Mark| {
            let patience = if may_replay { Duration::ZERO } else { rule.wait(due.strikes()) };
            now >= due.until() + patience
        };
        let target = (0..cursor).find(|&target| is_due(self.due(target)) && may_be_probed(target))?;
        // The lowest bits tell leases of one moment apart.
        let expires = ((now + bound(target)).as_nanos() & !0xff).saturating_sub(0x100);
        let expires = (expires | self.probes() & 0xff).max(1);
        self.lease.compare_exchange(running, expires, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        let lease = Lease(expires);
        if !is_due(self.due(target)) {
            // Another probe ended between the two reads.
            self.release(lease);
            return None;
        }
        self.probes.fetch_add(1, Ordering::Relaxed);
        Some((target, lease))
    }

    /// Whether nobody else has taken the lease since, and it was not freed.
    pub(crate) fn has(&self, lease: Lease) -> bool {
        self.lease.load(Ordering::Acquire) == lease.0
    }

    /// Doubles the clock of a target after a failed probe, then frees the lease; does nothing if that was done.
    pub(crate) fn failed(
        &self,
        target: usize,
        lease: Lease,
        rule: Failback,
        jitter: &Jitter,
        now: Timestamp,
    ) {
        if let Some(clock) = self.targets.get(target).filter(|_| self.has(lease)) {
            clock.due.update(|seen| {
                let times = seen.strikes().saturating_add(1);
                Some(Mark::new((now + jitter.lengthen(rule.wait(times))).max(seen.until()), times))
            });
        }
        self.release(lease);
    }

    /// Frees the lease of a probe that said nothing about its target, a second after it began (`nobodys_fault`).
    pub(crate) fn undecided(&self, lease: Lease, began: Timestamp) {
        self.end(lease, (began + NEXT_PROBE).as_nanos());
    }

    /// Frees the lease.
    pub(crate) fn release(&self, lease: Lease) {
        self.end(lease, 0);
    }

    /// Ends the lease at a moment, unless it has expired and belongs to another call.
    fn end(&self, lease: Lease, expires: u64) {
        // A failed exchange means that the lease is another call's by now.
        let _ = self.lease.compare_exchange(lease.0, expires, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// A call's right to probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Lease(u64);

impl Lease {
    pub(crate) const NONE: Self = Self(0);

    #[inline]
    pub(crate) fn is_held(self) -> bool {
        self != Self::NONE
    }
}

/// How soon a probe that said nothing is followed by another.
const NEXT_PROBE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    /// Guards: `Clocks::leave` that arms the clock of the target that it leaves although that runs.
    #[test]
    fn failback_a_call_that_leaves_a_target_does_not_arm_the_clock_that_another_has_just_armed() {
        let jitter = Jitter::new(true, 7);
        for kept in [Mark::CLEAN, Mark::new(at(1), 3), Mark::new(at(900), 3), Mark::new(at(999), 0)] {
            for later in 0..30 {
                let clocks = clocks([kept, Mark::CLEAN]);
                assert!(clocks.leave(0, 1, || true, RULE, &jitter, at(1_000)));
                let armed = clocks.due(0);
                assert!(armed.until() > at(1_029), "it runs");
                assert!(clocks.leave(0, 1, || true, RULE, &jitter, at(1_000 + later)));
                assert_eq!(clocks.due(0), armed, "{later} s later");
            }
        }
    }

    /// Guards: `Clocks::leave` that stores what it made of a clock which another call has set since.
    #[test]
    fn failback_a_call_that_leaves_a_target_sets_no_clock_that_another_armed_since_it_was_read() {
        let jitter = Jitter::new(true, 7);
        for target in 0..2 {
            for armed in [Mark::new(at(1_001), 0), Mark::new(at(1_500), 4)] {
                let clocks = clocks([Mark::CLEAN, Mark::new(at(10), 2), Mark::CLEAN]);
                let asked = Cell::new(0);
                let other_leaves = || {
                    if asked.replace(asked.get() + 1) == target {
                        clocks.restore(target, armed);
                    }
                    true
                };
                assert!(clocks.leave(0, 2, other_leaves, RULE, &jitter, at(1_000)));
                assert_eq!(clocks.due(target), armed, "target {target}");
            }
        }
    }

    /// Guards: `Clocks::leave` that arms a clock although the cursor has left.
    #[test]
    fn epoch_a_call_that_finds_the_cursor_moved_arms_no_clock() {
        let clocks = clocks([Mark::CLEAN, Mark::new(at(10), 2)]);
        assert!(!clocks.leave(0, 2, || false, RULE, &Jitter::new(true, 7), at(1_000)));
        assert_eq!([clocks.due(0), clocks.due(1)], [Mark::CLEAN, Mark::new(at(10), 2)]);
    }

    /// Guards: `Clocks::cut_short` that stores over a clock which another call has set since, or cuts what was doubled or is due;
    /// `Clock::times_after_stay` that takes an early return for a long stay.
    #[test]
    fn failback_a_clock_that_is_cut_short_is_the_one_that_was_seen_and_a_stay_counts_from_when_it_would_have_been_due()
     {
        let (running, jitter) = (Mark::new(at(1_030), 0), Jitter::new(true, 7));
        for (seen, expected) in [
            (running, Mark::new(at(1_010), 0)),
            (Mark::new(at(1_029), 0), running),
            (Mark::new(at(1_030), 1), running),
        ] {
            let clocks = clocks([running, Mark::CLEAN]);
            clocks.cut_short(0, seen, at(1_010));
            assert_eq!(clocks.due(0), expected, "{seen:?}");
        }
        for stays in [Mark::new(at(1_030), 1), Mark::new(at(1_010), 0), Mark::CLEAN] {
            let clocks = clocks([stays, Mark::CLEAN]);
            clocks.cut_short(0, stays, at(1_010));
            assert_eq!(clocks.due(0), stays);
        }
        for (left, times) in [(1_011, 1), (1_045, 1), (1_059, 1), (1_060, 0)] {
            let clocks = clocks([running, Mark::CLEAN]);
            clocks.cut_short(0, running, at(1_010));
            clocks.arrive(0, clocks.due(0), at(1_011));
            let clocks = [clocks.copied(0), Clock::new(Mark::CLEAN)];
            let clocks = Clocks::new(clocks);
            assert!(clocks.leave(0, 1, || true, RULE, &jitter, at(left)));
            assert_eq!(clocks.due(0).strikes(), times, "left at {left}");
        }
    }

    fn clocks<const N: usize>(due: [Mark; N]) -> Clocks {
        Clocks::new(due.map(Clock::new))
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(Duration::from_secs(seconds))
    }

    const RULE: Failback = Failback { after: Duration::from_secs(30), max: Duration::from_secs(300) };
}
