//! The gateway, as its operators and its clients meet it.
#![forbid(unsafe_code)]
#![cfg(unix)]

mod access;
mod admin;
mod configuration;
mod door;
mod faults;
mod floods;
mod frames;
mod limits;
mod listeners;
mod memory;
mod page;
mod process;
mod proxy;
mod record;
mod resources;
mod routes;
mod signals;
mod smuggling;
mod status;
mod tls;
mod upgrades;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use failover_tests::example::{self, Run, Scratch};
use failover_tests::lab::{LIMIT, Server};
use failover_tests::wire::{Answer, Connection};
use serde_json::Value;

/// The gateway, running; killed when this is dropped.
struct Gateway {
    process: Child,
    /// Kept open, as by somebody who reads on.
    stdout: BufReader<ChildStdout>,
    url: String,
    config: Scratch,
    log: Mutex<Receiver<String>>,
    logged: Mutex<Vec<String>>,
}

impl Gateway {
    /// A gateway before these targets, that fails over as `failover` says.
    fn before<'a>(targets: impl IntoIterator<Item = &'a Server>, failover: &str) -> Self {
        let urls: Vec<_> = targets.into_iter().map(Server::url).collect();
        Self::configured(&config("", &urls, failover))
    }

    fn configured(text: &str) -> Self {
        Self::run(Command::new(&*GATEWAY), text)
    }

    /// Started by a command that only lacks the arguments.
    fn run(mut command: Command, text: &str) -> Self {
        command.args(["--listen", "127.0.0.1:0"]);
        Self::run_where_told(command, text)
    }

    /// The same, listening where the configuration says.
    fn run_where_told(mut command: Command, text: &str) -> Self {
        let config = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", text);
        if command.get_envs().all(|(name, _)| name != "RUST_LOG") {
            command.env("RUST_LOG", "info,failover=debug");
        }
        let mut process = command
            .args(["--config", &config.path()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (sender, log) = channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").map(str::to_owned);
        let Some(url) = url else { panic!("{line}: {:?}", log.recv_timeout(LIMIT)) };
        Self { process, stdout, url, config, log: Mutex::new(log), logged: Mutex::default() }
    }

    /// Where operators ask. To be called once.
    fn operators(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().strip_prefix("for operators on ").expect("there is an admin listener").to_owned()
    }

    /// Answers a request without a body, on a connection of its own.
    fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(method, path, "", "")
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path)
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &format!("content-length: {}\r\n", body.len()), body)
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut connection = self.connect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: front.example\r\nconnection: close\r\n{headers}\r\n{body}"
        );
        connection.write(head.as_bytes());
        connection.read(method).expect("there is an answer")
    }

    fn connect(&self) -> Connection {
        Connection::to(&self.url)
    }

    /// What the status page tells, as JSON.
    fn status(&self) -> Value {
        self.get("/-/failover").json()
    }

    /// Waits until the status is as it should be.
    fn wait_for_status(&self, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.status();
            if is(&status) {
                return status;
            }
            assert!(began.elapsed() < LIMIT, "{status:#}");
            // What a status tells of can be asked for only.
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a line is logged that holds this, and returns it.
    fn wait_for_log(&self, part: &str) -> String {
        let mut logged = self.logged.lock().unwrap();
        if let Some(line) = logged.iter().find(|line| line.contains(part)) {
            return line.clone();
        }
        loop {
            let next = self.log.lock().unwrap().recv_timeout(LIMIT);
            let Ok(line) = next else { panic!("no {part} in {logged:#?}") };
            logged.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Reads the configuration again, and returns what is logged of that.
    fn reload(&self, text: &str) -> String {
        self.config.write(text);
        self.logged.lock().unwrap().clear();
        self.signal("HUP");
        self.wait_for_log("the configuration")
    }

    fn signal(&self, name: &str) {
        example::signal(&self.process, name);
    }

    fn wait(&mut self) -> ExitStatus {
        example::wait(&mut self.process)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Tells those who work beside a test when it is over, even if it has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A configuration with a status and metrics: what comes before the table `failover`, and what is in it.
fn config(top: &str, urls: &[impl AsRef<str>], failover: &str) -> String {
    let mut text = format!(
        "status_path = '/-/failover'\nmetrics_path = '/-/metrics'\n{top}\n[failover]\n{failover}\ntargets = ["
    );
    for url in urls {
        let _ = write!(text, "'{}', ", url.as_ref());
    }
    text + "]\n"
}

/// Runs the gateway with arguments that it refuses, and returns its one line.
fn refusal(args: &[&str]) -> String {
    Run::of(&GATEWAY, args).refusal()
}

static GATEWAY: LazyLock<PathBuf> = LazyLock::new(|| example::binary("failover-gateway"));

/// The bound of an attempt: short enough to wait for, and long enough that a busy machine answers within it.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Fails over at the end of that.
const HASTY: &str = "attempt_timeout = '2s'";
