//! Failover over clusters: each target is a stack of tower services, which balances the replicas of a region.
//!
//! ```console
//! $ cargo run -p failover-tokio --example tower_stack
//! ```
//!
//! ```text
//! load shed, concurrency limit
//! `- failover
//!    +- eu: buffer, load shed, balance
//!    |  +- eu-1: concurrency limit, timeout, transport
//!    |  `- eu-2: the same
//!    `- us: the same
//! ```
//!
//! The calls go to `eu`. What it cannot take at once goes to `us`, orders too, since they were not sent; when `eu` goes
//! down, all calls go there. None fails.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use failover_tokio::{
    AttemptBody, Classify, Evidence, Failover, FailoverClient, Policy, Proven, ResponseBody, Target,
    Transport, TransportBody,
};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::load_shed::error::Overloaded;
use tower::timeout::error::Elapsed;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt};

fn main() -> Result<(), BoxError> {
    let (eu, us) = (Region::start("eu")?, Region::start("us")?);
    let runtime = Runtime::new()?;
    let service = runtime.block_on(async { stack(&[&eu, &us]) })?;

    say("6 calls at once");
    runtime.block_on(call(&service, &Method::GET, 6))?;
    say("12 orders at once, of which eu takes 8");
    runtime.block_on(call(&service, &Method::POST, 12))?;
    drop(eu);
    say("eu is down: 1 call");
    runtime.block_on(call(&service, &Method::GET, 1))?;
    say("6 calls at once");
    runtime.block_on(call(&service, &Method::GET, 6))?;
    say("no call failed");
    Ok(())
}

/// The whole stack, which is a service like any other.
fn stack(regions: &[&Region]) -> Result<Stack, BoxError> {
    let transport = FailoverClient::builder().transport()?;
    let mut targets = Vec::new();
    for region in regions {
        // It names the region and is never resolved: the replicas have the addresses.
        let target = Target::parse(&format!("http://{}.example", region.name))?;
        targets.push((target, cluster(&region.replicas, &transport)));
    }
    let failover = Failover::per_target(targets, Policy::default())?.classify(classify);
    let limited = ServiceBuilder::new().load_shed().concurrency_limit(CALLS_AT_ONCE).service(failover);
    Ok(BoxCloneSyncService::new(limited))
}

/// The service of a region, which gives each request to a replica that has few under way.
fn cluster(replicas: &[Target], transport: &Transport) -> Cluster {
    let replicas = replicas.iter().cloned().map(|replica| {
        let service = ServiceBuilder::new()
            .concurrency_limit(REQUESTS_AT_ONCE)
            // Shorter than the attempt's, so that a replica that hangs leaves time for another region.
            .timeout(REPLICA_TIMEOUT)
            .map_request(move |request| aim(&replica, request))
            .service(transport.clone());
        PendingRequests::new(service, CompleteOnResponse::default())
    });
    let replicas = ServiceList::new::<Request<AttemptBody>>(replicas.collect::<Vec<_>>());
    let shared = ServiceBuilder::new()
        // A balancer cannot be cloned; what is behind a buffer can.
        .buffer(CALLS_AT_ONCE)
        // Below the buffer, which is ready as long as it has room, even if no replica is.
        .load_shed()
        .service(Balance::new(replicas));
    BoxCloneSyncService::new(shared)
}

type Stack = BoxCloneSyncService<Request<Full<Bytes>>, Response<ResponseBody>, BoxError>;
type Cluster = BoxCloneSyncService<Request<AttemptBody>, Response<TransportBody>, BoxError>;

/// Makes a request to the region one to its replica: the transport connects to the authority of the URI.
fn aim(replica: &Target, mut request: Request<AttemptBody>) -> Request<AttemptBody> {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    // A URI that is too long becomes one without an authority, which the transport refuses to send.
    *request.uri_mut() = replica.uri(&path).unwrap_or_default();
    request.headers_mut().insert(HOST, replica.host_header().clone());
    request
}

/// Tells what the errors of the layers prove; those of the transport below them are known.
fn classify(error: &(dyn StdError + 'static)) -> Evidence {
    if error.is::<Overloaded>() {
        // A region that is busy is not broken: the limit is on this side.
        Evidence::NoRoom
    } else if error.is::<Elapsed>() {
        Evidence::MaybeProcessed
    } else {
        Proven.classify(error)
    }
}

/// Makes calls at once, and tells which replicas answered, and what was given up before.
async fn call(service: &Stack, method: &Method, count: usize) -> Result<(), BoxError> {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let mut request = Request::new(Full::from("an order"));
        *request.method_mut() = method.clone();
        calls.spawn(service.clone().oneshot(request));
    }
    let mut story = BTreeMap::new();
    while let Some(response) = calls.join_next().await {
        let response = response??;
        let answered = response.body().answered().clone();
        let body = response.into_body().collect().await?.to_bytes();
        let replica = String::from_utf8_lossy(&body).into_owned();
        let failures = answered.failures().iter().map(|failure| format!("given up: {failure}"));
        for event in failures.chain([format!("answered by {replica}")]) {
            *story.entry(event).or_insert(0) += 1;
        }
    }
    for (event, times) in story {
        say(&format!("  {times} x {event}"));
    }
    Ok(())
}

/// A region's replicas, on a runtime of their own, which takes their listeners and connections with it when it ends.
struct Region {
    name: &'static str,
    replicas: Vec<Target>,
    _runtime: Runtime,
}

impl Region {
    fn start(name: &'static str) -> Result<Self, BoxError> {
        let runtime = Runtime::new()?;
        let mut replicas = Vec::new();
        for number in 1..=2 {
            let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
            replicas.push(Target::parse(&format!("http://{}", listener.local_addr()?))?);
            let replica = Router::new().fallback(move || async move {
                sleep(WORK).await;
                format!("{name}-{number}")
            });
            runtime.spawn(async { axum::serve(listener, replica).await });
        }
        Ok(Self { name, replicas, _runtime: runtime })
    }
}

/// Prints a line; where nobody reads it, that is no reason to end.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// How many calls the whole stack has under way.
const CALLS_AT_ONCE: usize = 64;

/// How many requests a replica has under way.
const REQUESTS_AT_ONCE: usize = 4;

/// How long a replica may take for the head of its answer.
const REPLICA_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a replica works for an answer.
const WORK: Duration = Duration::from_millis(200);
