//! Targets that are reached otherwise than their URL says, and connections when the targets are replaced.

#[cfg(unix)]
use std::io::{BufRead, BufReader, Write};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::sync::Arc;
#[cfg(unix)]
use std::sync::atomic::{AtomicUsize, Ordering};

use failover_core::{Address, Evidence, Protocol, Target};
use failover_tests::lab::{Reply, Server};

use crate::Client;
use crate::suite::{Call, PATIENCE, client, policy, target};

/// Guards: `Origin::address` that is the URL's.
#[test]
fn per_target_request_connections_lead_to_the_address_and_the_request_to_the_url() {
    let server = Server::script([Reply::ok("here")]);
    let client = Client::new(vec![far("http://api.invalid/v1", &server)], policy());
    assert_eq!(client.call(&Call::get("/users")).unwrap().text(), "here");
    let request = &server.requests()[0];
    assert_eq!((request.target.as_str(), request.header("host")), ("/v1/users", Some("api.invalid")));
}

/// Guards: `Transport::pool` that looks at the host only.
#[test]
fn per_target_request_two_targets_of_one_url_lead_to_their_addresses() {
    let servers = ["near", "far"].map(|name| Server::start(move |_| Reply::ok(name)));
    let targets = servers
        .iter()
        .enumerate()
        .map(|(place, server)| far("http://api.invalid", server).named(format!("api {place}")));
    let client = Client::new(targets.collect(), policy());
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "near");
    client.prefer(1);
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "far");
}

/// Guards: `dial` that takes each address for one of TCP.
#[cfg(unix)]
#[test]
fn a_target_behind_a_unix_socket_is_reached_and_its_connection_used_again() {
    let path = std::env::temp_dir().join(format!("failover-{}.sock", std::process::id()));
    let accepted = Arc::new(AtomicUsize::new(0));
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn({
        let accepted = Arc::clone(&accepted);
        move || {
            for stream in listener.incoming() {
                accepted.fetch_add(1, Ordering::Relaxed);
                let mut reader = BufReader::new(stream.unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                    if line == "\r\n" {
                        let _ =
                            reader.get_mut().write_all(b"HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nlocal");
                    }
                    line.clear();
                }
            }
        }
    });
    let app = target("http://app.invalid").connect_to(Address::Unix(path.to_str().unwrap().to_owned()));
    let client = Client::new(vec![app], policy());
    for _ in 0..3 {
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), "local");
    }
    std::fs::remove_file(path).unwrap();
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}

/// Guards: `TransportError::from` a Unix socket that is not there, which proves nothing.
#[cfg(unix)]
#[test]
fn not_sent_always_a_post_moves_on_from_a_unix_socket_that_is_not_there() {
    let server = Server::script([Reply::ok("there")]);
    let nowhere = || target("http://app.invalid").connect_to(Address::Unix("/nowhere/app.sock".to_owned()));
    let client = Client::new(vec![nowhere(), target(&server.url())], policy());
    let answer = client.call(&Call::post("money")).unwrap();
    assert_eq!((answer.text(), answer.failures[0].evidence), ("there", Some(Evidence::NoConnection)));

    let stopped = Client::new(vec![nowhere()], policy()).call(&Call::post("money")).unwrap_err();
    assert_eq!(
        stopped.message,
        "all targets were tried: target 0: no connection: there is no such Unix socket"
    );
}

#[test]
fn not_sent_always_a_post_moves_on_from_a_target_that_does_not_speak_http2() {
    let server = Server::start(|_| Reply::ok("HTTP/1.1"));
    let old = target(&server.url()).protocol(Protocol::Http2).connect_timeout(PATIENCE);
    let client = Client::new(vec![old, target(&server.url()).named("again")], policy());
    let answer = client.call(&Call::post("money")).unwrap();
    assert_eq!((answer.text(), answer.failures[0].evidence), ("HTTP/1.1", Some(Evidence::NoConnection)));
    assert!(server.requests().iter().filter(|request| request.method == "POST").count() == 1);
}

/// Guards: `Transport::pool` that makes another one each time; that looks at the host only.
#[test]
fn a_reload_hands_on_connections_that_lead_to_the_same_and_no_others() {
    let (server, other) = (Server::start(|_| Reply::ok("")), Server::start(|_| Reply::ok("other")));
    let client = client([&server]);
    let url = server.url();
    client.call(&Call::get("/")).unwrap();
    for same in [target(&url), target(&format!("{url}/v2")).named("moved").connect_timeout(PATIENCE)] {
        client.set_targets(vec![same], policy());
        client.call(&Call::get("/")).unwrap();
        assert_eq!(server.connections(), 1);
    }
    client.set_targets(vec![target(&url).protocol(Protocol::Http1)], policy());
    client.call(&Call::get("/")).unwrap();
    assert_eq!(
        server.connections(),
        2,
        "one over whose protocol was negotiated is not one of HTTP/1.1 for sure"
    );
    client.set_targets(vec![far(&url, &other)], policy());
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "other");
    assert_eq!((server.connections(), other.connections()), (2, 1));
}

/// A target whose connections lead to a server.
fn far(url: &str, server: &Server) -> Target {
    target(url).connect_to(server.address().to_string().parse().unwrap())
}
