//! What an administrator wants of a target.

use core::str::FromStr;

use crate::error::BuildError;

/// Whether an administrator wants a target used.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AdminState {
    /// It is used in its place.
    #[default]
    Ready,
    /// It is tried after all others, and not probed.
    Drain,
    /// It is never tried, and no call waits for it to be.
    Maintenance,
}

impl AdminState {
    /// The state's name in logs, configurations and JSON: `ready`, `drain` or `maintenance`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
        }
    }

    pub(crate) const fn word(self) -> u16 {
        match self {
            Self::Ready => 0,
            Self::Drain => 1,
            Self::Maintenance => 2,
        }
    }

    pub(crate) const fn of_word(word: u16) -> Self {
        match word {
            0 => Self::Ready,
            1 => Self::Drain,
            _ => Self::Maintenance,
        }
    }
}

impl FromStr for AdminState {
    type Err = BuildError;

    /// Reads a state by its name.
    fn from_str(name: &str) -> Result<Self, BuildError> {
        let mut states = [Self::Ready, Self::Drain, Self::Maintenance].into_iter();
        let refuse = || BuildError::new("state", name, "one of ready, drain, maintenance");
        states.find(|state| state.as_str() == name).ok_or_else(refuse)
    }
}
