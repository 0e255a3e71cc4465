//! The suite of all adapters, over the one for reqwest.
#![forbid(unsafe_code)]

mod suite;

use std::error::Error as _;
use std::fmt::Write as _;

use failover_core::{Evidence, Failure, Policy, Reason, Target};
use failover_reqwest::{
    Answered as Story, AttemptError, Attempts, Error, FailoverClient, Idempotent, Replay,
};
use failover_tests::lab::LIMIT;
use http::Method;
use reqwest::Response;
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
    pub(crate) const STALE: Evidence = Evidence::MaybeProcessed;

    pub(crate) fn new(targets: Vec<Target>, policy: Policy) -> Self {
        let mut builder =
            FailoverClient::builder().policy(policy).client(reqwest::Client::builder().no_proxy());
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

    pub(crate) fn skim(&self, call: &Call) -> u16 {
        let (client, call) = (self.client.clone(), call.clone());
        self.block_on(async move { send(&client, call).await.expect("there is an answer").status().as_u16() })
    }

    pub(crate) fn start(&self, call: Call) -> Started<'_> {
        Started { client: self, task: self.runtime.spawn(perform(self.client.clone(), call)) }
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
    let error = match send(&client, call).await {
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
            Some((status, response.bytes().await.expect("the body can be read").to_vec()))
        }
        None => None,
    };
    Err(Stopped { reason, failures, answer, message, debug })
}

async fn send(client: &FailoverClient, call: Call) -> Result<Response, Error> {
    let method: Method = call.method.parse().expect("a method");
    let mut request = client.request(method, &call.path);
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    if let Some(&own) = call.own.get::<Replay>() {
        request = request.extension(own);
    }
    if let Some(&own) = call.own.get::<Idempotent>() {
        request = request.extension(own);
    }
    if let Some(&own) = call.own.get::<Attempts>() {
        request = request.extension(own);
    }
    request.body(call.body).send().await
}

async fn answered(response: Response) -> Answered {
    let story = response.extensions().get::<Story>().expect("an answer has its story").clone();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().iter().copied().map(char::from).collect()));
    Answered {
        status: response.status().as_u16(),
        headers: headers.collect(),
        body: response.bytes().await.map(|body| body.to_vec()).map_err(|error| error.to_string()),
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
