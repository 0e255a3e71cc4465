//! What the builders of clients have in common.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use failover_core::{BuildError, Policy, Protocol, Replay, StatusCodes, Target};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::Clock;
use crate::connections::Connections;
use crate::conversions::{IntoCodes, IntoTargets};
use crate::default_headers::DefaultHeaders;
use crate::knobs::Knobs;
use crate::names::{Resolve, SystemResolver};
use crate::observed::Observed;
use crate::opener::Opener;
use crate::runtime::Runtime;
use crate::targets::{Targets, group_by_uri};
use crate::transport::Transport;
use crate::tuning::Tuning;

/// What a client is built from. What is set by itself wins over the policy.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The targets, the preferred one first.
    pub targets: Vec<Target>,
    /// The policy, which is [`Policy::default`] otherwise.
    pub policy: Option<Policy>,
    /// The statuses that give a target up.
    pub failover_codes: Option<StatusCodes>,
    /// The time that connecting has.
    pub connect_timeout: Option<Duration>,
    /// The time that an attempt has.
    pub attempt_timeout: Option<Duration>,
    /// The pause between attempts on different targets.
    pub interval: Option<Duration>,
    /// The time that a call has, or that it has no bound.
    pub deadline: Option<Option<Duration>>,
    /// When a request that may have been executed is sent again.
    pub replay: Option<Replay>,
    /// The other knobs of the policy, in a box, since builders are moved often.
    pub knobs: Box<Knobs>,
    /// What is spoken with targets that do not say it.
    pub protocol: Protocol,
    /// How connections are opened and kept.
    pub tuning: Tuning,
    /// What finds the addresses of names: otherwise the system.
    pub resolver: Resolver,
    /// What opens streams to targets, in place of sockets.
    pub opener: Option<Opener>,
    /// The headers that each request has, unless it has them of its own.
    pub default_headers: DefaultHeaders,
    /// How TLS is spoken, which otherwise trusts the platform's certificate roots.
    #[cfg(feature = "rustls-no-provider")]
    pub tls: Option<crate::rustls::ClientConfig>,
    /// How it is spoken with the targets that name it.
    #[cfg(feature = "rustls-no-provider")]
    pub tls_named: Vec<(String, Arc<crate::rustls::ClientConfig>)>,
    /// By what logs and metrics name the client, which is `default` otherwise.
    pub name: Option<String>,
    /// What records its calls.
    #[cfg(feature = "record")]
    pub recorder: Option<crate::record::Recorder>,
    /// The first setting of how to connect.
    connecting: Option<&'static str>,
    /// The first setting that was refused.
    refused: Option<BuildError>,
}

impl Settings {
    /// Adds targets.
    pub fn add<M>(&mut self, targets: impl IntoTargets<M>) {
        targets.each(&mut |target| match target {
            Ok(target) => self.targets.push(target),
            Err(error) => self.refuse(error.at("targets")),
        });
    }

    /// Sets the statuses that give a target up.
    pub fn set_failover_codes<M>(&mut self, codes: impl IntoCodes<M>) {
        match codes.codes() {
            Ok(codes) => self.failover_codes = Some(codes),
            Err(error) => self.refuse(error),
        }
    }

    /// Adds headers that each request has, unless it has them of its own.
    pub fn add_default_headers(&mut self, headers: HeaderMap) {
        if let Err(error) = self.default_headers.add(headers) {
            self.refuse(error);
        }
    }

    /// Adds one of them.
    pub fn add_default_header(&mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) {
        if let Err(error) = self.default_headers.add_one(name, value) {
            self.refuse(error);
        }
    }

    /// Notes that this setting of how to connect was set, which a client that connects by other means refuses.
    pub fn connects_by(&mut self, key: &'static str) {
        self.connecting.get_or_insert(key);
    }

    /// Adds the targets of a configuration, and sets its policy.
    #[cfg(feature = "serde")]
    pub fn configure(&mut self, config: failover_core::Config) {
        self.targets.extend(config.targets);
        self.policy = Some(config.policy);
    }

    /// The key of what was set that a transport alone has no use for, besides the policy.
    #[must_use]
    pub fn set_of_calls(&self) -> Option<&'static str> {
        #[cfg(feature = "record")]
        if self.recorder.is_some() {
            return Some("record");
        }
        if self.default_headers.is_empty() {
            self.name.as_ref().map(|_| "name")
        } else {
            Some("default_headers")
        }
    }

    /// The policy with what was set by itself.
    fn effective_policy(&self) -> Policy {
        let mut policy = match &self.policy {
            Some(policy) => {
                policy.clone().attempt_timeout(self.attempt_timeout.unwrap_or(policy.attempt_timeout))
            }
            None => Policy::default().with_bounds(self.attempt_timeout, self.deadline.flatten()),
        };
        policy.deadline = self.deadline.unwrap_or(policy.deadline);
        self.knobs.set(&mut policy);
        policy.failover_codes = self.failover_codes.unwrap_or(policy.failover_codes);
        policy.connect_timeout = self.connect_timeout.unwrap_or(policy.connect_timeout);
        policy.interval = self.interval.unwrap_or(policy.interval);
        policy.replay = self.replay.unwrap_or(policy.replay);
        policy
    }

    /// What sends requests to these targets.
    ///
    /// # Errors
    ///
    /// A setting was refused.
    pub fn transport<R: Runtime>(&mut self) -> Result<Transport<R>, BuildError> {
        self.check()?;
        let Resolver(resolver) = mem::take(&mut self.resolver);
        let bound = self.effective_policy().connect_timeout;
        let transport = Transport::tuned(bound, self.protocol, resolver, self.opener.take(), self.tuning);
        #[cfg(feature = "rustls-no-provider")]
        let transport = match self.tls.take() {
            Some(tls) => transport.with_tls(tls),
            None => transport,
        };
        #[cfg(feature = "rustls-no-provider")]
        for (name, tls) in self.tls_named.drain(..) {
            transport.set_tls(name, tls);
        }
        Ok(transport)
    }

    /// These targets with connections to each, by a transport of [`transport`](Self::transport).
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense.
    pub fn connected<R: Runtime, S: From<Connections<R>>>(
        self,
        transport: &Transport<R>,
    ) -> Result<Targets<S>, BuildError> {
        self.check()?;
        let policy = self.effective_policy();
        let targets = Targets::connected(transport, self.targets, policy, self.name, self.default_headers)?;
        #[cfg(feature = "record")]
        if let Some(recorder) = &self.recorder {
            targets.current().observed().set_recorder(recorder);
        }
        Ok(targets)
    }

    /// The group of these targets, for a client that connects by other means, sends by the URI of each request, and runs no
    /// checks.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense, as one of how to connect makes none.
    pub fn group<R: Runtime>(self) -> Result<Observed, BuildError> {
        self.check()?;
        if let Some(key) = self.connecting {
            return Err(BuildError::new(key, "set", "not set, since the client connects by other means"));
        }
        let policy = self.effective_policy();
        let group = group_by_uri(self.targets, policy)?;
        let observed = Observed::new(group, Clock::start::<R>(), self.name);
        #[cfg(feature = "record")]
        if let Some(recorder) = &self.recorder {
            observed.set_recorder(recorder);
        }
        Ok(observed)
    }

    fn check(&self) -> Result<(), BuildError> {
        self.tuning.check()?;
        self.refused.clone().map_or(Ok(()), Err)
    }

    fn refuse(&mut self, error: BuildError) {
        self.refused.get_or_insert(error);
    }
}

/// What finds the addresses of names.
#[derive(Clone)]
pub struct Resolver(pub Arc<dyn Resolve>);

impl Default for Resolver {
    fn default() -> Self {
        Self(Arc::new(SystemResolver))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}
