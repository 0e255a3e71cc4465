//! Plays the scenes of the world with the machine or its rivals, and prints what came of it.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, value_parser};
use failover_tests::simulation::catalogue::{SCENES, scene};
use failover_tests::simulation::grid::{Effort, Kind, judge, misses, play, table};
use failover_tests::simulation::plot::svg;
use failover_tests::simulation::run::Cell;
use failover_tests::simulation::scene::Scene;

/// Plays the scenes of the world with the machine or its rivals, and prints what came of it
///
/// It prints one table per policy, with the worst cell of each scene; and for the default policy, what is not as it is wanted.
#[derive(Parser)]
#[command(name = "world", version)]
struct Options {
    /// A scene that is played; may be repeated [default: all]
    #[arg(long = "scene", value_name = "NAME", value_parser = scenes(), hide_possible_values = true)]
    scenes: Vec<String>,
    /// The policy that plays them
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = policies())]
    policy: String,
    /// Plays each scene with twenty seeds
    #[arg(long)]
    full: bool,
    /// Names the scenes and what they show, and does nothing
    #[arg(long, exclusive = true)]
    list: bool,
    /// Draws one run of one scene: who answers, where the cursor is, what fails
    #[arg(long, value_name = "FILE", requires = "scenes")]
    svg: Option<PathBuf>,
    /// The calls per second of that run [default: 50 where the scene has them, or 1]
    #[arg(long, value_name = "CALLS", requires = "svg", value_parser = value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// What the latencies of that run are multiplied by
    #[arg(long, value_name = "FACTOR", requires = "svg", default_value_t = 1.0, value_parser = factor)]
    latency: f64,
    /// The seed of that run
    #[arg(long, value_name = "N", requires = "svg", default_value_t = 0)]
    seed: u32,
}

fn main() -> ExitCode {
    match perform(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("world: {error}");
            ExitCode::from(2)
        }
    }
}

fn scenes() -> PossibleValuesParser {
    SCENES.iter().map(|scene| scene.name).into()
}

fn policies() -> PossibleValuesParser {
    Kind::ALL.map(Kind::name).into_iter().chain(["all"]).into()
}

fn factor(text: &str) -> Result<f64, &'static str> {
    let factor = text.parse().ok().filter(|factor| (0.001..=1_000.0).contains(factor));
    factor.ok_or("expected a number from 0.001 to 1000")
}

fn perform(options: &Options) -> Result<(), String> {
    if options.list {
        for scene in SCENES {
            println!("{:22} {}", scene.name, scene.shows);
        }
        return Ok(());
    }
    let kinds: Vec<_> = Kind::ALL
        .into_iter()
        .filter(|kind| options.policy == "all" || options.policy == kind.name())
        .collect();
    let named = |name: &String| scene(name).expect("the flag takes names of scenes");
    let scenes: Vec<_> = options.scenes.iter().map(named).collect();
    let effort = if options.full { Effort::FULL } else { Effort::USUAL };
    match (&options.svg, &scenes[..], &kinds[..]) {
        (Some(path), [scene], [kind]) => draw(options, path, scene, *kind, effort),
        (Some(_), ..) => Err("--svg draws one --scene with one --policy".to_owned()),
        (None, [], _) => {
            tabulate(&SCENES.iter().collect::<Vec<_>>(), &kinds, effort);
            Ok(())
        }
        (None, ..) => {
            tabulate(&scenes, &kinds, effort);
            Ok(())
        }
    }
}

fn tabulate(scenes: &[&'static Scene], kinds: &[Kind], effort: Effort) {
    for &kind in kinds {
        let verdicts = judge(scenes, kind, effort, |done, all| progress(kind, done, all));
        println!("{}", table(kind, &verdicts));
        if kind == Kind::Machine {
            let met = verdicts.iter().filter(|verdict| verdict.is_met()).count();
            println!("{met} of {} scenes are as they are wanted.\n\n{}", verdicts.len(), misses(&verdicts));
        }
    }
}

fn draw(
    options: &Options,
    path: &Path,
    scene: &'static Scene,
    kind: Kind,
    effort: Effort,
) -> Result<(), String> {
    let &Options { rate, latency, seed, .. } = options;
    let rate = rate.unwrap_or(if scene.cells.rates.contains(&50) { 50 } else { 1 });
    let cell = Cell { rate, latency, seed: seed.into() };
    let lasts = effort.lasts(scene, cell);
    let tally = play(scene, kind, cell, lasts);
    let title = format!("{}: {rate} calls/s, latency x{latency}, policy {}", scene.name, kind.name());
    fs::write(path, svg(scene, &title, &tally, lasts)).map_err(|error| format!("{}: {error}", path.display()))
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
