//! The connector: name resolution, TCP and TLS under one bound, and what is known about each connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use failover_core::{BuildError, Target};
use http::uri::Scheme;
use http::{Extensions, Uri};
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tower_service::Service;

use crate::error::BoxError;
#[cfg(feature = "tls")]
use crate::tls::{HTTP2, Tls};

/// Opens connections.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    http: HttpConnector<Resolver>,
    settings: Arc<Settings>,
}

/// What can be set while connections are opened.
#[derive(Debug)]
struct Settings {
    /// In nanoseconds: what opening one connection may take.
    bound: AtomicU64,
    /// Whether targets with http URLs are known to speak HTTP/2.
    http2: bool,
    #[cfg(feature = "tls")]
    tls: OnceLock<Tls>,
}

impl Connector {
    /// A connector that gives up after `bound`, also where the attempt that began it has gone. With `http2`, cleartext
    /// connections are for HTTP/2 (RFC 9113, section 3.3).
    pub(crate) fn new(bound: Duration, http2: bool) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        http.enforce_http(false);
        http.set_nodelay(true);
        let settings = Settings {
            bound: AtomicU64::default(),
            http2,
            #[cfg(feature = "tls")]
            tls: OnceLock::new(),
        };
        let connector = Self { http, settings: Arc::new(settings) };
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
    pub(crate) fn set_tls(&self, tls: Tls) {
        let _ = self.settings.tls.set(tls);
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
            Some(_) if self.settings.tls.get().is_none() => self.set_tls(Tls::platform()?),
            #[cfg(not(feature = "tls"))]
            Some(target) => {
                return Err(BuildError::new("targets", target, "http, since the feature `tls` is off"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a connection may turn out to be one of HTTP/2.
    pub(crate) fn may_speak_http2(&self, uri: &Uri) -> bool {
        self.settings.http2 || uri.scheme() == Some(&Scheme::HTTPS)
    }

    fn bound(&self) -> Duration {
        Duration::from_nanos(self.settings.bound.load(Ordering::Relaxed))
    }

    async fn open(mut self, uri: Uri) -> Result<TokioIo<Stream>, ConnectError> {
        // Shared by a name's addresses, so that one that swallows packets leaves time for the next.
        self.http.set_connect_timeout(Some(self.bound()));
        let tcp = self.http.call(uri.clone()).await.map_err(|error| ConnectError::Tcp(error.into()))?;
        let tcp = tcp.into_inner();
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Stream::over(tcp, self.settings.http2));
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = self.settings.tls.get() {
            let tls = tls.connect(&uri, tcp).await.map_err(ConnectError::Tls)?;
            let http2 = tls.get_ref().1.alpn_protocol() == Some(HTTP2);
            return Ok(Stream::over(tls, http2));
        }
        Err(ConnectError::NoTls)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opening = timeout(self.bound(), self.clone().open(uri));
        Box::pin(async { opening.await? })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no TCP connection")]
    Tcp(#[source] BoxError),
    #[error("no TLS for an https target")]
    NoTls,
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "made where there is TLS"))]
    #[error("no TLS session")]
    Tls(#[source] io::Error),
    #[error("no connection in time")]
    Elapsed(#[from] Elapsed),
}

/// The platform's name resolution, with an error that can be told from a connection's.
#[derive(Clone, Debug)]
struct Resolver(GaiResolver);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<GaiAddrs, ResolveError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        self.0.poll_ready(cx).map_err(ResolveError)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookup = self.0.call(name);
        Box::pin(async { lookup.await.map_err(ResolveError) })
    }
}

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("name resolution failed")]
pub(crate) struct ResolveError(#[source] io::Error);

/// What is known about one connection, shared by its stream and by what the pool tells of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    /// Whether a response came over this connection.
    served: AtomicBool,
    /// Whether the last bytes on it were the peer's.
    peer_spoke_last: AtomicBool,
}

impl Wire {
    /// What is known about a connection of [`Connector`].
    pub(crate) fn of(connected: &Connected) -> Option<Self> {
        let mut extras = Extensions::new();
        connected.get_extras(&mut extras);
        extras.remove()
    }

    /// Notes that a response came.
    pub(crate) fn serve(&self) {
        self.0.served.store(true, Ordering::Relaxed);
    }

    /// Whether the connection had served a request, and the peer has said nothing since the last bytes went to it:
    /// over HTTP/1.1, to the last request; over HTTP/2, to any of those that share the connection.
    pub(crate) fn is_stale(&self) -> bool {
        self.0.served.load(Ordering::Relaxed) && !self.0.peer_spoke_last.load(Ordering::Relaxed)
    }

    fn heard(&self, peer: bool) {
        self.0.peer_spoke_last.store(peer, Ordering::Relaxed);
    }
}

/// A connection over TCP or TLS.
pub(crate) struct Stream {
    io: Box<dyn Io>,
    http2: bool,
    wire: Wire,
}

impl Stream {
    fn over(io: impl Io + 'static, http2: bool) -> TokioIo<Self> {
        TokioIo::new(Self { io: Box::new(io), http2, wire: Wire::default() })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.wire.clone());
        if self.http2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.wire.heard(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.heard(false);
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.heard(false);
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
