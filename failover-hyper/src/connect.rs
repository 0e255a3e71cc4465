//! The connector: name resolution, TCP, TLS and the first words of HTTP under one bound.

use std::io;
use std::marker::PhantomData;
#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use failover_core::{BuildError, Target};
use http::Uri;
use http::uri::Scheme;

use crate::dial::{DialError, dial};
use crate::http1::Http1;
use crate::http2::Http2;
use crate::names::{Names, Resolve};
use crate::places::Freed;
use crate::protocols::Protocols;
use crate::runtime::Runtime;
use crate::socket::Counted;
use crate::stream::Stream;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::wire::Wire;

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
    names: Arc<Names>,
    #[cfg(feature = "tls")]
    tls: OnceLock<Tls>,
}

impl<R: Runtime> Connector<R> {
    /// A connector that gives up after `bound`, also where the attempt that began it has gone.
    pub(crate) fn new(bound: Duration, protocols: Protocols, resolver: Arc<dyn Resolve>) -> Self {
        let settings = ConnectSettings {
            bound: AtomicU64::default(),
            protocols,
            names: Names::new(resolver),
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
    pub(crate) fn may_speak_http2(&self, origin: &Origin) -> bool {
        match self.settings.protocols {
            Protocols::Http1 => false,
            Protocols::Negotiated => origin.tls,
            Protocols::PriorKnowledge => true,
        }
    }

    /// Opens a connection. `freed` is told of places on one that is shared.
    ///
    /// # Errors
    ///
    /// There is none, or not in time.
    pub(crate) async fn open(&self, origin: &Origin, freed: Weak<dyn Freed>) -> Result<Opened, ConnectError> {
        R::timeout(self.bound(), self.speak(origin, freed)).await.unwrap_or(Err(ConnectError::Elapsed))
    }

    async fn speak(&self, origin: &Origin, freed: Weak<dyn Freed>) -> Result<Opened, ConnectError> {
        let stream = self.stream(origin).await?;
        if !stream.is_http2() {
            let opened = Http1::open::<R>(stream).await;
            return opened.map(Opened::Http1).map_err(ConnectError::Http);
        }
        // A server that was not asked may speak another protocol.
        let at_first = usize::from(origin.tls);
        let connection = Http2::open::<R>(stream, at_first, freed).await.map_err(ConnectError::Http)?;
        if connection.is_settled().await {
            Ok(Opened::Http2(connection))
        } else {
            Err(ConnectError::NotHttp2)
        }
    }

    fn bound(&self) -> Duration {
        Duration::from_nanos(self.settings.bound.load(Ordering::Relaxed))
    }

    async fn stream(&self, Origin { tls, host, port }: &Origin) -> Result<Stream, ConnectError> {
        if !tls {
            let (tcp, wire) = self.dial(host, *port).await?;
            return Ok(Stream::over(tcp, self.settings.protocols == Protocols::PriorKnowledge, wire));
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = self.settings.tls.get() {
            let (tcp, wire) = self.dial(host, *port).await?;
            let (tls, http2) = tls.connect(host, tcp).await.map_err(ConnectError::Tls)?;
            return Ok(Stream::over(tls, http2, wire));
        }
        Err(ConnectError::NoTls)
    }

    async fn dial(&self, host: &str, port: u16) -> Result<(Counted<R>, Wire), ConnectError> {
        let (tcp, wire) = (dial::<R>(&self.settings.names, host, port).await?, Wire::default());
        Ok((Counted::new(tcp, wire.clone()), wire))
    }
}

/// Where connections lead.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    tls: bool,
    host: Arc<str>,
    port: u16,
}

impl Origin {
    /// The origin of an absolute URI.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let (tls, port) = (is_tls(uri), port_of(uri));
        Some(Self { tls, host: uri.host()?.into(), port })
    }

    /// Whether a URI leads there.
    pub(crate) fn is_of(&self, uri: &Uri) -> bool {
        self.port == port_of(uri) && self.tls == is_tls(uri) && uri.host() == Some(&self.host)
    }
}

fn is_tls(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

fn port_of(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if is_tls(uri) { 443 } else { 80 })
}

/// A connection that is open.
pub(crate) enum Opened {
    Http1(Box<Http1>),
    Http2(Http2),
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
    #[error("the connection ended at once")]
    Http(#[source] hyper::Error),
    #[error("no settings of HTTP/2 came")]
    NotHttp2,
    #[error("no further connection")]
    Further(#[source] Box<Self>),
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Resolve(error) => Self::Resolve(error),
            DialError::Connect(error) => Self::Tcp(error),
        }
    }
}
