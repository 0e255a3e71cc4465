//! How a client is built.

use std::error::Error as StdError;
use std::iter::successors;
use std::time::Duration;

use failover_core::{BuildError, Policy, Replay, Target};
use failover_hyper::Settings;
use failover_tokio::Tokio;
use reqwest::{ClientBuilder, redirect, retry};

use crate::client::FailoverClient;
use crate::connect::ConnectBound;

/// Builds a [`FailoverClient`].
///
/// What a method of its own sets wins over [`policy`](Self::policy), whichever is called first.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    settings: Settings,
    client: ClientBuilder,
}

impl FailoverClient {
    /// Begins to build a client.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    failover_hyper::policy_setters!("failover_reqwest");

    /// Sets how requests are sent: what reqwest's own builder has, as it is, is the client's, such as default headers, roots,
    /// an identity, proxies and cookies.
    ///
    /// Redirects and retries are switched off over whatever was set, and [the crate](crate#what-reqwests-client-sets) tells
    /// what becomes of its times.
    pub fn client(mut self, client: ClientBuilder) -> Self {
        self.client = client;
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense; it is `client` where reqwest refuses its own.
    pub fn build(self) -> Result<FailoverClient, BuildError> {
        let client = self.client.redirect(redirect::Policy::none()).retry(retry::never());
        let client = client.connector_layer(ConnectBound).build().map_err(refused)?;
        Ok(FailoverClient::new(self.settings.group::<Tokio>()?, client))
    }
}

/// Settings of which reqwest makes no client.
fn refused(error: reqwest::Error) -> BuildError {
    let error = error.without_url();
    let causes = successors(Some(&error as &dyn StdError), |&error| error.source());
    let told: Vec<_> = causes.map(ToString::to_string).collect();
    BuildError::new("client", told.join(": "), "what reqwest can build a client of")
}
