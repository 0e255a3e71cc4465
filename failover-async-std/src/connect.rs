//! The connector: name resolution, TCP and TLS under one bound, and what is known about each connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_std::future::{TimeoutError, timeout};
use async_std::io::{Read, Write};
use http::uri::Scheme;
use http::{Extensions, Uri};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

use crate::dial::{DialError, dial};
use crate::runtime::HyperIo;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Opens connections.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    bound: Duration,
}

impl Connector {
    /// A connector for http that gives up after `bound`, also where the attempt that began it has gone.
    pub(crate) fn new(bound: Duration) -> Self {
        Self {
            #[cfg(feature = "tls")]
            tls: None,
            bound,
        }
    }

    /// The same with TLS, for https.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The same with another bound.
    pub(crate) fn bounded(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    async fn open(self, uri: Uri) -> Result<HyperIo<Stream>, ConnectError> {
        let host = uri.host().unwrap_or_default();
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Stream::over(dial(host, uri.port_u16().unwrap_or(80)).await?));
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls {
            let tcp = dial(host, uri.port_u16().unwrap_or(443)).await?;
            return Ok(Stream::over(tls.connect(host, tcp).await.map_err(ConnectError::Tls)?));
        }
        Err(ConnectError::NoTls)
    }
}

impl Service<Uri> for Connector {
    type Response = HyperIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<HyperIo<Stream>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opening = timeout(self.bound, self.clone().open(uri));
        Box::pin(async { opening.await? })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("name resolution failed")]
    Resolve(#[source] io::Error),
    #[error("no TCP connection")]
    Tcp(#[source] io::Error),
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "made where there is TLS"))]
    #[error("no TLS session")]
    Tls(#[source] io::Error),
    #[error("https without TLS")]
    NoTls,
    #[error("no connection in time")]
    Elapsed(#[from] TimeoutError),
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Resolve(error) => Self::Resolve(error),
            DialError::Connect(error) => Self::Tcp(error),
        }
    }
}

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

    /// Whether the connection had served a request, and the peer said nothing to the last one.
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
    wire: Wire,
}

impl Stream {
    fn over(io: impl Io + 'static) -> HyperIo<Self> {
        HyperIo::new(Self { io: Box::new(io), wire: Wire::default() })
    }
}

impl Connection for HyperIo<Stream> {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.stream().wire.clone())
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if count > 0 {
            self.wire.heard(true);
        }
        Poll::Ready(Ok(count))
    }
}

impl Write for Stream {
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}
