//! The log: lines to stderr.

use std::{env, io};

use failover_tokio::Lines;
use tracing::level_filters::LevelFilter;
use tracing::{Level, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Logs from now on as `RUST_LOG` says, and returns where the lines go.
pub(crate) fn begin() -> Lines {
    // The spans of calls, of which nothing is told at this level, would cost a fifth of each.
    let usual = Targets::new().with_default(Level::INFO).with_target("failover::call", LevelFilter::OFF);
    let (levels, refused) = match env::var("RUST_LOG") {
        Ok(levels) => levels.parse().map_or_else(|error| (usual, Some(error)), |levels| (levels, None)),
        Err(_) => (usual, None),
    };
    let lines = Lines::to(io::stderr());
    let writer = lines.clone();
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    tracing_subscriber::registry().with(layer).with(levels).init();
    if let Some(error) = refused {
        warn!("RUST_LOG is not heeded: {error}: expected levels such as info or failover=debug");
    }
    lines
}
