//! What clients are kept to: heads, connections, silence, and what does not move.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use failover_tests::lab::{End, Gate, LIMIT, Reply, Server};
use failover_tests::wire::Connection;
use failover_tokio::{FailoverClient, Protocol, ResponseBody, Submitted};
use http::Response;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::frames::{self, Frames, Outcome};
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

    // Nothing at all, a request and then nothing, a part of a preface, a preface, and a preface after which the handshake
    // stops.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (sent, answers) in
        [("", 0), ("GET / HTTP/1.1\r\nhost: h\r\n\r\n", 1), (&preface[..10], 0), (preface, 0)]
    {
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

#[test]
fn bounded_a_head_that_does_not_come_to_its_end_is_told_so_once() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = idle_after(&server, IDLE);
    for asked in ["", "GET / HTTP/1.1\r\nhost: h\r\n\r\n"] {
        let began = Instant::now();
        let mut connection = gateway.connect();
        if !asked.is_empty() {
            connection.write(asked.as_bytes());
            assert_eq!(connection.read("GET").unwrap().text(), "right");
        }
        connection.write(b"GET / HT");
        let answer = connection.read("GET").unwrap();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
        assert_eq!(connection.rest(), b"");
        assert!(began.elapsed() >= IDLE);
    }
}

#[test]
fn what_is_no_request_is_answered_once() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = idle_after(&server, IDLE);
    for asked in
        ["BAD\r\n\r\n", "GET / HTTP/1.1\r\nhost: h\r\nx y\r\n\r\n", "GET / HTTP/1.1\r\nhost: h\r\n\r\n\0\0"]
    {
        let mut connection = gateway.connect();
        connection.write(asked.as_bytes());
        if asked.ends_with('\0') {
            assert_eq!(connection.read("GET").unwrap().text(), "right");
        }
        assert_eq!(connection.read("GET").unwrap().status, 400, "{asked}");
        assert_eq!(connection.rest(), b"", "{asked}");
    }
}

#[test]
fn bounded_a_head_that_drips_is_given_no_more_time() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = idle_after(&server, IDLE);
    let mut connection = gateway.connect();
    connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n");
    let began = Instant::now();
    // Not a tenth of this would be sent within the time.
    for _ in 0..LIMIT.as_millis() / 100 {
        connection.write(b"x: y\r\n");
        // A drip is a matter of real time, at this end and at that.
        thread::sleep(Duration::from_millis(100));
        if began.elapsed() > 3 * IDLE {
            break;
        }
    }
    assert_eq!(connection.read("GET").unwrap().status, 408);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn bounded_a_body_that_drips_is_given_no_more_time() {
    let server = Server::script([Reply::ok("right")]);
    let gateway =
        Gateway::before([&server], "upload_deadline = '1s'\nattempt_timeout = '500ms'\ndeadline = '1s'");
    let mut connection = gateway.connect();
    connection.write(b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n");
    for _ in 0..40 {
        connection.write(b"x");
        // As above.
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(connection.read("PUT").unwrap().status, 408);
}

#[test]
fn bounded_a_body_larger_than_is_taken_is_refused() {
    let server = Server::start(|request| Reply::ok(request.body.len().to_string()));
    let gateway = Gateway::configured(&config("max_request_body = 1000", &[server.url()], ""));
    let (fits, not) = ("x".repeat(1000), "x".repeat(1001));
    assert_eq!(gateway.post("/", &fits).text(), "1000");
    let refused = gateway.post("/", &not);
    assert_eq!((refused.status, refused.header("content-type")), (413, Some("application/problem+json")));
    assert_eq!(server.requests().len(), 1, "its length says so");
    // One of unknown length is too long only when it has come.
    let chunked = |body: &str| {
        let body = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        gateway.send("POST", "/", "transfer-encoding: chunked\r\n", &body)
    };
    assert_eq!(chunked(&fits).text(), "1000");
    assert_eq!(chunked(&not).status, 413);
    assert_eq!(gateway.status()["calls"]["stopped"], 0, "no target has failed");
}

/// Guards: a `CallBody` that believes the bound of a body to be its length.
#[tokio::test(flavor = "multi_thread")]
async fn committed_where_no_body_is_taken_none_is_lost() {
    let server = Server::start(|request| Reply::ok(request.body.len().to_string()));
    let gateway = Gateway::configured(&config("max_request_body = 0", &[server.url()], ""));
    assert_eq!(gateway.get("/").text(), "0");
    let chunked = "transfer-encoding: chunked\r\n";
    assert_eq!(gateway.send("PUT", "/", chunked, "0\r\n\r\n").text(), "0");
    assert_eq!(gateway.send("PUT", "/", chunked, "1\r\nx\r\n0\r\n\r\n").status, 413);
    let mut requests = over_http2(&gateway).await;
    let request = http::Request::put("http://h/").body(()).unwrap();
    let (response, mut body) = requests.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"x"), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 413);
}

#[test]
fn bounded_a_connection_of_http2_on_which_nothing_is_asked_is_told_so() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = idle_after(&server, IDLE);
    let mut frames = Frames::to(&gateway);
    frames.send(&frames::get(1, "/"));
    assert_eq!(frames.outcome(1), Outcome::Answered);
    // What comes beside requests is no part of one.
    frames.send(&frames::frame(frames::PING, 0, 0, b"pingpong"));
    let mut told = false;
    while let Some(frame) = frames.read() {
        told |= frame.kind == frames::GOAWAY;
    }
    assert!(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn exact_a_head_over_http2_has_no_body_whoever_answers_it() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = Gateway::before([&server], "");
    let mut requests = over_http2(&gateway).await;
    for (path, status) in [("/", 200), ("/-/failover", 200), ("/../..", 400)] {
        let request = http::Request::head(format!("http://h{path}")).body(()).unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_ne!(response.headers()["content-length"], "0");
        assert!(response.into_body().data().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_calls_of_others_take_nobodys_own_place_and_the_queue_is_finite() {
    let gate = Gate::new();
    let server = Server::start({
        let gate = gate.clone();
        move |request| match request.target.as_str() {
            "/slow" => Reply::ok("slow").after(&gate),
            _ => Reply::ok("right"),
        }
    });
    let gateway = Gateway::configured(&config("max_connections = 4", &[server.url()], ""));
    let client = FailoverClient::builder().targets([&gateway.url]).protocol(Protocol::Http2).build().unwrap();
    // One in the connection's own place, four in those that are shared, four that wait, and one too many.
    let calls: Vec<_> = (0..10).map(|_| client.get("/slow").submit()).collect();
    assert_eq!(block_in_place(|| server.wait_for_requests(5)).len(), 5);
    let mut answers = futures_of(calls);
    let full = answers.recv().await.unwrap();
    assert_eq!((full.status().as_u16(), &full.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    // Everybody else is answered, and so is who operates it.
    block_in_place(|| {
        assert_eq!(gateway.get("/").text(), "right");
        // Until the connection of that was seen to end.
        let status = gateway.wait_for_status(|status| status["clients"]["connections"] == 2);
        assert_eq!(status["calls"]["waiting"], 5);
        let clients = json!({ "connections": 2, "max_connections": 4, "shared": 4, "queued": 4 });
        assert_eq!(status["clients"], clients);
        let metrics = gateway.get("/-/metrics");
        assert!(metrics.text().contains("\nfailover_gateway_queued_calls 4\n"), "{}", metrics.text());
    });
    gate.open();
    for _ in 0..9 {
        assert_eq!(answers.recv().await.unwrap().status(), 200);
    }
}

/// Guards: `turn` that asks whether all calls wait for the client.
#[tokio::test(flavor = "multi_thread")]
async fn bounded_one_answer_that_is_not_taken_costs_its_connection_whatever_else_is_asked_on_it() {
    let server = Server::script([Reply::ok(vec![0; 200 << 10])]);
    let gateway = idle_after(&server, IDLE);
    let stream = TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let (mut requests, connection) =
        builder.initial_window_size(16 << 10).handshake::<_, Bytes>(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = || http::Request::get("http://h/").body(()).unwrap();
    let stuck = requests.send_request(request(), true).unwrap().0.await.unwrap();
    let mut answered = 0;
    // Others are asked for all the time, and are taken.
    while let Ok(mut ready) = requests.clone().ready().await {
        let Ok((response, _)) = ready.send_request(request(), true) else { break };
        let Ok(response) = response.await else { break };
        let mut body = response.into_body();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
        }
        answered += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(answered > 1, "{answered}");
    let _ = timeout(LIMIT, connection).await.expect("the connection ends");
    drop((stuck, requests));
}

#[test]
fn a_head_has_as_many_lines_as_are_allowed_both_ways() {
    let server = Server::start(|request| {
        let count = request.headers.iter().filter(|(name, _)| name == "x").count();
        let head = "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n".to_owned() + &"y : z\r\n".repeat(count);
        Reply::raw(head + &format!("\r\n{count:3}"))
    });
    let usual = Gateway::before([&server], "");
    let more = Gateway::configured(&config("max_headers = 300", &[server.url()], ""));
    for (gateway, lines, status) in
        [(&usual, 80, 200), (&usual, 120, 431), (&more, 120, 200), (&more, 250, 200), (&more, 400, 431)]
    {
        let answer = gateway.send("GET", "/", &"x: y\r\n".repeat(lines), "");
        assert_eq!(answer.status, status, "{lines}");
        if status == 200 {
            let told =
                answer.headers.iter().filter(|(name, value)| (&**name, &**value) == ("y", "z")).count();
            assert_eq!((told, answer.text().trim()), (lines, &*lines.to_string()));
        }
    }
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
    assert!(short.wait_for_log("file descriptors").contains("max_connections = 100 may need 428"));
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
    // The connection's own place, two shared ones, and two that wait for one.
    let calls: Vec<_> = (0..5).map(|_| client.get("/").submit()).collect();
    assert_eq!(block_in_place(|| server.wait_for_requests(3)).len(), 3);
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap().into_body().collect().await.unwrap().to_bytes(), "right");
    }
    assert!(server.connections() <= 3, "{}", server.connections());
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

/// Guards: `conclude` that passes an earlier answer on where the client itself is at fault.
#[test]
fn local_fault_a_client_that_stops_sending_its_body_is_told_so_whatever_a_target_answered() {
    let (busy, second) =
        (Server::early(|_| Reply::status(503).body("busy")), Server::script([Reply::ok("")]));
    let gateway = Gateway::before([&busy, &second], HASTY);
    let mut connection = gateway.connect();
    connection.write(b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf");
    let answer = connection.read("PUT").unwrap();
    assert_eq!((answer.status, &answer.json()["reason"]), (408, &"local_fault".into()));
    assert_eq!((busy.connections(), second.requests().len()), (1, 0));
}

fn idle_after(server: &Server, time: Duration) -> Gateway {
    Gateway::configured(&config(&format!("idle_timeout = '{}ms'", time.as_millis()), &[server.url()], ""))
}

/// A connection of HTTP/2.
async fn over_http2(gateway: &Gateway) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    requests
}

/// The answers to calls, as they come.
fn futures_of(calls: Vec<Submitted>) -> UnboundedReceiver<Response<ResponseBody>> {
    let (sender, answers) = unbounded_channel();
    for call in calls {
        let sender = sender.clone();
        tokio::spawn(async move {
            sender.send(call.await.unwrap_or_else(|error| error.into_response().unwrap()))
        });
    }
    answers
}

const IDLE: Duration = Duration::from_secs(1);
