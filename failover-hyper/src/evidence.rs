//! What an attempt's failure proves about whether it was executed.

use std::error::Error as StdError;
use std::io;

use failover_core::Evidence;

use crate::connect::{ConnectError, OriginError};
use crate::error::{AttemptError, BoxError, Fault};
use crate::http1;
#[cfg(feature = "http2")]
use crate::http2;
use crate::progress::Elapsed;
use crate::replay::InboundError;

impl AttemptError {
    /// A request that could not be built.
    pub fn unbuilt(error: impl Into<BoxError>) -> Self {
        Self::new(Evidence::LocalFault, Fault::Local, error.into())
    }

    /// A request whose body is longer than its caller lets it be, whatever the transport made of that.
    pub(crate) fn too_long(error: Self) -> Self {
        Self::new(Evidence::LocalFault, Fault::TooLong, Some(error.into()))
    }

    /// A request that was given up while it waited for a connection.
    #[must_use]
    pub fn unconnected() -> Self {
        Self::new(Evidence::NoConnection, Fault::ConnectTimeout, None)
    }

    /// An attempt that was dropped when its time was over.
    #[must_use]
    pub fn timeout(elapsed: &Elapsed) -> Self {
        let evidence = elapsed.proves();
        let fault = match evidence {
            Evidence::NoConnection => return Self::unconnected(),
            Evidence::NotSent => Fault::NotReady,
            Evidence::LocalFault => Fault::RequestBody,
            _ => Fault::Timeout(elapsed.limit),
        };
        Self::new(evidence, fault, None)
    }

    /// An error of a service that had taken the request, and what it proves.
    pub fn service(evidence: Evidence, error: impl Into<BoxError>) -> Self {
        let error = error.into();
        Self::new(evidence, of(&*error).1, error)
    }

    /// A service that failed before it took the request.
    pub(crate) fn not_ready(error: impl Into<BoxError>) -> Self {
        Self::new(Evidence::NotSent, Fault::NotReady, error.into())
    }

    /// An answer that is none of HTTP, or none to the request.
    #[must_use]
    pub fn garbage() -> Self {
        Self::new(Evidence::MaybeProcessed, Fault::Garbage, None)
    }

    /// The answer broke off of which a judge waited for a part.
    pub(crate) fn broke_off(error: Option<BoxError>) -> Self {
        Self::new(Evidence::MaybeProcessed, Fault::BrokeOff, error)
    }
}

/// Why a [`Transport`](crate::Transport) has no answer.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub struct TransportError {
    evidence: Evidence,
    fault: Fault,
    source: Option<BoxError>,
}

impl TransportError {
    /// What it proves about whether the request was executed.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        of(self).0
    }

    /// What went wrong.
    #[must_use]
    pub fn fault(&self) -> Fault {
        of(self).1
    }

    /// A request for a URI to which there can be no connections here.
    pub(crate) fn no_origin(error: OriginError) -> Self {
        match error {
            OriginError::NoTls => Self::new(Evidence::NoConnection, Fault::Tls, error),
            _ => Self::new(Evidence::LocalFault, Fault::Local, error),
        }
    }

    /// An answer whose head is too large.
    pub(crate) fn large_head() -> Self {
        Self { evidence: Evidence::MaybeProcessed, fault: Fault::Garbage, source: None }
    }

    /// A connection that ended before it was handed over to another protocol.
    pub(crate) fn closed() -> Self {
        Self { evidence: Evidence::MaybeProcessed, fault: Fault::Closed, source: None }
    }

    fn new(evidence: Evidence, fault: Fault, source: impl Into<BoxError>) -> Self {
        Self { evidence, fault, source: Some(source.into()) }
    }
}

impl From<TransportError> for AttemptError {
    fn from(error: TransportError) -> Self {
        Self::new(error.evidence(), error.fault(), Some(error.into()))
    }
}

impl From<ConnectError> for TransportError {
    /// Without a connection there is nothing that the request was sent on.
    fn from(error: ConnectError) -> Self {
        if is_short_of_room(&error) {
            return Self::new(Evidence::NoRoom, Fault::Local, error);
        }
        let fault = match &error {
            ConnectError::Full => return Self::new(Evidence::NotSent, Fault::NotReady, error),
            ConnectError::Resolve(_) => Fault::Resolve,
            ConnectError::Tls(_) => Fault::Tls,
            ConnectError::Elapsed => Fault::ConnectTimeout,
            ConnectError::NotHttp2 => Fault::NotHttp2,
            ConnectError::Http(_) | ConnectError::Opener(_) | ConnectError::Panicked => Fault::Connect,
            ConnectError::Tcp(error) | ConnectError::Unix(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Fault::Refused,
                io::ErrorKind::TimedOut => Fault::ConnectTimeout,
                io::ErrorKind::NotFound => Fault::NoSocket,
                _ => Fault::Connect,
            },
        };
        Self::new(Evidence::NoConnection, fault, error)
    }
}

impl From<http1::Broken> for TransportError {
    fn from(http1::Broken { error, handed_back, lost, began }: http1::Broken) -> Self {
        let handed_back = handed_back.is_some();
        let closed =
            lost || error.is_incomplete_message() || find::<io::Error>(&error).is_some_and(is_closed);
        let (evidence, fault) = if handed_back {
            (Evidence::HandedBack, Fault::Unsent)
        } else if error.is_user() && !lost {
            (Evidence::LocalFault, Fault::Local)
        } else if began.is_untouched() {
            // A connection that was idle may have been closed meanwhile, which says nothing of the target.
            (if began.may_be_stale() { Evidence::HandedBack } else { Evidence::NotSent }, Fault::Unsent)
        } else if error.is_parse() {
            (Evidence::MaybeProcessed, Fault::Garbage)
        } else if closed && began.may_be_stale() {
            (Evidence::Stale, Fault::Closed)
        } else {
            (Evidence::MaybeProcessed, Fault::Closed)
        };
        Self::new(evidence, fault, error)
    }
}

#[cfg(feature = "http2")]
impl From<http2::Broken> for TransportError {
    fn from(http2::Broken { error, handed_back, ended, began }: http2::Broken) -> Self {
        let (evidence, fault) = if handed_back {
            (Evidence::HandedBack, Fault::Unsent)
        } else if ended && began.is_untouched() {
            (if began.may_be_stale() { Evidence::HandedBack } else { Evidence::NotSent }, Fault::Unsent)
        } else if find::<io::Error>(&error).is_some_and(is_closed) && began.may_be_stale() {
            (Evidence::Stale, Fault::Closed)
        } else if let Some(error) = find::<h2::Error>(&error) {
            over_http2(error)
        } else {
            (Evidence::MaybeProcessed, Fault::Closed)
        };
        Self::new(evidence, fault, error)
    }
}

/// What an error proves that stands anywhere among the causes of this one (`unknown_service`).
pub(crate) fn of(error: &(dyn StdError + 'static)) -> (Evidence, Fault) {
    if find::<InboundError>(error).is_some() {
        return (Evidence::LocalFault, Fault::RequestBody);
    }
    find::<TransportError>(error)
        .map_or((Evidence::MaybeProcessed, Fault::Service), |error| (error.evidence, error.fault))
}

/// What the end of a stream proves (RFC 9113, section 8.7).
///
/// A GOAWAY proves nothing here: hyper has the same error for a stream above its last one and for a stream that was
/// sent in the very moment in which another thread read it (`never_twice`).
#[cfg(feature = "http2")]
fn over_http2(error: &h2::Error) -> (Evidence, Fault) {
    if error.is_remote() && error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM) {
        (Evidence::Refused, Fault::Unprocessed)
    } else if error.is_library() {
        (Evidence::MaybeProcessed, Fault::Garbage)
    } else if error.is_reset() && !error.is_remote() {
        // From this side a stream is reset because its request's body failed.
        (Evidence::LocalFault, Fault::RequestBody)
    } else {
        (Evidence::MaybeProcessed, Fault::Closed)
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof
    )
}

/// Whether an error tells that this process or machine is short of what a connection needs: memory, or descriptors.
#[must_use]
pub fn is_short_of_room(error: &(dyn StdError + 'static)) -> bool {
    find::<io::Error>(error).is_some_and(|error| {
        error.kind() == io::ErrorKind::OutOfMemory
            || error.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code))
    })
}

/// The first error of type `E` among an error and its causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// ENFILE and EMFILE.
#[cfg(unix)]
const NO_DESCRIPTORS: [i32; 2] = [23, 24];

/// WSAEMFILE and WSAENOBUFS.
#[cfg(windows)]
const NO_DESCRIPTORS: [i32; 2] = [10024, 10055];

#[cfg(not(any(unix, windows)))]
const NO_DESCRIPTORS: [i32; 0] = [];
