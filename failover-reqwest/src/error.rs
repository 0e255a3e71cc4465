//! What a call fails with. None of it shows more of a URL than scheme, host and port.

use std::error::Error as _;

use failover_core::{Failure, PathError, Reason, Stopped};
use failover_hyper::{Answered, AttemptError, ResponseBody};
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
    #[error("the URL is below none of the targets (a path alone goes below each target)")]
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

    /// Whether time ran out: that of any attempt, to connect or to answer, or that of the whole call. It may have been
    /// executed unless [`is_connect`](Self::is_connect), and another attempt may have failed otherwise.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let Self::Stopped(stopped) = self else { return false };
        let is_late = |error: &AttemptError| {
            let by_reqwest = error.source().and_then(|source| source.downcast_ref::<reqwest::Error>());
            error.is_timeout() || by_reqwest.is_some_and(reqwest::Error::is_timeout)
        };
        stopped.reason() == Reason::Deadline
            || stopped.failures().iter().filter_map(Failure::error).any(is_late)
    }

    failover_hyper::told_by_all_errors!(Self::Request(_) | Self::Method | Self::Path(_) | Self::Elsewhere);

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
