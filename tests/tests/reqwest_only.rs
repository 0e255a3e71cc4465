//! What only the adapter for reqwest has: the shapes of its users, and what becomes of what their client sets.
#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use failover_core::{Evidence, Policy, Reason, Replay, Target};
use failover_reqwest::{Answered, Error, FailoverClient, Within};
use failover_tests::lab::{Blackhole, End, Gate, Reply, Request, Server};
use http::{Extensions, Method, StatusCode};
use http_body::{Body as HttpBody, Frame};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, ClientBuilder, Response, redirect, retry};
use reqwest_middleware::{Middleware, Next};
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, channel};

/// Guards: `Builder::build` that leaves the redirects of the client; `FOREVER` that is the client's own timeout.
#[tokio::test]
async fn no_nesting_what_a_client_was_told_of_redirects_retries_and_its_time_is_not_done() {
    let elsewhere = Server::script([Reply::ok("elsewhere")]);
    let url = elsewhere.url();
    let server = Server::start(move |request| match request.target.as_str() {
        "/moved" => Reply::status(307).header("location", &url),
        "/dies" => Reply::reset(),
        _ => Reply::ok("late and whole").after(Duration::from_millis(400)),
    });
    let again = retry::for_host("127.0.0.1").classify_fn(|request| match request.status() {
        Some(_) => request.success(),
        None => request.retryable(),
    });
    let reqwest = plain().redirect(redirect::Policy::limited(5)).retry(again);
    let client = over([&server], reqwest.timeout(Duration::from_millis(100)), policy());

    let response = client.get("/moved").send().await.unwrap();
    assert_eq!((response.status(), elsewhere.connections()), (StatusCode::TEMPORARY_REDIRECT, 0));
    client.get("/dies").send().await.unwrap_err();
    assert_eq!(server.requests().len(), 2);
    let response = client.get("/late").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "late and whole");
}

/// Guards: `below` that looks at no path, or ends inside a segment, or looks at no host.
#[tokio::test]
async fn a_url_below_a_target_is_the_path_there_and_any_other_is_refused_unsent() {
    let (first, second) = (Server::script([Reply::status(501)]), Server::script([Reply::ok("right")]));
    let urls = [format!("{}/v1", first.url()), format!("{}/other", second.url())];
    let client = FailoverClient::builder().targets(&urls).policy(policy()).client(plain()).build().unwrap();
    for (url, path) in [
        (format!("{}/users?page=2", urls[0]), "/users?page=2"),
        (format!("{}/users/../x", urls[1]), "/x"),
        (urls[0].clone(), "/"),
        ("/users".to_owned(), "/users"),
        ("users?a b".to_owned(), "/users?a%20b"),
    ] {
        client.get(&url).send().await.unwrap();
        let seen = [&first, &second].map(|server| server.requests().pop().unwrap().target);
        assert_eq!(seen, [format!("/v1{path}"), format!("/other{path}")], "{url}");
        let request =
            reqwest::Request::new(Method::GET, reqwest::Url::parse("http://target.invalid/x").unwrap());
        client.execute(request).await.unwrap();
    }
    let executed = first.requests().len();
    for url in [
        format!("{}/v10/users", first.url()),
        first.url(),
        format!("http://{}/v1", Server::down().address()),
        urls[0].replace("http:", "https:"),
        "ftp://127.0.0.1/v1".to_owned(),
    ] {
        let error = client.get(&url).send().await.unwrap_err();
        assert!(matches!(error, Error::Elsewhere) && error.is_builder(), "{url}: {error:?}");
    }
    for url in ["http://", "http://a b/"] {
        assert!(matches!(client.get(url).send().await.unwrap_err(), Error::Request(_)), "{url}");
    }
    let broken = client.get("/").header("x", "a\nb").send().await.unwrap_err();
    assert!(matches!(broken, Error::Request(_)));
    let tunnel = client.request(Method::CONNECT, "/").send().await.unwrap_err();
    assert!(matches!(tunnel, Error::Method));
    assert_eq!(first.requests().len(), executed);
}

/// Guards: `Stated` without its length.
#[tokio::test]
async fn exact_requests_of_each_shape_go_to_each_target_as_reqwest_sends_them() {
    let (first, second) = (Server::script([Reply::status(501)]), Server::script([Reply::ok("right")]));
    let alone = Server::script([Reply::ok("")]);
    let client = over([&first, &second], plain().user_agent("shop/1.0"), policy());
    let reqwest = plain().user_agent("shop/1.0").build().unwrap();
    macro_rules! shape {
        ($($with:tt)*) => {{
            let ours = client.put("/things").header("idempotency-key", "8e03978e");
            let theirs = reqwest.put(format!("{}/things", alone.url())).header("idempotency-key", "8e03978e");
            (ours$($with)*, theirs$($with)*)
        }};
    }
    // The same boundary twice takes a form that is made once: it is compared without it below.
    let form = || {
        let file = Part::bytes(&b"a file"[..]).file_name("a.txt").mime_str("text/plain").unwrap();
        Form::new().text("name", "Ada").part("file", file)
    };
    let shapes = [
        shape!(.json(&json!({ "item": 7 })).query(&[("page", "2"), ("q", "a b")])),
        shape!(.form(&[("item", "7"), ("for", "Ada & Co")])),
        shape!(.bearer_auth("7f3a").body("text")),
        shape!(.basic_auth("ada", Some("secret")).body("large".repeat(20_000))),
        shape!(.multipart(form())),
        shape!(.body(Body::wrap(pieces()))),
        shape!(),
    ];
    for (ours, theirs) in shapes {
        let response = ours.send().await.unwrap();
        assert_eq!(target_of(&response), 1);
        theirs.send().await.unwrap();
        let [seen, again, expected] = [&first, &second, &alone].map(|server| shape_of(&server.requests()));
        assert!(seen == again, "{:?}", (seen.2, again.2));
        if expected.3.is_empty() {
            // A PUT without a body states that here, where reqwest says nothing (RFC 9110, section 8.6).
            assert_eq!((seen.0, seen.1), (expected.0, expected.1));
        } else {
            assert!(seen == expected, "{:?}", (seen.2, expected.2));
        }
    }
}

#[tokio::test]
async fn replay_buffer_several_parts_go_on_as_far_as_they_are_kept_and_wherever_nothing_was_sent() {
    let busy = Server::script([Reply::status(503)]);
    let (down, works) = (Server::down(), Server::script([Reply::ok("right")]));
    let form = |size| Form::new().part("file", Part::bytes(vec![7; size]));
    let client = over([&busy, &works], plain(), policy());
    let send = async |client: &FailoverClient, size| {
        client.post("/").header("idempotency-key", "k").multipart(form(size)).send().await
    };
    assert_eq!(send(&client, 10_000).await.unwrap().status(), 200);
    let Error::Stopped(stopped) = send(&client, 1 << 20).await.unwrap_err() else { panic!("it was sent") };
    assert_eq!((stopped.reason(), works.requests().len()), (Reason::OneShotBody, 1));

    let kept = policy().replay_buffer(2 << 20);
    assert_eq!(send(&over([&busy, &works], plain(), kept), 1 << 20).await.unwrap().status(), 200);
    let client = over([&down, &works], plain(), policy());
    assert_eq!(client.post("/").multipart(form(1 << 20)).send().await.unwrap().status(), 200);
    assert!(works.requests().last().unwrap().body.len() > 1 << 20);
}

#[tokio::test]
async fn a_stream_goes_out_as_it_comes_and_an_answer_comes_in_as_it_is_sent() {
    let gate = Gate::new();
    let halfway = gate.clone();
    let server = Server::start(move |request| Reply::ok(request.body.clone()).chunked().halfway(&halfway));
    let client = over([&server], plain(), policy());
    let (upload, stream) = channel(1);
    let call = tokio::spawn(client.post("/").body(Body::wrap(Upload::<io::Error>(stream))).send());
    for piece in ["first ", "second"] {
        upload.send(Ok(piece)).await.unwrap();
    }
    drop(upload);
    let mut response = call.await.unwrap().unwrap();
    let mut body = response.chunk().await.unwrap().unwrap().to_vec();
    assert!(body.len() < "first second".len());
    gate.open();
    while let Some(piece) = response.chunk().await.unwrap() {
        body.extend(piece);
    }
    assert_eq!(body, b"first second");
    assert_eq!(server.requests()[0].header("transfer-encoding"), Some("chunked"));
}

/// Guards: `Stated` that ends or goes on whatever was stated.
#[tokio::test]
async fn a_stream_that_fails_or_is_not_as_long_as_stated_is_the_callers_fault_and_is_not_executed() {
    let (server, other) = (Server::script([Reply::ok("executed")]), Server::script([Reply::ok("other")]));
    let client = over([&server, &other], plain(), policy());
    for (stated, pieces) in [
        (None, vec![Ok("half"), Err(io::Error::other("the disk is gone"))]),
        (Some(8), vec![Ok("short")]),
        (Some(8), vec![Ok("longer than it says")]),
    ] {
        let mut request = client.put("/");
        if let Some(length) = stated {
            request = request.header("content-length", length);
        }
        let (upload, stream) = channel(2);
        for piece in pieces {
            upload.send(piece).await.unwrap();
        }
        drop(upload);
        let error = request.body(Body::wrap(Upload(stream))).send().await.unwrap_err();
        let Error::Stopped(stopped) = &error else { panic!("{error:?}") };
        assert_eq!((stopped.reason(), error.is_body()), (Reason::LocalFault, true), "{stopped}");
        assert!(!error.is_timeout() && !error.is_connect() && !error.is_builder() && !error.is_status());
    }
    assert_eq!((server.requests().len(), other.connections()), (0, 0));

    // An upload that comes from elsewhere, to which there is no connection, says nothing about the target.
    let down = Server::down();
    let unconnected = reqwest::get(down.url()).await.unwrap_err();
    assert!(unconnected.is_connect());
    let (upload, stream) = channel(2);
    upload.send(Ok("half")).await.unwrap();
    let call = tokio::spawn(client.put("/").body(Body::wrap(Upload(stream))).send());
    upload.send(Err(unconnected)).await.unwrap();
    let Err(Error::Stopped(stopped)) = call.await.unwrap() else { panic!("it cannot be sent") };
    assert_eq!(
        (stopped.reason(), client.snapshot().targets[0].strikes),
        (Reason::LocalFault, 0),
        "{stopped}"
    );
}

#[tokio::test]
async fn deadline_the_timeout_of_a_request_is_the_one_of_its_call() {
    let servers = [(); 2].map(|()| Server::script([Reply::stall()]));
    let client = over([&servers[0], &servers[1]], plain(), policy());
    let (time, began) = (Duration::from_millis(300), Instant::now());
    for request in [client.get("/").timeout(time), client.get("/").extension(Within(time))] {
        let error = request.send().await.unwrap_err();
        assert!(error.is_timeout() && !error.is_connect() && error.status().is_none(), "{error}");
    }
    assert!(began.elapsed() >= 2 * time);
}

/// Guards: `Error::is_connect` that looks at the last failure only.
#[tokio::test]
async fn errors_tell_what_reqwests_users_ask_of_them() {
    let (down, busy) = (Server::down(), Server::script([Reply::status(503).body("at noon")]));
    let error = over([&down], plain(), policy()).post("/").send().await.unwrap_err();
    assert!(error.is_connect() && !error.is_timeout() && !error.is_builder());
    assert_eq!(error.to_string(), "all targets were tried: target 0: no connection: connection refused");

    let error = over([&busy, &down], plain(), policy()).get("/").send().await.unwrap_err();
    assert!(!error.is_connect() && !error.is_status());
    let response = error.into_response().unwrap();
    assert_eq!((target_of(&response), response.status().as_u16()), (0, 503));
    assert_eq!(response.text().await.unwrap(), "at noon");

    let error = over([&down, &busy], plain(), policy()).get("/").send().await.unwrap_err();
    assert_eq!((error.status(), error.is_connect()), (Some(StatusCode::SERVICE_UNAVAILABLE), false));
    assert_eq!(error.response().unwrap().status(), 503);

    let silent = Server::script([Reply::stall()]);
    for servers in [[&silent, &down], [&down, &silent]] {
        let hasty = plain().read_timeout(Duration::from_millis(200));
        let error = over(servers, hasty, policy()).get("/").send().await.unwrap_err();
        assert!(error.is_timeout() && !error.is_connect(), "by reqwest's own bound: {error}");
    }

    let hole = Blackhole::new();
    let target = Target::parse(&hole.url()).unwrap().connect_timeout(Duration::from_millis(200));
    let client = FailoverClient::builder().target(target).policy(policy()).client(plain()).build().unwrap();
    let error = client.post("/").send().await.unwrap_err();
    assert!(error.is_connect() && error.is_timeout(), "{error}");

    let long = format!("{}/{}", busy.url(), "b".repeat(10_000));
    let client = FailoverClient::builder().targets(long).policy(policy()).client(plain()).build().unwrap();
    let error = client.get(format!("/{}", "x".repeat(60_000))).send().await.unwrap_err();
    assert!(matches!(error, Error::Stopped(_)) && error.is_builder(), "{error}");
}

/// Guards: `RequestBuilder::replay`, `idempotent` and `attempts` that set nothing.
#[tokio::test]
async fn a_request_may_have_rules_of_its_own() {
    let cut = || Server::script([Reply::fin()]);
    let works = Server::script([Reply::ok("")]);
    let post = |server: &Server| over([server, &works], plain(), policy()).post("/").body("money");
    assert!(post(&cut()).send().await.is_err());
    assert_eq!(target_of(&post(&cut()).replay(Replay::Always).send().await.unwrap()), 1);
    assert_eq!(target_of(&post(&cut()).idempotent().send().await.unwrap()), 1);
    assert!(post(&Server::down()).attempts(1).send().await.unwrap_err().is_connect());
    assert_eq!(works.requests().len(), 2);
}

/// Guards: `received` that loses the URL, or the extensions.
#[tokio::test]
async fn a_response_tells_its_url_its_address_and_its_story() {
    let (down, works) = (Server::down(), Server::script([Reply::ok(r#"{"id": 7}"#)]));
    let response = over([&down, &works], plain(), policy()).get("/users?page=2").send().await.unwrap();
    assert_eq!(response.url().as_str(), format!("{}/users?page=2", works.url()));
    assert_eq!(response.remote_addr(), Some(works.address()));
    let story = response.extensions().get::<Answered>().unwrap();
    assert_eq!((story.target(), story.attempts()), (1, 2));
    assert_eq!(story.failures()[0].evidence(), Some(Evidence::NoConnection));
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "id": 7 }));
}

#[tokio::test]
async fn targets_can_be_replaced_and_preferred_and_what_sends_to_them_stays() {
    let (first, second) = (Server::start(|_| Reply::ok("first")), Server::start(|_| Reply::ok("second")));
    let client = over([&first], plain(), policy());
    client.get("/").send().await.unwrap().text().await.unwrap();
    let targets = [&first, &second].map(|server| Target::parse(&server.url()).unwrap());
    client.set_targets(targets.clone(), policy()).unwrap();
    client.prefer(1).unwrap();
    assert_eq!(client.get("/").send().await.unwrap().text().await.unwrap(), "second");
    client.prefer(0).unwrap();
    assert_eq!(client.get("/").send().await.unwrap().text().await.unwrap(), "first");
    assert_eq!((client.sticky(), first.connections()), (0, 1));

    let elsewhere = targets[0].clone().connect_to(second.address().to_string().parse().unwrap());
    client.set_targets([elsewhere], policy()).unwrap_err();
    let refused = FailoverClient::builder().targets([first.url()]).client(plain().user_agent("a\nb")).build();
    assert_eq!(refused.unwrap_err().key(), "client");
}

#[tokio::test]
async fn a_proxy_that_is_down_is_no_connection_and_one_that_answers_is_its_target() {
    let works = Server::script([Reply::ok("by the proxy")]);
    let through = |proxy: &Server| {
        let proxy = reqwest::Proxy::http(proxy.url()).unwrap();
        let builder = FailoverClient::builder().targets(["http://a.invalid", "http://b.invalid/v1"]);
        builder.policy(policy()).client(reqwest::Client::builder().proxy(proxy)).build().unwrap()
    };
    let error = through(&Server::down()).post("/").body("money").send().await.unwrap_err();
    let Error::Stopped(stopped) = &error else { panic!("{error:?}") };
    assert_eq!((error.is_connect(), stopped.failures().len()), (true, 2));

    let response = through(&works).post("/").body("money").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "by the proxy");
    assert_eq!(works.requests()[0].target, "http://a.invalid/");
    let busy = Server::script([Reply::status(502)]);
    assert_eq!(through(&busy).post("/").send().await.unwrap_err().status(), Some(StatusCode::BAD_GATEWAY));
    assert_eq!(busy.requests().len(), 1);
}

/// reqwest's pool sends a request again by itself that a connection did not take; it must not do so with one that it took.
///
/// Guards: `failed` that takes each error for one of connecting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_twice_posts_while_connections_that_are_kept_die_all_the_time() {
    let dies = |request: &Request| match (2 * request.connection + request.position) % 5 {
        1 => Reply::ok("right").end(End::Fin),
        2 => Reply::ok("right").end(End::ResetAtNext),
        3 => Reply::fin(),
        _ => Reply::ok("right"),
    };
    let servers = [Server::start(dies), Server::start(dies)];
    let client = over([&servers[0], &servers[1]], plain(), policy());
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut answered = vec![];
                for nth in 0..50 {
                    let order = format!("{task}/{nth}");
                    match client.post("/pay").body(order.clone()).send().await {
                        Ok(_) => answered.push(order),
                        Err(Error::Stopped(stopped)) => assert_eq!(stopped.reason(), Reason::NoProof),
                        Err(error) => panic!("{error}"),
                    }
                }
                answered
            })
        })
        .collect();
    let mut answered = vec![];
    for task in tasks {
        answered.extend(task.await.unwrap());
    }
    let requests = servers.iter().flat_map(Server::requests);
    let mut executed: Vec<_> = requests.map(|request| request.text().to_owned()).collect();
    let all = executed.len();
    executed.sort_unstable();
    executed.dedup();
    assert_eq!(executed.len(), all, "none was executed twice");
    assert!(answered.iter().all(|order| executed.binary_search(order).is_ok()));
    assert!(answered.len() > 200, "{} of 800", answered.len());
}

/// Guards: `template_of` that keeps what is expected.
#[tokio::test]
async fn a_body_goes_at_once_since_reqwest_does_not_tell_what_a_target_asks_for() {
    let server = Server::script([Reply::ok("")]);
    let request = over([&server], plain(), policy()).put("/").header("expect", "100-continue");
    request.body("money").send().await.unwrap();
    assert_eq!((server.requests()[0].header("expect"), server.requests()[0].text()), (None, "money"));
}

#[tokio::test]
async fn as_the_innermost_middleware_it_makes_one_call_of_each_request() {
    let (down, works) = (Server::down(), Server::script([Reply::ok("right")]));
    let stalls = Server::script([Reply::stall()]);
    let seen = Arc::new(AtomicUsize::new(0));
    let with = |failover| {
        let builder = reqwest_middleware::ClientBuilder::new(plain().build().unwrap());
        builder.with(Counting(Arc::clone(&seen))).with(failover).build()
    };
    let client = with(over([&down, &works], plain(), policy()));
    let response = client.post(format!("{}/pay?x=1", down.url())).body("money").send().await.unwrap();
    assert_eq!((target_of(&response), seen.load(Ordering::Relaxed)), (1, 1));
    let request = &works.requests()[0];
    assert_eq!((request.target.as_str(), request.text()), ("/pay?x=1", "money"));

    let client = with(over([&stalls], plain(), policy()));
    let request = client.get(stalls.url()).with_extension(Within(Duration::from_millis(200)));
    let reqwest_middleware::Error::Middleware(error) = request.send().await.unwrap_err() else {
        panic!("it is a middleware's")
    };
    assert!(error.downcast_ref::<Error>().unwrap().is_timeout());
}

/// Counts the requests that pass.
struct Counting(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl Middleware for Counting {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        self.0.fetch_add(1, Ordering::Relaxed);
        next.run(request, extensions).await
    }
}

/// A body whose pieces come by a channel.
struct Upload<E = io::Error>(Receiver<Result<&'static str, E>>);

impl<E: Into<Box<dyn StdError + Send + Sync>>> HttpBody for Upload<E> {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| Some(piece?.map(|data| Frame::data(data.into())).map_err(Into::into)))
    }
}

/// A stream of two pieces.
fn pieces() -> Upload {
    let (upload, stream) = channel(2);
    for piece in ["one", "two"] {
        upload.try_send(Ok(piece)).unwrap();
    }
    Upload(stream)
}

/// A client of these servers, by a client of reqwest's.
fn over<const N: usize>(servers: [&Server; N], client: ClientBuilder, policy: Policy) -> FailoverClient {
    let urls = servers.map(Server::url);
    FailoverClient::builder().targets(urls).policy(policy).client(client).build().unwrap()
}

/// A builder of reqwest's that goes by no proxy of the environment.
fn plain() -> ClientBuilder {
    reqwest::Client::builder().no_proxy()
}

fn policy() -> Policy {
    Policy::default().attempt_timeout(PATIENCE).deadline(None)
}

fn target_of(response: &Response) -> usize {
    response.extensions().get::<Answered>().unwrap().target()
}

/// Method, path, headers without `Host` and boundaries, and body without boundaries, of the last request.
fn shape_of(requests: &[Request]) -> (String, String, Vec<(String, String)>, String) {
    let Request { method, target, headers, body, .. } = requests.last().unwrap();
    let body = String::from_utf8_lossy(body).into_owned();
    let kind = headers.iter().find(|(name, _)| name == "content-type");
    let boundary = kind.and_then(|(_, kind)| kind.split_once("boundary=")).map_or("\0", |(_, found)| found);
    let mut headers: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name != "host")
        .map(|(name, value)| (name.clone(), value.replace(boundary, "")))
        .collect();
    headers.sort();
    (method.clone(), target.clone(), headers, body.replace(boundary, ""))
}

/// The bound of an attempt at a target that answers, on a machine that is busy, too.
const PATIENCE: Duration = Duration::from_secs(20);
