//! What is wrong in the configuration file, and where it stands.

use std::cmp::Reverse;
use std::fmt::{self, Display, Formatter};

use failover_tokio::BuildError;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a key of the file.
#[derive(Debug)]
pub(crate) struct Mistake {
    key: String,
    /// What is shown of it.
    value: Option<String>,
    kind: Kind,
    told: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Wrong,
    Missing,
    Unknown,
}

/// What a part of a string of the file stands for.
#[derive(Debug)]
pub(crate) struct Revealed {
    pub(crate) key: String,
    /// As it is in the file.
    pub(crate) text: String,
    /// The secret.
    pub(crate) content: String,
}

impl Mistake {
    /// Refuses the value of a key without showing it.
    pub(crate) fn new(key: impl Into<String>, told: impl Into<String>) -> Self {
        Self { key: key.into(), value: None, kind: Kind::Wrong, told: told.into() }
    }

    /// Refuses a value of a key.
    pub(crate) fn of(key: impl Into<String>, value: impl Into<String>, told: impl Into<String>) -> Self {
        Self { value: Some(value.into()), ..Self::new(key, told) }
    }

    /// Refuses that a key is missing.
    pub(crate) fn missing(key: impl Into<String>, told: impl Into<String>) -> Self {
        Self { kind: Kind::Missing, ..Self::new(key, told) }
    }

    /// Refuses a key, since there is none of this name.
    pub(crate) fn unknown(key: impl Into<String>, told: impl Into<String>) -> Self {
        Self { kind: Kind::Unknown, ..Self::new(key, told) }
    }

    /// The same, where something else would be right as well.
    pub(crate) fn or(self, other: &str) -> Self {
        Self { told: format!("{}, or {other}", self.told), ..self }
    }

    /// The same, with the text of the file in place of the secrets that it stands for. A value in which one of its own cannot be
    /// found is not shown: a part of it may be there.
    pub(crate) fn without(self, revealed: &[Revealed]) -> Self {
        let is_near =
            |secret: &&Revealed| is_within(&secret.key, &self.key) || is_within(&self.key, &secret.key);
        let mut secrets: Vec<_> = revealed.iter().filter(|secret| !secret.content.is_empty()).collect();
        // One may be a part of another one.
        secrets.sort_by_key(|secret| Reverse(secret.content.len()));
        let hide = |text: String, secret: &&Revealed| text.replace(&secret.content, &secret.text);
        let hide_own =
            |text: String, secret: &Revealed| text.contains(&secret.content).then(|| hide(text, &secret));
        let value = self.value.clone().map(|value| {
            let hidden = secrets.iter().copied().filter(is_near).try_fold(value, hide_own);
            hidden.unwrap_or_else(|| "(not shown)".to_owned())
        });
        Self { value, told: secrets.iter().fold(self.told.clone(), hide), ..self }
    }

    /// Where it stands in a file, as `LINE:COLUMN`, or where the table stands in which it is missing.
    pub(crate) fn place(&self, table: &DeTable<'_>, text: &str) -> Option<String> {
        Some(line_and_column(text, in_table(table, &self.key, self.kind == Kind::Unknown)?))
    }
}

impl From<BuildError> for Mistake {
    fn from(error: BuildError) -> Self {
        if error.is_unknown_key() {
            return Self::unknown(error.key(), error.expected());
        }
        Self::of(error.key(), error.value(), format!("expected {}", error.expected()))
    }
}

impl Display for Mistake {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { key, value, kind, told } = self;
        match (kind, value) {
            (Kind::Unknown, _) => write!(f, "unknown key `{key}`: {told}"),
            (Kind::Missing, _) => write!(f, "{key} is missing: {told}"),
            (Kind::Wrong, Some(value)) => write!(f, "{key} = {value}: {told}"),
            (Kind::Wrong, None) => write!(f, "{key}: {told}"),
        }
    }
}

/// A place in a file, counted from 1 in lines and characters.
pub(crate) fn line_and_column(text: &str, place: usize) -> String {
    let before = text.get(..place).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    format!("{}:{}", before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Where the value of a key stands, the key itself, or at least what is around it.
fn in_table(table: &DeTable<'_>, key: &str, is_of_key: bool) -> Option<usize> {
    let is_this = |name: &str| is_within(key, name);
    let found =
        table.iter().filter(|(name, _)| is_this(name.get_ref())).max_by_key(|(name, _)| name.get_ref().len());
    let (name, value) = found?;
    let rest = &key[name.get_ref().len()..];
    if rest.is_empty() && is_of_key {
        return Some(name.span().start);
    }
    Some(in_value(value, rest, is_of_key))
}

fn in_value(value: &Spanned<DeValue<'_>>, rest: &str, is_of_key: bool) -> usize {
    let found = match (value.get_ref(), rest.strip_prefix('.'), rest.strip_prefix('[')) {
        (DeValue::Table(table), Some(key), _) => in_table(table, key, is_of_key),
        (DeValue::Array(list), _, Some(item)) => item.split_once(']').and_then(|(place, rest)| {
            let item = list.get(place.parse::<usize>().ok()?)?;
            Some(in_value(item, rest, is_of_key))
        }),
        _ => None,
    };
    found.unwrap_or(value.span().start)
}

/// Whether a key is another one, or stands below it.
fn is_within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
