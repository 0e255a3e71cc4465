//! `Expect: 100-continue`: a body goes when its target asks for it, and to the next one whole if it does not.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use failover_core::Evidence;
use failover_tests::lab::{Reply, Server};

use crate::Client;
use crate::suite::{Call, policy, target};

/// Guards: `AttemptBody` that does not wait; `Expectation::listen` that hears nothing.
#[test]
fn a_body_goes_when_it_is_asked_for_and_not_before() {
    // Where the machine is busy, the second is over before it is asked for.
    assert!((0..10).any(|_| {
        let began = Instant::now();
        let peer = Peer::start(1, move |stream| {
            let head = read_head(stream);
            assert!(head.contains("expect: 100-continue\r\n"), "{head}");
            assert_nothing_comes(stream, began);
            stream.write_all(b"HTTP/1.1 103 \r\n\r\n").unwrap();
            assert_nothing_comes(stream, began);
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
            let mut body = [0; 5];
            stream.read_exact(&mut body).unwrap();
            let is_asked_for = began.elapsed() < LONGEST;
            assert_eq!(&body, b"money");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright").unwrap();
            is_asked_for
        });
        assert_eq!(peer.client([]).call(&post()).unwrap().text(), "right");
        peer.finish().pop().unwrap()
    }));
}

/// Guards: `LONGEST` that is shorter, or without end.
#[test]
fn a_target_that_does_not_ask_gets_the_body_after_a_second() {
    let began = Instant::now();
    let peer = Peer::start(1, move |stream| {
        read_head(stream);
        let mut body = [0; 5];
        stream.read_exact(&mut body).unwrap();
        assert!(began.elapsed() >= LONGEST, "{:?}", began.elapsed());
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright").unwrap();
        body.to_vec()
    });
    assert_eq!(peer.client([]).call(&post()).unwrap().text(), "right");
    assert_eq!(peer.finish(), [b"money"]);
}

/// Guards: `AttemptBody` that does not wait; `Http1::is_usable` that does not ask the sender.
#[test]
fn a_body_that_a_target_refuses_by_its_head_is_the_next_ones_whole() {
    for status in [503, 417] {
        let began = Instant::now();
        let peer = Peer::start(1, move |stream| {
            read_head(stream);
            write!(stream, "HTTP/1.1 {status} \r\ncontent-length: 2\r\n\r\nno").unwrap();
            let rest = read_to_end(stream);
            assert!(rest.is_empty() || began.elapsed() >= LONGEST, "{rest:?}");
        });
        let works = Server::script([Reply::ok("right")]);
        let client = peer.client([&works]);
        let answer = client.call(&post()).unwrap();
        assert_eq!((answer.text(), answer.failures[0].status), ("right", Some(status)));
        assert_eq!(works.requests()[0].text(), "money");
        peer.finish();
    }
}

/// Guards: `Expectation::answered` that does nothing; `Http1::is_usable` that does not ask the sender.
#[test]
fn an_answer_without_the_body_is_right_and_its_connection_is_not_used_again() {
    // Where the machine is busy, the second may be over before the head is read.
    assert!((0..10).any(|_| {
        let began = Instant::now();
        let peer = Peer::start(2, move |stream| {
            read_head(stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nri").unwrap();
            // A body of which the answer said nothing would come meanwhile.
            thread::sleep((LONGEST * 3 / 2).saturating_sub(began.elapsed()));
            stream.write_all(b"ght").unwrap();
            read_to_end(stream)
        });
        let client = peer.client([]);
        for _ in 0..2 {
            let answer = client.call(&post()).unwrap();
            assert_eq!((answer.text(), answer.failures.len()), ("right", 0));
        }
        let rests = peer.finish();
        rests[0].is_empty()
    }));
}

/// Guards: `settle` that keeps what is expected without a body.
#[test]
fn without_a_body_nothing_is_expected() {
    let server = Server::script([Reply::ok("right")]);
    let client = Client::new(vec![target(&server.url())], policy());
    client.call(&Call::get("/").header("expect", "100-continue")).unwrap();
    assert_eq!(server.requests()[0].header("expect"), None);
}

/// Guards: `AttemptBody::poll_frame` that has a body starve which waits for its target.
#[test]
fn a_target_that_is_silent_is_silent_whoever_waits_for_it() {
    let silent = Server::early(|_| Reply::stall());
    let works = Server::script([Reply::ok("right")]);
    let targets = vec![target(&silent.url()).attempt_timeout(LONGEST * 3 / 4), target(&works.url())];
    let mut call = post();
    call.method = "PUT".to_owned();
    let answer = Client::new(targets, policy()).call(&call).unwrap();
    assert_eq!((answer.text(), answer.target), ("right", 1));
    assert_ne!(answer.failures[0].evidence, Some(Evidence::LocalFault));
    assert_eq!(works.requests()[0].text(), "money");
}

fn post() -> Call {
    Call::post("money").header("expect", "100-Continue").header("idempotency-key", "8e03978e")
}

/// A target that speaks by hand, once on each of its connections.
struct Peer<T> {
    url: String,
    thread: JoinHandle<Vec<T>>,
}

impl<T: Send + 'static> Peer<T> {
    fn start(connections: usize, converse: impl Fn(&mut TcpStream) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accept = move |_| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            converse(&mut stream)
        };
        let thread = thread::spawn(move || (0..connections).map(accept).collect());
        Self { url, thread }
    }

    /// A client of this and then of these.
    fn client<const N: usize>(&self, others: [&Server; N]) -> Client {
        let others = others.into_iter().map(|server| target(&server.url()));
        let policy = policy().failover_codes("417, 503".parse().unwrap());
        Client::new([target(&self.url)].into_iter().chain(others).collect(), policy)
    }

    fn finish(self) -> Vec<T> {
        self.thread.join().unwrap()
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// Nothing comes for a while, unless the second is over that a body waits.
fn assert_nothing_comes(stream: &TcpStream, began: Instant) {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let nothing = stream.peek(&mut [0]).is_err();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(nothing || began.elapsed() >= LONGEST, "a body that nobody asked for");
}

/// What comes until the connection ends.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = vec![];
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the connection stays open");
    }
    rest
}

/// The guard against hangs: less than an idle connection is kept.
const PATIENCE: Duration = Duration::from_secs(12);

/// How long a body waits for a target that says nothing.
const LONGEST: Duration = Duration::from_secs(1);
