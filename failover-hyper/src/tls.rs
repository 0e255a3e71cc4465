//! TLS for https targets: rustls with ring and, by default, the platform's certificate roots.

use std::fmt;
use std::io;
use std::sync::Arc;

use failover_core::BuildError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::protocols::Protocols;

/// Starts TLS on connections.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// TLS as configured. Unless it says which protocols to offer, all that the connections may speak are.
    pub(crate) fn new(mut config: ClientConfig, protocols: Protocols) -> Self {
        if protocols == Protocols::Http1 {
            config.alpn_protocols.clear();
        } else if config.alpn_protocols.is_empty() {
            config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
        }
        Self(Arc::new(config).into())
    }

    /// TLS that trusts what the platform trusts.
    ///
    /// # Errors
    ///
    /// The platform has no certificate roots.
    pub(crate) fn platform(protocols: Protocols) -> Result<Self, BuildError> {
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
        Ok(Self::new(config, protocols))
    }

    /// Shakes hands, and tells whether the connection is one of HTTP/2.
    pub(crate) async fn connect<S>(&self, host: &str, tcp: S) -> io::Result<(TlsStream<S>, bool)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tls = self.0.connect(name, tcp).await?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok((tls, http2))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// HTTP/2 as a protocol that TLS negotiates (RFC 9113, section 3.2).
const HTTP2: &[u8] = b"h2";
