//! The transport: hyper over async-std's sockets, pooled, as an HTTP client for surf.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "rustls-no-provider")]
use failover_core::BuildError;
use failover_core::Protocol;
use failover_hyper::{AttemptError, Fault, receive};
use http_client::{Config, HttpClient};
use surf::StatusCode;
use surf::utils::async_trait;
use tower_service::Service;

use crate::convert::{from_surf, shown};
use crate::runtime::AsyncStd;
use crate::surf_client::Ticket;

/// HTTP/1.1 and, where TLS negotiates it, HTTP/2 for surf, by hyper over async-std's sockets: what [`FailoverClient`](crate::FailoverClient) uses, and what
/// any [`surf::Client`] can use in place of surf's own transports.
///
/// It keeps connections and shares them between clones. It never sends a request twice, follows no redirects, and obeys
/// no proxy. After a call that was dropped, or a body that was not read, the next call gets its own answer. A body that
/// breaks off is an error to its reader. Its errors are [`AttemptError`] and, for an answer with a status or a header
/// that surf's types cannot hold, [`Unrepresentable`](crate::Unrepresentable), both by downcast.
///
/// Only connecting is bounded by time; bound a whole request with [`async_std::future::timeout`].
///
/// # Examples
///
/// ```no_run
/// use failover_async_std::Transport;
///
/// # async fn run() -> surf::Result<()> {
/// let client = surf::Client::with_http_client(Transport::new()?);
/// let page = client.get("https://example.org/").recv_string().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Transport {
    pool: failover_hyper::Transport<AsyncStd>,
    config: Config,
}

impl Transport {
    /// A transport for http and https that trusts the platform's certificate roots.
    ///
    /// # Errors
    ///
    /// The platform has none, or there is no provider of cryptography.
    #[cfg(feature = "rustls-no-provider")]
    pub fn new() -> Result<Self, BuildError> {
        Ok(Self::over(pool().with_platform_tls()?))
    }

    /// A transport for http and https that speaks TLS as configured.
    #[cfg(feature = "rustls-no-provider")]
    #[must_use]
    pub fn with_tls(config: crate::rustls::ClientConfig) -> Self {
        Self::over(pool().with_tls(config))
    }

    /// A transport for http only.
    #[must_use]
    pub fn plain() -> Self {
        Self::over(pool())
    }

    /// The same with another bound on what comes before a request is sent, which is 10 s otherwise: to resolve the
    /// name, to connect, and to shake hands for TLS. Clones have it, too.
    #[must_use]
    pub fn connect_timeout(self, time: Duration) -> Self {
        self.pool.set_connect_bound(time);
        self
    }

    fn over(pool: failover_hyper::Transport<AsyncStd>) -> Self {
        let config =
            Config::new().set_tcp_no_delay(true).set_timeout(None).set_max_connections_per_host(usize::MAX);
        Self { pool, config }
    }
}

fn pool() -> failover_hyper::Transport<AsyncStd> {
    failover_hyper::Transport::new(CONNECT_TIME, Protocol::Auto)
}

#[async_trait]
impl HttpClient for Transport {
    async fn send(&self, mut inbound: surf::http::Request) -> Result<surf::http::Response, surf::Error> {
        let mut request = from_surf(&mut inbound).map_err(|error| failed(AttemptError::unbuilt(error)))?;
        let ticket = Ticket::of(&mut inbound, request.uri());
        request.extensions_mut().clone_from(ticket.extensions());
        let progress = request.body().progress().clone();
        let sending = self.pool.clone().call(request);
        let sent = ticket.watch(progress, async { receive(sending.await?) });
        let response = sent.await.map_err(|error| failed(error.unwrap_or_else(AttemptError::unconnected)))?;
        let shown = shown(response).map_err(|answer| surf::Error::new(StatusCode::BadGateway, answer))?;
        Ok(shown.into())
    }

    fn set_config(&mut self, _: Config) -> surf::Result<()> {
        let refusal = "the transport is configured where it is made";
        Err(surf::Error::from_str(StatusCode::NotImplemented, refusal))
    }

    fn config(&self) -> &Config {
        &self.config
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// surf's errors have a status: here by the attempt alone, since its call is not known.
fn failed(error: AttemptError) -> surf::Error {
    let status = match error.fault() {
        Fault::ConnectTimeout => StatusCode::GatewayTimeout,
        Fault::Local | Fault::RequestBody | Fault::TooLong => StatusCode::InternalServerError,
        _ => StatusCode::BadGateway,
    };
    surf::Error::new(status, error)
}

/// How long it may take to connect.
const CONNECT_TIME: Duration = Duration::from_secs(10);
