//! How a target is reached, where its URL does not say it.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use http::uri::Authority;

use crate::error::BuildError;

/// How a target is reached, where its URL does not say it. The core never looks into it; it is for adapters.
///
/// Two targets with equal routes, schemes and authorities can share connections.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Route {
    /// Which protocol is spoken, if it is not the client's choice for all targets.
    pub protocol: Option<Protocol>,
    /// Where connections lead, if not to the URL's host and port.
    pub address: Option<Address>,
    /// The name that the target's certificate must be for, if not the URL's host.
    pub server_name: Option<String>,
    /// The name of the client's settings of TLS for this target, if not those for all.
    pub tls: Option<String>,
}

/// Which protocol connections to a target speak.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// What TLS negotiates, HTTP/2 or HTTP/1.1; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, which without TLS the target must be known to speak (RFC 9113, section 3.3).
    Http2,
}

/// Where connections to a target lead, apart from its URL.
///
/// It is written as `host:port`, or as `unix:/path`.
///
/// # Examples
///
/// ```
/// use failover_core::Address;
///
/// let near: Address = "10.0.0.7:8080".parse()?;
/// assert_eq!(near, Address::Host { host: "10.0.0.7".to_owned(), port: 8080 });
/// let local: Address = "unix:/run/app.sock".parse()?;
/// assert_eq!(local.to_string(), "unix:/run/app.sock");
/// assert!("10.0.0.7".parse::<Address>().is_err());
/// # Ok::<(), failover_core::BuildError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Address {
    /// A port of a host, by name or by IP address.
    Host {
        /// The host; an IPv6 address in brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(String),
}

impl FromStr for Address {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        let refuse = || BuildError::new("connect", text, "host:port, or unix:/path");
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Unix(path.to_owned())) } else { Err(refuse()) };
        }
        let place = text.parse::<Authority>().map_err(|_| refuse())?;
        match (place.host(), place.port_u16()) {
            (host, Some(port)) if !host.is_empty() && !text.contains('@') => {
                Ok(Self::Host { host: host.to_owned(), port })
            }
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}
