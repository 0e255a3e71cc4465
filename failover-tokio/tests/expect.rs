//! `Expect: 100-continue` of requests that are passed on, and over HTTP/2.
#![cfg(feature = "http2")]

#[expect(dead_code, reason = "what the other suites need")]
mod common;

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use common::{LIMIT, Server, answered, limited, read_head, serve};
use failover_tokio::{
    AttemptBody, Error, Failover, FailoverClient, Policy, Reason, ResponseBody, StatusCodes, Target,
};
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tower::{BoxError, service_fn};

/// Guards: `Driver::rewind` that does not tell of a body that is kept; `AttemptBody` that does not wait.
#[tokio::test]
async fn a_body_that_can_be_sent_once_moves_on_while_no_target_asked_for_it() {
    for status in [417, 503] {
        let refuses = refusing(status, "").await;
        let works = Server::mirror(false).await;
        // Where the machine is busy, the second may be over before the refusal is read.
        let answer = untroubled(async || {
            let client = client([refuses.url(), works.url()]);
            let (body, read) = Large::new();
            let result = client.forward(expecting(body)).await;
            result.map_err(|error| assert!(read.load(Ordering::Relaxed), "{error}")).ok()
        });
        let answer = answer.await;
        assert_eq!(answered(&answer).failures()[0].status().unwrap(), status);
        assert!(text(answer).await.ends_with(LARGE));
    }
}

/// Guards: `Driver::rewind` that takes all that is expected for kept.
#[tokio::test]
async fn a_body_that_can_be_sent_once_stays_with_the_target_that_asked_for_it() {
    let asks = refusing(503, "HTTP/1.1 100 Continue\r\n\r\n").await;
    let works = Server::mirror(false).await;
    let (body, read) = Large::new();
    let result = client([asks.url(), works.url()]).forward(expecting(body)).await;
    let Err(Error::Stopped(stopped)) = result else { panic!("the body is gone") };
    assert_eq!(stopped.reason(), Reason::OneShotBody);
    assert_eq!((read.load(Ordering::Relaxed), works.connections()), (true, 0));
}

/// Guards: `Waiting::waits_on` that does not tell of a body that is gone.
#[tokio::test(start_paused = true)]
async fn a_target_that_has_what_nobody_else_can_get_is_waited_for() {
    let service = service_fn(async |request: Request<AttemptBody>| {
        let mut response = Response::new(Full::<Bytes>::default());
        if request.uri().host() == Some("refuses.example") {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        } else {
            request.into_body().collect().await?;
            sleep(5 * LONGEST).await;
        }
        Ok::<_, BoxError>(response)
    });
    let hosts = ["http://refuses.example", "http://slow.example", "http://last.example"];
    let targets = hosts.map(|url| Target::parse(url).unwrap());
    let failover = Failover::new(targets, policy().deadline(8 * LONGEST), service).unwrap();
    let mut put = expecting(Large::new().0);
    *put.method_mut() = Method::PUT;
    let answer = failover.forward(put).await.unwrap();
    assert_eq!(answered(&answer).target(), 1);
}

/// Guards: `FailoverClient::forward` that drops `Expect`; `AttemptBody` that does not wait.
#[tokio::test]
async fn who_sends_a_request_is_asked_for_its_body_when_the_target_asks() {
    let (came, mut head_came) = mpsc::unbounded_channel();
    let (ask, asks) = mpsc::unbounded_channel::<()>();
    let asks = Arc::new(tokio::sync::Mutex::new(asks));
    let target = Server::start(move |mut stream, _| {
        let (came, asks) = (came.clone(), Arc::clone(&asks));
        async move {
            came.send(read_head(&mut stream).await).unwrap();
            asks.lock().await.recv().await.unwrap();
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
            let mut body = [0; 3];
            stream.read_exact(&mut body).await.unwrap();
            assert_eq!(&body, b"abc");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright").await.unwrap();
        }
    })
    .await;
    let proxy = forwarding([target.url()]).await;
    let began = Instant::now();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    let head = limited(head_came.recv()).await.unwrap();
    assert!(head.contains("expect: 100-continue\r\n"), "{head}");
    let early = timeout(Duration::from_millis(100), stream.peek(&mut [0])).await;
    assert!(early.is_err() || began.elapsed() >= LONGEST, "nobody asked for the body");
    ask.send(()).unwrap();
    let mut interim = [0; 25];
    limited(stream.read_exact(&mut interim)).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    let mut answer = String::new();
    limited(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("right"), "{answer}");
}

/// Guards: `FailoverClient::forward` that drops `Expect`; `AttemptBody` that does not wait.
#[tokio::test]
async fn who_sends_a_request_that_is_refused_is_not_asked_for_its_body() {
    let refuses = refusing(417, "").await;
    let proxy = forwarding([refuses.url()]).await;
    let answer = untroubled(async || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        limited(stream.read_exact(&mut answer)).await.unwrap();
        Some(answer).filter(|answer| answer != b"HTTP/1.1 100")
    });
    assert_eq!(answer.await, b"HTTP/1.1 417");
}

/// Guards: `settle` that heeds no version.
#[tokio::test]
async fn what_comes_over_http10_expects_nothing() {
    let works = Server::mirror(false).await;
    let proxy = forwarding([works.url()]).await;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
    stream.write_all(HEAD.replace("HTTP/1.1", "HTTP/1.0").as_bytes()).await.unwrap();
    stream.write_all(b"abc").await.unwrap();
    let mut answer = String::new();
    limited(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains(" 200 OK") && answer.contains("abc") && !answer.contains("expect"), "{answer}");
}

/// Guards: `WhileRead::drop` that does nothing; `AttemptBody` that does not wait.
#[tokio::test]
async fn over_http2_a_refused_body_is_the_next_ones_and_its_stream_alone_is_reset() {
    for text in ["", "no"] {
        let (saw, mut seen) = mpsc::unbounded_channel();
        let target = over_http2(move |request, mut respond| {
            let saw = saw.clone();
            async move {
                let is_refused = request.headers().contains_key("expect");
                let response =
                    Response::builder().status(if is_refused { 503 } else { 200 }).body(()).unwrap();
                let mut stream = respond.send_response(response, text.is_empty()).unwrap();
                if !text.is_empty() {
                    stream.send_data(text.into(), true).unwrap();
                }
                saw.send(read(request.into_body()).await).unwrap();
            }
        })
        .await;
        let works = Server::mirror(true).await;
        let client = client_over_http2([target.url(), works.url()]);
        // Where the machine is busy, the second may be over before the refusal is read.
        let answer = untroubled(async || {
            client.prefer(0).unwrap();
            let answer = client.forward(expecting(Large::new().0)).await;
            let (data, end) = limited(seen.recv()).await.unwrap();
            data.is_empty().then(|| {
                assert_eq!(end, Some(h2::Reason::CANCEL));
                answer.unwrap()
            })
        });
        let answer = answer.await;
        assert_eq!(answered(&answer).failures()[0].status().unwrap(), 503);
        assert!(self::text(answer).await.ends_with(LARGE));
        client.prefer(0).unwrap();
        assert_eq!(self::text(client.get("/").await.unwrap()).await, text);
        assert_eq!(target.connections(), 1, "the place is free again");
    }
}

/// Guards: `Expectation::answered` that does nothing; `WhileRead` that is dropped before the answer was read.
#[tokio::test]
async fn over_http2_an_answer_without_the_body_is_read_to_its_end() {
    let (saw, mut seen) = mpsc::unbounded_channel();
    let target = over_http2(move |request, mut respond| {
        let saw = saw.clone();
        async move {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            // A body of which the answer said nothing would come meanwhile.
            sleep(LONGEST * 3 / 2).await;
            stream.send_data("right".into(), true).unwrap();
            saw.send(read(request.into_body()).await).unwrap();
        }
    })
    .await;
    let client = client_over_http2([target.url()]);
    let end = untroubled(async || {
        let answer = client.forward(expecting(Large::new().0)).await.unwrap();
        assert_eq!(text(answer).await, "right");
        let (data, end) = limited(seen.recv()).await.unwrap();
        data.is_empty().then_some(end)
    });
    assert_eq!(end.await, Some(h2::Reason::CANCEL));
}

/// Guards: `LONGEST` that is shorter, or without end.
#[tokio::test]
async fn over_http2_a_body_goes_after_a_second() {
    let began = Instant::now();
    let target = over_http2(move |request, mut respond| async move {
        respond.send_informational(Response::builder().status(100).body(()).unwrap()).unwrap();
        let (data, end) = read(request.into_body()).await;
        assert!(end.is_none() && data == LARGE.as_bytes() && began.elapsed() >= LONGEST);
        respond.send_response(Response::new(()), true).unwrap();
    })
    .await;
    let answer = client_over_http2([target.url()]).forward(expecting(Large::new().0)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

fn policy() -> Policy {
    let codes: StatusCodes = "417, 503".parse().unwrap();
    let policy = Policy::default().attempt_timeout(LIMIT).deadline(None).replay_buffer(LARGE.len() - 1);
    policy.failover_codes(codes).not_processed(codes)
}

fn client(targets: impl IntoIterator<Item = String>) -> FailoverClient {
    FailoverClient::builder().targets(targets).policy(policy()).build().unwrap()
}

fn client_over_http2(targets: impl IntoIterator<Item = String>) -> FailoverClient {
    FailoverClient::builder()
        .targets(targets)
        .policy(policy())
        .protocol(failover_tokio::Protocol::Http2)
        .build()
        .unwrap()
}

/// A server that passes on what comes over HTTP/1.1.
async fn forwarding(targets: impl IntoIterator<Item = String>) -> Server {
    let client = client(targets);
    Server::start(move |stream, _| {
        let client = client.clone();
        serve(stream, false, move |request| {
            let client = client.clone();
            async move {
                let result = client.forward(request).await;
                result.or_else(|error| error.into_response().ok_or("no answer"))
            }
        })
    })
    .await
}

/// A target that reads a head, and answers with these interim heads and then, once a body that was asked for came, with this
/// status.
async fn refusing(status: u16, interim: &'static str) -> Server {
    Server::start(move |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(interim.as_bytes()).await.unwrap();
        if !interim.is_empty() {
            stream.read_exact(&mut [0; LARGE.len()]).await.unwrap();
        }
        let head = format!("HTTP/1.1 {status} \r\ncontent-length: 2\r\n\r\nno");
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut vec![]).await;
    })
    .await
}

/// A target over HTTP/2 that has one request at a time on a connection.
async fn over_http2<H, F>(handler: H) -> Server
where
    H: Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Server::start(move |stream, _| {
        let handler = handler.clone();
        async move {
            let mut builder = h2::server::Builder::new();
            let mut connection = builder.max_concurrent_streams(1).handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(handler(request, respond));
            }
        }
    })
    .await
}

/// What comes of a body, and how its stream was reset.
async fn read(mut body: RecvStream) -> (Vec<u8>, Option<h2::Reason>) {
    let mut data = vec![];
    while let Some(piece) = body.data().await {
        match piece {
            Ok(piece) => data.extend_from_slice(&piece),
            Err(error) => return (data, error.reason()),
        }
    }
    (data, None)
}

/// Tries until the machine was quick enough.
async fn untroubled<T>(mut call: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..10 {
        if let Some(result) = call().await {
            return result;
        }
    }
    panic!("it is never so")
}

async fn text(response: Response<ResponseBody>) -> String {
    limited(common::text(response)).await
}

fn expecting(body: Large) -> Request<Large> {
    Request::post("/").header("expect", "100-continue").body(body).unwrap()
}

/// A body that is larger than what is kept of one, and tells whether it was read.
struct Large {
    left: Option<&'static str>,
    read: Arc<AtomicBool>,
}

impl Large {
    fn new() -> (Self, Arc<AtomicBool>) {
        let read = Arc::new(AtomicBool::new(false));
        (Self { left: Some(LARGE), read: Arc::clone(&read) }, read)
    }
}

impl Body for Large {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.read.store(true, Ordering::Relaxed);
        Poll::Ready(self.left.take().map(|left| Ok(Frame::data(left.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.map_or(0, str::len) as u64)
    }
}

const HEAD: &str =
    "POST / HTTP/1.1\r\nhost: p\r\nexpect: 100-continue\r\ncontent-length: 3\r\nconnection: close\r\n\r\n";

const LARGE: &str = "as large as the buffer and a byte more";

/// How long a body waits for a target that says nothing.
const LONGEST: Duration = Duration::from_secs(1);
