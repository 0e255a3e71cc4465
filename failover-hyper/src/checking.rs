//! The task that runs the checks of a group.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use failover_core::{BuildError, CheckNext, Checker, Evidence, Head, Target};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use tokio::sync::{mpsc, oneshot};

use crate::connections::Connections;
use crate::default_headers::DefaultHeaders;
use crate::evidence;
use crate::observed::{Met, Observed};
use crate::progress::Progress;
use crate::request_body::{AttemptBody, CallBody};
use crate::runtime::Runtime;

/// The checks of a group, which are run for as long as this is kept.
///
/// Each is a GET of the policy's path, joined to the target's as that of any request, with the target's own headers and
/// those that each request has. It follows no redirects, and is in no metrics of calls.
#[derive(Debug)]
pub(crate) struct Checking {
    _end: oneshot::Sender<()>,
}

/// How one check went.
type Report = (usize, Result<StatusCode, Evidence>);

impl Checking {
    /// Begins to run the checks of a group, if its policy has any. There are connections to each of its targets; each check has
    /// `headers`, unless the target has them of its own.
    ///
    /// # Errors
    ///
    /// There is no runtime to run them.
    pub(crate) fn start<R: Runtime>(
        observed: &Observed,
        connections: &[Connections<R>],
        headers: &DefaultHeaders,
    ) -> Result<Option<Self>, BuildError> {
        let Some(checker) = observed.group().checker() else { return Ok(None) };
        if !R::is_running() {
            let path = &checker.checks().path;
            return Err(BuildError::new(
                "checks.path",
                path,
                "a runtime that runs where the client is built",
            ));
        }
        let (end, ended) = oneshot::channel();
        R::spawn(run(checker, observed.clone(), connections.to_vec(), headers.clone(), ended));
        Ok(Some(Self { _end: end }))
    }
}

async fn run<R: Runtime>(
    mut checker: Checker<Target>,
    observed: Observed,
    connections: Vec<Connections<R>>,
    headers: DefaultHeaders,
    mut ended: oneshot::Receiver<()>,
) {
    let (reports, mut reported) = mpsc::unbounded_channel::<Report>();
    loop {
        let next = checker.next(observed.clock().now());
        observed.tell(Met::Nothing);
        match next {
            CheckNext::Ask(index) => {
                let path = &checker.checks().path;
                let request = checker.target(index).and_then(|target| request::<R>(path, target, &headers));
                let (connections, reports, bound) =
                    (connections[index].clone(), reports.clone(), checker.checks().timeout);
                let Some(request) = request else {
                    checker.report(index, Err(Evidence::LocalFault));
                    continue;
                };
                R::spawn(async move {
                    let result = check(&connections, request, bound).await;
                    // Nobody wants to know any more once the checks have ended.
                    let _ = reports.send((index, result));
                });
            }
            CheckNext::Wait(time) => {
                let mut pause = pin!(R::sleep(time));
                let next = poll_fn(|cx| {
                    if pin!(&mut ended).poll(cx).is_ready() {
                        return Poll::Ready(None);
                    }
                    match reported.poll_recv(cx) {
                        Poll::Ready(report) => Poll::Ready(Some(report)),
                        Poll::Pending => pause.as_mut().poll(cx).map(|()| Some(None)),
                    }
                });
                match next.await {
                    None => return,
                    Some(None) => {}
                    Some(Some((index, result))) => checker.report(index, result),
                }
            }
        }
    }
}

fn request<R: Runtime>(path: &str, target: &Target, all: &DefaultHeaders) -> Option<Request<AttemptBody>> {
    let path = PathAndQuery::try_from(path).ok()?;
    let mut headers = HeaderMap::new();
    all.complete(&mut headers);
    let head = Head::new(Method::GET, path, headers, Some(0))?;
    let body = CallBody::whole("").attempt(Progress::start::<R>(), None);
    head.aim(target, body).ok()
}

async fn check<R: Runtime>(
    connections: &Connections<R>,
    request: Request<AttemptBody>,
    bound: Duration,
) -> Result<StatusCode, Evidence> {
    let progress = request.body().progress().clone();
    match R::timeout(bound, connections.send(request)).await {
        None if progress.is_unconnected() => Err(Evidence::NoConnection),
        None => Err(Evidence::MaybeProcessed),
        Some(Err(error)) => Err(evidence::of(&error).0),
        Some(Ok(response)) => {
            let status = response.status();
            // A short answer leaves its connection to the next request.
            R::timeout(bound, Limited::new(response.into_body(), SHORT).collect()).await;
            Ok(status)
        }
    }
}

/// How much of a check's answer is read.
const SHORT: usize = 64 << 10;
