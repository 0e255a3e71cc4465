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

use failover_tests::example::Scratch;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let is_backend = words.first() == Some(&"backend");
    let runtime =
        if is_backend { runtime::Builder::new_current_thread().enable_all().build() } else { Runtime::new() };
    let ended = runtime.map_err(Error::from).and_then(|runtime| {
        runtime.block_on(async {
            let mut terminated = signal(SignalKind::terminate())?;
            // Whoever is interrupted ends what it started.
            tokio::select! {
                ended = run(&words) => ended,
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
async fn run(words: &[&str]) -> Result<bool, Error> {
    match *words {
        ["backend", name, port, backlog, journal] => {
            backend::serve(name, port.parse()?, backlog.parse()?, journal.as_ref()).await?;
            Ok(true)
        }
        [gateway, "well", ref rest @ ..] => {
            well::perform(gateway, rest).await?;
            count::perform(gateway).await
        }
        [gateway, "count"] => count::perform(gateway).await,
        [gateway, "fire", ref rest @ ..] => {
            fire::perform(gateway, &fire::Order::of(rest)?).await?;
            Ok(true)
        }
        _ => Err("usage: proxies GATEWAY well [ROUNDS] | count | fire [--quick] [SCENE...]".into()),
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
