//! A target of an HTTP adapter: where it is, how a request's path joins it, and what is shown of it.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Parts, PathAndQuery, Scheme, Uri};

use crate::admin::AdminState;
use crate::entry::Entry;
use crate::error::{BuildError, redact};
use crate::policy::Policy;
use crate::wire::credentials::basic;
use crate::wire::route::{Address, Protocol, Route};

/// One place a request can go: its base URL, and what belongs to it.
///
/// The core itself never looks into a target; this one is for adapters, which all follow the same rules.
/// It displays as scheme, host and port only (`redacted`).
///
/// # Examples
///
/// ```
/// use failover_core::Target;
///
/// let target = Target::parse("http://user:secret@api.example:8080/v1")?;
/// let uri = target.uri(&Target::path("/users?page=2")?)?;
/// assert_eq!(uri, "http://api.example:8080/v1/users?page=2");
/// assert_eq!(target.host(), "api.example");
/// assert_eq!(target.host_header(), "api.example:8080");
/// assert_eq!(target.headers()["authorization"], "Basic dXNlcjpzZWNyZXQ=");
/// assert_eq!(target.to_string(), "http://api.example:8080");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Target {
    scheme: Scheme,
    /// Without user information, and without the scheme's default port, as in `Host` (RFC 9113, section 8.3.1).
    authority: Authority,
    /// Without a slash at the end.
    base_path: String,
    host_header: HeaderValue,
    headers: HeaderMap,
    name: Option<String>,
    attempt_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    state: AdminState,
    route: Route,
}

impl Target {
    /// The target at a base URL, such as `https://api.example/v1`.
    ///
    /// User information in it becomes a header of the target: Basic authorization (RFC 7617). `FromStr` and `TryFrom` do the same.
    ///
    /// # Errors
    ///
    /// The URL is not one of http or https with a host, or has a query or a fragment. The error shows scheme, host
    /// and port only.
    pub fn parse(url: &str) -> Result<Self, BuildError> {
        let refuse = |expected: &str| BuildError::new("url", redact(url), expected);
        let uri: Uri = url.parse().map_err(|_| refuse("a URL such as http://host:8080/base"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(refuse("a URL with a scheme and a host, such as http://host:8080/base"));
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(refuse("the scheme http or https"));
        }
        if authority.host().is_empty() {
            return Err(refuse("a URL with a host"));
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(refuse("a URL without a query and a fragment"));
        }
        let (user, place) = match authority.as_str().rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority.as_str()),
        };
        let place = place.to_ascii_lowercase();
        let port = place.rsplit_once(':').map(|(_, port)| port).filter(|_| !place.ends_with(']'));
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(refuse("a port from 0 to 65535"));
        }
        let default_port = if *scheme == Scheme::HTTP { ":80" } else { ":443" };
        let host = place.strip_suffix(default_port).unwrap_or(&place);
        let mut headers = HeaderMap::new();
        if let Some(user) = user {
            headers.insert(AUTHORIZATION, basic(user).ok_or_else(|| refuse("shorter user information"))?);
        }
        Ok(Self {
            scheme: scheme.clone(),
            host_header: HeaderValue::from_str(host).map_err(|_| refuse("a host name"))?,
            authority: host.parse().map_err(|_| refuse("a host name"))?,
            base_path: uri.path().strip_suffix('/').unwrap_or(uri.path()).to_string(),
            headers,
            name: None,
            attempt_timeout: None,
            connect_timeout: None,
            state: AdminState::Ready,
            route: Route::default(),
        })
    }

    /// The same target with a header of its own, which replaces the request's on each attempt here, and goes nowhere
    /// else.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same target under a name of its own, by which it is known again in another list (`identity`).
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The same target with a bound of its own for each attempt, in place of the policy's.
    #[must_use]
    pub fn attempt_timeout(self, time: Duration) -> Self {
        Self { attempt_timeout: Some(time), ..self }
    }

    /// The same target with a bound of its own for connecting, in place of the policy's.
    #[must_use]
    pub fn connect_timeout(self, time: Duration) -> Self {
        Self { connect_timeout: Some(time), ..self }
    }

    /// The same target in the state that an administrator wants.
    #[must_use]
    pub fn state(self, state: AdminState) -> Self {
        Self { state, ..self }
    }

    /// What its administrator wants of it from the beginning.
    #[must_use]
    pub fn admin_state(&self) -> AdminState {
        self.state
    }

    /// The same target over a protocol of its own, in place of the client's choice for all.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.route.protocol = Some(protocol);
        self
    }

    /// The same target, with its connections leading elsewhere than to its URL's host and port. `Host`, and the name that
    /// its certificate must be for, stay the URL's.
    #[must_use]
    pub fn connect_to(mut self, address: Address) -> Self {
        self.route.address = Some(address);
        self
    }

    /// The same target, whose certificate must be for this name in place of its URL's host.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.route.server_name = Some(name.into());
        self
    }

    /// The same target, with TLS as the client knows it under this name, in place of that for all targets.
    #[must_use]
    pub fn tls(mut self, settings: impl Into<String>) -> Self {
        self.route.tls = Some(settings.into());
        self
    }

    /// Checks a path, with or without a query, that a caller gives for all targets. `*`, all of a server, stays as it is.
    ///
    /// # Errors
    ///
    /// It is an absolute URL, has a fragment, holds something that must be percent-encoded, is `*` with a query, or is too long.
    pub fn path(path: &str) -> Result<PathAndQuery, PathError> {
        let first_segment = path.split(['/', '?']).next().unwrap_or_default();
        if first_segment.ends_with(':') && path[first_segment.len()..].starts_with("//") {
            return Err(PathError::Absolute);
        }
        if path.contains('#') {
            return Err(PathError::Fragment);
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(PathError::of(path));
        }
        if path == "*" {
            return Ok(PathAndQuery::from_static("*"));
        }
        if path.starts_with("*?") {
            return Err(PathError::QueryOfAll);
        }
        let whole = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
        PathAndQuery::try_from(whole).map_err(|_| PathError::of(path))
    }

    /// The URL of a request to this target: the request's path follows the base path byte for byte, and the query is as it is
    /// (`per_target_request`). It never leaves the target's authority. `*`, all of a server, stays as it is (RFC 9112,
    /// section 3.2.4).
    ///
    /// # Errors
    ///
    /// The joined URL is too long.
    pub fn uri(&self, path: &PathAndQuery) -> Result<Uri, PathError> {
        let request = path.as_str();
        let slash = if request.starts_with('/') { "" } else { "/" };
        let path = if request == "*" || (self.base_path.is_empty() && slash.is_empty()) {
            path.clone()
        } else {
            let joined = format!("{}{slash}{request}", self.base_path);
            PathAndQuery::try_from(joined).map_err(|_| PathError::TooLong)?
        };
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|_| PathError::TooLong)
    }

    /// Its name: the one that it was given, or else its URL without user information. In a list, a URL that stands twice is
    /// told apart as `URL#2`.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{self}{}", self.base_path))
    }

    /// The scheme, http or https.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Its URL's host and port, the scheme's default port dropped.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Its URL's host, without the port; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// Its URL's port, or its scheme's.
    #[must_use]
    pub fn port(&self) -> u16 {
        let default_port = if self.scheme == Scheme::HTTP { 80 } else { 443 };
        self.authority.port_u16().unwrap_or(default_port)
    }

    /// Its own bound for each attempt, if it has one.
    #[cfg(feature = "serde")]
    pub(crate) fn own_attempt_timeout(&self) -> Option<Duration> {
        self.attempt_timeout
    }

    /// What connecting may take: its own bound, or else the policy's.
    #[must_use]
    pub fn connect_bound(&self, policy: &Policy) -> Duration {
        self.connect_timeout.unwrap_or(policy.connect_timeout)
    }

    /// How it is reached, where its URL does not say it.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Whether it is reached otherwise than its URL says.
    #[must_use]
    pub fn has_route(&self) -> bool {
        self.route != Route::default()
    }

    /// Whether the same connections lead to both: scheme, host, port and route are equal.
    #[must_use]
    pub fn shares_connections_with(&self, other: &Self) -> bool {
        (&self.scheme, &self.authority, &self.route) == (&other.scheme, &other.authority, &other.route)
    }

    /// The value of the `Host` header: host and port, the scheme's default port dropped (RFC 9110, section 4.2.3).
    #[must_use]
    pub fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    /// The target's own headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl FromStr for Target {
    type Err = BuildError;

    fn from_str(url: &str) -> Result<Self, BuildError> {
        Self::parse(url)
    }
}

impl TryFrom<&str> for Target {
    type Error = BuildError;

    fn try_from(url: &str) -> Result<Self, BuildError> {
        Self::parse(url)
    }
}

impl TryFrom<String> for Target {
    type Error = BuildError;

    fn try_from(url: String) -> Result<Self, BuildError> {
        Self::parse(&url)
    }
}

impl TryFrom<&String> for Target {
    type Error = BuildError;

    fn try_from(url: &String) -> Result<Self, BuildError> {
        Self::parse(url)
    }
}

impl TryFrom<Uri> for Target {
    type Error = BuildError;

    fn try_from(url: Uri) -> Result<Self, BuildError> {
        Self::parse(&url.to_string())
    }
}

impl From<Target> for Entry<Target> {
    fn from(target: Target) -> Self {
        let name = target.name();
        let mut entry = Self::new(target.clone()).state(target.state);
        entry = if target.name.is_some() { entry.named(name) } else { entry.known_as(name) };
        if let Some(time) = target.attempt_timeout {
            entry = entry.attempt_timeout(time);
        }
        if let Some(time) = target.connect_timeout {
            entry = entry.connect_timeout(time);
        }
        entry
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// A request's path that no target can be asked for. The path itself may be secret and is not shown, but for a character that
/// no path has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// An absolute URL would leave the target.
    #[error("an absolute URL is no path: expected one such as /users?page=2")]
    Absolute,
    /// Fragments are not sent.
    #[error("the path has a fragment: expected none")]
    Fragment,
    /// A character that must be percent-encoded.
    #[error("the path has {0:?} in it, which must be percent-encoded")]
    Characters(char),
    /// `*` is all of a server, not a part of it that has a query.
    #[error("`*` has no query: expected none, or the path /*")]
    QueryOfAll,
    /// It leads above where it begins, by dot segments.
    #[error("the path leads out of what is served")]
    Outside,
    /// Longer than a URL can be.
    #[error("the URL is too long: expected less than 64 KiB")]
    TooLong,
}

impl PathError {
    /// What is wrong with a path that is none: a character, or else its length.
    fn of(path: &str) -> Self {
        let mut before = "/";
        let is_refused = |character: &char| {
            if *character == '?' {
                before = "/?";
            }
            !character.is_ascii_graphic() || PathAndQuery::try_from(format!("{before}{character}")).is_err()
        };
        path.chars().find(is_refused).map_or(Self::TooLong, Self::Characters)
    }
}
