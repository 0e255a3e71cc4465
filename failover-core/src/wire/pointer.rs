//! A place in a JSON text (RFC 6901), of which the beginning may be all that there is.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A place in a JSON text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pointer(Vec<String>);

impl Pointer {
    /// A place below these members.
    pub(crate) fn of(members: &[&str]) -> Self {
        Self(members.iter().map(ToString::to_string).collect())
    }

    /// A place as RFC 6901 writes it, such as `/error/code`; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let unescape = |part: &str| {
            let is_escape = |(place, _)| matches!(part.as_bytes().get(place + 1), Some(b'0' | b'1'));
            part.match_indices('~').all(is_escape).then(|| part.replace("~1", "/").replace("~0", "~"))
        };
        Some(Self(text.strip_prefix('/')?.split('/').map(unescape).collect::<Option<_>>()?))
    }

    /// What is there: a value, an empty list or object in the place of any, `null` if there is nothing; `None` as long as that
    /// depends on what comes after `text`.
    ///
    /// Of members with one name it is the first one.
    pub(crate) fn find(&self, text: &[u8], is_whole: bool) -> Option<Value> {
        let mut found = None;
        let mut json = serde_json::Deserializer::from_slice(text);
        let step = Step { members: &self.0, found: &mut found };
        let read = step.deserialize(&mut json).and_then(|()| json.end());
        match (found, read) {
            (Some(Found { value, is_sure: true }), _) => Some(value),
            // A number may go on.
            (Some(Found { value, .. }), Ok(())) if is_whole => Some(value),
            (Some(_), Ok(())) => None,
            (_, Err(error)) if error.is_eof() && !is_whole => None,
            _ => Some(Value::Null),
        }
    }
}

/// A value that was found.
struct Found {
    value: Value,
    /// Whether something comes after it, so that it is all of the value.
    is_sure: bool,
}

/// Looks for what the members lead to in the value that comes next. It ends with an error as soon as nothing more can change.
struct Step<'a> {
    members: &'a [String],
    found: &'a mut Option<Found>,
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Step<'_> {
    /// A value that is no list and no object.
    fn meet(self, value: impl Into<Value>) {
        if self.members.is_empty() {
            *self.found = Some(Found { value: value.into(), is_sure: false });
        }
    }

    /// The value that was read is followed by something.
    fn settle<E: Error>(self) -> Result<Self, E> {
        if let Some(found) = self.found {
            found.is_sure = true;
            return Err(E::custom("found"));
        }
        Ok(self)
    }

    /// What is looked for is this list or object.
    fn at_list_or_object<E: Error>(self, value: Value) -> Result<Self, E> {
        if self.members.is_empty() {
            *self.found = Some(Found { value, is_sure: true });
            return Err(E::custom("found"));
        }
        Ok(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.members.is_empty() {
            return match map.next_key::<String>()? {
                Some(name) if name == NUMBER => {
                    let number = map.next_value::<String>()?.parse::<serde_json::Number>();
                    self.meet(number.map_or(Value::Null, Value::Number));
                    Ok(())
                }
                _ => self.at_list_or_object(Value::Object(serde_json::Map::new())).map(drop),
            };
        }
        let mut this = self;
        while let Some(name) = map.next_key::<String>()? {
            this = this.settle()?;
            match this.members.split_first() {
                Some((member, members)) if *member == name => {
                    map.next_value_seed(Step { members, found: &mut *this.found })?;
                    if this.found.is_none() {
                        // The first member of its name has nothing there.
                        *this.found = Some(Found { value: Value::Null, is_sure: true });
                        return Err(Error::custom("found"));
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        this.settle().map(drop)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut this = self.at_list_or_object(Value::Array(Vec::new()))?;
        let Some((member, members)) = this.members.split_first() else { return Ok(()) };
        for place in 0.. {
            let is_there = if place.to_string() == *member {
                list.next_element_seed(Step { members, found: &mut *this.found })?.is_some()
            } else {
                list.next_element::<IgnoredAny>()?.is_some()
            };
            if !is_there {
                break;
            }
            if this.found.is_some() {
                let _ = list.next_element::<IgnoredAny>()?;
                this = this.settle()?;
            }
        }
        this.settle().map(drop)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.meet(value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.meet(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.meet(value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.meet(value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.meet(value);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.meet(Value::Null);
        Ok(())
    }
}

/// How a number comes where some crate of the program asks `serde_json` for arbitrary precision: as a map of its text.
const NUMBER: &str = "$serde_json::private::Number";
