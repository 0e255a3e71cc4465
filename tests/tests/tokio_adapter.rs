//! The suite of all adapters, over the one for tokio.
#![forbid(unsafe_code)]

mod suite;
mod transport;

use std::error::Error as _;
use std::fmt::Write as _;

use failover_core::{Evidence, Failure, Policy, Reason, Target};
use failover_tests::lab::LIMIT;
use failover_tokio::{AttemptError, Builder, Error, FailoverClient, RequestBuilder, ResponseBody};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use suite::{Answered, Call, Failed, Outcome, Stopped};

/// The adapter as the suite calls it, on a runtime of its own.
pub(crate) struct Client {
    client: FailoverClient,
    runtime: Runtime,
}

/// A call that is under way.
pub(crate) struct Started<'a> {
    client: &'a Client,
    task: JoinHandle<Outcome>,
}

impl Client {
    pub(crate) const STALE: Evidence = Evidence::Stale;

    pub(crate) fn new(targets: Vec<Target>, policy: Policy) -> Self {
        Self::built(targets, policy, |builder| builder)
    }

    pub(crate) fn built(
        targets: Vec<Target>,
        policy: Policy,
        settings: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let mut builder = settings(FailoverClient::builder().policy(policy));
        for target in targets {
            builder = builder.target(target);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime is to be had");
        let client = {
            let _entered = runtime.enter();
            builder.build().expect("the settings make sense")
        };
        Self { client, runtime }
    }

    pub(crate) fn call(&self, call: &Call) -> Outcome {
        self.block_on(perform(self.client.clone(), call.clone()))
    }

    pub(crate) fn send(&self, begin: impl FnOnce(&FailoverClient) -> RequestBuilder) -> Outcome {
        let request = begin(&self.client).send();
        self.block_on(async { outcome(request.await).await })
    }

    pub(crate) fn skim(&self, call: &Call) -> u16 {
        let (client, call) = (self.client.clone(), call.clone());
        self.block_on(async move { send(&client, call).await.expect("there is an answer").status().as_u16() })
    }

    pub(crate) fn start(&self, call: Call) -> Started<'_> {
        Started { client: self, task: self.runtime.spawn(perform(self.client.clone(), call)) }
    }

    pub(crate) fn set_targets(&self, targets: Vec<Target>, policy: Policy) {
        let _entered = self.runtime.enter();
        self.client.set_targets(targets, policy).expect("the settings make sense");
    }

    pub(crate) fn prefer(&self, target: usize) {
        self.client.prefer(target).expect("there is such a target");
    }

    pub(crate) fn sticky(&self) -> usize {
        self.client.sticky()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(async { timeout(LIMIT, future).await.expect("nothing takes that long") })
    }
}

impl Started<'_> {
    pub(crate) fn finish(self) -> Outcome {
        self.client.block_on(self.task).expect("the call does not panic")
    }

    pub(crate) fn cancel(self) {
        self.task.abort();
    }
}

async fn perform(client: FailoverClient, call: Call) -> Outcome {
    outcome(send(&client, call).await).await
}

async fn outcome(result: Result<Response<ResponseBody>, Error>) -> Outcome {
    let error = match result {
        Ok(response) => return Ok(answered(response).await),
        Err(error) => error,
    };
    let message = error.to_string();
    let mut debug = format!("{error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(debug, " {error:?} {error}");
        source = error.source();
    }
    let (reason, failures) = match &error {
        Error::Stopped(stopped) => (stopped.reason(), stopped.failures().iter().map(failed).collect()),
        _ => (Reason::LocalFault, vec![]),
    };
    let answer = match error.into_response() {
        Some(response) => {
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.expect("the body can be read");
            Some((status, body.to_bytes().to_vec()))
        }
        None => None,
    };
    Err(Stopped { reason, failures, answer, message, debug })
}

async fn send(client: &FailoverClient, call: Call) -> Result<Response<ResponseBody>, Error> {
    if call.headers.is_empty() && call.own.is_empty() {
        return client.method(call.method.as_str(), &call.path).body(call.body).await;
    }
    let mut request = Request::builder().method(call.method.as_str()).uri(&call.path);
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let mut request = request.body(call.body).expect("the request can be built");
    *request.extensions_mut() = call.own;
    client.request(request).await
}

async fn answered(response: Response<ResponseBody>) -> Answered {
    let story = response.body().answered().clone();
    let (head, body) = response.into_parts();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().iter().copied().map(char::from).collect()));
    Answered {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: body.collect().await.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string()),
        target: story.target(),
        failures: story.failures().iter().map(failed).collect(),
    }
}

fn failed(failure: &Failure<AttemptError>) -> Failed {
    Failed {
        target: failure.target(),
        evidence: failure.evidence(),
        status: failure.status().map(|status| status.as_u16()),
    }
}
