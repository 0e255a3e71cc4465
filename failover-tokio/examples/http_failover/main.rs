//! A service in front of three targets, of which the first has no address and the second is too slow.
//!
//! ```console
//! $ cargo run -p failover-tokio --example http_failover
//! $ curl -v http://localhost:9090/fo
//! ```
//!
//! The first call is answered by the third target after about 15 seconds, the second call at once: the client remembers
//! which target worked.

mod backends;
mod server;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{BoxError, Router};
use clap::Parser;
use failover_tokio::{AttemptError, BuildError, Error, FailoverClient, Failure, Policy};

use crate::server::{Listeners, say, told_to_end};

/// Serves two backends and, in front of them, a service that fails over
#[derive(Parser)]
#[command(name = "http_failover", version, after_help = "Then: curl -v http://localhost:9090/fo")]
struct Options {
    /// Multiplies every time: 0.1 is ten times as fast
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = server::scale)]
    time_scale: f64,
    /// Where the backends listen; 0 is any free port
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    backend_port: u16,
    /// Where the service listens; 0 is any free port
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    port: u16,
}

#[tokio::main]
async fn main() {
    server::exit(run(Options::parse()).await);
}

/// Serves the backends and the failover service until the process is told to end.
async fn run(Options { time_scale, backend_port, port }: Options) -> Result<(), BoxError> {
    let end = told_to_end()?;
    let backends = Listeners::bind("--backend-port", backend_port).await?;
    let listeners = Listeners::bind("--port", port).await?;
    let service = Arc::new(Service::new(backends.port(), time_scale)?);
    say(&format!("mock backends listen on http://127.0.0.1:{}", backends.port()));
    say(&format!("failover service listens on http://127.0.0.1:{}/fo", listeners.port()));

    backends.serve(&backends::router(time_scale));
    let methods = get(invoke).post(invoke);
    listeners.serve(&Router::new().route("/fo", methods.clone()).route("/fo/", methods).with_state(service));
    Ok(end.await?)
}

struct Service {
    client: FailoverClient,
    urls: [String; 3],
}

impl Service {
    fn new(backend_port: u16, time_scale: f64) -> Result<Self, BuildError> {
        let urls = [
            "http://nonexistentEP/mock1".to_owned(),
            format!("http://localhost:{backend_port}/echo"),
            format!("http://localhost:{backend_port}/mock"),
        ];
        let client = FailoverClient::builder()
            .policy(Policy::ballerina())
            .targets(&urls)
            .attempt_timeout(Duration::from_secs(5).mul_f64(time_scale))
            .failover_codes([501, 502, 503])
            .interval(Duration::from_secs(5).mul_f64(time_scale))
            .build()?;
        Ok(Self { client, urls })
    }

    fn tell(&self, asked: &Method, failures: &[Failure<AttemptError>]) {
        say(&format!("{asked} /fo"));
        for failure in failures {
            let (target, took) = (failure.target(), failure.ended().since(failure.began()));
            let status = failure.status().unwrap_or_default();
            let why = failure.error().map_or_else(|| format!("answered {status}"), ToString::to_string);
            say(&format!("  target {target}, {}: given up after {took:.1?}: {why}", self.urls[target]));
        }
    }
}

/// Sends each request on as `GET /`, with its headers and body, and answers with what came back.
async fn invoke(State(service): State<Arc<Service>>, mut request: Request) -> Response {
    let asked = std::mem::replace(request.method_mut(), Method::GET);
    *request.uri_mut() = Uri::from_static("/");
    let error = match service.client.forward(request).await {
        Ok(response) => {
            let (answered, status) = (response.body().answered(), response.status());
            service.tell(&asked, answered.failures());
            let target = answered.target();
            say(&format!("  target {target}, {}: answered {status}", service.urls[target]));
            return response.map(Body::new);
        }
        Err(Error::Stopped(stopped)) => {
            service.tell(&asked, stopped.failures());
            say(&format!("  stopped: {}", stopped.reason()));
            stopped.ballerina().to_string()
        }
        Err(error) => error.to_string(),
    };
    (StatusCode::INTERNAL_SERVER_ERROR, error).into_response()
}
