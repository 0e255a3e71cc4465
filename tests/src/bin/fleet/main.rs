//! A gateway under load whose backends are killed and started again, one after the other, and what its clients see of
//! that: nothing.
//!
//! `tests/kill-backends.sh` builds and runs it. It ends by itself, and all traffic stays on loopback.
#![forbid(unsafe_code)]

mod backend;
mod load;

use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, fs};

use clap::Parser;
use failover_tests::example::{self, Scratch};
use tokio::time::{Instant, sleep};

use crate::backend::{Backend, executions};
use crate::load::{Kind, Load};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Kills the backends of a gateway under load, and prints what its clients see of that
#[derive(Parser)]
#[command(name = "fleet", version)]
enum Task {
    /// Loads a gateway for so long, while its backends are killed
    Trial {
        /// The gateway's program
        #[arg(long, value_name = "FILE")]
        gateway: String,
        /// For how long
        #[arg(long, value_name = "N", default_value_t = 20)]
        seconds: u64,
    },
    /// Serves as one of the backends
    #[command(hide = true)]
    Backend { port: u16, journal: PathBuf },
}

fn main() -> ExitCode {
    let task = Task::parse();
    let ended =
        tokio::runtime::Runtime::new().map_err(Error::from).and_then(|runtime| runtime.block_on(run(task)));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "fleet: {error}");
            ExitCode::from(2)
        }
    }
}

/// Tells whether everything went as it should.
async fn run(task: Task) -> Result<bool, Error> {
    match task {
        Task::Trial { gateway, seconds } => trial(&gateway, Duration::from_secs(seconds)).await,
        Task::Backend { port, journal } => {
            backend::serve(port, &journal).await?;
            Ok(true)
        }
    }
}

/// Loads the gateway for so long, while the backends are killed.
async fn trial(gateway: &str, time: Duration) -> Result<bool, Error> {
    let mut backends = Vec::new();
    for _ in 0..BACKENDS {
        backends.push(Backend::start(scratch("journal", "")).await?);
    }
    let urls: Vec<_> =
        backends.iter().map(|backend| format!("'http://127.0.0.1:{}'", backend.port())).collect();
    let text = format!(
        "listen = '127.0.0.1:0'\n[failover]\nattempt_timeout = '2s'\ntargets = [{}]\n",
        urls.join(", ")
    );
    let config = scratch("gateway.toml", &text);
    let mut gateway = Gateway::start(gateway, &config.path())?;

    say(&format!("{CONNECTIONS} connections to a gateway before {BACKENDS} backends, for {time:?}"));
    let load = Load::start(&gateway.address, CONNECTIONS, Instant::now() + time);
    let mut kills = 0;
    while !load.is_over() {
        sleep(KILL_PAUSE).await;
        let backend = &mut backends[kills % BACKENDS];
        backend.kill()?;
        kills += 1;
        sleep(DOWN_TIME).await;
        backend.restart().await?;
    }
    let tallies = load.end().await?;
    let memory = gateway.peak_memory();
    let code = gateway.end();
    let executed = executions(&backends)?;

    say(&format!("{kills} times a backend was killed with SIGKILL and started again\n"));
    let (mut answered, mut failed) = (0, 0);
    for (kind, tally) in &tallies {
        // What was answered was executed, and what may not be executed twice was not.
        let lost = tally.answered.iter().filter(|id| !executed.contains_key(*id)).count();
        let ids = tally.answered.iter().chain(&tally.in_doubt);
        let twice = ids.filter(|id| executed.get(*id).is_some_and(|times| *times > 1)).count();
        say(&format!(
            "{kind:<22} {:>8} answered {:>5} failed {:>5} in doubt, as was told {twice:>5} executed twice",
            tally.answered.len(),
            tally.wrong.len() + lost,
            tally.in_doubt.len(),
        ));
        for wrong in tally.wrong.iter().take(5) {
            say(&format!("    {wrong}"));
        }
        answered += tally.answered.len();
        failed += tally.wrong.len() + lost + if *kind == Kind::Post { twice } else { 0 };
    }
    let rate = answered as u64 / time.as_secs().max(1);
    let ended = code.map_or_else(|| "by a signal".to_owned(), |code| format!("with exit code {code}"));
    say(&format!("\n{rate} answers per second; the gateway took at most {memory}, and ended {ended}"));
    say(&format!("{failed} failed requests"));
    Ok(failed == 0 && answered > 0 && code == Some(0))
}

/// The gateway, running; killed when this is dropped.
struct Gateway {
    process: Child,
    address: String,
}

impl Gateway {
    fn start(program: &str, config: &str) -> Result<Self, Error> {
        let mut process = Command::new(program)
            .args(["--config", config])
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim_end().strip_prefix("listening on http://").map(str::to_owned);
        let gateway = Self { process, address: address.unwrap_or_default() };
        if gateway.address.is_empty() { Err("the gateway did not start".into()) } else { Ok(gateway) }
    }

    /// The most memory that it took, where the system tells.
    fn peak_memory(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.map_or_else(|| "an unknown amount".to_owned(), |size| size.trim().to_owned())
    }

    /// Tells it to end, and waits until it has.
    fn end(&mut self) -> Option<i32> {
        example::signal(&self.process, "TERM");
        example::wait(&mut self.process).code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn scratch(name: &str, text: &str) -> Scratch {
    Scratch::file(env::temp_dir().to_string_lossy().as_ref(), name, text)
}

fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

const BACKENDS: usize = 3;
const CONNECTIONS: usize = 64;

/// How long all backends run between two kills.
const KILL_PAUSE: Duration = Duration::from_millis(700);

/// How long a backend is down.
const DOWN_TIME: Duration = Duration::from_millis(800);
