//! What sites speak, and by what certificate they are known.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use failover_core::{Protocol, Target};
use failover_tokio::rustls::crypto::ring;
use failover_tokio::rustls::pki_types::PrivateKeyDer;
use failover_tokio::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What a site speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speech {
    Http1,
    /// TLS, and within it HTTP/1.1 or HTTP/2 as each connection agrees.
    Tls,
    /// HTTP/2 unasked.
    Http2,
}

impl Speech {
    /// What each of three sites speaks: all that there is, in an order of this number.
    pub(super) fn of_three(number: u64) -> [Self; 3] {
        match number % 6 {
            0 => [Self::Http1, Self::Tls, Self::Http2],
            1 => [Self::Tls, Self::Http2, Self::Http1],
            2 => [Self::Http2, Self::Http1, Self::Tls],
            3 => [Self::Tls, Self::Http1, Self::Http2],
            4 => [Self::Http2, Self::Tls, Self::Http1],
            _ => [Self::Http1, Self::Http2, Self::Tls],
        }
    }

    /// The target that a site at this address is.
    pub(super) fn target(self, address: SocketAddr) -> Target {
        let scheme = if self == Self::Tls { "https" } else { "http" };
        let target = Target::parse(&format!("{scheme}://{address}")).expect("the URL is one of a target");
        if self == Self::Http2 { target.protocol(Protocol::Http2) } else { target }
    }
}

/// By what all sites are known.
#[derive(Debug)]
pub(super) struct Identity {
    /// The settings of a client that trusts them.
    pub(super) client: ClientConfig,
    /// The settings of a site that agrees on HTTP/1.1.
    pub(super) http1: Arc<ServerConfig>,
    /// The settings of a site that agrees on HTTP/2.
    pub(super) http2: Arc<ServerConfig>,
}

impl Identity {
    pub(super) fn new() -> Self {
        let name = Ipv4Addr::LOCALHOST.to_string();
        let certified = rcgen::generate_simple_self_signed([name]).expect("a certificate can be made");
        let certificate = certified.cert.der().clone();
        let server = |protocol: &str| {
            let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("the key is one");
            let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the provider knows them")
                .with_no_client_auth()
                .with_single_cert(vec![certificate.clone()], key)
                .expect("the key is the certificate's");
            config.alpn_protocols = vec![protocol.into()];
            Arc::new(config)
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("the certificate is one");
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { client, http1: server("http/1.1"), http2: server("h2") }
    }
}
