//! One call: the request as the caller gave it, before it is aimed at a target.

use std::time::Duration;

use failover_core::{Facts, Head, PathError, Target};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri};
use surf::http::url::Position;

use crate::answer::Received;
use crate::body::{AttemptBody, CallBody};
use crate::convert::{headers_of, method_of};
use crate::error::{AttemptError, Error};

/// How long the caller of a request waits for its answer, as an extension of the request: of [`http::Request`] or of
/// [`surf::Request`].
///
/// The shorter of this and the policy's deadline bounds the call.
///
/// # Examples
///
/// ```no_run
/// use failover_async_std::Within;
/// use std::time::Duration;
///
/// # async fn run(client: failover_async_std::FailoverClient) -> surf::Result<()> {
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
    head: Head,
    pub(crate) body: CallBody,
    within: Option<Duration>,
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
        headers: HeaderMap,
        body: CallBody,
    ) -> Result<Self, Error> {
        let head = Head::new(method, path, headers, body.length()).ok_or(Error::Method)?;
        Ok(Self { head, body, within: None })
    }

    /// A request of surf's, of whose body at most `limit` bytes are kept for another attempt.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), or the request has a header that HTTP does not allow.
    pub(crate) fn of_surf(request: &mut surf::Request, limit: usize) -> Result<Self, Error> {
        let body = CallBody::streamed(request.take_body(), limit);
        let method = method_of(request.method()).map_err(|_| Error::Method)?;
        let path = Target::path(&request.url()[Position::BeforePath..Position::AfterQuery])?;
        let headers = headers_of((*request).as_ref()).map_err(|_| Error::Header)?;
        Ok(Self::new(method, path, headers, body)?.within(request.ext().copied()))
    }

    /// The same call from a caller who waits only so long.
    pub(crate) fn within(self, within: Option<Within>) -> Self {
        Self { within: within.map(|Within(time)| time), ..self }
    }

    pub(crate) fn facts(&self) -> Facts {
        let facts = self.head.facts();
        let facts = self.within.map_or(facts, |time| facts.within(time));
        if self.body.is_one_shot() { facts.one_shot() } else { facts }
    }

    /// What was received, if it is an answer to this request.
    ///
    /// # Errors
    ///
    /// It is none.
    pub(crate) fn checked(&self, received: Received) -> Result<Received, AttemptError> {
        if self.head.may_be_answered_by(received.status) {
            Ok(received)
        } else {
            Err(AttemptError::garbage())
        }
    }

    /// The request as it is sent to `target`.
    ///
    /// # Errors
    ///
    /// The target's path and the request's are too long together.
    pub(crate) fn aim(&self, target: &Target, body: AttemptBody) -> Result<Request<AttemptBody>, PathError> {
        Ok(self.head.aim(target)?.map(|()| body))
    }
}

/// The path and query of a request's URI; its scheme and authority are the target's to say.
pub(crate) fn path_of(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}
