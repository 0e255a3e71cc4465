//! Requests on the wire, byte for byte.

use failover_tests::lab::{Reply, Server};

use crate::Client;
use crate::suite::{Call, policy, target};

#[test]
fn per_target_request_dots_in_a_path_are_its_targets_to_resolve() {
    let server = Server::script([Reply::ok("")]);
    let client = Client::new(vec![target(&format!("{}/v1", server.url()))], policy());
    client.call(&Call::get("/a/../b/./c")).unwrap();
    assert_eq!(server.requests()[0].target, "/v1/a/../b/./c");
}

/// Guards: `Draft` that joins a `*`, or its query.
#[test]
fn per_target_request_what_is_asked_of_all_of_a_server_is() {
    let server = Server::script([Reply::ok("")]);
    let client = Client::new(vec![target(&format!("{}/v1", server.url()))], policy());
    client.send(|client| client.options("*")).unwrap();
    assert_eq!(server.requests()[0].target, "*");
}
