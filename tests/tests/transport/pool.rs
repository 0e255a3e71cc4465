//! How many connections are kept and opened, and for how long, where that is set.

use std::future::pending;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use failover_core::{Evidence, Protocol};
use failover_tests::lab::{LIMIT, Reply, Server};
use failover_tokio::Attempts;
use tokio::io::DuplexStream;

use crate::Client;
use crate::suite::{Call, PATIENCE, policy, target};

/// Guards: a `Pool` that has bounds of its own.
#[test]
fn a_connection_is_kept_for_as_long_as_it_may_be() {
    let times = Duration::from_millis(50);
    let kept = [
        |builder: crate::Builder, _| builder,
        |builder: crate::Builder, _| builder.pool_max_idle(0),
        |builder: crate::Builder, time| builder.pool_idle_timeout(time),
        |builder: crate::Builder, time| builder.pool_max_age(time),
    ]
    .map(|settings| {
        let server = Server::start(|_| Reply::ok(""));
        let targets = vec![target(&server.url())];
        let client = Client::built(targets, policy(), |builder| settings(builder, times));
        for _ in 0..3 {
            client.call(&Call::get("/")).unwrap();
            // However long it takes, the connection is then older than it may be.
            thread::sleep(times);
        }
        server.connections()
    });
    assert_eq!(kept, [1, 3, 3, 3]);
}

/// Guards: `Pool::dial_as_needed` with a bound of its own.
#[test]
fn no_more_connections_are_opened_at_once_than_may_be() {
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = (Arc::clone(&under_way), Arc::clone(&most));
    let client = Client::built(vec![target("http://a.invalid")], policy(), |builder| {
        builder.pool_max_dials(2).connector(move |_| {
            count.1.fetch_max(count.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let under_way = Arc::clone(&count.0);
            async move {
                tokio::task::yield_now().await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                Err::<DuplexStream, _>("nobody is there")
            }
        })
    });
    let calls: Vec<_> = (0..16).map(|_| client.start(Call::get("/"))).collect();
    for call in calls {
        call.finish().unwrap_err();
    }
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
}

/// Guards: `Pool::connection` that takes a call for which nothing is opened yet for one whose target cannot be reached.
#[test]
fn not_sent_always_a_call_for_which_nothing_could_be_opened_yet_says_nothing_of_its_target() {
    let (asked, asks) = channel();
    let url = "http://a.invalid";
    let slow = target(url).attempt_timeout(PATIENCE).connect_timeout(PATIENCE);
    let short = target(url).connect_timeout(Duration::from_millis(50));
    let client = Client::built(vec![slow, short], policy(), |builder| {
        builder.pool_max_dials(1).connector(move |_| {
            asked.send(()).unwrap();
            pending::<Result<DuplexStream, &str>>()
        })
    });
    let first = client.start(Call::get("/"));
    asks.recv_timeout(LIMIT).unwrap();
    client.prefer(1);
    let second = client.call(&Call::post("money").own(Attempts(1))).unwrap_err();
    let evidence: Vec<_> = second.failures.iter().map(|failure| failure.evidence).collect();
    assert_eq!(evidence, [Some(Evidence::NotSent)]);
    assert!(asks.try_recv().is_err());
    first.cancel();
}

/// Guards: `Http2::open` that announces windows of its own.
#[test]
fn the_windows_of_http2_are_announced_as_they_are_set() {
    for (settings, windows) in [
        ((|builder| builder) as fn(crate::Builder) -> crate::Builder, [256 << 10, (1 << 31) - 1]),
        (|builder| builder.http2_stream_window(1 << 20).http2_connection_window(4 << 20), [1 << 20, 4 << 20]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::built(vec![target(&url).protocol(Protocol::Http2)], policy(), settings);
        let call = client.start(Call::get("/"));
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        assert_eq!(announced(&mut stream), windows);
        stream.write_all(b"no HTTP").unwrap();
        drop(stream);
        call.finish().unwrap_err();
    }
}

/// The windows of a stream and of the connection that a client of HTTP/2 begins with (RFC 9113, sections 3.4, 6.5 and 6.9).
fn announced(stream: &mut impl Read) -> [u32; 2] {
    let mut read = |length| {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte));
    read(24);
    let (mut of_stream, mut of_connection) = (65_535, 65_535);
    loop {
        let head = read(9);
        let payload = read(number(&head[..3]) as usize);
        match head[3] {
            4 => {
                let window = payload.chunks(6).find(|setting| setting[..2] == [0, 4]);
                of_stream = window.map_or(of_stream, |window| number(&window[2..]));
            }
            8 => {
                of_connection += number(&payload);
                return [of_stream, of_connection];
            }
            _ => {}
        }
    }
}
