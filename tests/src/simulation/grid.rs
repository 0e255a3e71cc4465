//! A scene over the grid, and the tables of what came out.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use failover_core::Policy;

use crate::simulation::machine::Machine;
use crate::simulation::measure::{Bound, Measure, Values};
use crate::simulation::rivals::{Rival, Rule};
use crate::simulation::run::{Cell, run};
use crate::simulation::scene::{Knobs, Scene};
use crate::simulation::subject::Subject;
use crate::simulation::tally::Tally;

/// What is tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The machine with its default policy.
    Machine,
    /// The machine as Ballerina's client is.
    Ballerina,
    /// Ejection of what fails often.
    Ejection,
    /// Active checks only.
    Checks,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Machine, Self::Ballerina, Self::Ejection, Self::Checks];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Machine => "default",
            Self::Ballerina => "ballerina",
            Self::Ejection => "ejection",
            Self::Checks => "checks",
        }
    }

    /// A fresh subject of this kind.
    #[must_use]
    pub fn subject(self, scene: &Scene, seed: u64) -> Box<dyn Subject> {
        let (targets, knobs) = (scene.targets.len(), scene.knobs);
        match self {
            Self::Machine => Box::new(Machine::new(targets, Policy::default(), knobs, seed)),
            Self::Ballerina => {
                let knobs = Knobs { deadline: None, ..knobs };
                Box::new(Machine::new(targets, Policy::ballerina(), knobs, seed))
            }
            Self::Ejection => Box::new(Rival::new(Rule::Ejection, targets, knobs)),
            Self::Checks => Box::new(Rival::new(Rule::Checks, targets, knobs)),
        }
    }
}

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The seeds of each cell.
    pub seeds: u64,
    /// The seeds of cells with 1,000 calls a second.
    pub busy_seeds: u64,
    /// The calls for which a run goes on, if the scene has shown what it is about.
    pub calls: u32,
    /// The most calls a second.
    pub rate: u32,
    /// Whether all latencies are tried.
    pub all_latencies: bool,
}

impl Effort {
    /// What a test can afford.
    pub const SMALL: Self = Self { seeds: 1, busy_seeds: 0, calls: 5_000, rate: 50, all_latencies: false };
    /// What takes less than a minute.
    pub const USUAL: Self = Self { seeds: 3, busy_seeds: 1, calls: 50_000, rate: 1_000, all_latencies: true };
    /// What takes minutes.
    pub const FULL: Self = Self { seeds: 20, busy_seeds: 20, calls: 200_000, ..Self::USUAL };

    /// The cells of a scene.
    #[must_use]
    pub fn cells(&self, scene: &Scene) -> Vec<Cell> {
        let mut cells = vec![];
        for &rate in scene.cells.rates.iter().filter(|rate| **rate <= self.rate) {
            let seeds = if rate == 1_000 { self.busy_seeds } else { self.seeds };
            for &latency in
                scene.cells.latencies.iter().filter(|&&latency| self.all_latencies || is_one(latency))
            {
                cells.extend((0..seeds).map(|seed| Cell { rate, latency, seed }));
            }
        }
        cells
    }

    /// How long a scene is played in a cell.
    #[must_use]
    pub fn lasts(&self, scene: &Scene, cell: Cell) -> Duration {
        Duration::from_secs((self.calls / cell.rate).into()).clamp(scene.least, scene.lasts)
    }
}

/// What came out of a scene.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The scene.
    pub scene: &'static Scene,
    /// The worst value of each measure.
    pub worst: Values,
    /// The bounds that were not kept, each with the first cell where it was not and the value there.
    pub missed: Vec<(Bound, Cell, f64)>,
}

impl Verdict {
    /// Whether all is as it is wanted.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.missed.is_empty()
    }
}

/// Plays a scene in one cell.
#[must_use]
pub fn play(scene: &Scene, kind: Kind, cell: Cell, lasts: Duration) -> Tally {
    run(scene, cell, lasts, &mut *kind.subject(scene, cell.seed + 1))
}

/// Plays scenes over the grid, on as many threads as there are processors, and tells how many runs are done of how
/// many.
///
/// # Panics
///
/// A run does.
#[must_use]
pub fn judge(
    scenes: &[&'static Scene],
    kind: Kind,
    effort: Effort,
    progress: impl Fn(usize, usize) + Sync,
) -> Vec<Verdict> {
    let cells = |scene| effort.cells(scene).into_iter().map(move |cell| (scene, cell));
    let jobs: Vec<(&'static Scene, Cell)> = scenes.iter().flat_map(|scene| cells(*scene)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = vec![];
        while let Some((nth, (scene, cell))) = take(&next, &jobs) {
            let lasts = effort.lasts(scene, cell);
            done.push((nth, play(scene, kind, cell, lasts).values(scene, cell.rate, lasts)));
            progress(nth + 1, jobs.len());
        }
        done
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut done: Vec<(usize, Values)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run that ends")).collect()
    });
    done.sort_by_key(|(nth, _)| *nth);
    let values: Vec<(&Scene, Cell, Values)> =
        done.into_iter().map(|(nth, values)| (jobs[nth].0, jobs[nth].1, values)).collect();
    scenes.iter().map(|scene| verdict(scene, &values)).collect()
}

/// A table of verdicts; only the machine's own policy is held to what is wanted.
#[must_use]
pub fn table(kind: Kind, verdicts: &[Verdict]) -> String {
    let mut text = format!("## {}\n\n| scene |", kind.name());
    for measure in Measure::ALL {
        let _ = write!(text, " {} |", measure.title());
    }
    text += if kind == Kind::Machine { " met |\n" } else { "\n" };
    text += &"|---".repeat(1 + Measure::ALL.len() + usize::from(kind == Kind::Machine));
    text += "|\n";
    for verdict in verdicts {
        let _ = write!(text, "| {} |", verdict.scene.name);
        for measure in Measure::ALL {
            let shown = verdict.worst.of(measure).map_or("-".to_owned(), |value| measure.show(value));
            let is_missed = verdict.missed.iter().any(|(bound, ..)| bound.measure == measure);
            let _ = write!(text, " {} |", if is_missed { format!("**{shown}**") } else { shown });
        }
        if kind == Kind::Machine {
            text += if verdict.is_met() { " yes |" } else { " **no** |" };
        }
        text += "\n";
    }
    text
}

/// What was not as it is wanted, one line each.
#[must_use]
pub fn misses(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        for (bound, cell, value) in &verdict.missed {
            let measure = bound.measure;
            let _ = writeln!(
                text,
                "- {}: {} is {}, wanted {}, at {} calls/s, latency x{}, seed {}",
                verdict.scene.name,
                measure.title(),
                measure.show(*value),
                measure.show(bound.at(verdict.scene.calls_a_second(cell.rate))),
                cell.rate,
                cell.latency,
                cell.seed,
            );
        }
    }
    text
}

fn take<T: Copy>(next: &AtomicUsize, jobs: &[T]) -> Option<(usize, T)> {
    let nth = next.fetch_add(1, Ordering::Relaxed);
    Some((nth, *jobs.get(nth)?))
}

fn verdict(scene: &'static Scene, values: &[(&Scene, Cell, Values)]) -> Verdict {
    let mine: Vec<_> = values.iter().filter(|(other, ..)| other.name == scene.name).collect();
    let worst = mine.iter().fold(Values::default(), |worst, (.., values)| worst.worse(values));
    let miss = |bound: &Bound| {
        let is_kept = |cell: &Cell, values| bound.is_kept(values, scene.calls_a_second(cell.rate));
        let (_, cell, values) = mine.iter().find(|(_, cell, values)| !is_kept(cell, values))?;
        Some((*bound, *cell, values.of(bound.measure)?))
    };
    Verdict { scene, worst, missed: scene.wanted.iter().filter_map(miss).collect() }
}

fn is_one(latency: f64) -> bool {
    (latency - 1.0).abs() < f64::EPSILON
}
