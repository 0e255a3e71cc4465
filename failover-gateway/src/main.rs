//! A failover reverse proxy.
//!
//! ```console
//! $ failover-gateway --config gateway.toml
//! $ curl http://127.0.0.1:9090/fo
//! ```
//!
//! SIGHUP reads the configuration again, SIGTERM lets the calls under way end. The variable `RUST_LOG` sets what is
//! logged: with `failover=debug`, for example, every attempt is.
#![forbid(unsafe_code)]

mod access;
mod activity;
mod admin;
mod caller;
mod conversation;
mod door;
mod explain;
mod failed;
mod gateway;
mod ledger;
mod listener;
mod log;
mod meaning;
mod minutes;
mod mistake;
mod options;
mod outgoing;
mod places;
mod preface;
mod problem;
mod seconds;
mod secrets;
mod server;
mod settings;
mod signals;
mod socket;
mod state;
mod status;
mod stops;
mod supervisor;
mod tls;
mod why;
mod woken;

use std::env;
use std::future::pending;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use failover_tokio::Recorder;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use mimalloc::MiMalloc;
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tracing::{info, warn};

use crate::gateway::Gateway;
use crate::listener::Listener;
use crate::meaning::Meaning;
use crate::options::{Asked, Options};
use crate::places::Places;
use crate::settings::{Limits, Settings};
use crate::signals::Signals;
use crate::supervisor::State;

/// Each request takes and gives back some thirty pieces of memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let (options, is_check) = match Asked::parse(env::args_os()) {
        Ok(Asked::Text(text)) => return tell(text.trim_end()),
        Ok(Asked::Explain(file)) => {
            return explain::story(&file)
                .map_or_else(|message| refuse(&message), |story| tell(story.trim_end()));
        }
        Ok(Asked::Check(options)) => (options, true),
        Ok(Asked::Serve(options)) => (options, false),
        Err(message) => return refuse(&message),
    };
    let settings = match Settings::read(&options.config) {
        Ok(settings) => settings,
        Err(message) => return refuse(&message),
    };
    if is_check {
        return check(&options, &settings).map_or_else(|message| refuse(&message), |meaning| tell(&meaning));
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("no runtime: {error}")),
    };
    let ended = runtime.block_on(run(&options, settings));
    // A name that is still being resolved keeps a thread busy, which nobody waits for.
    runtime.shutdown_background();
    ended.unwrap_or_else(|message| refuse(&message))
}

/// Tells what the file says.
fn check(options: &Options, settings: &Settings) -> Result<String, String> {
    // It never runs what a client begins on it.
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let _inside = runtime.enter();
    gateway::client(settings, &Recorder::default())
        .map_err(|error| format!("{}: {error}", options.config.display()))?;
    let listen = options.listen.as_deref().unwrap_or(&settings.listen);
    Ok(Meaning { settings, listen }.to_string())
}

/// Serves until the process is told to end.
async fn run(options: &Options, settings: Settings) -> Result<ExitCode, String> {
    let mut signals = Signals::listen().map_err(|error| format!("no signals: {error}"))?;
    let limits = settings.limits;
    let (told, address) = match &options.listen {
        Some(address) => (format!("--listen = {address}"), address.clone()),
        None => (settings.told("listen", &settings.listen), settings.listen.clone()),
    };
    let admin = settings.admin.as_ref().map(|admin| {
        let address = admin.address();
        (settings.told("admin.listen", address), address.to_owned())
    });
    let warnings = settings.warnings.clone();
    let settings = settings.opened().map_err(|error| format!("{}: {error}", options.config.display()))?;
    let gateway = Gateway::new(settings, metrics()?);
    let gateway = Arc::new(gateway.map_err(|error| format!("{}: {error}", options.config.display()))?);
    let listener = bind(&told, &address).await?;
    let admin = match admin {
        Some((told, address)) => Some((bind(&told, &address).await?, told)),
        None => None,
    };

    let log = log::begin();
    tokio::spawn(Arc::clone(&gateway).watch());
    for warning in warnings {
        warn!("{warning}");
    }
    provide_descriptors(limits.max_connections);
    say(&format!("listening on {}", listener.url(gateway.tls().is_some())));
    let mut serving_operators = JoinSet::new();
    if let Some((mut admin, told)) = admin {
        admin.keep_private().map_err(|error| format!("{told}: {error}"))?;
        say(&format!("for operators on {}", admin.url(false)));
        let operators = Arc::clone(&gateway);
        let handler = move |request, caller| Arc::clone(&operators).administer(request, caller);
        let limits = Limits::of_operators();
        let places = Places::new(limits.max_connections).connections();
        serving_operators.spawn(server::serve(admin, None, limits, places, handler, pending()));
    }
    let answering = Arc::clone(&gateway);
    let handler = move |request, caller| Arc::clone(&answering).answer(request, caller);
    let (end, ending) = oneshot::channel();
    let serving = server::serve(listener, gateway.tls(), limits, gateway.places(), handler, async {
        let _ = ending.await;
    });
    let config = options.config.clone();
    let told = async {
        supervisor::tell(&State::Ready);
        let read = move || Settings::read(&config).and_then(Settings::opened);
        signals.obey(read, |settings| gateway.adopt(settings)).await;
        gateway.leave();
        info!("the process was told to end");
        supervisor::tell(&State::Stopping);
        tokio::select! {
            () = sleep(limits.shutdown_delay) => {}
            () = signals.end() => return,
        }
        info!("no more connections are taken, and the calls under way end");
        let _ = end.send(());
        signals.end().await;
    };
    let have_ended = tokio::select! {
        have_ended = serving => Some(have_ended),
        () = told => None,
    };
    match have_ended {
        Some(true) => info!("all calls have ended"),
        Some(false) => warn!("calls were cut off that did not end within {:?}", limits.drain_timeout),
        None => warn!("calls are cut off: the process was told to end once more"),
    }
    // With it a Unix socket goes.
    serving_operators.shutdown().await;
    gateway.flush();
    log.flush();
    Ok(if have_ended == Some(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn bind(told: &str, address: &str) -> Result<Listener, String> {
    Listener::bind(address).await.map_err(|error| format!("{told}: {error}"))
}

/// Installs what collects the metrics.
fn metrics() -> Result<PrometheusHandle, String> {
    let durations = Matcher::Suffix("_duration_seconds".to_owned());
    let builder = PrometheusBuilder::new()
        // They are set whenever they are read, so that one which was not is of a target that is gone.
        .idle_timeout(MetricKindMask::GAUGE, Some(GAUGE_TIME))
        .set_buckets_for_metric(durations, &DURATION_BUCKETS);
    let handle = builder.and_then(PrometheusBuilder::install_recorder).map_err(|error| error.to_string())?;
    failover_tokio::describe_metrics();
    gateway::describe_metrics();
    let collected = handle.clone();
    tokio::spawn(async move {
        // Until it is sorted into its buckets, what was measured is kept one by one.
        let mut upkeep = interval(UPKEEP_INTERVAL);
        loop {
            upkeep.tick().await;
            collected.run_upkeep();
        }
    });
    Ok(handle)
}

/// Sees to it that each connection of a client can have one to a target, and each call beyond those.
fn provide_descriptors(max_connections: u32) {
    let needed = 3 * u64::from(max_connections) + OTHER_DESCRIPTORS;
    match rlimit::increase_nofile_limit(needed) {
        Ok(found) if found >= needed => {}
        Ok(found) => {
            warn!(
                "max_connections = {max_connections} may need {needed} file descriptors; there are {found}"
            );
        }
        Err(error) => warn!("file descriptors may be short of the {needed} that are needed: {error}"),
    }
}

/// Prints a line, and tells whether somebody reads it.
fn say(line: &str) -> bool {
    writeln!(io::stdout(), "{line}").is_ok()
}

/// Prints what was asked for.
fn tell(text: &str) -> ExitCode {
    if say(text) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Complains in one line.
fn refuse(message: &str) -> ExitCode {
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(io::stderr(), "failover-gateway: {message}");
    ExitCode::from(2)
}

/// How long a gauge is shown that is not set any more.
const GAUGE_TIME: Duration = Duration::from_secs(1);

/// In seconds: from an answer on the same machine to the usual bound of an attempt.
const DURATION_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// For what is no connection of a call.
const OTHER_DESCRIPTORS: u64 = 128;
