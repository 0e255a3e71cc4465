//! Failback: when a call tries target 0 again after the cursor left it.

use core::time::Duration;

use crate::mark::{Mark, SharedMark, doubled};
use crate::pause::Jitter;
use crate::sync::{AtomicU64, Ordering};
use crate::time::Timestamp;

/// When one call at a time probes target 0 after the cursor left it.
///
/// The clock is armed when the cursor leaves target 0; moves among the others do not restart it. When it is due, one
/// call begins at target 0: one that may be replayed and has its body at hand, or, when the clock has been due for as
/// long again, any. An answer moves the cursor back, unless it is one of 5xx or 429, which is no recovery; a failed probe
/// doubles the clock. So there is at most one return by probe per `after`.
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
    fn clock(self, failed_probes: u8) -> Duration {
        doubled(self.after, failed_probes, self.max)
    }
}

/// The failback clock and the lease of the one probe.
#[derive(Debug)]
pub(crate) struct FailbackClock {
    /// When the next probe is due, and how many failed in a row. Means nothing while the cursor is at target 0.
    due: SharedMark,
    /// When the lease of the running probe expires by itself; zero if none is running.
    lease: AtomicU64,
    probes: AtomicU64,
}

impl FailbackClock {
    pub(crate) fn new(due: Mark) -> Self {
        Self { due: SharedMark::new(due), lease: AtomicU64::new(0), probes: AtomicU64::new(0) }
    }

    pub(crate) fn due(&self) -> Mark {
        self.due.read()
    }

    pub(crate) fn probes(&self) -> u64 {
        self.probes.load(Ordering::Relaxed)
    }

    /// Starts the clock, right before the cursor leaves target 0, unless another call did since it was `seen`.
    pub(crate) fn arm(&self, seen: Mark, rule: Failback, jitter: &Jitter, now: Timestamp) {
        self.due.replace(seen, Mark::new(now + jitter.lengthen(rule.clock(0)), 0));
    }

    /// Takes the lease of a probe, if one is due and none is running (`single_flight`).
    pub(crate) fn lease(&self, rule: Failback, may_replay: bool, now: Timestamp, bound: Duration) -> Lease {
        let due = self.due.read();
        let patience = if may_replay { Duration::ZERO } else { rule.clock(due.strikes()) };
        let running = self.lease.load(Ordering::Acquire);
        if now < due.until() + patience || now.as_nanos() < running {
            return Lease::NONE;
        }
        let expires = (now + bound).as_nanos().max(1);
        if self.lease.compare_exchange(running, expires, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Lease::NONE;
        }
        let lease = Lease(expires);
        if self.due.read() != due {
            // Another probe ended between the two reads.
            self.release(lease);
            return Lease::NONE;
        }
        self.probes.fetch_add(1, Ordering::Relaxed);
        lease
    }

    /// Doubles the clock after a failed probe, then frees the lease.
    pub(crate) fn failed(&self, lease: Lease, rule: Failback, jitter: &Jitter, now: Timestamp) {
        let seen = self.due.read();
        let failed = seen.strikes().saturating_add(1);
        self.due.replace(seen, Mark::new(now + jitter.lengthen(rule.clock(failed)), failed));
        self.release(lease);
    }

    /// Frees the lease, unless it has expired and belongs to another call.
    pub(crate) fn release(&self, lease: Lease) {
        // A failed exchange means that the lease is another call's by now.
        let _ = self.lease.compare_exchange(lease.0, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// A call's right to probe target 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Lease(u64);

impl Lease {
    pub(crate) const NONE: Self = Self(0);

    #[inline]
    pub(crate) fn is_held(self) -> bool {
        self != Self::NONE
    }
}
