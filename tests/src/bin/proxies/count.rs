//! The instructions of a request at the gateway, as callgrind counts them, without those of the system: over 64 connections at
//! once, as under load, and one request at a time, which costs the more as each wakes the gateway.
//!
//! What few requests cost is subtracted from what many do, so that the beginning and the end are not counted. 3 % more than
//! what was measured one at a time is a failure, and so is more than the goal over 64 connections.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::contender::{Contender, Place, Proxy, start_backend};
use crate::process::free_port;
use crate::{Error, say, scratch};

/// Prints what a request costs and where, and tells whether that is within its bound.
pub(crate) async fn perform(gateway: &str) -> Result<bool, Error> {
    let (few, many) =
        (Profile::of(gateway, Load::Single, FEW).await?, Profile::of(gateway, Load::Single, MANY).await?);
    let single = of_one(many.total, few.total);
    say(&format!(
        "\n{single:.0} instructions of the gateway for a request, one at a time; measured before: {MEASURED:.0}"
    ));
    // How many requests it finds at once depends on how fast the others are, too.
    let (mut instructions, mut few, mut many) = Profile::both(gateway).await?;
    for _ in 1..ROUNDS {
        let again = Profile::both(gateway).await?;
        if again.0 < instructions {
            (instructions, few, many) = again;
        }
    }
    say(&format!("{instructions:.0} over {CONNECTIONS} connections; goal: {GOAL:.0}"));
    for (title, many, few) in
        [("their own", &many.own, &few.own), ("with what they call", &many.inclusive, &few.inclusive)]
    {
        say(&format!("\nInstructions of functions for a request, {title}:"));
        let of_one = |(name, many): (&String, &u64)| {
            (of_one(*many, few.get(name).copied().unwrap_or_default()), name.clone())
        };
        let mut functions: Vec<_> = many.iter().map(of_one).collect();
        functions.sort_by(|(left, _), (right, _)| right.total_cmp(left));
        // What nearly all of it is part of says nothing.
        let told = functions.iter().filter(|(cost, _)| *cost < instructions * 0.9);
        for (cost, name) in told.take(LISTED) {
            say(&format!("{cost:9.1} {name}"));
        }
    }
    let is_dear = single > MEASURED * TOLERATED;
    if is_dear {
        say(&format!("\nmore than 3 % over {MEASURED:.0} instructions, one at a time"));
    }
    if instructions > GOAL {
        say(&format!("\nmore than {GOAL:.0} instructions over {CONNECTIONS} connections"));
    }
    Ok(!is_dear && instructions <= GOAL)
}

/// How requests are sent.
#[derive(Clone, Copy)]
enum Load {
    /// One after the other.
    Single,
    /// Over many connections, one after the other on each.
    Together,
}

/// What a run of the gateway cost.
struct Profile {
    total: u64,
    /// Each function's own.
    own: HashMap<String, u64>,
    /// Each function's with what it calls.
    inclusive: HashMap<String, u64>,
}

impl Profile {
    /// What a request costs over many connections, and the runs that tell it.
    async fn both(gateway: &str) -> Result<(f64, Self, Self), Error> {
        let few = Self::of(gateway, Load::Together, FEW).await?;
        let many = Self::of(gateway, Load::Together, MANY).await?;
        Ok((of_one(many.total, few.total), few, many))
    }

    /// Runs the gateway for so many requests.
    async fn of(gateway: &str, load: Load, requests: u32) -> Result<Self, Error> {
        let (_held, folder) = scratch();
        let counts = folder.join("callgrind.out");
        // With more workers it depends on their moods which of them wakes up.
        let under = ["env", "TOKIO_WORKER_THREADS=1", "valgrind", "--tool=callgrind"].map(str::to_owned);
        let under = [&under[..], &[format!("--callgrind-out-file={}", counts.display())]].concat();
        let place =
            Place { gateway, under: &under, folder, backends: [free_port().await?, free_port().await?] };
        let _backend = start_backend(&place).await?;
        let proxy = Proxy::start(Contender::Gateway, &place).await?;
        match load {
            Load::Single => ask(&proxy.address(), requests, Some(PAUSE)).await?,
            Load::Together => {
                let mut asking = JoinSet::new();
                for _ in 0..CONNECTIONS {
                    let address = proxy.address();
                    asking.spawn(async move { ask(&address, requests / CONNECTIONS, None).await });
                }
                while let Some(asked) = asking.join_next().await {
                    asked??;
                }
            }
        }
        let status = proxy.process.end().await?;
        if !status.success() {
            return Err(format!("the gateway under callgrind: {status}").into());
        }
        let (total, own) = functions(&counts, "no")?;
        let (_, inclusive) = functions(&counts, "yes")?;
        Ok(Self { total, own, inclusive })
    }
}

/// Asks so often, one request after the other.
async fn ask(address: &str, requests: u32, pause: Option<Duration>) -> Result<(), Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    for _ in 0..requests {
        let mut request = Request::new(Empty::<Bytes>::new());
        request.headers_mut().insert("host", HeaderValue::from_static("count"));
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the gateway under callgrind answers with {}", answer.status()).into());
        }
        answer.into_body().collect().await?;
        // Until then nothing is left to be done, so that each request takes the same way.
        if let Some(pause) = pause {
            sleep(pause).await;
        }
    }
    Ok(())
}

/// All instructions, and those of each function.
fn functions(counts: &Path, inclusive: &str) -> Result<(u64, HashMap<String, u64>), Error> {
    let mut command = Command::new("callgrind_annotate");
    command.args([&format!("--inclusive={inclusive}"), "--threshold=100", "--show-percs=no", "--auto=no"]);
    let output = command.arg(counts).output().map_err(|error| format!("callgrind_annotate: {error}"))?;
    let (mut total, mut functions) = (None, HashMap::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((count, name)) = line.trim_start().split_once(' ') else { continue };
        let Ok(count) = count.replace(',', "").parse::<u64>() else { continue };
        let name = name.trim_start();
        if name.starts_with("PROGRAM TOTALS") {
            total = Some(count);
        } else {
            let name = name.split_once(':').map_or(name, |(_, name)| name);
            let name = name.split(" [").next().unwrap_or(name);
            *functions.entry(name.to_owned()).or_default() += count;
        }
    }
    Ok((total.ok_or("callgrind_annotate tells no total")?, functions))
}

/// Of two counts, what one request adds.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
fn of_one(many: u64, few: u64) -> f64 {
    (many as f64 - few as f64) / f64::from(MANY - FEW)
}

/// What was measured with Rust 1.95 on x86-64 and the versions in the lock file.
const MEASURED: f64 = 38_000.0;

/// What it may be over many connections.
const GOAL: f64 = 36_000.0;

/// More than this multiple of what was measured is a failure.
const TOLERATED: f64 = 1.03;

/// So many that it does not matter how long the gateway's clock is calibrated when it starts, which takes as many instructions
/// as the machine makes in that time.
const MANY: u32 = 6_400;
const FEW: u32 = 640;
const CONNECTIONS: u32 = 64;

/// How often it is counted over many connections; the least is told.
const ROUNDS: usize = 3;

/// How many functions are listed.
const LISTED: usize = 25;

const PAUSE: Duration = Duration::from_millis(2);
