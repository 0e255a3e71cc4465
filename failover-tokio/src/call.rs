//! One call: the request as the caller gave it, before it is aimed at a target.

use std::time::Duration;

use failover_core::{Facts, PathError, Target, settle_framing};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Extensions, Method, Request, Response, Uri};
use http_body::Body;

use crate::body::{AttemptBody, CallBody};
use crate::error::Error;
use crate::evidence::Failed;
use crate::forward::hand_back;

/// How long the caller of a request waits for its answer, as an extension of the request.
///
/// The shorter of this and the policy's deadline bounds the call. Like failover, it ends with the head of the answer:
/// how long the body may take is for its reader to bound.
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
    request: failover_core::Head,
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
        let Parts { method, uri, headers, extensions, .. } = head;
        let head = failover_core::Head::new(method, path_of(&uri), headers, body.size_hint().exact());
        let head = head.ok_or(Error::Method)?;
        let within = extensions.get().map(|Within(time)| *time);
        Ok(Self { head: Head { request: head, extensions, inbound: false }, body, within })
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
        self.head.request.method()
    }

    pub(crate) fn facts(&self) -> Facts {
        let facts = self.head.request.facts();
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
        let mut request = self.request.aim(target)?.map(|()| body);
        *request.extensions_mut() = self.extensions.clone();
        Ok(request)
    }

    /// A response, if it is one to this request.
    ///
    /// # Errors
    ///
    /// It is none.
    pub(crate) fn checked<B>(&self, mut response: Response<B>) -> Result<Response<B>, Failed> {
        let fits = self.request.may_be_answered_by(response.status());
        if fits && settle_framing(response.headers_mut()) { Ok(response) } else { Err(Failed::garbage()) }
    }

    /// Makes a target's response fit for who made the request.
    pub(crate) fn receive<B>(&self, response: &mut Response<B>) {
        if self.inbound {
            hand_back(response);
        }
    }
}

/// The path and query of a request's URI; its scheme and authority are the target's to say.
fn path_of(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}
