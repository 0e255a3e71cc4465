//! Why an attempt has no answer. None of it shows more of a URL than scheme, host and port.

use std::fmt;
use std::iter::successors;
use std::time::Duration;

use failover_core::{Evidence, Failure, PathError, Reason, Stopped};
use http::StatusCode;

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an attempt has no answer: its [`fault`](Self::fault), and in words also its [`cause`](Self::cause).
#[derive(Debug)]
pub struct AttemptError {
    evidence: Evidence,
    fault: Fault,
    source: Option<BoxError>,
}

impl AttemptError {
    /// An error with its cause, where there is one.
    pub fn new(evidence: Evidence, fault: Fault, source: impl Into<Option<BoxError>>) -> Self {
        Self { evidence, fault, source: source.into() }
    }

    /// What it proves about whether the request was executed.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// What went wrong.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Whether the attempt's time was over: for a connection, for a service to be ready, or for the answer.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self.fault {
            Fault::Timeout(_) | Fault::ConnectTimeout => true,
            // With a source it failed.
            Fault::NotReady => self.source.is_none(),
            _ => false,
        }
    }

    /// The innermost cause of a fault that is the transport's, such as an expired certificate.
    ///
    /// It holds nothing of the request, unless a connector, a resolver or a body of the caller's puts it there. What else is
    /// known stands among the sources, which may be those of a service or a body of the caller's.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let known = matches!(
            self.fault,
            Fault::Resolve
                | Fault::Connect
                | Fault::Tls
                | Fault::NotHttp2
                | Fault::BrokeOff
                | Fault::Closed
                | Fault::Garbage
                | Fault::Local
        );
        let outermost = self.source.as_deref().filter(|_| known)?;
        innermost(outermost.source()?)
    }
}

/// The status by which a gateway tells its client of a call that stopped (RFC 9110, sections 15.5 and 15.6).
#[must_use]
pub fn gateway_status<R>(stopped: &Stopped<R, AttemptError>) -> StatusCode {
    let last = stopped.failures().last().and_then(Failure::error);
    let is_late = stopped.failures().iter().filter_map(Failure::error).any(AttemptError::is_timeout);
    match (stopped.reason(), last.map(|last| (last.fault(), last.source.as_deref()))) {
        (Reason::LocalFault, Some((Fault::TooLong, _))) => StatusCode::PAYLOAD_TOO_LARGE,
        (Reason::LocalFault, Some((Fault::RequestBody, Some(_)))) => StatusCode::BAD_REQUEST,
        (Reason::LocalFault, Some((Fault::RequestBody, None))) => StatusCode::REQUEST_TIMEOUT,
        (Reason::LocalFault, Some((_, Some(source)))) if source.is::<PathError>() => StatusCode::URI_TOO_LONG,
        (Reason::LocalFault, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Reason::Deadline, None) if stopped.failures().is_empty() => StatusCode::GATEWAY_TIMEOUT,
        (_, Some((Fault::NotReady, _))) => StatusCode::GATEWAY_TIMEOUT,
        _ if is_late => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.fault.to_string();
        f.write_str(&fault)?;
        let cause =
            self.cause().map(ToString::to_string).filter(|cause| !cause.is_empty() && *cause != fault);
        cause.map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for AttemptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The innermost cause of an error, which may be itself, unless it is the words of a peer.
pub(crate) fn innermost<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a (dyn std::error::Error + 'static)> {
    let innermost = successors(Some(error), |error| error.source()).last()?;
    // What a peer says beside its GOAWAY can be anything.
    #[cfg(feature = "http2")]
    if innermost.downcast_ref().is_some_and(h2::Error::is_go_away) {
        return None;
    }
    Some(innermost)
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
    /// There is no Unix socket at the path.
    #[error("there is no such Unix socket")]
    NoSocket,
    /// There is no connection, for another reason.
    #[error("no connection")]
    Connect,
    /// The host did not take the connection in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The target's service was not ready in time, or failed before it took the request.
    #[error("the target's service was not ready")]
    NotReady,
    /// The host's certificate is not trusted, or it does not speak TLS.
    #[error("the TLS handshake failed")]
    Tls,
    /// The host does not speak HTTP/2, which it was to speak unasked.
    #[error("the target does not speak HTTP/2")]
    NotHttp2,
    /// The connection was closed before it took the request.
    #[error("the connection closed before it took the request")]
    Unsent,
    /// The target stated that it did not process the request: it is overloaded or shuts down.
    #[error("the target did not process the request")]
    Unprocessed,
    /// The head of the answer did not come in the attempt's time, here without the progress of the request's body.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection was closed or reset before the head of the answer was complete.
    #[error("the connection closed before the answer")]
    Closed,
    /// The body of the answer broke off, of which a judge waited for a part.
    #[error("the answer broke off")]
    BrokeOff,
    /// What came is no HTTP response, or its head is too large.
    #[error("the answer is not HTTP")]
    Garbage,
    /// The target's service failed, in a way that only its error tells.
    #[error("the target's service failed")]
    Service,
    /// The caller's own client or middleware failed, with an error of its own as the source.
    #[error("the client failed")]
    Client,
    /// The request's body failed or stalled where the caller provides it.
    #[error("the request's body broke off")]
    RequestBody,
    /// The request's body is longer than the bound that it was given, by `http_body_util::Limited`.
    #[error("the request's body is too long")]
    TooLong,
    /// The request cannot be built, or this process has no file descriptors left.
    #[error("the request cannot be sent from here")]
    Local,
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::connect::ConnectError;

    #[test]
    fn the_cause_of_a_fault_is_told_where_it_says_more() {
        for (cause, told) in [
            ("network is unreachable", "no connection: network is unreachable"),
            ("no connection", "no connection"),
            ("", "no connection"),
        ] {
            let source = BoxError::from(ConnectError::Tcp(io::Error::other(cause)));
            let error = AttemptError::new(Evidence::NoConnection, Fault::Connect, source);
            assert_eq!(error.to_string(), told);
        }
        let private = AttemptError::service(Evidence::MaybeProcessed, io::Error::other("a password"));
        assert_eq!(private.to_string(), "the target's service failed");
    }
}
