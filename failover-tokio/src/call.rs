//! One call: the request as the caller gave it, before it is aimed at a target.

use std::time::Duration;

use failover_core::{Facts, PathError, Target};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Extensions, Method, Request, Response, Uri};
use http_body::Body;

use crate::body::{AttemptBody, CallBody};
use crate::error::Error;
use crate::forward::hand_back;

/// How long the caller of a request waits for its answer, as an extension of the request.
///
/// The shorter of this and the policy's deadline bounds the call.
///
/// # Examples
///
/// ```no_run
/// # async fn run(client: failover_tokio::FailoverClient) -> Result<(), Box<dyn std::error::Error>> {
/// use failover_tokio::Within;
/// use std::time::Duration;
///
/// let request = http::Request::get("/users").extension(Within(Duration::from_millis(800))).body("")?;
/// let response = client.request(request).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Within(pub Duration);

/// A request without a target.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) head: Head,
    pub(crate) body: CallBody,
    within: Option<Duration>,
}

/// What each attempt's request begins with.
#[derive(Debug)]
pub(crate) struct Head {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    extensions: Extensions,
    /// Whether a server received the request, and will answer it with the response.
    inbound: bool,
}

impl Call {
    /// A request with the framing headers that fit its body. Of its URI, path and query are used.
    ///
    /// # Errors
    ///
    /// The method is CONNECT, which asks for a tunnel.
    pub(crate) fn new<B: Body>(head: Parts, body: CallBody) -> Result<Self, Error<B>> {
        let Parts { method, uri, mut headers, extensions, .. } = head;
        if method == Method::CONNECT {
            return Err(Error::Method);
        }
        frame(&method, &mut headers, &body);
        let within = extensions.get().map(|Within(time)| *time);
        let head = Head { method, path: path_of(&uri), headers, extensions, inbound: false };
        Ok(Self { head, body, within })
    }

    /// The same for a request that a server received. Its extensions concern the server's connection only.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn inbound<B: Body>(head: Parts, body: CallBody) -> Result<Self, Error<B>> {
        let call = Self::new(head, body)?;
        Ok(Self { head: Head { inbound: true, extensions: Extensions::new(), ..call.head }, ..call })
    }

    pub(crate) fn method(&self) -> &Method {
        &self.head.method
    }

    pub(crate) fn facts(&self) -> Facts {
        let facts = Facts::of(&self.head.method, &self.head.headers);
        let facts = if self.body.is_one_shot() { facts.one_shot() } else { facts };
        self.within.map_or(facts, |time| facts.within(time))
    }
}

impl Head {
    /// The request as it is sent to `target`.
    ///
    /// # Errors
    ///
    /// The target's path and the request's are too long together.
    pub(crate) fn aim(&self, target: &Target, body: AttemptBody) -> Result<Request<AttemptBody>, PathError> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = at_host(target.uri(&self.path)?, target.host());
        *request.extensions_mut() = self.extensions.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        for (name, value) in target.headers() {
            headers.insert(name, value.clone());
        }
        headers.insert(HOST, target.host().clone());
        Ok(request)
    }

    /// Makes a target's response fit for who made the request.
    pub(crate) fn receive<B>(&self, response: &mut Response<B>) {
        if self.inbound {
            hand_back(response);
        }
    }
}

/// The URI with the authority that `Host` has: HTTP/2 sends both, and they must be the same (RFC 9113, section 8.3.1).
fn at_host(uri: Uri, host: &HeaderValue) -> Uri {
    if uri.authority().is_some_and(|authority| authority.as_str().as_bytes() == host.as_bytes()) {
        return uri;
    }
    let same = uri.clone();
    let mut parts = uri.into_parts();
    parts.authority = host.as_bytes().try_into().ok();
    Uri::from_parts(parts).unwrap_or(same)
}

/// The path and query of a request's URI; its scheme and authority are the target's to say.
fn path_of(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

/// States the length of a body where it is known, and leaves the rest to the transport.
fn frame(method: &Method, headers: &mut HeaderMap, body: &CallBody) {
    headers.remove(TRANSFER_ENCODING);
    let Some(length) = body.size_hint().exact() else { return };
    // RFC 9110, section 8.6: a length of zero is said only where the method lets a body be expected.
    let expected = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    if length > 0 || expected || headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}
