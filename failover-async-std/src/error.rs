//! What a call fails with. None of it shows more of a URL than scheme, host and port.

use failover_core::{Failure, PathError, Stopped};
use failover_hyper::{Answered, AttemptError, BoxError, InvalidHeader};

use crate::unrepresentable::Unrepresentable;

/// Why a call has no acceptable answer.
///
/// It converts to [`surf::Error`], from which it can be had again by downcast.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The attempts failed: it has the reason, the failures, and the last response if there was one.
    #[error(transparent)]
    Stopped(Stopped<Result<surf::Response, Unrepresentable>, AttemptError>),
    /// A target answered, with what surf's types cannot hold. The answer is in it.
    #[error(transparent)]
    Unrepresentable(Unrepresentable),
    /// The method is none: a token such as `GET`, and not `CONNECT`, which has no path to send.
    #[error("the method cannot be sent: expected a token such as GET, and not CONNECT")]
    Method,
    /// The path is none that can be joined to a target's.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A header of the request is one that HTTP does not allow.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// The value of the request's body is none that JSON can express: see the source.
    #[error("the value cannot be written as JSON")]
    Json(#[source] BoxError),
}

impl Error {
    failover_hyper::told_by_errors!();

    /// The last response of a target, if there was one: a real answer, though one that gave the target up.
    #[must_use]
    pub fn response(&self) -> Option<&surf::Response> {
        match self {
            Self::Stopped(stopped) => stopped.last_response().and_then(|reply| reply.as_ref().ok()),
            _ => None,
        }
    }

    /// The last response of a target, if there was one, to be passed on with its body; it carries [`Answered`].
    #[must_use]
    pub fn into_response(self) -> Option<surf::Response> {
        let Self::Stopped(stopped) = self else { return None };
        let (_, failures, reply) = stopped.into_parts();
        let mut response = reply?.ok()?;
        response.insert_ext(Answered::given_up(failures));
        Some(response)
    }
}
