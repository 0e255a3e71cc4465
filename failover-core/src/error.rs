//! What is refused, and how it is said.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Display};
use core::time::Duration;

use crate::near::nearest;

/// A setting that makes no sense, in one line: its key, its value, and what would be right; or a key that there is not, and
/// which one was likely meant.
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
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuildError {
    key: String,
    /// `None` if there is no such key, whatever its value is.
    value: Option<String>,
    expected: String,
}

impl BuildError {
    /// Refuses the `value` of the setting `key`, where one that is `expected` would be right.
    ///
    /// Of a value with an `@` only scheme, host and port are shown, as of a URL, since what is before may be a password. Control
    /// characters are escaped.
    pub fn new(key: impl Into<String>, value: impl Display, expected: impl Into<String>) -> Self {
        let value = value.to_string();
        let shown = if value.contains('@') { redact(&value) } else { value };
        Self { key: one_line(&key.into()), value: Some(one_line(&shown)), expected: expected.into() }
    }

    /// Refuses a key of the table `at`, which is empty for the outermost one, since only the `known` keys are read there.
    ///
    /// Its value is not shown, and neither is a key that looks like anything else than one.
    ///
    /// # Examples
    ///
    /// ```
    /// use failover_core::BuildError;
    ///
    /// let error = BuildError::unknown_key("late", "facto", &["factor", "floor"]);
    /// let told = "unknown key `late.facto`: did you mean `factor`? The keys here are factor, floor";
    /// assert_eq!(error.to_string(), told);
    /// assert!(error.is_unknown_key());
    /// ```
    #[must_use]
    pub fn unknown_key(at: &str, key: &str, known: &[&str]) -> Self {
        Self::unknown_key_for(at, key, known, nearest(key, known))
    }

    /// The same, with the key that was likely meant.
    pub(crate) fn unknown_key_for(at: &str, key: &str, known: &[&str], meant: Option<&str>) -> Self {
        let is_key = key.len() <= LONGEST_KEY && !key.contains(['@', '/']);
        let shown = if is_key { Cow::Owned(one_line(key)) } else { Cow::Borrowed("(not shown)") };
        let keys = known.join(", ");
        let expected = match meant {
            Some(meant) => format!("did you mean `{meant}`? The keys here are {keys}"),
            None => format!("the keys here are {keys}"),
        };
        Self { key: within(at, &shown), value: None, expected }
    }

    /// A key that somebody else has for a knob of ours.
    #[cfg(feature = "serde")]
    pub(crate) fn unknown_key_of(key: &str, ours: &str, theirs: &str) -> Self {
        Self { key: key.into(), value: None, expected: format!("did you mean `{ours}`? `{key}` is {theirs}") }
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

    /// Whether there is no such key, whatever its value is.
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        self.value.is_none()
    }

    /// The value that was refused; empty if there is no such key.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    /// What would have been right.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

impl Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, expected } = self;
        match value {
            Some(value) => write!(f, "{key} = {value}: expected {expected}"),
            None => write!(f, "unknown key `{key}`: {expected}"),
        }
    }
}

impl core::error::Error for BuildError {}

/// The key of an entry of a table, which is the outermost one if its own key is empty.
pub(crate) fn within(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_string() } else { format!("{table}.{key}") }
}

/// Scheme, host and port of what may not even be a URL.
pub(crate) fn redact(url: &str) -> String {
    // What is before the slashes may be user information or a path, too.
    let is_scheme = |&end: &usize| !url[..end].contains([':', '@', '/', '?', '#']);
    let (scheme, rest) = url.split_at(url.find("://").filter(is_scheme).map_or(0, |end| end + "://".len()));
    let (place, hidden) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if hidden.contains('@') {
        // The place may be a part of a password with a slash in it.
        return scheme.to_string();
    }
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    // What is no port may be a password, or the end of one, whose `@` is missing.
    let place = match place.split_once(':') {
        Some((host, port)) if !host.starts_with('[') && port.bytes().any(|byte| !byte.is_ascii_digit()) => {
            host
        }
        _ => place,
    };
    format!("{scheme}{place}")
}

fn one_line(text: &str) -> String {
    let escaped = |c: char| {
        let escaped = c.is_control().then(|| c.escape_default());
        let plain = escaped.is_none().then_some(c);
        escaped.into_iter().flatten().chain(plain)
    };
    text.chars().flat_map(escaped).collect()
}

pub(crate) fn positive(key: &str, value: Duration) -> Result<(), BuildError> {
    refuse(value.is_zero(), key, Seconds(value), "a time above zero")
}

/// Refuses a time that is not shorter than the one of another key.
#[cfg(feature = "serde")]
pub(crate) fn less_than(key: &str, value: Duration, bound: &str, most: Duration) -> Result<(), BuildError> {
    refuse(value >= most, key, Seconds(value), format_args!("less than {bound} = {}", Seconds(most)))
}

/// Refuses a time that is longer than the one of another key.
pub(crate) fn at_most(key: &str, value: Duration, bound: &str, most: Duration) -> Result<(), BuildError> {
    refuse(value > most, key, Seconds(value), format_args!("at most {bound} = {}", Seconds(most)))
}

pub(crate) fn at_least_one(key: &str, is_zero: bool) -> Result<(), BuildError> {
    refuse(is_zero, key, 0, "at least 1")
}

fn refuse(refused: bool, key: &str, value: impl Display, expected: impl Display) -> Result<(), BuildError> {
    if refused { Err(BuildError::new(key, value, format!("{expected}"))) } else { Ok(()) }
}

/// A duration as a configuration writes it.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// In bytes. What is longer may be anything.
const LONGEST_KEY: usize = 64;
