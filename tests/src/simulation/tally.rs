//! What is counted in a run, second by second, and what is measured by that.

use std::time::Duration;

use crate::simulation::measure::{Measure, Values};
use crate::simulation::scene::Scene;

/// What was counted in a run. Callers that stand aside are in the moves only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Each second.
    pub seconds: Vec<Second>,
    /// Where the cursor went and when, beginning with where it stood.
    pub moves: Vec<(Duration, usize)>,
    /// Writes that ended without an answer although they may have been executed.
    pub in_doubt: u64,
    /// Writes that were executed more than once.
    pub twice: u64,
    /// Answers by the best target since the scene judges by whom they are given, and all since then.
    pub best: (u64, u64),
    /// When it was known that the failing target fails.
    pub noticed: Option<Duration>,
}

/// What was counted in a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    /// The calls that began.
    pub begun: u64,
    /// Their attempts, whenever they were made.
    pub attempts: u64,
    /// The calls that ended with a whole answer below 500, by the target that gave it.
    pub answered: Vec<u64>,
    /// The calls that ended without.
    pub unanswered: u64,
}

impl Second {
    /// The calls that ended with an answer.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answered.iter().sum()
    }
}

impl Tally {
    /// An empty one.
    #[must_use]
    pub fn new(targets: usize, lasts: Duration) -> Self {
        let second = Second { answered: vec![0; targets], ..Second::default() };
        let count = usize::try_from(lasts.as_secs() + 1).unwrap_or_default();
        Self { seconds: vec![second; count], moves: vec![(Duration::ZERO, 0)], ..Self::default() }
    }

    /// The second of a moment.
    ///
    /// # Panics
    ///
    /// The moment lies beyond the end.
    pub fn second(&mut self, now: Duration) -> &mut Second {
        &mut self.seconds[usize::try_from(now.as_secs()).expect("a second of the run")]
    }

    /// Where the cursor stood at a moment.
    #[must_use]
    pub fn cursor_at(&self, now: Duration) -> usize {
        self.moves.iter().rfind(|(at, _)| *at <= now).map_or(0, |(_, target)| *target)
    }

    /// What the counts of a run that lasted so long say, at so many calls a second.
    #[must_use]
    pub fn values(&self, scene: &Scene, rate: u32, lasts: Duration) -> Values {
        let mut values = Values::default();
        let sum = |count: fn(&Second) -> u64| self.seconds.iter().map(count).sum::<u64>();
        let (answers, unanswered) = (sum(Second::answers), sum(|second| second.unanswered));
        let mut ratio = |measure, part, whole| {
            if whole > 0 {
                values.set(measure, real(part) / real(whole));
            }
        };
        ratio(Measure::Answered, answers, answers + unanswered);
        ratio(Measure::Attempts, sum(|second| second.attempts), sum(|second| second.begun));
        // Nobody who got an answer got it from the best.
        ratio(Measure::Best, self.best.0, if answers + unanswered > 0 { self.best.1.max(1) } else { 0 });
        let tens = self.seconds.chunks(10).map(|ten| {
            let (begun, attempts) = ten
                .iter()
                .fold((0, 0), |(begun, attempts), one| (begun + one.begun, attempts + one.attempts));
            if begun == 0 { 0.0 } else { real(attempts) / real(begun) }
        });
        values.set(Measure::Worst, tens.fold(0.0, f64::max));
        if scene.callers.iter().any(|callers| callers.post && !callers.aside) {
            values.set(Measure::InDoubt, real(self.in_doubt) / f64::from(rate));
            values.set(Measure::Twice, real(self.twice));
        }
        self.set_moves(&mut values, scene, lasts);
        values
    }

    fn set_moves(&self, values: &mut Values, scene: &Scene, lasts: Duration) {
        let until = |from: Duration, moment: Option<Duration>| {
            moment.map_or(f64::INFINITY, |moment| moment.max(from).as_secs_f64() - from.as_secs_f64())
        };
        if let Some(fails) = scene.fails {
            let failing = scene.failing();
            let left = self.moves.iter().find(|(at, target)| *at >= fails && *target != failing);
            let left = if self.cursor_at(fails) == failing { left.map(|(at, _)| *at) } else { Some(fails) };
            values.set(Measure::Leave, until(fails, left));
        }
        if let (Some(fails), true) = (scene.fails, scene.wants(Measure::Noticed)) {
            values.set(Measure::Noticed, until(fails, self.noticed));
        }
        if let Some(well) = scene.well {
            let best = scene.best_at(well);
            let is_there = self.cursor_at(well) == best;
            let came = self.moves.iter().find(|(at, target)| *at >= well && *target == best);
            let back = if is_there { Some(well) } else { came.map(|(at, _)| *at) };
            values.set(Measure::Back, until(well, back));
        }
        let steps = || self.moves.windows(2).map(|pair| (pair[1].0, pair[0].1, pair[1].1));
        let an_hour = 3_600.0 / lasts.as_secs_f64();
        let count = |of: &dyn Fn(Duration, usize, usize) -> bool| {
            real(steps().map(|(at, from, to)| u64::from(of(at, from, to))).sum()) * an_hour
        };
        values.set(Measure::Returns, count(&|_, from, to| to < from));
        values.set(Measure::Needless, count(&|at, from, _| from == scene.best_at(at)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}
