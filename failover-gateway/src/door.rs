//! The door: what a client's request must be, and what it is for the targets.

use std::net::IpAddr;

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, StatusCode, Uri, Version};
use ipnet::IpNet;

use crate::caller::Caller;

/// Why a request is let in no further.
pub(crate) type Refusal = (StatusCode, &'static str);

/// What is let in, and how it is passed on.
#[derive(Clone, Default)]
pub(crate) struct Door {
    /// What is below goes to the targets. Without a slash at its end, and so empty for everything.
    pub(crate) base: String,
    /// The proxies whose word on their own clients is taken.
    pub(crate) trusted: Trusted,
    /// Whether header names may have underscores: some targets take `x_key` for `x-key`.
    pub(crate) underscores: bool,
    /// The most bytes of a request's body, if there is a bound.
    pub(crate) max_body: Option<u64>,
}

/// Who is trusted: some addresses, and who comes over a Unix socket.
#[derive(Clone, Default)]
pub(crate) struct Trusted {
    pub(crate) networks: Vec<IpNet>,
    pub(crate) unix: bool,
}

impl Trusted {
    /// Whether a peer is, which has no address over a Unix socket.
    fn has(&self, address: Option<IpAddr>) -> bool {
        let has =
            |address: IpAddr| self.networks.iter().any(|network| network.contains(&address.to_canonical()));
        address.map_or(self.unix, has)
    }
}

impl Door {
    /// Makes of a client's request that of its targets.
    ///
    /// # Errors
    ///
    /// It is for no target.
    pub(crate) fn enter<B>(&self, request: &mut Request<B>, caller: &Caller) -> Result<(), Refusal> {
        let stated = || request.headers().get(CONTENT_LENGTH).and_then(length);
        if self.max_body.is_some_and(|most| stated().is_some_and(|length| length > most)) {
            return Err(TOO_LARGE);
        }
        let path = self.below(request.method(), request.uri())?;
        if let Some(authority) = request.uri().authority() {
            // It is what was asked for, whatever `Host` says (RFC 9112, section 3.2.2).
            let host = HeaderValue::from_str(without_user(authority)).map_err(|_| NO_HOST)?;
            request.headers_mut().insert(HOST, host);
        }
        if let Some(path) = path {
            *request.uri_mut() = Uri::from(path);
        }
        if !self.underscores {
            drop_underscores(request.headers_mut());
        }
        if self.trusted.has(caller.address) {
            caller.peer.clone().trusted().introduce(request);
        } else {
            caller.peer.introduce(request);
        }
        Ok(())
    }

    /// The part of a request's path that is below the base, which counts in whole segments; `None` if that is all of it.
    fn below(&self, method: &Method, uri: &Uri) -> Result<Option<PathAndQuery>, Refusal> {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if path == "*" && method == Method::OPTIONS {
            return Ok(Some(PathAndQuery::from_static("*")));
        }
        // It has none, and is refused wherever it leads.
        if method == Method::CONNECT {
            return Ok(Some(PathAndQuery::from_static("/")));
        }
        if self.base.is_empty() && uri.authority().is_none() && path.starts_with('/') {
            return Ok(None);
        }
        let rest =
            path.strip_prefix(&self.base).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        let rest = rest.ok_or((StatusCode::NOT_FOUND, "nothing is served at this path"))?;
        let slash = if rest.starts_with('/') { "" } else { "/" };
        PathAndQuery::try_from(format!("{slash}{rest}")).map(Some).map_err(|_| NO_PATH)
    }
}

/// Refuses what is no request of HTTP, be it for a target or for the gateway itself.
///
/// # Errors
///
/// It is for no path, its host is none (RFC 9112, section 3.2), or its body is longer than anything.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    // A host alone is the target of CONNECT only (RFC 9112, section 3.2.3).
    if request.uri().scheme().is_none()
        && request.uri().authority().is_some()
        && request.method() != Method::CONNECT
    {
        return Err(NO_PATH);
    }
    // Few headers are passed over faster than one is looked up.
    let (mut host, mut hosts, mut is_too_long) = (None, 0, false);
    for (name, value) in request.headers() {
        if *name == HOST {
            host = Some(value.as_bytes());
            hosts += 1;
        } else if *name == CONTENT_LENGTH {
            is_too_long |= length(value).is_some_and(|length| length > LONGEST_BODY);
        }
    }
    let authority = request.uri().authority().map(|authority| without_user(authority).as_bytes());
    let is_there = match request.version() {
        Version::HTTP_11 => host.is_some(),
        Version::HTTP_10 => true,
        _ => host.or(authority).is_some(),
    };
    if !is_there || hosts > 1 || !host.into_iter().chain(authority).all(is_host) {
        return Err(NO_HOST);
    }
    if is_too_long {
        return Err((StatusCode::BAD_REQUEST, "the body is longer than anything can be"));
    }
    Ok(())
}

/// The length of a body as it is stated.
fn length(stated: &HeaderValue) -> Option<u64> {
    stated.to_str().ok()?.parse().ok()
}

/// User information is the client's secret.
fn without_user(authority: &Authority) -> &str {
    authority.as_str().rsplit('@').next().unwrap_or_default()
}

/// Whether this is a host, and a port if there is one (RFC 9110, section 7.2).
fn is_host(host: &[u8]) -> bool {
    // Most are plain names, and told as such at once.
    if is_plain_host(host) {
        return true;
    }
    let Ok(authority) = Authority::try_from(host) else { return false };
    let Some(port) = authority.as_str().strip_prefix(authority.host()) else { return false };
    let is_port = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    !authority.host().is_empty() && port.strip_prefix(':').map_or(port.is_empty(), is_port)
}

/// Whether this is a name of letters, digits, dots and hyphens, and a port if there is one.
fn is_plain_host(host: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let name = host.iter().take_while(|byte| is_plain(byte)).count();
    let port = match &host[name..] {
        [] => &[],
        [b':', port @ ..] => port,
        _ => return false,
    };
    name > 0 && port.iter().all(u8::is_ascii_digit)
}

fn drop_underscores(headers: &mut HeaderMap) {
    let odd = headers.keys().filter(|name| name.as_str().as_bytes().contains(&b'_')).cloned();
    for name in odd.collect::<Vec<HeaderName>>() {
        headers.remove(name);
    }
}

const NO_HOST: Refusal = (StatusCode::BAD_REQUEST, "the request has not one Host, a host and perhaps a port");

const NO_PATH: Refusal = (StatusCode::BAD_REQUEST, "the path is none");

/// A body is larger than `max_request_body`.
pub(crate) const TOO_LARGE: Refusal =
    (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than is taken here");

const LONGEST_BODY: u64 = i64::MAX as u64;
