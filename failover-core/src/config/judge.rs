//! The judges of a configuration.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use http::{HeaderName, HeaderValue, Method};

use crate::config::value::Value;
use crate::error::BuildError;
use crate::evidence::Replay;
use crate::judge::Judges;
use crate::verdict::Verdict;
use crate::wire::pointer::Pointer;
use crate::wire::rule::{Grpc, Path, Rule, Then, When, json_rpc, llm};

impl Value {
    pub(crate) fn judges(&self, key: &str) -> Result<Judges, BuildError> {
        let Self::List(list) = self else { return Err(self.refuse(key, "a list of rules")) };
        let mut judges = Judges::default();
        for (place, rule) in list.iter().enumerate() {
            rule.add_to(&mut judges, &format!("{key}[{place}]"))?;
        }
        Ok(judges)
    }

    /// Adds a rule, or the rules of a preset.
    fn add_to(&self, judges: &mut Judges, key: &str) -> Result<(), BuildError> {
        let Self::Table(table) = self else {
            return Err(self.refuse(key, &format!("a table of {}", KEYS.join(", "))));
        };
        if let Some(preset) = table.get("preset") {
            if let Some(part) = table.keys().find(|part| !KEYS.contains(&part.as_str())) {
                return Err(BuildError::unknown_key(key, part, KEYS));
            }
            if let Some((part, value)) = table.iter().find(|(part, _)| *part != "preset") {
                return Err(value.refuse(&format!("{key}.{part}"), "nothing beside preset"));
            }
            let rules = match preset.word(&format!("{key}.preset"), &["grpc", "json-rpc", "llm"])? {
                "json-rpc" => json_rpc(),
                "llm" => llm(),
                _ => {
                    judges.push(Grpc);
                    Vec::new()
                }
            };
            for rule in rules {
                judges.push(rule);
            }
            return Ok(());
        }
        judges.push(Self::rule(table, key)?);
        Ok(())
    }

    fn rule(table: &BTreeMap<String, Self>, at: &str) -> Result<Rule, BuildError> {
        let (mut when, mut verdict, mut replay) = (None, None, None);
        let (mut processed, mut harm) = (None, None);
        for (part, value) in table {
            let key = format!("{at}.{part}");
            match part.as_str() {
                "when" => when = Some(value.when(&key)?),
                "verdict" => verdict = Some(value.word(&key, &["accept", "pass", "elsewhere"])?),
                "processed" => processed = Some(value.switch(&key)?),
                "harm" => harm = Some(value.switch(&key)?),
                "replay" => {
                    replay = Some(match value.word(&key, &["always", "methods", "never"])? {
                        "methods" => Replay::Methods,
                        "never" => Replay::Never,
                        _ => Replay::Always,
                    });
                }
                _ => return Err(BuildError::unknown_key(at, part, KEYS)),
            }
        }
        let refuse = |part: &str, expected: &str| {
            let key = format!("{at}.{part}");
            Err(table
                .get(part)
                .map_or_else(|| BuildError::new(&key, "", expected), |value| value.refuse(&key, expected)))
        };
        let Some(when) = when else {
            return refuse("when", "what the rule looks at, such as { status = 200 }");
        };
        let is_elsewhere = verdict == Some("elsewhere");
        for (part, is_said) in [("processed", processed.is_some()), ("harm", harm.is_some())] {
            if is_said && !is_elsewhere {
                return refuse(part, "verdict = elsewhere beside it");
            }
        }
        let then = match (verdict, replay) {
            (Some(verdict), None) => Then::Verdict(match verdict {
                "accept" => Verdict::Accept,
                "pass" => Verdict::Pass,
                _ => Verdict::Elsewhere { processed: processed.unwrap_or(true), harm: harm.unwrap_or(true) },
            }),
            (None, Some(replay)) if when.is_of_requests() => Then::Replay(replay),
            (None, Some(_)) => return refuse("replay", "nothing but method and path in when"),
            (Some(_), Some(_)) => return refuse("replay", "a rule of its own, without a verdict"),
            (None, None) => return refuse("verdict", "one of accept, pass, elsewhere; or replay"),
        };
        Ok(Rule { when, then })
    }

    fn when(&self, at: &str) -> Result<When, BuildError> {
        let Self::Table(table) = self else {
            return Err(self.refuse(at, &format!("a table of {}", WHEN.join(", "))));
        };
        let mut when = When::default();
        for (part, value) in table {
            let key = format!("{at}.{part}");
            match part.as_str() {
                "method" => {
                    for method in value.one_or_more(&key, "a method such as POST, or a list of them")? {
                        // They are case-sensitive (RFC 9110, section 9.1).
                        let is_small = method.bytes().any(|byte| byte.is_ascii_lowercase());
                        let read = Method::from_bytes(method.as_bytes()).ok().filter(|_| !is_small);
                        when.methods.push(read.ok_or_else(|| value.refuse(&key, "a method such as POST"))?);
                    }
                }
                "path" => when.path = Some(value.path(&key)?),
                "status" => {
                    let codes = value.codes(&key)?;
                    if codes.is_empty() {
                        return Err(value.refuse(&key, "at least one status"));
                    }
                    when.status = Some(codes);
                }
                "header" => when.headers = value.headers(&key)?,
                "type" => {
                    let expected = "a type such as application/json, without parameters, or a list";
                    when.types = value.one_or_more(&key, expected)?;
                    if !when.types.iter().all(|text| is_type(text)) {
                        return Err(value.refuse(&key, expected));
                    }
                }
                "body_has" => when.body_has = value.one_or_more(&key, "a text, or a list of texts")?,
                "json" | "in" => {}
                _ => return Err(BuildError::unknown_key(at, part, WHEN)),
            }
        }
        if table.contains_key("json") || table.contains_key("in") {
            when.json = Some(Self::json(table, at)?);
        }
        if table.is_empty() {
            return Err(self.refuse(at, &format!("at least one of {}", WHEN.join(", "))));
        }
        Ok(when)
    }

    fn path(&self, key: &str) -> Result<Path, BuildError> {
        let expected = "a path such as /rpc, or the beginning of one such as /v1/*";
        let text = self.text(key, expected)?;
        match text.strip_suffix('*') {
            _ if !text.starts_with('/') => Err(self.refuse(key, expected)),
            Some(beginning) if !beginning.contains('*') => Ok(Path::BeginsWith(beginning.to_owned())),
            None if !text.contains(['*', '?']) => Ok(Path::Is(text)),
            _ => Err(self.refuse(key, expected)),
        }
    }

    /// Neither names nor values are shown that are refused: they may be secrets.
    fn headers(&self, key: &str) -> Result<Vec<(HeaderName, Option<String>)>, BuildError> {
        let expected = "the name of a header, or a table of names and values";
        let name = |text: &str| {
            HeaderName::from_bytes(text.as_bytes()).map_err(|_| BuildError::new(key, "(not shown)", expected))
        };
        match self {
            Self::Text(text) => Ok([(name(text)?, None)].into()),
            Self::Table(table) if !table.is_empty() => {
                let line = |(text, value): (&String, &Self)| match value {
                    Self::Text(value) if HeaderValue::from_str(value).is_ok() => {
                        Ok((name(text)?, Some(value.clone())))
                    }
                    _ => Err(BuildError::new(key, "(not shown)", expected)),
                };
                table.iter().map(line).collect()
            }
            _ => Err(BuildError::new(key, "(not shown)", expected)),
        }
    }

    /// A place in JSON, and what may be there.
    fn json(
        table: &BTreeMap<String, Self>,
        key: &str,
    ) -> Result<(Pointer, Vec<serde_json::Value>), BuildError> {
        let (place, values) = (format!("{key}.json"), format!("{key}.in"));
        let expected = "a place in JSON such as /error/code (RFC 6901)";
        let Some(json) = table.get("json") else { return Err(BuildError::new(place, "", expected)) };
        let pointer =
            Pointer::parse(&json.text(&place, expected)?).ok_or_else(|| json.refuse(&place, expected))?;
        let expected = "a list of numbers, texts, true or false";
        let found = match table.get("in") {
            None => Vec::new(),
            Some(Self::List(list)) if !list.is_empty() => {
                let plain =
                    list.iter().map(|value| value.plain().ok_or_else(|| value.refuse(&values, expected)));
                plain.collect::<Result<_, _>>()?
            }
            Some(other) => return Err(other.refuse(&values, expected)),
        };
        Ok((pointer, found))
    }

    /// What is no list and no table, as JSON.
    fn plain(&self) -> Option<serde_json::Value> {
        match self {
            Self::Bool(on) => Some((*on).into()),
            Self::Integer(number) => Some((*number).into()),
            Self::Float(number) if number.is_finite() => Some((*number).into()),
            Self::Text(text) => Some(text.as_str().into()),
            Self::Float(_) | Self::Null | Self::List(_) | Self::Table(_) => None,
        }
    }

    /// A text, or a list of at least one, none of them empty.
    fn one_or_more(&self, key: &str, expected: &str) -> Result<Vec<String>, BuildError> {
        let texts: Vec<_> = match self {
            Self::List(list) => list.iter().map(|text| text.text(key, expected)).collect::<Result<_, _>>()?,
            _ => [self.text(key, expected)?].into(),
        };
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err(self.refuse(key, expected));
        }
        Ok(texts)
    }
}

/// Whether this is a type and a subtype, both of which are tokens.
fn is_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let is_special = |byte: &u8| b"!#$&-^_.+".contains(byte);
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_special(&byte))
    };
    text.split_once('/').is_some_and(|(kind, part)| is_token(kind) && is_token(part))
}

const KEYS: &[&str] = &["preset", "when", "verdict", "processed", "harm", "replay"];

const WHEN: &[&str] = &["method", "path", "status", "header", "type", "body_has", "json", "in"];
