//! The gateway: what becomes of each request.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use failover_tokio::rustls::ServerConfig;
use failover_tokio::{Error, FailoverClient, Failure, Preset, Reason, Recorder, ResponseBody, Target};
use http::header::{ALLOW, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Limited};
use hyper::body::Incoming;
use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, watch};
use tokio::time::interval;
use tracing::warn;

use crate::access::{AccessLog, Record};
use crate::caller::Caller;
use crate::conversation::Answered;
use crate::door::{Door, Refusal, check};
use crate::ledger::{Entry, Ledger, Watched};
use crate::outgoing::Kept;
use crate::places::{Place, Places};
use crate::problem::{Body, Problem, answer};
use crate::settings::{Admin, Limits, Routes, Settings};
use crate::status;
use crate::tls;

pub(crate) struct Gateway {
    client: FailoverClient,
    recorder: Recorder,
    live: RwLock<Arc<Live>>,
    settled: Settled,
    ledger: Ledger,
    metrics: PrometheusHandle,
    places: Places,
    /// How TLS is spoken with clients, if it is.
    tls: Option<watch::Sender<Arc<ServerConfig>>>,
    /// Whether the process was told to end.
    is_leaving: AtomicBool,
}

/// How a target is named: to everybody, without what may be a secret, and in whole.
pub(crate) struct Names<'a> {
    pub(crate) shown: &'a str,
    pub(crate) whole: &'a str,
}

/// What the configuration can change while calls go on.
struct Live {
    routes: Routes,
    door: Door,
    show_attempts: bool,
    access: Option<AccessLog>,
    preset: Preset,
    tls: Vec<tls::Named>,
    /// The client's targets.
    targets: Vec<Watched>,
    admin: Option<Admin>,
}

/// What takes a restart to change.
struct Settled {
    listen: String,
    has_tls: bool,
    admin: Option<String>,
    limits: Limits,
}

impl Settled {
    fn of(settings: &Settings) -> Self {
        Self {
            listen: settings.listen.clone(),
            has_tls: settings.listen_tls.is_some(),
            admin: settings.admin.as_ref().map(|admin| admin.address().to_owned()),
            limits: settings.limits,
        }
    }

    /// The keys of what others would be.
    fn others(&self, wanted: &Self) -> Vec<&'static str> {
        let (limits, others) = (&self.limits, &wanted.limits);
        let keys = [
            ("listen", self.listen != wanted.listen),
            ("whether listen_tls is there", self.has_tls != wanted.has_tls),
            ("admin.listen", self.admin != wanted.admin),
            ("max_connections", limits.max_connections != others.max_connections),
            ("max_headers", limits.max_headers != others.max_headers),
            ("idle_timeout", limits.idle_timeout != others.idle_timeout),
            ("shutdown_delay", limits.shutdown_delay != others.shutdown_delay),
            ("drain_timeout", limits.drain_timeout != others.drain_timeout),
        ];
        keys.into_iter().filter_map(|(key, is_other)| is_other.then_some(key)).collect()
    }
}

impl Gateway {
    /// # Errors
    ///
    /// Names the setting that makes no sense.
    pub(crate) fn new(mut settings: Settings, metrics: PrometheusHandle) -> Result<Self, String> {
        let recorder = Recorder::default();
        recorder.write_to(settings.recorded.take());
        let client = client(&settings, &recorder)?;
        let places = Places::new(settings.limits.max_connections);
        let tls = settings.listen_tls.as_ref().map(|served| watch::Sender::new(Arc::clone(&served.config)));
        let settled = Settled::of(&settings);
        let live = RwLock::new(Arc::new(Live::of(settings, &[])));
        let (ledger, is_leaving) = (Ledger::new(), AtomicBool::new(false));
        Ok(Self { client, recorder, live, settled, ledger, metrics, places, tls, is_leaving })
    }

    /// How TLS is spoken with clients, whenever it changes.
    pub(crate) fn tls(&self) -> Option<watch::Receiver<Arc<ServerConfig>>> {
        self.tls.as_ref().map(watch::Sender::subscribe)
    }

    /// The places of connections.
    pub(crate) fn places(&self) -> Arc<Semaphore> {
        self.places.connections()
    }

    /// Notes that the process was told to end.
    pub(crate) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    /// Waits until the access log and the record are written, if that takes no longer than usual.
    pub(crate) fn flush(&self) {
        self.recorder.flush();
        if let Some(access) = &self.live().access {
            access.flush();
        }
    }

    /// Whether the process was told to end.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
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
        for warning in &settings.warnings {
            warn!("{warning}");
        }
        let failover = settings.failover.clone();
        let set = self.client.set_targets(self.as_set_by_hand(failover.targets, &live), failover.policy);
        set.map_err(|error| format!("failover.{error}"))?;
        if let (Some(tls), Some(served)) = (&self.tls, &settings.listen_tls) {
            tls.send_replace(Arc::clone(&served.config));
        }
        let others = self.settled.others(&Settled::of(&settings));
        if !others.is_empty() {
            warn!("only a restart changes {}", others.join(", "));
        }
        self.recorder.write_to(settings.recorded.take());
        *live = Arc::new(Live::of(settings, &live.targets));
        Ok(())
    }

    /// The targets of another configuration. What an operator set stays where the configuration says the same as before.
    fn as_set_by_hand(&self, targets: Vec<Target>, live: &Live) -> Vec<Target> {
        let snapshot = self.client.snapshot();
        let mut before: Vec<_> = live.targets.iter().zip(&snapshot.targets).collect();
        let as_set = |target: Target| {
            let known = before.iter().position(|(watched, _)| watched.target.name() == target.name());
            match known.map(|place| before.remove(place)) {
                Some((watched, set)) if watched.target.admin_state() == target.admin_state() => {
                    target.state(set.state)
                }
                _ => target,
            }
        };
        targets.into_iter().map(as_set).collect()
    }

    /// Answers a request of a client.
    pub(crate) async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        caller: Arc<Caller>,
    ) -> Answered<Body> {
        let live = Arc::clone(&self.live());
        if let Some(response) = self.answer_itself(&request, &live) {
            return response.into();
        }
        let record = live.access.as_ref().map(|log| log.begin(&mut request, &caller));
        let mut kept = Kept { place: None, record };
        let response = match self.admit(&mut request, &caller, &live).await {
            Ok(place) => {
                kept.place = Some(place);
                let entry = self.ledger.begin(request.method());
                let result = match live.door.max_body {
                    None => pin!(self.client.forward(request)).await,
                    Some(most) => {
                        let most = usize::try_from(most).unwrap_or(usize::MAX);
                        self.client.forward(request.map(|body| Limited::new(body, most))).await
                    }
                };
                self.conclude(result, entry, &live, kept.record.as_deref_mut())
            }
            Err(response) => response,
        };
        if let Some(record) = &mut kept.record {
            record.answer(response.status());
        }
        Answered { response, kept }
    }

    /// Answers a request for the status or the metrics, whatever the load.
    fn answer_itself(&self, request: &Request<Incoming>, live: &Live) -> Option<Response<Body>> {
        let path = Some(request.uri().path());
        let (is_status, is_metrics) =
            (path == live.routes.status.as_deref(), path == live.routes.metrics.as_deref());
        if !is_status && !is_metrics {
            return None;
        }
        let refused = check(request).err().map(refuse).or_else(|| read_only(request));
        let shown = || if is_status { self.status(request.headers()) } else { self.metrics() };
        Some(refused.unwrap_or_else(shown))
    }

    /// Lets a request in once it has its place, as one for the targets.
    ///
    /// # Errors
    ///
    /// It goes no further: the answer of the gateway.
    async fn admit<B>(
        &self,
        request: &mut Request<B>,
        caller: &Caller,
        live: &Live,
    ) -> Result<Place, Response<Body>> {
        check(request).and_then(|()| live.door.enter(request, caller)).map_err(refuse)?;
        self.places.enter(&caller.place).await.ok_or_else(|| {
            let mut full = refuse((StatusCode::SERVICE_UNAVAILABLE, "too many calls wait for their turn"));
            full.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            full
        })
    }

    /// The answer to a request that was passed on to the targets, whose call ended so.
    fn conclude(
        &self,
        result: Result<Response<ResponseBody>, Error>,
        entry: Entry<'_>,
        live: &Arc<Live>,
        record: Option<&mut Record>,
    ) -> Response<Body> {
        // After a change, the indices may be those of other targets.
        let targets = if Arc::ptr_eq(live, &self.live()) { &live.targets[..] } else { &[] };
        let error = match result {
            Ok(response) => {
                let answered = response.body().answered();
                if let Some(record) = record {
                    record.call(Ok(answered.target()), answered.failures(), targets);
                }
                entry.answered(answered, targets);
                return response.map(Either::Right);
            }
            Err(error) => error,
        };
        entry.failed(&error, targets);
        // Where the targets are is nobody else's.
        let shown = if live.show_attempts { targets } else { &[] };
        if let Error::Stopped(stopped) = &error {
            if let Some(record) = record {
                record.call(Err(stopped.reason().as_str()), stopped.failures(), targets);
            }
            if error.is_client_fault() {
                // Its client left in the middle of the request, stopped sending it, or sends too much.
                return Problem::of(&error, shown).answer();
            }
            if live.preset == Preset::Ballerina && stopped.reason() != Reason::LocalFault {
                let mut message = stopped.ballerina().to_string();
                // The cause of its last error is not for clients.
                if let Some(error) = stopped.failures().last().and_then(Failure::error) {
                    let cause = error.to_string().len() - error.fault().to_string().len();
                    message.truncate(message.len() - cause);
                }
                return answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", message);
            }
        }
        if error.response().is_some() {
            return error.gateway_response().map(Either::Right);
        }
        let mut answer = if matches!(error, Error::LastHop) {
            answer(StatusCode::OK, "text/plain", "")
        } else {
            Problem::of(&error, shown).answer()
        };
        answer.headers_mut().extend(error.gateway_response().into_parts().0.headers);
        answer
    }

    pub(crate) fn client(&self) -> &FailoverClient {
        &self.client
    }

    /// The metrics, for Prometheus.
    pub(crate) fn metrics(&self) -> Response<Body> {
        self.client.record_gauges();
        let taken = self.places.taken();
        for (name, count) in [
            (CONNECTIONS, taken.connections),
            (MAX_CONNECTIONS, taken.max_connections),
            (SHARED, taken.shared),
            (QUEUED, taken.queued),
        ] {
            gauge!(name).set(u32::try_from(count).unwrap_or(u32::MAX));
        }
        answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.metrics.render())
    }

    /// Does something with the targets, which stay those of the client until it is done.
    pub(crate) fn with_targets<T>(&self, does: impl FnOnce(&[Names<'_>]) -> T) -> T {
        let live = self.live();
        let whole: Vec<_> = live.targets.iter().map(|watched| watched.target.name()).collect();
        let names = live.targets.iter().zip(&whole);
        let names: Vec<_> = names.map(|(watched, whole)| Names { shown: watched.name(), whole }).collect();
        does(&names)
    }

    /// The token by which strangers may change something, if there is one.
    pub(crate) fn token(&self) -> Option<Vec<u8>> {
        self.live().admin.as_ref()?.token.clone()
    }

    /// Looks every second how it stands, so that it is known since when.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut seconds = interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            let live = self.live();
            self.ledger.stand(&self.client.snapshot(), &live.targets);
        }
    }

    pub(crate) fn status(&self, asked: &HeaderMap) -> Response<Body> {
        // Held, so that the client's targets are those that are watched.
        let live = self.live();
        status::show(asked, &self.client, &live.targets, &self.ledger, self.places.taken())
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
            access: settings.access,
            preset: settings.failover.preset,
            tls: settings.tls,
            targets: Watched::all(&settings.failover.targets, before),
            admin: settings.admin,
        }
    }
}

/// The client that sends as these settings say, and whose calls are recorded.
///
/// # Errors
///
/// Names the setting that makes no sense.
pub(crate) fn client(settings: &Settings, recorder: &Recorder) -> Result<FailoverClient, String> {
    let builder = FailoverClient::builder().name("gateway").record(recorder);
    let mut builder = builder.config(settings.failover.clone());
    if let Some(count) = settings.limits.max_headers {
        builder = builder.max_headers(count as usize);
    }
    for named in &settings.tls {
        builder = builder.tls_named(&named.name, Arc::clone(&named.config));
    }
    builder.build().map_err(|error| format!("failover.{error}"))
}

fn refuse((status, detail): Refusal) -> Response<Body> {
    Problem::new(status, detail).answer()
}

/// Refuses what does not only ask.
pub(crate) fn read_only<B>(request: &Request<B>) -> Option<Response<Body>> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let mut refusal = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "it can only be read").answer();
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    Some(refusal)
}

/// Tells the recorder what each metric of the gateway means.
pub(crate) fn describe_metrics() {
    describe_gauge!(CONNECTIONS, "Connections of clients");
    describe_gauge!(MAX_CONNECTIONS, "The most connections of clients");
    describe_gauge!(SHARED, "Calls in the places that connections share");
    describe_gauge!(QUEUED, "Calls that wait for a place");
}

const CONNECTIONS: &str = "failover_gateway_connections";
const MAX_CONNECTIONS: &str = "failover_gateway_max_connections";
const SHARED: &str = "failover_gateway_shared_places_taken";
const QUEUED: &str = "failover_gateway_queued_calls";
