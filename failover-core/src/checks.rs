//! Checks: requests of the group's own that ask each target how it is, and what their answers change.

use alloc::string::String;
use core::time::Duration;

use http::uri::PathAndQuery;

use crate::codes::StatusCodes;
use crate::error::{BuildError, at_least_one, positive};
use crate::sync::{AtomicU16, Ordering};

/// How targets are checked.
///
/// What a check says *only reorders* (`checks_only_reorder`): a target that is down sorts after those that are up, and if all
/// are down the order is as if none were. A good check clears no strikes of calls, and calls count as no check. Where
/// there are checks, a target is probed only after `rise` good ones; `rise` in a row since calls left it make a probe due
/// at once, unless its failback clock was doubled (`flap`).
///
/// # Examples
///
/// ```
/// use failover_core::{Checks, Policy};
/// use std::time::Duration;
///
/// let checks = Checks { every: Duration::from_secs(1), ..Checks::at("/healthz") };
/// let policy = Policy::default().checks(checks);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checks {
    /// What is asked for, with a GET: a path that begins with a slash.
    pub path: String,
    /// How often each target is asked; up to a tenth later, so that they are not all asked at once, unless the policy's `jitter` is off. By
    /// default 5 s.
    pub every: Duration,
    /// How long a check waits for the head of its answer. By default 2 s.
    pub timeout: Duration,
    /// After how many bad checks in a row a target is down, at most 31. By default 3.
    pub fall: u8,
    /// After how many good checks in a row it is up again, at most 31. By default 2.
    pub rise: u8,
    /// The statuses that are good. By default 200 to 299.
    pub statuses: StatusCodes,
}

impl Checks {
    /// Checks by a GET of this path.
    pub fn at(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            every: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            fall: 3,
            rise: 2,
            statuses: StatusCodes::range(200, 299).unwrap_or_default(),
        }
    }

    pub(crate) fn refuse(&self) -> Result<(), BuildError> {
        let is_sent_as_it_is = self.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let is_path = is_sent_as_it_is && PathAndQuery::try_from(self.path.as_str()).is_ok();
        if !self.path.starts_with('/') || !is_path {
            return Err(BuildError::new("checks.path", &self.path, "a path such as /healthz"));
        }
        positive("checks.every", self.every)?;
        positive("checks.timeout", self.timeout)?;
        for (key, count) in [("checks.fall", self.fall), ("checks.rise", self.rise)] {
            at_least_one(key, count == 0)?;
            if count > MOST {
                return Err(BuildError::new(key, count, alloc::format!("at most {MOST}")));
            }
        }
        Ok(())
    }
}

/// What the checks of a target come to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CheckState {
    /// There were too few, so far.
    Unknown,
    /// It is up: there were `rise` good ones in a row, and since then never `fall` bad ones in a row.
    Up,
    /// It is down, and sorts after those that are up: there were `fall` bad ones in a row, and since then never `rise`
    /// good ones in a row.
    Down,
    /// It has answered with 404 or 405 from its first answer on: the path is a mistake, and says nothing.
    NoSuchPath,
}

impl CheckState {
    /// The state's name in logs and JSON: `unknown`, `up`, `down` or `no_such_path`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
            Self::NoSuchPath => "no_such_path",
        }
    }
}

/// What a check told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    Good,
    /// An answer that is none of the good ones.
    Bad,
    /// No answer, which is as bad, but says nothing about the path.
    Nothing,
    NoSuchPath,
}

/// What the checks of a target came to so far.
#[derive(Clone, Copy, Debug)]
struct Record {
    state: CheckState,
    /// There was an answer by which the path exists.
    is_known: bool,
    /// In a row.
    good: u8,
    /// In a row.
    bad: u8,
}

impl Record {
    fn heard(self, heard: Heard, rule: &Checks) -> Self {
        if heard == Heard::NoSuchPath && !self.is_known {
            return Self { state: CheckState::NoSuchPath, is_known: false, good: 0, bad: 0 };
        }
        let (good, bad) = match heard {
            Heard::Good => ((self.good + 1).min(MOST), 0),
            Heard::Bad | Heard::Nothing | Heard::NoSuchPath => (0, (self.bad + 1).min(MOST)),
        };
        let is_known = self.is_known || heard != Heard::Nothing;
        let state = match self.state {
            _ if good >= rule.rise => CheckState::Up,
            _ if bad >= rule.fall => CheckState::Down,
            CheckState::NoSuchPath if is_known => CheckState::Unknown,
            state => state,
        };
        Self { state, is_known, good, bad }
    }

    fn unpack(word: u16) -> Self {
        let count = |shift: u16| (word >> shift & u16::from(MOST)).to_le_bytes()[0];
        let state = match word & STATE {
            0 => CheckState::Unknown,
            1 => CheckState::Up,
            DOWN => CheckState::Down,
            _ => CheckState::NoSuchPath,
        };
        Self { state, is_known: word >> 2 & 1 == 1, good: count(3), bad: count(8) }
    }

    fn pack(self) -> u16 {
        let state = match self.state {
            CheckState::Unknown => 0,
            CheckState::Up => 1,
            CheckState::Down => DOWN,
            CheckState::NoSuchPath => 3,
        };
        state | u16::from(self.is_known) << 2 | u16::from(self.good) << 3 | u16::from(self.bad) << 8
    }
}

/// The record of a target that calls and its checker share.
#[derive(Debug)]
pub(crate) struct SharedRecord(AtomicU16);

impl SharedRecord {
    pub(crate) fn new() -> Self {
        Self(AtomicU16::new(0))
    }

    pub(crate) fn copied(&self) -> Self {
        Self(AtomicU16::new(self.0.load(Ordering::Relaxed)))
    }

    #[inline]
    pub(crate) fn is_down(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STATE == DOWN
    }

    /// Whether there were enough good checks for a probe, or they say nothing, or nobody runs them.
    pub(crate) fn may_be_probed(&self, rule: &Checks) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        let record = Record::unpack(word);
        word == 0 || record.state == CheckState::NoSuchPath || record.good >= rule.rise
    }

    pub(crate) fn state(&self) -> CheckState {
        Record::unpack(self.0.load(Ordering::Relaxed)).state
    }

    pub(crate) fn heard(&self, heard: Heard, rule: &Checks) {
        // Without a condition the update cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            Some(Record::unpack(word).heard(heard, rule).pack())
        });
    }
}

/// The largest count of checks in a row that is told apart.
const MOST: u8 = 31;

/// The bits of the state, and those of `CheckState::Down`.
const STATE: u16 = 3;
const DOWN: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_keeps_each_part_of_a_record_for_itself() {
        let mut seen = alloc::collections::BTreeSet::new();
        for state in [CheckState::Unknown, CheckState::Up, CheckState::Down, CheckState::NoSuchPath] {
            for is_known in [false, true] {
                for good in 0..=MOST {
                    for bad in 0..=MOST {
                        let word = Record { state, is_known, good, bad }.pack();
                        let read = Record::unpack(word);
                        let parts = (read.state, read.is_known, read.good, read.bad);
                        assert_eq!(parts, (state, is_known, good, bad));
                        let record = SharedRecord(AtomicU16::new(word));
                        assert_eq!(record.is_down(), state == CheckState::Down);
                        assert!(seen.insert(word), "two records in one word");
                    }
                }
            }
        }
    }
}
