//! Answers of the gateway itself.

use bytes::Bytes;
use failover_tokio::{AttemptError, Error, Failure, ResponseBody};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use serde::Serialize;

use crate::failed::Failed;
use crate::ledger::Watched;

/// A body of the gateway, or one of a target.
pub(crate) type Body = Either<Full<Bytes>, ResponseBody>;

/// An answer of the gateway.
pub(crate) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let body = body.into();
    // A HEAD is told it, too.
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Why there is no answer of a target (RFC 9457).
#[derive(Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
}

/// An attempt that failed.
#[derive(Serialize)]
struct Attempt {
    target: usize,
    /// Scheme, host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(flatten)]
    failed: Failed,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.into(),
            reason: None,
            attempts: Vec::new(),
        }
    }

    /// Why a call failed. `targets` are those that its failures are of, if they are known and may be shown.
    pub(crate) fn of(error: &Error, targets: &[Watched]) -> Self {
        let Error::Stopped(stopped) = error else {
            return Self::new(error.gateway_status(), error.to_string());
        };
        Self {
            reason: Some(stopped.reason().as_str()),
            attempts: stopped.failures().iter().map(|failure| Attempt::of(failure, targets)).collect(),
            ..Self::new(error.gateway_status(), stopped.reason().to_string())
        }
    }

    pub(crate) fn answer(&self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        answer(status, "application/problem+json", serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Attempt {
    fn of(failure: &Failure<AttemptError>, targets: &[Watched]) -> Self {
        Self {
            target: failure.target(),
            url: targets.get(failure.target()).map(|watched| watched.target.to_string()),
            failed: Failed::of(failure),
        }
    }
}
