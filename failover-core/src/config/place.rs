//! Reads a value of any format, and refuses each part of it where it stands: a format that knows its places, as TOML does,
//! tells them with what is refused there.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::config::value::Value;
use crate::error::{BuildError, within};

/// What refuses an outermost table, of which the rest may be missing as yet.
pub(crate) type Refuse = fn(&BTreeMap<String, Value>, Part) -> Result<(), BuildError>;

/// How much of a table there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// One entry, whole.
    Entry,
    /// A part of one entry.
    Within,
}

/// Reads a value without refusing anything.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading { place: Place::Outermost, refuse: None })
    }
}

/// Reads a value, and refuses its parts as soon as they are there.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D, refuse: Refuse) -> Result<Value, D::Error> {
    deserializer.deserialize_any(Reading { place: Place::Outermost, refuse: Some(refuse) })
}

/// Where a value stands.
#[derive(Clone, Copy)]
enum Place<'a> {
    Outermost,
    Key(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    /// The value with nothing but the tables and lists around it; its key there, and its key in the whole.
    fn alone(&self, value: Value) -> (Value, String, String) {
        match self {
            Self::Outermost => (value, String::new(), String::new()),
            Self::Key(around, key) => {
                let (whole, here, there) = around.alone(Value::Table([((*key).to_owned(), value)].into()));
                (whole, within(&here, key), within(&there, key))
            }
            Self::Item(around, item) => {
                let (whole, here, there) = around.alone(Value::List(vec![value]));
                (whole, format!("{here}[0]"), format!("{there}[{item}]"))
            }
        }
    }

    fn part(&self) -> Part {
        match self {
            Self::Outermost | Self::Key(Self::Outermost, _) => Part::Entry,
            Self::Key(..) | Self::Item(..) => Part::Within,
        }
    }
}

#[derive(Clone, Copy)]
struct Reading<'a> {
    place: Place<'a>,
    refuse: Option<Refuse>,
}

impl Reading<'_> {
    /// Hands on a value, unless something is wrong with it whatever stands beside it.
    fn end<E: Error>(self, value: Value) -> Result<Value, E> {
        let Some(refuse) = self.refuse else { return Ok(value) };
        let (whole, here, there) = self.place.alone(value.clone());
        let Value::Table(whole) = whole else { return Ok(value) };
        let Err(error) = refuse(&whole, self.place.part()) else { return Ok(value) };
        match error.key().strip_prefix(&here) {
            Some(rest) if rest.is_empty() || rest.starts_with(['.', '[']) => {
                let key = format!("{there}{rest}");
                Err(E::custom(error.at(key)))
            }
            _ => Ok(value),
        }
    }

    /// Refuses a key that there is not. What stands before it in an outermost table can tell what was meant.
    fn refuse_key<E: Error>(&self, before: &BTreeMap<String, Value>) -> Result<(), E> {
        let Some(refuse) = self.refuse else { return Ok(()) };
        let (whole, here, there) = self.place.alone(Value::Null);
        let Value::Table(whole) = whole else { return Ok(()) };
        let refuse = |whole: &_| {
            let error = refuse(whole, Part::Within).err();
            error.filter(|error| error.is_unknown_key() && error.key() == here)
        };
        let Some(error) = refuse(&whole) else { return Ok(()) };
        let beside = match self.place {
            Place::Key(Place::Outermost, _) => refuse(&before.clone().into_iter().chain(whole).collect()),
            _ => None,
        };
        Err(E::custom(beside.unwrap_or(error).at(there)))
    }
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Value, E> {
        self.end(Value::Bool(on))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        self.end(Value::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        self.visit_i128(number.into())
    }

    #[expect(clippy::cast_precision_loss, reason = "what is larger is more than any key takes")]
    fn visit_i128<E: Error>(self, number: i128) -> Result<Value, E> {
        self.end(i64::try_from(number).map_or(Value::Float(number as f64), Value::Integer))
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<Value, E> {
        self.visit_i128(number.try_into().unwrap_or(i128::MAX))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        self.end(Value::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.end(Value::Text(text.to_string()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        self.end(Value::Text(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.end(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.end(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            items.next_element_seed(Reading { place: Place::Item(&self.place, list.len()), ..self })?
        {
            list.push(item);
        }
        self.end(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut table = BTreeMap::new();
        while let Some(key) = entries.next_key_seed(Key(self, &table))? {
            let place = Place::Key(&self.place, &key);
            let value = entries.next_value_seed(Reading { place, ..self })?;
            table.insert(key, value);
        }
        self.end(Value::Table(table))
    }
}

/// The key of an entry of the table at this place, behind these entries of it.
struct Key<'a>(Reading<'a>, &'a BTreeMap<String, Value>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let Self(Reading { place, refuse }, before) = self;
        let key = String::deserialize(deserializer)?;
        Reading { place: Place::Key(&place, &key), refuse }.refuse_key(before)?;
        Ok(key)
    }
}
