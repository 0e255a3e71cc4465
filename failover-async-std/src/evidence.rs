//! What an attempt's failure proves about whether it was executed.

use std::error::Error as StdError;
use std::io;

use failover_core::Evidence;
use hyper_util::client::legacy;

use crate::body::BodyError;
use crate::connect::{ConnectError, Wire};
use crate::error::{AttemptError, BoxError, Fault};
use crate::progress::Elapsed;

impl AttemptError {
    /// A request that could not be built.
    pub(crate) fn unbuilt(error: impl Into<BoxError>) -> Self {
        Self::new(Evidence::LocalFault, Fault::Local, error.into())
    }

    /// An attempt that was dropped at its limit; `unsent` if it had got no connection by then.
    pub(crate) fn timeout(elapsed: Elapsed, unsent: bool) -> Self {
        if unsent {
            Self::new(Evidence::NotSent, Fault::ConnectTimeout, None)
        } else if elapsed.starved {
            Self::new(Evidence::LocalFault, Fault::RequestBody, None)
        } else {
            Self::new(Evidence::MaybeProcessed, Fault::Timeout(elapsed.limit), None)
        }
    }

    /// An answer that is none of HTTP, or none to the request.
    pub(crate) fn garbage() -> Self {
        Self::new(Evidence::MaybeProcessed, Fault::Garbage, None)
    }

    /// An error of the transport.
    pub(crate) fn transport(error: legacy::Error) -> Self {
        let (evidence, fault) = classify(&error);
        Self::new(evidence, fault, BoxError::from(error))
    }

    /// A request that was given up while it waited for a connection.
    pub(crate) fn revoked() -> Self {
        Self::new(Evidence::NotSent, Fault::ConnectTimeout, None)
    }

    /// An error of the caller's own client, which proves something only if it is one of our transport's.
    pub(crate) fn foreign(error: surf::Error) -> Self {
        error.downcast().unwrap_or_else(|error| {
            Self::new(Evidence::MaybeProcessed, Fault::Client, BoxError::from(error.into_inner()))
        })
    }
}

fn classify(error: &legacy::Error) -> (Evidence, Fault) {
    if find::<BodyError>(error).is_some() {
        return (Evidence::LocalFault, Fault::RequestBody);
    }
    if find::<io::Error>(error).is_some_and(is_local) {
        return (Evidence::LocalFault, Fault::Local);
    }
    match error.connect_info() {
        Some(connected) => after_connect(error, Wire::of(connected).is_some_and(|wire| wire.is_stale())),
        None => before_connect(error),
    }
}

/// Without a connection there is nothing that the request was sent on.
fn before_connect(error: &legacy::Error) -> (Evidence, Fault) {
    let fault = match find::<ConnectError>(error) {
        Some(ConnectError::Resolve(_)) => Fault::Resolve,
        Some(ConnectError::NoTls | ConnectError::Tls(_)) => Fault::Tls,
        Some(ConnectError::Elapsed(_)) => Fault::ConnectTimeout,
        Some(ConnectError::Tcp(error)) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Fault::Refused,
            io::ErrorKind::TimedOut => Fault::ConnectTimeout,
            _ => Fault::Connect,
        },
        None if error.source().is_some() => Fault::Unsent,
        None => return (Evidence::LocalFault, Fault::Local),
    };
    (Evidence::NotSent, fault)
}

fn after_connect(error: &legacy::Error, stale: bool) -> (Evidence, Fault) {
    let Some(cause) = find::<hyper::Error>(error) else {
        return (Evidence::MaybeProcessed, Fault::Closed);
    };
    if cause.is_canceled() {
        (Evidence::HandedBack, Fault::Unsent)
    } else if cause.is_user() {
        (Evidence::LocalFault, Fault::Local)
    } else if cause.is_parse() {
        (Evidence::MaybeProcessed, Fault::Garbage)
    } else if stale && (cause.is_incomplete_message() || find::<io::Error>(cause).is_some_and(is_closed)) {
        (Evidence::Stale, Fault::Closed)
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

/// Whether this process or machine is short of something, so that no target could do better.
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
