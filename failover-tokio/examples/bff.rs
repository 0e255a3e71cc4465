//! A backend for frontends: it makes pages from what two groups of backends have, and does without where it can.
//!
//! ```console
//! $ cargo run -p failover-tokio --example bff
//! $ curl http://127.0.0.1:8081/home
//! $ curl -d '{"item": 7}' -H 'idempotency-key: 7f3a' http://127.0.0.1:8081/orders
//! $ curl http://127.0.0.1:8081/profile
//! ```
//!
//! It starts the backends too, and prints how to make them slow or busy. The page needs a profile; for recommendations
//! it waits half a second, and goes out without them, as `degraded`. An order that a backend may have taken goes to
//! the next one only if it has a key; else the frontend is told `no_proof`. What is no page of its own, such as the
//! profile, it passes on. With `--once` it makes such calls by itself, prints the answers, and ends.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request as Inbound, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use clap::Parser;
use failover_tokio::{Error, FailoverClient, Within};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout_at};
use tower::BoxError;

/// A backend for frontends, and the backends that it calls
#[derive(Parser)]
#[command(name = "bff", version)]
struct Options {
    /// Makes calls by itself, prints the answers, and ends
    #[arg(long)]
    once: bool,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let Options { once } = Options::parse();
    // The client logs each call that stops, and why.
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(io::stderr).init();

    let accounts = [Fake::start("accounts-1").await?, Fake::start("accounts-2").await?];
    let recommendations = [Fake::start("recommendations-1").await?, Fake::start("recommendations-2").await?];
    let backends = Backends { accounts: client(&accounts)?, recommendations: client(&recommendations)? };
    let bff = Router::new()
        .route("/home", get(home))
        .route("/orders", post(order))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .fallback_service(backends.accounts.clone().into_proxy())
        .with_state(backends);
    let port = if once { 0 } else { PORT };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.map_err(|error| format!("port {port}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(async { axum::serve(listener, bff).await });
    if once {
        return show(&url, &accounts, &recommendations).await;
    }
    say(&format!("{url}/home and {url}/orders"));
    for fake in accounts.iter().chain(&recommendations) {
        say(&format!("{}: curl -X PUT {}/mood/slow (or busy, or well)", fake.name, fake.url));
    }
    Ok(serving.await??)
}

/// The two groups. A clone shares their connections, and what is remembered of the backends.
#[derive(Clone)]
struct Backends {
    accounts: FailoverClient,
    recommendations: FailoverClient,
}

async fn home(State(backends): State<Backends>) -> Result<Json<Value>, Problem> {
    let (profile, recommendations) = tokio::join!(
        fetch(&backends.accounts, "/profile", PROFILE_BUDGET),
        fetch(&backends.recommendations, "/recommendations", RECOMMENDATIONS_BUDGET),
    );
    let degraded = if recommendations.is_err() { vec!["recommendations"] } else { vec![] };
    Ok(Json(json!({
        "profile": profile?,
        "recommendations": recommendations.unwrap_or_default(),
        "degraded": degraded,
    })))
}

async fn order(
    State(backends): State<Backends>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let mut order = Request::new(body);
    *order.method_mut() = Method::POST;
    *order.uri_mut() = Uri::from_static("/orders");
    // The key is the proof that the order may be sent again: the backends take it once, whichever of them it reaches.
    for name in ["content-type", "idempotency-key"] {
        if let Some(value) = headers.get(name) {
            order.headers_mut().insert(name, value.clone());
        }
    }
    let (mut head, body) = call(&backends.accounts, order, ORDER_BUDGET).await?.into_parts();
    let content_type = head.headers.remove(CONTENT_TYPE).map(|value| [(CONTENT_TYPE, value)]);
    Ok((head.status, content_type, body).into_response())
}

async fn fetch(client: &FailoverClient, path: &'static str, budget: Duration) -> Result<Value, Problem> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = Uri::from_static(path);
    let answer = call(client, request, budget).await?;
    let value = serde_json::from_slice(answer.body()).ok().filter(|_| answer.status().is_success());
    value.ok_or(Problem { status: StatusCode::BAD_GATEWAY, reason: "unexpected_answer" })
}

/// Makes a call, which has its whole answer within `budget`.
async fn call(
    client: &FailoverClient,
    mut request: Request<Bytes>,
    budget: Duration,
) -> Result<http::Response<Bytes>, Problem> {
    let deadline = Instant::now() + budget;
    request.extensions_mut().insert(Within(budget));
    let (head, body) = client.request(request).await?.into_parts();
    // `Within` ends with the head of the answer, and so does failover: the body needs bounds of its own.
    match timeout_at(deadline, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(body)) => Ok(http::Response::from_parts(head, body.to_bytes())),
        Ok(Err(_)) => Err(Problem { status: StatusCode::BAD_GATEWAY, reason: "broken_body" }),
        Err(_) => Err(Problem { status: StatusCode::GATEWAY_TIMEOUT, reason: "slow_body" }),
    }
}

/// What the frontend is told where there is no answer, as problem details (RFC 9457).
struct Problem {
    status: StatusCode,
    reason: &'static str,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let reason = match &error {
            Error::Stopped(stopped) => stopped.reason().as_str(),
            _ => "local_fault",
        };
        Self { status: error.gateway_status(), reason }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason();
        let problem = json!({ "title": title, "status": self.status.as_u16(), "reason": self.reason });
        (self.status, [(CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
    }
}

fn client(backends: &[Fake]) -> Result<FailoverClient, failover_tokio::BuildError> {
    let urls = backends.iter().map(|fake| &fake.url);
    FailoverClient::builder().targets(urls).attempt_timeout(ATTEMPT_TIMEOUT).build()
}

/// Makes calls as a frontend does, while the backends get slow.
async fn show(url: &str, accounts: &[Fake; 2], recommendations: &[Fake; 2]) -> Result<(), BoxError> {
    // With one target and no failover codes, whatever it answers is the answer.
    let frontend = FailoverClient::builder().targets([url]).failover_codes("").build()?;
    let ask = async |request: Request<&'static str>| {
        let key = if request.headers().contains_key("idempotency-key") { " with a key" } else { "" };
        say(&format!("{} {}{key}", request.method(), request.uri()));
        let (head, body) = frontend.request(request).await?.into_parts();
        let body = Limited::new(body, LARGEST_BODY).collect().await?.to_bytes();
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        say(&format!("  {} {kind} {}", head.status.as_u16(), String::from_utf8_lossy(&body)));
        Ok::<_, BoxError>(())
    };
    let [first, second] = accounts;
    ask(Request::get("/home").body("")?).await?;
    ask(Request::get("/profile").body("")?).await?;
    recommendations.iter().for_each(Fake::slow);
    ask(Request::get("/home").body("")?).await?;
    first.slow();
    ask(Request::post("/orders").header("idempotency-key", "7f3a").body("{\"item\": 7}")?).await?;
    second.slow();
    ask(Request::post("/orders").body("{\"item\": 7}")?).await?;
    ask(Request::get("/home").body("")?).await
}

/// A backend that can be told how to feel.
struct Fake {
    name: &'static str,
    url: String,
    mood: Arc<Mutex<Mood>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mood {
    Well,
    Busy,
    Slow,
}

impl Fake {
    async fn start(name: &'static str) -> io::Result<Self> {
        let mood = Arc::new(Mutex::new(Mood::Well));
        let told = Arc::clone(&mood);
        let backend = Router::new()
            .route("/profile", get(async || Json(json!({ "name": "Ada" }))))
            .route("/recommendations", get(async || Json(json!([7, 8]))))
            .route("/orders", post(async move || (StatusCode::CREATED, Json(json!({ "taken_by": name })))))
            .layer(from_fn_with_state(Arc::clone(&mood), feel))
            .route("/mood/{mood}", put(async move |Path(mood)| set(&told, mood)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async { axum::serve(listener, backend).await });
        Ok(Self { name, url, mood })
    }

    fn slow(&self) {
        say(&format!("{} is slow", self.name));
        set(&self.mood, Mood::Slow);
    }
}

fn set(mood: &Mutex<Mood>, to: Mood) {
    *mood.lock().unwrap_or_else(PoisonError::into_inner) = to;
}

/// Does what is asked, and answers as its mood is.
async fn feel(State(mood): State<Arc<Mutex<Mood>>>, request: Inbound, next: Next) -> Response {
    let response = next.run(request).await;
    let mood = *mood.lock().unwrap_or_else(PoisonError::into_inner);
    match mood {
        Mood::Well => {}
        Mood::Busy => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mood::Slow => sleep(Duration::from_secs(60)).await,
    }
    response
}

/// Prints a line; where nobody reads it, that is no reason to end.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

const PORT: u16 = 8081;
const LARGEST_BODY: usize = 64 << 10;

/// How long a backend has for its answer; less where a budget leaves less for each.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);
const PROFILE_BUDGET: Duration = Duration::from_secs(1);
const RECOMMENDATIONS_BUDGET: Duration = Duration::from_millis(500);
const ORDER_BUDGET: Duration = Duration::from_secs(2);
