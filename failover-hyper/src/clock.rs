//! The time of a group.

use std::time::{Duration, Instant};

use failover_core::Timestamp;

use crate::runtime::Runtime;

/// A runtime's clock, read from the moment on when a group was new.
///
/// One for all lists of targets that follow each other, since what they remember is measured by it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    read: fn() -> Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start<R: Runtime>() -> Self {
        Self { origin: R::now(), read: R::now }
    }

    /// The present moment.
    #[must_use]
    pub fn now(self) -> Timestamp {
        self.at((self.read)())
    }

    /// The instant of a moment.
    #[must_use]
    pub(crate) fn instant(self, moment: Timestamp) -> Instant {
        self.origin + Duration::from_nanos(moment.as_nanos())
    }

    /// The moment of an instant.
    #[must_use]
    pub fn at(self, instant: Instant) -> Timestamp {
        Timestamp::from(instant.saturating_duration_since(self.origin))
    }
}
