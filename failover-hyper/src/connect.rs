//! The connector: name resolution, TCP, TLS and the first words of HTTP under one bound.

use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use failover_core::{Address, Protocol};
use http::Uri;
use http::uri::Scheme;

use crate::dial::{DialError, dial};
use crate::error::BoxError;
use crate::http1::Http1;
use crate::http2::Http2;
use crate::names::Names;
use crate::opener::Opener;
use crate::places::Freed;
use crate::runtime::Runtime;
use crate::socket::Counted;
use crate::stream::{Duplex, Stream};
#[cfg(feature = "rustls-no-provider")]
use crate::tls::Tls;
use crate::tuning::Tuning;
use crate::wire::Wire;

/// Opens connections.
#[derive(Debug)]
pub(crate) struct Connector<R> {
    names: Arc<Names>,
    /// What opens streams in place of the runtime.
    opener: Option<Opener>,
    tuning: Tuning,
    runtime: PhantomData<R>,
}

impl<R: Runtime> Connector<R> {
    pub(crate) fn new(names: Arc<Names>, opener: Option<Opener>, tuning: Tuning) -> Self {
        Self { names, opener, tuning, runtime: PhantomData }
    }

    pub(crate) fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// Opens a connection within `bound`. `freed` is told of places on one that is shared.
    ///
    /// # Errors
    ///
    /// There is none, or not in time.
    pub(crate) async fn open(
        &self,
        origin: &Origin,
        bound: Duration,
        freed: Weak<dyn Freed>,
    ) -> Result<Opened, ConnectError> {
        let opening = unless_it_panics(self.speak(origin, freed));
        R::timeout(bound, opening).await.unwrap_or(Err(ConnectError::Elapsed))
    }

    /// Opens a connection of HTTP/1.1 within `bound`, whatever else is spoken there.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub(crate) async fn open_http1(
        &self,
        origin: &Origin,
        bound: Duration,
    ) -> Result<Box<Http1>, ConnectError> {
        let origin = origin.over_http1();
        let opening = async {
            let stream = self.stream(&origin).await?;
            self.http1(stream).await
        };
        R::timeout(bound, unless_it_panics(opening)).await.unwrap_or(Err(ConnectError::Elapsed))
    }

    async fn speak(&self, origin: &Origin, freed: Weak<dyn Freed>) -> Result<Opened, ConnectError> {
        let stream = self.stream(origin).await?;
        #[cfg(feature = "http2")]
        if stream.is_http2() {
            return self.http2(stream, origin, freed).await.map(Opened::Http2);
        }
        #[cfg(not(feature = "http2"))]
        drop(freed);
        self.http1(stream).await.map(Opened::Http1)
    }

    #[cfg(feature = "http2")]
    async fn http2(
        &self,
        stream: Stream,
        origin: &Origin,
        freed: Weak<dyn Freed>,
    ) -> Result<Http2, ConnectError> {
        // A server that was not asked may speak another protocol.
        let at_first = usize::from(origin.is_tls());
        let connection = Http2::open::<R>(stream, &self.tuning, at_first, freed).await;
        let connection = connection.map_err(ConnectError::Http)?;
        if connection.is_settled().await { Ok(connection) } else { Err(ConnectError::NotHttp2) }
    }

    async fn http1(&self, stream: Stream) -> Result<Box<Http1>, ConnectError> {
        Http1::open::<R>(stream, &self.tuning).await.map_err(ConnectError::Http)
    }

    async fn stream(&self, origin: &Origin) -> Result<Stream, ConnectError> {
        let wire = Wire::default();
        match &self.opener {
            None => {
                let socket = dial::<R>(&self.names, &origin.address()).await?;
                secured(origin, Counted::new(socket, wire.clone(), R::has_news), wire).await
            }
            Some(opener) => {
                let stream = opener.open(origin.address()).await.map_err(ConnectError::Opener)?;
                secured(origin, Counted::vague(stream, wire.clone()), wire).await
            }
        }
    }
}

/// Opens a connection by what is the caller's in part: a connector, its streams, or settings of TLS.
async fn unless_it_panics<T>(
    opening: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let mut opening = pin!(opening);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| opening.as_mut().poll(cx)));
        polled.unwrap_or(Poll::Ready(Err(ConnectError::Panicked)))
    })
    .await
}

/// Shakes hands for TLS where there is to be any.
#[cfg_attr(
    not(feature = "rustls-no-provider"),
    expect(clippy::unused_async, reason = "it waits where there is TLS")
)]
async fn secured<S>(origin: &Origin, socket: Counted<S>, wire: Wire) -> Result<Stream, ConnectError>
where
    Counted<S>: Duplex + 'static,
{
    match &origin.security {
        Security::None => Ok(Stream::over(socket, origin.protocol == Protocol::Http2, wire)),
        #[cfg(feature = "rustls-no-provider")]
        Security::Tls(tls) => {
            let (session, http2) = tls.connect(socket).await.map_err(ConnectError::Tls)?;
            if origin.protocol == Protocol::Http2 && !http2 {
                return Err(ConnectError::NotHttp2);
            }
            Ok(Stream::over(session, http2, wire))
        }
    }
}

/// Where connections lead, and what is spoken over them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    /// Host and port, as in `Host`.
    pub(crate) authority: Arc<str>,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// Where they lead if not there.
    pub(crate) address: Option<Address>,
    pub(crate) protocol: Protocol,
    pub(crate) security: Security,
}

/// What keeps connections private.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Security {
    None,
    #[cfg(feature = "rustls-no-provider")]
    Tls(Tls),
}

impl Origin {
    /// Whether a URI leads there.
    pub(crate) fn is_of(&self, uri: &Uri) -> bool {
        let is_same = uri.authority().is_some_and(|authority| authority.as_str() == &*self.authority)
            || self.port == port_of(uri) && uri.host() == Some(&self.host);
        is_same && self.is_tls() == is_tls(uri)
    }

    /// The URI there with the path of one that is a path only.
    pub(crate) fn uri(&self, path: &Uri) -> Uri {
        let scheme = if self.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.authority).parse().unwrap_or_else(|_| path.clone())
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.security != Security::None
    }

    /// Whether a connection may turn out to be one of HTTP/2.
    pub(crate) fn may_speak_http2(&self) -> bool {
        match self.protocol {
            Protocol::Http1 => false,
            Protocol::Http2 => true,
            _ => self.is_tls() && cfg!(feature = "http2"),
        }
    }

    /// Whether a connection can be one of HTTP/1.1.
    pub(crate) fn may_speak_http1(&self) -> bool {
        self.protocol != Protocol::Http2
    }

    /// The same, with HTTP/1.1 only.
    fn over_http1(&self) -> Self {
        let security = match &self.security {
            Security::None => Security::None,
            #[cfg(feature = "rustls-no-provider")]
            Security::Tls(tls) => Security::Tls(tls.over_http1()),
        };
        Self { protocol: Protocol::Http1, security, ..self.clone() }
    }

    fn address(&self) -> Address {
        let url = || Address::Host { host: (*self.host).to_owned(), port: self.port };
        self.address.clone().unwrap_or_else(url)
    }
}

fn is_tls(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

fn port_of(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if is_tls(uri) { 443 } else { 80 })
}

/// Why there can be no connections for a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum OriginError {
    #[error("the request's URI has no host")]
    NoHost,
    #[error("the request is for another host than the connections lead to")]
    Other,
    #[error("no TLS for an https URI")]
    NoTls,
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
    #[error("no connection to the Unix socket")]
    Unix(#[source] io::Error),
    #[error("the connector gave no connection")]
    Opener(#[source] BoxError),
    #[error("what opens connections panicked")]
    Panicked,
    #[cfg_attr(not(feature = "rustls-no-provider"), expect(dead_code, reason = "made where there is TLS"))]
    #[error("no TLS session")]
    Tls(#[source] io::Error),
    #[error("no connection in time")]
    Elapsed,
    #[error("the connection ended at once")]
    Http(#[source] hyper::Error),
    #[error("no settings of HTTP/2 came")]
    NotHttp2,
    #[error("no room on the target's connections in time")]
    Full,
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Resolve(error) => Self::Resolve(error),
            DialError::Connect(error) => Self::Tcp(error),
            DialError::Unix(error) => Self::Unix(error),
        }
    }
}
