//! What a group remembers at a moment, for a status page.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::admin::AdminState;
use crate::checks::CheckState;
use crate::outcome::Cause;

/// What a group remembers at a moment: see [`Group::snapshot`](crate::Group::snapshot).
///
/// Under the feature `serde` it serializes and deserializes, durations as seconds, a last failure as its status or the name
/// of its evidence.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// The index of the target where the next call begins.
    pub sticky: usize,
    /// Each target, in order.
    pub targets: Vec<TargetSnapshot>,
    /// How many probes were begun.
    #[cfg_attr(feature = "serde", serde(default))]
    pub probes: u64,
}

/// What a group remembers of one target.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[non_exhaustive]
pub struct TargetSnapshot {
    /// Its name.
    pub name: String,
    /// What an administrator wants of it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub state: AdminState,
    /// What its checks come to, if there are checks.
    pub check: Option<CheckState>,
    /// How long it is still tried last; `None` if it is not.
    #[cfg_attr(feature = "serde", serde(default, with = "seconds"))]
    pub cooling: Option<Duration>,
    /// The strikes against it since it last answered well; from the policy's `leave_after` on it cools, once more often with
    /// each further one.
    #[cfg_attr(feature = "serde", serde(default))]
    pub strikes: u8,
    /// How long the head of its answer usually takes; `None` if that is not known.
    #[cfg_attr(feature = "serde", serde(default, with = "seconds"))]
    pub usual: Option<Duration>,
    /// How long until it is probed; zero if that is due. `None` unless it is preferred to the sticky target and there is
    /// failback.
    #[cfg_attr(feature = "serde", serde(default, with = "seconds"))]
    pub probe_in: Option<Duration>,
    /// How often its failback clock was doubled.
    #[cfg_attr(feature = "serde", serde(default))]
    pub failed_probes: u8,
    /// What happened when it failed last, if it ever did.
    #[cfg_attr(feature = "serde", serde(default))]
    pub last_failure: Option<Cause<()>>,
}

/// A time that may be none, in seconds.
#[cfg(feature = "serde")]
mod seconds {
    use core::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs_f64()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        let refuse = |_| D::Error::custom("a time in seconds must not be negative, and not be too long");
        seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(refuse)).transpose()
    }
}
