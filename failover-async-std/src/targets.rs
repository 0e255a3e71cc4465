//! A group of targets and its time, and calls through it.

use bytes::Bytes;
use failover_core::{BuildError, Group, Snapshot, Target};
use failover_hyper::{Clock, Exchange, Template, perform};
use http_body::Body;

use crate::convert::shown;
use crate::error::Error;
use crate::runtime::AsyncStd;

/// A group of targets, and its time.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) group: Group<Target>,
    pub(crate) clock: Clock,
}

impl Targets {
    pub(crate) fn new(group: Group<Target>) -> Self {
        Self { group, clock: Clock::start::<AsyncStd>() }
    }

    /// Runs a call from its first attempt to its end.
    ///
    /// # Errors
    ///
    /// The request cannot be sent, the call stopped without an acceptable answer, or surf cannot hold the answer.
    pub(crate) async fn run<X>(
        &self,
        template: Option<Template>,
        exchange: &X,
    ) -> Result<surf::Response, Error>
    where
        X: Exchange<Body: Body<Data = Bytes> + Sync + 'static>,
    {
        let template = template.ok_or(Error::Method)?;
        match perform::<AsyncStd, _>(&self.group, self.clock, &template, exchange).await {
            Ok(response) => shown(response).map_err(Error::Unrepresentable),
            Err(stopped) => Err(Error::Stopped(stopped.map_response(shown))),
        }
    }

    /// Makes this target the one where the next call begins.
    pub(crate) fn prefer(&self, index: usize) -> Result<(), BuildError> {
        self.group.prefer(index, self.clock.now())
    }

    /// What is remembered of the targets.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.group.snapshot(self.clock.now())
    }
}
