//! The connector: name resolution, TCP and TLS under one bound.

use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use failover_core::{BuildError, Target};
use http::Uri;
use http::uri::Scheme;
use tower_service::Service;

use crate::dial::{DialError, dial};
use crate::protocols::Protocols;
use crate::runtime::Runtime;
use crate::stream::Stream;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Opens connections.
#[derive(Clone, Debug)]
pub(crate) struct Connector<R> {
    settings: Arc<ConnectSettings>,
    runtime: PhantomData<R>,
}

/// What can be set while connections are opened.
#[derive(Debug)]
struct ConnectSettings {
    /// In nanoseconds: what opening one connection may take.
    bound: AtomicU64,
    protocols: Protocols,
    #[cfg(feature = "tls")]
    tls: OnceLock<Tls>,
}

impl<R: Runtime> Connector<R> {
    /// A connector that gives up after `bound`, also where the attempt that began it has gone.
    pub(crate) fn new(bound: Duration, protocols: Protocols) -> Self {
        let settings = ConnectSettings {
            bound: AtomicU64::default(),
            protocols,
            #[cfg(feature = "tls")]
            tls: OnceLock::new(),
        };
        let connector = Self { settings: Arc::new(settings), runtime: PhantomData };
        connector.set_bound(bound);
        connector
    }

    /// Sets what opening one connection may take from now on.
    pub(crate) fn set_bound(&self, bound: Duration) {
        let nanos = bound.as_nanos().try_into().unwrap_or(u64::MAX);
        self.settings.bound.store(nanos, Ordering::Relaxed);
    }

    /// Sets how TLS is spoken, unless that has been set.
    #[cfg(feature = "tls")]
    pub(crate) fn set_tls(&self, config: tokio_rustls::rustls::ClientConfig) {
        let _ = self.settings.tls.set(Tls::new(config, self.settings.protocols));
    }

    /// Sees to it that https targets can be connected to.
    ///
    /// # Errors
    ///
    /// The platform has no certificate roots.
    #[cfg(feature = "tls")]
    pub(crate) fn prepare_tls(&self) -> Result<(), BuildError> {
        if self.settings.tls.get().is_none() {
            let _ = self.settings.tls.set(Tls::platform(self.settings.protocols)?);
        }
        Ok(())
    }

    /// Makes sure that these targets can be connected to.
    ///
    /// # Errors
    ///
    /// One needs TLS, and there is none to be had.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self, reason = "it is what TLS is set for"))]
    pub(crate) fn prepare(&self, targets: &[Target]) -> Result<(), BuildError> {
        match targets.iter().find(|target| *target.scheme() == Scheme::HTTPS) {
            #[cfg(feature = "tls")]
            Some(_) => self.prepare_tls(),
            #[cfg(not(feature = "tls"))]
            Some(target) => Err(BuildError::new("targets", target, "http, since the feature `tls` is off")),
            None => Ok(()),
        }
    }

    /// Whether a connection may turn out to be one of HTTP/2.
    pub(crate) fn may_speak_http2(&self, uri: &Uri) -> bool {
        match self.settings.protocols {
            Protocols::Http1 => false,
            Protocols::Negotiated => uri.scheme() == Some(&Scheme::HTTPS),
            Protocols::PriorKnowledge => true,
        }
    }

    fn bound(&self) -> Duration {
        Duration::from_nanos(self.settings.bound.load(Ordering::Relaxed))
    }

    async fn open(self, uri: Uri) -> Result<Stream, ConnectError> {
        let host = uri.host().unwrap_or_default();
        if uri.scheme() != Some(&Scheme::HTTPS) {
            let tcp = dial::<R>(host, uri.port_u16().unwrap_or(80)).await?;
            return Ok(Stream::over(tcp, self.settings.protocols == Protocols::PriorKnowledge));
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = self.settings.tls.get() {
            let tcp = dial::<R>(host, uri.port_u16().unwrap_or(443)).await?;
            let (tls, http2) = tls.connect(host, tcp).await.map_err(ConnectError::Tls)?;
            return Ok(Stream::over(tls, http2));
        }
        Err(ConnectError::NoTls)
    }
}

impl<R: Runtime> Service<Uri> for Connector<R> {
    type Response = R::Io;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<R::Io, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opening = R::timeout(self.bound(), self.clone().open(uri));
        Box::pin(async { opening.await.unwrap_or(Err(ConnectError::Elapsed)).map(R::io) })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("name resolution failed")]
    Resolve(#[source] io::Error),
    #[error("no TCP connection")]
    Tcp(#[source] io::Error),
    #[error("no TLS for an https target")]
    NoTls,
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "made where there is TLS"))]
    #[error("no TLS session")]
    Tls(#[source] io::Error),
    #[error("no connection in time")]
    Elapsed,
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Resolve(error) => Self::Resolve(error),
            DialError::Connect(error) => Self::Tcp(error),
        }
    }
}
