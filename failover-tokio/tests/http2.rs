//! HTTP/2: what its targets refuse, and what their connections die of.
#![cfg(feature = "http2")]

#[expect(dead_code, reason = "what the other suites need")]
mod common;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use common::{Pieces, Server, answered, fault, serve, stopped, text};
use failover_tokio::{AttemptError, Evidence, FailoverClient, Failure, Fault, Protocol, ResponseBody};
use h2::Reason as Code;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

#[tokio::test]
async fn cleartext_is_spoken_where_it_is_known_to_be_understood() {
    let server = Server::mirror(true).await;
    let client = client([server.url()]);
    for _ in 0..3 {
        let response = client.put("/a?b=%20").body("body").await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        let seen = text(response).await;
        let host = format!("127.0.0.1:{}", server.port);
        assert!(seen.starts_with(&format!("PUT HTTP/2.0 http://{host}/a?b=%20 host {host}\n")), "{seen}");
        assert!(seen.ends_with("body"), "{seen}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_refused_stream_moves_a_post_on_with_its_body() {
    let refuses = h2_server(|_, mut respond, _| respond.send_reset(Code::REFUSED_STREAM)).await;
    let works = Server::mirror(true).await;
    let client = client([refuses.url(), works.url()]);
    for streamed in [false, true] {
        let response = if streamed {
            client.forward(Request::post("/").body(Pieces::of(["mon", "ey"])).unwrap()).await.unwrap()
        } else {
            client.post("/").body("money").await.unwrap()
        };
        let failure = only_failure(&response);
        assert_eq!((failure.evidence(), fault(failure)), (Some(Evidence::Refused), Fault::Unprocessed));
        assert!(text(response).await.ends_with("money"));
    }
    assert_eq!(client.sticky(), 0, "the target works, and is busy");
}

/// Guards: an answer that is kept for as long as its call lasts, or drained to whatever end.
#[tokio::test]
async fn drained_an_endless_answer_is_reset_and_leaves_its_connection_in_use() {
    let (resets, mut reset) = mpsc::unbounded_channel();
    let endless = h2_server(move |_, mut respond, _| {
        let head = Response::builder().status(503).body(()).unwrap();
        let mut body = respond.send_response(head, false).unwrap();
        let resets = resets.clone();
        tokio::spawn(async move {
            body.send_data("half".into(), false).unwrap();
            resets.send(poll_fn(|cx| body.poll_reset(cx)).await.unwrap()).unwrap();
        });
    })
    .await;
    let works = Server::mirror(true).await;
    let client = client([endless.url(), works.url()]);
    for _ in 0..2 {
        let response = client.put("/").body("money").await.unwrap();
        assert_eq!(answered(&response).target(), 1);
        let reset = timeout(Duration::from_secs(30), reset.recv()).await.expect("it is let go");
        assert_eq!(reset, Some(Code::CANCEL));
    }
    assert_eq!(endless.connections(), 1);
}

#[tokio::test]
async fn a_stream_above_the_last_one_of_a_goaway_moves_on_with_proof_only() {
    let leaves = answering_headers_with(goaway(0, 0)).await;
    let works = Server::mirror(true).await;
    let response = client([leaves.url(), works.url()]).put("/").body("money").await.unwrap();
    assert_eq!(only_failure(&response).evidence(), Some(Evidence::MaybeProcessed));
    assert!(text(response).await.ends_with("money"));
}

#[tokio::test]
async fn what_else_ends_a_stream_proves_nothing() {
    let reset = |code: Code| h2_server(move |_, mut respond, _| respond.send_reset(code));
    let cases = [
        ("reset: cancel", reset(Code::CANCEL).await, Fault::Closed),
        ("reset: internal error", reset(Code::INTERNAL_ERROR).await, Fault::Closed),
        ("goaway: internal error", answering_headers_with(goaway(0, 2)).await, Fault::Closed),
        ("goaway, and the stream is above", answering_headers_with(goaway(0, 0)).await, Fault::Closed),
        ("goaway, and the stream is not above", answering_headers_with(goaway(1, 0)).await, Fault::Closed),
        ("closed", answering_headers_with(vec![]).await, Fault::Closed),
        ("garbage", answering_headers_with(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec()).await, Fault::Garbage),
    ];
    for (name, server, expected) in cases {
        let works = Server::mirror(true).await;
        let client = client([server.url(), works.url()]);
        let failure = stopped(client.post("/").body("money").await);
        assert_eq!(
            (failure.evidence(), fault(&failure)),
            (Some(Evidence::MaybeProcessed), expected),
            "{name}"
        );
        assert_eq!(works.connections(), 0, "{name}");
        assert_eq!(client.snapshot().targets[0].strikes, 1, "{name}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_dies_of_the_next_request_is_stale() {
    // Each connection serves one request and is closed by the second.
    let server =
        h2_server(|nth, respond, connection| if nth == 0 { ok(respond) } else { connection.close() }).await;
    let other = Server::mirror(true).await;
    let client = client([server.url(), other.url()]);
    for _ in 0..2 {
        assert_eq!(client.get("/").await.unwrap().into_body().collect().await.unwrap().to_bytes(), "");
        let repeated = client.get("/").await.unwrap();
        let failure = only_failure(&repeated);
        assert_eq!((failure.target(), failure.evidence()), (0, Some(Evidence::Stale)));
        assert_eq!(answered(&repeated).target(), 0);
        let failure = stopped(client.post("/").body("money").await);
        assert_eq!(failure.evidence(), Some(Evidence::Stale));
    }
    assert_eq!((other.connections(), client.sticky(), client.snapshot().targets[0].strikes), (0, 0, 0));
}

#[tokio::test]
async fn a_graceful_shutdown_between_two_requests_costs_nothing() {
    let server = h2_server(|_, respond, connection| {
        ok(respond);
        connection.shut_down();
    })
    .await;
    let client = client([server.url()]);
    for _ in 0..20 {
        // Until the connection knows of the shutdown, it may hand a request back, once.
        let response = client.post("/").body("money").await.unwrap();
        let evidence: Vec<_> = answered(&response).failures().iter().map(Failure::evidence).collect();
        assert!(evidence.is_empty() || evidence == [Some(Evidence::HandedBack)], "{evidence:?}");
    }
}

#[tokio::test]
async fn requests_that_wait_for_a_stream_are_no_local_fault_when_the_connection_dies() {
    let server = Server::start(|stream, _| async move {
        let mut builder = h2::server::Builder::new();
        let Ok(mut connection) = builder.max_concurrent_streams(1).handshake::<_, Bytes>(stream).await else {
            return;
        };
        if let Some(Ok((_, respond))) = connection.accept().await {
            ok(respond);
        }
        // The next request is held, others wait for its stream, and then the connection is gone.
        let held = connection.accept().await;
        let _ = timeout(Duration::from_millis(100), connection.accept()).await;
        drop((held, connection));
    })
    .await;
    let works = Server::mirror(true).await;
    let client = client([server.url(), works.url()]);
    assert_eq!(answered(&client.get("/").await.unwrap()).target(), 0);
    let calls: Vec<_> = (0..8).map(|_| client.get("/").submit()).collect();
    for call in calls {
        let response = call.await.unwrap();
        for failure in answered(&response).failures() {
            assert_ne!(failure.evidence(), Some(Evidence::LocalFault), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn a_silent_connection_is_not_used_again() {
    let server = h2_server_by_connection(|connection, nth, respond| {
        if connection > 0 || nth == 0 {
            ok(respond);
        } else {
            std::mem::forget(respond);
        }
    })
    .await;
    let builder = FailoverClient::builder().targets([server.url()]).protocol(Protocol::Http2);
    let client = builder.attempt_timeout(SECOND).build().unwrap();
    client.get("/").await.unwrap();
    let Fault::Timeout(waited) = fault(&stopped(client.get("/").await)) else { panic!("an answer") };
    assert!(waited >= SECOND);
    client.get("/").await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_body_of_the_caller_that_fails_is_not_the_targets_fault() {
    let works = Server::mirror(true).await;
    let client = client([works.url()]);
    let failing = Pieces {
        pieces: vec![Err(io::Error::other("unplugged")), Ok("the beginning".into())],
        trailers: None,
    };
    let failure = stopped(client.forward(Request::put("/").body(failing).unwrap()).await);
    assert_eq!((failure.evidence(), fault(&failure)), (Some(Evidence::LocalFault), Fault::RequestBody));
    assert_eq!(client.snapshot().targets[0].strikes, 0);
}

#[tokio::test]
async fn an_answer_before_the_body_ended_is_right() {
    let early = h2_server(|_, mut respond, _| {
        let response = Response::builder().status(413).body(()).unwrap();
        respond.send_response(response, false).unwrap().send_data("too large".into(), true).unwrap();
    })
    .await;
    let response = client([early.url()]).forward(Request::post("/").body(Stalled).unwrap()).await.unwrap();
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (413, "too large"));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    // HEADERS with `:status: 200`, and DATA that does not end the stream.
    let half = [&[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88, 0, 0, 4, 0, 0, 0, 0, 0, 1], b"half".as_slice()].concat();
    let reset = |code| vec![0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, code];
    for (name, end) in [
        ("closed", vec![]),
        ("reset: no error", reset(0)),
        ("reset: cancel", reset(8)),
        ("goaway: no error", goaway(1, 0)),
        ("goaway, and the stream is above: no error", goaway(0, 0)),
        ("goaway: internal error", goaway(1, 2)),
    ] {
        let server = answering_headers_with([half.clone(), end].concat()).await;
        let response = client([server.url()]).get("/").await.unwrap();
        assert!(response.into_body().collect().await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_forwarded_request_keeps_its_trailers_from_version_to_version() {
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("5"))]);
    for prior in [true, false] {
        let target = Server::mirror(prior).await;
        let builder = FailoverClient::builder().targets([target.url()]);
        let backend = if prior { builder.protocol(Protocol::Http2) } else { builder }.build().unwrap();
        for inbound_http2 in [true, false] {
            let proxy = forwarding(backend.clone(), inbound_http2).await;
            let builder = FailoverClient::builder().targets([proxy.url()]);
            let front =
                if inbound_http2 { builder.protocol(Protocol::Http2) } else { builder }.build().unwrap();

            let mut body = Pieces::of(["mon", "ey"]);
            body.trailers = Some(trailers.clone());
            let request =
                Request::post("/").header("te", "trailers").header("trailer", "x-sum").body(body).unwrap();
            let response = front.forward(request).await.unwrap();
            let answer = response.into_body().collect().await.unwrap();
            let case = format!("inbound HTTP/2 {inbound_http2}, outbound {prior}");
            assert_eq!(answer.trailers(), Some(&trailers), "{case}");
            let seen = String::from_utf8(answer.to_bytes().into()).unwrap();
            assert!(seen.ends_with("money") && seen.contains("x-sum: 5"), "{case}: {seen}");
            assert!(seen.contains("te: trailers"), "{case}: {seen}");
            assert_eq!(seen.contains("connection: te"), !prior, "{case}: {seen}");
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn client(targets: impl IntoIterator<Item = String>) -> FailoverClient {
    FailoverClient::builder().targets(targets).protocol(Protocol::Http2).build().unwrap()
}

fn only_failure(response: &Response<ResponseBody>) -> &Failure<AttemptError> {
    let [failure] = answered(response).failures() else { panic!("{:?}", answered(response)) };
    failure
}

fn ok(mut respond: SendResponse<Bytes>) {
    let _ = respond.send_response(Response::new(()), true);
}

/// A GOAWAY frame (RFC 9113, section 6.8).
fn goaway(last_stream: u8, code: u8) -> Vec<u8> {
    [[0, 0, 8, 7, 0, 0, 0, 0, 0].as_slice(), &[0, 0, 0, last_stream, 0, 0, 0, code]].concat()
}

/// A request body that never ends.
struct Stalled;

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// What a handler can do to its connection.
#[derive(Default)]
struct Connection {
    close: bool,
    shut_down: bool,
}

impl Connection {
    fn close(&mut self) {
        self.close = true;
    }

    fn shut_down(&mut self) {
        self.shut_down = true;
    }
}

/// Runs a handler for each stream, which is told how many came before on its connection.
async fn h2_server(
    handler: impl Fn(usize, SendResponse<Bytes>, &mut Connection) + Clone + Send + 'static,
) -> Server {
    Server::start(move |stream, _| serve_streams(stream, handler.clone())).await
}

async fn h2_server_by_connection(
    handler: impl Fn(usize, usize, SendResponse<Bytes>) + Clone + Send + 'static,
) -> Server {
    Server::start(move |stream, connection| {
        let handler = handler.clone();
        serve_streams(stream, move |nth, respond, _| handler(connection, nth, respond))
    })
    .await
}

/// Says hello, waits for the head of a request, says this, and closes.
async fn answering_headers_with(bytes: Vec<u8>) -> Server {
    Server::start(move |mut stream, _| {
        let bytes = bytes.clone();
        async move {
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            let mut preface = [0; 24];
            stream.read_exact(&mut preface).await.unwrap();
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.unwrap();
                let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
                stream.read_exact(&mut payload).await.unwrap();
                if head[3] == 1 {
                    break;
                }
            }
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            // Until the client has closed as well, so that the connection is not reset.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await
}

async fn forwarding(client: FailoverClient, http2: bool) -> Server {
    Server::start(move |stream, _| {
        let client = client.clone();
        serve(stream, http2, move |request| {
            let client = client.clone();
            async move { client.forward(request).await }
        })
    })
    .await
}

async fn serve_streams(stream: TcpStream, handler: impl Fn(usize, SendResponse<Bytes>, &mut Connection)) {
    let Ok(mut streams) = h2::server::handshake(stream).await else { return };
    let (mut nth, mut connection) = (0, Connection::default());
    while let Some(Ok((_, respond))) = streams.accept().await {
        handler(nth, respond, &mut connection);
        if connection.close {
            return;
        }
        if connection.shut_down {
            streams.graceful_shutdown();
        }
        nth += 1;
    }
}
