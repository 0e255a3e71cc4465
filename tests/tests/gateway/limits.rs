//! What clients are kept to: heads, connections, silence, and what does not move.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use failover_tests::lab::{End, Gate, LIMIT, Reply, Server};
use failover_tests::wire::Connection;
use failover_tokio::{FailoverClient, Protocol};
use http_body_util::BodyExt;
use tokio::net::TcpStream;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::{GATEWAY, Gateway, HASTY, config};

#[test]
fn bounded_a_head_that_is_too_large_is_refused_and_reaches_no_target() {
    let server = Server::start(|request| Reply::ok(request.target.clone()));
    let gateway = Gateway::before([&server], "");
    let long = "x".repeat(20_000);
    assert_eq!(gateway.send("GET", "/", &format!("x-long: {long}\r\n"), "").text(), "/");
    let asked = server.requests().len();
    for (path, headers) in [
        (format!("/{}", "x".repeat(70_000)), String::new()),
        ("/".to_owned(), format!("x-long: {}\r\n", "x".repeat(70_000))),
        ("/".to_owned(), "x: y\r\n".repeat(200)),
    ] {
        let answer = gateway.send("GET", &path, &headers, "");
        assert!(matches!(answer.status, 414 | 431), "{}", answer.status);
    }
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn bounded_a_connection_on_which_nothing_is_asked_is_closed_and_a_call_is_waited_for() {
    let gate = Gate::new();
    let server = Server::start({
        let gate = gate.clone();
        move |request| match request.target.as_str() {
            "/slow" => Reply::ok("right").after(&gate),
            _ => Reply::ok("at once"),
        }
    });
    let gateway = idle_after(&server, IDLE);
    let mut slow = gateway.connect();
    slow.write(b"GET /slow HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(server.wait_for_requests(1).len(), 1);

    // Nothing at all, a part of a head, a request and then nothing, a part of a preface, a preface, and a preface after
    // which the handshake stops.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (sent, answers) in [
        ("", 0),
        ("GET / HT", 0),
        ("GET / HTTP/1.1\r\nhost: h\r\n\r\n", 1),
        (&preface[..10], 0),
        (preface, 0),
    ] {
        let began = Instant::now();
        let mut connection = gateway.connect();
        connection.write(sent.as_bytes());
        for _ in 0..answers {
            assert_eq!(connection.read("GET").unwrap().text(), "at once");
        }
        connection.rest();
        assert!(began.elapsed() >= IDLE, "{sent}: {:?}", began.elapsed());
    }
    gate.open();
    assert_eq!(slow.read("GET").unwrap().text(), "right");
}

/// Guards: `place` that takes no connection's.
#[test]
fn bounded_a_connection_beyond_the_limit_gets_the_place_of_one_without_a_call() {
    let gate = Gate::new();
    let server = Server::start({
        let gate = gate.clone();
        move |request| match request.target.as_str() {
            "/slow" => Reply::ok("slow").after(&gate),
            _ => Reply::ok("right"),
        }
    });
    let gateway = Gateway::configured(&config("max_connections = 2", &[server.url()], ""));
    let ask = |connection: &mut Connection, path: &str| {
        connection.write(format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes());
    };
    let [mut first, mut second] = [(); 2].map(|()| gateway.connect());
    ask(&mut first, "/slow");
    assert_eq!(server.wait_for_requests(1).len(), 1);
    ask(&mut second, "/");
    assert_eq!(second.read("GET").unwrap().text(), "right");
    let mut third = gateway.connect();
    ask(&mut third, "/slow");
    assert_eq!(second.rest(), b"", "it was idle");
    assert_eq!(server.wait_for_requests(3).len(), 3);
    // Both have calls: another one waits until one of them has none.
    let mut fourth = gateway.connect();
    ask(&mut fourth, "/");
    gate.open();
    for connection in [&mut first, &mut third] {
        assert_eq!(connection.read("GET").unwrap().text(), "slow");
    }
    assert_eq!(fourth.read("GET").unwrap().text(), "right");
}

/// Guards: `dismiss_idlest` that takes the one that has been idle for the shortest time, or at once.
#[test]
fn bounded_the_connection_that_was_idle_longest_leaves_first() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = Gateway::configured(&config("max_connections = 3", &[server.url()], ""));
    let ask = |connection: &mut Connection| {
        connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!(connection.read("GET").unwrap().text(), "right");
    };
    let [mut first, mut second, mut third] = [(); 3].map(|()| gateway.connect());
    let began = Instant::now();
    for connection in [&mut second, &mut first, &mut third] {
        ask(connection);
    }
    ask(&mut gateway.connect());
    assert_eq!(second.rest(), b"");
    assert!(began.elapsed() >= Duration::from_secs(1), "it had no time for its next request");
    for connection in [&mut first, &mut third] {
        ask(connection);
    }
}

#[test]
fn there_are_file_descriptors_for_all_connections_unless_the_system_has_none() {
    let gate = Gate::new();
    let server = Server::script([Reply::ok("right").after(&gate)]);
    let text = config("max_connections = 100", &[server.url()], "");
    let limited = |flag| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit {flag} -n 60; exec \"$@\""), "sh"]).arg(&*GATEWAY);
        Gateway::run(shell, &text)
    };
    let gateway = limited("-S");
    let mut connections: Vec<_> = (0..100).map(|_| gateway.connect()).collect();
    for connection in &mut connections {
        connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    }
    assert_eq!(server.wait_for_requests(100).len(), 100);
    gate.open();
    for connection in &mut connections {
        assert_eq!(connection.read("GET").unwrap().text(), "right");
    }
    let short = limited("");
    assert!(short.wait_for_log("file descriptors").contains("max_connections = 100 may need 264"));
}

#[test]
fn bounded_an_answer_that_stands_still_is_cut_off() {
    let server = Server::script([Reply::ok("0123456789").cut(5).end(End::Stall), Reply::ok("right")]);
    let gateway = idle_after(&server, IDLE);
    let began = Instant::now();
    let answer = gateway.get("/");
    assert!(!answer.whole && began.elapsed() >= IDLE);
    assert_eq!(answer.body, b"01234");
    server.wait_for_closed(1);
    assert_eq!(gateway.get("/").text(), "right");
}

#[test]
fn bounded_a_client_that_takes_nothing_of_its_answer_is_left() {
    let server = Server::script([Reply::ok(vec![0; 64 << 20])]);
    let gateway = idle_after(&server, IDLE);
    let mut connection = gateway.connect();
    connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    // It has the target's connection, and gives that up.
    server.wait_for_closed(1);
    assert!(!connection.read("GET").is_some_and(|answer| answer.whole));
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_a_client_of_http2_that_takes_nothing_of_its_answers_is_left() {
    let server = Server::script([Reply::ok("0123456789")]);
    let gateway = idle_after(&server, IDLE);
    let stream = TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let (mut requests, connection) =
        builder.initial_window_size(0).handshake::<_, Bytes>(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..3 {
        let request = http::Request::get("http://h/").body(()).unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
    }
    // Its pings are answered, and yet it is cut off.
    let _ = timeout(LIMIT, connection).await.expect("the connection ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_calls_beyond_the_limit_wait_for_their_turn_over_http2_too() {
    let gate = Gate::new();
    let server = Server::script([Reply::ok("right").after(&gate)]);
    let gateway = Gateway::configured(&config("max_connections = 2", &[server.url()], ""));
    let client = FailoverClient::builder().targets([&gateway.url]).protocol(Protocol::Http2).build().unwrap();
    let calls: Vec<_> = (0..5).map(|_| client.submit("GET", "/", "")).collect();
    assert_eq!(block_in_place(|| server.wait_for_requests(2)).len(), 2);
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap().into_body().collect().await.unwrap().to_bytes(), "right");
    }
    assert!(server.connections() <= 2, "{}", server.connections());
}

#[test]
fn local_fault_a_client_that_stops_sending_its_body_is_told_so() {
    let (first, second) = (Server::script([Reply::ok("")]), Server::script([Reply::ok("")]));
    let gateway = Gateway::before([&first, &second], HASTY);
    let mut connection = gateway.connect();
    connection.write(b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf");
    let answer = connection.read("PUT").unwrap();
    assert_eq!((answer.status, &answer.json()["reason"]), (408, &"local_fault".into()));
    let status = gateway.status();
    assert_eq!((&status["sticky"], &status["targets"][0]["strikes"]), (&0.into(), &0.into()));
    assert_eq!((first.requests().len(), second.connections()), (0, 0));
}

fn idle_after(server: &Server, time: Duration) -> Gateway {
    Gateway::configured(&config(&format!("idle_timeout = '{}ms'", time.as_millis()), &[server.url()], ""))
}

const IDLE: Duration = Duration::from_secs(1);
