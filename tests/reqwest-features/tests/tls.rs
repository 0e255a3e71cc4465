//! The adapter for reqwest over TLS as reqwest's users set it up: roots and an identity of their own.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::thread::{self, JoinHandle};

use failover_core::Evidence;
use failover_reqwest::{Answered, FailoverClient};
use failover_tests::lab::{LIMIT, Reply, Server};
use failover_tokio::rustls::crypto::ring;
use failover_tokio::rustls::pki_types::PrivateKeyDer;
use failover_tokio::rustls::server::WebPkiClientVerifier;
use failover_tokio::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rcgen::{CertifiedKey, KeyPair};
use reqwest::{Certificate, ClientBuilder, Identity, Response};

#[tokio::test]
async fn roots_of_ones_own_are_trusted_and_a_post_moves_on_from_all_others() {
    let (trusted, stranger) = (TlsServer::start(None), TlsServer::start(None));
    let root = Certificate::from_der(trusted.certified.cert.der()).unwrap();
    let client = over(&[stranger.url(), trusted.url()], builder().tls_certs_only([root]));
    let response = client.post("/").body("money").send().await.unwrap();
    assert_eq!(evidence(&response), [Some(Evidence::NoConnection)]);
    assert_eq!(response.text().await.unwrap(), "over TLS");
    assert_eq!((stranger.executed(), trusted.executed()), (0, 1));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_the_target_that_asks_for_it() {
    let us = certified();
    let server = TlsServer::start(Some(&us));
    let plain = Server::script([Reply::ok("in the clear")]);
    let root = || Certificate::from_der(server.certified.cert.der()).unwrap();
    let identity = format!("{}{}", us.cert.pem(), us.signing_key.serialize_pem());
    let identity = Identity::from_pem(identity.as_bytes()).unwrap();

    let known = over(&[server.url(), plain.url()], builder().tls_certs_only([root()]).identity(identity));
    let response = known.post("/").body("money").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "over TLS");

    let unknown = over(&[server.url(), plain.url()], builder().tls_certs_only([root()]));
    let response = unknown.get("/").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "in the clear");
    assert_eq!(server.executed(), 1);
}

fn over(urls: &[String], client: ClientBuilder) -> FailoverClient {
    FailoverClient::builder().targets(urls).client(client).build().unwrap()
}

/// A builder of reqwest's, which here has no provider of cryptography of its own.
fn builder() -> ClientBuilder {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| ring::default_provider().install_default().unwrap());
    reqwest::Client::builder().no_proxy()
}

fn evidence(response: &Response) -> Vec<Option<Evidence>> {
    let story = response.extensions().get::<Answered>().unwrap();
    story.failures().iter().map(|failure| failure.evidence()).collect()
}

fn certified() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// A server over TLS that answers each request, and closes.
struct TlsServer {
    port: u16,
    certified: CertifiedKey<KeyPair>,
    executed: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl TlsServer {
    /// Starts a server with a certificate of its own, which may ask for the one of a client.
    fn start(client: Option<&CertifiedKey<KeyPair>>) -> Self {
        let certified = certified();
        let config = Arc::new(config(&certified, client));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let executed = Arc::<AtomicUsize>::default();
        let executing = Arc::clone(&executed);
        let thread = thread::spawn(move || {
            // A connection that ends before its first byte asks the thread to end.
            while let Ok((stream, _)) = listener.accept() {
                if stream.peek(&mut [0]).is_ok_and(|count| count == 0) {
                    break;
                }
                // A client that does not trust the certificate goes away, and one that is not trusted is sent away.
                let _ = answer(stream, Arc::clone(&config), &executing);
            }
        });
        Self { port, certified, executed, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    fn executed(&self) -> usize {
        self.executed.load(Ordering::Relaxed)
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

fn config(certified: &CertifiedKey<KeyPair>, client: Option<&CertifiedKey<KeyPair>>) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match client {
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.cert.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    builder.with_single_cert(vec![certified.cert.der().clone()], key).unwrap()
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, executed: &AtomicUsize) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    io::copy(&mut io::Read::take(&mut reader, length), &mut io::sink())?;
    executed.fetch_add(1, Ordering::Relaxed);
    let tls = reader.get_mut();
    tls.write_all(b"HTTP/1.1 200 \r\ncontent-length: 8\r\nconnection: close\r\n\r\nover TLS")?;
    tls.conn.send_close_notify();
    tls.flush()
}
