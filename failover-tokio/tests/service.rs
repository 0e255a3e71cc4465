//! Failover as a tower service: over stacks that are ready, busy, limited, or fail in ways of their own.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use failover_tokio::{
    Answered, AttemptBody, Classify, Error, Evidence, Failover, FailoverClient, FailoverLayer, Fault, Policy,
    Proven, Reason, ResponseBody, Target, Within,
};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::load_shed::error::Overloaded;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn a_service_that_never_gets_ready_is_given_up_in_time_and_was_sent_nothing() {
    let works = Recording::answering(StatusCode::OK);
    let stuck = Never::default();
    let policy = Policy::default().attempt_timeout(SECOND);
    let services = [(target(0), Either::Stuck(stuck.clone())), (target(1), Either::Works(works.clone()))];
    let failover = Failover::per_target(services, policy).unwrap();

    let response = failover.clone().oneshot(post("order")).await.unwrap();
    let failure = &answered(&response).failures()[0];
    assert_eq!(failure.evidence(), Some(Evidence::NotSent));
    assert_eq!(failure.error().unwrap().fault(), Fault::NotReady);
    assert_eq!(failure.ended().since(failure.began()), SECOND);
    assert_eq!(works.bodies(), ["order"]);
    assert_eq!(stuck.calls.load(Ordering::Relaxed), 0);
    let known = &failover.group().snapshot(failure.ended()).targets[0];
    assert_eq!(known.strikes, 0, "what is full on this side says nothing of its target");
}

#[tokio::test]
async fn a_service_that_fails_before_it_takes_the_request_was_sent_nothing() {
    let works = Recording::answering(StatusCode::OK);
    let services = [(target(0), Either::Broken), (target(1), Either::Works(works.clone()))];
    let response =
        Failover::per_target(services, Policy::default()).unwrap().oneshot(post("order")).await.unwrap();
    let failure = &answered(&response).failures()[0];
    assert_eq!(failure.evidence(), Some(Evidence::NotSent));
    assert_eq!(failure.error().unwrap().source().unwrap().to_string(), "the worker is gone");
    assert_eq!(works.bodies(), ["order"]);
}

#[tokio::test]
async fn each_target_can_be_a_stack_of_its_own() {
    // The permit of the first target's only request is held by a call that never ends.
    let stacks = [0, 1].map(|_| {
        let hangs = service_fn(|request: Request<AttemptBody>| async move {
            if request.uri().path() == "/hang" {
                pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(
                request.uri().host().unwrap().to_owned(),
            ))))
        });
        LoadShed::new(ConcurrencyLimit::new(hangs, 1))
    });
    let targets = [target(0), target(1)].into_iter().zip(stacks);
    let failover = Failover::per_target(targets, Policy::default()).unwrap().classify(shed);

    let hanging = tokio::spawn(failover.clone().oneshot(get("/hang")));
    tokio::task::yield_now().await;
    let response = failover.clone().oneshot(post("order")).await.unwrap();
    let failure = &answered(&response).failures()[0];
    assert_eq!((failure.target(), failure.evidence()), (0, Some(Evidence::NotSent)));
    assert_eq!(failure.error().unwrap().fault(), Fault::Service);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "t1.example");

    hanging.abort();
    assert!(hanging.await.is_err());
    let back = failover.oneshot(get("/")).await.unwrap();
    assert_eq!(answered(&back).target(), 0, "what is full on this side says nothing of its target");
}

#[tokio::test]
async fn an_error_that_nobody_knows_may_stand_for_an_executed_request() {
    for (method, attempts) in [("GET", 2), ("POST", 1)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let fails = service_fn(move |_: Request<AttemptBody>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Err::<Response<Full<Bytes>>, BoxError>("no idea".into()) }
        });
        let failover = Failover::new([target(0), target(1)], Policy::default(), fails).unwrap();
        let request = Request::builder().method(method).uri("/").body(Full::<Bytes>::default()).unwrap();
        let Err(Error::Stopped(stopped)) = failover.oneshot(request).await else { panic!("an answer") };
        assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::MaybeProcessed));
        assert_eq!(stopped.failures()[0].error().unwrap().fault(), Fault::Service);
        assert_eq!(calls.load(Ordering::Relaxed), attempts);
    }
}

#[tokio::test]
async fn a_service_that_times_out_by_itself_proves_nothing() {
    let silent = service_fn(|_: Request<AttemptBody>| pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let policy = Policy::default().attempt_timeout(Duration::from_millis(50));
    let failover = Failover::new([target(0), target(1)], policy, silent).unwrap();
    let Err(Error::Stopped(stopped)) = failover.oneshot(post("order")).await else { panic!("an answer") };
    assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::NoProof, 1));
    assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::MaybeProcessed));
}

#[tokio::test]
async fn one_service_for_all_targets_is_told_the_target_by_the_request() {
    let busy = Recording::answering(StatusCode::SERVICE_UNAVAILABLE);
    let targets = [
        Target::parse("http://user:pass@One.example:80/base").unwrap(),
        Target::parse("https://two.example:443").unwrap(),
        Target::parse("http://[::1]:8080/").unwrap(),
    ];
    let layer = FailoverLayer::new(targets, Policy::default()).unwrap();
    let request = Request::put("http://front.example/path?q=%20")
        .header("host", "front.example")
        .header("x-own", "1")
        .extension(Marker("kept"))
        .body(Full::new(Bytes::from_static(b"thing")))
        .unwrap();
    let error = layer.layer(busy.clone()).oneshot(request).await.unwrap_err();
    assert_eq!(error.response().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);

    let seen = busy.seen.lock().unwrap();
    let uris: Vec<_> = seen.iter().map(|seen| seen.uri.to_string()).collect();
    assert_eq!(
        uris,
        [
            "http://one.example/base/path?q=%20",
            "https://two.example/path?q=%20",
            "http://[::1]:8080/path?q=%20"
        ]
    );
    for (seen, host) in seen.iter().zip(["one.example", "two.example", "[::1]:8080"]) {
        assert_eq!(seen.headers["host"], host);
        assert_eq!(seen.uri.authority().unwrap().as_str(), host);
        assert_eq!(
            (&seen.headers["x-own"], seen.body.as_str(), seen.marker),
            (&"1".parse().unwrap(), "thing", "kept")
        );
    }
    assert!(seen[0].headers.contains_key("authorization") && !seen[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn the_services_of_a_layer_share_what_is_remembered() {
    let first_fails = service_fn(|request: Request<AttemptBody>| async move {
        if request.uri().host() == Some("t0.example") {
            return Err(BoxError::from("gone"));
        }
        Ok(Response::new(Full::<Bytes>::default()))
    });
    let policy = Policy::default().leave_after(1).cool_down(None);
    let layer = FailoverLayer::new([target(0), target(1)], policy).unwrap();
    let (one, other) = (layer.layer(first_fails), layer.layer(first_fails));
    assert_eq!(answered(&one.oneshot(get("/")).await.unwrap()).attempts(), 2);
    assert_eq!(answered(&other.clone().oneshot(get("/")).await.unwrap()).attempts(), 1);
    other.prefer(0).unwrap();
    assert_eq!(answered(&other.oneshot(get("/")).await.unwrap()).attempts(), 2);
}

#[tokio::test]
async fn a_body_in_memory_has_no_bound_and_a_streamed_one_has() {
    let large = Bytes::from(vec![b'x'; 1_000_000]);
    for (in_memory, attempts) in [(true, 2), (false, 1)] {
        let busy = Recording::answering(StatusCode::SERVICE_UNAVAILABLE);
        let failover = Failover::new([target(0), target(1)], Policy::default(), busy.clone()).unwrap();
        if in_memory {
            failover.oneshot(Request::put("/").body(Full::new(large.clone())).unwrap()).await.unwrap_err();
        } else {
            let streamed = Full::new(large.clone()).boxed();
            failover.oneshot(Request::put("/").body(streamed).unwrap()).await.unwrap_err();
        }
        assert_eq!(busy.bodies().len(), attempts);
        assert!(busy.bodies().iter().all(|body| body.len() == large.len()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_cannot_wait_bounds_the_call() {
    let silent = service_fn(|_: Request<AttemptBody>| pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let failover = Failover::new([target(0), target(1)], Policy::default(), silent).unwrap();
    let began = tokio::time::Instant::now();
    let request = Request::get("/").extension(Within(SECOND)).body(Full::<Bytes>::default()).unwrap();
    let Err(Error::Stopped(stopped)) = failover.oneshot(request).await else { panic!("an answer") };
    assert_eq!((stopped.failures().len(), began.elapsed()), (2, SECOND));
}

#[tokio::test]
async fn services_are_replaced_together_with_their_targets() {
    let services = [0, 1, 2].map(|_| Recording::answering(StatusCode::OK));
    let pair = |index: usize| (target(index), services[index].clone());
    let failover = Failover::per_target([pair(0), pair(1)], Policy::default()).unwrap();
    let calls = || services.each_ref().map(|service| service.bodies().len());

    failover.clone().oneshot(get("/")).await.unwrap();
    failover.set_services([pair(2), pair(1)], Policy::default()).unwrap();
    failover.clone().oneshot(get("/")).await.unwrap();
    // The cursor is at the target after the one that is gone, but target 0 is new, and so is probed at once.
    assert_eq!(calls(), [1, 0, 1]);
    failover.set_targets([target(1)], Policy::default()).unwrap();
    failover.clone().oneshot(get("/")).await.unwrap();
    assert_eq!(calls(), [1, 1, 1]);

    let refused = failover.set_targets([target(1), target(0)], Policy::default()).unwrap_err();
    assert_eq!((refused.key(), refused.value()), ("targets", "http://t0.example"));
    let refused = failover.set_targets([], Policy::default()).unwrap_err();
    assert_eq!(refused.key(), "targets");
    assert_eq!(failover.group().targets(), [target(1)]);
}

#[tokio::test]
async fn the_client_is_a_service_and_its_transport_the_ground_of_stacks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async {
                Ok::<_, Infallible>(Response::new(request.into_body()))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let builder = || FailoverClient::builder().targets(["http://127.0.0.1:1", url.as_str()]);

    let service = builder().build().unwrap().into_service();
    let response =
        ServiceBuilder::new().concurrency_limit(1).service(service).oneshot(post("echo")).await.unwrap();
    assert_eq!(answered(&response).target(), 1);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "echo");

    let transport = ServiceBuilder::new().concurrency_limit(1).service(builder().transport().unwrap());
    let targets = builder().build().unwrap().targets();
    let failover = Failover::new(targets, Policy::default(), transport).unwrap();
    let response = failover.oneshot(post("echo")).await.unwrap();
    let failure = &answered(&response).failures()[0];
    assert_eq!(failure.evidence(), Some(Evidence::NoConnection));
    assert_eq!(failure.error().unwrap().fault(), Fault::Refused);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "echo");

    let client =
        Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http::<AttemptBody>();
    let failover = Failover::new(builder().build().unwrap().targets(), Policy::default(), client).unwrap();
    let response = failover.classify(vouched).oneshot(post("echo")).await.unwrap();
    assert_eq!(answered(&response).failures()[0].evidence(), Some(Evidence::NoConnection));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "echo");
}

/// Guards: `ReplayBody::rewind` that tells of each body that it is whole.
#[tokio::test]
async fn body_gone_a_request_whose_body_was_read_goes_on_only_if_all_of_it_was_kept() {
    for (size, goes_on) in [(10, true), (100 << 10, false)] {
        let works = Recording::answering(StatusCode::OK);
        let standby = works.clone();
        // Reads the body, as to sign it, before it finds nobody to send it to.
        let service = service_fn(move |request: Request<AttemptBody>| {
            let mut standby = standby.clone();
            async move {
                if request.uri().host() == Some("t1.example") {
                    return standby.call(request).await;
                }
                request.into_body().collect().await?;
                Err("nobody listens".into())
            }
        });
        let failover = Failover::new([target(0), target(1)], Policy::default(), service).unwrap();
        let failover = failover.classify(|_: &(dyn StdError + 'static)| Evidence::NoConnection);
        let body = "x".repeat(size);
        let streamed = Request::post("/").body(Full::new(Bytes::from(body.clone())).boxed()).unwrap();
        match failover.oneshot(streamed).await {
            Ok(_) => assert!(goes_on && works.bodies() == [body]),
            Err(Error::Stopped(stopped)) => {
                assert!(!goes_on && works.bodies().is_empty());
                assert!(matches!(stopped.reason(), Reason::BodyGone | Reason::OneShotBody), "{stopped}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// For a client that sends each request once.
fn vouched(error: &(dyn StdError + 'static)) -> Evidence {
    match error.downcast_ref::<hyper_util::client::legacy::Error>() {
        Some(error) if error.is_connect() => Evidence::NoConnection,
        _ => Evidence::MaybeProcessed,
    }
}

fn shed(error: &(dyn StdError + 'static)) -> Evidence {
    if error.is::<Overloaded>() { Evidence::NotSent } else { Proven.classify(error) }
}

const SECOND: Duration = Duration::from_secs(1);

fn target(index: usize) -> Target {
    Target::parse(&format!("http://t{index}.example")).unwrap()
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

fn post(body: &'static str) -> Request<Full<Bytes>> {
    Request::post("/").body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}

fn answered<B: Body>(response: &Response<ResponseBody<B>>) -> &Answered {
    response.body().answered()
}

#[derive(Clone)]
struct Marker(&'static str);

/// A service that reads requests, remembers them, and answers with a status.
#[derive(Clone)]
struct Recording {
    status: StatusCode,
    seen: Arc<Mutex<Vec<Seen>>>,
}

struct Seen {
    uri: Uri,
    headers: HeaderMap,
    body: String,
    marker: &'static str,
}

impl Recording {
    fn answering(status: StatusCode) -> Self {
        Self { status, seen: Arc::default() }
    }

    fn bodies(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.body.clone()).collect()
    }
}

impl Service<Request<AttemptBody>> for Recording {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<AttemptBody>) -> Self::Future {
        let recording = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = String::from_utf8(body.collect().await?.to_bytes().into())?;
            let marker = head.extensions.get().map_or("", |Marker(marker)| marker);
            let seen = Seen { uri: head.uri, headers: head.headers, body, marker };
            recording.seen.lock().unwrap().push(seen);
            Ok(Response::builder().status(recording.status).body(Full::default())?)
        })
    }
}

/// A service that is never ready, and counts what it is called with nevertheless.
#[derive(Clone, Default)]
struct Never {
    calls: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Either {
    Stuck(Never),
    Broken,
    Works(Recording),
}

impl Service<Request<AttemptBody>> for Either {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Stuck(_) => Poll::Pending,
            Self::Broken => Poll::Ready(Err(io::Error::other("the worker is gone").into())),
            Self::Works(service) => service.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Request<AttemptBody>) -> Self::Future {
        match self {
            Self::Stuck(never) => {
                never.calls.fetch_add(1, Ordering::Relaxed);
                Box::pin(pending())
            }
            Self::Broken => Box::pin(pending()),
            Self::Works(service) => service.call(request),
        }
    }
}

/// Guards: `Failover::forward` that is an `async fn`.
#[tokio::test]
async fn calls_of_services_and_bodies_whose_errors_are_boxes_can_be_spawned() {
    let service = service_fn(async |_: Request<AttemptBody>| {
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
    });
    let target = Target::parse("http://target.example").unwrap();
    let failover = Failover::new([target.clone()], Policy::default(), service).unwrap();
    let client =
        FailoverClient::builder().target(Target::parse("http://127.0.0.1:1").unwrap()).build().unwrap();
    let request = || Request::new(Full::<Bytes>::default().map_err(BoxError::from).boxed());
    let calls = [
        tokio::spawn(async move { failover.forward(request()).await.is_ok() }),
        tokio::spawn(async move { client.forward(request()).await.is_err() }),
    ];
    for call in calls {
        assert!(call.await.unwrap());
    }
}
