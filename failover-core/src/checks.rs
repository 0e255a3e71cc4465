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
/// are down the order is as if none were. A good check clears nothing that calls booked, and calls count as no check. Where
/// there are checks, a target is probed only after `rise` good ones.
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
    /// How often each target is asked; up to a tenth later, so that they are not all asked at once. By default 5 s.
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
    /// There were too few.
    Unknown,
    /// It is up.
    Up,
    /// It is down, and sorts after those that are up.
    Down,
    /// It has answered with 404 or 405 from its first answer on: the path is a mistake, and says nothing.
    NoSuchPath,
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
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    is_down: bool,
    /// There was an answer by which the path exists.
    is_known: bool,
    has_no_such_path: bool,
    /// In a row.
    good: u8,
    /// In a row.
    bad: u8,
}

impl Record {
    fn heard(self, heard: Heard, rule: &Checks) -> Self {
        if heard == Heard::NoSuchPath && !self.is_known {
            return Self { has_no_such_path: true, ..Self::default() };
        }
        let is_known = self.is_known || heard != Heard::Nothing;
        let known = Self { is_known, has_no_such_path: self.has_no_such_path && !is_known, ..self };
        if heard == Heard::Good {
            let good = (self.good + 1).min(MOST);
            Self { good, bad: 0, is_down: self.is_down && good < rule.rise, ..known }
        } else {
            let bad = (self.bad + 1).min(MOST);
            Self { good: 0, bad, is_down: self.is_down || bad >= rule.fall, ..known }
        }
    }

    fn unpack(word: u16) -> Self {
        let bits = |shift: u32, bits: u16| word >> shift & bits;
        let count = |shift| bits(shift, u16::from(MOST)).to_le_bytes()[0];
        Self {
            is_down: bits(0, 1) == 1,
            is_known: bits(1, 1) == 1,
            has_no_such_path: bits(2, 1) == 1,
            good: count(3),
            bad: count(8),
        }
    }

    fn pack(self) -> u16 {
        u16::from(self.is_down)
            | u16::from(self.is_known) << 1
            | u16::from(self.has_no_such_path) << 2
            | u16::from(self.good) << 3
            | u16::from(self.bad) << 8
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
        self.0.load(Ordering::Relaxed) & 1 == 1
    }

    /// Whether there were enough good checks for a probe, or they say nothing, or nobody runs them.
    pub(crate) fn may_be_probed(&self, rule: &Checks) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        let record = Record::unpack(word);
        word == 0 || record.has_no_such_path || record.good >= rule.rise
    }

    pub(crate) fn state(&self, rule: &Checks) -> CheckState {
        match Record::unpack(self.0.load(Ordering::Relaxed)) {
            Record { is_down: true, .. } => CheckState::Down,
            Record { has_no_such_path: true, .. } => CheckState::NoSuchPath,
            Record { good, .. } if good >= rule.rise => CheckState::Up,
            _ => CheckState::Unknown,
        }
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
