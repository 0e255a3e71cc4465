//! The client against real servers on loopback.

use std::convert::Infallible;
use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use failover_tokio::{
    Answered, Builder, Error, Evidence, FailoverClient, Fault, Policy, Reason, Replay, ResponseBody, Target,
    Within,
};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

#[tokio::test]
async fn a_refused_connection_fails_over_and_is_remembered() {
    let works = Server::answering(StatusCode::OK, "here").await;
    let refuses = Refusing::new();
    let client = client([refuses.url(), works.url("")]);

    let response = client.post("/").body("order").await.unwrap();
    let answered = answered(&response);
    assert_eq!((answered.target(), answered.attempts(), client.sticky()), (1, 2, 1));
    assert_eq!(answered.failures()[0].evidence(), Some(Evidence::NoConnection));
    assert_eq!(answered.failures()[0].error().unwrap().fault(), Fault::Refused);
    assert_eq!(text(response).await, "here");

    let second = client.get("").await.unwrap();
    assert_eq!(self::answered(&second).attempts(), 1);
    assert_eq!(works.hits(), 2);
}

#[tokio::test]
async fn a_name_without_an_address_fails_over() {
    let works = Server::answering(StatusCode::OK, "here").await;
    let client = client(["http://no-such-host.invalid".to_owned(), works.url("")]);
    let response = client.get("").await.unwrap();
    assert_eq!(answered(&response).failures()[0].error().unwrap().fault(), Fault::Resolve);
}

#[tokio::test]
async fn a_failover_code_fails_over_and_another_error_does_not() {
    let busy = Server::answering(StatusCode::SERVICE_UNAVAILABLE, "busy").await;
    let broken = Server::answering(StatusCode::INTERNAL_SERVER_ERROR, "broken").await;
    let client = client([busy.url(""), broken.url("")]);

    let response = client.get("").await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answered(&response).failures()[0].status(), Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn a_silent_target_fails_over_a_get_and_never_a_post() {
    let silent = Server::silent().await;
    let works = Server::answering(StatusCode::OK, "here").await;
    let client = || {
        let targets = [silent.url(""), works.url("")];
        FailoverClient::builder().targets(targets).attempt_timeout(SHORT).build().unwrap()
    };

    let response = client().get("").await.unwrap();
    let failure = &answered(&response).failures()[0];
    assert_eq!(failure.evidence(), Some(Evidence::MaybeProcessed));
    assert!(matches!(failure.error().unwrap().fault(), Fault::Timeout(waited) if waited >= SHORT));

    let client = client();
    let Err(Error::Stopped(stopped)) = client.post("").body("order").await else { panic!("executed twice") };
    assert_eq!(stopped.reason(), Reason::NoProof);
    assert_eq!(works.hits(), 1);
    assert_eq!(client.snapshot().targets[0].strikes, 1);
}

#[tokio::test]
async fn the_last_answer_is_kept_with_its_body() {
    let first = Server::answering(StatusCode::BAD_GATEWAY, "first").await;
    let long = "long ".repeat(100_000);
    let last = Server::answering(StatusCode::SERVICE_UNAVAILABLE, long.clone()).await;
    let error = client([first.url(""), last.url("")]).get("").await.unwrap_err();

    assert_eq!(error.response().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let response = error.into_response().unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(long.len() as u64));
    assert_eq!((answered(&response).target(), answered(&response).attempts()), (1, 2));
    assert_eq!(text(response).await, long);
}

#[tokio::test]
async fn a_connection_that_the_server_just_closed_is_no_failure_of_the_target() {
    // Answers one request on each connection and closes at the second.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                read_head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                read_head(&mut stream).await;
            });
        }
    });
    let client = client([url]);
    // A connection may come back to the pool too late to be met by the next call.
    let response = loop {
        let response = client.get("").await.unwrap();
        if answered(&response).attempts() > 1 {
            break response;
        }
        assert_eq!(text(response).await, "ok");
    };
    assert_eq!(answered(&response).failures()[0].evidence(), Some(Evidence::Stale));
    assert_eq!(text(response).await, "ok");
    let error = loop {
        match client.post("").body("order").await {
            Ok(response) => assert_eq!(text(response).await, "ok"),
            Err(error) => break error,
        }
    };
    let Error::Stopped(stopped) = error else { panic!("{error}") };
    assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::NoProof, 1));
    assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::Stale));
    assert_eq!(client.snapshot().targets[0].strikes, 0);
}

#[tokio::test]
async fn each_target_gets_its_own_host_path_and_headers() {
    let busy = Server::answering(StatusCode::SERVICE_UNAVAILABLE, "busy").await;
    let mirror = Server::mirror().await;
    let key = (HeaderName::from_static("x-api-key"), HeaderValue::from_static("secret"));
    let client = FailoverClient::builder()
        .target(Target::parse(&busy.url("/a")).unwrap().with_header(key.0, key.1))
        .targets([mirror.url("/base/")])
        .build()
        .unwrap();

    let seen = text(client.get("users?page=2").await.unwrap()).await;
    assert!(seen.starts_with("GET /base/users?page=2"), "{seen}");
    assert!(seen.contains(&format!("host: 127.0.0.1:{}", mirror.port)), "{seen}");
    for absent in ["x-api-key", "content-length", "content-type"] {
        assert!(!seen.contains(absent), "{seen}");
    }
    client.prefer(1).unwrap();
    let seen = text(client.post("").await.unwrap()).await;
    assert!(seen.contains("content-length: 0"), "{seen}");
}

#[tokio::test]
async fn what_cannot_be_sent_fails_without_an_attempt() {
    let works = Server::answering(StatusCode::OK, "here").await;
    let client = client([works.url("")]);
    assert!(matches!(client.method("GET IT", "/").await, Err(Error::Method)));
    assert!(matches!(client.method(Method::CONNECT, "/").await, Err(Error::Method)));
    assert!(matches!(client.get("http://evil/").await, Err(Error::Path(_))));
    assert!(matches!(client.method("", "/").submit().await, Err(Error::Method)));
    assert_eq!(works.hits(), 0);
}

#[tokio::test]
async fn a_submitted_call_runs_before_it_is_polled() {
    let works = Server::answering(StatusCode::OK, "here").await;
    let client = client([works.url("")]);
    let submitted = client.put("/").body("body").submit();
    works.hit.notified().await;
    assert_eq!(text(submitted.await.unwrap()).await, "here");
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection_and_books_nothing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let refuses = Refusing::new();
    let client = client([format!("http://{}", listener.local_addr().unwrap()), refuses.url()]);
    let submitted = client.get("/").submit();
    let (mut stream, _) = listener.accept().await.unwrap();
    read_head(&mut stream).await;
    drop(submitted);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(client.sticky(), 0);
    assert_eq!(client.snapshot().targets[0].strikes, 0);
}

#[tokio::test]
async fn a_forwarded_request_is_replayed_byte_for_byte() {
    let busy = Server::reading(StatusCode::SERVICE_UNAVAILABLE).await;
    let mirror = Server::mirror().await;
    let proxy = Server::forwarding([busy.url(""), mirror.url("/base")], Policy::default()).await;

    let answer = proxy
        .raw(
            "PUT /x?y=%20 HTTP/1.1\r\nhost: proxy\r\nconnection: x-hop, te\r\nx-hop: 1\r\nkeep-alive: 5\r\n\
             x-end: 2\r\nte: trailers\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
             3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-sum: 7\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    for present in ["PUT /base/x?y=%20", "x-end: 2", "abcdefg", "te: trailers", "x-sum: 7"] {
        assert!(answer.contains(present), "no {present} in {answer}");
    }
    for absent in ["x-hop", "keep-alive", "host: proxy"] {
        assert!(!answer.contains(absent), "{absent} in {answer}");
    }
    assert_eq!(busy.hits(), 1);
}

#[tokio::test]
async fn a_body_that_outgrows_the_buffer_stays_with_its_target() {
    let busy = Server::reading(StatusCode::SERVICE_UNAVAILABLE).await;
    let mirror = Server::mirror().await;
    let policy = Policy::default().replay_buffer(5);
    let proxy = Server::forwarding([busy.url(""), mirror.url("")], policy).await;

    let known = proxy.raw("PUT / HTTP/1.1\r\nhost: p\r\ncontent-length: 6\r\n\r\nabcdef").await;
    assert!(known.starts_with("HTTP/1.1 503"), "{known}");
    let found_out =
        "PUT / HTTP/1.1\r\nhost: p\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    let proxy = Server::forwarding([busy.url(""), mirror.url("")], Policy::default().replay_buffer(5));
    let found_out = proxy.await.raw(found_out).await;
    assert!(found_out.starts_with("HTTP/1.1 503"), "{found_out}");
    assert_eq!((busy.hits(), mirror.hits()), (2, 0));
}

#[tokio::test]
async fn an_expected_100_continue_is_answered_when_the_body_is_wanted() {
    let mirror = Server::mirror().await;
    let proxy = Server::forwarding([mirror.url("")], Policy::default()).await;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: p\r\nexpect: 100-continue\r\ncontent-length: 3\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("abc") && answer.contains("expect: 100-continue"), "{answer}");
}

#[tokio::test]
async fn a_caller_who_stalls_is_no_failure_of_the_target() {
    let mirror = Server::mirror().await;
    let client = FailoverClient::builder().targets([mirror.url("")]).attempt_timeout(SHORT).build().unwrap();
    let stalled = Request::put("/").body(Stalled).unwrap();
    let Err(Error::Stopped(stopped)) = client.forward(stalled).await else { panic!("the body never ends") };
    assert_eq!(stopped.reason(), Reason::LocalFault);
    assert_eq!(stopped.failures()[0].error().unwrap().fault(), Fault::RequestBody);
    assert_eq!(client.snapshot().targets[0].strikes, 0);
}

#[tokio::test]
async fn an_answer_before_the_body_ended_frees_its_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let refuses = Refusing::new();
    let client = client([format!("http://{}", listener.local_addr().unwrap()), refuses.url()]);
    let call = tokio::spawn(async move { client.forward(Request::put("/").body(Stalled).unwrap()).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    read_head(&mut stream).await;
    stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.response().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_answer_before_the_body_ended_is_right() {
    let full = Server::answering(StatusCode::PAYLOAD_TOO_LARGE, "too large").await;
    let client = client([full.url("")]);
    let response = client.forward(Request::post("/").body(Stalled).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text(response).await, "too large");
}

#[cfg(feature = "rustls-no-provider")]
#[tokio::test]
async fn a_failed_tls_handshake_fails_over_whatever_the_method() {
    use failover_tokio::rustls::{ClientConfig, RootCertStore};

    let plain = Server::answering(StatusCode::OK, "no TLS here").await;
    let works = Server::answering(StatusCode::OK, "here").await;
    let provider = Arc::new(failover_tokio::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let targets = [plain.url("").replace("http:", "https:"), works.url("")];
    let client = FailoverClient::builder().targets(targets).tls(config).build().unwrap();
    let response = client.post("/").body("order").await.unwrap();
    let failure = &answered(&response).failures()[0];
    assert_eq!(failure.evidence(), Some(Evidence::NoConnection));
    assert_eq!(failure.error().unwrap().fault(), Fault::Tls);
}

#[tokio::test]
async fn deadline_a_call_whose_time_is_over_before_it_begins_is_refused_unsent() {
    let mirror = Server::mirror().await;
    let client = FailoverClient::builder().targets([mirror.url("")]).build().unwrap();
    let late = Request::post("/").extension(Within(Duration::ZERO)).body("money").unwrap();
    let error = client.request(late).await.unwrap_err();
    assert_eq!(error.gateway_status(), StatusCode::GATEWAY_TIMEOUT);
    let Error::Stopped(stopped) = error else { panic!("{error}") };
    assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::Deadline, 0));
    assert_eq!(mirror.hits.load(Ordering::Relaxed), 0);
}

#[test]
fn a_default_bound_gives_way_to_the_one_that_is_set() {
    let policy =
        |builder: Builder| builder.targets(["http://a.example"]).build().unwrap().group().policy().clone();
    let bounds = |builder| {
        let policy = policy(builder);
        (policy.attempt_timeout, policy.deadline)
    };
    let (short, long) = (Duration::from_secs(5), Duration::from_secs(60));
    let builder = FailoverClient::builder;
    assert_eq!(bounds(builder().deadline(short)), (short, Some(short)));
    assert_eq!(bounds(builder().attempt_timeout(long)), (long, Some(long)));
    // Of what was chosen, the shorter simply holds.
    assert_eq!(bounds(builder().attempt_timeout(long).deadline(short)), (long, Some(short)));
    let chosen = builder().policy(Policy::default()).attempt_timeout(long);
    assert_eq!(bounds(chosen), (long, Policy::default().deadline));
}

#[cfg(not(feature = "http2"))]
#[test]
fn without_http2_a_target_over_it_is_refused() {
    use failover_tokio::Protocol;

    let target = Target::parse("http://host").unwrap();
    let expected = "targets[0].protocol = http2: expected http1, since the feature `http2` is off";
    for builder in [
        FailoverClient::builder().target(target.clone().protocol(Protocol::Http2)),
        FailoverClient::builder().target(target).protocol(Protocol::Http2),
    ] {
        assert_eq!(builder.build().unwrap_err().to_string(), expected);
    }
}

#[cfg(not(feature = "rustls-no-provider"))]
#[test]
fn without_tls_an_https_target_is_refused() {
    let error = FailoverClient::builder().targets(["https://user:pass@host/path"]).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "targets[0].url = https://host: expected http, since the feature `rustls` is off"
    );
}

#[tokio::test]
async fn a_large_body_in_memory_arrives_whole_at_the_second_target() {
    let busy = Server::answering(StatusCode::SERVICE_UNAVAILABLE, "busy").await;
    let mirror = Server::mirror().await;
    let client = FailoverClient::builder()
        .targets([busy.url(""), mirror.url("")])
        .replay(Replay::Always)
        .build()
        .unwrap();
    let body = "0123456789abcdef".repeat(100_000);
    let seen = text(client.post("/").body(body.clone()).await.unwrap()).await;
    assert!(seen.ends_with(&body));
}

#[tokio::test]
async fn nothing_shows_more_of_a_url_than_scheme_host_and_port() {
    let refuses = Refusing::new();
    let url = refuses.url().replace("http://", "http://user:pass@") + "/private";
    let client = client([url]);
    let error = client.get("/hidden?token=1").await.unwrap_err();
    let shown = format!("{client:?} {error:?} {error}");
    for secret in ["user", "pass", "private", "hidden", "token"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn a_setting_without_sense_is_refused_with_its_key_and_value() {
    let refused = FailoverClient::builder().targets(["ftp://host"]).build().unwrap_err();
    assert_eq!((refused.key(), refused.value()), ("targets", "ftp://host"));
    let refused = FailoverClient::builder().targets(["http://h"]).failover_codes([99]).build().unwrap_err();
    assert_eq!((refused.key(), refused.value()), ("failover_codes", "99"));
    let nothing: [&str; 0] = [];
    let refused = FailoverClient::builder().targets(nothing).build().unwrap_err();
    assert_eq!(refused.key(), "targets");
}

#[test]
fn calls_can_be_spawned_and_errors_boxed() {
    fn assert_traits<T: Send + Sync + 'static>() {}
    assert_traits::<FailoverClient>();
    assert_traits::<Error>();
    assert_traits::<Response<ResponseBody>>();
}

const SHORT: Duration = Duration::from_secs(1);

fn client(targets: impl IntoIterator<Item = String>) -> FailoverClient {
    FailoverClient::builder().targets(targets).build().unwrap()
}

fn answered(response: &Response<ResponseBody>) -> &Answered {
    response.body().answered()
}

async fn text(response: Response<ResponseBody>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A port where nobody listens, taken so that nobody else does.
struct Refusing(TcpSocket);

impl Refusing {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self(socket)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
}

/// A body that never ends.
struct Stalled;

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Pending
    }
}

struct Server {
    port: u16,
    hits: Arc<AtomicUsize>,
    hit: Arc<Notify>,
}

impl Server {
    async fn start<H, F, B>(handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (hits, hit) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let server = Self { port, hits: hits.clone(), hit: hit.clone() };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (handler, hits, hit) = (handler.clone(), hits.clone(), hit.clone());
                let service = service_fn(move |request| {
                    hits.fetch_add(1, Ordering::Relaxed);
                    hit.notify_one();
                    let response = handler(request);
                    async { Ok::<_, Infallible>(response.await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    /// Answers at once, whether or not the request has a body.
    async fn answering(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self::start(move |_| {
            let mut response = Response::new(Full::new(body.clone()));
            *response.status_mut() = status;
            async { response }
        })
        .await
    }

    /// Answers when it has read the request's body.
    async fn reading(status: StatusCode) -> Self {
        Self::start(move |request| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = status;
            response
        })
        .await
    }

    async fn silent() -> Self {
        Self::start(|_| pending::<Response<Full<Bytes>>>()).await
    }

    /// Answers with the request that it got, its trailers last.
    async fn mirror() -> Self {
        Self::start(|request| async {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap();
            let trailers = show(body.trailers().unwrap_or(&HeaderMap::new()));
            let mut seen =
                format!("{} {}\n{}\n{trailers}\n", head.method, head.uri, show(&head.headers)).into_bytes();
            seen.extend_from_slice(&body.to_bytes());
            Response::new(Full::new(Bytes::from(seen)))
        })
        .await
    }

    async fn forwarding(targets: impl IntoIterator<Item = String>, policy: Policy) -> Self {
        let client = FailoverClient::builder().targets(targets).policy(policy).build().unwrap();
        Self::start(move |request| {
            let client = client.clone();
            async move {
                let result = client.forward(request).await;
                result.unwrap_or_else(|error| error.into_response().expect("a target answered"))
            }
        })
        .await
    }

    /// Sends bytes and reads until the server closes.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        let request = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }
}

fn show(headers: &HeaderMap) -> String {
    headers
        .iter()
        .fold(String::new(), |shown, (name, value)| shown + &format!("{name}: {}\n", value.to_str().unwrap()))
}
