//! The suite of all adapters, over the one for async-std.
#![forbid(unsafe_code)]

mod suite;
mod transport;

use std::error::Error as _;
use std::fmt::Write as _;

use async_std::future::timeout;
use async_std::task::{self, JoinHandle};
use failover_async_std::{AttemptError, Builder, Error, FailoverClient, RequestBuilder};
use failover_core::{Evidence, Failure, Policy, Reason, Target};
use failover_tests::lab::LIMIT;
use http::Request;

use suite::{Answered, Call, Failed, Outcome, Stopped};

/// The adapter as the suite calls it.
pub(crate) struct Client {
    client: FailoverClient,
}

/// A call that is under way.
pub(crate) struct Started {
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
        Self { client: builder.build().expect("the settings make sense") }
    }

    pub(crate) fn call(&self, call: &Call) -> Outcome {
        block_on(perform(&self.client, call.clone()))
    }

    pub(crate) fn send(&self, begin: impl FnOnce(&FailoverClient) -> RequestBuilder) -> Outcome {
        let request = begin(&self.client);
        block_on(async { outcome(request.send().await).await })
    }

    pub(crate) fn skim(&self, call: &Call) -> u16 {
        block_on(async {
            send(&self.client, call.clone()).await.expect("there is an answer").status().into()
        })
    }

    pub(crate) fn start(&self, call: Call) -> Started {
        let client = self.client.clone();
        Started { task: task::spawn(async move { perform(&client, call).await }) }
    }

    pub(crate) fn set_targets(&self, targets: Vec<Target>, policy: Policy) {
        self.client.set_targets(targets, policy).expect("the settings make sense");
    }

    pub(crate) fn prefer(&self, target: usize) {
        self.client.prefer(target).expect("there is such a target");
    }

    pub(crate) fn sticky(&self) -> usize {
        self.client.sticky()
    }
}

impl Started {
    pub(crate) fn finish(self) -> Outcome {
        block_on(self.task)
    }

    pub(crate) fn cancel(self) {
        assert!(block_on(self.task.cancel()).is_none());
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    task::block_on(async { timeout(LIMIT, future).await.expect("nothing takes that long") })
}

async fn perform(client: &FailoverClient, call: Call) -> Outcome {
    outcome(send(client, call).await).await
}

async fn outcome(result: Result<surf::Response, Error>) -> Outcome {
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
        Some(mut response) => {
            let body = response.body_bytes().await.expect("the body can be read");
            Some((response.status().into(), body))
        }
        None => None,
    };
    Err(Stopped { reason, failures, answer, message, debug })
}

async fn send(client: &FailoverClient, call: Call) -> Result<surf::Response, Error> {
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

async fn answered(mut response: surf::Response) -> Answered {
    let story = response.ext::<failover_async_std::Answered>().expect("an answer has its story").clone();
    let headers = response.iter().flat_map(|(name, values)| {
        values.iter().map(|value| (name.as_str().to_owned(), value.as_str().to_owned()))
    });
    Answered {
        status: response.status().into(),
        headers: headers.collect(),
        body: response.body_bytes().await.map_err(|error| error.to_string()),
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
