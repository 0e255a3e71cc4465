//! Plays the scenes of the world with the machine or its rivals, and prints what came of it.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;

use failover_tests::simulation::catalogue::{SCENES, scene};
use failover_tests::simulation::grid::{Effort, Kind, judge, misses, play, table};
use failover_tests::simulation::plot::svg;
use failover_tests::simulation::run::Cell;
use failover_tests::simulation::scene::Scene;

fn main() -> ExitCode {
    match order(std::env::args().skip(1)).and_then(|order| perform(&order)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("world: {error}");
            ExitCode::from(2)
        }
    }
}

/// What is asked for.
struct Order {
    task: Task,
    kinds: Vec<Kind>,
    scenes: Vec<&'static Scene>,
    effort: Effort,
    rate: Option<u32>,
    latency: f64,
    seed: u64,
}

enum Task {
    Judge,
    Draw(String),
    List,
    Help,
}

fn order(mut arguments: impl Iterator<Item = String>) -> Result<Order, String> {
    let mut order = Order {
        task: Task::Judge,
        kinds: vec![Kind::Machine],
        scenes: vec![],
        effort: Effort::USUAL,
        rate: None,
        latency: 1.0,
        seed: 0,
    };
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        match &*flag {
            "--full" => order.effort = Effort::FULL,
            "--list" => order.task = Task::List,
            "--help" | "-h" => order.task = Task::Help,
            "--policy" => order.kinds = kinds(&value()?)?,
            "--scene" => {
                let name = value()?;
                order.scenes.push(scene(&name).ok_or(format!("no scene {name:?}; --list names them"))?);
            }
            "--svg" => order.task = Task::Draw(value()?),
            "--rate" => order.rate = Some(number(&flag, &value()?, 1, 100_000)?),
            "--latency" => {
                let text = value()?;
                let latency: f64 = text.parse().unwrap_or(f64::NAN);
                if !(0.001..=1_000.0).contains(&latency) {
                    return Err(format!("--latency {text}: expected a factor from 0.001 to 1000"));
                }
                order.latency = latency;
            }
            "--seed" => order.seed = number(&flag, &value()?, 0, u32::MAX)?.into(),
            _ => return Err(format!("unknown argument {flag:?}; --help lists them")),
        }
    }
    Ok(order)
}

fn kinds(name: &str) -> Result<Vec<Kind>, String> {
    let all = name == "all";
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| all || kind.name() == name).collect();
    let names = Kind::ALL.map(Kind::name).join(", ");
    if kinds.is_empty() { Err(format!("no policy {name:?}: expected {names} or all")) } else { Ok(kinds) }
}

fn number(flag: &str, text: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("{flag} {text}: expected a number from {least} to {most}"))
}

fn perform(order: &Order) -> Result<(), String> {
    match &order.task {
        Task::Help => print!("{HELP}"),
        Task::List => SCENES.iter().for_each(|scene| println!("{:22} {}", scene.name, scene.shows)),
        Task::Draw(path) => draw(order, path)?,
        Task::Judge => {
            let all: Vec<&Scene> = SCENES.iter().collect();
            let scenes = if order.scenes.is_empty() { &all } else { &order.scenes };
            for &kind in &order.kinds {
                let verdicts = judge(scenes, kind, order.effort, |done, all| progress(kind, done, all));
                println!("{}", table(kind, &verdicts));
                if kind == Kind::Machine {
                    let met = verdicts.iter().filter(|verdict| verdict.is_met()).count();
                    println!(
                        "{met} of {} scenes are as they are wanted.\n\n{}",
                        verdicts.len(),
                        misses(&verdicts)
                    );
                }
            }
        }
    }
    Ok(())
}

fn draw(order: &Order, path: &str) -> Result<(), String> {
    let ([scene], [kind]) = (&*order.scenes, &*order.kinds) else {
        return Err("--svg draws one --scene with one --policy".to_owned());
    };
    let rate = order.rate.unwrap_or(if scene.cells.rates.contains(&50) { 50 } else { 1 });
    let cell = Cell { rate, latency: order.latency, seed: order.seed };
    let lasts = order.effort.lasts(scene, cell);
    let tally = play(scene, *kind, cell, lasts);
    let title = format!("{}: {rate} calls/s, latency x{}, policy {}", scene.name, order.latency, kind.name());
    fs::write(path, svg(scene, &title, &tally, lasts)).map_err(|error| format!("{path}: {error}"))
}

/// Shows how far it is, where somebody looks.
fn progress(kind: Kind, done: usize, all: usize) {
    let mut stderr = stderr();
    if !stderr.is_terminal() {
        return;
    }
    let filled = done * 30 / all;
    let bar = format!("{}{}", "#".repeat(filled), ".".repeat(30 - filled));
    let end = if done == all { "\r\x1b[K" } else { "" };
    // A progress bar that cannot be shown is no reason to stop.
    let _ = write!(stderr, "\r{:10} [{bar}] {done}/{all}{end}", kind.name());
}

const HELP: &str = "\
Plays the scenes of the world with the machine or its rivals.

world [--scene NAME]... [--policy default|ballerina|ejection|checks|all] [--full]
      one table per policy: the worst cell of each scene; for the default policy, what is not as it is wanted
world --scene NAME --svg FILE [--policy NAME] [--rate CALLS_PER_SECOND] [--latency FACTOR] [--seed N]
      a picture of one run: who answers, where the cursor is, what fails
world --list
      the scenes and what they show
";
