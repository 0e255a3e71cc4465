//! Targets and policies that change while calls go on, and configurations that they come from.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[cfg(feature = "rustls-no-provider")]
use failover_tokio::Fault;
#[cfg(feature = "serde")]
use failover_tokio::Replay;
use failover_tokio::{Error, FailoverClient, Policy, Reason, ResponseBody, Target, Within};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_dropped_when_the_targets_change_under_load() {
    let (servers, gone) =
        ([Server::start().await, Server::start().await, Server::start().await], "http://127.0.0.1:1");
    let url = |index: usize| servers[index].url.as_str();
    let client = FailoverClient::builder().targets([url(0)]).build().unwrap();
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));

    let workers: Vec<_> = (0..16)
        .map(|worker| {
            let (client, stop, calls) = (client.clone(), Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let body = format!("{worker}-{}", calls.fetch_add(1, Ordering::Relaxed));
                    let response = client.put("/").body(body.clone()).await.unwrap();
                    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
                }
            })
        })
        .collect();
    for round in 0..200 {
        let lists: [&[&str]; 4] = [&[url(1), url(2)], &[gone, url(2)], &[url(2), url(0), url(1)], &[url(0)]];
        client.set_targets(targets(lists[round % 4]), Policy::default()).unwrap();
        let seen = calls.load(Ordering::Relaxed);
        while calls.load(Ordering::Relaxed) < seen + 10 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(servers.iter().map(Server::hits).sum::<usize>(), calls.load(Ordering::Relaxed));
    assert!(servers.iter().all(|server| server.hits() > 0));
}

#[tokio::test]
async fn a_call_under_way_finishes_on_the_list_that_it_began_with() {
    let servers = [Server::start().await, Server::start().await];
    let client = FailoverClient::builder().targets([&servers[0].url]).build().unwrap();
    let under_way = client.post("/wait").body("old").submit();
    servers[0].hit.notified().await;

    client.set_targets(targets(&[&servers[1].url]), Policy::default()).unwrap();
    let response = client.post("/").body("new").await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "new");
    servers[0].go_on.notify_one();
    let response = under_way.await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "old");
    assert_eq!((servers[0].hits(), servers[1].hits()), (1, 1));
}

#[tokio::test]
async fn what_is_known_of_targets_that_stay_is_kept_and_so_are_their_connections() {
    let server = Server::start().await;
    let client = FailoverClient::builder().targets(["http://127.0.0.1:1", &server.url]).build().unwrap();
    assert_eq!(attempts(&client.get("/").await.unwrap()), 2);
    let group = client.group();

    client
        .set_targets(targets(&["http://127.0.0.1:1", "http://127.0.0.1:2", &server.url]), Policy::default())
        .unwrap();
    assert_eq!((client.sticky(), client.snapshot().targets[0].strikes), (2, 3));
    assert_eq!(
        attempts(&client.get("/").await.unwrap()),
        2,
        "a preferred target that is new is probed at once"
    );
    assert_eq!(attempts(&client.get("/").await.unwrap()), 1);
    assert_eq!(client.targets().len(), 3);
    assert_eq!(
        (group.targets().len(), client.snapshot_of(&group).sticky),
        (2, 1),
        "the old list is what it was"
    );
    // The first connection may be idle again only after the second call has begun.
    assert!(server.connections.load(Ordering::Relaxed) <= 2);

    client.prefer(0).unwrap();
    assert_eq!(client.sticky(), 0);
    assert_eq!(client.prefer(3).unwrap_err().key(), "index");
}

#[tokio::test]
async fn a_list_that_makes_no_sense_changes_nothing() {
    let server = Server::start().await;
    let client = FailoverClient::builder().targets([&server.url]).build().unwrap();
    for (urls, policy, key) in [
        (&[][..], Policy::default(), "targets"),
        (&["http://127.0.0.1:1"], Policy::default().rounds(0), "rounds"),
    ] {
        assert_eq!(client.set_targets(targets(urls), policy).unwrap_err().key(), key);
        assert_eq!(attempts(&client.get("/").await.unwrap()), 1);
    }
}

#[cfg(not(feature = "rustls-no-provider"))]
#[test]
fn without_tls_no_https_target_can_be_added() {
    let client = FailoverClient::builder().targets(["http://a.example"]).build().unwrap();
    let error = client.set_targets(targets(&["https://a.example"]), Policy::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "targets[0].url = https://a.example: expected http, since the feature `rustls` is off"
    );
}

#[cfg(feature = "rustls-no-provider")]
#[tokio::test]
async fn an_attempt_timeout_that_is_set_later_holds_for_connecting_too() {
    use failover_tokio::rustls::{ClientConfig, RootCertStore, crypto::ring};

    // Takes connections, and says nothing to a handshake.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let (short, long) = (Duration::from_millis(50), Duration::from_millis(200));
    let builder = FailoverClient::builder().targets([format!("https://{}", silent.local_addr().unwrap())]);
    let client = builder.tls(config).attempt_timeout(short).build().unwrap();
    client.set_targets(client.targets(), Policy::default().attempt_timeout(long)).unwrap();
    let Err(Error::Stopped(stopped)) = client.get("/").await else { panic!("an answer") };
    let failure = &stopped.failures()[0];
    assert_eq!(failure.error().unwrap().fault(), Fault::ConnectTimeout);
    assert!(failure.ended().since(failure.began()) >= long);
}

#[tokio::test]
async fn a_caller_who_cannot_wait_bounds_its_call_only() {
    let server = Server::start().await;
    let client = FailoverClient::builder().targets([&server.url]).build().unwrap();
    let hurried = Request::put("/wait").extension(Within(Duration::from_millis(50))).body("").unwrap();
    let Err(Error::Stopped(stopped)) = client.request(hurried).await else { panic!("an answer") };
    assert_eq!(stopped.reason(), Reason::TargetsTried);
    client.put("/").await.unwrap();
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn a_client_is_built_from_a_configuration_and_set_to_another() {
    let servers = [Server::start().await, Server::start().await];
    let config = |index: usize| {
        let text =
            format!("targets = [\"{}\"]\nfailover_codes = [503]\nreplay = \"always\"", servers[index].url);
        toml::from_str::<failover_tokio::Config>(&text).unwrap()
    };
    let client =
        FailoverClient::builder().config(config(0)).interval(Duration::from_secs(1)).build().unwrap();
    assert_eq!(client.targets(), config(0).targets);
    let group = client.group();
    assert_eq!((group.policy().replay, group.policy().interval), (Replay::Always, Duration::from_secs(1)));
    client.put("/").await.unwrap();

    let next = config(1);
    client.set_targets(next.targets, next.policy).unwrap();
    client.put("/").await.unwrap();
    assert_eq!((servers[0].hits(), servers[1].hits()), (1, 1));
}

fn targets(urls: &[&str]) -> Vec<Target> {
    urls.iter().map(|url| Target::parse(url).unwrap()).collect()
}

fn attempts(response: &Response<ResponseBody>) -> usize {
    assert_eq!(response.status(), StatusCode::OK);
    response.body().answered().attempts()
}

/// Answers with the body of the request; below `/wait` when it is told to go on.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
    hits: Arc<AtomicUsize>,
    hit: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            connections: Arc::default(),
            hits: Arc::default(),
            hit: Arc::default(),
            go_on: Arc::default(),
        };
        let (connections, hits) = (Arc::clone(&server.connections), Arc::clone(&server.hits));
        let (hit, go_on) = (Arc::clone(&server.hit), Arc::clone(&server.go_on));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::Relaxed);
                let (hits, hit, go_on) = (Arc::clone(&hits), Arc::clone(&hit), Arc::clone(&go_on));
                let service = service_fn(move |request: Request<Incoming>| {
                    hits.fetch_add(1, Ordering::Relaxed);
                    hit.notify_one();
                    let go_on = Arc::clone(&go_on);
                    async move {
                        if request.uri().path() == "/wait" {
                            go_on.notified().await;
                        }
                        Ok::<_, Infallible>(Response::new(request.into_body()))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }
}
