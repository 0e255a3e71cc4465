//! How a client is built.

use std::time::Duration;

use failover_core::{BuildError, Policy, Protocol, Replay, Target};
use failover_hyper::Settings;

use crate::client::FailoverClient;
use crate::transport::Transport;

/// Builds a [`FailoverClient`].
///
/// What a method of its own sets wins over [`policy`](Self::policy), whichever is called first.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    settings: Settings,
}

impl FailoverClient {
    /// Begins to build a client.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    failover_hyper::setters!("failover_tokio");

    /// Sets the protocols that a request which is forwarded may upgrade to, named as in `Upgrade`, which is `websocket` otherwise.
    /// An empty list takes up nothing.
    pub fn upgrades<U: Into<String>>(mut self, protocols: impl IntoIterator<Item = U>) -> Self {
        self.settings.knobs.upgrades = Some(protocols.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how TLS is spoken with https targets, which otherwise must be trusted by the platform's certificate roots.
    ///
    /// Unless `alpn_protocols` says otherwise, HTTP/2 and HTTP/1.1 are offered. The server name is each target's.
    ///
    /// # Examples
    ///
    /// A root and a client certificate of one's own:
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use failover_tokio::FailoverClient;
    /// use failover_tokio::rustls::pki_types::pem::PemObject;
    /// use failover_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    /// use failover_tokio::rustls::{ClientConfig, RootCertStore, crypto::ring};
    ///
    /// let mut roots = RootCertStore::empty();
    /// roots.add(CertificateDer::from_pem_file("root.pem")?)?;
    /// let chain = vec![CertificateDer::from_pem_file("client.pem")?];
    /// let key = PrivateKeyDer::from_pem_file("client.key")?;
    /// let config = ClientConfig::builder_with_provider(ring::default_provider().into())
    ///     .with_safe_default_protocol_versions()?
    ///     .with_root_certificates(roots)
    ///     .with_client_auth_cert(chain, key)?;
    /// let client = FailoverClient::builder().targets(["https://a.example"]).tls(config).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "rustls-no-provider")]
    pub fn tls(mut self, config: crate::rustls::ClientConfig) -> Self {
        self.settings.tls = Some(config);
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense.
    pub fn build(mut self) -> Result<FailoverClient, BuildError> {
        let transport = self.settings.transport()?;
        Ok(FailoverClient::new(self.settings.connected(&transport)?, transport))
    }

    /// Builds only what the client would send with, for targets such as these, as the ground of stacks of one's own.
    ///
    /// Of the policy, only `connect_timeout` matters here: it bounds how long a connection takes to open. The rest is for the
    /// clients over it.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build). Default headers, a name and a recorder are refused, since they are of a client.
    pub fn transport(mut self) -> Result<Transport, BuildError> {
        if let Some(key) = self.settings.set_of_calls() {
            return Err(BuildError::new(key, "set", "not set, since a transport has no calls of its own"));
        }
        let transport = self.settings.transport()?;
        transport.prepare(&self.settings.targets)?;
        Ok(transport)
    }
}
