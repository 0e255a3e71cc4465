//! One call: the request as the caller gave it, before it is aimed at a target.

use failover_core::{Facts, PathError, Target};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};

use crate::body::{AttemptBody, CallBody};
use crate::error::Error;
use crate::forward::hand_back;

/// A request without a target.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) head: Head,
    pub(crate) body: CallBody,
}

/// What each attempt's request begins with.
#[derive(Debug)]
pub(crate) struct Head {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    /// Whether a server received the request, and will answer it with the response.
    inbound: bool,
}

impl Call {
    /// A request with the framing headers that fit its body.
    ///
    /// # Errors
    ///
    /// The method is CONNECT, which asks for a tunnel.
    pub(crate) fn new(
        method: Method,
        path: PathAndQuery,
        mut headers: HeaderMap,
        body: CallBody,
    ) -> Result<Self, Error> {
        if method == Method::CONNECT {
            return Err(Error::Method);
        }
        frame(&method, &mut headers, &body);
        Ok(Self { head: Head { method, path, headers, inbound: false }, body })
    }

    /// The same for a request that a server received.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn inbound(
        method: Method,
        path: PathAndQuery,
        headers: HeaderMap,
        body: CallBody,
    ) -> Result<Self, Error> {
        let Self { head, body } = Self::new(method, path, headers, body)?;
        Ok(Self { head: Head { inbound: true, ..head }, body })
    }

    pub(crate) fn facts(&self) -> Facts {
        let facts = Facts::of(&self.head.method, &self.head.headers);
        if self.body.is_one_shot() { facts.one_shot() } else { facts }
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
        *request.uri_mut() = target.uri(&self.path)?;
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

/// The path and query of a request's URI; its scheme and authority are the target's to say.
pub(crate) fn path_of(uri: &Uri) -> PathAndQuery {
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
