//! TLS for https targets: rustls with ring and, by default, the platform's certificate roots.

use std::fmt;
use std::io;
use std::sync::Arc;

use async_std::net::TcpStream;
use failover_core::BuildError;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::pki_types::ServerName;
use futures_rustls::rustls::{ClientConfig, RootCertStore};

/// Starts TLS on connections.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// TLS as configured, but for HTTP/1.1, which is what the transport speaks.
    pub(crate) fn new(mut config: ClientConfig) -> Self {
        config.alpn_protocols.clear();
        Self(Arc::new(config).into())
    }

    /// TLS that trusts what the platform trusts.
    ///
    /// # Errors
    ///
    /// The platform has no certificate roots.
    pub(crate) fn platform() -> Result<Self, BuildError> {
        let refuse = |found: String| BuildError::new("tls", found, "certificate roots of the platform");
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(refuse(found.errors.first().map_or_else(|| "none".to_owned(), ToString::to_string)));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::new(config))
    }

    pub(crate) async fn connect(&self, host: &str, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.0.connect(name, tcp).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
