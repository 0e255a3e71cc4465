//! What a call or one of its attempts fails with. None of it shows more of a URL than scheme, host and port.

use std::fmt;

use failover_core::{Failure, PathError, Stopped};
use failover_hyper::{
    Answered, AttemptError, BoxError, InvalidHeader, ResponseBody, TransportBody, gateway_status,
};
use http::header::{ALLOW, CONNECTION, HeaderValue};
use http::{Response, StatusCode, Version};
use http_body::Body;

use crate::hop_by_hop::strip;

/// Why a call has no acceptable answer.
///
/// `B` is the body of the responses, which is hyper's except over another service.
/// # Examples
///
/// ```
/// use failover_tokio::{Error, FailoverClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Nobody listens there.
/// let client = FailoverClient::builder().targets("http://127.0.0.1:9").build()?;
/// let error = client.get("/users").await.unwrap_err();
/// assert!(error.is_connect() && !error.is_timeout());
/// assert_eq!((error.status(), error.gateway_status().as_u16()), (None, 502));
/// if let Error::Stopped(stopped) = &error {
///     println!("{}", stopped.reason());
///     for failure in stopped.failures() {
///         println!("{failure}, at {}", client.targets()[failure.target()]);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error<B: Body = TransportBody> {
    /// The attempts failed: it has the reason, the failures, and the last response if there was one.
    #[error(transparent)]
    Stopped(Stopped<Response<ResponseBody<B>>, AttemptError>),
    /// The method is none: a token such as `GET`, and not `CONNECT`, which has no path to send; to forward, not `TRACE` either,
    /// whose answer shows a target's own headers.
    #[error("the method cannot be sent: expected a token such as GET, not CONNECT, and to forward not TRACE")]
    Method,
    /// The request asks for another protocol over a stream of HTTP/2 (RFC 8441), which is not passed on.
    #[error("another protocol over HTTP/2 cannot be forwarded")]
    Protocol,
    /// The request is an `OPTIONS` that is to be passed on no further, since its `Max-Forwards` is 0: this side is asked.
    #[error("the request is to be passed on no further")]
    LastHop,
    /// The request came by here again and again: a proxy is its own target.
    #[error("the request comes back again and again")]
    Loop,
    /// The path is none that can be joined to a target's.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A header of the request is one that HTTP does not allow.
    #[error(transparent)]
    Header(InvalidHeader),
    /// The value of the request's body is none that JSON can express: see the source.
    #[error("the value cannot be written as JSON")]
    Json(#[source] BoxError),
    /// The request's body has a transfer coding beside chunked, which this side cannot undo (RFC 9112, section 6.1).
    #[error("a request with a transfer coding beside chunked cannot be forwarded")]
    Coding,
    /// The runtime shut down before the call that was submitted ended.
    #[error("the runtime shut down before the call ended")]
    Aborted,
}

impl<B: Body> Error<B> {
    failover_hyper::told_by_errors!();

    /// The status by which a server tells its client of this error, unless it passes on the last response (RFC 9110,
    /// sections 15.5 and 15.6). What the last target answered is [`status`](Self::status).
    ///
    /// 504 if any attempt ran out of time or there was none for a first one, and 502 if all failed otherwise; 503 for a
    /// fault on this side, but 400, 408, 413 or 414 where it is the client's, whose body broke off, came too slowly or is
    /// longer than a `http_body_util::Limited` lets it be, or whose path is too long; 405 for a method that is never sent, 501
    /// for a protocol or coding, and 508 for a loop; and 200 for an `OPTIONS` that goes no further.
    #[must_use]
    pub fn gateway_status(&self) -> StatusCode {
        match self {
            Self::Stopped(stopped) => gateway_status(stopped),
            Self::Path(PathError::TooLong) => StatusCode::URI_TOO_LONG,
            Self::Path(_) | Self::Header(_) | Self::Json(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Protocol | Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::LastHop => StatusCode::OK,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Aborted => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether the call stopped by a fault of the client whose request it is: its body broke off (400), came too slowly (408) or
    /// is too long (413).
    #[must_use]
    pub fn is_client_fault(&self) -> bool {
        let Self::Stopped(stopped) = self else { return false };
        // A path may be too long for one target and not for another.
        matches!(
            gateway_status(stopped),
            StatusCode::BAD_REQUEST | StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE
        )
    }

    /// The response by which a server tells its client of this error: the last one of a target, if there was one, or else one
    /// with [`gateway_status`](Self::gateway_status) and without a body, which tells nothing of the targets.
    ///
    /// Where the fault is the [client's own](Self::is_client_fault), it is told so whatever a target answered before.
    ///
    /// # Examples
    ///
    /// A handler of axum, which answers whatever comes of the call:
    ///
    /// ```
    /// use axum::extract::{Request, State};
    /// use axum::{Router, routing::get};
    /// use failover_tokio::{Error, FailoverClient, ResponseBody};
    /// use http::Response;
    ///
    /// async fn pass_on(State(client): State<FailoverClient>, request: Request) -> Response<ResponseBody> {
    ///     client.forward(request).await.unwrap_or_else(Error::gateway_response)
    /// }
    ///
    /// # fn routes(client: FailoverClient) -> Router {
    /// Router::new().route("/users", get(pass_on)).with_state(client)
    /// # }
    /// ```
    #[must_use]
    pub fn gateway_response(self) -> Response<ResponseBody<B>> {
        let (status, is_coding) = (self.gateway_status(), matches!(self, Self::Coding));
        let tells_methods = matches!(self, Self::Method | Self::LastHop);
        let is_client_fault = self.is_client_fault();
        let (response, failures) = match self {
            Self::Stopped(stopped) => {
                let (_, failures, response) = stopped.into_parts();
                (response.filter(|response| !is_client_fault && !response.body().is_let_go()), failures)
            }
            _ => (None, vec![]),
        };
        if let Some(mut response) = response {
            response.body_mut().set_answered(Answered::given_up(failures));
            // That of a call which was not forwarded has what concerned its own connection only.
            strip(response.headers_mut());
            *response.version_mut() = Version::HTTP_11;
            return response;
        }
        let mut response = Response::new(ResponseBody::none(failures));
        *response.status_mut() = status;
        if tells_methods {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
        }
        if is_coding {
            // Where the body ends, who passed it on may have read otherwise (RFC 9112, section 6.1).
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The last response of a target, if there was one: a real answer, though one that gave the target up.
    ///
    /// There is none if the call let go of a long body's rest when it went on.
    #[must_use]
    pub fn response(&self) -> Option<&Response<ResponseBody<B>>> {
        let Self::Stopped(stopped) = self else { return None };
        stopped.last_response().filter(|response| !response.body().is_let_go())
    }

    /// The same response, to be passed on with its body, which has all of [`ResponseBody::answered`].
    #[must_use]
    pub fn into_response(self) -> Option<Response<ResponseBody<B>>> {
        let Self::Stopped(stopped) = self else { return None };
        let (_, failures, response) = stopped.into_parts();
        let mut response = response.filter(|response| !response.body().is_let_go())?;
        response.body_mut().set_answered(Answered::given_up(failures));
        Some(response)
    }
}

impl<B: Body> fmt::Debug for Error<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(stopped) => f.debug_tuple("Stopped").field(stopped).finish(),
            Self::Method => f.write_str("Method"),
            Self::Protocol => f.write_str("Protocol"),
            Self::LastHop => f.write_str("LastHop"),
            Self::Loop => f.write_str("Loop"),
            Self::Path(error) => f.debug_tuple("Path").field(error).finish(),
            Self::Header(error) => f.debug_tuple("Header").field(error).finish(),
            Self::Json(error) => f.debug_tuple("Json").field(error).finish(),
            Self::Coding => f.write_str("Coding"),
            Self::Aborted => f.write_str("Aborted"),
        }
    }
}

/// What a response of 405 names, and one to `OPTIONS` (RFC 9110, sections 9.3.7 and 15.5.6).
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
