//! What each attempt's request is made of: the request as the caller gave it, before it is aimed at a target.

use std::time::Duration;

use failover_core::{Facts, Head, PathError, Target};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Extensions, Method, Request, StatusCode};

use crate::expect::{self, Expectation};
use crate::progress::Progress;
use crate::request_body::{AttemptBody, CallBody};

/// How long the caller of a request waits for its answer, as an extension of the request.
///
/// The shorter of this and the policy's deadline bounds the call. Like failover, it ends with the head of the answer:
/// how long the body may take is for its reader to bound.
///
/// # Examples
///
/// ```
/// use failover_hyper::Within;
/// use std::time::Duration;
///
/// let request = http::Request::get("/users").extension(Within(Duration::from_millis(800))).body("")?;
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Within(pub Duration);

/// A request without a target.
#[derive(Debug)]
pub struct Template {
    head: Head,
    extensions: Extensions,
    body: CallBody,
    within: Option<Duration>,
    expects: bool,
}

impl Template {
    /// A request with the framing headers that fit its body. Of its URI, path and query are used.
    ///
    /// There is none for CONNECT, which asks for a tunnel.
    #[must_use]
    pub fn new(mut head: Parts, body: CallBody) -> Option<Self> {
        let length = body.size_hint().exact();
        let expects = expect::settle(&mut head, length != Some(0));
        let Parts { method, uri, headers, extensions, .. } = head;
        let path = uri.into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let head = Head::new(method, path, headers, length)?;
        let within = extensions.get().map(|Within(time)| *time);
        Some(Self { head, extensions, body, within, expects })
    }

    /// The same without the request's extensions, for those that concern the connection that it came over.
    #[must_use]
    pub fn without_extensions(self) -> Self {
        Self { extensions: Extensions::new(), ..self }
    }

    /// The method.
    pub(crate) fn method(&self) -> &Method {
        self.head.method()
    }

    /// What the machine must know of it.
    pub(crate) fn facts(&self) -> Facts {
        let facts = self.head.facts();
        let facts = if self.body.is_one_shot() { facts.one_shot() } else { facts };
        self.within.map_or(facts, |time| facts.within(time))
    }

    /// Whether each attempt's body waits until its target asks for it.
    pub(crate) fn expects(&self) -> bool {
        self.expects
    }

    /// The request as it is sent to `target`, its body when `expectation` is met, if there is one.
    ///
    /// # Errors
    ///
    /// The target's path and the request's are too long together.
    pub(crate) fn aim(
        &self,
        target: &Target,
        progress: Progress,
        expectation: Option<&Expectation>,
    ) -> Result<Request<AttemptBody>, PathError> {
        let mut request = self.head.aim(target)?.map(|()| self.body.attempt(progress, expectation.cloned()));
        *request.extensions_mut() = self.extensions.clone();
        if let Some(expectation) = expectation {
            expectation.listen(&mut request);
        }
        Ok(request)
    }

    /// The body, of which each attempt has its own.
    pub(crate) fn body(&self) -> &CallBody {
        &self.body
    }

    /// Whether only the attempt that is under way can send the rest of its body.
    pub(crate) fn is_gone(&self) -> bool {
        self.body.is_gone()
    }

    /// Whether this status can be that of an answer.
    pub(crate) fn may_be_answered_by(&self, status: StatusCode) -> bool {
        self.head.may_be_answered_by(status)
    }
}
