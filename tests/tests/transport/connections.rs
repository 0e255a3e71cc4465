//! What becomes of connections, where the transport looks at them closely.

use std::thread;
use std::time::Duration;

use failover_core::Evidence;
use failover_tests::lab::{Cut, End, Reply, Server};

use crate::suite::connections::{Lab, evidences};
use crate::suite::{Call, client, each};

#[test]
fn a_connection_that_was_closed_while_idle_gets_no_request() {
    for _ in 0..200 {
        let server = Server::start(|request| match request.target.as_str() {
            "/first" => Reply::ok("first").end(End::Fin),
            _ => Reply::ok("next"),
        });
        let client = client([&server]);
        assert_eq!(client.call(&Call::get("/first")).unwrap().text(), "first");
        server.wait_for_closed(1);
        let answer = client.call(&Call::post("money")).unwrap();
        assert_eq!((answer.text(), evidences(&answer.failures)), ("next", vec![]));
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn keep_alive_a_connection_is_idle_for_as_long_as_its_server_says() {
    let cases = [
        ("no longer than a timeout", ("timeout=1", Duration::from_millis(1_200))),
        ("not at all", ("max=0", Duration::ZERO)),
        ("not at all, whatever the timeout", ("timeout=60, max=0", Duration::ZERO)),
    ];
    each(cases, |(hints, pause)| {
        let server = Server::start(|_| Reply::ok("right").header("keep-alive", hints));
        let client = client([&server]);
        for nth in 0..3 {
            let answer = client.call(&Call::post("money")).unwrap();
            assert_eq!(evidences(&answer.failures), []);
            let requests = server.requests();
            assert_eq!((requests[nth].connection, requests[nth].position), (nth, 0));
            // The idle time itself, of which the pause is a lower bound.
            thread::sleep(pause);
        }
        server.wait_for_closed(2);
    });
}

/// Guards: `TransportError::from` a broken exchange for which no connection is stale.
#[test]
fn stale_connection_a_get_that_is_cut_anywhere_on_a_connection_that_served_is_answered() {
    each([("fin", End::Fin), ("reset", End::Reset)], |end| {
        let lab = Lab::new();
        for bytes in 0.. {
            let (outcome, seen) = lab.cut(&Call::get("/"), Cut::Request(bytes), end, true);
            let answer = outcome.unwrap();
            assert_eq!((answer.text(), answer.target), ("thanks", 0));
            if answer.failures.is_empty() {
                assert!(bytes > 30, "{bytes}");
                break;
            }
            assert_eq!(evidences(&answer.failures), [Some(Evidence::Stale)]);
            assert!((1..=2).contains(&seen), "{seen} at {bytes}");
        }
    });
}
