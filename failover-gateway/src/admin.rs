//! The admin listener: what operators ask there, and what they may change.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use failover_tokio::{AdminState, BuildError};
use http::header::{ALLOW, AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Serialize;

use crate::caller::Caller;
use crate::conversation::Answered;
use crate::door::{Refusal, check};
use crate::gateway::{Gateway, Names, read_only};
use crate::problem::{Body, Problem, answer};

/// What a request on the admin listener is about.
enum About<'a> {
    Status,
    Metrics,
    Ready,
    Alive,
    /// The administrator's state of the target with this name or index.
    State(&'a str),
    /// Where the next call begins.
    Preferred,
}

/// Why nothing is told or changed.
type Refused = Box<Response<Body>>;

/// A target, as it is told to who changed something of it.
#[derive(Serialize)]
struct Told {
    index: usize,
    name: String,
    state: AdminState,
    sticky: bool,
}

impl Gateway {
    /// Answers a request of an operator.
    pub(crate) async fn administer(
        self: Arc<Self>,
        request: Request<Incoming>,
        caller: Arc<Caller>,
    ) -> Answered<Body> {
        self.operate(request, &caller).await.unwrap_or_else(|refusal| *refusal).into()
    }

    async fn operate(&self, request: Request<Incoming>, caller: &Caller) -> Result<Response<Body>, Refused> {
        check(&request).map_err(refuse)?;
        let path = request.uri().path().to_owned();
        let about = About::of(&path).ok_or_else(|| refuse((StatusCode::NOT_FOUND, PATHS)))?;
        match about {
            About::State(_) | About::Preferred => {}
            _ => read_only(&request).map_or(Ok(()), |refusal| Err(Box::new(refusal)))?,
        }
        match about {
            About::Status => Ok(self.status(request.headers())),
            About::Metrics => Ok(self.metrics()),
            About::Ready if self.is_leaving() => {
                Err(refuse((StatusCode::SERVICE_UNAVAILABLE, "it is told to end")))
            }
            About::Ready => Ok(answer(StatusCode::OK, "text/plain", "ready\n")),
            About::Alive => Ok(answer(StatusCode::OK, "text/plain", "alive\n")),
            About::State(target) if *request.method() == Method::PUT => {
                let state = text(self.permit(request, caller)?).await?;
                let state = state.parse().map_err(|_| refuse((StatusCode::BAD_REQUEST, STATES)))?;
                self.with_targets(|names| {
                    let index = index(names, &decoded(target))?;
                    self.client().set_state(index, state).map_err(|error| unknown(&error))?;
                    self.told(names, index)
                })
            }
            About::Preferred if *request.method() == Method::PUT => {
                let target = text(self.permit(request, caller)?).await?;
                self.with_targets(|names| {
                    let index = index(names, &target)?;
                    self.client().prefer(index).map_err(|error| unknown(&error))?;
                    self.told(names, index)
                })
            }
            About::State(target) => {
                readable(&request)?;
                self.with_targets(|names| self.told(names, index(names, &decoded(target))?))
            }
            About::Preferred => {
                readable(&request)?;
                self.with_targets(|names| self.told(names, self.client().sticky()))
            }
        }
    }

    /// Lets a request pass that changes something, if its sender may and nobody else's page sent it.
    fn permit(&self, request: Request<Incoming>, caller: &Caller) -> Result<Request<Incoming>, Refused> {
        let headers = request.headers();
        let host = host(request.uri(), headers);
        if headers.get_all(ORIGIN).iter().any(|origin| !is_own(origin, host.as_ref())) {
            return Err(refuse((StatusCode::FORBIDDEN, "a page of another origin sent it")));
        }
        let given =
            headers.get(AUTHORIZATION).map(|given| given.as_bytes().strip_prefix(b"Bearer ").unwrap_or(b""));
        let has_token = match (self.token(), given) {
            (Some(token), Some(given)) => is_equal(&token, given),
            _ => false,
        };
        // Another name may be that of a page which had it changed to this address.
        let is_local = caller.address.is_none_or(|address| {
            address.to_canonical().is_loopback() && host.is_some_and(|host| is_literal(host.host()))
        });
        if has_token || (given.is_none() && is_local) {
            return Ok(request);
        }
        let mut refusal = refuse((
            StatusCode::UNAUTHORIZED,
            "only this machine may, or who has the token of admin.token_file",
        ));
        refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Err(refusal)
    }

    /// Tells of a target.
    fn told(&self, names: &[Names<'_>], index: usize) -> Result<Response<Body>, Refused> {
        let snapshot = self.client().snapshot();
        let gone = || refuse((StatusCode::NOT_FOUND, "the target is gone"));
        let target = snapshot.targets.get(index).ok_or_else(gone)?;
        let name = names.get(index).map(|named| named.shown.to_owned()).unwrap_or_default();
        let told = Told { index, name, state: target.state, sticky: snapshot.sticky == index };
        Ok(answer(StatusCode::OK, "application/json", serde_json::to_vec(&told).unwrap_or_default()))
    }
}

/// The index of a target that is told by it, or by its name.
fn index(names: &[Names<'_>], target: &str) -> Result<usize, Refused> {
    let is_named = |named: &Names<'_>| named.shown == target || named.whole == target;
    let index = names.iter().position(is_named);
    let index = index.or_else(|| target.parse().ok().filter(|index| *index < names.len()));
    index.ok_or_else(|| {
        let known = names.iter().enumerate().map(|(index, named)| format!("{index} or {}", named.shown));
        let known = known.collect::<Vec<_>>().join(", ");
        let detail = format!("there is no such target: expected {known}");
        Box::new(Problem::new(StatusCode::NOT_FOUND, detail).answer())
    })
}

impl<'a> About<'a> {
    fn of(path: &'a str) -> Option<Self> {
        Some(match path {
            "/" | "/-/failover" => Self::Status,
            "/-/metrics" => Self::Metrics,
            "/-/ready" => Self::Ready,
            "/-/alive" => Self::Alive,
            "/-/prefer" => Self::Preferred,
            _ => Self::State(path.strip_prefix("/-/targets/")?.strip_suffix("/state")?),
        })
    }
}

/// A segment of a path without its percent signs, or as it is where that makes no sense.
fn decoded(segment: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8();
    decoded.map_or_else(|_| segment.to_owned(), Into::into)
}

/// The body of a request, which is a word or a name.
async fn text(request: Request<Incoming>) -> Result<String, Refused> {
    let refused = || refuse((StatusCode::BAD_REQUEST, "the body is no word: expected a state, or a target"));
    let body = Limited::new(request.into_body(), LONGEST_WORD).collect().await.map_err(|_| refused())?;
    let text = String::from_utf8(Bytes::into(body.to_bytes())).map_err(|_| refused())?;
    Ok(text.trim().trim_matches('"').to_owned())
}

/// What a request asks for, with its port.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let named = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    uri.authority().cloned().or(named)
}

/// Whether an origin is the host that was asked.
fn is_own(origin: &HeaderValue, host: Option<&Authority>) -> bool {
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, origin)| host.is_some_and(|host| origin == host.as_str()))
}

/// Whether a host is an address or this machine, whatever the names of others lead to.
fn is_literal(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok()
}

/// Compares in a time that tells nothing of how much is right.
fn is_equal(token: &[u8], given: &[u8]) -> bool {
    token.len() == given.len() && token.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Refuses what neither asks nor sets.
fn readable<B>(request: &Request<B>) -> Result<(), Refused> {
    let Some(mut refusal) = read_only(request) else { return Ok(()) };
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, PUT"));
    Err(Box::new(refusal))
}

fn refuse((status, detail): Refusal) -> Refused {
    Box::new(Problem::new(status, detail).answer())
}

fn unknown(error: &BuildError) -> Refused {
    Box::new(Problem::new(StatusCode::NOT_FOUND, error.to_string()).answer())
}

const LONGEST_WORD: usize = 1 << 10;

const STATES: &str = "expected ready, drain or maintenance as the body";

const PATHS: &str =
    "expected /-/failover, /-/metrics, /-/ready, /-/alive, /-/prefer or /-/targets/TARGET/state";
