//! The gateway: what becomes of each request.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use failover_tokio::{Error, FailoverClient, Preset, Reason};
use http::header::{ALLOW, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use tracing::warn;

use crate::door::{Door, check};
use crate::ledger::{Ledger, Watched};
use crate::problem::{Body, Problem, answer};
use crate::settings::{Limits, Routes, Settings};
use crate::status;
use crate::tls::Named;

pub(crate) struct Gateway {
    client: FailoverClient,
    live: RwLock<Arc<Live>>,
    ledger: Ledger,
    metrics: PrometheusHandle,
}

/// What the configuration can change while calls go on.
struct Live {
    routes: Routes,
    door: Door,
    show_attempts: bool,
    preset: Preset,
    tls: Vec<Named>,
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
        let client = client(&settings)?;
        let live = RwLock::new(Arc::new(Live::of(settings, &[])));
        Ok(Self { client, live, ledger: Ledger::new(), metrics })
    }

    /// Goes on with other settings. Calls under way end as they began.
    ///
    /// # Errors
    ///
    /// Names the setting that makes no sense; then nothing changes.
    pub(crate) fn adopt(&self, mut settings: Settings) -> Result<(), String> {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        settings.tls = settings.tls.into_iter().map(|named| named.or_as_before(&live.tls)).collect();
        for named in &settings.tls {
            self.client.set_tls_named(&named.name, Arc::clone(&named.config));
        }
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
        if let Err((status, detail)) = check(&request) {
            return Problem::new(status, detail).answer();
        }
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
        match live.door.enter(request, peer) {
            Ok(Some(request)) => self.forward(request, &live).await,
            // Nobody but the gateway is asked.
            Ok(None) => allowing(answer(StatusCode::OK, "text/plain", "")),
            Err((status, detail)) => Problem::new(status, detail).answer(),
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
                let answered = response.body().answered();
                entry.end(Ok(answered.target()), answered.failures(), targets);
                return response.map(Either::Right);
            }
            Err(error) => error,
        };
        if let Error::Stopped(stopped) = &error {
            if error.status() == StatusCode::BAD_REQUEST {
                // Its client left in the middle of the request.
                drop(entry);
                return Problem::of(&error, &[]).answer();
            }
            entry.end(Err(stopped.reason().as_str()), stopped.failures(), targets);
            if live.preset == Preset::Ballerina && stopped.reason() != Reason::LocalFault {
                let message = stopped.ballerina().to_string();
                return answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", message);
            }
        } else {
            entry.end(Err("refused"), &[], targets);
        }
        // Where the targets are is nobody else's.
        let shown = if live.show_attempts { targets } else { &[] };
        let problem = Problem::of(&error, shown).answer();
        let problem = if matches!(error, Error::Method) { allowing(problem) } else { problem };
        error.into_response().map_or_else(|| problem, |response| response.map(Either::Right))
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
            door: settings.door,
            show_attempts: settings.show_attempts,
            preset: settings.failover.preset,
            tls: settings.tls,
            targets: Watched::all(&settings.failover.targets, before),
            listen: settings.listen,
            limits: settings.limits,
        }
    }
}

/// The client that sends as these settings say.
///
/// # Errors
///
/// Names the setting that makes no sense.
pub(crate) fn client(settings: &Settings) -> Result<FailoverClient, String> {
    let mut builder = FailoverClient::builder().config(settings.failover.clone());
    for named in &settings.tls {
        builder = builder.tls_named(&named.name, Arc::clone(&named.config));
    }
    builder.build().map_err(|error| format!("failover.{error}"))
}

/// The same, with the methods that are passed on.
fn allowing(mut response: Response<Body>) -> Response<Body> {
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(ALLOW, methods);
    response
}

/// Refuses what does not only ask.
fn read_only<B>(request: &Request<B>) -> Option<Response<Body>> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let mut refusal = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "it can only be read").answer();
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    Some(refusal)
}
