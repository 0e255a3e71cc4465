//! Where clients come from: over TLS, and over Unix sockets.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use failover_tests::example::Scratch;
use failover_tests::lab::{Reply, Server};
use failover_tests::wire::Connection;
use failover_tokio::rustls::crypto::ring;
use failover_tokio::rustls::{ClientConfig, RootCertStore};
use failover_tokio::{FailoverClient, Protocol};
use http_body_util::BodyExt;
use rcgen::{CertificateParams, KeyPair};

use crate::{GATEWAY, Gateway, config, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_served_over_tls_by_both_versions_and_the_certificate_is_replaced_on_sighup() {
    let server = Server::start(|request| {
        let named = |name| request.header(name).unwrap_or("none").to_owned();
        Reply::ok(format!("{} {}", named("via"), named("x-forwarded-proto")))
    });
    let [first, second] = [(); 2].map(|()| identity());
    let certificate = file("server.pem", &first.0);
    let key = file("server.key", &first.1);
    let top = format!("listen_tls = {{ certificate = '{}', key = '{}' }}", certificate.path(), key.path());
    let text = config(&top, &[server.url()], "");
    let gateway = Gateway::configured(&text);
    assert!(gateway.url.starts_with("https://127.0.0.1:"), "{}", gateway.url);
    let url = gateway.url.replace("127.0.0.1", "localhost");
    for (protocol, said) in [(Protocol::Auto, "2.0 failover https"), (Protocol::Http1, "1.1 failover https")]
    {
        assert_eq!(text_of(&client(&url, &first.0, protocol)).await.unwrap(), said);
    }

    certificate.write(&second.0);
    let said = gateway.reload(&text);
    assert!(said.contains("stays as it was") && said.contains("listen_tls.key"), "{said}");
    key.write(&second.1);
    assert!(gateway.reload(&text).contains("was read again"));
    assert!(text_of(&client(&url, &first.0, Protocol::Auto)).await.is_err());
    assert_eq!(text_of(&client(&url, &second.0, Protocol::Auto)).await.unwrap(), "2.0 failover https");
}

#[test]
fn bounded_a_handshake_that_stands_still_is_left() {
    let server = Server::script([Reply::ok("right")]);
    let identity = identity();
    let (certificate, key) = (file("server.pem", &identity.0), file("server.key", &identity.1));
    let top = format!(
        "idle_timeout = '500ms'\nlisten_tls = {{ certificate = '{}', key = '{}' }}",
        certificate.path(),
        key.path()
    );
    let gateway = Gateway::configured(&config(&top, &[server.url()], ""));
    let plain = gateway.url.replace("https", "http");
    // What is no TLS is told so, in TLS.
    let mut connection = Connection::to(&plain);
    connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert!(connection.rest().starts_with(b"\x15\x03"));
    let began = Instant::now();
    let mut connection = Connection::to(&plain);
    connection.write(b"\x16\x03\x01");
    connection.rest();
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert!(server.requests().is_empty());
}

#[test]
fn rejected_a_listener_over_tls_that_makes_no_sense_is_named() {
    let (first, second) = (identity(), identity());
    let (certificate, other) = (file("server.pem", &first.0), file("server.key", &second.1));
    for (tls, said) in [
        ("1".to_owned(), "listen_tls: expected a table, [listen_tls], with certificate and key".to_owned()),
        ("{}".to_owned(), "listen_tls.certificate is missing: expected the path of a PEM file".to_owned()),
        (
            format!("{{ certificate = '{}' }}", certificate.path()),
            "listen_tls.key is missing: expected the path of a PEM file".to_owned(),
        ),
        (
            format!("{{ certificate = '{}', key = '{}' }}", certificate.path(), other.path()),
            format!("listen_tls.key = {}: expected the key of the certificate", other.path()),
        ),
    ] {
        let text = config(&format!("listen_tls = {tls}"), &["http://h"], "");
        let file = file("gateway.toml", &text);
        let error = refusal(&["--config", &file.path()]);
        assert!(error.contains(&said), "{error}");
    }
}

#[test]
fn clients_are_served_over_a_unix_socket_that_goes_with_the_process() {
    let server = Server::start(|request| Reply::ok(request.header("x-forwarded-for").unwrap_or("none")));
    let folder = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "folder", "");
    let path = socket(&folder);
    // One that a process left behind is no hindrance.
    drop(UnixListener::bind(&path).unwrap());
    for (trusted, said) in [("[]", "none"), ("['unix:']", "203.0.113.7")] {
        let top = format!("listen = 'unix:{}'\ntrusted_proxies = {trusted}", path.display());
        let mut gateway =
            Gateway::run_where_told(Command::new(&*GATEWAY), &config(&top, &[server.url()], ""));
        assert_eq!(gateway.url, format!("unix:{}", path.display()));
        let answer = gateway.send("GET", "/", "x-forwarded-for: 203.0.113.7\r\n", "");
        assert_eq!(answer.text(), said);
        gateway.signal("TERM");
        assert_eq!(gateway.wait().code(), Some(0));
        assert!(!path.exists());
    }
}

#[test]
fn a_unix_socket_that_another_process_serves_is_left_alone() {
    let folder = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "folder", "");
    let path = socket(&folder);
    let busy = UnixListener::bind(&path).unwrap();
    let listen = format!("unix:{}", path.display());
    for occupied in [true, false] {
        if !occupied {
            // No socket either, but somebody's file.
            fs::remove_file(&path).unwrap();
            fs::write(&path, "mine").unwrap();
        }
        let text = config(&format!("listen = '{listen}'"), &["http://h"], "");
        let file = file("gateway.toml", &text);
        let error = refusal(&["--config", &file.path()]);
        assert!(error.contains(&format!("listen = {listen}: ")), "{error}");
        assert!(path.exists());
    }
    drop(busy);
}

fn socket(folder: &Scratch) -> PathBuf {
    Path::new(&folder.path()).with_extension("sock")
}

async fn text_of(client: &FailoverClient) -> Result<String, failover_tokio::Error> {
    let body = client.get("/").await?.into_body().collect().await.unwrap();
    Ok(String::from_utf8(body.to_bytes().into()).unwrap())
}

/// A client that trusts this certificate.
fn client(url: &str, certificate: &str, protocol: Protocol) -> FailoverClient {
    use failover_tokio::rustls::pki_types::CertificateDer;
    use failover_tokio::rustls::pki_types::pem::PemObject;

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    FailoverClient::builder().targets([url]).protocol(protocol).tls(config).build().unwrap()
}

/// A certificate for this machine that vouches for itself, and its key.
fn identity() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn file(name: &str, text: &str) -> Scratch {
    Scratch::file(env!("CARGO_TARGET_TMPDIR"), name, text)
}
