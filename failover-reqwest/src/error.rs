//! What a call fails with. None of it shows more of a URL than scheme, host and port.

use std::error::Error as _;

use failover_core::{Evidence, Failure, PathError, Reason, Stopped};
use failover_hyper::{Answered, AttemptError, Fault, ResponseBody};
use http::StatusCode;
use reqwest::{Body, Response};

use crate::answer::answer;

/// Why a call has no acceptable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The attempts failed: it has the reason, the failures, and the last response, if there was one that came whole.
    #[error(transparent)]
    Stopped(Stopped<Option<Response>, AttemptError>),
    /// reqwest cannot build the request: a header that HTTP does not allow, a value that is no JSON, a URL that is none.
    #[error("the request cannot be built")]
    Request(#[source] reqwest::Error),
    /// The method is `CONNECT`, which has no path to send.
    #[error("the method cannot be sent: expected one that is not CONNECT")]
    Method,
    /// The path is none that can be joined to a target's.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The URL leads to none of the targets: a path would lead to all of them.
    #[error("the URL is below none of the targets")]
    Elsewhere,
}

impl Error {
    pub(crate) fn unbuilt(error: reqwest::Error) -> Self {
        Self::Request(error.without_url())
    }

    pub(crate) fn stopped(stopped: Stopped<http::Response<ResponseBody<Body>>, AttemptError>) -> Self {
        let whole = |response: &http::Response<ResponseBody<Body>>| !response.body().is_let_go();
        Self::Stopped(stopped.map_response(|response| whole(&response).then(|| answer(response))))
    }

    /// Whether the call ended since its time was over: that of its last attempt, or all of it.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let Self::Stopped(stopped) = self else { return false };
        let last = stopped.failures().last().and_then(Failure::error);
        let by_reqwest = |error: &AttemptError| {
            let error = error.source().and_then(|source| source.downcast_ref::<reqwest::Error>());
            error.is_some_and(reqwest::Error::is_timeout)
        };
        match last.map(AttemptError::fault) {
            Some(Fault::Timeout(_) | Fault::ConnectTimeout) => true,
            _ => stopped.reason() == Reason::Deadline || last.is_some_and(by_reqwest),
        }
    }

    /// Whether there was no connection to any target, so that nothing was sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        let Self::Stopped(stopped) = self else { return false };
        let unconnected = |failure: &Failure<_>| failure.evidence() == Some(Evidence::NoConnection);
        !stopped.failures().is_empty() && stopped.failures().iter().all(unconnected)
    }

    /// Whether the request cannot be built, whatever the targets do.
    #[must_use]
    pub fn is_builder(&self) -> bool {
        !matches!(self, Self::Stopped(_))
    }

    /// Whether it is the request's body that failed, where the caller provides it.
    #[must_use]
    pub fn is_body(&self) -> bool {
        let Self::Stopped(stopped) = self else { return false };
        let last = stopped.failures().last().and_then(Failure::error).map(AttemptError::fault);
        matches!(last, Some(Fault::RequestBody | Fault::TooLong))
    }

    /// Whether the last target answered, with a status that gives a target up or an answer that a judge gave up.
    #[must_use]
    pub fn is_status(&self) -> bool {
        self.status().is_some()
    }

    /// The status of the last target's answer, if it gave one: a failover code, or any where a judge gave the answer up.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        let Self::Stopped(stopped) = self else { return None };
        stopped.failures().last().and_then(Failure::status)
    }

    /// The last response of a target, if there was one: a real answer, though one that gave the target up.
    ///
    /// There is none if the call let go of a long body's rest when it went on.
    #[must_use]
    pub fn response(&self) -> Option<&Response> {
        let Self::Stopped(stopped) = self else { return None };
        stopped.last_response()?.as_ref()
    }

    /// The same response, to be passed on with its body; it carries [`Answered`].
    #[must_use]
    pub fn into_response(self) -> Option<Response> {
        let Self::Stopped(stopped) = self else { return None };
        let (_, failures, response) = stopped.into_parts();
        let mut response = response.flatten()?;
        response.extensions_mut().insert(Answered::given_up(failures));
        Some(response)
    }
}
