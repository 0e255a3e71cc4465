//! What each attempt's request is made of: the request as the caller gave it, before it is aimed at a target.

use std::fmt;
use std::time::Duration;

use failover_core::{Facts, Head, Judge, Judges, PathError, Replay, Target};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, Method, Request, StatusCode, Version};

use crate::expect::{self, Expectation};
use crate::judging::unless_it_panics;
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

/// Whether a second execution of a request is harmless, as an extension of the request, whatever its method and headers say.
///
/// # Examples
///
/// ```
/// use failover_hyper::Idempotent;
///
/// let search = http::Request::post("/search").extension(Idempotent(true)).body("{}")?;
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Idempotent(pub bool);

/// The most attempts of a call, at least one even if it is 0, as an extension of its request, in place of the policy's
/// [`max_attempts`](field@failover_core::Policy::max_attempts).
///
/// # Examples
///
/// ```
/// use failover_hyper::Attempts;
///
/// let request = http::Request::get("/users").extension(Attempts(1)).body("")?;
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempts(pub u8);

/// A request without a target.
///
/// What is to hold for its call alone are extensions of the request: [`Within`], [`Replay`], [`Idempotent`] and [`Attempts`].
pub struct Template {
    head: Head,
    extensions: Extensions,
    body: CallBody,
    own: Own,
    expects: bool,
}

impl Template {
    /// A request with the framing headers that fit its body. Of its URI, path and query are used.
    ///
    /// There is none for CONNECT, which asks for a tunnel.
    #[must_use]
    pub fn new(head: Parts, body: CallBody) -> Option<Self> {
        let Parts { method, uri, version, headers, extensions, .. } = head;
        let path = uri.into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Self::of((method, path, version), headers, extensions, body)
    }

    /// The same of a request in parts.
    #[inline]
    pub(crate) fn of(
        (method, path, version): (Method, PathAndQuery, Version),
        mut headers: HeaderMap,
        extensions: Extensions,
        body: CallBody,
    ) -> Option<Self> {
        let length = body.size_hint().exact();
        let expects = expect::settle(&mut headers, version, length != Some(0));
        let head = Head::new(method, path, headers, length)?;
        let own = if extensions.is_empty() { Own::default() } else { Own::of(&extensions) };
        Some(Self { head, extensions, body, own, expects })
    }

    /// Drops the request's extensions, for those that concern the connection that it came over.
    pub fn drop_extensions(&mut self) {
        self.extensions = Extensions::new();
    }

    /// The method.
    pub(crate) fn method(&self) -> &Method {
        self.head.method()
    }

    /// The path, without the query.
    pub(crate) fn path(&self) -> &str {
        self.head.path()
    }

    /// The headers, without those that are a target's own.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// What the machine must know of it, some of which judges may know.
    pub(crate) fn facts(&self, judges: &Judges) -> Facts {
        let facts = self.head.facts();
        let facts = if self.body.is_one_shot() { facts.one_shot() } else { facts };
        let vouched = || unless_it_panics(|| judges.replay(self.method(), self.path())).flatten();
        let replay = self.own.replay.or_else(|| if judges.is_empty() { None } else { vouched() });
        self.own.add_to(replay.map_or(facts, |replay| facts.replay(replay)))
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
        let body = self.body.attempt(progress, expectation.cloned());
        let mut request = self.head.aim(target, body)?;
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

/// Without the path and what headers and body say.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("method", self.method()).finish_non_exhaustive()
    }
}

/// What holds for one call alone.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    within: Option<Duration>,
    replay: Option<Replay>,
    idempotent: Option<bool>,
    attempts: Option<u8>,
}

impl Own {
    fn of(extensions: &Extensions) -> Self {
        Self {
            within: extensions.get().map(|Within(time)| *time),
            replay: extensions.get().copied(),
            idempotent: extensions.get().map(|Idempotent(is_idempotent)| *is_idempotent),
            attempts: extensions.get().map(|Attempts(most)| *most),
        }
    }

    fn add_to(self, facts: Facts) -> Facts {
        let facts = self.within.map_or(facts, |time| facts.within(time));
        let facts = self.idempotent.map_or(facts, |is_idempotent| facts.idempotent(is_idempotent));
        self.attempts.map_or(facts, |most| facts.attempts(most))
    }
}
