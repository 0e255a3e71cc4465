//! The word that remembers a time and a count.

use core::time::Duration;

use crate::sync::{AtomicU64, Ordering};
use crate::time::Timestamp;

/// Until when something waits, and after how many strikes: 56 bits of time in units of 256 ns, 8 bits of strikes.
///
/// A target's cool-down is one, its failback clock is one, and so is what its answers usually take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark(u64);

impl Mark {
    /// Nothing waits, no strikes.
    pub(crate) const CLEAN: Self = Self(0);

    #[inline]
    pub(crate) fn new(until: Timestamp, strikes: u8) -> Self {
        Self(until.as_nanos() >> STRIKE_BITS << STRIKE_BITS | u64::from(strikes))
    }

    #[inline]
    pub(crate) fn until(self) -> Timestamp {
        Timestamp::from_nanos(self.0 >> STRIKE_BITS << STRIKE_BITS)
    }

    #[inline]
    pub(crate) fn strikes(self) -> u8 {
        self.0.to_le_bytes()[0]
    }
}

/// A mark that calls share.
#[derive(Debug)]
pub(crate) struct SharedMark(AtomicU64);

impl SharedMark {
    pub(crate) fn new(mark: Mark) -> Self {
        Self(AtomicU64::new(mark.0))
    }

    #[inline]
    pub(crate) fn read(&self) -> Mark {
        Mark(self.0.load(Ordering::Acquire))
    }

    /// Makes the mark clean, and tells what it was.
    #[inline]
    pub(crate) fn clear(&self) -> Mark {
        let seen = self.read();
        if seen == Mark::CLEAN { seen } else { Mark(self.0.swap(Mark::CLEAN.0, Ordering::AcqRel)) }
    }

    /// Changes the mark to what `change` makes of it, unless that is nothing.
    pub(crate) fn update(&self, change: impl Fn(Mark) -> Option<Mark>) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| change(Mark(word)).map(|mark| mark.0))
            .is_ok()
    }

    /// Replaces the mark that was `seen`; does nothing if another call was faster.
    pub(crate) fn replace(&self, seen: Mark, mark: Mark) -> bool {
        self.0.compare_exchange(seen.0, mark.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// `base`, doubled `times` times, at most `max`.
pub(crate) fn doubled(base: Duration, times: u8, max: Duration) -> Duration {
    let factor = 1_u32.checked_shl(times.into()).unwrap_or(u32::MAX);
    base.saturating_mul(factor).min(max)
}

const STRIKE_BITS: u32 = 8;
