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
