//! What a group remembers at a moment, for a status page.

use alloc::vec::Vec;
use core::time::Duration;

use crate::outcome::Cause;

/// What a group remembers at a moment: see [`Group::snapshot`](crate::Group::snapshot).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The index of the target where the next call begins.
    pub sticky: usize,
    /// Each target, in order.
    pub targets: Vec<TargetSnapshot>,
    /// How long until target 0 is probed; zero if that is due. `None` while it is sticky, or without failback.
    pub failback_in: Option<Duration>,
    /// How many probes failed in a row.
    pub failed_probes: u8,
    /// How many probes were begun.
    pub probes: u64,
}

/// What a group remembers of one target.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TargetSnapshot {
    /// How long it is still tried last; `None` if it is not.
    pub cooling: Option<Duration>,
    /// Its failures in a row that counted against its health. A connect failure counts as enough to cool down.
    pub strikes: u8,
    /// What happened when it failed last, if it ever did.
    pub last_failure: Option<Cause<()>>,
}
