//! An attempt that failed, as problems and the access log tell it.

use failover_tokio::{AttemptError, Evidence, Failure};
use serde::Serialize;

/// How an attempt failed, whichever way its target is told.
#[derive(Serialize)]
pub(crate) struct Failed {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The status says otherwise, and a judge that it is a failure.
    #[serde(skip_serializing_if = "is_false")]
    judged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'static str>,
    /// Without its cause: clients see it, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// In seconds.
    took: f64,
}

impl Failed {
    pub(crate) fn of(failure: &Failure<AttemptError>) -> Self {
        Self {
            status: failure.status().map(|status| status.as_u16()),
            judged: failure.is_judged(),
            evidence: failure.evidence().map(Evidence::as_str),
            error: failure.error().map(|error| error.fault().to_string()),
            took: failure.ended().since(failure.began()).as_secs_f64(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}
