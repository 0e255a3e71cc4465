//! Headers that each request of a client has.

use failover_tests::lab::{Reply, Server};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::Client;
use crate::suite::{Call, policy, target};

/// Guards: `DefaultHeaders::complete` that replaces, that adds one of several values, or that is asked after the target.
#[test]
fn per_target_request_a_default_header_gives_way_to_the_requests_and_to_the_targets() {
    let servers = [Server::script([Reply::status(503)]), Server::script([Reply::ok("")])];
    let own = (HeaderName::from_static("x-key"), HeaderValue::from_static("the target's"));
    let targets = vec![target(&servers[0].url()), target(&servers[1].url()).with_header(own.0, own.1)];
    let client = Client::built(targets, policy(), |builder| {
        let mut all = HeaderMap::new();
        all.append("x-key", HeaderValue::from_static("replaced"));
        all.append("x-tag", HeaderValue::from_static("a"));
        all.append("x-tag", HeaderValue::from_static("b"));
        builder.default_headers(all).default_header("x-key", "default").user_agent("shop/1.0")
    });
    client.call(&Call::get("/")).unwrap();
    client.call(&Call::get("/").header("x-tag", "own").header("user-agent", "own")).unwrap();
    client.call(&Call::get("/").header("x-key", "own")).unwrap();
    let seen = |server: &Server| {
        let names = ["x-key", "x-tag", "user-agent"];
        let seen = server.requests().into_iter().map(|request| {
            let of = |name| {
                let headers = request.headers.iter().filter(move |(other, _)| other == name);
                headers.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(",")
            };
            names.map(of).join(" ")
        });
        seen.collect::<Vec<_>>()
    };
    assert_eq!(seen(&servers[0]), ["default a,b shop/1.0", "default own own", "own a,b shop/1.0"]);
    assert_eq!(
        seen(&servers[1]),
        ["the target's a,b shop/1.0", "the target's own own", "the target's a,b shop/1.0"]
    );
}
