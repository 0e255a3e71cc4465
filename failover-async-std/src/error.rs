//! What a call or one of its attempts fails with. None of it shows more of a URL than scheme, host and port.

use std::time::Duration;

use failover_core::{Evidence, PathError, Stopped};

use crate::answer::{Answered, Unrepresentable};

/// Any error.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

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
    /// A header has a name or a value that HTTP does not allow.
    #[error("a header of the request cannot be sent")]
    Header,
}

impl Error {
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

/// Why an attempt has no answer.
///
/// This is also what a [`Transport`](crate::Transport) fails with where it is used alone, by downcast of
/// [`surf::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub struct AttemptError {
    fault: Fault,
    evidence: Evidence,
    source: Option<BoxError>,
}

impl AttemptError {
    pub(crate) fn new(evidence: Evidence, fault: Fault, source: impl Into<Option<BoxError>>) -> Self {
        Self { fault, evidence, source: source.into() }
    }

    /// What went wrong.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// What that proves about whether the request was executed.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }
}

/// What can go wrong with an attempt.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The host's name has no address.
    #[error("the name was not resolved")]
    Resolve,
    /// Nobody listens at the port.
    #[error("connection refused")]
    Refused,
    /// There is no connection, for another reason.
    #[error("no connection")]
    Connect,
    /// The host did not take the connection in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The host's certificate is not trusted, or it does not speak TLS.
    #[error("the TLS handshake failed")]
    Tls,
    /// The connection was closed before it took the request.
    #[error("the connection closed before it took the request")]
    Unsent,
    /// The head of the answer did not come in the attempt's time, here without the progress of the request's body.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection was closed or reset before the head of the answer was complete.
    #[error("the connection closed before the answer")]
    Closed,
    /// What came is no HTTP response, or its head is too large.
    #[error("the answer is not HTTP")]
    Garbage,
    /// The request's body failed or stalled where the caller provides it.
    #[error("the request's body broke off")]
    RequestBody,
    /// The request cannot be built, or this process has no file descriptors left.
    #[error("the request cannot be sent from here")]
    Local,
    /// The caller's own client or middleware failed, with an error of its own as the source.
    #[error("the client failed")]
    Client,
}
