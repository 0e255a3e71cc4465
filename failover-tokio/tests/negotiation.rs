//! Which version of HTTP is spoken over TLS, and who shows which certificate.
#![cfg(all(feature = "http2", feature = "rustls-no-provider"))]

#[expect(dead_code, reason = "what the other suites need")]
mod common;

use std::sync::Arc;

use common::{Pieces, Server, answered, fault, mirrored, serve, stopped, text};
use failover_tokio::rustls::client::WantsClientCert;
use failover_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use failover_tokio::rustls::server::WebPkiClientVerifier;
use failover_tokio::rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, crypto::ring};
use failover_tokio::{Evidence, Failover, FailoverClient, Fault, Policy, Target};
use http::{Request, Version};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

#[tokio::test]
async fn the_version_is_negotiated_with_each_target() {
    let identity = Identity::new();
    for (offered, version) in [
        (vec!["h2", "http/1.1"], Version::HTTP_2),
        (vec!["http/1.1"], Version::HTTP_11),
        (vec![], Version::HTTP_11),
    ] {
        let server = identity.server(&offered, false).await;
        let url = format!("https://localhost:{}", server.port);
        let builder =
            FailoverClient::builder().targets([&url]).tls(identity.trusting().with_no_client_auth());
        let response = builder.build().unwrap().post("/base").body("money").await.unwrap();
        assert_eq!((response.version(), server.connections()), (version, 1));
        let seen = text(response).await;
        assert!(seen.contains(&format!("host localhost:{}\n", server.port)), "{seen}");
        assert!(seen.ends_with("money"), "{seen}");
    }
}

#[tokio::test]
async fn a_configuration_can_offer_less() {
    let identity = Identity::new();
    let server = identity.server(&["h2", "http/1.1"], false).await;
    let mut config = identity.trusting().with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let url = format!("https://localhost:{}", server.port);
    let client = FailoverClient::builder().targets([url]).tls(config).build().unwrap();
    assert_eq!(client.get("/").await.unwrap().version(), Version::HTTP_11);
}

/// Guards: `Connections::send` that takes a connection of the pool for an upgrade; `Origin::over_http1` that offers HTTP/2.
#[tokio::test]
async fn an_upgrade_is_offered_over_http1_where_others_share_a_connection_of_http2() {
    let identity = Identity::new();
    let server = identity.server(&["h2", "http/1.1"], false).await;
    let url = format!("https://localhost:{}", server.port);
    let builder = FailoverClient::builder().targets([url]).tls(identity.trusting().with_no_client_auth());
    let client = builder.build().unwrap();
    assert_eq!(client.get("/").await.unwrap().version(), Version::HTTP_2);
    let offer =
        Request::get("/").header("connection", "upgrade").header("upgrade", "websocket").body("").unwrap();
    let answer = client.request(offer).await.unwrap();
    assert_eq!((answer.version(), server.connections()), (Version::HTTP_11, 2));
    let seen = text(answer).await;
    assert!(seen.contains("upgrade: websocket\n"), "{seen}");
    assert_eq!(client.get("/").await.unwrap().version(), Version::HTTP_2);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_it_is_asked_for() {
    let identity = Identity::new();
    let server = identity.server(&["h2"], true).await;
    let works = Server::mirror(false).await;
    let urls = [format!("https://localhost:{}", server.port), works.url()];
    let with = identity.trusting().with_client_auth_cert(vec![identity.certificate.clone()], identity.key());
    for (config, target) in [(with.unwrap(), 0), (identity.trusting().with_no_client_auth(), 1)] {
        let client = FailoverClient::builder().targets(&urls).tls(config).build().unwrap();
        // A server that wants a certificate may end the session only after the request (RFC 8446, section 4.4.2.4).
        let response = client.get("/").await.unwrap();
        assert_eq!(answered(&response).target(), target);
    }
}

#[tokio::test]
async fn a_stack_without_tls_does_not_speak_in_the_clear_to_an_https_target() {
    let server = Server::start(|mut stream, _| async move {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).await.unwrap_or(0), 0, "something was sent");
    })
    .await;
    let transport = FailoverClient::builder().transport().unwrap();
    let target = Target::parse(&format!("https://127.0.0.1:{}", server.port)).unwrap();
    let failover = Failover::new([target], Policy::default(), transport).unwrap();
    let failure = stopped(failover.forward(Request::get("/").body(Pieces::of([])).unwrap()).await);
    assert_eq!((failure.evidence(), fault(&failure)), (Some(Evidence::NoConnection), Fault::Tls));
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    fn new() -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self { certificate: certified.cert.der().clone(), key: certified.signing_key.serialize_der() }
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.clone()).unwrap()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Arc::new(roots)
    }

    fn trusting(&self) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots())
    }

    async fn server(&self, protocols: &[&str], asks_for_certificate: bool) -> Server {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks_for_certificate {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(self.roots(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(vec![self.certificate.clone()], self.key()).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Server::start(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                serve(stream, http2, mirrored).await;
            }
        })
        .await
    }
}
