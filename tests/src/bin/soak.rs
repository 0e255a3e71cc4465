//! Has many callers call targets that misbehave at random, and prints what came of it.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use failover_tests::soak::{Order, Over, soak};

fn main() -> ExitCode {
    match task(std::env::args().skip(1)) {
        Ok(Task::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Task::Soak(overs, order)) => perform(&overs, order),
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

/// What is asked for.
enum Task {
    Soak(Vec<Over>, Order),
    Help,
}

fn task(mut arguments: impl Iterator<Item = String>) -> Result<Task, String> {
    let mut overs = Over::ALL.to_vec();
    let mut order = Order {
        lasts: Duration::from_secs(60),
        callers: 64,
        seed: 0,
        slack: Duration::from_secs(5),
        is_harsh: false,
    };
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        match &*flag {
            "--help" | "-h" => return Ok(Task::Help),
            "--seconds" => order.lasts = Duration::from_secs(number(&flag, &value()?, 1, 86_400)?.into()),
            "--seed" => order.seed = number(&flag, &value()?, 0, u32::MAX)?.into(),
            "--callers" => order.callers = number(&flag, &value()?, 1, 4_096)? as usize,
            "--harsh" => order.is_harsh = true,
            "--adapter" => {
                let name = value()?;
                overs.retain(|over| name == "both" || name == over.name());
                if overs.is_empty() {
                    return Err(format!("no adapter {name:?}: expected tokio, async-std or both"));
                }
            }
            _ => return Err(format!("unknown argument {flag:?}; --help lists them")),
        }
    }
    order.lasts /= u32::try_from(overs.len()).expect("they are two at most");
    Ok(Task::Soak(overs, order))
}

fn number(flag: &str, text: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("{flag} {text}: expected a number from {least} to {most}"))
}

fn perform(overs: &[Over], order: Order) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let turns = u32::try_from(order.lasts.as_secs() / 10).unwrap_or(TURNS).clamp(1, TURNS);
    for over in overs {
        for turn in 0..turns {
            let order = Order { lasts: order.lasts / turns, seed: order.seed + u64::from(turn), ..order };
            println!("{} for {} s, seed {}", over.name(), order.lasts.as_secs(), order.seed);
            let report = soak(*over, order, |line| println!("{line}"));
            println!("\n{report}");
            for broken in report.broken() {
                println!("BROKEN: {broken}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// How many seeds follow each other, so that each target speaks all that there is.
const TURNS: u32 = 6;

const HELP: &str = "\
Has 64 callers, or as many as are asked for, call three targets on loopback that misbehave at random, and prints what came of it.

soak [--seconds N] [--adapter tokio|async-std|both] [--seed N] [--callers N] [--harsh]
      the seconds are those of both adapters together, one after the other, and of six seeds from this one on;
      with --harsh something befalls four of five requests, and half of the calls are POSTs without a key
";
