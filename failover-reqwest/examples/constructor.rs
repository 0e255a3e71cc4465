//! The same lines of reqwest's by two clients, of which the second has another constructor, while a target is down.
//!
//! ```console
//! $ cargo run -p failover-reqwest --example constructor
//! ```

use std::error::Error;

use failover_reqwest::{Answered, FailoverClient};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a program has that calls a service by reqwest.
macro_rules! lines {
    ($client:expr, $api:expr) => {
        async {
            let found = $client.get(format!("{}/users", $api)).query(&[("page", 2)]).send().await?;
            let users: Value = found.error_for_status()?.json().await?;
            let order = json!({ "item": 7, "for": users[0]["name"] });
            let request = $client.post(format!("{}/orders", $api)).bearer_auth("7f3a").json(&order);
            let placed = request.send().await?.error_for_status()?;
            let answered = placed.extensions().get::<Answered>().cloned();
            Ok::<_, Box<dyn Error>>((placed.text().await?, answered))
        }
    };
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (api, standby) = (down().await?, works().await?);

    let client = reqwest::Client::builder().no_proxy().build()?;
    match lines!(client, api).await {
        Ok((placed, _)) => println!("reqwest: {placed}"),
        Err(error) => println!("reqwest: {}", error.to_string().replace(&api, "http://api")),
    }

    let builder = FailoverClient::builder().targets([&api, &standby]);
    let client = builder.client(reqwest::Client::builder().no_proxy()).build()?;
    let (placed, answered) = lines!(client, api).await?;
    println!("failover: {placed}, by target {}", answered.ok_or("no story")?.target());
    Ok(())
}

/// The URL of a service that is down.
async fn down() -> Result<String, Box<dyn Error>> {
    Ok(format!("http://{}", TcpListener::bind("127.0.0.1:0").await?.local_addr()?))
}

/// Starts a service that works, and returns its URL.
async fn works() -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut head, mut piece) = (String::new(), [0; 1024]);
            // A body so short comes with its head.
            while !head.contains("\r\n\r\n") {
                let read = stream.read(&mut piece).await.unwrap_or(0);
                head += &String::from_utf8_lossy(&piece[..read]);
            }
            let body = match head.split("\r\n").next() {
                Some("GET /v1/users?page=2 HTTP/1.1") => r#"[{"name":"Ada"}]"#.to_owned(),
                Some("POST /v1/orders HTTP/1.1") => {
                    format!("placed {}", head.split("\r\n\r\n").last().unwrap_or(""))
                }
                other => format!("unknown: {other:?}"),
            };
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    Ok(url)
}
