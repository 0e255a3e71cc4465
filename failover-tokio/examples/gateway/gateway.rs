//! The gateway: what becomes of each request.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use failover_tokio::{Answered, Error, FailoverClient, Preset};
use http::header::{ALLOW, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Either;
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use tracing::warn;

use crate::ledger::{Ledger, Watched};
use crate::problem::{Body, Problem, answer};
use crate::settings::{Limits, Routes, Settings};
use crate::status;

pub(crate) struct Gateway {
    client: FailoverClient,
    live: RwLock<Arc<Live>>,
    ledger: Ledger,
    metrics: PrometheusHandle,
}

/// What the configuration can change while calls go on.
struct Live {
    routes: Routes,
    preset: Preset,
    /// The client's targets.
    targets: Vec<Watched>,
    /// What takes a restart to change.
    listen: String,
    limits: Limits,
}

impl Gateway {
    /// # Errors
    ///
    /// Names the setting that makes no sense.
    pub(crate) fn new(settings: Settings, metrics: PrometheusHandle) -> Result<Self, String> {
        let client = FailoverClient::builder().config(settings.failover.clone()).build();
        let client = client.map_err(|error| format!("failover.{error}"))?;
        let live = RwLock::new(Arc::new(Live::of(settings, &[])));
        Ok(Self { client, live, ledger: Ledger::new(), metrics })
    }

    /// Goes on with other settings. Calls under way end as they began.
    ///
    /// # Errors
    ///
    /// Names the setting that makes no sense; then nothing changes.
    pub(crate) fn adopt(&self, settings: Settings) -> Result<(), String> {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let failover = settings.failover.clone();
        let set = self.client.set_targets(failover.targets, failover.policy);
        set.map_err(|error| format!("failover.{error}"))?;
        if live.listen != settings.listen || live.limits != settings.limits {
            warn!("listen, max_connections, idle_timeout and drain_timeout change only at a restart");
        }
        *live = Arc::new(Live::of(settings, &live.targets));
        Ok(())
    }

    /// Answers a request of a client.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        let live = Arc::clone(&self.live());
        let path = Some(request.uri().path());
        if path == live.routes.status.as_deref() {
            return read_only(&request).unwrap_or_else(|| self.status(request.headers()));
        }
        if path == live.routes.metrics.as_deref() {
            let text =
                || answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.metrics.render());
            return read_only(&request).unwrap_or_else(text);
        }
        match aim(request, &live.routes.base, peer) {
            Ok(request) => self.forward(request, &live).await,
            Err((status, detail)) => Problem::new(status, &detail).answer(),
        }
    }

    /// Passes a request on to the targets.
    async fn forward(&self, request: Request<Incoming>, live: &Arc<Live>) -> Response<Body> {
        let entry = self.ledger.begin(request.method());
        let result = self.client.forward(request).await;
        // After a change, the indices may be those of other targets.
        let targets = if Arc::ptr_eq(live, &self.live()) { &live.targets[..] } else { &[] };
        let error = match result {
            Ok(response) => {
                if let Some(answered) = response.extensions().get::<Answered>() {
                    entry.end(Some(answered.target()), None, answered.failures(), targets);
                }
                return response.map(Either::Right);
            }
            Err(error) => error,
        };
        if let Error::Stopped(stopped) = &error {
            entry.end(None, Some(stopped.reason().as_str()), stopped.failures(), targets);
            if live.preset == Preset::Ballerina {
                let message = stopped.ballerina().to_string();
                return answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", message);
            }
        } else {
            entry.end(None, None, &[], targets);
        }
        let problem = Problem::of(&error, targets);
        error.into_response().map_or_else(|| problem.answer(), |response| response.map(Either::Right))
    }

    fn status(&self, asked: &HeaderMap) -> Response<Body> {
        // Held, so that the client's targets are those that are watched.
        let live = self.live();
        status::show(asked, &self.client, &live.targets, &self.ledger)
    }

    fn live(&self) -> RwLockReadGuard<'_, Arc<Live>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn of(settings: Settings, before: &[Watched]) -> Self {
        Self {
            routes: settings.routes,
            preset: settings.failover.preset,
            targets: Watched::all(&settings.failover.targets, before),
            listen: settings.listen,
            limits: settings.limits,
        }
    }
}

/// Refuses what does not only ask.
fn read_only<B>(request: &Request<B>) -> Option<Response<Body>> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let mut refusal = Problem::new(StatusCode::METHOD_NOT_ALLOWED, &"it can only be read").answer();
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    Some(refusal)
}

/// Makes of a client's request that of its targets: without the base path, and with what it says of the client.
fn aim<B>(
    mut request: Request<B>,
    base: &str,
    peer: IpAddr,
) -> Result<Request<B>, (StatusCode, &'static str)> {
    // RFC 9112, section 3.2.
    if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        return Err((StatusCode::BAD_REQUEST, "the request has not one Host"));
    }
    let uri = request.uri();
    let rest = below(base, uri.path()).ok_or((StatusCode::NOT_FOUND, "nothing is served at this path"))?;
    if climbs(rest) {
        return Err((StatusCode::BAD_REQUEST, "the path leads out of what is served"));
    }
    let path = match uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let path = PathAndQuery::try_from(path).map_err(|_| (StatusCode::BAD_REQUEST, "the path is none"))?;
    let host = match uri.authority() {
        Some(authority) => authority.as_str().rsplit('@').next(),
        None => request.headers().get(HOST).and_then(|host| host.to_str().ok()),
    };
    let host = host.map(str::to_owned);
    *request.uri_mut() = Uri::from(path);

    let protocol = format!("{:?}", request.version());
    let headers = request.headers_mut();
    add(headers, VIA, &format!("{} failover", protocol.trim_start_matches("HTTP/")));
    add(headers, FORWARDED_FOR, &peer.to_canonical().to_string());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.remove(FORWARDED_HOST);
    if let Some(host) = host {
        add(headers, FORWARDED_HOST, &host);
    }
    Ok(request)
}

/// The part of a path below a base, which counts in whole segments.
fn below<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path leads above where it begins, as a target may read it (RFC 3986, section 6.2.2).
fn climbs(path: &str) -> bool {
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    let mut depth = 0;
    plain.split(['/', '\\']).any(|segment| {
        depth += match segment {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        depth < 0
    })
}

/// Adds an element to a header that is a list.
fn add(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let before = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok());
    let mut list = before.collect::<Vec<_>>().join(", ");
    let _ = write!(list, "{}{element}", if list.is_empty() { "" } else { ", " });
    if let Ok(list) = HeaderValue::try_from(list) {
        headers.insert(name, list);
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
