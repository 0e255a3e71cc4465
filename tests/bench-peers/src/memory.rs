//! Exchanges that stand still, each over a connection of its own.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use clap::ValueEnum;
use failover_tokio::rustls::crypto::ring;
use failover_tokio::rustls::{ClientConfig, RootCertStore};
use failover_tokio::{FailoverClient, Protocol};
use http::{Method, Request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Either, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime;
use tokio::task::{self, JoinHandle};
use tokio::time::sleep;

use crate::BoxError;
use crate::contender::{FORWARD, HYPER};
use crate::silent::{Over, certificate};

/// Where exchanges stand still.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Still {
    /// After a short answer.
    Idle,
    /// After a long answer.
    IdleAfterMuch,
    /// Within an answer that is not read any more.
    Download,
    /// Within a request whose body is made as it is sent, and not read.
    Upload,
    /// The same of a body in memory, which all exchanges share.
    WholeUpload,
}

impl Still {
    pub(crate) const ALL: [Self; 5] =
        [Self::Idle, Self::IdleAfterMuch, Self::Download, Self::Upload, Self::WholeUpload];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::IdleAfterMuch => "idle-after-much",
            Self::Download => "download",
            Self::Upload => "upload",
            Self::WholeUpload => "whole-upload",
        }
    }

    /// How long the answer is.
    fn answer(self) -> usize {
        match self {
            Self::Idle => 1 << 10,
            Self::IdleAfterMuch => ENOUGH,
            _ => LARGE,
        }
    }

    /// How much of it is read.
    fn read(self) -> usize {
        if matches!(self, Self::Download) { ENOUGH } else { usize::MAX }
    }

    pub(crate) fn is_idle(self) -> bool {
        matches!(self, Self::Idle | Self::IdleAfterMuch)
    }
}

/// Makes so many exchanges, and ends the process when all of them stand still, so that what is held then can be counted.
pub(crate) fn hold(client: &Holder, still: Still, count: usize) -> Result<(), BoxError> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let path: Arc<str> = format!("/{count}/{}", still.answer()).into();
        let (whole, moved) = (Bytes::from(vec![b'x'; LARGE]), Arc::new(AtomicU64::new(0)));
        let mut exchanges = Vec::new();
        for _ in 0..count {
            let exchange = Exchange { still, moved: Arc::clone(&moved) };
            exchanges.push(client.make(Arc::clone(&path), &whole, exchange));
        }
        if still.is_idle() {
            for exchange in exchanges.drain(..) {
                exchange.await??;
            }
        }
        let (mut before, mut pauses) = (0, 0);
        while pauses < PAUSES {
            sleep(PAUSE).await;
            let now = moved.load(Ordering::Relaxed);
            pauses = if now == before { pauses + 1 } else { 0 };
            before = now;
        }
        if exchanges.iter().any(JoinHandle::is_finished) {
            return Err("an exchange ended".into());
        }
        process::exit(0)
    })
}

/// A client that holds connections.
pub(crate) enum Holder {
    Hyper(Client<HttpConnector, Either<Full<Bytes>, Made>>, String),
    Failover(FailoverClient),
}

impl Holder {
    /// The client of this name, which trusts this certificate. That of hyper-util speaks HTTP/1.1 in the clear only.
    pub(crate) fn new(name: &str, over: Over, url: &str, trusted: &str) -> Result<Self, BoxError> {
        Ok(match name {
            HYPER if over == Over::Http1 => {
                let mut connector = HttpConnector::new();
                connector.set_nodelay(true);
                let client =
                    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
                Self::Hyper(client, url.to_owned())
            }
            FORWARD => {
                let protocol = if over.is_http2() { Protocol::Http2 } else { Protocol::Http1 };
                let builder = FailoverClient::builder().targets([url]).protocol(protocol);
                let builder = builder.connect_timeout(ATTEMPT).attempt_timeout(ATTEMPT);
                Self::Failover(builder.tls(trusting(trusted)?).build()?)
            }
            _ => return Err(format!("{name} is not asked what it holds over {over:?}").into()),
        })
    }

    /// Begins an exchange, in a task as large as this client needs.
    fn make(&self, path: Arc<str>, whole: &Bytes, exchange: Exchange) -> JoinHandle<Result<(), BoxError>> {
        match (self, exchange.body(whole)) {
            (Self::Hyper(client, url), body) => {
                let (client, url) = (client.clone(), format!("{url}{path}"));
                task::spawn(async move {
                    let answer = client.request(exchange.request(&url, body)?).await?;
                    exchange.read(answer.into_body()).await
                })
            }
            (Self::Failover(client), Either::Left(body)) => forward(client.clone(), path, body, exchange),
            (Self::Failover(client), Either::Right(body)) => forward(client.clone(), path, body, exchange),
        }
    }
}

fn trusting(trusted: &str) -> Result<ClientConfig, BoxError> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(trusted)?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}

fn forward<B>(
    client: FailoverClient,
    path: Arc<str>,
    body: B,
    exchange: Exchange,
) -> JoinHandle<Result<(), BoxError>>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    task::spawn(async move {
        let answer = client.forward(exchange.request(&path, body)?).await?;
        exchange.read(answer.into_body()).await
    })
}

/// An exchange that is to stand still.
struct Exchange {
    still: Still,
    /// Counts what moves.
    moved: Arc<AtomicU64>,
}

impl Exchange {
    fn request<B>(&self, uri: &str, body: B) -> http::Result<Request<B>> {
        let method = match self.still {
            Still::Upload | Still::WholeUpload => Method::POST,
            _ => Method::GET,
        };
        Request::builder().method(method).uri(uri).body(body)
    }

    fn body(&self, whole: &Bytes) -> Either<Full<Bytes>, Made> {
        match self.still {
            Still::Upload => Either::Right(Made { left: LARGE, moved: Arc::clone(&self.moved) }),
            Still::WholeUpload => Either::Left(Full::new(whole.clone())),
            _ => Either::Left(Full::default()),
        }
    }

    /// Reads the answer as far as it is to be read, and holds on to the last piece and to what is not.
    async fn read<B>(&self, mut body: B) -> Result<(), BoxError>
    where
        B: Body<Data: Buf, Error: Into<BoxError>> + Unpin,
    {
        let mut left = self.still.read();
        loop {
            let Some(frame) = body.frame().await else { return Ok(()) };
            let frame = frame.map_err(Into::into)?;
            let size = frame.data_ref().map_or(0, Buf::remaining);
            left = left.saturating_sub(size);
            self.moved.fetch_add(size as u64, Ordering::Relaxed);
            if left == 0 {
                pending::<()>().await;
                drop(frame);
            }
        }
    }
}

/// A body that is made as it is sent.
pub(crate) struct Made {
    left: usize,
    moved: Arc<AtomicU64>,
}

impl Body for Made {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size = self.left.min(PIECE);
        self.left -= size;
        self.moved.fetch_add(size as u64, Ordering::Relaxed);
        Poll::Ready((size > 0).then(|| Ok(Frame::data(vec![b'x'; size].into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

/// The length of what comes to no end.
const LARGE: usize = 10 << 20;

/// How much is read of it.
const ENOUGH: usize = 1 << 20;

/// The pieces of a body that is made as it is sent.
const PIECE: usize = 16 << 10;

const ATTEMPT: Duration = Duration::from_secs(60);

/// Nothing moves for so many pauses: all stand still.
const PAUSES: u32 = 10;

const PAUSE: Duration = Duration::from_millis(100);
