//! The adapter for reqwest with its decompression: what is read is the body that was meant.
#![forbid(unsafe_code)]

use failover_reqwest::FailoverClient;
use failover_tests::lab::{Reply, Server};
use failover_tokio::rustls::crypto::ring;

#[tokio::test]
async fn committed_a_body_that_is_decoded_comes_whole_without_what_told_of_its_coding_and_a_cut_one_is_an_error()
 {
    let reply = Reply::ok(HELLO).header("content-encoding", "gzip");
    let whole = Server::script([reply.clone(), reply.clone().chunked()]);
    let _ = ring::default_provider().install_default();
    let over = |server: &Server| {
        let reqwest = reqwest::Client::builder().no_proxy();
        FailoverClient::builder().targets([server.url()]).client(reqwest).build().unwrap()
    };
    let client = over(&whole);
    for _ in 0..2 {
        let response = client.get("/").send().await.unwrap();
        for gone in ["content-encoding", "content-length"] {
            assert_eq!(response.headers().get(gone), None);
        }
        assert_eq!(response.text().await.unwrap(), "hello");
    }
    assert_eq!(whole.requests()[0].header("accept-encoding"), Some("gzip"));
    let cut = Server::script([reply.clone().cut(12), reply.chunked().cut(12)]);
    let client = over(&cut);
    for _ in 0..2 {
        client.get("/").send().await.unwrap().text().await.unwrap_err();
    }
}

/// `hello`, as gzip writes it.
const HELLO: [u8; 25] = [
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0,
    0, 0,
];
