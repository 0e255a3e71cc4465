//! Requests on the wire: each target's own Host, path and headers, and nothing that leads elsewhere.

use failover_core::{Replay, Target};
use failover_tests::lab::{Reply, Server};
use failover_tokio::{Attempts, Idempotent};
use http::header::{HeaderName, HeaderValue};

use super::{Call, client, client_with, policy, target};
use crate::Client;

/// Guards: `Transport::send` whose path has no query.
#[test]
fn per_target_request_host_and_base_path_are_the_targets() {
    let (first, second) = (Server::script([Reply::status(503)]), Server::script([Reply::ok("")]));
    for (base, path, wire) in [
        ("", "/", "/"),
        ("", "/users?x=%20&y=a/b", "/users?x=%20&y=a/b"),
        ("/", "/users", "/users"),
        ("/v1", "/users", "/v1/users"),
        ("/v1", "users", "/v1/users"),
        ("/v1/", "/users", "/v1/users"),
        ("/v1", "/", "/v1/"),
        ("/v1", "?x=1", "/v1/?x=1"),
    ] {
        let targets =
            vec![target(&format!("{}{base}", first.url())), target(&format!("{}/other", second.url()))];
        let client = Client::new(targets, policy());
        client.call(&Call::get(path)).unwrap();
        let (one, other) = (first.requests().pop().unwrap(), second.requests().pop().unwrap());
        assert_eq!(one.target, wire, "{base} and {path}");
        assert!(other.target.starts_with("/other/"), "{}", other.target);
        for (request, server) in [(one, &first), (other, &second)] {
            assert_eq!(request.headers("host").collect::<Vec<_>>(), [server.address().to_string()]);
        }
    }
}

/// Guards: `Head::aim` that keeps a `Host` that is there.
#[test]
fn per_target_request_a_host_that_the_caller_set_goes_nowhere() {
    let (first, second) = (Server::script([Reply::status(503)]), Server::script([Reply::ok("")]));
    client([&first, &second]).call(&Call::get("/").header("host", "elsewhere.example")).unwrap();
    for server in [first, second] {
        let hosts: Vec<_> = server.requests()[0].headers("host").map(str::to_owned).collect();
        assert_eq!(hosts, [server.address().to_string()]);
    }
}

/// Guards: `Driver::attempt` that adds the first target's headers for each target.
#[test]
fn per_target_request_a_targets_header_goes_to_no_other() {
    let servers = [(); 3].map(|()| {
        Server::start(|request| match request.header("x-last") {
            Some(_) => Reply::ok("right"),
            None => Reply::status(503),
        })
    });
    let with = |target: Target, name: &'static str, value: &'static str| {
        target.with_header(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let client = Client::new(
        vec![
            with(target(&servers[0].url()), "x-api-key", "first"),
            target(&servers[1].url().replace("http://", "http://user:secret@")),
            with(with(target(&servers[2].url()), "x-last", "yes"), "x-api-key", "third"),
        ],
        policy(),
    );
    let answer = client.call(&Call::get("/").header("x-api-key", "the caller's")).unwrap();
    assert_eq!(answer.target, 2);
    let seen: Vec<_> = servers
        .iter()
        .map(|server| {
            let request = server.requests().pop().unwrap();
            let keys: Vec<_> = request.headers("x-api-key").map(str::to_owned).collect();
            (keys.join("; "), request.header("authorization").map(str::to_owned))
        })
        .collect();
    let basic = Some("Basic dXNlcjpzZWNyZXQ=".to_owned());
    let keys = ["first", "the caller's", "third"].map(str::to_owned);
    assert_eq!(seen, keys.into_iter().zip([None, basic, None]).collect::<Vec<_>>());
}

#[test]
fn per_target_request_no_path_leaves_its_target() {
    let (server, evil) = (Server::script([Reply::ok("right")]), Server::script([Reply::ok("evil")]));
    for base in ["", "/v1"] {
        let client = Client::new(vec![target(&format!("{}{base}", server.url()))], policy());
        let host = evil.address();
        for path in [
            format!("//{host}/x"),
            format!("///{host}/x"),
            format!("/\\{host}/x"),
            format!("http://{host}/x"),
            format!("HTTP://{host}/x"),
            format!("@{host}/x"),
            format!(":80@{host}/x"),
            format!("/../../{host}"),
            format!("/x\r\nhost: {host}"),
            format!("/x HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        ] {
            // Some of these are refused, which is as good.
            if let Ok(answer) = client.call(&Call::get(&path)) {
                assert_eq!(answer.text(), "right", "{path:?}");
            }
        }
    }
    assert_eq!(evil.connections(), 0);
    for request in server.requests() {
        assert!(request.target.starts_with('/'), "{}", request.target);
        assert_eq!(request.headers("host").collect::<Vec<_>>(), [server.address().to_string()]);
    }
}

/// Guards: `Transport::send` whose error tells the URI.
#[test]
fn redacted_no_error_tells_what_a_url_hides() {
    let server = Server::down();
    let url = server.url().replace("http://", "http://user:secret@");
    let client = Client::new(vec![target(&format!("{url}/hidden"))], policy());
    let stopped = client.call(&Call::get("/private?token=1")).unwrap_err();
    let text = format!("{} {}", stopped.message, stopped.debug);
    for hidden in ["user", "secret", "dXNlcjpzZWNyZXQ", "hidden", "private", "token"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
}

/// Guards: `Transport::send` that follows a `Location`.
#[test]
fn no_redirects_are_followed() {
    let elsewhere = Server::script([Reply::ok("elsewhere")]);
    for status in [301, 302, 303, 307, 308] {
        let server = Server::script([Reply::status(status).header("location", &elsewhere.url())]);
        let answer = client([&server, &elsewhere]).call(&Call::get("/")).unwrap();
        assert_eq!((answer.status, answer.header("location")), (status, Some(elsewhere.url().as_str())));
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// Guards: `Transport::send` that sends again what may have been processed.
#[test]
fn no_nesting_the_transport_sends_nothing_again_by_itself() {
    for (reply, method) in [(Reply::fin(), "GET"), (Reply::reset(), "GET"), (Reply::reset(), "POST")] {
        let server = Server::script([reply]);
        client([&server]).call(&Call::new(method, "/", "")).unwrap_err();
        assert_eq!((server.requests().len(), server.connections()), (1, 1));
    }
}

#[test]
fn any_answer_passes_through_with_its_head() {
    for status in [200, 206, 304, 400, 404, 418, 429, 500, 505] {
        let large = "v".repeat(100_000);
        let reply = Reply::status(status).header("x-large", &large).header("x-two", "1").header("x-two", "2");
        let server = Server::script([reply]);
        let answer = client([&server]).call(&Call::get("/")).unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-large"), Some(large.as_str()));
        let twice: Vec<_> =
            answer.headers.iter().filter(|(name, _)| name == "x-two").map(|(_, value)| value).collect();
        assert_eq!(twice, ["1", "2"]);
    }
}

#[test]
fn every_method_arrives_as_it_is_called() {
    let server = Server::start(|request| Reply::status(200).header("x-method", &request.method));
    let client = client([&server]);
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH"] {
        let body = if matches!(method, "POST" | "PUT" | "PATCH") { "body" } else { "" };
        let answer = client.call(&Call::new(method, "/", body)).unwrap();
        assert_eq!(answer.header("x-method"), Some(method));
        assert_eq!(server.requests().last().unwrap().text(), body);
    }
}

/// Guards: `Own::add_to` that drops one of them; `convert::head_of` that does.
#[test]
fn never_twice_a_caller_says_of_one_call_whether_it_may_be_sent_again_and_how_often() {
    let (fails, works) = (Server::script([Reply::reset()]), Server::script([Reply::ok("")]));
    let client = client_with([&fails, &works], policy().leave_after(u8::MAX));
    for (call, sent) in [
        (Call::post("x"), 0),
        (Call::post("x").own(Idempotent(true)), 1),
        (Call::post("x").own(Replay::Always), 1),
        (Call::get("/"), 1),
        (Call::get("/").own(Idempotent(false)), 0),
        (Call::get("/").own(Replay::Never), 0),
        (Call::get("/").own(Attempts(1)), 0),
        (Call::get("/").own(Attempts(0)), 0),
        (Call::get("/").own(Attempts(2)), 1),
    ] {
        let (before, told) = (works.requests().len(), format!("{call:?}"));
        let outcome = client.call(&call);
        assert_eq!((works.requests().len() - before, outcome.is_ok()), (sent, sent == 1), "{told}");
    }
}
