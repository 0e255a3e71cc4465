//! Streams that a connector of the caller's opens, in place of sockets.

use std::future::{pending, ready as at_once};
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant};

use failover_core::{Address, Evidence, Target};
use failover_tests::lab::LIMIT;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadBuf, duplex,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::Client;
use crate::suite::{Call, PATIENCE, policy, target};

/// Guards: `Connector::stream` that asks it for the URL's host only; that dials beside it.
#[test]
fn a_connector_gives_the_streams_that_connections_are_kept_over_and_is_told_where_they_lead() {
    let server = InMemory::start(usize::MAX);
    let elsewhere = Address::Unix("/run/app.sock".to_owned());
    let targets =
        vec![target("http://a.invalid/v1"), target("http://b.invalid:81").connect_to(elsewhere.clone())];
    let client = server.client(targets);
    for _ in 0..3 {
        assert_eq!(client.call(&Call::get("/users")).unwrap().text(), "a.invalid /v1/users ");
    }
    client.prefer(1);
    assert_eq!(client.call(&Call::post("money")).unwrap().text(), "b.invalid:81 /pay money");
    let named = Address::Host { host: "a.invalid".to_owned(), port: 80 };
    assert_eq!(server.asked(), [named, elsewhere]);
}

/// Guards: `TransportError::from` a connector's error, which proves nothing, or is no error of the machine's.
#[test]
fn not_sent_always_a_post_moves_on_from_a_connector_that_fails() {
    let server = InMemory::start(usize::MAX);
    for (error, evidence) in [
        (io::Error::other("no"), Evidence::NoConnection),
        (io::ErrorKind::OutOfMemory.into(), Evidence::NoRoom),
    ] {
        let (error, opening) = (Mutex::new(Some(error)), server.opening());
        let targets = vec![target("http://down.invalid"), target("http://up.invalid")];
        let client = Client::built(targets, policy(), |builder| {
            builder.connector(move |address| {
                let failed = error.lock().unwrap().take();
                at_once(failed.map_or_else(|| Ok(opening(address)), Err))
            })
        });
        let answer = client.call(&Call::post("money")).unwrap();
        assert_eq!(answer.text(), "up.invalid /pay money");
        assert_eq!(answer.failures[0].evidence, Some(evidence));
    }
}

/// Guards: `Connector::stream` whose hook has no bound.
#[test]
fn not_sent_always_a_post_moves_on_from_a_connector_that_hangs() {
    let server = InMemory::start(usize::MAX);
    let opening = server.opening();
    let hangs = target("http://down.invalid").connect_timeout(Duration::from_millis(100));
    let client = Client::built(vec![hangs, target("http://up.invalid")], policy(), |builder| {
        builder.connector(move |address| {
            let hangs = address.to_string().starts_with("down");
            let stream = opening(address);
            async move { if hangs { pending().await } else { Ok::<_, io::Error>(stream) } }
        })
    });
    let answer = client.call(&Call::post("money")).unwrap();
    assert_eq!(answer.text(), "up.invalid /pay money");
    assert_eq!(answer.failures[0].evidence, Some(Evidence::NoConnection));
}

/// Guards: `Connector::open` that lets the task end by a panic which calls wait for.
#[test]
fn not_sent_always_a_post_moves_on_from_a_connector_that_panics() {
    let server = InMemory::start(usize::MAX);
    for at_once in [true, false] {
        let opening = server.opening();
        let panics = target("http://down.invalid").attempt_timeout(PATIENCE).connect_timeout(PATIENCE);
        let client = Client::built(vec![panics, target("http://up.invalid")], policy(), |builder| {
            builder.pool_max_dials(1).connector(move |address| {
                let panics = address.to_string().starts_with("down");
                assert!(!(panics && at_once), "as it is called");
                let stream = opening(address);
                async move {
                    assert!(!panics, "as it is awaited");
                    Ok::<_, io::Error>(stream)
                }
            })
        });
        let began = Instant::now();
        let calls = [(); 3].map(|()| client.start(Call::post("money")));
        let mut failures = 0;
        for call in calls {
            let answer = call.finish().unwrap();
            assert_eq!(answer.text(), "up.invalid /pay money");
            // One that begins after the first has failed is not sent there.
            failures += answer.failures.len();
            assert!(answer.failures.iter().all(|failed| failed.evidence == Some(Evidence::NoConnection)));
        }
        assert!(failures > 0);
        assert!(began.elapsed() < PATIENCE);
    }
}

/// Guards: `Counted` that counts only what a stream says that it took.
#[test]
fn never_twice_a_post_stops_where_a_stream_sent_a_part_of_it_and_failed() {
    let server = InMemory::start(usize::MAX);
    let opening = server.opening();
    let targets = vec![target("http://half.invalid"), target("http://up.invalid")];
    let client = Client::built(targets, policy(), |builder| {
        builder.connector(move |address| at_once(Ok::<_, io::Error>(Half(opening(address)))))
    });
    let failed = client.call(&Call::post("money")).unwrap_err();
    let evidence: Vec<_> = failed.failures.iter().map(|failure| failure.evidence).collect();
    assert_eq!(evidence, [Some(Evidence::MaybeProcessed)]);
    assert_eq!(server.asked().len(), 1);
}

/// A stream that sends half of what it is to write, and fails.
struct Half(DuplexStream);

impl AsyncRead for Half {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Half {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let half = &buf[..buf.len() / 2];
        assert_eq!(ready!(Pin::new(&mut self.0).poll_write(cx, half))?, half.len());
        Poll::Ready(Err(io::Error::other("half of it is sent")))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[test]
fn a_stream_that_ended_while_it_was_idle_gets_no_request() {
    let server = InMemory::start(1);
    let client = server.client(vec![target("http://a.invalid").attempt_timeout(PATIENCE)]);
    for streams in 1..=3 {
        let answer = client.call(&Call::post("money")).unwrap();
        assert_eq!((answer.text(), answer.failures.len()), ("a.invalid /pay money", 0));
        server.wait_for_an_end();
        assert_eq!(server.asked().len(), streams);
    }
}

/// A server whose clients are in this process: it answers with the host, the path and the body of each request.
struct InMemory {
    streams: UnboundedSender<DuplexStream>,
    asked: Arc<Mutex<Vec<Address>>>,
    ended: Receiver<()>,
}

impl InMemory {
    /// Starts one that ends each stream, without a word, after so many answers.
    fn start(answers: usize) -> Self {
        let (streams, mut accepted) = unbounded_channel();
        let (ends, ended) = channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                while let Some(stream) = accepted.recv().await {
                    let ends = ends.clone();
                    tokio::spawn(async move {
                        let _ = converse(stream, answers).await;
                        let _ = ends.send(());
                    });
                }
            });
        });
        Self { streams, asked: Arc::default(), ended }
    }

    /// What opens streams to it.
    fn opening(&self) -> impl Fn(Address) -> DuplexStream + Send + Sync + 'static {
        let (streams, asked) = (self.streams.clone(), Arc::clone(&self.asked));
        move |address| {
            let (ours, theirs) = duplex(64 << 10);
            streams.send(theirs).unwrap();
            asked.lock().unwrap().push(address);
            ours
        }
    }

    fn client(&self, targets: Vec<Target>) -> Client {
        let opening = self.opening();
        let connect = move |address| at_once(Ok::<_, io::Error>(opening(address)));
        Client::built(targets, policy(), |builder| builder.connector(connect))
    }

    /// Where streams were to lead.
    fn asked(&self) -> Vec<Address> {
        self.asked.lock().unwrap().clone()
    }

    fn wait_for_an_end(&self) {
        self.ended.recv_timeout(LIMIT).unwrap();
    }
}

async fn converse(stream: DuplexStream, answers: usize) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    for _ in 0..answers {
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let header = |name| head.lines().find_map(|line| line.strip_prefix(name));
        let mut body = vec![0; header("content-length: ").map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await?;
        let (path, host) = (head.split(' ').nth(1).unwrap(), header("host: ").unwrap());
        let text = format!("{host} {path} {}", String::from_utf8(body).unwrap());
        let answer = format!("HTTP/1.1 200 \r\ncontent-length: {}\r\n\r\n{text}", text.len());
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
