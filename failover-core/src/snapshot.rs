//! What a group remembers at a moment, for a status page.

use alloc::vec::Vec;
use core::time::Duration;

use crate::outcome::Cause;

/// What a group remembers at a moment: see [`Group::snapshot`](crate::Group::snapshot).
///
/// Under the feature `serde` it serializes, durations as seconds, a last failure as its status or the name of its
/// evidence.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// The index of the target where the next call begins.
    pub sticky: usize,
    /// Each target, in order.
    pub targets: Vec<TargetSnapshot>,
    /// How long until target 0 is probed; zero if that is due. `None` while it is sticky, or without failback.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub failback_in: Option<Duration>,
    /// How many probes failed in a row.
    pub failed_probes: u8,
    /// How many probes were begun.
    pub probes: u64,
}

/// What a group remembers of one target.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TargetSnapshot {
    /// How long it is still tried last; `None` if it is not.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub cooling: Option<Duration>,
    /// Its failures in a row that counted against its health. A connect failure counts as enough to cool down.
    pub strikes: u8,
    /// What happened when it failed last, if it ever did.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::cause"))]
    pub last_failure: Option<Cause<()>>,
}

#[cfg(feature = "serde")]
#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde calls them so")]
mod serialize {
    use core::time::Duration;

    use serde::{Serialize, Serializer};

    use crate::outcome::Cause;

    pub(super) fn seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs_f64()).serialize(serializer)
    }

    pub(super) fn cause<S: Serializer>(cause: &Option<Cause<()>>, serializer: S) -> Result<S::Ok, S::Error> {
        match cause {
            Some(Cause::Status(status)) => serializer.serialize_u16(status.as_u16()),
            Some(Cause::Error(evidence, ())) => serializer.serialize_str(evidence.as_str()),
            None => serializer.serialize_none(),
        }
    }
}
