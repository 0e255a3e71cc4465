//! A service in front of three targets, of which the first has no address and the second is too slow.
//!
//! ```console
//! $ cargo run --example http_failover
//! $ curl -v http://localhost:9090/fo
//! ```
//!
//! The first call is answered by the third target after about 15 seconds, the second call at once: the client remembers
//! which target worked.

use std::convert::Infallible;
use std::env;
use std::error::Error as StdError;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use failover_tokio::{AttemptError, Error, FailoverClient, Failure, Policy, ResponseBody};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::sleep;

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        Err(message) => return refuse(&message),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("no runtime: {error}")),
    };
    let ended = runtime.block_on(run(options));
    // A name that is still being resolved keeps a thread busy, which nobody waits for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error.to_string()),
    }
}

/// Serves the backends and the failover service until the process is told to end.
async fn run(options: Options) -> Result<(), Box<dyn StdError>> {
    let end = told_to_end()?;
    let backends = listen("--backend-port", options.backend_port).await?;
    let service = listen("--port", options.port).await?;
    let (backend_port, port) = (backends.port, service.port);
    let demo = Arc::new(Demo::new(backend_port, options.time_scale)?);

    let echo_time = options.scaled(ECHO_TIME);
    serve(backends, move |request| backend(request, echo_time));
    serve(service, move |request| Arc::clone(&demo).invoke(request));
    say(&format!("mock backends listen on http://127.0.0.1:{backend_port}"));
    say(&format!("failover service listens on http://127.0.0.1:{port}/fo"));
    end.await?;
    Ok(())
}

/// The failover service.
struct Demo {
    client: FailoverClient,
    urls: [String; 3],
}

impl Demo {
    fn new(backend_port: u16, time_scale: f64) -> Result<Self, failover_tokio::BuildError> {
        let urls = [
            "http://nonexistentEP/mock1".to_owned(),
            format!("http://localhost:{backend_port}/echo"),
            format!("http://localhost:{backend_port}/mock"),
        ];
        let client = FailoverClient::builder()
            .policy(Policy::ballerina())
            .targets(&urls)
            .attempt_timeout(ATTEMPT_TIMEOUT.mul_f64(time_scale))
            .failover_codes([501, 502, 503])
            .interval(INTERVAL.mul_f64(time_scale))
            .build()?;
        Ok(Self { client, urls })
    }

    /// Sends each request on as `GET /`, with its headers and body, and answers with what came back.
    async fn invoke(self: Arc<Self>, mut request: Request<Incoming>) -> Response<Body> {
        if let Some(refusal) = check(&request, "/fo", &[Method::GET, Method::POST]) {
            return refusal;
        }
        let asked = request.method().clone();
        *request.method_mut() = Method::GET;
        *request.uri_mut() = Uri::from_static("/");
        match self.client.forward(request).await {
            Ok(response) => {
                self.tell_answer(&asked, &response);
                response.map(Either::Right)
            }
            Err(Error::Stopped(stopped)) => {
                self.tell_failures(&asked, stopped.failures());
                say(&format!("  stopped: {}", stopped.reason()));
                text(StatusCode::INTERNAL_SERVER_ERROR, stopped.ballerina().to_string())
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    fn tell_answer(&self, asked: &Method, response: &Response<ResponseBody>) {
        let answered = response.body().answered();
        self.tell_failures(asked, answered.failures());
        let target = answered.target();
        say(&format!("  target {target}, {}: answered {}", self.urls[target], response.status()));
    }

    fn tell_failures(&self, asked: &Method, failures: &[Failure<AttemptError>]) {
        say(&format!("{asked} /fo"));
        for failure in failures {
            let (target, took) = (failure.target(), failure.ended().since(failure.began()));
            let why = match (failure.error(), failure.status()) {
                (Some(error), _) => error.to_string(),
                (None, status) => format!("answered {}", status.unwrap_or_default()),
            };
            say(&format!("  target {target}, {}: given up after {took:.1?}: {why}", self.urls[target]));
        }
    }
}

/// The backends: one that takes its time, and one that does not.
async fn backend(request: Request<Incoming>, echo_time: Duration) -> Response<Body> {
    let methods = [Method::POST, Method::PUT, Method::GET];
    if below("/mock", request.uri().path()) {
        let refusal = check(&request, "/mock", &methods);
        return refusal.unwrap_or_else(|| text(StatusCode::OK, "Mock Resource is Invoked."));
    }
    let refusal = check(&request, "/echo", &methods);
    if refusal.is_none() {
        sleep(echo_time).await;
    }
    refusal.unwrap_or_else(|| text(StatusCode::OK, "echo Resource is invoked"))
}

/// Refuses what is not for the resource at `path`, or not with one of these methods.
fn check(request: &Request<Incoming>, path: &str, methods: &[Method]) -> Option<Response<Body>> {
    if !below(path, request.uri().path()) {
        return Some(text(StatusCode::NOT_FOUND, "not found"));
    }
    if methods.contains(request.method()) {
        return None;
    }
    let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    let allowed: Vec<_> = methods.iter().map(Method::as_str).collect();
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_str(&allowed.join(", ")).ok()?);
    Some(refusal)
}

/// Whether `path` is the resource at `base`, with or without a slash at its end.
fn below(base: &str, path: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| matches!(rest, "" | "/"))
}

type Body = Either<Full<Bytes>, ResponseBody>;

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(text.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The sockets of one server: `localhost` may be either of two addresses.
struct Listeners {
    port: u16,
    sockets: Vec<TcpListener>,
}

async fn listen(flag: &str, port: u16) -> Result<Listeners, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {port} is in use: choose another with {flag}, or 0 for any")
        }
        _ => format!("cannot listen on port {port} ({flag}): {error}"),
    };
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let bound = v4.local_addr().as_ref().map_or(port, SocketAddr::port);
    let mut sockets = vec![v4];
    match TcpListener::bind((Ipv6Addr::LOCALHOST, bound)).await {
        Ok(v6) => sockets.push(v6),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(failed(error)),
        // This machine has no IPv6.
        Err(_) => {}
    }
    Ok(Listeners { port: bound, sockets })
}

/// Serves connections in the background.
fn serve<H, F>(listeners: Listeners, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    for socket in listeners.sockets {
        let handler = handler.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = socket.accept().await else {
                    // Out of file descriptors, most likely.
                    sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let handler = handler.clone();
                let service = service_fn(move |request| {
                    let answer = handler(request);
                    async { Ok::<_, Infallible>(answer.await) }
                });
                let mut http = http1::Builder::new();
                tokio::spawn(http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service));
            }
        });
    }
}

/// Waits for Ctrl-C or SIGTERM, which count from this call on.
#[cfg(unix)]
fn told_to_end() -> io::Result<impl Future<Output = io::Result<()>>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => Ok(()),
            _ = terminated.recv() => Ok(()),
        }
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
fn told_to_end() -> io::Result<impl Future<Output = io::Result<()>>> {
    Ok(tokio::signal::ctrl_c())
}

#[derive(Clone, Copy)]
struct Options {
    time_scale: f64,
    backend_port: u16,
    port: u16,
}

impl Options {
    /// Reads the flags; `None` asks for help.
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self { time_scale: 1.0, backend_port: 8080, port: 9090 };
        while let Some(arg) = args.next() {
            let (flag, value) = match arg.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (arg, None),
            };
            if matches!(flag.as_str(), "-h" | "--help") {
                return Ok(None);
            }
            if !matches!(flag.as_str(), "--time-scale" | "--backend-port" | "--port") {
                return Err(format!("unknown flag {flag}: try --help"));
            }
            let value = value.or_else(|| args.next()).ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--time-scale" => options.time_scale = scale(&value)?,
                "--backend-port" => options.backend_port = port(&flag, &value)?,
                _ => options.port = port(&flag, &value)?,
            }
        }
        Ok(Some(options))
    }

    fn scaled(&self, time: Duration) -> Duration {
        time.mul_f64(self.time_scale)
    }
}

fn scale(value: &str) -> Result<f64, String> {
    let scale = value.parse().ok().filter(|scale| (0.001..=1000.0).contains(scale));
    scale.ok_or_else(|| format!("--time-scale {value}: expected a number from 0.001 to 1000"))
}

fn port(flag: &str, value: &str) -> Result<u16, String> {
    value.parse().map_err(|_| format!("{flag} {value}: expected a port from 0 to 65535"))
}

/// Prints a line; where nobody reads it, that is no reason to end.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn refuse(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "http_failover: {message}");
    ExitCode::from(2)
}

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_secs(5);
const ECHO_TIME: Duration = Duration::from_secs(30);

const USAGE: &str = "\
Serves two backends and, in front of them, a service that fails over.

Usage: http_failover [--time-scale FACTOR] [--backend-port PORT] [--port PORT]

  --time-scale FACTOR   multiplies every time: 0.1 is ten times as fast [1]
  --backend-port PORT   where the backends listen; 0 is any free port [8080]
  --port PORT           where the service listens; 0 is any free port [9090]
  --help                prints this

Then: curl -v http://localhost:9090/fo";
