//! TLS for https targets: rustls and, by default, the platform's certificate roots.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use failover_core::{BuildError, Protocol};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

/// How a client speaks TLS.
#[derive(Default)]
pub(crate) struct TlsSettings {
    /// With all targets that do not say otherwise.
    pub(crate) all: Option<Arc<ClientConfig>>,
    /// With those that name it.
    pub(crate) named: HashMap<String, Arc<ClientConfig>>,
}

impl TlsSettings {
    /// The settings for all targets, which are made of the platform's roots unless they were set.
    ///
    /// # Errors
    ///
    /// As [`platform`].
    pub(crate) fn prepare(&mut self) -> Result<&Arc<ClientConfig>, BuildError> {
        let all = match self.all.take() {
            Some(all) => all,
            None => Arc::new(platform()?),
        };
        Ok(self.all.insert(all))
    }
}

/// Starts TLS on connections to one server.
#[derive(Clone)]
pub(crate) struct Tls {
    /// As they were given.
    settings: Arc<ClientConfig>,
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// TLS with a server of this name. Unless the settings say which protocols to offer, all that may be spoken are.
    ///
    /// There is none for what cannot be a server's name.
    pub(crate) fn new(settings: &Arc<ClientConfig>, protocol: Protocol, name: &str) -> Option<Self> {
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        Some(Self::with(settings, protocol, ServerName::try_from(name.to_owned()).ok()?))
    }

    /// The same, with HTTP/1.1 only.
    pub(crate) fn over_http1(&self) -> Self {
        Self::with(&self.settings, Protocol::Http1, self.name.clone())
    }

    fn with(settings: &Arc<ClientConfig>, protocol: Protocol, name: ServerName<'static>) -> Self {
        let mut config = ClientConfig::clone(settings);
        config.alpn_protocols = offered(&settings.alpn_protocols, protocol);
        Self { settings: Arc::clone(settings), connector: Arc::new(config).into(), name }
    }

    /// Shakes hands, and tells whether the connection is one of HTTP/2.
    pub(crate) async fn connect<S>(&self, socket: S) -> io::Result<(TlsStream<S>, bool)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let limit = |session: &mut ClientConnection| session.set_buffer_limit(Some(MOST_BUFFERED));
        let session = self.connector.connect_with(self.name.clone(), socket, limit).await?;
        let http2 = session.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok((session, http2))
    }
}

/// What is offered of protocols where settings of TLS have these. Without HTTP/2, HTTP/1.1 stands for it.
fn offered(set: &[Vec<u8>], protocol: Protocol) -> Vec<Vec<u8>> {
    let mut offered = match protocol {
        Protocol::Http1 => vec![HTTP1.to_vec()],
        Protocol::Http2 => vec![HTTP2.to_vec()],
        _ if set.is_empty() => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        _ => set.to_vec(),
    };
    if cfg!(not(feature = "http2")) {
        offered.retain(|protocol| protocol != HTTP2);
        if offered.is_empty() {
            offered.push(HTTP1.to_vec());
        }
    }
    offered
}

/// Settings that trust what the platform trusts.
///
/// # Errors
///
/// The platform has no certificate roots, or there is no provider of cryptography.
fn platform() -> Result<ClientConfig, BuildError> {
    let provider = provider().ok_or_else(|| {
        let expected = "settings of TLS, a default provider of the process, or the feature `rustls`";
        BuildError::new("tls", "no provider", expected)
    })?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::new("tls", error, "a default provider that is fit for TLS"))?;
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let found = found.errors.first().map_or_else(|| "none".to_owned(), ToString::to_string);
        return Err(BuildError::new("tls", found, "certificate roots of the platform"));
    }
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// The process' default provider of cryptography, or ring where that is built in.
fn provider() -> Option<Arc<CryptoProvider>> {
    let provider = CryptoProvider::get_default().cloned();
    #[cfg(feature = "rustls")]
    let provider =
        provider.or_else(|| Some(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider())));
    provider
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.settings, &other.settings) && self.name == other.name
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// The protocols that TLS negotiates (RFC 7301, section 6; RFC 9113, section 3.2).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// How much of what is sent may wait for the peer: a record. What a request still has is with its body then.
const MOST_BUFFERED: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: `offered` that offers nothing where HTTP/2 is not built in.
    #[test]
    fn what_settings_of_tls_offer_is_never_nothing() {
        let [http1, http2] = [HTTP1.to_vec(), HTTP2.to_vec()];
        let both = [http2.clone(), http1.clone()];
        let built_in =
            if cfg!(feature = "http2") { [&both[..], &both[..1]] } else { [&both[1..], &both[1..]] };
        assert_eq!(offered(&[], Protocol::Auto), built_in[0]);
        assert_eq!(offered(&[http2], Protocol::Auto), built_in[1]);
        assert_eq!(offered(&both, Protocol::Http1), [http1]);
        assert_eq!(offered(&[b"h3".to_vec()], Protocol::Auto), [b"h3"]);
    }
}
