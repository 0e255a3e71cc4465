//! The failure table: whatever target 0 does beside a target 1 that works, through the gateway.

use std::thread;

use failover_tests::lab::{Accept, Blackhole, End, Reply, Server};

use crate::{ATTEMPT, Gateway, HASTY, config};

#[test]
fn never_refused_untried_a_get_is_answered_right_whatever_target_0_does() {
    each(|name, fault| {
        let works = Server::start(|request| Reply::ok(request.target.clone()));
        let gateway = Gateway::configured(&config("", &[fault.url(), works.url()], HASTY));
        let mut connection = gateway.connect();
        for call in 0..3 {
            let path = format!("/{name}/{call}").replace(' ', "-");
            connection.write(format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes());
            let answer = connection.read("GET").unwrap();
            assert_eq!((answer.status, answer.text()), (200, path.as_str()), "{name}, call {call}");
        }
    });
}

#[test]
fn never_twice_a_post_is_executed_at_most_once_whatever_target_0_does() {
    each(|name, fault| {
        let works = Server::start(|request| Reply::ok(request.body.clone()));
        let gateway = Gateway::configured(&config("", &[fault.url(), works.url()], HASTY));
        let mut errors = Vec::new();
        for call in 0..6 {
            let money = format!("money {call}");
            let answer = gateway.post("/", &money);
            let executed = [
                fault.executed(&money),
                works.requests().iter().filter(|request| request.text() == money).count(),
            ];
            assert!(executed.iter().sum::<usize>() <= 1, "{name}, call {call}: {executed:?}");
            match answer.status {
                200 => assert_eq!((answer.text(), executed[1]), (money.as_str(), 1), "{name}, call {call}"),
                // Told as an error, or by the target itself.
                status => assert!(
                    (500..=504).contains(&status) && executed[1] == 0,
                    "{name}, call {call}: {status}"
                ),
            }
            // Three errors steer the calls after them away.
            if answer.status != 200 {
                errors.push((answer.status, answer.text().to_owned()));
            }
            assert!(errors.len() <= 3, "{name}, call {call}: {errors:?}");
        }
    });
}

/// A target that does not work.
enum Fault {
    Server(Server),
    /// It states that it did not execute the request.
    Unprocessed(Server),
    Blackhole(Blackhole),
    Url(&'static str),
}

impl Fault {
    fn url(&self) -> String {
        match self {
            Self::Server(server) | Self::Unprocessed(server) => server.url(),
            Self::Blackhole(blackhole) => blackhole.url(),
            Self::Url(url) => (*url).to_owned(),
        }
    }

    fn executed(&self, body: &str) -> usize {
        match self {
            Self::Server(server) => server.requests().iter().filter(|request| request.text() == body).count(),
            _ => 0,
        }
    }
}

/// Examines all faults at once, since many of them take a time to fail.
fn each(examine: impl Fn(&str, Fault) + Sync) {
    let server = |reply: Reply| Fault::Server(Server::script([reply]));
    let accepting = |accept| Fault::Server(Server::accepting([accept], |_| Reply::ok("never")));
    let half_a_head = || Reply::raw("HTTP/1.1 200 OK\r\ncontent-le");
    let cases = [
        ("connection refused", Fault::Server(Server::down())),
        ("connect never completes", Fault::Blackhole(Blackhole::new())),
        ("no such host", Fault::Url("http://no-such-host.invalid")),
        ("no TLS", Fault::Url("https://127.0.0.1:1")),
        ("reset on accept", accepting(Accept::Reset)),
        ("closed on accept", accepting(Accept::Fin)),
        ("never read", accepting(Accept::Freeze)),
        ("never answered", server(Reply::stall())),
        ("stall inside the head", server(half_a_head().end(End::Stall))),
        ("dripping head", server(Reply::dripping(ATTEMPT / 20))),
        ("reset after the request", server(Reply::reset())),
        ("fin after the request", server(Reply::fin())),
        ("fin inside the head", server(half_a_head())),
        ("reset inside the head", server(half_a_head().end(End::Reset))),
        ("garbage", server(Reply::raw("220 smtp.example ESMTP\r\n\r\n"))),
        ("status 99", server(Reply::status(99))),
        (
            "two lengths",
            server(Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab")),
        ),
        ("head of 2 MB", server(Reply::ok("").header("x-large", &"x".repeat(2 << 20)))),
        ("101 unasked for", server(Reply::status(101))),
        ("501", Fault::Unprocessed(Server::script([Reply::status(501)]))),
        ("502", server(Reply::status(502))),
        // Said before, so that no POST meets the end of its connection, of which the target is not held guilty.
        (
            "503 and closed",
            server(Reply::status(503).header("connection", "close").body("busy").end(End::Fin)),
        ),
        ("504", server(Reply::status(504))),
        ("421", Fault::Unprocessed(Server::script([Reply::status(421)]))),
        ("425", Fault::Unprocessed(Server::script([Reply::status(425)]))),
    ];
    thread::scope(|scope| {
        for (name, fault) in cases {
            let examine = &examine;
            thread::Builder::new()
                .name(name.to_owned())
                .spawn_scoped(scope, move || examine(name, fault))
                .unwrap();
        }
    });
}

/// Guards: a gateway whose reload leaves the judges as they were.
#[test]
fn an_error_in_a_200_fails_over_where_the_file_judges_so() {
    let json = |body: &str| Reply::ok(body).header("content-type", "application/json");
    let busy = Server::script([json(r#"{"error":{"code":-32005}}"#)]);
    let works = Server::script([json(r#"{"result":1}"#)]);
    let file = |judges: &str| {
        config("", &[busy.url(), works.url()], &format!("leave_after = 255\njudge = [{judges}]"))
    };
    let gateway = Gateway::configured(&file(""));
    assert_eq!(gateway.post("/", "{}").text(), r#"{"error":{"code":-32005}}"#);
    gateway.reload(&file("{ preset = 'json-rpc' }"));
    assert_eq!(gateway.post("/", "{}").text(), r#"{"result":1}"#);
    let status = gateway.status();
    assert_eq!(status["targets"][0]["last_failure"], "judged 200", "{status:#}");
    gateway.reload(&file("{ when = { json = '/error' }, verdict = 'elsewhere' }"));
    // It may have been executed.
    assert_eq!(gateway.post("/", "{}").text(), r#"{"error":{"code":-32005}}"#);
    assert_eq!((busy.requests().len(), works.requests().len()), (3, 1));
}
