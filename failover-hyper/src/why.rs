//! Why an attempt failed, in words.

use failover_core::{Cause, Failure};
use http::StatusCode;

use crate::error::{AttemptError, Fault};

/// Why an attempt failed, in words, with the cause of an error. All timeouts are told alike, however long they were.
#[must_use]
pub fn failure_in_words(failure: &Failure<AttemptError>) -> String {
    match failure.error().map(AttemptError::fault) {
        Some(Fault::Timeout(_)) => "no answer in time".to_owned(),
        _ => words(failure),
    }
}

/// The same, with how long a timeout was.
pub(crate) fn words(failure: &Failure<AttemptError>) -> String {
    match failure.cause() {
        Cause::Status(status) => answered(*status),
        Cause::Judged(status) => judged(*status),
        Cause::Error(_, error) => error.to_string(),
        _ => failure.to_string(),
    }
}

pub(crate) fn answered(status: StatusCode) -> String {
    format!("answered {status}")
}

pub(crate) fn judged(status: StatusCode) -> String {
    format!("answered {status}, which was judged a failure")
}
