//! Failover over services that are not ours, of whose errors nothing is proved unless somebody vouches for it.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use failover_tokio::{AttemptBody, Error, Evidence, Failover, Fault, Policy, Reason, Target};
use http::header::{HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::redirect::Policy as Redirects;
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};

/// Guards: `evidence::of` that believes a refused connection, whoever tells of it.
#[tokio::test]
async fn unknown_service_a_post_whose_redirect_does_not_connect_is_not_executed_again() {
    let (first, standby) = (Executing::start(Some(down().await)).await, Executing::start(None).await);
    let failover =
        Failover::new(targets(&[&first, &standby]), Policy::default(), reqwest_service(true)).unwrap();

    let result = failover.oneshot(post()).await;
    let Err(Error::Stopped(stopped)) = &result else { panic!("an answer") };
    assert_eq!(stopped.reason(), Reason::NoProof);
    assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::MaybeProcessed));
    assert_eq!(stopped.failures()[0].error().unwrap().fault(), Fault::Service);
    assert_eq!((first.executed(), standby.executed()), (1, 0));
}

#[tokio::test]
async fn unknown_service_a_client_that_follows_redirects_takes_the_headers_of_a_target_along() {
    let elsewhere = Executing::start(None).await;
    let first = Executing::start(Some(elsewhere.url.clone())).await;
    for (follows, went_along) in [(true, 1), (false, 0)] {
        let [target] = targets(&[&first]);
        let key = (HeaderName::from_static("x-api-key"), HeaderValue::from_static("7f3a"));
        let targets = [target.with_header(key.0, key.1)];
        let failover = Failover::new(targets, Policy::default(), reqwest_service(follows)).unwrap();
        let response = failover.oneshot(post()).await.unwrap();
        assert_eq!(response.status() == StatusCode::SEE_OTHER, !follows);
        let seen = elsewhere
            .seen
            .lock()
            .unwrap()
            .drain(..)
            .filter(|headers| headers.contains_key("x-api-key"))
            .count();
        assert_eq!(seen, went_along);
    }
}

/// Guards: `send` that asks `Proven` and not the classifier that it is given.
#[tokio::test]
async fn unknown_service_that_could_not_connect_is_believed_only_if_somebody_vouches_for_it() {
    let (dead, standby) = (Target::parse(&down().await).unwrap(), Executing::start(None).await);
    let [standby_target] = targets(&[&standby]);
    let targets = [dead, standby_target];
    let failover = Failover::new(targets, Policy::default(), reqwest_service(false)).unwrap();

    let Err(Error::Stopped(stopped)) = failover.clone().oneshot(post()).await else { panic!("an answer") };
    assert_eq!(stopped.reason(), Reason::NoProof);
    assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::MaybeProcessed));
    assert_eq!(standby.executed(), 0);

    failover.prefer(0).unwrap();
    let response = failover.classify(vouched).oneshot(post()).await.unwrap();
    let answered = response.body().answered();
    assert_eq!(answered.failures()[0].evidence(), Some(Evidence::NoConnection));
    assert_eq!((standby.executed(), response.status()), (1, StatusCode::OK));
}

/// For a client that sends each request once.
fn vouched(error: &(dyn StdError + 'static)) -> Evidence {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_connect() => Evidence::NoConnection,
        _ => Evidence::MaybeProcessed,
    }
}

/// reqwest's client as a service.
fn reqwest_service(
    follows_redirects: bool,
) -> impl Service<Request<AttemptBody>, Response = Response<reqwest::Body>, Error = reqwest::Error, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let redirects = if follows_redirects { Redirects::default() } else { Redirects::none() };
    let client = reqwest::Client::builder().redirect(redirects).no_proxy().build().unwrap();
    let to_reqwest = |request: Request<AttemptBody>| request.map(reqwest::Body::wrap).try_into().unwrap();
    client.map_request(to_reqwest).map_response(Response::from)
}

/// A server that executes requests, and answers that they are done or, with a 303, that the answer is elsewhere.
struct Executing {
    url: String,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Executing {
    async fn start(location: Option<String>) -> Self {
        let (listener, url) = listen().await;
        let seen = Arc::<Mutex<Vec<HeaderMap>>>::default();
        let executing = Self { url, seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, location) = (Arc::clone(&seen), location.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    seen.lock().unwrap().push(request.headers().clone());
                    let mut response = Response::new(Full::<Bytes>::from("done"));
                    if let Some(location) = &location {
                        *response.status_mut() = StatusCode::SEE_OTHER;
                        response.headers_mut().insert(LOCATION, location.parse().unwrap());
                    }
                    async { Ok::<_, Infallible>(response) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        executing
    }

    fn executed(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// The URL of a port at which nobody listens.
async fn down() -> String {
    listen().await.1
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn targets<const N: usize>(servers: &[&Executing; N]) -> [Target; N] {
    servers.map(|server| Target::parse(&server.url).unwrap())
}

fn post() -> Request<Full<Bytes>> {
    Request::post("/orders").body(Full::from("order")).unwrap()
}
