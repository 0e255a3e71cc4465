//! Connections of HTTP/2: who shares one, who gets another, and who is harmed by whom.
#![cfg(feature = "http2")]

#[expect(dead_code, reason = "what the other suites need")]
mod common;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::{LIMIT, Pieces, Server, answered, fault, limited, mirrored, serve, stopped};
use failover_tokio::{
    AttemptError, Evidence, FailoverClient, Failure, Fault, Protocol, ResponseBody, Within,
};
use h2::server::{Connection, SendResponse};
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, mpsc, watch};

#[tokio::test]
async fn a_thousand_requests_at_once_are_answered_over_as_many_connections_as_they_need() {
    let (open, most) = (Arc::new(Mutex::new(vec![0; 64])), Arc::new(AtomicUsize::new(0)));
    let (all, counts) = (Arc::new(Barrier::new(1_000)), (Arc::clone(&open), Arc::clone(&most)));
    let server = server(100, move |connection, _, respond| {
        let (all, (open, most)) = (Arc::clone(&all), counts.clone());
        let count = move |change: isize| {
            let mut open = open.lock().unwrap();
            open[connection] += change;
            most.fetch_max(open[connection].unsigned_abs(), Ordering::Relaxed);
        };
        async move {
            count(1);
            // Nobody is answered before everybody was sent.
            all.wait().await;
            count(-1);
            answer(respond, "right");
        }
    })
    .await;
    let client = client([server.url()]);
    let calls: Vec<_> = (0..1_000).map(|_| client.post("/").body("money").submit()).collect();
    for call in calls {
        let response = call.await.unwrap();
        assert_eq!(answered(&response).failures().len(), 0, "{:?}", answered(&response));
        assert_eq!(text(response).await, "right");
    }
    assert_eq!(most.load(Ordering::Relaxed), 100);
    assert!((10..=64).contains(&server.connections()), "{}", server.connections());
}

#[tokio::test]
async fn never_refused_untried_calls_wait_for_room_at_a_target_that_takes_no_second_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (take, mut taken) = mpsc::unbounded_channel();
    let (open, opened) = watch::channel(false);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        drop(listener);
        streams(stream, 10, |_, respond| {
            let (take, mut opened) = (take.clone(), opened.clone());
            async move {
                take.send(()).unwrap();
                opened.wait_for(|open| *open).await.unwrap();
                answer(respond, "right");
            }
        })
        .await;
    });
    let client = client([url]);
    let calls: Vec<_> = (0..300).map(|_| client.post("/").body("money").submit()).collect();
    for _ in 0..10 {
        limited(taken.recv()).await.unwrap();
    }
    open.send(true).unwrap();
    for call in calls {
        let response = limited(call).await.unwrap();
        assert_eq!(answered(&response).failures().len(), 0, "{:?}", answered(&response));
        assert_eq!(text(response).await, "right");
    }
}

#[tokio::test]
async fn a_post_beside_streams_that_never_end_is_answered_over_another_connection() {
    let (server, mut seen) = paths(2).await;
    let client = client([server.url()]);
    let _endless = [client.get("/endless").await.unwrap(), client.get("/endless").await.unwrap()];
    let response = client.post("/").body("money").await.unwrap();
    assert_eq!(answered(&response).failures().len(), 0, "{:?}", answered(&response));
    assert_eq!(text(response).await, "right");
    assert_eq!(seen.next(3).await, [(0, "/endless"), (0, "/endless"), (1, "/")].map(own));
}

#[tokio::test]
async fn a_post_for_which_there_is_neither_a_stream_nor_another_connection_moves_on_unsent() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (see, mut seen) = Seen::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        drop(listener);
        streams(stream, 1, |request, respond| by_path(0, request, respond, see.clone())).await;
    });
    let works = Server::mirror(true).await;
    let client = client([url, works.url()]);
    let endless = client.get("/endless").await.unwrap();
    for _ in 0..5 {
        let response = client.post("/").body("money").await.unwrap();
        assert_eq!(only_failure(&response).evidence(), Some(Evidence::NotSent));
        assert_eq!(answered(&response).target(), 1);
    }
    // The target does its work, and does no more at a time.
    assert_eq!((client.sticky(), client.snapshot().targets[0].strikes), (0, 0));
    drop(endless);
    assert_eq!(text(client.post("/again").body("money").await.unwrap()).await, "right");
    assert_eq!(seen.next(2).await, [(0, "/endless"), (0, "/again")].map(own));
}

#[tokio::test]
async fn a_request_that_was_given_up_while_it_waited_for_a_stream_is_never_sent() {
    let (settle, settled) = watch::channel(false);
    let (see, mut seen) = Seen::channel();
    let (take, mut taken) = mpsc::unbounded_channel();
    let server = Server::start(move |stream, nth| {
        let (see, take, mut settled) = (see.clone(), take.clone(), settled.clone());
        async move {
            take.send(()).unwrap();
            if nth > 0 {
                settled.wait_for(|open| *open).await.unwrap();
            }
            streams(stream, 1, |request, respond| by_path(nth, request, respond, see.clone())).await;
        }
    })
    .await;
    let client = client([server.url()]);
    let endless = client.get("/endless").await.unwrap();
    let waits = client.post("/given/up").body("money").submit();
    // Another connection is opened for it.
    for _ in 0..2 {
        limited(taken.recv()).await.unwrap();
    }
    drop(waits);
    settle.send(true).unwrap();
    drop(endless);
    for _ in 0..3 {
        assert_eq!(text(client.post("/").body("money").await.unwrap()).await, "right");
    }
    let heard = seen.next(4).await;
    assert!(heard[0].1 == "/endless" && heard[1..].iter().all(|(_, path)| path == "/"), "{heard:?}");
    assert_eq!(server.connections(), 2);
}

/// Guards: `Http2::open` with the connection's window that hyper has by itself.
#[tokio::test]
async fn one_reader_who_does_not_read_delays_nobody() {
    let (server, _seen) = paths(100).await;
    let client = client([server.url()]);
    let mut unread = vec![];
    // More than the window of a connection that hyper has by itself.
    for _ in 0..24 {
        unread.push(client.get("/large").await.unwrap());
    }
    assert_eq!(text(client.get("/").await.unwrap()).await, "right");
    for response in unread {
        assert_eq!(text(response).await.len(), LARGE);
    }
    assert_eq!(server.connections(), 1);
}

/// Guards: `Http2::join` with one place on each connection.
#[tokio::test]
async fn one_reader_a_stuck_upload_delays_no_other() {
    let (server, mut seen) = paths(100).await;
    let client = client([server.url()]);
    let stuck = client.post("/unread").body(vec![b'x'; LARGE]).submit();
    assert_eq!(seen.next(1).await, [(0, "/unread")].map(own));
    for _ in 0..10 {
        assert_eq!(text(client.post("/read").body("money").await.unwrap()).await, "money");
    }
    assert!(!stuck.is_finished());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_stream_that_timed_out_takes_nobody_along_and_keeps_others_away_until_something_is_heard() {
    let (finish, finished) = watch::channel(false);
    let (see, mut seen) = Seen::channel();
    let server = server(100, move |connection, request, respond| {
        let (see, mut finished) = (see.clone(), finished.clone());
        async move {
            if request.uri().path() == "/halves" {
                see.send((connection, "/halves".to_owned())).unwrap();
                let mut stream = begin(respond);
                stream.send_data("first ".into(), false).unwrap();
                finished.wait_for(|open| *open).await.unwrap();
                stream.send_data("second".into(), true).unwrap();
            } else {
                by_path(connection, request, respond, see).await;
            }
        }
    })
    .await;
    let client = client([server.url()]);
    let mut halves = client.get("/halves").await.unwrap().into_body();
    assert_eq!(limited(halves.frame()).await.unwrap().unwrap().into_data().unwrap(), "first ");
    let silent = Request::get("/silent").extension(Within(Duration::from_secs(1))).body("").unwrap();
    let failure = stopped(client.request(silent).await);
    assert!(matches!(fault(&failure), Fault::Timeout(_)), "{failure:?}");
    assert_eq!(text(client.get("/other").await.unwrap()).await, "right");
    finish.send(true).unwrap();
    assert_eq!(limited(halves.collect()).await.unwrap().to_bytes(), "second");
    assert_eq!(text(client.get("/again").await.unwrap()).await, "right");
    let expected = [(0, "/halves"), (0, "/silent"), (1, "/other"), (0, "/again")];
    assert_eq!(seen.next(4).await, expected.map(own));
}

#[tokio::test]
async fn a_target_that_does_not_speak_http2_is_no_connection() {
    let speaks_http1 = Server::start(|stream, _| serve(stream, false, mirrored)).await;
    let says_http1 = Server::start(|mut stream, _| async move {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 \r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut vec![]).await;
    })
    .await;
    let closes = Server::start(|stream, _| async move { drop(stream) }).await;
    for target in [speaks_http1, says_http1, closes] {
        let works = Server::mirror(true).await;
        for streamed in [false, true] {
            let client = client([target.url(), works.url()]);
            let response = if streamed {
                client.forward(Request::post("/").body(Pieces::of(["mon", "ey"])).unwrap()).await.unwrap()
            } else {
                client.post("/").body("money").await.unwrap()
            };
            let failure = only_failure(&response);
            assert_eq!((failure.evidence(), fault(failure)), (Some(Evidence::NoConnection), Fault::NotHttp2));
            assert!(text(response).await.ends_with("money"));
        }
    }
}

#[tokio::test]
async fn a_connection_that_its_server_shut_down_while_idle_gets_no_request() {
    let (close, mut closed) = mpsc::unbounded_channel();
    let server = Server::start(move |mut stream, _| {
        let close = close.clone();
        async move {
            let mut connection = h2::server::handshake(&mut stream).await.unwrap();
            while let Some(Ok((_, respond))) = connection.accept().await {
                answer(respond, "right");
                connection.graceful_shutdown();
            }
            drop(connection);
            let _ = stream.read_to_end(&mut vec![]).await;
            close.send(()).unwrap();
        }
    })
    .await;
    let client = client([server.url()]);
    for nth in 1..=20 {
        let response = client.post("/").body("money").await.unwrap();
        assert_eq!(answered(&response).failures().len(), 0, "{:?}", answered(&response));
        assert_eq!(text(response).await, "right");
        limited(closed.recv()).await.unwrap();
        assert_eq!(server.connections(), nth);
    }
}

#[tokio::test]
async fn a_connection_that_is_opened_for_a_call_that_left_is_the_next_ones() {
    let (settle, settled) = watch::channel(false);
    let (take, mut taken) = mpsc::unbounded_channel();
    let server = Server::start(move |stream, _| {
        let (take, mut settled) = (take.clone(), settled.clone());
        async move {
            take.send(()).unwrap();
            settled.wait_for(|open| *open).await.unwrap();
            serve(stream, true, mirrored).await;
        }
    })
    .await;
    let client = client([server.url()]);
    let leaves = client.post("/left").body("money").submit();
    limited(taken.recv()).await.unwrap();
    drop(leaves);
    let next = client.post("/next").body("money").submit();
    settle.send(true).unwrap();
    let response = next.await.unwrap();
    assert_eq!(answered(&response).failures().len(), 0, "{:?}", answered(&response));
    assert!(text(response).await.contains("/next"));
    assert_eq!(server.connections(), 1);
}

fn client(targets: impl IntoIterator<Item = String>) -> FailoverClient {
    let builder = FailoverClient::builder().targets(targets).protocol(Protocol::Http2);
    builder.attempt_timeout(LIMIT).build().unwrap()
}

async fn text(response: Response<ResponseBody>) -> String {
    limited(common::text(response)).await
}

fn only_failure(response: &Response<ResponseBody>) -> &Failure<AttemptError> {
    let [failure] = answered(response).failures() else { panic!("{:?}", answered(response)) };
    failure
}

/// Runs a handler for each stream, which is told on which connection it came.
async fn server<H, F>(most: u32, handler: H) -> Server
where
    H: Fn(usize, Request<RecvStream>, SendResponse<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Server::start(move |stream, nth| {
        let handler = handler.clone();
        async move { streams(stream, most, |request, respond| handler(nth, request, respond)).await }
    })
    .await
}

/// Serves one connection, on which so many streams may be open at once.
async fn streams<I, H, F>(stream: I, most: u32, handler: H)
where
    I: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<RecvStream>, SendResponse<Bytes>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(most).initial_connection_window_size(1 << 20);
    let Ok(mut connection): Result<Connection<_, Bytes>, _> = builder.handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(handler(request, respond));
    }
}

/// A server that answers by the path, and what came to it.
async fn paths(most: u32) -> (Server, Seen) {
    let (see, seen) = Seen::channel();
    let handler = move |connection, request, respond| by_path(connection, request, respond, see.clone());
    (server(most, handler).await, seen)
}

async fn by_path(
    connection: usize,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    see: mpsc::UnboundedSender<(usize, String)>,
) {
    let path = request.uri().path().to_owned();
    // Who asks no more has seen enough.
    let _ = see.send((connection, path.clone()));
    let mut body = request.into_body();
    match path.as_str() {
        "/endless" => {
            let mut stream = begin(respond);
            let _ = stream.send_data("and so on".into(), false);
            let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
        }
        "/silent" | "/unread" => drop(std::future::poll_fn(|cx| respond.poll_reset(cx)).await),
        "/large" => drop(begin(respond).send_data(vec![b'x'; LARGE].into(), true)),
        "/read" => {
            let mut read = vec![];
            while let Some(Ok(piece)) = body.data().await {
                read.extend_from_slice(&piece);
            }
            drop(begin(respond).send_data(read.into(), true));
        }
        _ => answer(respond, "right"),
    }
}

fn answer(respond: SendResponse<Bytes>, text: &'static str) {
    let _ = begin(respond).send_data(text.into(), true);
}

fn begin(mut respond: SendResponse<Bytes>) -> SendStream<Bytes> {
    respond.send_response(Response::new(()), false).expect("the client waits")
}

/// The requests that came to a server, each with the number of its connection.
struct Seen(mpsc::UnboundedReceiver<(usize, String)>);

impl Seen {
    fn channel() -> (mpsc::UnboundedSender<(usize, String)>, Self) {
        let (see, seen) = mpsc::unbounded_channel();
        (see, Self(seen))
    }

    async fn next(&mut self, count: usize) -> Vec<(usize, String)> {
        let mut requests = vec![];
        while requests.len() < count {
            requests.push(limited(self.0.recv()).await.unwrap());
        }
        requests
    }
}

fn own((connection, path): (usize, &str)) -> (usize, String) {
    (connection, path.to_owned())
}

const LARGE: usize = 4 << 20;
