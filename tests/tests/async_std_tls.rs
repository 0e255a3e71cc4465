//! The adapter for async-std over TLS: what is trusted, what is not, and whom each target is told to be.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use async_std::future::timeout;
use async_std::task;
use failover_async_std::rustls::crypto::ring;
use failover_async_std::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use failover_async_std::rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use failover_async_std::{Answered, Evidence, FailoverClient, Fault, Policy, Target, Transport};
use failover_tests::lab::{LIMIT, Reply, Server};

#[test]
fn per_target_request_each_target_gets_its_own_server_name_and_host() {
    let (named, numbered) = (TlsServer::start("localhost", 503), TlsServer::start("127.0.0.1", 200));
    let client = FailoverClient::builder()
        .targets([named.url(), numbered.url()])
        .tls(trusting(&[&named, &numbered]))
        .build()
        .unwrap();
    let mut response = block_on(client.get("/")).unwrap();
    assert_eq!(block_on(response.body_string()).unwrap(), "over TLS");
    // An IP address is no server name (RFC 6066, section 3).
    let (name, host) = named.seen();
    assert_eq!((name.as_deref(), host), (Some("localhost"), format!("localhost:{}", named.port)));
    assert_eq!(numbered.seen(), (None, format!("127.0.0.1:{}", numbered.port)));
}

#[test]
fn not_sent_always_a_post_moves_on_from_a_certificate_that_is_not_trusted() {
    let trusted = TlsServer::start("localhost", 200);
    let (stranger, misnamed) =
        (TlsServer::start("localhost", 200), TlsServer::start("elsewhere.example", 200));
    for target in [&stranger, &misnamed] {
        let plain = Server::script([Reply::ok("in the clear")]);
        let client = FailoverClient::builder()
            .targets([target.url(), plain.url()])
            .tls(trusting(&[&trusted, &misnamed]))
            .build()
            .unwrap();
        let mut response = block_on(client.post("/").body("money")).unwrap();
        let failure = &response.ext::<Answered>().unwrap().failures()[0];
        assert_eq!(failure.evidence(), Some(Evidence::NoConnection));
        assert_eq!(failure.error().unwrap().fault(), Fault::Tls);
        assert_eq!(block_on(response.body_string()).unwrap(), "in the clear");
        assert_eq!(plain.requests()[0].text(), "money");
        assert!(target.has_seen_nothing());
    }
}

#[test]
fn the_transport_alone_speaks_tls_and_trusts_what_it_is_told_to_trust() {
    let (trusted, stranger) = (TlsServer::start("localhost", 200), TlsServer::start("localhost", 200));
    let client = surf::Client::with_http_client(Transport::with_tls(trusting(&[&trusted])));
    assert_eq!(block_on(client.get(trusted.url()).recv_string()).unwrap(), "over TLS");
    block_on(client.get(stranger.url()).recv_string()).unwrap_err();
    // A platform without any roots has no transport with TLS of its own.
    let Ok(platform) = Transport::new() else { return };
    let client = surf::Client::with_http_client(platform);
    block_on(client.get(trusted.url()).recv_string()).unwrap_err();
    assert!(stranger.has_seen_nothing());
}

#[test]
fn settings_of_tls_are_replaced_while_the_client_lives() {
    let (inner, other) = (TlsServer::start("localhost", 200), TlsServer::start("localhost", 200));
    let target = Target::parse(&inner.url()).unwrap().tls("inner");
    let builder = FailoverClient::builder().target(target.clone());
    let client = builder.tls_named("inner", trusting(&[&other])).build().unwrap();
    block_on(client.get("/")).unwrap_err();
    client.set_tls_named("inner", trusting(&[&inner]));
    block_on(client.get("/")).unwrap_err();
    assert!(inner.has_seen_nothing(), "the targets are those of before");
    client.set_targets([target], Policy::default()).unwrap();
    block_on(client.get("/")).unwrap();
    inner.seen();
}

/// A server over TLS that answers each request with a status, and closes.
///
/// It ends with the test's process.
struct TlsServer {
    port: u16,
    name: &'static str,
    certificate: CertificateDer<'static>,
    /// The server name and the Host of each request.
    seen: Receiver<(Option<String>, String)>,
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
            .with_single_cert(vec![certificate.clone()], key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (see, seen) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that does not trust the certificate goes away; the test may be over.
                let _ = answer(stream.unwrap(), Arc::clone(&config), status).map(|saw| see.send(saw));
            }
        });
        Self { port, name, certificate, seen }
    }

    fn url(&self) -> String {
        let host = if self.name == "127.0.0.1" { self.name } else { "localhost" };
        format!("https://{host}:{}", self.port)
    }

    fn seen(&self) -> (Option<String>, String) {
        self.seen.recv_timeout(LIMIT).unwrap()
    }

    fn has_seen_nothing(&self) -> bool {
        self.seen.try_recv().is_err()
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, status: u16) -> io::Result<(Option<String>, String)> {
    stream.set_read_timeout(Some(LIMIT))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let (mut host, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("host", value)) => value.clone_into(&mut host),
            Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    io::copy(&mut io::Read::take(&mut reader, length), &mut io::sink())?;
    let tls = reader.get_mut();
    let name = tls.conn.server_name().map(str::to_owned);
    let head = format!("HTTP/1.1 {status} \r\ncontent-length: 8\r\nconnection: close\r\n\r\nover TLS");
    tls.write_all(head.as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()?;
    Ok((name, host))
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

fn block_on<F: IntoFuture>(future: F) -> F::Output {
    task::block_on(async { timeout(LIMIT, future.into_future()).await.expect("nothing takes that long") })
}
