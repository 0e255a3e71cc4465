//! Why a response's body cannot be read.

use std::fmt;

use crate::ahead::LetGo;
use crate::error::{BoxError, innermost};
use crate::idle::StoodStill;

/// Why a response's body cannot be read, with the cause in its words and as its source.
#[derive(Debug)]
pub struct BodyError {
    problem: Problem,
    source: BoxError,
}

#[derive(Clone, Copy, Debug)]
enum Problem {
    BrokeOff,
    NoText,
    #[cfg(feature = "json")]
    NoJson,
}

impl BodyError {
    pub(crate) fn broke_off(source: BoxError) -> Self {
        Self { problem: Problem::BrokeOff, source }
    }

    pub(crate) fn no_text(error: std::string::FromUtf8Error) -> Self {
        Self { problem: Problem::NoText, source: error.into() }
    }

    #[cfg(feature = "json")]
    pub(crate) fn no_json(error: serde_json::Error) -> Self {
        Self { problem: Problem::NoJson, source: error.into() }
    }

    /// Whether it broke off by what its reader did, which its own words tell.
    fn is_ours(&self) -> bool {
        self.source.is::<StoodStill>() || self.source.is::<LetGo>()
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.problem {
            Problem::BrokeOff if self.is_ours() => return self.source.fmt(f),
            Problem::BrokeOff => "the answer's body broke off",
            Problem::NoText => "the answer's body is no UTF-8",
            #[cfg(feature = "json")]
            Problem::NoJson => "the answer's body is no JSON",
        })?;
        innermost(&*self.source).map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}
