//! The words that remember a time: one with a count, and one alone.

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

    /// Makes the mark clean, and tells what it was; leaves a mark that `stays`.
    #[inline]
    pub(crate) fn clear_unless(&self, stays: impl Fn() -> bool) -> Mark {
        if self.read() == Mark::CLEAN || stays() {
            return Mark::CLEAN;
        }
        Mark(self.0.swap(Mark::CLEAN.0, Ordering::AcqRel))
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

/// A moment that calls share; at first there is none. It only ever becomes later.
#[derive(Debug)]
pub(crate) struct Moment(AtomicU64);

impl Moment {
    pub(crate) fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The same moment, for another group.
    pub(crate) fn copied(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }

    #[inline]
    pub(crate) fn read(&self) -> Option<Timestamp> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(Timestamp::from_nanos)
    }

    pub(crate) fn is_after(&self, moment: Timestamp) -> bool {
        self.read().is_some_and(|mine| mine > moment)
    }

    pub(crate) fn raise(&self, moment: Timestamp) {
        self.raise_if(moment, |last| moment > last);
    }

    pub(crate) fn raise_if(&self, moment: Timestamp, may: impl Fn(Timestamp) -> bool) -> bool {
        let raised = |word: u64| {
            let last = word.checked_sub(1).map(Timestamp::from_nanos);
            last.is_none_or(&may).then_some(moment.as_nanos().saturating_add(1))
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised).is_ok()
    }
}

/// `base`, doubled `times` times, at most `max`.
pub(crate) fn doubled(base: Duration, times: u8, max: Duration) -> Duration {
    (0..times).fold(base, |wait, _| wait.saturating_mul(2)).min(max)
}

const STRIKE_BITS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: `Mark::new` that does not round.
    #[test]
    fn a_mark_keeps_any_strikes_and_any_moment_rounded_down_to_256_nanoseconds() {
        for moment in moments() {
            for strikes in 0..=u8::MAX {
                let mark = Mark::new(Timestamp::from_nanos(moment), strikes);
                assert_eq!(mark.strikes(), strikes, "at {moment}");
                assert_eq!(mark.until().as_nanos(), moment / 256 * 256, "with {strikes}");
                assert_eq!(mark == Mark::CLEAN, moment < 256 && strikes == 0);
                assert_eq!(Mark::new(mark.until(), strikes), mark, "what was read is written as it was");
            }
        }
    }

    /// Guards: `doubled` that stops at 2^32 times the first wait.
    #[test]
    fn saturating_a_wait_is_doubled_as_often_as_asked_up_to_the_longest_and_never_beyond() {
        for base in WAITS {
            for max in WAITS {
                let mut last = Duration::ZERO;
                for times in 0..=u8::MAX {
                    let wait = doubled(base, times, max);
                    let nanos = (0..times).try_fold(base.as_nanos(), |nanos, _| nanos.checked_mul(2));
                    let expected = nanos.map_or(max.as_nanos(), |nanos| nanos.min(max.as_nanos()));
                    assert_eq!(wait.as_nanos(), expected, "{base:?} doubled {times} times up to {max:?}");
                    assert!(wait >= last, "it does not become shorter");
                    last = wait;
                }
            }
        }
    }

    /// All around the powers of two, where rounding and packing have their edges.
    fn moments() -> impl Iterator<Item = u64> {
        let around = |edge: u64| {
            [255, 1, 0].into_iter().map(move |less| edge.saturating_sub(less)).chain([
                edge.saturating_add(1),
                edge.saturating_add(255),
                edge.saturating_add(256),
            ])
        };
        (0..u64::BITS).map(|bit| 1 << bit).chain([u64::MAX]).flat_map(around)
    }

    const WAITS: [Duration; 12] = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(999_999_999),
        Duration::from_millis(25),
        Duration::from_millis(250),
        Duration::from_secs(5),
        Duration::from_secs(300),
        Duration::from_nanos(u64::MAX),
        Duration::from_secs(u64::MAX / 2),
        Duration::new(u64::MAX / 2, 500_000_000),
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ];
}
