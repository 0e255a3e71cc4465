//! The targets of a configuration.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};

use crate::admin::AdminState;
use crate::config::value::Value;
use crate::error::BuildError;
use crate::wire::{Protocol, Target};

impl Value {
    pub(crate) fn targets(&self, key: &str) -> Result<Vec<Target>, BuildError> {
        let Self::List(targets) = self else { return Err(self.refuse(key, "a list of targets")) };
        targets.iter().enumerate().map(|(place, target)| target.target(&format!("{key}[{place}]"))).collect()
    }

    fn target(&self, at: &str) -> Result<Target, BuildError> {
        let expected = "a URL, or a table of url and what belongs to it";
        let table = match self {
            Self::Text(url) => return Target::parse(url).map_err(|error| error.at(at)),
            Self::Table(table) => table,
            _ => return Err(self.refuse(at, expected)),
        };
        // What is wrong beside a URL that is missing, such as its name, is told before that.
        let (url, is_missing) = match table.get("url") {
            Some(Self::Text(url)) => (url.as_str(), false),
            _ => ("http://missing", true),
        };
        let mut target = Target::parse(url).map_err(|error| error.at(format!("{at}.url")))?;
        for (part, value) in table {
            let key = format!("{at}.{part}");
            match (part.as_str(), value) {
                ("url", _) => {}
                ("headers", Self::Table(headers)) => {
                    for (name, value) in headers {
                        target = target.with_configured_header(&key, name, value)?;
                    }
                }
                ("headers", _) => return Err(BuildError::new(key, "", "a table of names and values")),
                ("name", Self::Text(name)) if !name.is_empty() => target = target.named(name),
                ("name", _) => return Err(value.refuse(&key, "a name")),
                ("attempt_timeout", _) => target = target.attempt_timeout(value.duration(&key)?),
                ("connect_timeout", _) => target = target.connect_timeout(value.duration(&key)?),
                ("state", _) => target = target.state(value.state(&key)?),
                ("protocol", _) => {
                    target = target.protocol(match value.word(&key, &["auto", "http1", "http2"])? {
                        "http1" => Protocol::Http1,
                        "http2" => Protocol::Http2,
                        _ => Protocol::Auto,
                    });
                }
                ("connect", _) => {
                    let address = value.text(&key, "host:port, or unix:/path")?;
                    target = target.connect_to(address.parse().map_err(|error: BuildError| error.at(key))?);
                }
                ("server_name", _) => target = target.server_name(value.text(&key, "a host name")?),
                ("tls", _) => target = target.tls(value.text(&key, "the name of settings of TLS")?),
                _ => return Err(BuildError::unknown_key(at, part, KEYS)),
            }
        }
        if is_missing {
            return Err(BuildError::new(format!("{at}.url"), "", "a URL such as http://host:8080/base"));
        }
        Ok(target)
    }

    fn state(&self, key: &str) -> Result<AdminState, BuildError> {
        let name = if let Self::Text(name) = self { name } else { "" };
        name.parse().map_err(|error: BuildError| self.refuse(key, error.expected()))
    }
}

impl Target {
    /// No value of a header is shown, and nothing that is no name, since that may be the whole line: it may be a secret.
    fn with_configured_header(self, at: &str, text: &str, value: &Value) -> Result<Self, BuildError> {
        let name = HeaderName::from_bytes(text.as_bytes()).ok();
        let key = if name.is_some() { format!("{at}.{text}") } else { at.to_owned() };
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

const KEYS: &[&str] = &[
    "url",
    "name",
    "headers",
    "attempt_timeout",
    "connect_timeout",
    "state",
    "protocol",
    "connect",
    "server_name",
    "tls",
];

/// Headers that say what the transport says by itself.
const NOT_A_TARGETS: [HeaderName; 7] =
    [CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE];
