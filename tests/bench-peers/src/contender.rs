//! The clients, each with a timer for the attempt.

use std::time::Duration;

use bytes::Bytes;
use failover_tokio::FailoverClient;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest_middleware::ClientWithMiddleware;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use tokio::runtime;
use tokio::time::timeout;

use crate::BoxError;
use crate::server::BODY;

/// A client, and where it sends to.
pub(crate) enum Contender {
    /// The pooled client of hyper-util.
    Hyper(Client<HttpConnector, Full<Bytes>>, Uri),
    /// reqwest by itself.
    Reqwest(reqwest::Client, String),
    /// reqwest below reqwest-middleware and reqwest-retry.
    Retry(ClientWithMiddleware, String),
    /// `FailoverClient::get`.
    Get(FailoverClient),
    /// `FailoverClient::forward`.
    Forward(FailoverClient),
}

impl Contender {
    /// The contender of this name, which sends to the server at `url`.
    pub(crate) fn new(name: &str, url: &str) -> Result<Self, BoxError> {
        let reqwest = || reqwest::Client::builder().timeout(ATTEMPT).build();
        let failover = || FailoverClient::builder().targets([url]).attempt_timeout(ATTEMPT).build();
        Ok(match name {
            HYPER => {
                let mut connector = HttpConnector::new();
                connector.set_nodelay(true);
                let client =
                    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
                Self::Hyper(client, url.parse()?)
            }
            REQWEST => Self::Reqwest(reqwest()?, url.to_owned()),
            RETRY => {
                let policy = ExponentialBackoff::builder().build_with_max_retries(2);
                let retry = RetryTransientMiddleware::new_with_policy(policy);
                let client = reqwest_middleware::ClientBuilder::new(reqwest()?).with(retry).build();
                Self::Retry(client, url.to_owned())
            }
            GET => Self::Get(failover()?),
            FORWARD => Self::Forward(failover()?),
            _ => return Err(format!("no contender is named {name}").into()),
        })
    }

    /// Makes so many calls, one after the other.
    pub(crate) fn call_often(&self, calls: u32) -> Result<(), BoxError> {
        runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            for _ in 0..calls {
                assert_eq!(self.call().await?.len(), BODY);
            }
            Ok(())
        })
    }

    async fn call(&self) -> Result<Bytes, BoxError> {
        match self {
            Self::Hyper(client, uri) => {
                let response = timeout(ATTEMPT, client.get(uri.clone())).await??;
                Ok(response.collect().await?.to_bytes())
            }
            Self::Reqwest(client, url) => Ok(client.get(url).send().await?.bytes().await?),
            Self::Retry(client, url) => Ok(client.get(url).send().await?.bytes().await?),
            Self::Get(client) => Ok(client.get("/").send().await?.collect().await?.to_bytes()),
            Self::Forward(client) => {
                let inbound = Request::new(Full::<Bytes>::default());
                Ok(client.forward(inbound).await?.collect().await?.to_bytes())
            }
        }
    }
}

pub(crate) const HYPER: &str = "hyper-util";
pub(crate) const REQWEST: &str = "reqwest";
pub(crate) const RETRY: &str = "reqwest-retry";
pub(crate) const GET: &str = "get";
pub(crate) const FORWARD: &str = "forward";

const ATTEMPT: Duration = Duration::from_secs(10);
