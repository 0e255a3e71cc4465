//! What is let in: methods, hosts, names and lengths, each legal one as it is.

use failover_tests::lab::{Reply, Server};

use crate::{Gateway, config};

/// Guards: `forward` that passes TRACE on.
#[test]
fn a_method_that_shows_what_a_target_is_sent_is_refused() {
    let server = Server::start(|request| Reply::ok(format!("{request:?}")));
    let gateway = Gateway::configured(&config("", &[server.url().replace("//", "//user:s3cret@")], ""));
    for (method, path) in [("TRACE", "/"), ("CONNECT", "evil.example:443")] {
        let refused = gateway.ask(method, path);
        let allowed = Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!((refused.status, refused.header("allow")), (405, allowed), "{method}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_tunnel_is_refused_below_a_base_path_too() {
    let server = Server::script([Reply::ok("")]);
    let gateway = Gateway::configured(&config("base_path = '/fo'", &[server.url()], ""));
    assert_eq!(gateway.ask("CONNECT", "evil.example:443").status, 405);
}

/// Guards: `conclude` that answers a request which goes no further with a problem, or without `Allow`.
#[test]
fn a_request_is_passed_on_as_often_as_it_may_be() {
    let server =
        Server::start(|request| Reply::ok(request.header("max-forwards").unwrap_or("none").to_owned()));
    let gateway = Gateway::before([&server], "");
    let ask = |method, left: &str| gateway.send(method, "/", &format!("max-forwards: {left}\r\n"), "");
    assert_eq!(
        [ask("OPTIONS", "2").text(), ask("GET", "0").text(), ask("OPTIONS", "x").text()],
        ["1", "0", "x"]
    );
    let last = ask("OPTIONS", "0");
    assert_eq!((last.status, last.text(), last.header("content-type")), (200, "", Some("text/plain")));
    assert_eq!(last.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    assert_eq!(server.requests().len(), 3);
}

/// Guards: `is_host` that takes anything, and `check` that lets a request without a host in.
#[test]
fn a_host_is_one_by_its_grammar() {
    let server =
        Server::start(|request| Reply::ok(request.header("x-forwarded-host").unwrap_or("none").to_owned()));
    let gateway = Gateway::before([&server], "");
    let ask = |version: &str, headers: &str| {
        let mut connection = gateway.connect();
        connection.write(format!("GET / HTTP/{version}\r\n{headers}connection: close\r\n\r\n").as_bytes());
        connection.read("GET").unwrap()
    };
    for host in ["h", "h:", "h:80", "front.example:8443", "[::1]:80", "[::1]", "a_b.example", "1.2.3.4"] {
        let answer = ask("1.1", &format!("host: {host}\r\n"));
        assert_eq!((answer.status, answer.text()), (200, host));
    }
    for host in ["", "a b/c?d", "\">", "h/", "h:x", "h:-1", "user@h", ":80", "[::1", "h:80:80"] {
        let answer = ask("1.1", &format!("host: {host}\r\n"));
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some("application/problem+json")),
            "{host}"
        );
    }
    assert_eq!(ask("1.1", "").status, 400);
    // What `Connection` names is not passed on, and yet it is known what was asked for.
    assert_eq!(ask("1.1", "host: h\r\nconnection: host\r\n").text(), "h");
    assert_eq!(ask("1.1", "host: h\r\nhost: h\r\n").status, 400);
}

/// Guards: `Door::enter` that drops no names with underscores, or always.
#[test]
fn names_with_underscores_are_dropped_unless_they_are_allowed() {
    for (top, is_there) in [("", false), ("underscores_in_headers = true", true)] {
        let server = Server::script([Reply::ok("")]);
        let gateway = Gateway::configured(&config(top, &[server.url()], ""));
        gateway.send("GET", "/", "X_Api_Key: mine\r\nx-kept: 1\r\nX_Forwarded_For: 192.0.2.1\r\n", "");
        let request = &server.requests()[0];
        for name in ["x_api_key", "x_forwarded_for"] {
            assert_eq!(request.header(name).is_some(), is_there, "{name}");
        }
        assert_eq!(request.header("x-kept"), Some("1"));
    }
}

#[test]
fn a_length_that_no_body_has_is_refused_at_once() {
    let server = Server::script([Reply::ok("")]);
    let gateway = Gateway::before([&server], "");
    for length in ["9223372036854775808", "18446744073709551612"] {
        let answer = gateway.send("POST", "/", &format!("content-length: {length}\r\n"), "");
        assert_eq!(answer.status, 400, "{length}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn exact_every_legal_character_of_a_path_passes() {
    let server = Server::start(|request| Reply::ok(request.target.clone()));
    let gateway = Gateway::before([&server], "");
    for path in ["//b?q={}", "/a;b=c/d,e@f:g!$&'()*+=~", "/?", "/a?b?c/d//e", "/%00%zz"] {
        assert_eq!(gateway.get(path).text(), path);
    }
}

/// Guards: `Peer::introduce` that keeps what anybody says, and `Door::enter` that trusts nobody.
#[test]
fn what_clients_say_of_themselves_counts_only_from_proxies_that_are_trusted() {
    let server = Server::script([Reply::ok("")]);
    let told = "forwarded: for=192.0.2.1\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-host: first.example\r\nx-forwarded-proto: https\r\n";
    for (proxies, expected) in [
        ("[]", [None, Some("127.0.0.1"), Some("front.example"), Some("http")]),
        ("['10.0.0.0/8', '::1']", [None, Some("127.0.0.1"), Some("front.example"), Some("http")]),
        (
            "['127.0.0.0/8']",
            [Some("for=192.0.2.1"), Some("192.0.2.1, 127.0.0.1"), Some("first.example"), Some("https")],
        ),
        (
            "['127.0.0.1']",
            [Some("for=192.0.2.1"), Some("192.0.2.1, 127.0.0.1"), Some("first.example"), Some("https")],
        ),
    ] {
        let top = format!("trusted_proxies = {proxies}");
        Gateway::configured(&config(&top, &[server.url()], "")).send("GET", "/", told, "");
        let requests = server.requests();
        let names = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        assert_eq!(names.map(|name| requests.last().unwrap().header(name)), expected, "{proxies}");
    }
}
