//! How a client is built.

use std::mem;
use std::time::Duration;

use failover_core::{BuildError, Policy, Protocol, Replay, Target};
use failover_hyper::Settings;

use crate::client::FailoverClient;
use crate::middleware::FailoverMiddleware;
use crate::runtime::AsyncStd;

/// Builds a [`FailoverClient`], or a [`FailoverMiddleware`].
///
/// What a method of its own sets wins over [`policy`](Self::policy), whichever is called first.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    settings: Settings,
    client: Option<surf::Client>,
}

impl FailoverClient {
    /// Begins to build a client.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl FailoverMiddleware {
    /// Begins to build a middleware.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    failover_hyper::setters!("failover_async_std");

    /// Sends through a client of the caller's own, with its transport and its middleware, in place of a
    /// [`Transport`](crate::Transport).
    ///
    /// What that client cannot prove counts as [`MaybeProcessed`](crate::Evidence::MaybeProcessed): over a stock
    /// transport of surf's, that is every error, so a POST does not even move on from a target that refused the
    /// connection. Over a [`Transport`](crate::Transport) nothing is lost, as long as each request is sent to it once. So nothing in that
    /// client may redirect or retry: `surf::middleware::Redirect` sends every request at least twice, and takes the
    /// headers of a target along to wherever it is led. See the [crate's](crate#surf-and-async-std) page on what surf's
    /// own transports do after a timeout, and [`FailoverMiddleware`] on what a middleware must not do.
    ///
    /// What sets how to connect, from `resolver` to `tls_named`, is refused beside it: that client connects by itself.
    pub fn client(mut self, client: surf::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets how TLS is spoken with https targets, which otherwise must be trusted by the platform's certificate roots.
    ///
    /// It is for the [`Transport`](crate::Transport) of the client that is built, and refused beside a client of the caller's own,
    /// which speaks TLS by itself.
    #[cfg(feature = "rustls-no-provider")]
    pub fn tls(mut self, config: crate::rustls::ClientConfig) -> Self {
        self.settings.connects_by("tls");
        self.settings.tls = Some(config);
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense.
    pub fn build(mut self) -> Result<FailoverClient, BuildError> {
        if let Some(client) = self.client.take() {
            let headers = mem::take(&mut self.settings.default_headers);
            return Ok(FailoverClient::over(self.settings.group::<AsyncStd>()?, client, headers));
        }
        let transport = self.settings.transport()?;
        Ok(FailoverClient::connected(self.settings.connected(&transport)?, transport))
    }

    /// Builds a middleware, which sends through the client that it is given to.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense: one of a client, too.
    pub fn build_middleware(mut self) -> Result<FailoverMiddleware, BuildError> {
        if self.client.is_some() {
            return Err(BuildError::new(
                "client",
                "set",
                "none, since the middleware has the one it is given to",
            ));
        }
        let headers = mem::take(&mut self.settings.default_headers);
        Ok(FailoverMiddleware::new(self.settings.group::<AsyncStd>()?, headers))
    }
}
