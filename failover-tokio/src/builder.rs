//! How a client is built.

use std::time::Duration;

#[cfg(feature = "serde")]
use failover_core::Config;
use failover_core::{BuildError, Policy, Replay, StatusCodes, Target};

use crate::client::FailoverClient;
use crate::connect::Connector;
use crate::service::Failover;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::transport::Transport;

/// Builds a [`FailoverClient`].
///
/// What a method of its own sets wins over [`policy`](Self::policy), whichever is called first.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    targets: Vec<Target>,
    policy: Policy,
    failover_codes: Option<StatusCodes>,
    attempt_timeout: Option<Duration>,
    interval: Option<Duration>,
    deadline: Option<Duration>,
    replay: Option<Replay>,
    http2: bool,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    /// The first setting that was refused.
    refused: Option<BuildError>,
}

impl Builder {
    /// Adds targets by their URLs, the preferred one first.
    pub fn targets(mut self, urls: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        for url in urls {
            match Target::parse(url.as_ref()) {
                Ok(target) => self.targets.push(target),
                Err(error) => self = self.refuse(error.at("targets")),
            }
        }
        self
    }

    /// Adds one target, for example with headers of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use failover_tokio::{FailoverClient, Target};
    /// use http::header::{HeaderName, HeaderValue};
    ///
    /// let key = (HeaderName::from_static("x-api-key"), HeaderValue::from_static("7f3a"));
    /// let client = FailoverClient::builder()
    ///     .targets(["http://primary.example"])
    ///     .target(Target::parse("http://standby.example/api")?.with_header(key.0, key.1))
    ///     .build()?;
    /// # Ok::<(), failover_tokio::BuildError>(())
    /// ```
    pub fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Adds the targets of a configuration, and sets its policy.
    ///
    /// # Examples
    ///
    /// ```
    /// use failover_tokio::FailoverClient;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = toml::from_str(
    ///     r#"
    ///     targets = ["http://eu.example", "http://us.example/v1"]
    ///     failover_codes = "5xx, 429"
    ///     "#,
    /// )?;
    /// let client = FailoverClient::builder().config(config).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "serde")]
    pub fn config(mut self, config: Config) -> Self {
        self.targets.extend(config.targets);
        self.policy(config.policy)
    }

    /// Sets the policy, which is [`Policy::default`] otherwise.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the statuses that give a target up.
    pub fn failover_codes(mut self, codes: impl IntoIterator<Item = u16>) -> Self {
        match StatusCodes::from_codes(codes) {
            Ok(codes) => self.failover_codes = Some(codes),
            Err(error) => {
                self = self.refuse(BuildError::new("failover_codes", error.part(), "codes from 100 to 999"));
            }
        }
        self
    }

    /// Sets the time that an attempt has: resolve, connect, TLS and the wait for the head of the answer.
    pub fn attempt_timeout(mut self, time: Duration) -> Self {
        self.attempt_timeout = Some(time);
        self
    }

    /// Sets the pause between attempts on different targets.
    pub fn interval(mut self, pause: Duration) -> Self {
        self.interval = Some(pause);
        self
    }

    /// Sets the time that a call has. A policy can also set none.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = Some(time);
        self
    }

    /// Sets when a request that may have been executed is sent again.
    pub fn replay(mut self, replay: Replay) -> Self {
        self.replay = Some(replay);
        self
    }

    /// Speaks HTTP/2 with all targets whose URL is http, which must be known to do so (RFC 9113, section 3.3).
    ///
    /// With https targets, HTTP/2 is negotiated and needs no setting.
    pub fn http2_prior_knowledge(mut self) -> Self {
        self.http2 = true;
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
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::rustls::ClientConfig) -> Self {
        self.tls = Some(Tls::new(config));
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense.
    pub fn build(mut self) -> Result<FailoverClient, BuildError> {
        let transport = self.connect()?;
        let policy = self.effective_policy();
        Ok(FailoverClient::new(Failover::new(self.targets, policy, transport)?))
    }

    /// Builds only what the client would send with, for targets such as these, as the ground of stacks of one's own.
    ///
    /// Of the policy, the attempt timeout matters here: it bounds how long a connection takes to open.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn transport(mut self) -> Result<Transport, BuildError> {
        self.connect()
    }

    fn connect(&mut self) -> Result<Transport, BuildError> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        let connector = Connector::new(self.effective_policy().attempt_timeout, self.http2);
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.take() {
            connector.set_tls(tls);
        }
        connector.prepare(&self.targets)?;
        Ok(Transport::new(connector))
    }

    fn effective_policy(&self) -> Policy {
        let mut policy = self.policy.clone();
        policy.failover_codes = self.failover_codes.unwrap_or(policy.failover_codes);
        policy.attempt_timeout = self.attempt_timeout.unwrap_or(policy.attempt_timeout);
        policy.interval = self.interval.unwrap_or(policy.interval);
        policy.deadline = self.deadline.or(policy.deadline);
        policy.replay = self.replay.unwrap_or(policy.replay);
        policy
    }

    fn refuse(mut self, error: BuildError) -> Self {
        self.refused.get_or_insert(error);
        self
    }
}
