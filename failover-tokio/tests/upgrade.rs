//! Requests that offer an upgrade, and the tunnels that their connections become.
#![cfg(feature = "http2")]

#[expect(dead_code, reason = "what the other suites need")]
mod common;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::{LIMIT, Server, answered, limited, read_head};
use failover_tokio::{
    AttemptBody, Error, Failover, FailoverClient, Fault, Policy, Protocol, ResponseBody, Target, Tunnel,
};
use http::header::{CONNECTION, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1 as client_side;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, duplex};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep, timeout};
use tower::{BoxError, service_fn};

/// Guards: `Connections::send` that takes a connection of the pool; `Offer::make` that does nothing.
#[tokio::test]
async fn an_upgrade_fails_over_until_a_target_takes_it_up_and_bytes_pass_both_ways() {
    let busy = Server::start(|mut stream, _| async move {
        while let Ok(1..) = stream.peek(&mut [0]).await {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 503 \r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let (heads, echo) = echo().await;
    let (proxy, mut answers) =
        forwarding(client([NOWHERE.to_owned(), busy.url(), echo.url()], policy())).await;
    let mut stream = offer(&proxy, "keep-alive, Upgrade", "h2c, WebSocket").await;
    // Who is in a hurry does not wait for the answer.
    stream.write_all(b"early, ").await.unwrap();
    let head = limited(read_head(&mut stream)).await;
    for line in
        ["HTTP/1.1 101 ", "\r\nupgrade: websocket\r\n", "\r\nconnection: upgrade\r\n", "\r\nx-key: 1\r\n"]
    {
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(limited(answers.recv()).await.unwrap().told(), (101, 2, 3));
    let head = heads.lock().unwrap().remove(0);
    assert!(
        head.contains("\r\nupgrade: WebSocket\r\n") && head.contains("\r\nconnection: upgrade\r\n"),
        "{head}"
    );
    assert!(!head.contains("keep-alive") && head.contains("\r\nsec-websocket-key: k\r\n"), "{head}");
    stream.write_all(b"late").await.unwrap();
    // Its end is passed on, and what comes after it in the other direction is not lost.
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    limited(stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "hello early, late end");
}

/// Guards: `Offer::of` that takes up whatever is offered, or what `Connection` does not name.
#[tokio::test]
async fn what_cannot_be_taken_up_is_an_offer_without_which_a_request_is_served() {
    let mirror = Server::mirror(false).await;
    let targets = [mirror.url()];
    let (proxy, _) = forwarding(client(targets.clone(), policy())).await;
    let (refusing, _) = forwarding(client(targets, policy().upgrades::<String>([]))).await;
    for (proxy, version, connection, protocols) in [
        (&proxy, "1.1", "upgrade, http2-settings", "h2c"),
        (&proxy, "1.1", "upgrade", "TLS/1.2, websocket2"),
        (&proxy, "1.1", "keep-alive", "websocket"),
        (&proxy, "1.0", "upgrade", "websocket"),
        (&refusing, "1.1", "upgrade", "websocket"),
    ] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        let head = format!(
            "GET / HTTP/{version}\r\nhost: p\r\nconnection: close, {connection}\r\nupgrade: {protocols}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        limited(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.contains(" 200 OK\r\n") && answer.contains("GET HTTP/1.1 / host"), "{answer}");
        assert!(!answer.contains("upgrade"), "{answer}");
    }
    assert_eq!(mirror.connections(), 2, "each client's connection was kept");
}

/// Guards: `Inbound::exchange` that takes any 101 for one.
#[tokio::test]
async fn a_target_that_switches_to_what_was_not_offered_is_given_up() {
    for headers in ["upgrade: tcp\r\n", "", "upgrade: websocket, tcp\r\n"] {
        let wrong = switching(headers).await;
        let (_, echo) = echo().await;
        let client = client([wrong.url(), echo.url()], policy().upgrades(["websocket", "ssh"]));
        let (proxy, mut answers) = forwarding(client).await;
        let mut stream = offer(&proxy, "upgrade", "websocket").await;
        assert!(limited(read_head(&mut stream)).await.starts_with("HTTP/1.1 101 "), "{headers}");
        assert_eq!(limited(answers.recv()).await.unwrap().told(), (101, 1, 2));
    }
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_no_answer() {
    let wrong = switching("upgrade: websocket\r\n").await;
    let failure = common::stopped(client([wrong.url()], policy()).get("/").await);
    assert_eq!(common::fault(&failure), Fault::Garbage);
}

/// Guards: `Connections::send` that closes a connection which was not upgraded.
#[tokio::test]
async fn a_connection_that_stays_one_of_http_is_kept_and_not_used_for_another_offer() {
    let mirror = Server::mirror(false).await;
    let (proxy, mut answers) = forwarding(client([mirror.url()], policy())).await;
    for made in 1..=2 {
        let mut stream = offer(&proxy, "upgrade", "websocket").await;
        assert!(limited(read_head(&mut stream)).await.starts_with("HTTP/1.1 200 "));
        assert_eq!(limited(answers.recv()).await.unwrap().told(), (200, 0, 1));
        stream.write_all(b"GET / HTTP/1.1\r\nhost: p\r\nconnection: close\r\n\r\n").await.unwrap();
        limited(stream.read_to_end(&mut vec![])).await.unwrap();
        assert_eq!(mirror.connections(), made);
        limited(answers.recv()).await.unwrap();
    }
}

/// Guards: `Connections::send` that upgrades where only HTTP/2 is spoken.
#[tokio::test]
async fn a_target_of_http2_serves_without_it() {
    let mirror = Server::mirror(true).await;
    let target = Target::parse(&mirror.url()).unwrap().protocol(Protocol::Http2);
    let client = FailoverClient::builder().target(target).policy(policy()).build().unwrap();
    let (proxy, _) = forwarding(client).await;
    let mut stream = offer(&proxy, "upgrade", "websocket").await;
    assert!(limited(read_head(&mut stream)).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_websocket_over_http2_is_refused_without_an_attempt() {
    let mirror = Server::mirror(true).await;
    let mut request = Request::connect("http://p/").body(http_body_util::Empty::<Bytes>::new()).unwrap();
    request.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
    let refused = client([mirror.url()], policy()).forward(request).await.unwrap_err();
    assert_eq!((refused.gateway_status(), mirror.connections()), (StatusCode::NOT_IMPLEMENTED, 0));
}

#[tokio::test]
async fn a_body_comes_before_what_is_said_in_the_other_protocol() {
    let target = Server::start(|mut stream, _| async move {
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("POST ") && head.contains("content-length: 4\r\n"), "{head}");
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"body");
        stream.write_all(SWITCHES.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        copy(&mut reader, &mut writer).await.unwrap();
    })
    .await;
    let (proxy, _) = forwarding(client([target.url()], policy())).await;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
    let offer = OFFER.replace("GET", "POST").replace("host: p", "host: p\r\ncontent-length: 4");
    stream.write_all(format!("{offer}bodythen").as_bytes()).await.unwrap();
    assert!(limited(read_head(&mut stream)).await.starts_with("HTTP/1.1 101 "));
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    limited(stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "then");
}

#[tokio::test]
async fn a_call_that_offers_one_has_the_connection_itself() {
    let (_, echo) = echo().await;
    let request =
        Request::get("/").header(UPGRADE, "websocket").header(CONNECTION, "upgrade").body("").unwrap();
    let mut answer = client([echo.url()], policy()).request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert!(answer.extensions().get::<Tunnel>().is_none());
    let mut stream = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    stream.write_all(b"mine").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    limited(stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "hello mine end");
}

#[tokio::test]
async fn a_side_that_breaks_off_ends_the_other() {
    let (gone, mut went) = mpsc::unbounded_channel();
    let target = Server::start(move |mut stream, _| {
        let gone = gone.clone();
        async move {
            read_head(&mut stream).await;
            stream.write_all(SWITCHES.as_bytes()).await.unwrap();
            gone.send(stream.read(&mut [0]).await.unwrap_or(0)).unwrap();
        }
    })
    .await;
    let (proxy, _) = forwarding(client([target.url()], policy())).await;
    let mut stream = offer(&proxy, "upgrade", "websocket").await;
    limited(read_head(&mut stream)).await;
    drop(stream);
    assert_eq!(limited(went.recv()).await, Some(0));
}

/// Guards: `Tunnel::cut` that does nothing, and `Tunnel::ended` that does not wait.
#[tokio::test]
async fn a_tunnel_is_cut_from_outside() {
    let (_, echo) = echo().await;
    let (proxy, mut answers) = forwarding(client([echo.url()], policy())).await;
    let mut stream = offer(&proxy, "upgrade", "websocket").await;
    limited(read_head(&mut stream)).await;
    let tunnel = limited(answers.recv()).await.unwrap().tunnel.unwrap();
    assert!(timeout(Duration::from_millis(20), tunnel.ended()).await.is_err());
    tunnel.cut();
    limited(tunnel.ended()).await;
    let mut text = String::new();
    limited(stream.read_to_string(&mut text)).await.unwrap();
    assert!(["", "hello "].contains(&&*text), "{text}");
}

/// Guards: `join` without a bound, or that counts what one side says only.
#[tokio::test(start_paused = true)]
async fn body_idle_a_tunnel_ends_when_nothing_passed_for_so_long() {
    let (target, mut at_target) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<AttemptBody>| {
        let target = target.clone();
        async move {
            let (ours, mut theirs) = duplex(1 << 10);
            let (mut sender, connection) = client_side::handshake(TokioIo::new(ours)).await?;
            tokio::spawn(connection.with_upgrades());
            let answer = sender.send_request(request);
            let (answer, ()) = tokio::join!(answer, async {
                read_head(&mut theirs).await;
                theirs.write_all(SWITCHES.as_bytes()).await.unwrap();
                target.send(theirs).unwrap();
            });
            Ok::<_, BoxError>(answer?)
        }
    });
    let targets = [Target::parse("http://target.example").unwrap()];
    let failover = Failover::new(targets, policy().body_idle(IDLE), service).unwrap();
    let (mut client, inbound) = duplex(1 << 10);
    let (sender, mut answers) = mpsc::unbounded_channel();
    tokio::spawn(serve_upgrades(inbound, sender, move |request| {
        let failover = failover.clone();
        async move { failover.forward(request).await }
    }));
    client.write_all(OFFER.as_bytes()).await.unwrap();
    read_head(&mut client).await;
    let tunnel = answers.recv().await.unwrap().tunnel.unwrap();
    let mut sides = [client, at_target.recv().await.unwrap()];
    for _ in 0..3 {
        for (from, to) in [(0, 1), (1, 0)] {
            sleep(IDLE * 3 / 4).await;
            sides[from].write_u8(1).await.unwrap();
            sides[to].read_u8().await.unwrap();
        }
    }
    let spoke = Instant::now();
    tunnel.ended().await;
    assert!(spoke.elapsed() >= IDLE && spoke.elapsed() < IDLE * 2, "{:?}", spoke.elapsed());
    for side in &mut sides {
        assert_eq!(side.read(&mut [0]).await.unwrap(), 0);
    }
}

fn policy() -> Policy {
    Policy::default().attempt_timeout(LIMIT).deadline(None)
}

fn client(targets: impl IntoIterator<Item = String>, policy: Policy) -> FailoverClient {
    FailoverClient::builder().targets(targets).policy(policy).build().unwrap()
}

/// What a proxy answered.
struct Answer {
    status: u16,
    target: usize,
    attempts: usize,
    tunnel: Option<Tunnel>,
}

impl Answer {
    fn told(&self) -> (u16, usize, usize) {
        (self.status, self.target, self.attempts)
    }
}

/// A server that passes on what comes over HTTP/1.1, and lets connections be upgraded.
async fn forwarding(client: FailoverClient) -> (Server, UnboundedReceiver<Answer>) {
    let (sender, answers) = mpsc::unbounded_channel();
    let server = Server::start(move |stream, _| {
        let client = client.clone();
        serve_upgrades(stream, sender.clone(), move |request| {
            let client = client.clone();
            async move { client.forward(request).await }
        })
    });
    (server.await, answers)
}

async fn serve_upgrades<I, H, F, R>(io: I, answers: UnboundedSender<Answer>, handler: H)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<ResponseBody<R>>, Error<R>>>,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let service = hyper::service::service_fn(|request| async {
        let answer = handler(request).await.map_err(|error| error.to_string())?;
        let tunnel = answer.extensions().get().cloned();
        let (status, told) = (answer.status().as_u16(), answered(&answer));
        let _ = answers.send(Answer { status, target: told.target(), attempts: told.attempts(), tunnel });
        Ok::<_, String>(answer)
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(io), service).with_upgrades().await;
}

/// A target that takes up a websocket, says hello, says again what it hears, and tells of the end.
async fn echo() -> (Arc<Mutex<Vec<String>>>, Server) {
    let heads = Arc::new(Mutex::new(vec![]));
    let seen = Arc::clone(&heads);
    let server = Server::start(move |mut stream, _| {
        let seen = Arc::clone(&seen);
        async move {
            let head = read_head(&mut stream).await;
            seen.lock().unwrap().push(head);
            stream.write_all(format!("{SWITCHES}hello ").as_bytes()).await.unwrap();
            let (mut reader, mut writer) = stream.split();
            if copy(&mut reader, &mut writer).await.is_ok() {
                let _ = writer.write_all(b" end").await;
            }
        }
    });
    (heads, server.await)
}

/// A target that switches to what these headers say.
async fn switching(headers: &'static str) -> Server {
    Server::start(move |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(format!("HTTP/1.1 101 \r\n{headers}\r\n").as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await
}

/// A connection on which an upgrade was offered.
async fn offer(proxy: &Server, connection: &str, protocols: &str) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
    let head = OFFER
        .replace(": upgrade", &format!(": {connection}"))
        .replace(": websocket", &format!(": {protocols}"));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

const OFFER: &str =
    "GET / HTTP/1.1\r\nhost: p\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n";

const SWITCHES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nx-key: 1\r\n\r\n";

/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

const IDLE: Duration = Duration::from_secs(10);
