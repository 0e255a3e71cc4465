//! Requests that one server reads as one and another as two: no target ever gets more, or other, than was meant.

use failover_tests::lab::{End, Reply, Request, Server};

use crate::Gateway;
use crate::frames::{DATA, END_STREAM, Frames, Outcome, frame, head};

/// Guards: a host alone as the target of a GET; a connection that goes on after a coding that was refused.
#[test]
fn a_target_gets_what_its_client_is_answered_for_and_nothing_else() {
    let server = Server::start(|request| Reply::ok(told(request)));
    let gateway = Gateway::before([&server], "");
    let mut wrong = Vec::new();
    each(|name, sent, expected, got| {
        let before = server.requests().len();
        let mut connection = gateway.connect();
        connection.write(sent.as_bytes());
        let (mut statuses, mut answers) = (vec![], vec![]);
        loop {
            // Earlier, it would be the end of a client that wants no more answers.
            if statuses.len() == expected.len() {
                connection.finish();
            }
            let Some(answer) = connection.read("GET") else { break };
            statuses.push(answer.status);
            if answer.status == 200 {
                answers.push(answer.text().to_owned());
            }
        }
        let requests = server.requests().split_off(before);
        for request in &requests {
            let framing = ["content-length", "transfer-encoding"].map(|name| request.headers(name).count());
            assert!(framing.iter().sum::<usize>() <= 1, "{name}: {request:#?}");
            assert_eq!(request.headers("host").count(), 1, "{name}: {request:#?}");
            let framing = |(name, _): &(String, String)| {
                ["content-length", "host", "transfer-encoding"].contains(&name.as_str())
            };
            assert!(!request.trailers.iter().any(framing), "{name}: {request:#?}");
        }
        let requests: Vec<_> = requests.iter().map(told).collect();
        if statuses != expected || requests != got || answers != requests {
            wrong.push(format!("{name}: {statuses:?}, {requests:?}, {answers:?}"));
        }
        // Nothing of it is left where the next request goes.
        assert_eq!(gateway.post("/next", "right").text(), "POST /next right", "{name}");
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What HTTP/2 can carry and HTTP/1.1 cannot (RFC 9113, sections 8.1.1, 8.2 and 8.3).
#[test]
fn a_request_of_http2_that_would_be_another_in_http1_reaches_no_target() {
    let server = Server::start(|request| Reply::ok(told(request)));
    let gateway = Gateway::before([&server], "");
    let mut wrong = Vec::new();
    let mut check = |name: &str, fields: &[(&str, &str)], body: Option<&str>, expected: Option<&str>| {
        let before = server.requests().len();
        let mut frames = Frames::to(&gateway);
        let mut sent = head(1, if body.is_none() { END_STREAM } else { 0 }, fields);
        if let Some(body) = body {
            sent.extend_from_slice(&frame(DATA, END_STREAM, 1, body.as_bytes()));
        }
        assert!(frames.send(&sent), "{name}");
        let outcome = frames.outcome(1);
        let requests = server.requests().split_off(before);
        assert!(
            requests.iter().all(|request| request.header("x-forwarded-host") == Some("h")),
            "{name}: {requests:#?}"
        );
        let requests: Vec<_> = requests.iter().map(told).collect();
        let is_answered = outcome == Outcome::Answered;
        if is_answered != expected.is_some() || !requests.iter().eq(expected) {
            wrong.push(format!("{name}: {outcome:?}, {requests:?}"));
        }
        assert_eq!(gateway.post("/next", "right").text(), "POST /next right", "{name}");
    };
    let get = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/a")];
    let with = |name, value| [&get[..], &[(name, value)]].concat();
    check("a request", &get, None, Some("GET /a "));
    check("another host, which does not count", &with("host", "i"), None, Some("GET /a "));
    for (name, value) in [
        ("connection", "close"),
        ("keep-alive", "timeout=1"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "trailers, chunked"),
        ("x", "y\r\nhidden: 1"),
        ("x", "y\nhidden: 1"),
        ("x", "y\rhidden: 1"),
        ("x", "y\0"),
        ("x\r\nhidden", "1"),
        ("x y", "z"),
        ("x:", "z"),
        ("", "z"),
        ("X", "z"),
        (":path", "/b"),
        (":status", "200"),
        (":x", "y"),
        ("host", "h\r\nhidden: 1"),
        ("content-length", "+0"),
        ("content-length", "1"),
    ] {
        check(&format!("{name:?}: {value:?}"), &with(name, value), None, None);
    }
    for (name, index, value) in [
        ("a method with a line end", 0, "GET /b HTTP/1.1\r\nhost: h\r\n\r\n"),
        ("a method with a space", 0, "GET /b"),
        ("no method", 0, ""),
        ("a scheme with a line end", 1, "http\r\n"),
        ("an authority with a line end", 2, "h\r\nhidden: 1"),
        ("an authority with a path", 2, "h/b"),
        ("an authority with a user", 2, "u@"),
        ("a path with a space", 3, "/a HTTP/1.1"),
        ("a path with a line end", 3, "/a HTTP/1.1\r\nhidden: 1\r\nx:"),
        ("a path with a line feed", 3, "/a\nb"),
        ("a path with a zero byte", 3, "/a\0b"),
        ("no path", 3, ""),
        ("a path that is none", 3, "a"),
    ] {
        let mut fields = get;
        fields[index].1 = value;
        check(name, &fields, None, None);
    }
    for (name, length, body, expected) in [
        ("a body", "2", "ab", Some("POST /a ab")),
        ("a body that is too short", "3", "ab", None),
        ("a body that is too long", "1", "ab", None),
        ("a request in the body", "35", "0\r\n\r\nGET /b HTTP/1.1\r\nhost: h\r\nx: y\r\n\r\n", None),
    ] {
        let mut fields = with("content-length", length);
        fields[0].1 = "POST";
        check(name, &fields, Some(body), expected);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// It is complete with its head, so that it may be on its way before it is known to be none.
#[test]
fn a_request_of_http2_that_says_that_it_has_no_body_has_none_at_the_target() {
    let server = Server::start(|request| Reply::ok(told(request)));
    let gateway = Gateway::before([&server], "");
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "h"),
        (":path", "/a"),
        ("content-length", "0"),
    ];
    for _ in 0..10 {
        let mut sent = head(1, 0, &fields);
        sent.extend_from_slice(&frame(DATA, END_STREAM, 1, b"GET /b HTTP/1.1\r\nhost: h\r\n\r\n"));
        let mut frames = Frames::to(&gateway);
        assert!(frames.send(&sent));
        frames.outcome(1);
        assert_eq!(gateway.post("/next", "right").text(), "POST /next right");
    }
    let requests = server.requests();
    assert!(
        requests.iter().map(told).all(|told| ["POST /a ", "POST /next right"].contains(&&*told)),
        "{requests:#?}"
    );
}

#[test]
fn an_answer_whose_end_is_unclear_cannot_bring_in_another() {
    let injected = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL";
    let chunked = |status: &str, length: usize, body: &str| {
        let size = body.len();
        format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    let split = format!("hello{injected}");
    for (name, first, status, body) in [
        ("a length that is too short", chunked("200", 3, "hello"), 200, "hello"),
        ("a length that is too long", chunked("200", 57, "hello"), 200, "hello"),
        ("another answer in the body", chunked("200", 5, &split), 200, split.as_str()),
        ("another answer in the body of a failover code", chunked("503", 5, &split), 503, split.as_str()),
        ("a short body of a failover code", chunked("503", 57, "hello"), 503, "hello"),
        (
            "the same length twice",
            "HTTP/1.1 200 X\r\ncontent-length: 5, 5\r\n\r\nhello".to_owned(),
            200,
            "hello",
        ),
    ] {
        let server = Server::start(move |request| match request.target.as_str() {
            "/first" => Reply::raw(first.clone()).end(End::KeepAlive),
            _ => Reply::ok("right"),
        });
        let gateway = Gateway::before([&server], "");
        let mut connection = gateway.connect();
        connection.write(b"GET /first HTTP/1.1\r\nhost: h\r\n\r\n");
        let answer = connection.read("GET").unwrap();
        assert_eq!((answer.status, answer.text()), (status, body), "{name}");
        connection.write(b"GET /second HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!(connection.read("GET").unwrap().text(), "right", "{name}");
    }
}

#[test]
fn a_transfer_coding_that_nobody_undoes_is_an_error() {
    let coded = "transfer-encoding: gzip, chunked\r\n";
    let (odd, works) = (
        Server::script([Reply::raw(format!("HTTP/1.1 200 OK\r\n{coded}\r\n2\r\nab\r\n0\r\n\r\n"))]),
        Server::start(|request| Reply::ok(request.body.clone())),
    );
    let gateway = Gateway::before([&odd, &works], "");
    assert_eq!(gateway.get("/").text(), "");
    assert_eq!(gateway.status()["targets"][0]["strikes"], 1);
    let answer = gateway.send("POST", "/", coded, "2\r\nab\r\n0\r\n\r\n");
    assert_eq!((answer.status, works.requests().len()), (501, 1));
}

#[test]
fn two_requests_whose_ends_are_clear_are_two() {
    let server = Server::start(|request| Reply::ok(request.body.clone()));
    let gateway = Gateway::before([&server], "");
    let mut connection = gateway.connect();
    let second = "GET /second HTTP/1.1\r\nhost: h\r\n\r\n";
    connection.write(
        format!("POST /first HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n{second}").as_bytes(),
    );
    assert_eq!(connection.read("POST").unwrap().text(), "ab");
    assert_eq!(connection.read("GET").unwrap().text(), "");
    let targets: Vec<_> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/first", "/second"]);
}

#[test]
fn a_header_cannot_bring_in_another() {
    let server = Server::start(|request| Reply::ok(request.target.clone()));
    let gateway = Gateway::before([&server], "");
    for target in ["/a%0d%0ax-injected:%201", "/?q=%0d%0a%0d%0aGET%20/hidden"] {
        assert_eq!(gateway.get(target).text(), target);
    }
    for bytes in [
        "GET /a b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\nx\x00: y\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\nx: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\n: y\r\n\r\n",
        "GET / HTTP/1.1\r\nx: no host\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\nhost: i\r\n\r\n",
        "GET / HTTP/1.1\nhost: h\n\n\r\n\0",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03",
    ] {
        let asked = server.requests().len();
        let mut connection = gateway.connect();
        connection.write(bytes.as_bytes());
        connection.finish();
        let answer = connection.read("GET");
        let requests = server.requests();
        let injected =
            requests.iter().any(|request| request.headers.iter().any(|(name, _)| name == "x-injected"));
        assert!(!injected);
        match answer {
            Some(answer) if answer.status == 200 => assert!(bytes.contains("\nhost: h\n\n"), "{bytes:?}"),
            Some(answer) => assert_eq!((answer.status, requests.len()), (400, asked), "{bytes:?}"),
            None => assert_eq!(requests.len(), asked, "{bytes:?}"),
        }
    }
}

fn told(request: &Request) -> String {
    format!("{} {} {}", request.method, request.target, request.text())
}

/// Checks each case: its name, what is sent, the statuses of all answers before the connection ends, and what the target
/// gets: method, target and body.
fn each(mut check: impl FnMut(&str, String, &[u16], &[&str])) {
    let post = |rest: String| format!("POST /seen HTTP/1.1\r\nhost: h\r\n{rest}{HIDDEN}");
    for (name, request, told, got) in WHOLE {
        check(name, format!("{request}{HIDDEN}"), told, got);
    }
    for (name, line, told, got) in LINES {
        check(name, format!("{line}\r\nhost: h\r\n\r\n{HIDDEN}"), told, got);
    }
    for (name, headers, told, got) in HEADERS {
        // Nothing, a body of five bytes or one in chunks, as who reads it thinks.
        check(name, post(format!("{headers}\r\n\r\n0\r\n\r\n")), told, got);
    }
    for (name, chunks, told, got) in CHUNKS {
        check(name, post(format!("transfer-encoding: chunked\r\n\r\n{chunks}")), told, got);
    }
}

/// What no target should see, if the request before it is not clear.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: h\r\n\r\n";

/// First lines.
const LINES: &[(&str, &str, &[u16], &[&str])] = &[
    ("two spaces before the target", "GET  /seen HTTP/1.1", &[400], &[]),
    ("two spaces before the version", "GET /seen  HTTP/1.1", &[400], &[]),
    ("a space at the end", "GET /seen HTTP/1.1 ", &[400], &[]),
    ("a space at the beginning", " GET /seen HTTP/1.1", &[400], &[]),
    ("a space in the target", "GET /se en HTTP/1.1", &[400], &[]),
    ("a tab for a space", "GET\t/seen HTTP/1.1", &[400], &[]),
    ("a bare carriage return in the target", "GET /se\ren HTTP/1.1", &[400], &[]),
    ("a zero byte in the target", "GET /se\0en HTTP/1.1", &[400], &[]),
    ("a method in lower case", "get /seen HTTP/1.1", &[200, 200], &["get /seen ", "GET /hidden "]),
    ("a method with a separator", "GE(T /seen HTTP/1.1", &[400], &[]),
    ("no version", "GET /seen", &[400], &[]),
    ("no target", "GET HTTP/1.1", &[400], &[]),
    ("a version that nobody speaks", "GET /seen HTTP/1.2", &[400], &[]),
    ("a version that is not spoken so", "GET /seen HTTP/2.0", &[400], &[]),
    ("a version in lower case", "GET /seen http/1.1", &[400], &[]),
    ("a version with more digits", "GET /seen HTTP/1.10", &[400], &[]),
    (
        "a target of another host",
        "GET http://other/seen HTTP/1.1",
        &[200, 200],
        &["GET /seen ", "GET /hidden "],
    ),
    ("a fragment", "GET /seen#/hidden HTTP/1.1", &[200, 200], &["GET /seen ", "GET /hidden "]),
    ("a target that is a host", "GET seen HTTP/1.1", &[400, 200], &["GET /hidden "]),
];

/// Whole requests.
const WHOLE: &[(&str, &str, &[u16], &[&str])] = &[
    ("two requests", "GET /a HTTP/1.1\r\nhost: h\r\n\r\n", &[200, 200], &["GET /a ", "GET /hidden "]),
    (
        "a GET with a body",
        "GET /a HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab",
        &[200, 200],
        &["GET /a ab", "GET /hidden "],
    ),
    (
        "a GET with a body in chunks",
        "GET /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &[200, 200],
        &["GET /a ab", "GET /hidden "],
    ),
    (
        "a request in a body",
        "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 28\r\n\r\nGET /b HTTP/1.1\r\nhost: h\r\n\r\n",
        &[200, 200],
        &["POST /a GET /b HTTP/1.1\r\nhost: h\r\n\r\n", "GET /hidden "],
    ),
    ("two hosts", "GET /seen HTTP/1.1\r\nhost: h\r\nhost: i\r\n\r\n", &[400, 200], &["GET /hidden "]),
    (
        "the same host twice",
        "GET /seen HTTP/1.1\r\nhost: h\r\nhost: h\r\n\r\n",
        &[400, 200],
        &["GET /hidden "],
    ),
    ("a list of hosts", "GET /seen HTTP/1.1\r\nhost: h, i\r\n\r\n", &[400, 200], &["GET /hidden "]),
    ("no host", "GET /seen HTTP/1.1\r\n\r\n", &[400, 200], &["GET /hidden "]),
    ("a space before the first header", "GET /seen HTTP/1.1\r\n host: h\r\n\r\n", &[400], &[]),
    ("a folded line before the first header", "GET /seen HTTP/1.1\r\n x: y\r\nhost: h\r\n\r\n", &[400], &[]),
    ("bare line feeds", "GET /seen HTTP/1.1\nhost: h\n\n", &[200, 200], &["GET /seen ", "GET /hidden "]),
    (
        "coding in HTTP/1.0",
        "POST /seen HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n",
        &[400],
        &[],
    ),
    (
        "a length and coding in HTTP/1.0",
        "POST /seen HTTP/1.0\r\nhost: h\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n",
        &[400],
        &[],
    ),
    ("HTTP/1.0", "GET /seen HTTP/1.0\r\nhost: h\r\n\r\n", &[200], &["GET /seen "]),
];

/// Headers of a POST, which is followed by `0\r\n\r\n`.
const HEADERS: &[(&str, &str, &[u16], &[&str])] = &[
    // RFC 9112, section 6.1: the length is not heeded, and the connection ends.
    ("a length and a coding", "content-length: 5\r\ntransfer-encoding: chunked", &[200], &["POST /seen "]),
    ("a coding and a length", "transfer-encoding: chunked\r\ncontent-length: 5", &[200], &["POST /seen "]),
    (
        "a length of none and a coding",
        "content-length: 0\r\ntransfer-encoding: chunked",
        &[200],
        &["POST /seen "],
    ),
    ("a coding that is none", "transfer-encoding: xchunked", &[400], &[]),
    ("chunked is not the last coding", "transfer-encoding: chunked, identity", &[400], &[]),
    ("chunked twice", "transfer-encoding: chunked, chunked", &[501], &[]),
    ("chunked in two headers", "transfer-encoding: chunked\r\ntransfer-encoding: chunked", &[501], &[]),
    (
        "another coding in another header",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        &[400],
        &[],
    ),
    (
        "two spaces before the coding",
        "transfer-encoding:  chunked",
        &[200, 200],
        &["POST /seen ", "GET /hidden "],
    ),
    ("a tab before the coding", "transfer-encoding:\tchunked", &[200, 200], &["POST /seen ", "GET /hidden "]),
    ("a coding in capitals", "Transfer-Encoding: CHUNKED", &[200, 200], &["POST /seen ", "GET /hidden "]),
    ("a vertical tab before the coding", "transfer-encoding: \x0bchunked", &[400], &[]),
    ("a form feed after the coding", "transfer-encoding: chunked\x0c", &[400], &[]),
    ("a coding in quotes", "transfer-encoding: \"chunked\"", &[400], &[]),
    ("a coding with a parameter", "transfer-encoding: chunked;q=1", &[400], &[]),
    ("an empty coding", "transfer-encoding: ", &[400], &[]),
    ("a folded coding", "transfer-encoding:\r\n chunked", &[400], &[]),
    ("a folded header", "x: y\r\n content-length: 5", &[400], &[]),
    ("a space before the colon", "transfer-encoding : chunked", &[400], &[]),
    ("a tab before the colon", "content-length\t: 5", &[400], &[]),
    ("two lengths", "content-length: 5\r\ncontent-length: 4", &[400], &[]),
    (
        "the same length twice",
        "content-length: 5\r\ncontent-length: 5",
        &[200, 200],
        &["POST /seen 0\r\n\r\n", "GET /hidden "],
    ),
    ("a list of one length", "content-length: 5, 5", &[400], &[]),
    ("a length with a plus", "content-length: +5", &[400], &[]),
    ("a length with a minus", "content-length: -5", &[400], &[]),
    ("a length with a space in it", "content-length: 0 5", &[400], &[]),
    (
        "a length with a space after it",
        "content-length: 5 ",
        &[200, 200],
        &["POST /seen 0\r\n\r\n", "GET /hidden "],
    ),
    (
        "a length with a zero before it",
        "content-length: 05",
        &[200, 200],
        &["POST /seen 0\r\n\r\n", "GET /hidden "],
    ),
    ("a length in hexadecimal", "content-length: 0x5", &[400], &[]),
    ("a length of none", "content-length: ", &[400], &[]),
    ("a length with a point", "content-length: 5.0", &[400], &[]),
    ("a length that is too large", "content-length: 18446744073709551621", &[400], &[]),
    (
        "a length that is named in Connection",
        "connection: content-length\r\ncontent-length: 5",
        &[200, 200],
        &["POST /seen 0\r\n\r\n", "GET /hidden "],
    ),
    (
        "a coding that is named in Connection",
        "connection: transfer-encoding\r\ntransfer-encoding: chunked",
        &[200, 200],
        &["POST /seen ", "GET /hidden "],
    ),
    (
        "a bare line feed before a header",
        "x: y\ncontent-length: 5",
        &[200, 200],
        &["POST /seen 0\r\n\r\n", "GET /hidden "],
    ),
    ("a bare carriage return before a header", "x: y\rhidden: 1", &[400], &[]),
    ("a zero byte in a value", "x: y\0z", &[400], &[]),
    ("a control byte in a value", "x: y\x01z", &[400], &[]),
    ("a zero byte in a name", "x\0y: z", &[400], &[]),
    ("a space in a name", "x y: z", &[400], &[]),
    ("no name", ": z", &[400], &[]),
    ("no colon", "hidden", &[400], &[]),
];

/// The chunks of a POST.
const CHUNKS: &[(&str, &str, &[u16], &[&str])] = &[
    (
        "a size in capitals, with zeros",
        "0A\r\n0123456789\r\n000\r\n\r\n",
        &[200, 200],
        &["POST /seen 0123456789", "GET /hidden "],
    ),
    ("an extension", "2;a=b\r\nab\r\n0;c\r\n\r\n", &[200, 200], &["POST /seen ab", "GET /hidden "]),
    ("a line feed in an extension", "2;a\nb\r\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a size that is none", "g\r\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a size of nothing", "\r\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a size with a sign", "+2\r\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a size with a minus", "-2\r\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a size in another notation", "0x2\r\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a size and something else", "2 x\r\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a size of 2 to the power of 64, and 2", "10000000000000002\r\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a chunk that is longer than it says", "1\r\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a chunk without its line end", "2\r\nab0\r\n\r\n", &[400], &[]),
    ("a chunk that ends in a bare line feed", "2\r\nab\n0\r\n\r\n", &[400], &[]),
    ("a size that ends in a bare line feed", "2\nab\r\n0\r\n\r\n", &[400], &[]),
    ("a size that ends in a bare carriage return", "2\rab\r\n0\r\n\r\n", &[400], &[]),
    (
        "trailers that are for the head",
        "2\r\nab\r\n0\r\ncontent-length: 9\r\nhost: i\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\n",
        &[200, 200],
        &["POST /seen ab", "GET /hidden "],
    ),
    ("a trailer without a colon", "2\r\nab\r\n0\r\nhidden\r\n\r\n", &[400], &[]),
    ("a trailer with a bare line feed", "2\r\nab\r\n0\r\nx: y\nhidden: 1\r\n\r\n", &[400], &[]),
];
