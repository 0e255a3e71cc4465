//! The serde face of groups and policies: one configuration, in TOML, JSON or anything else that serde reads.

mod judge;
mod knobs;
mod place;
mod target;
mod value;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

use crate::config::place::Part;
use crate::config::value::{Value, one_of};
pub use crate::config::value::{parse_duration, parse_size};
use crate::entry::Entry;
use crate::error::{BuildError, at_most, less_than};
use crate::evidence::Replay;
use crate::group::Group;
use crate::near::nearest;
use crate::pause::Backoff;
use crate::policy::{Follow, Policy};
use crate::wire::Target;

/// The configuration of a group: its targets and its policy.
///
/// The keys are `targets`, `preset` (`"default"` or `"ballerina"`), and the knobs of [`Policy`] by name; what is not
/// set is as in the preset. Durations are written as `"5s"`, `"500ms"` or `"1m 30s"`, codes as numbers or as
/// [`StatusCodes`](crate::StatusCodes) are written, sizes in bytes or as `"64KiB"` or `"1MB"` (see [`parse_size`]). Whatever can be
/// off is so by `"off"`: `failover_codes`, `not_processed`, `deadline`, `upload_deadline`, `body_idle`, `upgrades`, `interval`,
/// `backoff`, `max_attempts`, `free_repeat`, `replay_buffer`, `late`, `failback`, `cool_down`, `checks`, `retry_after`, `budget`,
/// `judge` and `jitter`. `false` is the same.
///
/// What a table is mostly about can stand for it: `failback = "30s"` is its `after`, `cool_down = "5s"` and `backoff = "25ms"` are their
/// `base`, `checks = "/healthz"` is its `path`, and `budget = "20%"` its `percent`. `cool_down.strikes` is an older name of
/// `leave_after`. A target is a URL, or a table of
/// `url` and of its own `name`, `headers`, `attempt_timeout`, `connect_timeout`, `state` (`"ready"`, `"drain"` or
/// `"maintenance"`), `protocol` (`"auto"`, `"http1"` or `"http2"`), `connect` (`"host:port"` or `"unix:/path"`), `server_name`
/// and `tls`, the name of settings that the client has.
///
/// `judge` is a list of rules that judge answers by more than their status; the first one that matches says it, as
/// [`Judge`](crate::Judge) describes:
///
/// - `{ when, verdict }`: `when` has one or more of `method` and `path` (below the target's; with `*` at the end: what begins so) of the request;
///   `status`, `header` (a name, or a table of names and values) and `type` of the answer; of its body, or of its first event if it
///   is a stream of events, a text that it has (`body_has`), and a place in its JSON (`json`, RFC 6901) that is there and not null, or
///   is one of the values `in` a list. `verdict` is `"accept"`, `"pass"` or `"elsewhere"`, with `processed` and `harm` (both
///   `true` unless set): whether going on needs proof, and whether it is a strike.
/// - `{ when, replay }`: requests with this `method` and `path` may be sent again (`"always"`, `"methods"`, `"never"`).
/// - `{ preset }`: `"json-rpc"`, `"llm"` (services of language models) or `"grpc"`.
///
/// Beside `preset = "ballerina"` the keys of Ballerina's client are read as well, with its meaning: `timeoutInMillis`,
/// `intervalInMillis` and `failoverCodes`, or `timeout` in seconds, as an `interval` may be in any case. Without it they are refused, at
/// the end and by their names alone: that preset sends again what may have been executed, and no spelling of a key may allow that.
///
/// A `deadline` that is set bounds the attempt timeout of the preset too, and an attempt timeout that is set, a target's own
/// as well, raises the preset's deadline (see [`Policy::with_bounds`]); so does an `interval` for which an attempt would leave no
/// time. If both are set, an attempt timeout must be at most the deadline, and the interval less.
///
/// # Errors
///
/// A value that makes no sense is refused with its key and with what would be right, and an unknown key with the one that was
/// likely meant. Both are refused where they stand, so that a format which knows its places tells them. None of these errors
/// holds what may be secret: a header, or more of a URL than scheme, host and port. The whole text of an error of `toml` does, since it
/// shows the line: take its `message()` and its `span()`.
///
/// # Examples
///
/// ```
/// let config: failover_core::Config = toml::from_str(
///     r#"
///     failover_codes = ["5xx", 429]
///     attempt_timeout = "2s"
///     leave_after = 5
///     targets = [
///         { url = "https://eu.example/v1", headers = { x-api-key = "s3cret" } },
///         "https://us.example/v1",
///     ]
///     "#,
/// )?;
/// let group = config.group()?;
/// assert_eq!(group.targets()[1].to_string(), "https://us.example");
///
/// let config: failover_core::Config = toml::from_str(
///     r#"
///     targets = ["https://a.example", "https://b.example"]
///     [[judge]]
///     when = { json = "/error/code", in = [-32005] }
///     verdict = "elsewhere"
///     processed = false
///     [[judge]]
///     when = { method = "POST", path = "/rpc" }
///     replay = "always"
///     "#,
/// )?;
/// assert!(!config.policy.judge.is_empty());
///
/// let error = toml::from_str::<failover_core::Config>("late = { factr = 3 }").unwrap_err();
/// let told = "unknown key `late.factr`: did you mean `factor`? The keys here are factor, floor";
/// assert_eq!((error.message(), error.span()), (told, Some(9..14)));
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
    /// As [`Group::of`].
    pub fn group(self) -> Result<Group<Target>, BuildError> {
        Group::of(self.targets.into_iter().map(Entry::from), self.policy)
    }

    /// Reads a configuration as [`Deserialize`] does, and hands on what is refused as it is: for programs that can say
    /// themselves where in their file its [`key`](BuildError::key) stands.
    ///
    /// # Errors
    ///
    /// What the format cannot read. The error inside names the first key that makes no sense.
    ///
    /// # Examples
    ///
    /// ```
    /// let table: toml::Table = toml::from_str("rounds = 2\nlate = { facto = 3 }")?;
    /// let refused = failover_core::Config::read(table)?.unwrap_err();
    /// assert_eq!((refused.key(), refused.is_unknown_key()), ("late.facto", true));
    /// # Ok::<(), toml::de::Error>(())
    /// ```
    pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Result<Self, BuildError>, D::Error> {
        Ok(Self::of(&Value::deserialize(deserializer)?))
    }

    fn of(value: &Value) -> Result<Self, BuildError> {
        let Value::Table(table) = value else {
            return Err(BuildError::new("configuration", "(not shown)", "a table with targets"));
        };
        let mut config = Self::entries(table)?;
        if let Some(key) = written(table, &BALLERINA).filter(|_| config.preset != Preset::Ballerina) {
            return Err(foreign(key));
        }
        config.check(table)?;
        config.settle(table)?;
        Ok(config)
    }

    /// Refuses a table, of which the rest may be missing as yet.
    fn refuse(table: &BTreeMap<String, Value>, part: Part) -> Result<(), BuildError> {
        let config = Self::entries(table)?;
        if part == Part::Entry { config.check(table) } else { Ok(()) }
    }

    /// Refuses knobs that make no sense, by the keys that were written.
    fn check(&self, table: &BTreeMap<String, Value>) -> Result<(), BuildError> {
        self.policy.check().map_err(|error| {
            let key = match error.key() {
                "attempt_timeout" => written(table, ATTEMPT_TIMEOUT).map(String::as_str),
                "leave_after" if !table.contains_key("leave_after") => Some("cool_down.strikes"),
                _ => None,
            };
            match key {
                Some(key) => error.at(key),
                None => error,
            }
        })
    }

    fn entries(table: &BTreeMap<String, Value>) -> Result<Self, BuildError> {
        let preset = match table.get("preset") {
            Some(preset) => match preset.word("preset", &["ballerina", "default"])? {
                "ballerina" => Preset::Ballerina,
                _ => Preset::Default,
            },
            None => Preset::Default,
        };
        let mut config = Self { targets: Vec::new(), policy: preset.policy(), preset };
        for (key, value) in table {
            let same = SYNONYMS.iter().find(|keys| keys.contains(&key.as_str())).copied().unwrap_or_default();
            if same.iter().any(|other| other != key && table.contains_key(*other)) {
                return Err(value.refuse(key, &format!("only {}", one_of(same))));
            }
            config.set(key, value, preset == Preset::Ballerina)?;
        }
        let strikes = table.get("cool_down").filter(|cool_down| cool_down.has("strikes"));
        if let Some((value, _)) = table.get("leave_after").zip(strikes) {
            return Err(value.refuse("leave_after", "this key or cool_down.strikes, which is its older name"));
        }
        Ok(config)
    }

    /// Refuses bounds that were set and contradict each other; what was not set gives way.
    fn settle(&mut self, table: &BTreeMap<String, Value>) -> Result<(), BuildError> {
        let policy = &self.policy;
        let attempt_timeout = written(table, ATTEMPT_TIMEOUT).map(|key| (key, policy.attempt_timeout));
        let interval = written(table, INTERVAL).map(|key| (key, policy.interval));
        let deadline = policy.deadline.filter(|_| table.contains_key("deadline"));
        let late = policy.late.filter(|_| table.get("late").is_some_and(|late| late.has("floor")));
        if let Some((late, (key, attempt_timeout))) = late.zip(attempt_timeout) {
            at_most("late.floor", late.floor, key, attempt_timeout)?;
        }
        let own = || {
            let targets = self.targets.iter().enumerate();
            targets.filter_map(|(place, target)| Some((place, target.own_attempt_timeout()?)))
        };
        if let Some(deadline) = deadline {
            if let Some((key, attempt_timeout)) = attempt_timeout {
                at_most(key, attempt_timeout, "deadline", deadline)?;
            }
            for (place, time) in own() {
                at_most(&format!("targets[{place}].attempt_timeout"), time, "deadline", deadline)?;
            }
            if let Some((key, interval)) = interval {
                less_than(key, interval, "deadline", deadline)?;
            }
        }
        let longest = own().map(|(_, time)| time).max();
        let mut policy = self.policy.clone().with_bounds(attempt_timeout.map(|(_, time)| time), deadline);
        if deadline.is_none() {
            // A pause takes at most half of the time that is left.
            let pause = interval
                .map(|(_, interval)| interval.saturating_mul(2).saturating_add(policy.attempt_timeout));
            policy.deadline =
                policy.deadline.map(|default| default.max(longest.max(pause).unwrap_or_default()));
        }
        self.policy = policy;
        Ok(())
    }

    fn set(&mut self, key: &str, value: &Value, is_ballerina: bool) -> Result<(), BuildError> {
        let policy = &mut self.policy;
        match key {
            "preset" => {}
            "targets" => self.targets = value.targets(key)?,
            "failover_codes" | "failoverCodes" => {
                policy.failover_codes = value.unless_off(key, |key| value.codes(key))?.unwrap_or_default();
            }
            "not_processed" if value.is_text("all") => policy.not_processed = None,
            "not_processed" => {
                let codes = value.unless_off(key, |key| value.codes(key))?;
                policy.not_processed = Some(codes.unwrap_or_default());
            }
            "replay" => {
                policy.replay = match value.word(key, &["auto", "methods", "always", "never"])? {
                    "methods" => Replay::Methods,
                    "always" => Replay::Always,
                    "never" => Replay::Never,
                    _ => Replay::Auto,
                };
            }
            "connect_timeout" => policy.connect_timeout = value.duration(key)?,
            "attempt_timeout" => policy.attempt_timeout = value.duration(key)?,
            "timeout" => policy.attempt_timeout = value.duration_or(key, Duration::from_secs(1))?,
            "timeoutInMillis" => policy.attempt_timeout = value.duration_or(key, Duration::from_millis(1))?,
            "interval" => policy.interval = value.pause(key, Duration::from_secs(1))?,
            "intervalInMillis" => policy.interval = value.pause(key, Duration::from_millis(1))?,
            "deadline" => policy.deadline = value.unless_none(key, |key| value.duration(key))?,
            "upload_deadline" => {
                policy.upload_deadline = value.unless_none(key, |key| value.duration(key))?;
            }
            "body_idle" => policy.body_idle = value.unless_none(key, |key| value.duration(key))?,
            "upgrades" => {
                policy.upgrades = value.unless_none(key, |key| value.texts(key))?.unwrap_or_default();
            }
            "rounds" => policy.rounds = value.integer(key)?,
            "backoff" => {
                let none = Backoff { base: Duration::ZERO, max: Duration::ZERO };
                policy.backoff = value.unless_off(key, |key| value.backoff(key))?.unwrap_or(none);
            }
            "max_attempts" => policy.max_attempts = value.unless_off(key, |key| value.integer(key))?,
            "free_repeat" => policy.free_repeat = value.switch(key)?,
            "replay_buffer" => {
                policy.replay_buffer = value.unless_off(key, |key| value.size(key))?.unwrap_or_default();
            }
            "jitter" => policy.jitter = value.switch(key)?,
            "failback" => policy.failback = value.unless_none(key, |key| value.failback(key))?,
            "follow" => {
                policy.follow = match value.word(key, &["strikes", "answer"])? {
                    "answer" => Follow::Answer,
                    _ => Follow::Strikes,
                };
            }
            "leave_after" => policy.leave_after = value.integer(key)?,
            "late" => policy.late = value.unless_none(key, |key| value.late(key))?,
            "cool_down" => {
                let cool_down = value.unless_none(key, |key| value.cool_down(key))?;
                policy.cool_down = cool_down.map(|(cool_down, _)| cool_down);
                if let Some((_, Some(strikes))) = cool_down {
                    policy.leave_after = strikes;
                }
            }
            "checks" => policy.checks = value.unless_none(key, |key| value.checks(key))?,
            "retry_after" => policy.retry_after = value.unless_none(key, |key| value.duration(key))?,
            "judge" => policy.judge = value.unless_off(key, |key| value.judges(key))?.unwrap_or_default(),
            "budget" => policy.budget = value.unless_none(key, |key| value.budget(key))?,
            "seed" => policy.seed = value.integer(key)?,
            _ => return Err(unknown(key, is_ballerina)),
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = place::read(deserializer, Self::refuse)?;
        Self::of(&value).map_err(D::Error::custom)
    }
}

/// Which of these keys a table has.
fn written<'a>(table: &'a BTreeMap<String, Value>, keys: &[&str]) -> Option<&'a String> {
    table.keys().find(|key| keys.contains(&key.as_str()))
}

/// Refuses a key of Ballerina's client where its preset is not named.
fn foreign(key: &str) -> BuildError {
    let theirs = "one of Ballerina's client, whose keys are read beside preset = \"ballerina\"";
    BuildError::unknown_key_of(key, ours(key), theirs)
}

/// Refuses a key. Those of Ballerina's client are offered only where its preset is named; where another one is
/// near to one of them, ours for the same knob is.
fn unknown(key: &str, is_ballerina: bool) -> BuildError {
    let all = [KEYS, &BALLERINA].concat();
    let meant = nearest(key, &all);
    if is_ballerina {
        return BuildError::unknown_key_for("", key, &all, meant);
    }
    BuildError::unknown_key_for("", key, KEYS, meant.map(ours))
}

/// Our key for the same knob.
fn ours(key: &str) -> &str {
    SYNONYMS.iter().find(|keys| keys.contains(&key)).map_or(key, |keys| keys[0])
}

/// The keys that only Ballerina's client has.
const BALLERINA: [&str; 4] = ["timeout", "timeoutInMillis", "intervalInMillis", "failoverCodes"];

/// The keys that set the bound of an attempt.
const ATTEMPT_TIMEOUT: &[&str] = &["attempt_timeout", "timeout", "timeoutInMillis"];

/// The keys that set the pause between targets.
const INTERVAL: &[&str] = &["interval", "intervalInMillis"];

/// The keys that set the same knob, ours first.
const SYNONYMS: [&[&str]; 3] = [ATTEMPT_TIMEOUT, INTERVAL, &["failover_codes", "failoverCodes"]];

const KEYS: &[&str] = &[
    "targets",
    "preset",
    "failover_codes",
    "not_processed",
    "replay",
    "connect_timeout",
    "attempt_timeout",
    "deadline",
    "upload_deadline",
    "body_idle",
    "upgrades",
    "interval",
    "rounds",
    "backoff",
    "max_attempts",
    "free_repeat",
    "replay_buffer",
    "follow",
    "leave_after",
    "late",
    "failback",
    "cool_down",
    "checks",
    "retry_after",
    "budget",
    "judge",
    "jitter",
    "seed",
];
