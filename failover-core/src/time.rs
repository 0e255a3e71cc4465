//! Time as the machine knows it: a number that the driver reports.

use core::ops::Add;
use core::time::Duration;

/// A moment, in nanoseconds since an origin that the driver chose.
///
/// A driver keeps *one origin per group*, beside the group, because what a group remembers between calls is
/// measured from it. An origin taken anew for each call compiles, and silently disables failback and cool-down.
/// Reports may repeat a moment; going backwards counts as standing still. All arithmetic saturates, some 584 years
/// after the origin.
///
/// # Examples
///
/// ```
/// use failover_core::Timestamp;
/// use std::time::{Duration, Instant};
///
/// let origin = Instant::now();
/// let now = Timestamp::from(origin.elapsed());
/// assert_eq!((now + Duration::from_secs(5)).since(now), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin itself.
    pub const ORIGIN: Self = Self(0);

    /// A moment that does not come: "no deadline".
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the origin.
    #[must_use]
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The nanoseconds between the origin and this moment.
    #[must_use]
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time between an `earlier` moment and this one; zero if it is in fact later.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Timestamp {
    /// The moment that lies `since_origin` after the origin.
    #[inline]
    fn from(since_origin: Duration) -> Self {
        Self(nanos(since_origin))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    #[inline]
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

/// How long something may take, in nanoseconds; the largest number is no bound.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Limit(u64);

impl Limit {
    pub(crate) const NONE: Self = Self(u64::MAX);
}

impl From<Duration> for Limit {
    fn from(time: Duration) -> Self {
        Self(nanos(time))
    }
}

impl Add<Limit> for Timestamp {
    type Output = Self;

    #[inline]
    fn add(self, limit: Limit) -> Self {
        Self(self.0.saturating_add(limit.0))
    }
}

/// The duration in whole nanoseconds, saturating.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: `Timestamp::add` that wraps.
    #[test]
    fn saturating_moments_and_durations_are_added_and_subtracted_as_if_there_were_ends() {
        let last = u128::from(u64::MAX);
        for moment in MOMENTS {
            let at = Timestamp::from_nanos(moment);
            for duration in DURATIONS {
                let sum = u128::from(moment) + duration.as_nanos();
                assert_eq!(u128::from((at + duration).as_nanos()), sum.min(last), "{moment} + {duration:?}");
                assert_eq!(at + Limit::from(duration), at + duration);
                assert_eq!(u128::from(nanos(duration)), duration.as_nanos().min(last));
                assert_eq!(Timestamp::from(duration), Timestamp::ORIGIN + duration);
            }
            for earlier in MOMENTS {
                let since = at.since(Timestamp::from_nanos(earlier)).as_nanos();
                let expected = i128::from(moment) - i128::from(earlier);
                assert_eq!(i128::try_from(since), Ok(expected.max(0)), "{moment} since {earlier}");
            }
            assert_eq!(at + Limit::NONE, Timestamp::NEVER);
        }
    }

    const MOMENTS: [u64; 9] =
        [0, 1, 255, 256, 999_999_999, 1_000_000_000, u64::MAX / 2, u64::MAX - 1, u64::MAX];

    const DURATIONS: [Duration; 12] = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(999_999_999),
        Duration::from_secs(1),
        Duration::from_nanos(u64::MAX / 2),
        Duration::from_nanos(u64::MAX - 1),
        Duration::from_nanos(u64::MAX),
        Duration::new(u64::MAX / 1_000_000_000, 709_551_616),
        Duration::from_secs(u64::MAX / 1_000_000_000 + 1),
        Duration::from_secs(u64::MAX / 2),
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ];
}
