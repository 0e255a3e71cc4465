//! What an administrator wants of a target.

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
