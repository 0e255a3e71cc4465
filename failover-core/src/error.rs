//! What is refused, and how it is said.

use alloc::string::{String, ToString};
use core::fmt::{self, Display};
use core::time::Duration;

/// A setting that makes no sense: its key, its value, and what would be right, in one line.
///
/// # Examples
///
/// ```
/// use failover_core::{Group, Policy};
///
/// let error = Group::new(["a"], Policy::default().rounds(0)).unwrap_err();
/// assert_eq!(error.to_string(), "rounds = 0: expected at least 1");
/// assert_eq!((error.key(), error.value()), ("rounds", "0"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{key} = {value}: expected {expected}")]
pub struct BuildError {
    key: String,
    value: String,
    expected: String,
}

impl BuildError {
    /// Refuses the `value` of the setting `key`, where one that is `expected` would be right.
    ///
    /// The value is shown as it is, control characters escaped: redact it before it comes here.
    pub fn new(key: impl Into<String>, value: impl Display, expected: impl Into<String>) -> Self {
        let value = value.to_string().chars().flat_map(one_line).collect();
        Self { key: key.into(), value, expected: expected.into() }
    }

    /// The same refusal under another key, for a value that was found at a more exact place.
    #[must_use]
    pub fn at(self, key: impl Into<String>) -> Self {
        Self { key: key.into(), ..self }
    }

    /// The setting that was refused, by its name in a configuration.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value that was refused.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What would have been right.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

fn one_line(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let plain = escaped.is_none().then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

pub(crate) fn positive(key: &str, value: Duration) -> Result<(), BuildError> {
    refuse(value.is_zero(), key, Seconds(value), "a time above zero")
}

/// Refuses a time that is longer than the one of another key.
pub(crate) fn at_most(key: &str, value: Duration, bound: &str, most: Duration) -> Result<(), BuildError> {
    refuse(value > most, key, Seconds(value), format_args!("at most {bound} = {}", Seconds(most)))
}

pub(crate) fn at_least_one(key: &str, is_zero: bool) -> Result<(), BuildError> {
    refuse(is_zero, key, 0, "at least 1")
}

fn refuse(refused: bool, key: &str, value: impl Display, expected: impl Display) -> Result<(), BuildError> {
    if refused { Err(BuildError::new(key, value, alloc::format!("{expected}"))) } else { Ok(()) }
}

/// A duration as a configuration writes it.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
