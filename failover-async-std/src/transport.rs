//! The transport: hyper over async-std's sockets, pooled, as an HTTP client for surf.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "tls")]
use failover_core::BuildError;
use failover_core::settle_framing;
use http::Request;
use http_client::{Config, HttpClient};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use surf::StatusCode;
use surf::utils::async_trait;

use crate::answer::Received;
use crate::body::AttemptBody;
use crate::connect::{Connector, Wire};
use crate::convert::{from_surf, shown};
use crate::drive::Exchange;
use crate::error::{AttemptError, Fault};
use crate::progress::Bound;
use crate::read::FrameReader;
use crate::runtime::{Executor, Timer};
use crate::surf_client::Ticket;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// HTTP/1.1 for surf, by hyper over async-std's sockets: what [`FailoverClient`](crate::FailoverClient) uses, and what
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
    client: Client<Connector, AttemptBody>,
    connector: Connector,
    config: Config,
}

impl Transport {
    /// A transport for http and https that trusts the platform's certificate roots.
    ///
    /// # Errors
    ///
    /// The platform has none.
    #[cfg(feature = "tls")]
    pub fn new() -> Result<Self, BuildError> {
        Ok(Self::over(Connector::new(CONNECT_TIME).with_tls(Tls::platform()?)))
    }

    /// A transport for http and https that speaks TLS as configured.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(config: crate::rustls::ClientConfig) -> Self {
        Self::over(Connector::new(CONNECT_TIME).with_tls(Tls::new(config)))
    }

    /// A transport for http only.
    #[must_use]
    pub fn plain() -> Self {
        Self::over(Connector::new(CONNECT_TIME))
    }

    /// The same with another bound on what comes before a request is sent, which is 10 s otherwise: to resolve the
    /// name, to connect, and to shake hands for TLS.
    #[must_use]
    pub fn connect_timeout(self, time: Duration) -> Self {
        Self::over(self.connector.bounded(time))
    }

    pub(crate) fn over(connector: Connector) -> Self {
        let client = Client::builder(Executor)
            .retry_canceled_requests(false)
            .set_host(false)
            .timer(Timer)
            .pool_timer(Timer)
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector.clone());
        let config =
            Config::new().set_tcp_no_delay(true).set_timeout(None).set_max_connections_per_host(usize::MAX);
        Self { client, connector, config }
    }

    async fn request(
        &self,
        request: Request<AttemptBody>,
    ) -> Result<http::Response<surf::Body>, AttemptError> {
        let mut response = self.client.request(request).await.map_err(AttemptError::transport)?;
        if !settle_framing(response.headers_mut()) {
            return Err(AttemptError::garbage());
        }
        if let Some(wire) = response.extensions().get::<Wire>() {
            wire.serve();
        }
        Ok(response.map(FrameReader::body))
    }
}

impl Exchange for Transport {
    async fn exchange(
        &self,
        mut request: Request<AttemptBody>,
        bound: Bound,
    ) -> Result<Received, AttemptError> {
        let connection = capture_connection(&mut request);
        match bound.hold(self.request(request)).await {
            Ok(Ok(response)) => Ok(Received::over_wire(response)),
            Ok(Err(error)) => Err(error),
            Err(elapsed) => Err(AttemptError::timeout(elapsed, connection.connection_metadata().is_none())),
        }
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn send(&self, mut request: surf::http::Request) -> Result<surf::http::Response, surf::Error> {
        let ticket: Ticket = request.ext_mut().remove().unwrap_or_default();
        let mut request = from_surf(request).map_err(|error| failed(AttemptError::unbuilt(error)))?;
        let connection = capture_connection(&mut request);
        let sent = ticket.watch(connection, self.request(request)).await;
        let response = sent.map_err(|error| failed(error.unwrap_or_else(AttemptError::revoked)))?;
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

/// The status is what a gateway would say.
fn failed(error: AttemptError) -> surf::Error {
    let status = match error.fault() {
        Fault::ConnectTimeout => StatusCode::GatewayTimeout,
        Fault::Local | Fault::RequestBody => StatusCode::InternalServerError,
        _ => StatusCode::BadGateway,
    };
    surf::Error::new(status, error)
}

/// How long it may take to connect.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long an idle connection is kept: less than most servers do, so that few requests meet one that is closing.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// How many idle connections are kept for each target.
const IDLE_CONNECTIONS: usize = 128;
