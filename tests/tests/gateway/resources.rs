//! What load leaves behind in the gateway's process: nothing.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use failover_tests::lab::{LIMIT, Reply, Server};
use failover_tests::wire::Connection;
use http::Request;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, block_in_place};

use crate::Gateway;

/// Guards: 16 KiB that each request leaves behind.
#[tokio::test(flavor = "multi_thread")]
async fn bounded_what_a_load_takes_of_memory_and_descriptors_the_same_load_does_with_again() {
    let server = Server::start(|request| Reply::ok(request.body.clone()).chunked());
    let gateway = Gateway::before([&server], "");
    let mut memory = Vec::new();
    for _ in 0..3 {
        let mut load = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let url = gateway.url.clone();
            load.spawn_blocking(move || over_http1(&url));
            load.spawn(over_http2(gateway.url.clone()));
        }
        load.join_all().await;
        // What is left are connections to the target that nobody uses.
        block_in_place(|| gateway.wait_for_descriptors(4 * CONNECTIONS));
        memory.push(gateway.memory());
    }
    assert!(memory[2] < memory[1] + memory[1] / 5 + (4 << 20), "{memory:?}");
}

/// Guards: a descriptor that each connection leaves open.
#[test]
fn bounded_many_short_connections_leave_no_descriptor() {
    let server = Server::start(|request| Reply::ok(request.target.clone()));
    let gateway = Gateway::before([&server], "");
    let ask = |count: usize| {
        for nth in 0..count {
            let path = format!("/{nth}");
            // Which side closes first is the gateway's choice, or the client's.
            let last = if nth % 2 == 0 { "connection: close\r\n" } else { "" };
            let mut connection = gateway.connect();
            connection.write(format!("GET {path} HTTP/1.1\r\nhost: h\r\n{last}\r\n").as_bytes());
            assert_eq!(connection.read("GET").unwrap().text(), path);
        }
    };
    let load = |count| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| ask(count));
            }
        });
    };
    load(25);
    let before = gateway.descriptors();
    load(1250);
    gateway.wait_for_descriptors(before + 8);
    assert_eq!(server.requests().len(), 4 * 1275);
    assert!(server.connections() <= 50, "{}", server.connections());
}

impl Gateway {
    /// Waits until no more descriptors are open.
    fn wait_for_descriptors(&self, most: usize) {
        let began = Instant::now();
        while self.descriptors() > most {
            assert!(began.elapsed() < LIMIT, "{} of {most}", self.descriptors());
            // A process can only be asked again.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn over_http1(url: &str) {
    let mut connection = Connection::to(url);
    for nth in 0..REQUESTS {
        let body = body(nth);
        connection.write(
            format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes(),
        );
        assert_eq!(connection.read("POST").unwrap().text(), body);
    }
}

/// Four at a time.
async fn over_http2(url: String) {
    let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let mut requests = requests.clone();
        callers.spawn(async move {
            for nth in 0..REQUESTS / 4 {
                let request = Request::post("http://h/").body(()).unwrap();
                let (response, mut stream) = requests.send_request(request, false).unwrap();
                let sent = body(nth);
                stream.send_data(Bytes::from(sent.clone()), true).unwrap();
                let mut answer = response.await.unwrap().into_body();
                let mut received = Vec::new();
                while let Some(data) = answer.data().await {
                    let data = data.unwrap();
                    answer.flow_control().release_capacity(data.len()).unwrap();
                    received.extend_from_slice(&data);
                }
                assert!(received == sent.as_bytes());
            }
        });
    }
    callers.join_all().await;
}

/// From nothing to some pieces.
fn body(nth: usize) -> String {
    "x".repeat(nth % 5 * 10_000)
}

/// So many of either version.
const CONNECTIONS: usize = 32;

/// On each connection.
const REQUESTS: usize = 20;
