//! Failback: when a call tries a preferred target again after the cursor left it.

use alloc::boxed::Box;
use core::time::Duration;

use crate::mark::{Mark, SharedMark, doubled};
use crate::pause::Jitter;
use crate::sync::{AtomicU64, Ordering};
use crate::time::Timestamp;

/// When one call at a time probes a target before the cursor.
///
/// Each such target has a clock, armed when the cursor leaves it or passes it. A call begins at the best placed target
/// whose clock is due and that does not cool (`best_first`): a call that may be replayed and has its body at hand, or, when
/// the clock has been due for as long again, any. An answer moves the cursor there once its body ended whole or enough of it
/// passed, unless it is one of 5xx or 429, which is no recovery. A strike and a late probe double the clock; what says
/// nothing about the target leaves it due, for one call a second. After a return the doubling is forgotten when the target
/// has kept the cursor for as long as the last wait, so that one that flaps returns ever more seldom (`flap`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failback {
    /// How long the cursor stays away before the first probe.
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
    /// Of each target: when its next probe is due, and how often that was doubled. Of the target with the cursor: since when
    /// it has it; clean if it has not been away.
    due: Box<[SharedMark]>,
    /// Until when nobody else may probe; zero if anybody may.
    lease: AtomicU64,
    probes: AtomicU64,
}

impl Clocks {
    pub(crate) fn new(due: impl IntoIterator<Item = Mark>) -> Self {
        let due = due.into_iter().map(SharedMark::new).collect();
        Self { due, lease: AtomicU64::new(0), probes: AtomicU64::new(0) }
    }

    #[inline]
    pub(crate) fn due(&self, target: usize) -> Mark {
        self.due.get(target).map_or(Mark::CLEAN, SharedMark::read)
    }

    pub(crate) fn probes(&self) -> u64 {
        self.probes.load(Ordering::Relaxed)
    }

    /// Sets the clock of a target to what another group had.
    pub(crate) fn restore(&self, target: usize, due: Mark) {
        self.due.get(target).map(|clock| clock.update(|_| Some(due)));
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
        for target in from..to {
            let (clock, seen) = (self.due.get(target), self.due(target));
            if !is_there() {
                return false;
            }
            if target == from && seen.until() > now {
                // Another call, which leaves it as well, has just started it.
                continue;
            }
            let times = if target == from { times_after_stay(rule, seen, now) } else { seen.strikes() };
            let due = (now + jitter.lengthen(rule.wait(times))).max(seen.until());
            clock.map(|clock| clock.replace(seen, Mark::new(due, times)));
        }
        true
    }

    /// Notes since when a target has the cursor, if its clock is as it was `seen` before.
    pub(crate) fn arrive(&self, target: usize, seen: Mark, now: Timestamp) {
        if let Some(clock) = self.due.get(target) {
            clock.replace(seen, Mark::new(now, seen.strikes()));
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
        if let Some(clock) = self.due.get(target).filter(|_| self.has(lease)) {
            clock.update(|seen| {
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

/// How often the clock of a target is to be doubled that the cursor leaves: as if it had never been away if it kept the
/// cursor for as long as its last wait, else once more than then.
fn times_after_stay(rule: Failback, since: Mark, now: Timestamp) -> u8 {
    let kept = since == Mark::CLEAN || now.since(since.until()) >= rule.wait(since.strikes());
    if kept { 0 } else { since.strikes().saturating_add(1) }
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
        let jitter = Jitter::new(7);
        for kept in [Mark::CLEAN, Mark::new(at(1), 3), Mark::new(at(900), 3), Mark::new(at(999), 0)] {
            for later in 0..30 {
                let clocks = Clocks::new([kept, Mark::CLEAN]);
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
        let jitter = Jitter::new(7);
        for target in 0..2 {
            for armed in [Mark::new(at(1_001), 0), Mark::new(at(1_500), 4)] {
                let clocks = Clocks::new([Mark::CLEAN, Mark::new(at(10), 2), Mark::CLEAN]);
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
        let clocks = Clocks::new([Mark::CLEAN, Mark::new(at(10), 2)]);
        assert!(!clocks.leave(0, 2, || false, RULE, &Jitter::new(7), at(1_000)));
        assert_eq!([clocks.due(0), clocks.due(1)], [Mark::CLEAN, Mark::new(at(10), 2)]);
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(Duration::from_secs(seconds))
    }

    const RULE: Failback = Failback { after: Duration::from_secs(30), max: Duration::from_secs(300) };
}
