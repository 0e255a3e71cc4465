//! Requests that one server reads as one and another as two: no target ever gets more, or other, than was meant.

use failover_tests::lab::{End, Reply, Server};

use crate::Gateway;

#[test]
fn a_request_whose_end_is_unclear_reaches_no_target_as_two() {
    let hidden = "GET /hidden HTTP/1.1\r\nhost: h\r\n\r\n";
    let post = |headers: &str, body: &str| format!("POST /seen HTTP/1.1\r\nhost: h\r\n{headers}\r\n{body}");
    let in_a_chunk = format!("0\r\n\r\n{hidden}");
    let cases = [
        // RFC 9112, section 6.1: the length is not to be heeded, and the connection ends.
        (
            "both, the length first",
            post(
                &format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", in_a_chunk.len()),
                &in_a_chunk,
            ),
        ),
        (
            "both, the coding first",
            post(
                &format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", in_a_chunk.len()),
                &in_a_chunk,
            ),
        ),
        ("two lengths", post("content-length: 0\r\ncontent-length: 35\r\n", hidden)),
        ("a list of lengths", post("content-length: 0, 35\r\n", hidden)),
        ("a length with a sign", post("content-length: +0\r\n", hidden)),
        ("a length in hexadecimal", post("content-length: 0x23\r\n", hidden)),
        ("a length that is too large", post("content-length: 99999999999999999999\r\n", hidden)),
        ("chunked is not the last coding", post("transfer-encoding: chunked, identity\r\n", &in_a_chunk)),
        ("a coding that is none", post("transfer-encoding: xchunked\r\n", &in_a_chunk)),
        ("two codings", post("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", &in_a_chunk)),
        ("a coding with a tab in it", post("transfer-encoding: \x0bchunked\r\n", &in_a_chunk)),
        ("a space before the colon", post("content-length : 35\r\n", hidden)),
        ("a folded header", post("x: y\r\n content-length: 35\r\n", hidden)),
        ("a bare line feed in a value", post("x: y\ncontent-length: 35\r\n", hidden)),
        ("a bare carriage return in a value", post("x: y\rcontent-length: 35\r\n", hidden)),
        ("a zero byte in a value", post("x: y\0z\r\ncontent-length: 0\r\n", hidden)),
        ("a chunk whose size is none", post("transfer-encoding: chunked\r\n", &format!("g\r\n{hidden}"))),
        ("a chunk whose size has a sign", post("transfer-encoding: chunked\r\n", &format!("-1\r\n{hidden}"))),
        (
            "a chunk whose size is too large",
            post("transfer-encoding: chunked\r\n", &format!("fffffffffffffffff\r\n{hidden}")),
        ),
        (
            "a chunk that is longer than it says",
            post("transfer-encoding: chunked\r\n", &format!("1\r\nab\r\n0\r\n\r\n{hidden}")),
        ),
        (
            "a chunk that ends in a bare line feed",
            post("transfer-encoding: chunked\r\n", &format!("1\na\n0\n\n{hidden}")),
        ),
        (
            "coding in HTTP/1.0",
            format!("POST /seen HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n{in_a_chunk}"),
        ),
        (
            "a length in a header that Connection names",
            post("connection: content-length\r\ncontent-length: 35\r\n", hidden),
        ),
    ];
    for (name, bytes) in cases {
        let server = Server::start(|request| Reply::ok(request.body.clone()));
        let gateway = Gateway::before([&server], "");
        let mut connection = gateway.connect();
        connection.write(bytes.as_bytes());
        connection.finish();
        connection.rest();
        let requests = server.requests();
        assert!(requests.len() <= 1, "{name}: {requests:#?}");
        for request in requests {
            let framing =
                request.headers("content-length").chain(request.headers("transfer-encoding")).count();
            assert_eq!((request.target.as_str(), framing), ("/seen", 1), "{name}: {request:#?}");
        }
        // The gateway goes on.
        assert_eq!(gateway.post("/", "right").text(), "right", "{name}");
    }
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
