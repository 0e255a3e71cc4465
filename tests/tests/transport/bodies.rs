//! Bodies that hyper alone would not pass.

use failover_tests::lab::{Reply, Server};

use crate::suite::{Call, client};

/// Guards: `Http1::open` that leaves hyper's limit on trailers.
#[test]
fn committed_a_body_comes_whole_before_trailers_of_17_kb() {
    let body = "0123456789".repeat(10_000);
    let server = Server::script([Reply::ok(body.clone()).trailer("odd", &"o".repeat(17_000))]);
    let client = client([&server]);
    for _ in 0..3 {
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), body);
    }
}
