//! Targets that are reached otherwise than their URL says, by the keys of the file.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use failover_tests::example::Scratch;
use failover_tests::lab::{Reply, Server};
use http::Response;

use crate::Gateway;

#[test]
fn a_target_behind_a_unix_socket_is_reached() {
    let scratch = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "app", "");
    let path = Path::new(&scratch.path()).with_extension("sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                if line == "\r\n" {
                    let _ = reader.get_mut().write_all(b"HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nlocal");
                }
                line.clear();
            }
        }
    });
    let connect = format!("connect = 'unix:{}'", path.display());
    assert_eq!(before("http://app.invalid", &connect).get("/").text(), "local");
}

#[test]
fn a_target_is_reached_at_another_address_than_its_urls() {
    let server = Server::script([Reply::ok("here")]);
    let gateway = before("http://api.invalid", &format!("connect = '{}'", server.address()));
    assert_eq!(gateway.get("/").text(), "here");
    assert_eq!(server.requests()[0].header("host"), Some("api.invalid"));
}

#[test]
fn a_target_is_spoken_to_over_http2_unasked() {
    let gateway = before(&format!("http://{}", http2_server()), "protocol = 'http2'");
    assert_eq!(gateway.get("/").text(), "over HTTP/2");
}

/// A gateway before one target with a key more than its URL.
fn before(url: &str, key: &str) -> Gateway {
    Gateway::configured(&format!("[failover]\ntargets = [{{ url = '{url}', {key} }}]"))
}

/// A server that speaks HTTP/2 only, without TLS.
fn http2_server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let mut body = respond.send_response(Response::new(()), false).unwrap();
                    body.send_data("over HTTP/2".into(), true).unwrap();
                }
            });
        }
    };
    thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serve);
    });
    address
}
