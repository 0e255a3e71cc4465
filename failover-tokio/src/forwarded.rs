//! What targets are told of who asked, and how often a request came by here (RFC 9110, section 7.6.3).

use std::net::IpAddr;

use http::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::request::Parts;
use http::{Uri, Version};

/// Who sent a request that is forwarded, as an extension of the request.
///
/// With it the targets learn of the client by `X-Forwarded-For`, `-Host` and `-Proto`. What the request itself says there, and by
/// `Forwarded`, is replaced: anybody can write it. Only what a peer that is [trusted](Self::trusted) says is kept, and its
/// address is added. Without it these headers pass as they are.
///
/// # Examples
///
/// ```
/// use failover_tokio::Peer;
/// use std::net::SocketAddr;
///
/// # fn received(mut inbound: http::Request<()>, client: SocketAddr) {
/// inbound.extensions_mut().insert(Peer::new(client.ip()));
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Peer {
    address: Option<IpAddr>,
    is_secure: bool,
    is_trusted: bool,
}

impl Peer {
    /// A client at this address, over TCP.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self { address: Some(address.to_canonical()), ..Self::unnamed() }
    }

    /// A client without an address, over a Unix socket.
    #[must_use]
    pub fn unnamed() -> Self {
        Self::default()
    }

    /// The same, over TLS.
    #[must_use]
    pub fn over_tls(self) -> Self {
        Self { is_secure: true, ..self }
    }

    /// The same, a proxy whose word on its own clients is taken.
    #[must_use]
    pub fn trusted(self) -> Self {
        Self { is_trusted: true, ..self }
    }

    /// Tells of it in the headers of its request.
    fn introduce(self, headers: &mut HeaderMap, host: Option<HeaderValue>) {
        if !self.is_trusted {
            for name in [FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO] {
                headers.remove(name);
            }
        }
        let address = self.address.map(|address| HeaderValue::try_from(address.to_string()));
        if let Some(Ok(address)) = address {
            add(headers, FORWARDED_FOR, address);
        }
        let scheme = HeaderValue::from_static(if self.is_secure { "https" } else { "http" });
        headers.entry(FORWARDED_PROTO).or_insert(scheme);
        if let Some(host) = host {
            headers.entry(FORWARDED_HOST).or_insert(host);
        }
    }
}

/// Tells of the sender of a request in its headers, if that is known.
pub(crate) fn introduce(head: &mut Parts) {
    if let Some(peer) = head.extensions.get::<Peer>() {
        let host = host(&head.uri, &head.headers);
        peer.introduce(&mut head.headers, host);
    }
}

/// What this proxy says in `Via` of a request that it received over this version of HTTP.
pub(crate) fn via(received: Version) -> &'static str {
    match received {
        Version::HTTP_10 => "1.0 failover",
        Version::HTTP_2 => "2.0 failover",
        _ => "1.1 failover",
    }
}

/// Whether a request came through proxies like this so often that one must be its own target.
pub(crate) fn is_looping(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(VIA).into_iter().map(HeaderValue::as_bytes);
    let hops = lines.flat_map(|line| line.split(|byte| *byte == b','));
    hops.filter(|hop| hop.trim_ascii_end().ends_with(b" failover")).count() >= MOST_HOPS
}

/// The host that a client asked for, without user information, which is its secret.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    match uri.authority() {
        Some(authority) => {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            HeaderValue::from_str(host).ok()
        }
        None => headers.get(HOST).cloned(),
    }
}

/// Adds an element to a header that is a list, and makes one line of it.
pub(crate) fn add(headers: &mut HeaderMap, name: HeaderName, element: HeaderValue) {
    if !headers.contains_key(&name) {
        headers.insert(name, element);
        return;
    }
    let before = headers.get_all(&name).into_iter().chain([&element]).map(HeaderValue::as_bytes);
    let list = before.collect::<Vec<_>>().join(&b", "[..]);
    headers.insert(name, HeaderValue::from_bytes(&list).unwrap_or(element));
}

pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// More proxies like this in a row are one that is its own target.
const MOST_HOPS: usize = 8;
