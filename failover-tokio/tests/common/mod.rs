//! Servers over both versions of HTTP, and what a call of them came to.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt::{Debug, Write};
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use failover_tokio::{Answered, AttemptError, Error, Failure, Fault, Reason, ResponseBody};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Server {
    /// Runs a handler for each connection, which is told how many came before.
    pub(crate) async fn start<H, F>(handler: H) -> Self
    where
        H: Fn(TcpStream, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let server = Self { port, connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(handler(stream, connections.fetch_add(1, Ordering::Relaxed)));
            }
        });
        server
    }

    /// Answers with each request, over HTTP/2 or HTTP/1.1.
    pub(crate) async fn mirror(http2: bool) -> Self {
        Self::start(move |stream, _| serve(stream, http2, mirrored)).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

pub(crate) fn answered<B: Body>(response: &Response<ResponseBody<B>>) -> &Answered {
    response.body().answered()
}

/// The only failure of a call that stopped, which was not to be replayed if there was another target.
pub(crate) fn stopped<T>(result: Result<T, Error>) -> Failure<AttemptError> {
    let Err(Error::Stopped(stopped)) = result else { panic!("an answer") };
    assert!(
        matches!(stopped.reason(), Reason::NoProof | Reason::LocalFault | Reason::TargetsTried),
        "{stopped}"
    );
    let [failure] = <[_; 1]>::try_from(stopped.into_parts().1).unwrap();
    failure
}

pub(crate) fn fault(failure: &Failure<AttemptError>) -> Fault {
    failure.error().unwrap().fault()
}

pub(crate) async fn text<B: Body<Error: Debug>>(response: Response<B>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

pub(crate) async fn serve<I, H, F, B, E>(io: I, http2: bool, handler: H)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let (io, service) = (TokioIo::new(io), service_fn(handler));
    if http2 {
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(io, service).await;
    }
}

/// Answers with the request, and with its trailers also as trailers.
pub(crate) async fn mirrored(request: Request<Incoming>) -> Result<Response<Pieces>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned();
    let host = head.headers.get("host").map_or("", |host| host.to_str().unwrap());
    let mut seen = format!("{} {:?} {} host {host}\n", head.method, head.version, head.uri);
    for (name, value) in head.headers.iter().chain(trailers.iter().flatten()) {
        writeln!(seen, "{name}: {}", value.to_str().unwrap()).unwrap();
    }
    let pieces = vec![Ok(body.to_bytes()), Ok(seen.into())];
    Ok(Response::builder().header("trailer", "x-sum").body(Pieces { pieces, trailers }).unwrap())
}

/// A request body in pieces, the last one first, and trailers.
pub(crate) struct Pieces {
    pub(crate) pieces: Vec<io::Result<Bytes>>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Pieces {
    pub(crate) fn of<const N: usize>(pieces: [&'static str; N]) -> Self {
        Self { pieces: pieces.into_iter().rev().map(|piece| Ok(piece.into())).collect(), trailers: None }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let data = self.pieces.pop().map(|piece| piece.map(Frame::data));
        Poll::Ready(data.or_else(|| self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))))
    }
}

/// Reads to the end of a message's head.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

pub(crate) async fn limited<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future).await.expect("nothing takes that long")
}

/// The guard against hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
