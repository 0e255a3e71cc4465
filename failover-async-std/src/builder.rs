//! How a client is built.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use failover_core::{BuildError, Group, Policy, Replay, StatusCodes, Target};
use http::uri::Scheme;

use crate::client::{FailoverClient, Sender};
use crate::connect::Connector;
use crate::middleware::FailoverMiddleware;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::transport::Transport;

/// Builds a [`FailoverClient`], or a [`FailoverMiddleware`].
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
    client: Option<surf::Client>,
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
    /// use failover_async_std::{FailoverClient, Target};
    /// use http::header::{HeaderName, HeaderValue};
    ///
    /// let key = (HeaderName::from_static("x-api-key"), HeaderValue::from_static("7f3a"));
    /// let client = FailoverClient::builder()
    ///     .targets(["http://primary.example"])
    ///     .target(Target::parse("http://standby.example/api")?.with_header(key.0, key.1))
    ///     .build()?;
    /// # Ok::<(), failover_async_std::BuildError>(())
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
    /// use failover_async_std::FailoverClient;
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
    pub fn config(mut self, config: failover_core::Config) -> Self {
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

    /// Sends through a client of the caller's own, with its transport and its middleware, in place of a
    /// [`Transport`].
    ///
    /// What that client cannot prove counts as [`MaybeProcessed`](crate::Evidence::MaybeProcessed): over a stock
    /// transport of surf's, that is every error, so a POST does not even move on from a target that refused the
    /// connection. Over a [`Transport`] nothing is lost. See the [crate's](crate#surf-and-async-std) page on what
    /// surf's own transports do after a timeout, and [`FailoverMiddleware`] on what a middleware must not do.
    pub fn client(mut self, client: surf::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets how TLS is spoken with https targets, which otherwise must be trusted by the platform's certificate roots.
    ///
    /// It is for the [`Transport`] of the client that is built: a client of the caller's own speaks TLS by itself.
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
        let sender = match self.client.take() {
            Some(client) => {
                #[cfg(feature = "tls")]
                self.refuse_tls()?;
                Sender::Client(client)
            }
            None => Sender::Transport(self.transport()?),
        };
        Ok(FailoverClient::new(self.group()?, sender))
    }

    /// Builds a middleware, which sends through the client that it is given to.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense: one of a client, too.
    pub fn build_middleware(self) -> Result<FailoverMiddleware, BuildError> {
        #[cfg(feature = "tls")]
        self.refuse_tls()?;
        if self.client.is_some() {
            return Err(BuildError::new(
                "client",
                "set",
                "none, since the middleware has the one it is given to",
            ));
        }
        Ok(FailoverMiddleware::new(self.group()?))
    }

    fn group(self) -> Result<Group<Target>, BuildError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        let mut policy = self.policy;
        policy.failover_codes = self.failover_codes.unwrap_or(policy.failover_codes);
        policy.attempt_timeout = self.attempt_timeout.unwrap_or(policy.attempt_timeout);
        policy.interval = self.interval.unwrap_or(policy.interval);
        policy.deadline = self.deadline.or(policy.deadline);
        policy.replay = self.replay.unwrap_or(policy.replay);
        policy = policy.seeded(|| RandomState::new().build_hasher().finish());
        Group::new(self.targets, policy)
    }

    fn transport(&mut self) -> Result<Transport, BuildError> {
        let connector = Connector::new(self.attempt_timeout.unwrap_or(self.policy.attempt_timeout));
        #[cfg(feature = "tls")]
        let connector = match (self.tls.take(), self.targets.iter().any(is_https)) {
            (Some(tls), _) => connector.with_tls(tls),
            (None, true) => connector.with_tls(Tls::platform()?),
            (None, false) => connector,
        };
        #[cfg(not(feature = "tls"))]
        if let Some(target) = self.targets.iter().find(|target| is_https(target)) {
            return Err(BuildError::new("targets", target, "http, since the feature `tls` is off"));
        }
        Ok(Transport::over(connector))
    }

    #[cfg(feature = "tls")]
    fn refuse_tls(&self) -> Result<(), BuildError> {
        match self.tls {
            Some(_) => Err(BuildError::new("tls", "set", "none, since the client speaks TLS by itself")),
            None => Ok(()),
        }
    }

    fn refuse(mut self, error: BuildError) -> Self {
        self.refused.get_or_insert(error);
        self
    }
}

fn is_https(target: &Target) -> bool {
    *target.scheme() == Scheme::HTTPS
}
