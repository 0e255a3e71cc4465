//! What a call costs its client: a kept-alive GET of 1 KiB on loopback, the instructions as callgrind counts them and the
//! allocations as DHAT does. 3 % more than what was measured is a failure.
//!
//! ```console
//! $ cargo run --release --manifest-path tests/bench-peers/Cargo.toml
//! $ cargo run --release --manifest-path tests/bench-peers/Cargo.toml profile forward
//! ```
//!
//! And what it holds of each connection that stands still, as DHAT finds it at the end of a client that has a
//! hundred more: more than its bound is a failure, too.
//!
//! ```console
//! $ cargo run --release --manifest-path tests/bench-peers/Cargo.toml memory
//! $ cargo run --release --manifest-path tests/bench-peers/Cargo.toml memory tls
//! ```
//!
//! The client runs under valgrind and has one thread; the server is a process of its own, which is not counted. What a run
//! of few calls costs is subtracted from what one of many does, so that the beginning and the end are not counted either.
#![forbid(unsafe_code)]

mod contender;
mod count;
mod memory;
mod server;
mod silent;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::contender::Contender;
use crate::count::{Client, Tool, held, per_call, profile};
use crate::memory::{Holder, Still};
use crate::server::Server;
use crate::silent::Over;

/// Counts what a call costs its client, and what that holds of a connection that stands still; all of it without a command
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Counts what is held of each connection that stands still
    Memory {
        /// What is spoken [default: all]
        over: Option<Over>,
    },
    /// Lists the functions in which a contender spends most instructions of a call
    Profile {
        #[arg(value_parser = MEASURED.map(|measured| measured.name))]
        contender: String,
    },
    #[command(hide = true)]
    Serve,
    #[command(hide = true)]
    Call { name: String, url: String, calls: u32 },
    #[command(hide = true)]
    Stand { over: Over },
    #[command(hide = true)]
    Hold { name: String, still: Still, over: Over, count: usize, url: String, certificate: String },
}

fn main() -> Result<ExitCode, BoxError> {
    let within = match Options::parse().task {
        None => [compare()?, memory(&Over::ALL)?] == [true; 2],
        Some(Task::Memory { over }) => memory(&over.map_or(Over::ALL.to_vec(), |over| vec![over]))?,
        Some(Task::Profile { contender }) => {
            list(&contender)?;
            true
        }
        Some(Task::Serve) => {
            server::serve()?;
            true
        }
        Some(Task::Call { name, url, calls }) => {
            Contender::new(&name, &url)?.call_often(calls)?;
            true
        }
        Some(Task::Stand { over }) => {
            silent::serve(over)?;
            true
        }
        Some(Task::Hold { name, still, over, count, url, certificate }) => {
            memory::hold(&Holder::new(&name, over, &url, &certificate)?, still, count)?;
            true
        }
    };
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what each contender costs, and tells whether that is within its bounds.
fn compare() -> Result<bool, BoxError> {
    let server = Server::start(&["serve"])?;
    println!("{:13} {:>12} {:>5} {:>11}", "per call", "instructions", "ratio", "allocations");
    let (mut first, mut within) = (None, true);
    for Measured { name, instructions: before, allocations: allocations_before } in MEASURED {
        let client = Client { name, url: server.url() };
        let instructions = per_call(&client, Tool::Callgrind)?;
        let allocations = per_call(&client, Tool::Dhat)?;
        let ratio = instructions / *first.get_or_insert(instructions);
        println!("{name:13} {instructions:12.0} {ratio:5.2} {allocations:11.1}");
        if instructions > before * TOLERATED || allocations > allocations_before * TOLERATED {
            eprintln!("{name}: 3 % more than {before} instructions or {allocations_before} allocations");
            within = false;
        }
    }
    Ok(within)
}

/// Prints what is held of each connection that stands still, and tells whether that is within its bound.
fn memory(overs: &[Over]) -> Result<bool, BoxError> {
    let mut within = true;
    for (over, most) in MOST_HELD.into_iter().filter(|(over, _)| overs.contains(over)) {
        println!(
            "{:17} {:>10} {:>10}",
            format!("bytes over {}", over.name()),
            contender::HYPER,
            contender::FORWARD
        );
        // Over HTTP/2 an answer that is not read takes the room that its stream has.
        for still in Still::ALL.into_iter().filter(|still| !over.is_http2() || still.is_idle()) {
            let theirs = match over {
                Over::Http1 => format!("{:.0}", held(contender::HYPER, still, over)?),
                _ => "-".to_owned(),
            };
            let ours = held(contender::FORWARD, still, over)?;
            println!("{:17} {theirs:>10} {ours:10.0}", still.name());
            if ours > most {
                eprintln!("{} over {}: more than {most} bytes", still.name(), over.name());
                within = false;
            }
        }
    }
    Ok(within)
}

/// Prints the functions in which a contender spends most instructions of a call.
fn list(name: &str) -> Result<(), BoxError> {
    let server = Server::start(&["serve"])?;
    for (function, instructions) in profile(&Client { name, url: server.url() })?.iter().take(LISTED) {
        println!("{instructions:9.1} {function}");
    }
    Ok(())
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a call of a contender costs.
struct Measured {
    name: &'static str,
    instructions: f64,
    allocations: f64,
}

/// What was measured with Rust 1.95 on x86-64 and the versions in the lock file.
const MEASURED: [Measured; 5] = [
    Measured { name: contender::HYPER, instructions: 27_770.0, allocations: 15.0 },
    Measured { name: contender::REQWEST, instructions: 61_860.0, allocations: 48.0 },
    Measured { name: contender::RETRY, instructions: 66_490.0, allocations: 55.0 },
    Measured { name: contender::GET, instructions: 22_990.0, allocations: 12.0 },
    Measured { name: contender::FORWARD, instructions: 24_910.0, allocations: 10.0 },
];

/// More than this multiple of what was measured is a failure.
const TOLERATED: f64 = 1.03;

/// More bytes than these for a connection that stands still are a failure.
const MOST_HELD: [(Over, f64); 4] =
    [(Over::Http1, 53_500.0), (Over::Tls, 107_000.0), (Over::Http2, 51_000.0), (Over::Http2Tls, 59_500.0)];

const LISTED: usize = 40;
