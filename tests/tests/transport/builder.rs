//! Requests as callers build them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use failover_core::{Policy, Reason, Replay};
use failover_tests::lab::{LIMIT, Reply, Server};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http_body_util::{Empty, Full};

use crate::suite::{client, client_with, policy, target};
use crate::{FailoverClient, RequestBuilder};

/// Guards: `Draft::query` that drops what the path has, forgets a separator, or encodes too little.
#[test]
fn a_query_is_encoded_and_comes_after_that_of_the_path() {
    let (name, none): (_, [(&str, &str); 0]) = (String::from("of"), []);
    let pairs = [("page", "2"), ("q", "x")];
    let sorted = BTreeMap::from([("a", 1), ("b", 2)]);
    let cases: [(Begin<'_>, &str); 12] = [
        (&|client| client.get("/p").query([("page", 2)]), "/p?page=2"),
        (&|client| client.get("/p").query(pairs.iter()), "/p?page=2&q=x"),
        (&|client| client.get("/p?sort=a%20b").query([("page", 2)]), "/p?sort=a%20b&page=2"),
        (&|client| client.get("/p?").query([("page", 2)]), "/p?page=2"),
        (&|client| client.get("/p?a&").query([("page", 2)]), "/p?a&page=2"),
        (&|client| client.get("/p&").query([("page", 2)]), "/p&?page=2"),
        (&|client| client.get("/p").query(none), "/p"),
        (&|client| client.get("").query([("", "")]).query([("b", true)]), "/?=&b=true"),
        (
            &|client| client.get("/p").query(vec![(name.clone(), "R&D=1+1 #?/%")]),
            "/p?of=R%26D%3D1%2B1%20%23%3F%2F%25",
        ),
        (&|client| client.get("/p").query([("\u{fc}\0", "-._~*'")]), "/p?%C3%BC%00=-._~%2A%27"),
        (&|client| client.get(&name).query(&sorted).query([("c", 0.5)]), "/of?a=1&b=2&c=0.5"),
        (&|client| client.get("/p").query([(&name, 3)]), "/p?of=3"),
    ];
    let server = Server::start(|request| Reply::ok(request.target.clone()));
    let client = client([&server]);
    for (begin, path) in cases {
        assert_eq!(client.send(begin).unwrap().text(), path);
    }
}

/// Guards: `Draft::header` that replaces, `Draft::headers` that adds.
#[test]
fn headers_are_added_and_a_map_of_them_replaces() {
    let server = Server::script([Reply::ok("")]);
    let mut map = HeaderMap::new();
    map.append("x-set", HeaderValue::from_static("new"));
    map.append("x-set", HeaderValue::from_static("newer"));
    let sent = client([&server]).send(|client| {
        let request = client.get("/").header("x-set", "old").header("X-Kept", String::from("1"));
        request.header("x-kept", 2).header(ACCEPT, &b"text/*"[..]).headers(map)
    });
    sent.unwrap();
    let request = server.requests().remove(0);
    let values = |name: &str| {
        let named = request.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(values("x-set"), ["new", "newer"]);
    assert_eq!(values("x-kept"), ["1", "2"]);
    assert_eq!(values("accept"), ["text/*"]);
}

/// Guards: an `IntoBody` that loses bytes.
#[test]
fn a_body_is_whatever_holds_text_or_bytes() {
    let server = Server::start(|request| Reply::ok(request.body.clone()));
    let client = client([&server]);
    let (text, bytes) = (String::from("text"), vec![b'b'; 3]);
    let sent = |begin: &dyn Fn(RequestBuilder) -> RequestBuilder| {
        client.send(|client| begin(client.post("/"))).unwrap().text().to_owned()
    };
    assert_eq!(sent(&|request| request.body("static")), "static");
    assert_eq!(sent(&|request| request.body(&text)), "text");
    assert_eq!(sent(&|request| request.body(text.clone())), "text");
    assert_eq!(sent(&|request| request.body(text.clone().into_boxed_str())), "text");
    assert_eq!(sent(&|request| request.body(b"bytes")), "bytes");
    assert_eq!(sent(&|request| request.body(&b"bytes"[..])), "bytes");
    assert_eq!(sent(&|request| request.body(vec![b'b'; 3])), "bbb");
    assert_eq!(sent(&|request| request.body(&bytes)), "bbb");
    assert_eq!(sent(&|request| request.body(Bytes::from_static(b"shared"))), "shared");
    assert_eq!(sent(&|request| request.body(Full::from("full"))), "full");
    assert_eq!(sent(&|request| request.body("replaced").body(())), "");
    assert_eq!(sent(&|request| request.body("replaced").body(Empty::new())), "");
}

/// Guards: `Draft::template` without a content type, or with one too many; `Draft::body` that leaves it.
#[test]
fn a_value_is_sent_as_json_and_says_so_unless_the_request_does() {
    let server = Server::start(|request| {
        let types = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let types: Vec<_> = types.map(|(_, value)| value.as_str()).collect();
        Reply::ok(format!("{types:?} {}", request.text()))
    });
    let client = client([&server]);
    let order = BTreeMap::from([("item", 7)]);
    let sent = |begin: &dyn Fn(RequestBuilder) -> RequestBuilder| {
        client.send(|client| begin(client.put("/"))).unwrap().text().to_owned()
    };
    assert_eq!(sent(&|request| request.json(&order)), r#"["application/json"] {"item":7}"#);
    let patch = |request: RequestBuilder| request.header(CONTENT_TYPE, "application/merge-patch+json");
    assert_eq!(sent(&|request| patch(request).json("a")), r#"["application/merge-patch+json"] "a""#);
    assert_eq!(sent(&|request| patch(request.json("a"))), r#"["application/merge-patch+json"] "a""#);
    assert_eq!(sent(&|request| request.json(&order).body("plain")), "[] plain");
}

/// Guards: a `Draft` that forgets a mistake, or tells the last one; an error that shows a value.
#[test]
fn local_fault_a_mistake_comes_out_when_the_request_is_sent_and_touches_no_target() {
    let server = Server::script([Reply::ok("")]);
    let client = client([&server]);
    let keys = BTreeMap::from([((1, 2), "no text")]);
    let cases: [(Begin<'_>, &str); 8] = [
        (&|client| client.method("GET IT", "/"), "the method cannot be sent"),
        (&|client| client.get("http://evil.example/").query([("a", 1)]), "an absolute URL is no path"),
        (&|client| client.get("/a b").header("a b", ""), "the path has ' ' in it"),
        (&|client| client.get(format!("/{}", "x".repeat(70_000))), "the URL is too long"),
        (&|client| client.get("/").query([("q", "x".repeat(70_000))]), "the URL is too long"),
        (
            &|client| client.get("/").header("Bearer secret", "x").body("x"),
            "a header cannot be named like that, with ' ' in it: expected a name",
        ),
        (
            &|client| client.get("/").header("x-key", "a\r\nsecret: 1"),
            "the value of the header x-key has a control character",
        ),
        (
            &|client| client.post("/").json(&keys).header("", "").body("x"),
            "the value cannot be written as JSON",
        ),
    ];
    for (begin, message) in cases {
        let stopped = client.send(begin).unwrap_err();
        assert!(stopped.message.starts_with(message), "{}", stopped.message);
        assert!(!stopped.debug.contains("secret") && !stopped.debug.contains("evil"), "{}", stopped.debug);
    }
    assert_eq!(server.connections(), 0);
}

/// Guards: a `timeout` that bounds no attempt.
#[test]
fn a_request_has_a_time_of_its_own() {
    let server = Server::script([Reply::stall()]);
    let policy = Policy::default().attempt_timeout(2 * LIMIT).deadline(None);
    let client = client_with([&server], policy);
    let stopped = client.send(|client| client.get("/").timeout(Duration::from_millis(50))).unwrap_err();
    assert_eq!(stopped.failures.len(), 1);
}

/// Guards: `attempts` that allows one more.
#[test]
fn a_request_has_attempts_of_its_own() {
    let servers = [(); 3].map(|()| Server::script([Reply::status(503)]));
    let client = client(servers.each_ref());
    let stopped = client.send(|client| client.get("/").attempts(2)).unwrap_err();
    assert_eq!(stopped.failures.len(), 2);
}

/// Guards: `idempotent` and `replay` that vouch for nothing.
#[test]
fn a_request_says_whether_it_may_be_sent_again() {
    type Vouch = fn(RequestBuilder) -> RequestBuilder;
    let vouches: [(Vouch, bool); 4] = [
        (|request| request, false),
        (|request| request.idempotent(), true),
        (|request| request.replay(Replay::Always), true),
        (|request| request.header("idempotency-key", "8e03978e"), true),
    ];
    for (vouch, goes_on) in vouches {
        let servers = [Server::script([Reply::fin()]), Server::script([Reply::ok("right")])];
        let sent = client(servers.each_ref()).send(|client| vouch(client.post("/")).body("money"));
        assert_eq!(sent.is_ok_and(|answer| answer.text() == "right"), goes_on);
    }
    let servers = [Server::script([Reply::fin()]), Server::script([Reply::ok("wrong")])];
    let stopped =
        client(servers.each_ref()).send(|client| client.get("/").replay(Replay::Never)).unwrap_err();
    assert_eq!(stopped.reason, Reason::NoProof);
}

/// Guards: a `RequestBuilder` that is sent by nothing but `send`.
#[test]
fn a_request_is_for_the_targets_that_the_client_had_when_it_was_begun() {
    let servers = [Server::script([Reply::ok("old")]), Server::script([Reply::ok("new")])];
    let ours = client([&servers[0]]);
    let answer = ours.send(|client| {
        let request = client.get("/");
        ours.set_targets(vec![target(&servers[1].url())], policy());
        request
    });
    assert_eq!(answer.unwrap().text(), "old");
    assert_eq!(ours.send(|client| client.get("/")).unwrap().text(), "new");
}

/// Begins a request.
type Begin<'a> = &'a dyn Fn(&FailoverClient) -> RequestBuilder;
