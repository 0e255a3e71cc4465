//! The status: as JSON, and as a page that shows the same.

use failover_tokio::core::CheckState;
use failover_tokio::{AdminState, Cause, FailoverClient, TargetSnapshot};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::ledger::{Ledger, Reading, Report, Standing, Watched};
use crate::places::Taken;
use crate::problem::{Body, answer};

/// What is shown.
#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    standing: Standing,
    /// The index of the target where the next call begins.
    sticky: usize,
    targets: Vec<TargetStatus>,
    probes: u64,
    clients: Taken,
    #[serde(flatten)]
    report: Report,
}

#[derive(Serialize)]
struct TargetStatus {
    index: usize,
    /// The one that it was given, or else its URL.
    name: String,
    /// Scheme, host and port.
    url: String,
    /// What an administrator wants of it.
    state: AdminState,
    /// What its checks come to, if there are checks.
    check: Option<CheckState>,
    cooling: bool,
    /// In seconds, while it cools down.
    cooling_for: Option<f64>,
    strikes: u8,
    /// In seconds: how long the head of its answer usually takes, if that is known.
    usual: Option<f64>,
    /// In seconds: when it is probed, if it is preferred to the sticky target and the cursor comes back.
    probe_in: Option<f64>,
    failed_probes: u8,
    /// The status or the evidence.
    last_failure: Option<Cause<()>>,
    #[serde(flatten)]
    attempts: Reading,
}

/// Answers with the status as it is asked for: a page for a browser, else JSON.
///
/// The client's targets are those that are watched.
pub(crate) fn show(
    asked: &HeaderMap,
    client: &FailoverClient,
    watched: &[Watched],
    ledger: &Ledger,
    clients: Taken,
) -> Response<Body> {
    let mut response = if wants_a_page(asked) {
        answer(StatusCode::OK, "text/html; charset=utf-8", PAGE)
    } else {
        let status = Status::of(client, watched, ledger, clients);
        answer(StatusCode::OK, "application/json", serde_json::to_vec(&status).unwrap_or_default())
    };
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (VARY, "accept"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Status {
    fn of(client: &FailoverClient, watched: &[Watched], ledger: &Ledger, clients: Taken) -> Self {
        let snapshot = client.snapshot();
        let target = |(index, (watched, target)): (usize, (&Watched, TargetSnapshot))| TargetStatus {
            index,
            name: watched.name().to_owned(),
            url: watched.target.to_string(),
            state: target.state,
            check: target.check,
            cooling: target.cooling.is_some(),
            cooling_for: target.cooling.map(|left| left.as_secs_f64()),
            strikes: target.strikes,
            usual: target.usual.map(|time| time.as_secs_f64()),
            probe_in: target.probe_in.map(|left| left.as_secs_f64()),
            failed_probes: target.failed_probes,
            last_failure: target.last_failure,
            attempts: watched.reading(ledger),
        };
        Self {
            standing: ledger.stand(&snapshot, watched),
            sticky: snapshot.sticky,
            targets: watched.iter().zip(snapshot.targets).enumerate().map(target).collect(),
            probes: snapshot.probes,
            clients,
            report: ledger.report(),
        }
    }
}

fn wants_a_page(asked: &HeaderMap) -> bool {
    asked
        .get_all(ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")))
}

const PAGE: &str = include_str!("status.html");

/// The page asks for nothing but itself and the status.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
