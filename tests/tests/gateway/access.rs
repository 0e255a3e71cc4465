//! The access log, and the identifiers by which requests are known.

use std::collections::HashSet;
use std::fs;
use std::time::Instant;

use failover_tests::example::Scratch;
use failover_tests::lab::{End, LIMIT, Reply, Server};
use serde_json::{Value, json};

use crate::{Gateway, config};

#[test]
fn each_request_has_a_line_with_its_attempts() {
    let (down, busy) = (Server::down(), Server::script([Reply::status(503)]));
    let works = Server::start(|request| match request.target.as_str() {
        "/cut" => Reply::ok("0123456789").cut(4),
        _ => Reply::ok("right"),
    });
    let log = Log::new();
    let urls = [down.url(), busy.url(), works.url()];
    let gateway = Gateway::configured(&config(&log.key(), &urls, "failover_codes = [503]"));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = format!("x-request-id: mine-1\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    assert_eq!(gateway.send("GET", "/a?password=s3cret", &headers, "").text(), "right");
    let line = log.lines(1).remove(0);
    for (key, value) in [
        ("id", json!("mine-1")),
        ("trace", json!(trace)),
        ("client", json!("127.0.0.1")),
        ("method", json!("GET")),
        ("path", json!("/a")),
        ("version", json!("1.1")),
        ("status", json!(200)),
        ("bytes", json!(5)),
        ("whole", json!(true)),
        ("target", json!({ "index": 2, "name": works.url() })),
        ("stopped", Value::Null),
    ] {
        assert_eq!(line[key], value, "{line:#}");
    }
    let attempts = line["attempts"].as_array().unwrap();
    assert_eq!((&attempts[0]["index"], &attempts[0]["evidence"]), (&json!(0), &json!("no_connection")));
    assert_eq!((&attempts[1]["name"], &attempts[1]["status"]), (&json!(busy.url()), &json!(503)));
    assert!(line["took"].as_f64().unwrap() >= attempts[1]["took"].as_f64().unwrap());
    assert!(line["at"].as_str().unwrap().ends_with('Z'));
    let passed = works.requests();
    assert_eq!(passed[0].header("x-request-id"), Some("mine-1"));
    assert!(passed[0].header("traceparent").unwrap().contains(trace), "it is passed on as it is");

    // What breaks off, what the gateway refuses, and what is nobody's.
    assert!(!gateway.get("/cut").whole);
    assert_eq!(gateway.ask("TRACE", "/").status, 405);
    gateway.status();
    let lines = log.lines(3);
    assert_eq!(
        (&lines[1]["status"], &lines[1]["whole"], &lines[1]["bytes"]),
        (&json!(200), &json!(false), &json!(4))
    );
    assert_eq!((&lines[2]["status"], &lines[2]["method"]), (&json!(405), &json!("TRACE")));
    assert_eq!(lines.len(), 3, "the gateway's own are not among them");
}

#[test]
fn a_request_that_has_no_good_identifier_is_given_one_that_its_target_gets() {
    let server = Server::script([Reply::ok("right")]);
    let log = Log::new();
    let gateway = Gateway::configured(&config(&log.key(), &[server.url()], ""));
    let endless = format!("x-request-id: {}\r\n", "x".repeat(200));
    for headers in ["", "x-request-id: a b\r\n", "x-request-id: \r\n", &endless] {
        gateway.send("GET", "/", headers, "");
    }
    let told: Vec<_> = log.lines(4).iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    let passed: Vec<_> =
        server.requests().iter().map(|request| request.header("x-request-id").unwrap().to_owned()).collect();
    assert_eq!(told, passed);
    assert_eq!(told.iter().collect::<HashSet<_>>().len(), 4);
    assert!(told.iter().all(|id| id.len() == 32), "{told:?}");
}

#[test]
fn a_client_that_leaves_has_a_line_too() {
    let server = Server::script([Reply::raw("").end(End::Stall)]);
    let log = Log::new();
    let gateway = Gateway::configured(&config(&log.key(), &[server.url()], ""));
    let mut connection = gateway.connect();
    connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(server.wait_for_requests(1).len(), 1);
    drop(connection);
    let line = log.lines(1).remove(0);
    assert_eq!((&line["status"], &line["whole"]), (&Value::Null, &json!(false)));
}

#[test]
fn a_log_that_was_moved_away_is_begun_anew_on_sighup_and_written_at_the_end() {
    let server = Server::script([Reply::ok("right")]);
    let log = Log::new();
    let text = config(&log.key(), &[server.url()], "");
    let mut gateway = Gateway::configured(&text);
    gateway.get("/first");
    log.lines(1);
    let moved = format!("{}.1", log.0.path());
    fs::rename(log.0.path(), &moved).unwrap();
    gateway.reload(&text);
    gateway.get("/second");
    assert_eq!(log.lines(1)[0]["path"], "/second");
    let before = fs::read_to_string(&moved).unwrap();
    assert!(before.contains("/first") && !before.contains("/second"), "{before}");

    let said = gateway.reload(&text.replace(&log.0.path(), "/no/such/folder/log"));
    assert!(
        said.contains("stays as it was") && said.contains("access_log = /no/such/folder/log: No such"),
        "{said}"
    );
    gateway.get("/third");
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(fs::read_to_string(log.0.path()).unwrap().contains("/third"));
}

/// The file of an access log.
struct Log(Scratch);

impl Log {
    fn new() -> Self {
        Self(Scratch::file(env!("CARGO_TARGET_TMPDIR"), "access.log", ""))
    }

    fn key(&self) -> String {
        format!("access_log = '{}'", self.0.path())
    }

    /// Its lines, once there are so many.
    fn lines(&self, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(self.0.path()).unwrap_or_default();
            let lines: Vec<_> = text.lines().map(serde_json::from_str).collect();
            if lines.len() >= count && lines.iter().all(Result::is_ok) {
                return lines.into_iter().map(Result::unwrap).collect();
            }
            assert!(began.elapsed() < LIMIT, "{text}");
            std::thread::yield_now();
        }
    }
}
