//! Websockets through the gateway, spoken by a library of theirs on both sides.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use failover_tests::lab::{Gate, LIMIT, Reply, Server};
use serde_json::json;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Bytes, Error, Message, WebSocket, accept, client};

use crate::{Gateway, config};

#[test]
fn a_websocket_goes_to_the_target_that_works_and_messages_pass_both_ways() {
    let (down, busy, echo) = (Server::down(), Server::script([Reply::status(503)]), echo());
    let gateway = Gateway::configured(&config("", &[down.url(), busy.url(), echo], ""));
    let mut socket = open(&gateway);
    let large = Bytes::from(vec![7; 1 << 20]);
    for message in [Message::text("money"), Message::Binary(large), Message::text("")] {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.send(Message::Ping("there".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("there".into()));
    let reason = CloseFrame { code: CloseCode::Away, reason: "enough".into() };
    socket.close(Some(reason.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Close(Some(reason)));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    let status = gateway.status();
    assert_eq!((&status["calls"]["answered"], &status["calls"]["waiting"]), (&json!(1), &json!(0)));
    assert_eq!(busy.requests()[0].header("upgrade"), Some("websocket"));
}

/// Guards: `converse` that does not wait for the tunnel.
#[test]
fn bounded_a_websocket_has_a_place_among_the_connections() {
    let gate = Gate::new();
    let server = Server::script([Reply::ok("slow").after(&gate), Reply::ok("right")]);
    let urls = [echo(), server.url()];
    let gateway = Gateway::configured(&config("max_connections = 2", &urls, "leave_after = 255"));
    let mut socket = open(&gateway);
    let mut first = gateway.connect();
    first.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(server.wait_for_requests(1).len(), 1);
    let mut second = gateway.connect();
    second.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    // The second one waits in the kernel; were it served, it would be by now.
    for nth in 0..20 {
        socket.send(Message::text(nth.to_string())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(nth.to_string()));
    }
    assert_eq!(server.requests().len(), 1);
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    drop(socket);
    assert_eq!(second.read("GET").unwrap().text(), "right");
    gate.open();
    assert_eq!(first.read("GET").unwrap().text(), "slow");
}

/// Guards: `converse` that waits for the end of a tunnel on which nothing passes.
#[test]
fn bounded_a_websocket_on_which_nothing_passes_is_cut() {
    let idle = Duration::from_millis(500);
    let gateway = Gateway::configured(&config("idle_timeout = '500ms'", &[echo()], ""));
    let began = Instant::now();
    let mut socket = open(&gateway);
    let ended = socket.read().unwrap_err();
    assert!(matches!(ended, Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)), "{ended}");
    assert!(began.elapsed() >= idle);
}

#[test]
fn a_reload_changes_what_may_be_taken_up_and_leaves_what_is_open() {
    let urls = [echo()];
    let gateway = Gateway::configured(&config("", &urls, ""));
    let mut socket = open(&gateway);
    gateway.reload(&config("", &urls, "upgrades = 'off'"));
    let refused = client("ws://front.example/", connect(&gateway)).unwrap_err();
    assert!(!refused.to_string().is_empty());
    socket.send(Message::text("still here")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("still here"));
}

#[test]
fn sigterm_waits_for_websockets_only_so_long() {
    for closes in [true, false] {
        let top = if closes { "" } else { "drain_timeout = '300ms'" };
        let mut gateway = Gateway::configured(&config(top, &[echo()], ""));
        let mut socket = open(&gateway);
        gateway.signal("TERM");
        gateway.wait_for_log("no more connections");
        if closes {
            socket.send(Message::text("last")).unwrap();
            assert_eq!(socket.read().unwrap(), Message::text("last"));
            socket.close(None).unwrap();
            while socket.read().is_ok() {}
            drop(socket);
        }
        assert_eq!(gateway.wait().code(), Some(i32::from(!closes)));
    }
}

/// A server of websockets that sends back what comes, and answers other requests with a 400; its URL.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let Ok(mut socket) = accept(stream.unwrap()) else { return };
                while let Ok(message) = socket.read() {
                    if message.is_text() || message.is_binary() {
                        let _ = socket.send(message);
                    }
                }
            });
        }
    });
    url
}

fn open(gateway: &Gateway) -> WebSocket<TcpStream> {
    client("ws://front.example/", connect(gateway)).unwrap().0
}

fn connect(gateway: &Gateway) -> TcpStream {
    let stream = TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}
