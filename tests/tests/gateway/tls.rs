//! Targets over TLS with settings of their own: whom they trust, who the gateway is to them, and files that change.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use failover_tests::example::Scratch;
use failover_tests::lab::LIMIT;
use failover_tokio::rustls::crypto::ring;
use failover_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use failover_tokio::rustls::server::WebPkiClientVerifier;
use failover_tokio::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::Gateway;

#[test]
fn a_certificate_that_is_demanded_is_sent_and_replaced_on_sighup() {
    let authority = authority();
    let backend = Backend::demanding(&authority);
    let [first, second] = ["first", "second"].map(|name| identity(&authority, name));
    let roots = file("ca.pem", &authority.pem());
    let certificate = file("client.pem", &first.0.pem());
    let key = file("client.key", &first.1.serialize_pem());
    let text = format!(
        "[tls.inner]\nroots = '{}'\ncertificate = '{}'\nkey = '{}'\n{}",
        roots.path(),
        certificate.path(),
        key.path(),
        backend.failover("tls = 'inner', server_name = 'inner.example'"),
    );
    let gateway = Gateway::configured(&text);
    let is_answered = || assert_eq!(gateway.get("/").text(), "over TLS");
    is_answered();
    assert_eq!(backend.seen(), *first.0.der());

    assert!(gateway.reload(&text).contains("was read again"));
    is_answered();
    assert!(backend.has_seen_nothing(), "settings that stay keep the connection");

    certificate.write(&second.0.pem());
    let said = gateway.reload(&text);
    let named = format!("tls.inner.key = {}: expected the key of the certificate", key.path());
    assert!(said.contains("stays as it was") && said.contains(&named), "{said}");
    is_answered();
    assert!(backend.has_seen_nothing(), "what makes no sense changes nothing");

    key.write(&second.1.serialize_pem());
    assert!(gateway.reload(&text).contains("was read again"));
    is_answered();
    assert_eq!(backend.seen(), *second.0.der());
}

#[test]
fn a_target_is_held_to_the_roots_and_the_server_name_and_lets_no_stranger_in() {
    let authority = authority();
    let backend = Backend::demanding(&authority);
    let (certificate, key) = identity(&authority, "first");
    let (roots, others) = (file("ca.pem", &authority.pem()), file("ca.pem", &self::authority().pem()));
    let (certificate, key) =
        (file("client.pem", &certificate.pem()), file("client.key", &key.serialize_pem()));
    let known = format!("certificate = '{}'\nkey = '{}'", certificate.path(), key.path());
    let named = "tls = 'inner', server_name = 'inner.example'";
    for (roots, identity, target, status) in [
        (&roots, known.as_str(), named, 200),
        (&others, &known, named, 502),
        (&roots, "", named, 502),
        (&roots, &known, "tls = 'inner'", 502),
    ] {
        let text =
            format!("[tls.inner]\nroots = '{}'\n{identity}\n{}", roots.path(), backend.failover(target));
        assert_eq!(Gateway::configured(&text).get("/").status, status, "{text}");
    }
}

/// A server over TLS that demands a certificate of its clients.
///
/// It ends with the test's process.
struct Backend {
    port: u16,
    /// The certificate of the client of each connection.
    seen: Receiver<CertificateDer<'static>>,
}

impl Backend {
    /// A server for `inner.example`, which an authority vouches for, as for its clients.
    fn demanding(authority: &Authority) -> Self {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let (certificate, key) = identity(authority, "inner.example");
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (see, seen) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, see) = (Arc::clone(&config), see.clone());
                // A client that is not let in goes away.
                thread::spawn(move || serve(stream?, config, &see));
            }
        });
        Self { port, seen }
    }

    /// A table of failover with this target, and what is said of it beside its URL.
    fn failover(&self, keys: &str) -> String {
        format!("[failover]\ntargets = [{{ url = 'https://localhost:{}', {keys} }}]", self.port)
    }

    fn seen(&self) -> CertificateDer<'static> {
        self.seen.recv_timeout(LIMIT).unwrap()
    }

    fn has_seen_nothing(&self) -> bool {
        self.seen.try_recv().is_err()
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    see: &Sender<CertificateDer<'static>>,
) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    if let Some([certificate, ..]) = tls.conn.peer_certificates() {
        // The receiver is gone only when the test is over.
        let _ = see.send(certificate.clone().into_owned());
    }
    let (mut reader, mut line) = (BufReader::new(tls), String::new());
    while reader.read_line(&mut line)? > 0 {
        if line == "\r\n" {
            reader.get_mut().write_all(b"HTTP/1.1 200 \r\ncontent-length: 8\r\n\r\nover TLS")?;
        }
        line.clear();
    }
    Ok(())
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for a name, and its key.
fn identity(authority: &Authority, name: &str) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

fn file(name: &str, text: &str) -> Scratch {
    Scratch::file(env!("CARGO_TARGET_TMPDIR"), name, text)
}
