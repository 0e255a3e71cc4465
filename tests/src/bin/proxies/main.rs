//! The gateway beside nginx and `HAProxy`, each as a proxy before two backends: what a request costs while all is well, and
//! what callers see while the first backend is under fire.
//!
//! `tests/proxies.sh` builds and runs it. It ends by itself, and all traffic stays on loopback.
#![forbid(unsafe_code)]

mod backend;
mod caller;
mod contender;
mod count;
mod figures;
mod fire;
mod process;
mod well;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, value_parser};
use failover_tests::example::Scratch;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Holds the gateway beside other proxies, each before two backends
#[derive(Parser)]
#[command(name = "proxies", version)]
enum Task {
    /// All is well: requests per second, processor time and instructions of a request
    Well {
        #[command(flatten)]
        options: Options,
        /// How many rounds there are
        #[arg(long, value_name = "N", default_value_t = 7, value_parser = value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Of these only the instructions, and where they go
    Count(Options),
    /// The first backend is killed, stopped and so on under load, and brought back: what fails, and for how long
    Fire {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        order: fire::Order,
    },
    /// Serves as one of the backends
    #[command(hide = true)]
    Backend { name: String, port: u16, backlog: u32, journal: PathBuf },
}

#[derive(Args)]
struct Options {
    /// The gateway's program
    #[arg(long, value_name = "FILE")]
    gateway: String,
}

fn main() -> ExitCode {
    let task = Task::parse();
    let runtime = if matches!(task, Task::Backend { .. }) {
        runtime::Builder::new_current_thread().enable_all().build()
    } else {
        Runtime::new()
    };
    let ended = runtime.map_err(Error::from).and_then(|runtime| {
        runtime.block_on(async {
            let mut terminated = signal(SignalKind::terminate())?;
            // Whoever is interrupted ends what it started.
            tokio::select! {
                ended = run(task) => ended,
                _ = terminated.recv() => Err("terminated".into()),
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            }
        })
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "proxies: {error}");
            ExitCode::from(2)
        }
    }
}

/// Tells whether everything is within its bounds.
async fn run(task: Task) -> Result<bool, Error> {
    match task {
        Task::Well { options, rounds } => {
            well::perform(&options.gateway, rounds).await?;
            count::perform(&options.gateway).await
        }
        Task::Count(options) => count::perform(&options.gateway).await,
        Task::Fire { options, order } => {
            fire::perform(&options.gateway, &order).await?;
            Ok(true)
        }
        Task::Backend { name, port, backlog, journal } => {
            backend::serve(&name, port, backlog, &journal).await?;
            Ok(true)
        }
    }
}

/// A folder that is gone when what holds it is dropped.
fn scratch() -> (Scratch, PathBuf) {
    let held = Scratch::file(env::temp_dir().to_string_lossy().as_ref(), "folder", "");
    let folder = PathBuf::from(held.path()).with_file_name("");
    (held, folder)
}

fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
