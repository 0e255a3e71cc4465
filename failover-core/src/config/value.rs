//! A value of a configuration before anybody knows what it is, and what it is read as.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::codes::{InvalidCodes, StatusCodes};
use crate::error::{BuildError, redact};

/// Any value, so that what is wrong with it can be said together with its key.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Table(BTreeMap<String, Value>),
    Null,
}

impl Value {
    pub(crate) fn refuse(&self, key: &str, expected: &str) -> BuildError {
        BuildError::new(key, self, expected)
    }

    pub(crate) fn is_text(&self, expected: &str) -> bool {
        matches!(self, Self::Text(text) if text == expected)
    }

    /// Whether an entry of this table is set.
    pub(crate) fn has(&self, part: &str) -> bool {
        matches!(self, Self::Table(table) if table.contains_key(part))
    }

    /// What is read under a key, unless it is off.
    pub(crate) fn unless_off<T>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, BuildError>,
    ) -> Result<Option<T>, BuildError> {
        match self {
            Self::Bool(false) => Ok(None),
            Self::Text(text) if text == "off" => Ok(None),
            _ => read(key).map(Some).map_err(|error| Self::or_else(key, error, "\"off\"")),
        }
    }

    /// The same for a key of which older files say so by `"none"` or `"never"`, too.
    pub(crate) fn unless_none<T>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, BuildError>,
    ) -> Result<Option<T>, BuildError> {
        if self.is_text("none") || self.is_text("never") { Ok(None) } else { self.unless_off(key, read) }
    }

    /// The same refusal of the value of a key, which may be something else as well.
    fn or_else(key: &str, error: BuildError, other: &str) -> BuildError {
        let is_about_this = error.key() == key && !error.is_unknown_key();
        if !is_about_this {
            return error;
        }
        BuildError::new(key, error.value(), format!("{}, or {other}", error.expected()))
    }

    pub(crate) fn word(&self, key: &str, words: &[&'static str]) -> Result<&'static str, BuildError> {
        let word = words.iter().find(|word| self.is_text(word));
        word.copied().ok_or_else(|| self.refuse(key, &one_of(words)))
    }

    pub(crate) fn text(&self, key: &str, expected: &str) -> Result<String, BuildError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            _ => Err(self.refuse(key, expected)),
        }
    }

    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, BuildError> {
        let expected = "a list of names such as [\"websocket\"]";
        match self {
            Self::List(list) => list.iter().map(|name| name.text(key, expected)).collect(),
            _ => Err(self.refuse(key, expected)),
        }
    }

    pub(crate) fn switch(&self, key: &str) -> Result<bool, BuildError> {
        match self {
            Self::Bool(on) => Ok(*on),
            _ => self.word(key, &["on", "off"]).map(|word| word == "on"),
        }
    }

    pub(crate) fn duration(&self, key: &str) -> Result<Duration, BuildError> {
        match self {
            Self::Text(text) => parse_duration(text).map_err(|error| error.at(key)),
            _ => Err(self.refuse(key, DURATION)),
        }
    }

    /// A duration, or a number of such units.
    pub(crate) fn duration_or(&self, key: &str, unit: Duration) -> Result<Duration, BuildError> {
        let duration = match *self {
            Self::Integer(count) => u32::try_from(count).ok().and_then(|count| unit.checked_mul(count)),
            Self::Float(count) => Duration::try_from_secs_f64(count * unit.as_secs_f64()).ok(),
            _ => return self.duration(key),
        };
        duration.ok_or_else(|| self.refuse(key, "a time that is not negative and not too long"))
    }

    /// The same, which may be off.
    pub(crate) fn pause(&self, key: &str, unit: Duration) -> Result<Duration, BuildError> {
        Ok(self.unless_off(key, |key| self.duration_or(key, unit))?.unwrap_or_default())
    }

    pub(crate) fn integer<N: TryFrom<i64> + Bounded>(&self, key: &str) -> Result<N, BuildError> {
        let number = match self {
            Self::Integer(number) => N::try_from(*number).ok(),
            _ => None,
        };
        number.ok_or_else(|| self.refuse(key, &format!("a whole number from 0 to {}", N::LARGEST)))
    }

    pub(crate) fn size(&self, key: &str) -> Result<usize, BuildError> {
        let size = match self {
            Self::Integer(number) => usize::try_from(*number).ok(),
            Self::Text(text) => parse_size(text).ok().and_then(|size| size.try_into().ok()),
            _ => None,
        };
        size.ok_or_else(|| self.refuse(key, SIZE))
    }

    pub(crate) fn codes(&self, key: &str) -> Result<StatusCodes, BuildError> {
        let expected = "status codes such as 503, \"501-504\" or \"5xx, !501\"";
        let list = match self {
            Self::List(parts) => parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            _ => self.to_string(),
        };
        list.parse().map_err(|error: InvalidCodes| BuildError::new(key, error.part(), expected))
    }

    /// Reads each entry of a table that may have these keys; `true` or `"on"` stand for the empty table.
    pub(crate) fn entries(
        &self,
        key: &str,
        keys: &[&str],
        mut read: impl FnMut(&str, &str, &Self) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        match self {
            Self::Bool(true) => Ok(()),
            Self::Text(text) if text == "on" => Ok(()),
            Self::Table(table) => table.iter().try_for_each(|(part, value)| {
                if keys.contains(&part.as_str()) {
                    read(part, &format!("{key}.{part}"), value)
                } else {
                    Err(BuildError::unknown_key(key, part, keys))
                }
            }),
            _ => Err(self.refuse(key, &table_of(keys))),
        }
    }

    /// The same, where what is no table stands for the entry `short` alone.
    pub(crate) fn entries_or(
        &self,
        short: &str,
        key: &str,
        keys: &[&str],
        mut read: impl FnMut(&str, &str, &Self) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        match self {
            Self::Bool(_) | Self::Table(_) => self.entries(key, keys, read),
            Self::Text(text) if text == "on" => Ok(()),
            _ => read(short, key, self).map_err(|error| Self::or_else(key, error, &table_of(keys))),
        }
    }
}

/// Reads a duration: numbers with the units ns, us, ms, s, m, h and days, or longer ones by their names. `M` is none, since it
/// is meant for a minute and would be a month.
///
/// # Errors
///
/// It is none, or longer than there can be.
///
/// # Examples
///
/// ```
/// use failover_core::parse_duration;
/// use std::time::Duration;
///
/// assert_eq!(parse_duration("1m 30s")?, Duration::from_secs(90));
/// assert!(parse_duration("1M").is_err());
/// # Ok::<(), failover_core::BuildError>(())
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, BuildError> {
    let duration = humantime::parse_duration(text).ok().filter(|_| !text.contains('M'));
    duration.ok_or_else(|| BuildError::new("duration", Value::Text(text.to_owned()), DURATION))
}

/// Reads a size in bytes: a number, with or without one of the units B, kB, MB, GB, KiB, MiB and GiB, in letters of any case.
///
/// # Errors
///
/// It is none, or more than there can be.
///
/// # Examples
///
/// ```
/// use failover_core::parse_size;
///
/// assert_eq!((parse_size("64KiB")?, parse_size("1 MB")?, parse_size("512")?), (65_536, 1_000_000, 512));
/// # Ok::<(), failover_core::BuildError>(())
/// ```
pub fn parse_size(text: &str) -> Result<u64, BuildError> {
    let trimmed = text.trim();
    let (number, unit) =
        trimmed.split_at(trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len()));
    let unit = unit.trim_start();
    let bytes = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, bytes)| bytes);
    let size = number.parse::<u64>().ok().zip(bytes).and_then(|(number, bytes)| number.checked_mul(*bytes));
    size.ok_or_else(|| BuildError::new("size", Value::Text(text.to_owned()), SIZE))
}

/// As it is shown where it is refused, what may be a URL at whatever key `redacted`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(on) => on.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Text(text) if text.contains("://") || text.contains('@') => f.write_str(&redact(text)),
            Self::Text(text) => f.write_str(text),
            Self::List(list) => {
                let list = list.iter().map(ToString::to_string).collect::<Vec<_>>();
                write!(f, "[{}]", list.join(", "))
            }
            Self::Table(_) => f.write_str("{..}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// The integers that a configuration holds.
pub(crate) trait Bounded {
    const LARGEST: i64;
}

impl Bounded for u8 {
    const LARGEST: i64 = u8::MAX as i64;
}

impl Bounded for u16 {
    const LARGEST: i64 = u16::MAX as i64;
}

impl Bounded for u32 {
    const LARGEST: i64 = u32::MAX as i64;
}

impl Bounded for u64 {
    const LARGEST: i64 = i64::MAX;
}

impl Bounded for usize {
    const LARGEST: i64 = i64::MAX;
}

/// What is expected where one of these words is.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [word] => (*word).to_owned(),
        _ => format!("one of {}", words.join(", ")),
    }
}

fn table_of(keys: &[&str]) -> String {
    format!("a table of {}", keys.join(", "))
}

const DURATION: &str = "a duration such as \"5s\" or \"500ms\" (units: ns, us, ms, s, m, h, days)";

const SIZE: &str =
    "a size such as \"64KiB\", \"1MB\" or a number of bytes (units: B, kB, MB, GB, KiB, MiB, GiB)";

const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
