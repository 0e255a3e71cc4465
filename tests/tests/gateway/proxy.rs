//! What is passed on, in both directions, and what is answered when no target did.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use failover_tests::lab::{Blackhole, End, Gate, LIMIT, Reply, Server};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::{Gateway, HASTY, config};

#[test]
fn per_target_request_the_rest_of_the_path_and_the_query_go_to_the_target() {
    let server = Server::start(|request| Reply::ok(request.target.clone()));
    let with_base =
        Gateway::configured(&config("base_path = '/fo'", &[format!("{}/base", server.url())], ""));
    for (path, target) in [
        ("/fo", "/base/"),
        ("/fo/", "/base/"),
        ("/fo?a=b&a=%20", "/base/?a=b&a=%20"),
        ("/fo/x//y/?q=/../z", "/base/x//y/?q=/../z"),
        ("/fo/a/../b", "/base/a/../b"),
        ("/fo//evil/x", "/base//evil/x"),
        ("http://front.example/fo/x", "/base/x"),
        ("http://evil.example/fo", "/base/"),
    ] {
        assert_eq!(with_base.get(path).text(), target, "{path}");
    }
    for path in ["/", "/foxyz", "/FO", "/x/fo", "//fo", "http://front.example", "*"] {
        let answer = with_base.get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, Some("application/problem+json")),
            "{path}"
        );
    }
    let asked = server.requests().len();
    for path in [
        "/fo/../admin",
        "/fo/a/../../admin",
        "/fo/%2e%2E/admin",
        "/fo/..%2fadmin",
        "/fo/x/..%5c../..%5Cadmin",
        "/fo/..;x/admin",
    ] {
        assert_eq!(with_base.get(path).status, 400, "{path}");
    }
    assert_eq!(server.requests().len(), asked);
    let without = Gateway::before([&server], "");
    for (path, target) in
        [("/", "/"), ("//evil/x?y", "//evil/x?y"), ("/a%2fb", "/a%2fb"), ("http://h?x", "/?x")]
    {
        assert_eq!(without.get(path).text(), target, "{path}");
    }
}

/// Guards: `path_of` that sends no `*`.
#[test]
fn exact_what_is_asked_of_all_of_a_server_stays_so() {
    let server = Server::start(|request| Reply::ok(request.target.clone()));
    let gateway = Gateway::configured(&config("", &[format!("{}/base", server.url())], ""));
    assert_eq!(gateway.ask("OPTIONS", "*").text(), "*");
}

#[test]
fn a_target_learns_who_asked_and_what_for() {
    let server = Server::script([Reply::ok("")]);
    let gateway = Gateway::before([&server], "");
    gateway.get("/");
    let told = "via: 1.0 other\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-host: first.example\r\nx-forwarded-proto: https\r\n";
    gateway.send("PUT", "/", told, "");
    gateway.get("http://user:s3cret@front.example/");
    let alone = ("1.1 failover", "127.0.0.1");
    let hidden =
        "connection: via, X-Forwarded-For ,x-forwarded-host, x-forwarded-proto, x-mine\r\nx-mine: 1\r\n";
    gateway.send("GET", "/", hidden, "");
    let expected = [
        (alone, ("front.example", "http")),
        (("1.0 other, 1.1 failover", "127.0.0.1"), ("front.example", "http")),
        (alone, ("front.example", "http")),
        (alone, ("front.example", "http")),
    ];
    for (request, ((via, addresses), (host, protocol))) in server.requests().iter().zip(expected) {
        for (name, value) in [
            ("host", server.address().to_string().as_str()),
            ("via", via),
            ("x-forwarded-for", addresses),
            ("x-forwarded-host", host),
            ("x-forwarded-proto", protocol),
        ] {
            assert_eq!(request.headers(name).collect::<Vec<_>>(), [value]);
        }
        assert!(!format!("{request:?}").contains("s3cret") && request.header("x-mine").is_none());
    }
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn exact_method_headers_and_body_pass_whatever_their_framing() {
    let server = Server::start(|request| Reply::ok(request.body.clone()).header("x-method", &request.method));
    let gateway = Gateway::before([&server], "");
    let large = "0123456789".repeat(50_000);
    for body in ["", "money", large.as_str()] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "PURGE"] {
            let length = format!("content-length: {}\r\n", body.len());
            let chunked =
                format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).replace("0\r\n\r\n0\r\n", "0\r\n");
            for (framing, sent) in [(length.as_str(), body), ("transfer-encoding: chunked\r\n", &chunked)] {
                let answer = gateway.send(method, "/", framing, sent);
                assert_eq!((answer.header("x-method"), answer.text()), (Some(method), body));
                assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()));
            }
        }
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let server = Server::start(|request| match request.target.as_str() {
        "/204" => Reply::status(204),
        "/304" => Reply::status(304).header("etag", "\"1\""),
        _ => Reply::ok("0123456789").header("x-of", &request.method),
    });
    let gateway = Gateway::before([&server], "");
    // One connection, on which a body too many would be taken for the next answer.
    let mut connection = gateway.connect();
    for (method, path, status, length) in [
        ("HEAD", "/", 200, Some("10")),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, None),
        ("HEAD", "/", 200, Some("10")),
        ("GET", "/", 200, Some("10")),
    ] {
        connection.write(format!("{method} {path} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes());
        let answer = connection.read(method).unwrap();
        assert_eq!(
            (answer.status, answer.header("content-length").filter(|_| status == 200)),
            (status, length)
        );
        assert_eq!(answer.body.is_empty(), method == "HEAD" || status != 200);
    }
}

#[test]
fn any_status_passes_through_and_an_interim_one_is_not_the_answer() {
    let server =
        Server::start(|request| Reply::status(request.target[1..].parse().unwrap()).body("odd").interim(103));
    let gateway = Gateway::before([&server], "");
    for status in [200, 299, 400, 404, 500, 505, 599, 799, 999] {
        let answer = gateway.get(&format!("/{status}"));
        assert_eq!((answer.status, answer.text()), (status, "odd"));
    }
}

#[test]
fn a_body_that_ends_with_its_connection_arrives_whole() {
    for reply in [
        Reply::ok("to the end").close_delimited(),
        Reply::ok("to the end").http10(),
        Reply::ok("to the end").chunked(),
    ] {
        let server = Server::script([reply]);
        assert_eq!(Gateway::before([&server], "").get("/").text(), "to the end");
    }
}

#[test]
fn committed_a_body_that_breaks_off_is_seen_to_break_off() {
    let reply = Reply::ok("0123456789".repeat(10_000)).cut(50_000);
    for reply in [
        reply.clone(),
        reply.clone().end(End::Reset),
        reply.clone().chunked(),
        reply.clone().chunked().end(End::Reset),
    ] {
        let (first, second) = (Server::script([reply]), Server::script([Reply::ok("other")]));
        let gateway = Gateway::before([&first, &second], "");
        let mut connection = gateway.connect();
        connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\nGET /next HTTP/1.1\r\nhost: h\r\n\r\n");
        let answer = connection.read("GET").unwrap();
        assert!(!answer.whole && answer.body.len() <= 50_000, "{} bytes", answer.body.len());
        assert_eq!(connection.rest(), b"");
        assert_eq!(second.connections(), 0);
        let counted = format!(
            "failover_broken_answers_total{{client=\"gateway\",target=\"{}\",index=\"0\"}} 1",
            first.url()
        );
        assert!(gateway.get("/-/metrics").text().lines().any(|line| line == counted));
    }
}

#[test]
fn committed_a_body_that_breaks_off_is_seen_to_break_off_by_a_client_of_http_1_0() {
    for reply in
        [Reply::ok("0123456789").chunked().cut(5), Reply::ok("0123456789").chunked().cut(5).end(End::Reset)]
    {
        let server = Server::script([reply]);
        let gateway = Gateway::before([&server], "");
        let mut stream = TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        // Only the end of the connection tells the end of the body.
        let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    let server = Server::script([Reply::ok("whole").chunked()]);
    let gateway = Gateway::before([&server], "");
    let mut stream = TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nwhole"), "{answer}");
}

#[test]
fn last_answer_one_whose_rest_was_let_go_is_not_passed_on_as_a_stump() {
    let (long, down) = (Server::script([Reply::status(503).body(vec![b'x'; 200_000])]), Server::down());
    let answer = Gateway::before([&long, &down], "").get("/");
    assert_eq!((answer.status, &answer.json()["reason"]), (502, &json!("targets_tried")));
    let alone = Gateway::before([&long], "").get("/");
    assert_eq!((alone.status, alone.text().len()), (503, 200_000));
}

#[test]
fn a_path_that_gets_too_long_is_the_clients_fault() {
    let server = Server::script([Reply::ok("")]);
    let long = format!("{}/{}", server.url(), "b".repeat(10_000));
    let answer = Gateway::configured(&config("", &[long], "")).get(&format!("/{}", "x".repeat(60_000)));
    assert_eq!((answer.status, server.connections()), (414, 0));
}

#[test]
fn a_gateway_that_is_its_own_target_says_so() {
    let server = Server::script([Reply::ok("")]);
    let gateway = Gateway::before([&server], "");
    gateway.reload(&config("", &[&gateway.url], ""));
    assert_eq!(gateway.get("/").status, 508);
}

#[test]
fn trailers_pass_both_ways() {
    let server = Server::script([Reply::ok("body").header("trailer", "x-sum").trailer("x-sum", "4")]);
    let gateway = Gateway::before([&server], "");
    let answer = gateway.send(
        "POST",
        "/",
        "te: trailers\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n",
        "5\r\nmoney\r\n0\r\nx-sum: 5\r\n\r\n",
    );
    let sum = |value: &str| vec![("x-sum".to_owned(), value.to_owned())];
    assert_eq!((answer.text(), answer.trailers.clone()), ("body", sum("4")));
    let requests = server.requests();
    assert_eq!((requests[0].text(), requests[0].trailers.clone()), ("money", sum("5")));
}

#[test]
fn a_client_that_expects_100_continue_is_told_to_go_on() {
    let server = Server::start(|request| Reply::ok(request.body.clone()));
    let gateway = Gateway::before([&server], "");
    let mut connection = gateway.connect();
    connection.write(b"PUT / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(connection.read("PUT").unwrap().status, 100);
    connection.write(b"money");
    assert_eq!(connection.read("PUT").unwrap().text(), "money");
    assert_eq!(server.requests()[0].header("expect"), Some("100-continue"));
}

#[test]
fn last_answer_a_real_one_is_passed_on_when_no_target_is_left() {
    let (busy, down) = (
        Server::script([Reply::status(503).body("back at noon").header("retry-after", "60")]),
        Server::down(),
    );
    let gateway = Gateway::before([&busy, &down], "");
    for answer in [gateway.get("/"), gateway.post("/", "money")] {
        assert_eq!((answer.status, answer.text()), (503, "back at noon"));
        assert_eq!((answer.header("retry-after"), answer.header("content-length")), (Some("60"), Some("12")));
    }
}

#[test]
fn explain_a_call_without_an_answer_is_a_problem_with_the_attempts() {
    let (down, cut) = (Server::down(), Server::script([Reply::fin()]));
    let place = |server: &Server| server.address().to_string();
    let urls =
        [format!("http://user:s3cret@{}/t0ken", place(&down)), format!("http://{}/t0ken", place(&cut))];
    let mut gateway = Gateway::configured(&config("", &urls, ""));
    let mut answer = gateway.post("/pay?card=4111", "money");
    for shows in [false, true] {
        if shows {
            gateway = Gateway::configured(&config("show_attempts = true", &urls, ""));
            answer = gateway.post("/pay?card=4111", "money");
        }
        assert_eq!((answer.status, answer.header("content-type")), (502, Some("application/problem+json")));
        let mut problem = answer.json();
        for attempt in problem["attempts"].as_array_mut().unwrap() {
            let attempt = attempt.as_object_mut().unwrap();
            assert!(attempt.remove("took").is_some_and(|took| took.is_f64()));
            assert_eq!(attempt.contains_key("url"), shows, "a stranger learns where the targets are");
        }
        let mut attempts = json!([
            { "target": 0, "evidence": "no_connection", "error": "connection refused" },
            { "target": 1, "evidence": "maybe_processed", "error": "the connection closed before the answer" },
        ]);
        if shows {
            for (attempt, server) in attempts.as_array_mut().unwrap().iter_mut().zip([&down, &cut]) {
                attempt["url"] = server.url().into();
            }
        }
        assert_eq!(
            problem,
            json!({
                "type": "about:blank",
                "title": "Bad Gateway",
                "status": 502,
                "detail": "the request may have been executed and must not be sent again",
                "reason": "no_proof",
                "attempts": attempts,
            })
        );
    }
    let status = gateway.status().to_string();
    let metrics = gateway.get("/-/metrics");
    let log = gateway.wait_for_log("call stopped");
    for told in [answer.text(), &status, metrics.text(), &log] {
        assert!(["s3cret", "t0ken", "4111", "/pay"].iter().all(|secret| !told.contains(secret)), "{told}");
    }
}

#[test]
fn a_call_of_which_an_attempt_ran_out_of_time_is_a_504() {
    let (down, mute, far) = (Server::down(), Server::script([Reply::stall()]), Blackhole::new());
    for (urls, status) in [
        ([down.url(), mute.url()], 504),
        ([down.url(), far.url()], 504),
        ([mute.url(), down.url()], 504),
        ([down.url(), down.url()], 502),
    ] {
        let answer = Gateway::configured(&config("", &urls, HASTY)).get("/");
        assert_eq!((answer.status, &answer.json()["reason"]), (status, &json!("targets_tried")), "{urls:?}");
    }
}

#[test]
fn the_ballerina_preset_answers_as_ballerina_does() {
    let (down, busy) = (Server::down(), Server::script([Reply::status(503).body("no")]));
    let closes = Server::script([Reply::fin()]);
    for (targets, message) in [
        (
            [&down, &closes],
            "All the failover endpoints failed. Last error was: the connection closed before the answer",
        ),
        ([&busy, &down], "All the failover endpoints failed. Last error was: connection refused"),
        (
            [&down, &busy],
            "All the failover endpoints failed. Last endpoint returned response is: 503 Service Unavailable",
        ),
    ] {
        let answer = Gateway::before(targets, "preset = 'ballerina'").post("/", "money");
        assert_eq!((answer.status, answer.text()), (500, message));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
    }
    let works = Server::script([Reply::ok("right")]);
    let gateway = Gateway::before([&busy, &works], "preset = 'ballerina'");
    assert_eq!(gateway.post("/", "money").text(), "right");
}

#[test]
fn what_cannot_be_passed_on_is_refused_without_an_attempt() {
    let server = Server::script([Reply::ok("")]);
    let gateway = Gateway::before([&server], "");
    let tunnel = gateway.ask("CONNECT", "evil.example:443");
    assert_eq!((tunnel.status, tunnel.header("content-type")), (405, Some("application/problem+json")));
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_upgrade_is_an_offer_without_which_a_request_is_served() {
    let server = Server::start(|request| Reply::ok(request.header("upgrade").unwrap_or("none").to_owned()));
    let gateway = Gateway::before([&server], "");
    for offered in ["TLS/1.2", "h2c", "tcp"] {
        let framing = format!("connection: upgrade\r\nupgrade: {offered}\r\n");
        let answer = gateway.send("GET", "/", &framing, "");
        assert_eq!((answer.status, answer.text()), (200, "none"));
    }
}

#[test]
fn cancel_neutral_a_client_that_goes_away_ends_its_call() {
    let server = Server::script([Reply::stall(), Reply::ok("right")]);
    let gateway = Gateway::before([&server], "");
    let mut connection = gateway.connect();
    connection.write(b"POST /slow HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nmoney");
    assert_eq!(server.wait_for_requests(1).len(), 1);
    drop(connection);
    server.wait_for_closed(1);
    let status = gateway.wait_for_status(|status| status["calls"]["abandoned"] == 1);
    assert_eq!((&status["calls"]["waiting"], &status["targets"][0]["strikes"]), (&json!(0), &json!(0)));
    assert_eq!(gateway.get("/").text(), "right");
}

#[test]
fn cancel_neutral_a_client_that_leaves_in_the_middle_of_its_request_is_no_targets_failure() {
    let server = Server::script([Reply::ok("right")]);
    let down = Server::down();
    let gateway = Gateway::before([&server, &down], "");
    let mut connection = gateway.connect();
    connection.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf");
    server.wait_for_connections(1);
    drop(connection);
    let status = gateway.wait_for_status(|status| status["calls"]["abandoned"] == 1);
    assert_eq!((&status["targets"][0]["failed"], &status["failovers"]), (&json!(0), &json!([])));
    assert_eq!(status["calls"]["stopped"], 0);
    assert_eq!(server.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn exact_a_request_that_breaks_off_over_http2_is_no_whole_request() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = Gateway::before([&server], "");
    for nth in 1..=10 {
        let stream =
            tokio::net::TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
        let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post("http://h/").body(()).unwrap();
        let (_response, mut body) = requests.send_request(request, false).unwrap();
        body.send_data("half".into(), false).unwrap();
        tokio::task::block_in_place(|| server.wait_for_connections(1));
        body.send_reset(h2::Reason::NO_ERROR);
        // The connection is closed, or kept for others if nothing of the request was sent on it yet.
        let is_over = |status: &Value| status["calls"]["abandoned"] == nth && status["calls"]["waiting"] == 0;
        tokio::task::block_in_place(|| gateway.wait_for_status(is_over));
    }
    assert_eq!(server.requests(), []);
}

#[test]
fn committed_an_answer_is_streamed_before_it_has_ended() {
    let gate = Gate::new();
    let server = Server::script([Reply::ok("in two").halfway(&gate)]);
    let gateway = Gateway::before([&server], "");
    let mut stream = TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"in ") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    gate.open();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "two");
}

#[tokio::test]
async fn http2_clients_are_served_as_well() {
    let server = Server::start(|request| {
        let cookies = request.headers("cookie").collect::<Vec<_>>().join("|");
        match request.target.as_str() {
            "/cut" => Reply::ok("0123456789".repeat(10_000)).cut(50_000),
            _ => Reply::ok(request.body.clone())
                .header("x-cookies", &cookies)
                .header("x-method", &request.method),
        }
    });
    let gateway = Gateway::before([&server], "");
    let client = failover_tokio::FailoverClient::builder()
        .targets([&gateway.url])
        .protocol(failover_tokio::Protocol::Http2)
        .build()
        .unwrap();
    let calls = (0..20).map(|call| {
        let request = http::Request::put("/")
            .header("cookie", "a=b")
            .header("cookie", "c=d")
            .body(format!("call {call}"));
        let client = client.clone();
        tokio::spawn(async move { (call, client.request(request.unwrap()).await) })
    });
    for call in calls.collect::<Vec<_>>() {
        let (call, response) = call.await.unwrap();
        let response = response.unwrap();
        assert_eq!(response.headers()["x-cookies"], "a=b; c=d");
        assert_eq!(response.headers()["x-method"], "PUT");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), format!("call {call}"));
    }
    // The stream is reset, before its head was sent or after it.
    if let Ok(broken) = client.get("/cut").await {
        assert!(broken.into_body().collect().await.is_err());
    }
    assert!(server.requests().iter().all(|request| request.header("via") == Some("2.0 failover")));
}
