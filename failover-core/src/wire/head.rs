//! The head of a request: what all attempts of a call have in common, and what each target makes of it.

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode};

use crate::evidence::Facts;
use crate::wire::target::{PathError, Target};

/// Method, path and headers of a request, before it is aimed at a target.
///
/// The core's transitions never look into it; it is for adapters, which all follow the same rules.
///
/// # Examples
///
/// ```
/// use failover_core::{Head, Target};
/// use http::{HeaderMap, Method};
///
/// let head = Head::new(Method::POST, Target::path("/orders")?, HeaderMap::new(), Some(2)).ok_or("a tunnel")?;
/// let request = head.aim(&Target::parse("http://api.example/v1")?, "{}")?;
/// assert_eq!(request.uri(), "http://api.example/v1/orders");
/// assert_eq!((&request.headers()["host"], &request.headers()["content-length"]), (&"api.example".parse()?, &2.into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Head {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
}

impl Head {
    /// The head of a request whose body has this length, if it is known, with the framing headers that fit.
    ///
    /// A length of zero is stated only where the method lets a body be expected, or where it was stated before
    /// (RFC 9110, section 8.6). A body of unknown length comes in chunks, whatever the method: a transport that goes by that
    /// would lose the one of a GET.
    ///
    /// There is none for CONNECT, which asks for a tunnel.
    #[must_use]
    pub fn new(
        method: Method,
        path: PathAndQuery,
        mut headers: HeaderMap,
        length: Option<u64>,
    ) -> Option<Self> {
        if method == Method::CONNECT {
            return None;
        }
        // Few headers are passed over faster than one is looked up.
        let has = |name| headers.keys().any(|key| *key == name);
        let (coded, stated) = (has(TRANSFER_ENCODING), has(CONTENT_LENGTH));
        if coded {
            headers.remove(TRANSFER_ENCODING);
        }
        if stated {
            headers.remove(CONTENT_LENGTH);
        }
        let expected = stated || matches!(method, Method::POST | Method::PUT | Method::PATCH);
        if let Some(length) = length.filter(|&length| length > 0 || expected) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if length.is_none() {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Some(Self { method, path, headers })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.path()
    }

    /// The headers, with the framing that fits. [`aim`](Self::aim) adds `Host` and a target's own.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The facts that method and headers tell.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts::of(&self.method, &self.headers)
    }

    /// Whether this status can be that of an answer: 101 only if the request asks for another protocol (RFC 9110,
    /// section 15.2.2). Otherwise what came is no HTTP.
    #[must_use]
    pub fn may_be_answered_by(&self, status: StatusCode) -> bool {
        status != StatusCode::SWITCHING_PROTOCOLS || self.headers.contains_key(UPGRADE)
    }

    /// The request as it is sent to `target` with its body: the target's URL, `Host` and own headers (`per_target_request`), else
    /// the same for every target (`exact`, `same_key`).
    ///
    /// # Errors
    ///
    /// The target's path and the request's are too long together.
    pub fn aim<B>(&self, target: &Target, body: B) -> Result<Request<B>, PathError> {
        let uri = target.uri(&self.path)?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        if !self.headers.is_empty() {
            headers.clone_from(&self.headers);
        }
        for (name, value) in target.headers() {
            headers.insert(name, value.clone());
        }
        headers.insert(HOST, target.host_header().clone());
        Ok(request)
    }
}
