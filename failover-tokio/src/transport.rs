//! The transport: hyper-util's pooled client, with its own retries off.

use std::fmt;
use std::time::Duration;

use failover_core::Target;
use http::Response;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::body::AttemptBody;
use crate::call::Head;
use crate::connect::{Connector, Wire};
use crate::drive::Exchange;
use crate::evidence::Failed;
use crate::progress::Bound;

/// A pool of connections to all targets.
pub(crate) struct Transport {
    client: Client<Connector, AttemptBody>,
}

impl Transport {
    pub(crate) fn new(connector: Connector) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .set_host(false)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Self { client }
    }
}

impl Exchange<Target> for Transport {
    type Body = Incoming;

    async fn exchange(
        &self,
        target: &Target,
        head: &Head,
        body: AttemptBody,
        bound: Bound,
    ) -> Result<Response<Incoming>, Failed> {
        let mut request = head.aim(target, body).map_err(Failed::unbuilt)?;
        let connection = capture_connection(&mut request);
        match bound.hold(self.client.request(request)).await {
            Ok(Ok(mut response)) => {
                if let Some(wire) = response.extensions().get::<Wire>() {
                    wire.serve();
                }
                head.receive(&mut response);
                Ok(response)
            }
            Ok(Err(error)) => Err(Failed::transport(error)),
            Err(elapsed) => Err(Failed::timeout(elapsed, connection.connection_metadata().is_none())),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// How long an idle connection is kept: less than most servers do, so that few requests meet one that is closing.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// How many idle connections are kept for each target.
const IDLE_CONNECTIONS: usize = 128;
