//! The server before which exchanges stand still, and what is spoken with it.

use std::convert::Infallible;
use std::fmt::Write;
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};
use std::thread;

use bytes::Bytes;
use clap::ValueEnum;
use failover_tokio::rustls::ServerConfig;
use failover_tokio::rustls::crypto::ring;
use failover_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime;
use tokio::sync::Barrier;
use tokio::task;
use tokio_rustls::TlsAcceptor;

use crate::BoxError;

/// What is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Over {
    Http1,
    /// HTTP/1.1 over TLS.
    Tls,
    Http2,
    Http2Tls,
}

impl Over {
    pub(crate) const ALL: [Self; 4] = [Self::Http1, Self::Tls, Self::Http2, Self::Http2Tls];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::Http2Tls => "http2-tls",
        }
    }

    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Http2Tls)
    }

    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Tls)
    }
}

/// Serves until the input ends, and prints where and with which certificate.
pub(crate) fn serve(over: Over) -> Result<(), BoxError> {
    let certified = rcgen::generate_simple_self_signed([Ipv4Addr::LOCALHOST.to_string()])?;
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der())?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(async { listen() })?;
    let scheme = if over.is_tls() { "https" } else { "http" };
    println!("{scheme}://{} {}", listener.local_addr()?, hexadecimal(&certificate)?);
    let acceptor = TlsAcceptor::from(Arc::new(config(certificate, key)?));
    thread::spawn(move || runtime.block_on(accept(&listener, &acceptor, over)));
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, BoxError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut config = builder.with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Listens for connections that take little which is not read.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(TAKEN)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(1024)
}

async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor, over: Over) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let acceptor = acceptor.clone();
        task::spawn(async move {
            // A client may go away when it likes.
            if !over.is_tls() {
                converse(stream, over).await;
            } else if let Ok(stream) = acceptor.accept(stream).await {
                converse(stream, over).await;
            }
        });
    }
}

async fn converse(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, over: Over) {
    let (io, service) = (TokioIo::new(io), service_fn(answer));
    let _ = if over.is_http2() {
        // So that each exchange has a connection of its own.
        http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(1)
            .serve_connection(io, service)
            .await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
}

/// Answers a request for `/<count>/<size>` with so many bytes, as soon as so many of these wait, and a POST never.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = request.uri().path().strip_prefix('/').and_then(|path| path.split_once('/'));
    let asked = asked.and_then(|(count, size)| Some((count.parse().ok()?, size.parse().ok()?)));
    let Some((count, size)) = asked.filter(|_| request.method() != Method::POST) else {
        return pending().await;
    };
    TOGETHER.get_or_init(|| Barrier::new(count)).wait().await;
    Ok(Response::new(ANSWER.get_or_init(|| vec![b'x'; size].into()).clone().into()))
}

fn hexadecimal(bytes: &[u8]) -> Result<String, BoxError> {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// What [`serve`] printed of its certificate.
pub(crate) fn certificate(text: &str) -> Result<CertificateDer<'static>, BoxError> {
    let bytes = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2).ok_or("half a byte")?, 16).map_err(BoxError::from));
    Ok(bytes.collect::<Result<Vec<_>, _>>()?.into())
}

/// Where requests wait for each other, of whose number there is one for each server.
static TOGETHER: OnceLock<Barrier> = OnceLock::new();

/// What all of them are answered with.
static ANSWER: OnceLock<Bytes> = OnceLock::new();

const TAKEN: u32 = 64 << 10;
