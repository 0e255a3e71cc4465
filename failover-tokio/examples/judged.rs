//! Answers whose status says that all is well, and that are none: a group of JSON-RPC nodes and one of language models.
//!
//! ```console
//! $ cargo run -p failover-tokio --example judged
//! ```
//!
//! It starts the servers too, makes some calls, and prints who answered and what was given up before. An error that says that the
//! target is busy fails over, one that the caller made himself does not, and one in the middle of a stream cannot any more: it is
//! passed on as it came.

use std::net::Ipv4Addr;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::post;
use failover_tokio::{Config, FailoverClient};
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let busy =
        Server::start("application/json", r#"{"id": 1, "error": {"code": -32005, "message": "limit"}}"#)
            .await?;
    let node = Server::start("application/json", r#"{"id": 1, "result": "0x10d4f"}"#).await?;
    let nodes = client(&[&busy, &node], "[[judge]]\npreset = 'json-rpc'")?;
    println!("JSON-RPC, where the first node is over its limit");
    call(&nodes, r#"{"id": 1, "method": "eth_blockNumber"}"#).await;

    let strict =
        Server::start("application/json", r#"{"id": 1, "error": {"code": -32601, "message": "what?"}}"#)
            .await?;
    let nodes = client(&[&strict, &node], "[[judge]]\npreset = 'json-rpc'")?;
    println!("JSON-RPC, where the caller asks for a method that there is not");
    call(&nodes, r#"{"id": 1, "method": "eth_blokNumber"}"#).await;

    let overloaded =
        "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\"}}\n\n";
    let words = "data: {\"delta\": \"Hello\"}\n\ndata: {\"delta\": \" there\"}\n\n";
    let full = Server::start("text/event-stream", overloaded).await?;
    let model = Server::start("text/event-stream", words).await?;
    let models = client(&[&full, &model], "[[judge]]\npreset = 'llm'")?;
    println!("a language model, where the first one is overloaded from the beginning");
    call(&models, r#"{"stream": true}"#).await;

    let breaks = Server::start("text/event-stream", &format!("{words}{overloaded}")).await?;
    let models = client(&[&breaks, &model], "[[judge]]\npreset = 'llm'")?;
    println!("a language model, where the first one is overloaded in the middle of its answer");
    call(&models, r#"{"stream": true}"#).await;
    Ok(())
}

/// A client of these servers, whose answers are judged by these rules.
fn client(servers: &[&Server], judges: &str) -> Result<FailoverClient, BoxError> {
    let config: Config = toml::from_str(judges)?;
    let urls = servers.iter().map(|server| &server.url);
    Ok(FailoverClient::builder().config(config).targets(urls).build()?)
}

/// Makes a call, and prints what came of it.
async fn call(client: &FailoverClient, body: &'static str) {
    match client.post("/").body(body).await {
        Ok(response) => {
            let story = response.body().answered().clone();
            for failure in story.failures() {
                println!("  given up: {failure}");
            }
            let body = response.into_body().text().await.unwrap_or_else(|error| error.to_string());
            println!("  target {} answered:", story.target());
            body.lines().filter(|line| !line.is_empty()).for_each(|line| println!("    {line}"));
        }
        Err(error) => println!("  {error}"),
    }
}

/// A server that has one answer, whose status is 200.
struct Server {
    url: String,
}

impl Server {
    async fn start(kind: &'static str, body: &str) -> Result<Self, BoxError> {
        let body = body.to_owned();
        let answer = move || async move { ([(CONTENT_TYPE, kind)], body).into_response() };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async { axum::serve(listener, Router::new().route("/", post(answer))).await });
        Ok(Self { url })
    }
}
