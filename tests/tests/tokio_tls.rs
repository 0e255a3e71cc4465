//! The adapter for tokio over TLS: what is trusted, what is not, and whom each target is told to be.
#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use failover_core::Evidence;
use failover_tests::lab::{LIMIT, Reply, Request, Server};
use failover_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use failover_tokio::rustls::{
    ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned, crypto::ring,
};
use failover_tokio::{Builder, Error, Failover, FailoverClient, Fault, Policy, Protocol, Target};
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tower_service::Service;

#[tokio::test]
async fn per_target_request_each_target_gets_its_own_server_name_and_host() {
    let named = TlsServer::start("localhost", 503);
    let numbered = TlsServer::start("127.0.0.1", 200);
    let client = FailoverClient::builder()
        .targets([named.url(), numbered.url()])
        .tls(trusting(&[&named, &numbered]))
        .build()
        .unwrap();
    for calls in 1..=5 {
        let response = client.post("/").body("money").await;
        // A call is not sent again after a 503, and after three of them the next one begins elsewhere.
        assert_eq!(response.is_ok(), calls > 3);
    }
    let response = client.get("/").await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "over TLS");
    // An IP address is no server name (RFC 6066, section 3).
    let (name, host) = named.seen();
    assert_eq!((name.as_deref(), host), (Some("localhost"), format!("localhost:{}", named.port)));
    assert_eq!(numbered.seen(), (None, format!("127.0.0.1:{}", numbered.port)));
}

#[tokio::test]
async fn not_sent_always_a_post_moves_on_from_a_certificate_that_is_not_trusted() {
    let (trusted, stranger) = (TlsServer::start("localhost", 200), TlsServer::start("localhost", 200));
    let misnamed = TlsServer::start("elsewhere.example", 200);
    let plain = Server::script([Reply::ok("in the clear")]);
    for target in [&stranger, &misnamed] {
        let client = FailoverClient::builder()
            .targets([target.url(), plain.url()])
            .tls(trusting(&[&trusted, &misnamed]))
            .build()
            .unwrap();
        let response = client.post("/").body("money").await.unwrap();
        let failure = &response.body().answered().failures()[0];
        assert_eq!(failure.evidence(), Some(Evidence::NoConnection));
        let error = failure.error().unwrap();
        assert_eq!(error.fault(), Fault::Tls);
        let cause = error.cause().unwrap().to_string();
        assert!(cause.starts_with("invalid peer certificate: "), "{error:?}");
        assert_eq!(error.to_string(), format!("the TLS handshake failed: {cause}"));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "in the clear");
        assert!(target.has_seen_nothing());
    }
    assert_eq!(plain.requests().iter().map(Request::text).collect::<Vec<_>>(), ["money", "money"]);
}

#[tokio::test]
async fn not_sent_always_the_platform_does_not_trust_a_certificate_of_ones_own() {
    let (stranger, plain) = (TlsServer::start("localhost", 200), Server::script([Reply::ok("in the clear")]));
    // A platform without any roots refuses https targets when the client is built.
    let Ok(client) = FailoverClient::builder().targets([stranger.url(), plain.url()]).build() else { return };
    let response = client.post("/").body("money").await.unwrap();
    assert_eq!(response.body().answered().target(), 1);
    assert!(stranger.has_seen_nothing());
}

/// Guards: `Transport::security` that takes the settings for all targets, or the name of the URL's host.
#[tokio::test]
async fn per_target_request_each_target_has_the_tls_and_the_server_name_that_it_says() {
    let inner = TlsServer::start("inner.example", 200);
    let outer = TlsServer::start("localhost", 200);
    let target = |server: &TlsServer| Target::parse(&server.url()).unwrap();
    let build = |inner_target: Target| {
        FailoverClient::builder()
            .target(inner_target)
            .target(target(&outer).named("outer"))
            .tls(trusting(&[&outer]))
            .tls_named("inner", trusting(&[&inner]))
            .build()
    };
    let answered_by = async |inner_target: Target| {
        let response = build(inner_target).unwrap().get("/").await.unwrap();
        response.body().answered().target()
    };
    assert_eq!(answered_by(target(&inner).tls("inner").server_name("inner.example")).await, 0);
    let (name, host) = inner.seen();
    assert_eq!((name.as_deref(), host), (Some("inner.example"), format!("localhost:{}", inner.port)));
    assert_eq!(answered_by(target(&inner).tls("inner")).await, 1, "the certificate is for another name");
    assert_eq!(answered_by(target(&inner).server_name("inner.example")).await, 1, "it is not trusted by all");

    let plain = Target::parse("http://localhost").unwrap();
    for (wrong, error) in [
        (
            target(&inner).tls("other"),
            "targets[0].tls = other: expected the name of settings of TLS that the client was given",
        ),
        (target(&inner).server_name("no name"), "targets[0].server_name = no name: expected a host name"),
        (
            plain.clone().tls("inner"),
            "targets[0].tls = inner: expected none, since the URL is not one of https",
        ),
        (
            plain.clone().server_name("inner.example"),
            "targets[0].server_name = inner.example: expected none, since the URL is not one of https",
        ),
    ] {
        assert_eq!(build(wrong).unwrap_err().to_string(), error);
    }
    let transport = FailoverClient::builder().transport().unwrap();
    let elsewhere = plain.protocol(Protocol::Http2);
    let refused = Failover::new([elsewhere], Policy::default(), transport).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "targets[0] = http://localhost: expected only what its URL says: a service for all targets goes by that"
    );
}

#[tokio::test]
async fn settings_of_tls_are_replaced_while_the_client_lives() {
    let (inner, other) = (TlsServer::start("localhost", 200), TlsServer::start("localhost", 200));
    let target = Target::parse(&inner.url()).unwrap().tls("inner");
    let builder = FailoverClient::builder().target(target.clone());
    let client = builder.tls_named("inner", trusting(&[&other])).build().unwrap();
    client.get("/").await.unwrap_err();
    client.set_tls_named("inner", trusting(&[&inner]));
    client.get("/").await.unwrap_err();
    assert!(inner.has_seen_nothing(), "the targets are those of before");
    client.set_targets([target], Policy::default()).unwrap();
    client.get("/").await.unwrap();
    inner.seen();
}

/// Guards: `Connector::stream` that speaks no TLS over a connector's stream, or for another name than the target's.
#[tokio::test]
async fn per_target_request_through_a_proxy_tls_is_spoken_with_the_target() {
    let server = TlsServer::start("localhost", 200);
    let proxy = ConnectProxy::start(&[]);
    let client = through(&proxy.url(), &[&server.url()]).tls(trusting(&[&server])).build().unwrap();
    let response = client.post("/").body("money").await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "over TLS");
    let place = format!("localhost:{}", server.port);
    assert_eq!(server.seen(), (Some("localhost".to_owned()), place.clone()));
    assert_eq!(proxy.asked(), [place]);
}

#[tokio::test]
async fn not_sent_always_a_post_moves_on_from_what_a_proxy_does_not_reach() {
    let (refused, down) = (Server::script([Reply::ok("refused")]), Server::down());
    let works = Server::script([Reply::ok("works")]);
    let proxy = ConnectProxy::start(&[&refused]);
    let client = through(&proxy.url(), &[&refused.url(), &down.url(), &works.url()]).build().unwrap();
    let response = client.post("/").body("money").await.unwrap();
    let failures = response.body().answered().failures();
    let evidence: Vec<_> = failures.iter().map(|failure| failure.evidence().unwrap()).collect();
    assert_eq!(evidence, [Evidence::NoConnection; 2]);
    let cause = failures[0].error().unwrap().cause().unwrap().to_string();
    assert_eq!(cause, "tunnel error: unsuccessful");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "works");
    assert_eq!((refused.requests().len(), proxy.asked().len()), (0, 3));

    let client = through(&Server::down().url(), &[&works.url()]).build().unwrap();
    let Err(Error::Stopped(stopped)) = client.post("/").body("money").await else {
        panic!("there is no proxy")
    };
    assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::NoConnection));
    assert_eq!(works.requests().len(), 1);
}

/// Builds a client whose connections lead through a proxy.
fn through(proxy: &str, targets: &[&str]) -> Builder {
    let mut to_proxy = HttpConnector::new();
    to_proxy.set_nodelay(true);
    let tunnel = Tunnel::new(proxy.parse().unwrap(), to_proxy);
    FailoverClient::builder().targets(targets).connector(move |address| {
        let mut tunnel = tunnel.clone();
        async move {
            let stream = tunnel.call(format!("http://{address}").parse()?).await?;
            Ok::<_, Box<dyn StdError + Send + Sync>>(TokioIo::new(stream))
        }
    })
}

/// A proxy that connects to any port of this machine, except for some that it refuses.
struct ConnectProxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    fn start(refused: &[&Server]) -> Self {
        let refused: Vec<_> = refused.iter().map(|server| server.address().to_string()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::default());
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (refused, seen) = (refused.clone(), Arc::clone(&seen));
                thread::spawn(move || tunnel(client?, &refused, &seen));
            }
        });
        Self { port, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it was asked to connect to.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn tunnel(mut client: TcpStream, refused: &[String], seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let place = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let place = place.ok_or_else(|| io::Error::other("no tunnel is asked for"))?.to_owned();
    seen.lock().unwrap().push(place.clone());
    if refused.contains(&place) {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    }
    let Ok(mut server) = TcpStream::connect(&*place) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(Shutdown::Write)
    });
    let _ = io::copy(&mut server, &mut client);
    client.shutdown(Shutdown::Write)
}

/// A server over TLS that answers each request with a status, and closes.
struct TlsServer {
    port: u16,
    name: &'static str,
    certificate: CertificateDer<'static>,
    /// The server name and the Host of each request.
    seen: Mutex<Receiver<(Option<String>, String)>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsServer {
    /// Starts a server with a certificate for this name, signed by itself.
    fn start(name: &'static str, status: u16) -> Self {
        let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let certificate = certified.cert.der().clone();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (see, seen) = channel();
        let thread = thread::spawn(move || {
            let config = Arc::new(config);
            // A connection that ends before its first byte asks the thread to end.
            while let Ok((stream, _)) = listener.accept() {
                if stream.peek(&mut [0]).is_ok_and(|count| count == 0) {
                    break;
                }
                // A client that does not trust the certificate goes away.
                let _ = answer(stream, Arc::clone(&config), status, &see);
            }
        });
        Self { port, name, certificate, seen: Mutex::new(seen), thread: Some(thread) }
    }

    fn url(&self) -> String {
        let host = if self.name == "127.0.0.1" { self.name } else { "localhost" };
        format!("https://{host}:{}", self.port)
    }

    fn seen(&self) -> (Option<String>, String) {
        self.seen.lock().unwrap().recv_timeout(LIMIT).unwrap()
    }

    fn has_seen_nothing(&self) -> bool {
        self.seen.lock().unwrap().try_recv().is_err()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let asked =
            TcpStream::connect(("127.0.0.1", self.port)).and_then(|stream| stream.shutdown(Shutdown::Both));
        if let (Ok(()), Some(thread)) = (asked, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn answer(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    status: u16,
    see: &Sender<(Option<String>, String)>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let (mut host, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        match line.trim_end().split_once(": ") {
            Some(("host", value)) => value.clone_into(&mut host),
            Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
            _ => {}
        }
    }
    io::copy(&mut Read::take(&mut reader, length), &mut io::sink())?;
    let tls = reader.get_mut();
    // The receiver is gone only when the test is over.
    let _ = see.send((tls.conn.server_name().map(str::to_owned), host));
    let head = format!("HTTP/1.1 {status} \r\ncontent-length: 8\r\nconnection: close\r\n\r\nover TLS");
    tls.write_all(head.as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// A client's TLS that trusts the certificates of these servers only.
fn trusting(servers: &[&TlsServer]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for server in servers {
        roots.add(server.certificate.clone()).unwrap();
    }
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
