//! What targets are told of who asked, and how often a request came by here (RFC 9110, section 7.6.3).

use std::net::IpAddr;

use http::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::{Request, Uri, Version};

/// Who sent a request that is to be forwarded, for the targets, which learn of it by `X-Forwarded-For`, `-Host` and `-Proto`.
///
/// A connection has one, for all of its requests.
///
/// # Examples
///
/// ```
/// use failover_tokio::{Error, FailoverClient, Peer, ResponseBody};
/// use http::{Request, Response};
/// use hyper::body::Incoming;
///
/// # async fn received(
/// #     client: FailoverClient, mut inbound: Request<Incoming>, from: std::net::SocketAddr
/// # ) -> Result<Response<ResponseBody>, Error> {
/// Peer::new(from.ip()).introduce(&mut inbound);
/// client.forward(inbound).await
/// # }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Peer {
    address: Option<HeaderValue>,
    is_secure: bool,
    is_trusted: bool,
}

impl Peer {
    /// A client at this address, over TCP.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        let address = HeaderValue::try_from(address.to_canonical().to_string());
        Self { address: address.ok(), ..Self::unnamed() }
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
    ///
    /// What the request itself says there, and by `Forwarded`, is replaced: anybody can write it. Only what a peer that is
    /// [trusted](Self::trusted) says is kept, and its address is added. The host is the one that was asked for, without user
    /// information, which is the client's secret.
    pub fn introduce<B>(&self, request: &mut Request<B>) {
        let host = host(request.uri(), request.headers());
        let headers = request.headers_mut();
        let scheme = HeaderValue::from_static(if self.is_secure { "https" } else { "http" });
        let said = headers.keys().any(|name| OF_THE_CLIENT.contains(name));
        if said && self.is_trusted {
            if let Some(address) = self.address.clone() {
                add(headers, FORWARDED_FOR, address);
            }
            headers.entry(FORWARDED_PROTO).or_insert(scheme);
            if let Some(host) = host {
                headers.entry(FORWARDED_HOST).or_insert(host);
            }
            return;
        }
        if said {
            for name in &OF_THE_CLIENT {
                headers.remove(name);
            }
        }
        if let Some(address) = self.address.clone() {
            headers.insert(FORWARDED_FOR, address);
        }
        headers.insert(FORWARDED_PROTO, scheme);
        if let Some(host) = host {
            headers.insert(FORWARDED_HOST, host);
        }
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

/// What servers on the way say of the client (RFC 7239).
pub(crate) static OF_THE_CLIENT: [HeaderName; 4] =
    [FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// More proxies like this in a row are one that is its own target.
const MOST_HOPS: usize = 8;
