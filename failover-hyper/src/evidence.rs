//! What an attempt's failure proves about whether it was executed.

use std::error::Error as StdError;
use std::io;

use failover_core::Evidence;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::Connected;

use crate::connect::ConnectError;
use crate::error::{AttemptError, BoxError, Fault};
use crate::progress::Elapsed;
use crate::replay::BodyError;
use crate::stream::Usage;
use crate::transport::TransportError;

impl AttemptError {
    /// A request that could not be built.
    pub fn unbuilt(error: impl Into<BoxError>) -> Self {
        Self::new(Evidence::LocalFault, Fault::Local, error.into())
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
    pub(crate) fn garbage() -> Self {
        Self::new(Evidence::MaybeProcessed, Fault::Garbage, None)
    }
}

/// What an error proves that stands anywhere among the causes of this one (`unknown_service`).
pub(crate) fn of(error: &(dyn StdError + 'static)) -> (Evidence, Fault) {
    if find::<BodyError>(error).is_some() {
        return (Evidence::LocalFault, Fault::RequestBody);
    }
    let Some(TransportError(error)) = find(error) else {
        return (Evidence::MaybeProcessed, Fault::Service);
    };
    match error.connect_info() {
        Some(connected) => after_connect(error, connected),
        None if find::<io::Error>(error).is_some_and(is_local) => (Evidence::NoRoom, Fault::Local),
        None => before_connect(error),
    }
}

/// Without a connection there is nothing that the request was sent on.
fn before_connect(error: &legacy::Error) -> (Evidence, Fault) {
    let fault = match find::<ConnectError>(error) {
        Some(ConnectError::Resolve(_)) => Fault::Resolve,
        Some(ConnectError::NoTls | ConnectError::Tls(_)) => Fault::Tls,
        Some(ConnectError::Elapsed) => Fault::ConnectTimeout,
        Some(ConnectError::Tcp(error)) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Fault::Refused,
            io::ErrorKind::TimedOut => Fault::ConnectTimeout,
            _ => Fault::Connect,
        },
        // The pool: another request opened the connection that this one was to share, and failed.
        None if error.is_connect() && find::<io::Error>(error).is_none() => {
            return (Evidence::HandedBack, Fault::Unsent);
        }
        None if error.is_connect() => Fault::Connect,
        None if error.source().is_some() => return (Evidence::NotSent, Fault::Unsent),
        None => return (Evidence::LocalFault, Fault::Local),
    };
    (Evidence::NoConnection, fault)
}

fn after_connect(error: &legacy::Error, connected: &Connected) -> (Evidence, Fault) {
    let Some(cause) = find::<hyper::Error>(error) else {
        return (Evidence::MaybeProcessed, Fault::Closed);
    };
    let closed = cause.is_incomplete_message() || find::<io::Error>(cause).is_some_and(is_closed);
    if cause.is_canceled() {
        (Evidence::HandedBack, Fault::Unsent)
    } else if let Some(error) = find::<h2::Error>(cause) {
        over_http2(error)
    } else if cause.is_user() && !connected.is_negotiated_h2() {
        // Over HTTP/2 it also stands for a connection that closed while the request waited for its stream.
        (Evidence::LocalFault, Fault::Local)
    } else if cause.is_parse() {
        (Evidence::MaybeProcessed, Fault::Garbage)
    } else if closed && Usage::of(connected).is_some_and(|usage| usage.is_stale()) {
        (Evidence::Stale, Fault::Closed)
    } else {
        (Evidence::MaybeProcessed, Fault::Closed)
    }
}

/// What the end of a stream proves (RFC 9113, section 8.7).
///
/// A GOAWAY proves nothing here: hyper has the same error for a stream above its last one and for a stream that was
/// sent in the very moment in which another thread read it (`never_twice`).
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

/// Whether this process or machine is short of what a connection needs.
fn is_local(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
        || error.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code))
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
