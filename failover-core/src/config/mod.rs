//! The serde face of groups and policies: one configuration, in TOML, JSON or anything else that serde reads.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use serde::de::{Deserialize, Deserializer, Error};

use crate::budget::Budget;
use crate::codes::StatusCodes;
use crate::error::BuildError;
use crate::evidence::Replay;
use crate::failback::Failback;
use crate::group::Group;
use crate::health::CoolDown;
use crate::pause::Backoff;
use crate::policy::Policy;
use crate::wire::Target;
use crate::wire::target::redact;

/// The configuration of a group: its targets and its policy.
///
/// The keys are `targets`, `preset` (`"default"` or `"ballerina"`), and the knobs of [`Policy`] by name; what is not
/// set is as in the preset. Durations are written as `"5s"` or `"500ms"`, codes as numbers or as [`StatusCodes`] are
/// written, sizes in bytes or as `"64KiB"`. `deadline`, `failback`, `cool_down`, `retry_after` and `budget` can be
/// `"off"`. A target is a URL or a table of `url` and `headers`.
///
/// The keys of Ballerina's client are read as well, with its meaning: `timeoutInMillis`, `intervalInMillis` and
/// `failoverCodes`, or `timeout` and `interval` in seconds. Where one of them is used, the preset is `"ballerina"`
/// unless another is named.
///
/// An unknown key, and a value that makes no sense, is refused with an error that names the key, the value and what
/// would be right.
///
/// # Examples
///
/// ```
/// let config: failover_core::Config = toml::from_str(
///     r#"
///     failover_codes = ["5xx", 429]
///     attempt_timeout = "2s"
///     cool_down = { strikes = 5 }
///     targets = [
///         { url = "https://eu.example/v1", headers = { x-api-key = "s3cret" } },
///         "https://us.example/v1",
///     ]
///     "#,
/// )?;
/// let group = config.group()?;
/// assert_eq!(group.targets()[1].to_string(), "https://us.example");
///
/// let error = toml::from_str::<failover_core::Config>("attempt_timeout = '2 parsecs'").unwrap_err();
/// assert_eq!(error.message(), "attempt_timeout = 2 parsecs: expected a duration such as \"5s\" or \"500ms\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The targets in order.
    pub targets: Vec<Target>,
    /// The policy.
    pub policy: Policy,
    /// What the policy is made from.
    pub preset: Preset,
}

/// A policy that a configuration can start from, by the key `preset`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Preset {
    /// [`Policy::default`].
    #[default]
    Default,
    /// [`Policy::ballerina`]. Whoever tells of a call that stopped may do so as [`Stopped::ballerina`] does.
    ///
    /// [`Stopped::ballerina`]: crate::Stopped::ballerina
    Ballerina,
}

impl Preset {
    fn policy(self) -> Policy {
        match self {
            Self::Default => Policy::default(),
            Self::Ballerina => Policy::ballerina(),
        }
    }
}

impl Config {
    /// The group that is configured.
    ///
    /// # Errors
    ///
    /// As [`Group::new`].
    pub fn group(self) -> Result<Group<Target>, BuildError> {
        Group::new(self.targets, self.policy)
    }

    fn read(table: &Table) -> Result<Self, BuildError> {
        let ballerina = table.keys().any(|key| BALLERINA.contains(&key.as_str()));
        let preset = match table.get("preset") {
            Some(preset) => match preset.word("preset", &["ballerina", "default"])? {
                "ballerina" => Preset::Ballerina,
                _ => Preset::Default,
            },
            None if ballerina => Preset::Ballerina,
            None => Preset::Default,
        };
        let mut config = Self { targets: Vec::new(), policy: preset.policy(), preset };
        for (key, value) in table {
            let same = SYNONYMS.iter().find(|keys| keys.contains(&key.as_str())).copied().unwrap_or_default();
            if same.iter().any(|other| other != key && table.contains_key(*other)) {
                return Err(value.refuse(key, &format!("only {}", one_of(same))));
            }
            config.set(key, value)?;
        }
        config.policy.check()?;
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), BuildError> {
        let policy = &mut self.policy;
        match key {
            "preset" => {}
            "targets" => self.targets = value.targets(key)?,
            "failover_codes" | "failoverCodes" => policy.failover_codes = value.codes(key)?,
            "not_processed" if value.is_text("all") => policy.not_processed = None,
            "not_processed" => policy.not_processed = Some(value.codes(key)?),
            "replay" => {
                policy.replay = match value.word(key, &["auto", "always", "never"])? {
                    "always" => Replay::Always,
                    "never" => Replay::Never,
                    _ => Replay::Auto,
                };
            }
            "attempt_timeout" => policy.attempt_timeout = value.duration(key)?,
            "timeout" => policy.attempt_timeout = value.duration_or(key, Duration::from_secs(1))?,
            "timeoutInMillis" => policy.attempt_timeout = value.duration_or(key, Duration::from_millis(1))?,
            "interval" => policy.interval = value.duration_or(key, Duration::from_secs(1))?,
            "intervalInMillis" => policy.interval = value.duration_or(key, Duration::from_millis(1))?,
            "deadline" => policy.deadline = value.unless_off(|| value.duration(key))?,
            "rounds" => policy.rounds = value.integer(key)?,
            "backoff" => policy.backoff = value.backoff(key)?,
            "max_attempts" => policy.max_attempts = Some(value.integer(key)?),
            "free_repeat" => policy.free_repeat = value.switch(key)?,
            "replay_buffer" => policy.replay_buffer = value.size(key)?,
            "failback" => policy.failback = value.unless_off(|| value.failback(key))?,
            "cool_down" => policy.cool_down = value.unless_off(|| value.cool_down(key))?,
            "retry_after" => policy.retry_after = value.unless_off(|| value.duration(key))?,
            "budget" => policy.budget = value.unless_off(|| value.budget(key))?,
            "seed" => policy.seed = value.integer(key)?,
            _ => return Err(value.refuse(key, &one_of(KEYS))),
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        Self::read(&table).map_err(D::Error::custom)
    }
}

type Table = BTreeMap<String, Value>;

/// Any value, so that what is wrong with it can be said together with its key.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Value {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Table(Table),
    Null(()),
}

impl Value {
    fn refuse(&self, key: &str, expected: &str) -> BuildError {
        BuildError::new(key, self, expected)
    }

    fn is_text(&self, expected: &str) -> bool {
        matches!(self, Self::Text(text) if text == expected)
    }

    fn unless_off<T>(&self, read: impl FnOnce() -> Result<T, BuildError>) -> Result<Option<T>, BuildError> {
        match self {
            Self::Bool(false) => Ok(None),
            Self::Text(text) if matches!(text.as_str(), "off" | "none" | "never") => Ok(None),
            _ => read().map(Some),
        }
    }

    fn word(&self, key: &str, words: &[&'static str]) -> Result<&'static str, BuildError> {
        let word = words.iter().find(|word| self.is_text(word));
        word.copied().ok_or_else(|| self.refuse(key, &one_of(words)))
    }

    fn switch(&self, key: &str) -> Result<bool, BuildError> {
        match self {
            Self::Bool(on) => Ok(*on),
            _ => self.word(key, &["on", "off"]).map(|word| word == "on"),
        }
    }

    fn duration(&self, key: &str) -> Result<Duration, BuildError> {
        let refuse = || self.refuse(key, "a duration such as \"5s\" or \"500ms\"");
        match self {
            Self::Text(text) => humantime::parse_duration(text).map_err(|_| refuse()),
            _ => Err(refuse()),
        }
    }

    /// A duration, or a number of such units.
    fn duration_or(&self, key: &str, unit: Duration) -> Result<Duration, BuildError> {
        let duration = match *self {
            Self::Integer(count) => u32::try_from(count).ok().and_then(|count| unit.checked_mul(count)),
            Self::Float(count) => Duration::try_from_secs_f64(count * unit.as_secs_f64()).ok(),
            _ => return self.duration(key),
        };
        duration.ok_or_else(|| self.refuse(key, "a time that is not negative and not too long"))
    }

    fn integer<N: TryFrom<i64> + Bounded>(&self, key: &str) -> Result<N, BuildError> {
        let number = match self {
            Self::Integer(number) => N::try_from(*number).ok(),
            _ => None,
        };
        number.ok_or_else(|| self.refuse(key, &format!("a whole number from 0 to {}", N::LARGEST)))
    }

    fn size(&self, key: &str) -> Result<usize, BuildError> {
        let refuse = || self.refuse(key, "a number of bytes, or a size such as \"64KiB\" or \"8MiB\"");
        let Self::Text(text) = self else { return self.integer(key).map_err(|_| refuse()) };
        let (number, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
            (Some(number), _) => (number, 1 << 10),
            (_, Some(number)) => (number, 1 << 20),
            _ => (text.as_str(), 1),
        };
        let number = number.trim_end().parse::<usize>().ok();
        number.and_then(|number| number.checked_mul(unit)).ok_or_else(refuse)
    }

    fn codes(&self, key: &str) -> Result<StatusCodes, BuildError> {
        let expected = "status codes such as 503, \"501-504\" or \"5xx, !501\"";
        let list = match self {
            Self::List(parts) => parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            _ => self.to_string(),
        };
        list.parse().map_err(|error: crate::codes::InvalidCodes| BuildError::new(key, error.part(), expected))
    }

    fn targets(&self, key: &str) -> Result<Vec<Target>, BuildError> {
        let Self::List(targets) = self else { return Err(self.refuse(key, "a list of targets")) };
        targets.iter().enumerate().map(|(place, target)| target.target(&format!("{key}[{place}]"))).collect()
    }

    fn target(&self, key: &str) -> Result<Target, BuildError> {
        let expected = "a URL, or a table of url and headers";
        let table = match self {
            Self::Text(url) => return Target::parse(url).map_err(|error| error.at(key)),
            Self::Table(table) => table,
            _ => return Err(self.refuse(key, expected)),
        };
        let Some(Self::Text(url)) = table.get("url") else {
            return Err(BuildError::new(format!("{key}.url"), "", "a URL such as http://host:8080/base"));
        };
        let mut target = Target::parse(url).map_err(|error| error.at(format!("{key}.url")))?;
        for (part, value) in table {
            let key = format!("{key}.{part}");
            match (part.as_str(), value) {
                ("url", _) => {}
                ("headers", Self::Table(headers)) => {
                    for (name, value) in headers {
                        target = target.with_configured_header(&format!("{key}.{name}"), name, value)?;
                    }
                }
                ("headers", _) => return Err(BuildError::new(key, "", "a table of names and values")),
                _ => return Err(BuildError::new(key, "", "the key url or headers")),
            }
        }
        Ok(target)
    }

    fn failback(&self, key: &str) -> Result<Failback, BuildError> {
        let mut failback = Failback::default();
        self.entries(key, &["after", "max"], |part, key, value| {
            *(if part == "after" { &mut failback.after } else { &mut failback.max }) = value.duration(key)?;
            Ok(())
        })?;
        failback.max = failback.max.max(failback.after);
        Ok(failback)
    }

    fn cool_down(&self, key: &str) -> Result<CoolDown, BuildError> {
        let mut cool_down = CoolDown::default();
        self.entries(key, &["strikes", "base", "max"], |part, key, value| {
            match part {
                "strikes" => cool_down.strikes = value.integer(key)?,
                "base" => cool_down.base = value.duration(key)?,
                _ => cool_down.max = value.duration(key)?,
            }
            Ok(())
        })?;
        Ok(cool_down)
    }

    fn backoff(&self, key: &str) -> Result<Backoff, BuildError> {
        let mut backoff = Backoff::default();
        self.entries(key, &["base", "max"], |part, key, value| {
            *(if part == "base" { &mut backoff.base } else { &mut backoff.max }) = value.duration(key)?;
            Ok(())
        })?;
        Ok(backoff)
    }

    fn budget(&self, key: &str) -> Result<Budget, BuildError> {
        let mut budget = Budget::default();
        self.entries(key, &["percent", "reserve"], |part, key, value| {
            *(if part == "percent" { &mut budget.percent } else { &mut budget.reserve }) =
                value.integer(key)?;
            Ok(())
        })?;
        Ok(budget)
    }

    /// Reads each entry of a table that may have these keys; `true` or `"on"` stand for the empty table.
    fn entries(
        &self,
        key: &str,
        keys: &[&str],
        mut read: impl FnMut(&str, &str, &Self) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        match self {
            Self::Bool(true) => Ok(()),
            Self::Text(text) if text == "on" => Ok(()),
            Self::Table(table) => table.iter().try_for_each(|(part, value)| {
                let key = format!("{key}.{part}");
                if keys.contains(&part.as_str()) {
                    read(part, &key, value)
                } else {
                    Err(value.refuse(&key, &one_of(keys)))
                }
            }),
            _ => Err(self.refuse(key, &format!("a table of {}", keys.join(", ")))),
        }
    }
}

impl Target {
    /// Neither name nor value of a header are shown: the value may be a secret.
    fn with_configured_header(self, key: &str, name: &str, value: &Value) -> Result<Self, BuildError> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        let value = match value {
            Value::Text(text) => HeaderValue::from_str(text).ok(),
            _ => None,
        };
        match name.zip(value) {
            Some((name, _)) if NOT_A_TARGETS.contains(&name) => Err(BuildError::new(
                key,
                "(not shown)",
                "no header of the connection or of the body's framing",
            )),
            Some((name, mut value)) => {
                value.set_sensitive(true);
                Ok(self.with_header(name, value))
            }
            None => Err(BuildError::new(key, "(not shown)", "a header name and its value as a string")),
        }
    }
}

/// As it is shown where it is refused, a URL at whatever key `redacted`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(on) => on.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Text(text) if text.contains("://") => f.write_str(&redact(text)),
            Self::Text(text) => f.write_str(text),
            Self::List(list) => {
                let list = list.iter().map(ToString::to_string).collect::<Vec<_>>();
                write!(f, "[{}]", list.join(", "))
            }
            Self::Table(_) => f.write_str("{..}"),
            Self::Null(()) => f.write_str("null"),
        }
    }
}

/// The integers that a configuration holds.
trait Bounded {
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

fn one_of(words: &[&str]) -> String {
    match words {
        [word] => (*word).to_owned(),
        _ => format!("one of {}", words.join(", ")),
    }
}

/// Headers that say what the transport says by itself.
const NOT_A_TARGETS: [HeaderName; 7] =
    [CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE];

/// The keys that only Ballerina's client has.
const BALLERINA: [&str; 4] = ["timeout", "timeoutInMillis", "intervalInMillis", "failoverCodes"];

/// The keys that set the same knob.
const SYNONYMS: [&[&str]; 3] = [
    &["attempt_timeout", "timeout", "timeoutInMillis"],
    &["interval", "intervalInMillis"],
    &["failover_codes", "failoverCodes"],
];

const KEYS: &[&str] = &[
    "targets",
    "preset",
    "failover_codes",
    "not_processed",
    "replay",
    "attempt_timeout",
    "deadline",
    "interval",
    "rounds",
    "backoff",
    "max_attempts",
    "free_repeat",
    "replay_buffer",
    "failback",
    "cool_down",
    "retry_after",
    "budget",
    "seed",
    "timeout",
    "timeoutInMillis",
    "intervalInMillis",
    "failoverCodes",
];
