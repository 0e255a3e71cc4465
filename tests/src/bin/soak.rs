//! Has many callers call targets that misbehave at random, and prints what came of it.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Parser, value_parser};
use failover_tests::soak::{Order, Over, soak};

/// Has many callers call three targets on loopback that misbehave at random, and prints what came of it
#[derive(Parser)]
#[command(name = "soak", version)]
struct Options {
    /// For how long both adapters together, one after the other, and six seeds of each
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Which adapter is called
    #[arg(long, value_name = "NAME", default_value = "both", value_parser = adapters())]
    adapter: String,
    /// The first of six that follow each other
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
    /// How many callers there are
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u16).range(1..=4_096))]
    callers: u16,
    /// Something befalls four of five requests, and half of the calls are POSTs without a key
    #[arg(long)]
    harsh: bool,
}

fn main() -> ExitCode {
    let Options { seconds, adapter, seed, callers, harsh } = Options::parse();
    let overs: Vec<_> =
        Over::ALL.into_iter().filter(|over| adapter == "both" || adapter == over.name()).collect();
    let order = Order {
        lasts: Duration::from_secs(seconds) / u32::try_from(overs.len()).expect("they are two at most"),
        callers: callers.into(),
        seed: seed.into(),
        slack: Duration::from_secs(5),
        is_harsh: harsh,
    };
    perform(&overs, order)
}

fn adapters() -> PossibleValuesParser {
    Over::ALL.map(Over::name).into_iter().chain(["both"]).into()
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
