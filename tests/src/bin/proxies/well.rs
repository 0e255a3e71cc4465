//! All is well: what a GET of 1 KiB costs each proxy.

use tokio::task::spawn_blocking;

use crate::contender::{Contender, Place, Proxy, start_backend};
use crate::process::{Process, free_port, quiet};
use crate::{Error, say, scratch};

/// What one round of a proxy came to.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// Per second.
    requests: f64,
    /// Microseconds of the processor for a request.
    cost: f64,
    /// Milliseconds.
    p99: f64,
}

/// What is shown of rounds, with how many digits.
struct Measure {
    name: &'static str,
    digits: usize,
    of: fn(&Round) -> f64,
}

/// Loads the proxies in turns, and prints what that came to.
pub(crate) async fn perform(gateway: &str, rounds: u32) -> Result<(), Error> {
    let (_held, folder) = scratch();
    let place = Place { gateway, under: &[], folder, backends: [free_port().await?, free_port().await?] };
    let _backend = start_backend(&place).await?;
    let mut proxies = Vec::new();
    for contender in CONTENDERS {
        proxies.push(Proxy::start(contender, &place).await?);
    }
    let mut all = CONTENDERS.map(|_| Vec::new());
    for nth in 0..=rounds {
        for (proxy, all) in proxies.iter().zip(&mut all) {
            let round = load(proxy).await?;
            // In the first one everything begins.
            if nth > 0 {
                all.push(round);
            }
        }
    }
    say(&format!(
        "GET of 1 KiB over {CONNECTIONS} connections, two workers each, {rounds} rounds of {SECONDS} s in turns: median, and the span\n"
    ));
    let heads = CONTENDERS.map(Contender::name).join(" | ");
    say(&format!("| | {heads} | gateway / nginx | gateway / HAProxy |"));
    say(&format!("| --- |{}", " --- |".repeat(CONTENDERS.len() + 2)));
    let [nginx, haproxy, gateway] = &all;
    for Measure { name, digits, of: measure } in MEASURES {
        let of = |rounds: &[Round]| spread(rounds.iter().map(measure).collect(), digits);
        let ratios = |theirs: &[Round]| {
            let pairs = gateway.iter().zip(theirs);
            spread(pairs.map(|(ours, theirs)| measure(ours) / measure(theirs)).collect(), 2)
        };
        let cells = [of(nginx), of(haproxy), of(gateway), ratios(nginx), ratios(haproxy)];
        say(&format!("| {name} | {} |", cells.join(" | ")));
    }
    Ok(())
}

/// Loads a proxy once.
async fn load(proxy: &Proxy) -> Result<Round, Error> {
    let before = proxy.process.processor_time()?;
    let mut command = quiet("wrk");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s"), "--latency"]);
    command.arg(format!("http://{}/x", proxy.address()));
    let (wrk, output) = Process::start_telling(&mut command)?;
    let told = spawn_blocking(move || std::io::read_to_string(output)).await??;
    drop(wrk);
    let took = proxy.process.processor_time()?.saturating_sub(before);
    if told.contains("Non-2xx") || told.contains("Socket errors") {
        return Err(told.into());
    }
    let after =
        |head: &str| told.lines().find_map(|line| line.trim_start().strip_prefix(head)).map(str::trim);
    let count = told.lines().find_map(|line| line.split_once(" requests in ")).map(|(count, _)| count.trim());
    let count: f64 = count.ok_or("wrk counts nothing")?.parse()?;
    Ok(Round {
        requests: after("Requests/sec:").ok_or("wrk tells no rate")?.parse()?,
        cost: took.as_secs_f64() * 1e6 / count,
        p99: milliseconds(after("99%").ok_or("wrk tells no latency")?)?,
    })
}

/// As wrk writes a time.
fn milliseconds(text: &str) -> Result<f64, Error> {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    let found = units.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (number, factor) = found.ok_or("wrk tells a time without a unit")?;
    Ok(number.parse::<f64>()? * factor)
}

/// The median, and the least and the most.
fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    match values[..] {
        [] => "-".to_owned(),
        [least, ..] => {
            let (median, most) = (values[values.len() / 2], values[values.len() - 1]);
            format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
        }
    }
}

const MEASURES: [Measure; 3] = [
    Measure { name: "requests per second", digits: 0, of: |round| round.requests },
    Measure { name: "processor µs per request", digits: 1, of: |round| round.cost },
    Measure { name: "p99, ms", digits: 1, of: |round| round.p99 },
];

const CONTENDERS: [Contender; 3] = [Contender::Nginx, Contender::Haproxy, Contender::Gateway];

const SECONDS: u64 = 3;

const CONNECTIONS: usize = 64;
