//! Failover as the innermost middleware of a client of reqwest-middleware.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

use crate::client::FailoverClient;

/// Sends each request that comes to it, and calls nothing after it: it is the innermost.
///
/// Middleware around it sees each call once, and must not send a request again by itself: a retry is one that failover knows
/// nothing of. The extensions of the request are those of the call, such as [`Within`](crate::Within). An error is an
/// [`Error`](crate::Error), by downcast. The client of reqwest's that reqwest-middleware is given builds requests, and sends none.
///
/// # Examples
///
/// ```no_run
/// use failover_reqwest::FailoverClient;
/// use reqwest_middleware::ClientBuilder;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let failover = FailoverClient::builder().targets(["http://eu.example", "http://us.example"]).build()?;
/// let client = ClientBuilder::new(reqwest::Client::new()).with(failover.clone()).build();
/// let response = client.get("http://eu.example/users").send().await?;
/// # Ok(())
/// # }
/// ```
#[async_trait]
impl Middleware for FailoverClient {
    async fn handle(&self, request: Request, extensions: &mut Extensions, _: Next<'_>) -> Result<Response> {
        self.calls.run(request, extensions.clone()).await.map_err(reqwest_middleware::Error::middleware)
    }
}
