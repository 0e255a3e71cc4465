//! What a scene is made of: targets and their faults, callers, and what is wanted. Data only.

use std::time::Duration;

use crate::simulation::measure::{Bound, Measure};

/// One scene.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// The targets, the preferred one first.
    pub targets: &'static [Target],
    /// Who calls.
    pub callers: &'static [Callers],
    /// What the policy has that is not its default.
    pub knobs: Knobs,
    /// From which moment on which target is the best that works, in order, the first from the beginning.
    pub best: &'static [(Duration, usize)],
    /// When the best target fails.
    pub fails: Option<Duration>,
    /// When the best target is well again.
    pub well: Option<Duration>,
    /// How long the scene lasts.
    pub lasts: Duration,
    /// The shortest time that still shows it, for cells with many calls.
    pub least: Duration,
    /// The cells of the grid that make sense.
    pub cells: Cells,
    /// What is wanted.
    pub wanted: &'static [Bound],
}

impl Scene {
    /// Two targets that answer in about 20 ms, and callers who read.
    pub const QUIET: Self = Self {
        name: "",
        shows: "",
        targets: &[Target::FAST, Target::FAST],
        callers: &[Callers::READERS],
        knobs: Knobs::DEFAULT,
        best: &[(Duration::ZERO, 0)],
        fails: None,
        well: None,
        lasts: Duration::from_secs(150),
        least: Duration::from_secs(70),
        cells: Cells::ALL,
        wanted: &[],
    };

    /// The best target at a moment.
    #[must_use]
    pub fn best_at(&self, now: Duration) -> usize {
        self.best.iter().rfind(|(from, _)| *from <= now).map_or(0, |(_, target)| *target)
    }

    /// The target that fails: the best one until then.
    #[must_use]
    pub fn failing(&self) -> usize {
        let fails = self.fails.unwrap_or_default();
        self.best.iter().rfind(|(from, _)| *from < fails).map_or(0, |(_, target)| *target)
    }

    /// How many calls a second are counted in a cell of so many.
    #[must_use]
    pub fn calls_a_second(&self, rate: u32) -> f64 {
        let counted = self.callers.iter().filter(|callers| !callers.aside);
        counted.map(|callers| callers.arrivals.a_second(rate)).sum()
    }

    /// Whether a measure is bounded.
    #[must_use]
    pub fn wants(&self, measure: Measure) -> bool {
        self.wanted.iter().any(|bound| bound.measure == measure)
    }

    /// From when on answers are judged by who gave them.
    #[must_use]
    pub fn judged_from(&self) -> Duration {
        self.fails.or(self.well).unwrap_or_default()
    }
}

/// The cells of the grid in which a scene is played.
#[derive(Clone, Copy, Debug)]
pub struct Cells {
    /// Calls a second.
    pub rates: &'static [u32],
    /// Factors of the targets' latency.
    pub latencies: &'static [f64],
    /// Why the others make no sense. Empty if these are all.
    pub because: &'static str,
}

impl Cells {
    /// The whole grid.
    pub const ALL: Self = Self { rates: &[1, 50, 1_000], latencies: &[0.1, 1.0, 10.0], because: "" };
    /// Without 1,000 calls a second.
    pub const LONG: Self =
        Self { rates: &[1, 50], because: "it is long, and 50 a second are as much as it needs", ..Self::ALL };
    /// At one latency.
    pub const FIXED: Self =
        Self { latencies: &[1.0], because: "the latency is what it is about", ..Self::ALL };
    /// At one latency and without 1,000 calls a second.
    pub const LONG_AND_FIXED: Self =
        Self { rates: &[1, 50], because: "it is long, and the latency is what it is about", ..Self::FIXED };
    /// A scene whose callers come as it says.
    pub const OWN_RATE: Self =
        Self { rates: &[1], because: "the callers' rate is what it is about", ..Self::ALL };
}

/// What the policy has that is not its default.
#[derive(Clone, Copy, Debug)]
pub struct Knobs {
    /// The bound of an attempt.
    pub attempt_timeout: Option<Duration>,
    /// The bound of a call.
    pub deadline: Option<Duration>,
    /// The pause between different targets.
    pub interval: Duration,
    /// Whether replays have a budget.
    pub budget: bool,
    /// Whether there are checks.
    pub checks: bool,
}

impl Knobs {
    /// Nothing.
    pub const DEFAULT: Self = Self {
        attempt_timeout: None,
        deadline: None,
        interval: Duration::ZERO,
        budget: false,
        checks: false,
    };
}

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// How long its answers take.
    pub latency: Latency,
    /// What goes wrong. All that apply at a moment do so, in order; the first that ends an attempt is its end.
    pub faults: &'static [Fault],
}

impl Target {
    /// One that answers in about 20 ms.
    pub const FAST: Self = Self { latency: Latency::Usual(Duration::from_millis(20)), faults: &[] };

    /// One that answers in about 20 ms and has faults.
    #[must_use]
    pub const fn with(faults: &'static [Fault]) -> Self {
        Self { faults, ..Self::FAST }
    }
}

/// How long answers take.
#[derive(Clone, Copy, Debug)]
pub enum Latency {
    /// Log-normal around this median times the factor of the cell.
    Usual(Duration),
    /// Always this long, in every cell.
    Fixed(Duration),
}

/// Something that goes wrong with a target.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What.
    pub what: What,
    /// When.
    pub when: When,
    /// With what probability it meets an attempt.
    pub share: f64,
}

impl Fault {
    /// A fault that meets every attempt in its time.
    #[must_use]
    pub const fn new(what: What, when: When) -> Self {
        Self { what, when, share: 1.0 }
    }

    /// A fault that meets this share of all attempts.
    #[must_use]
    pub const fn some(share: f64, what: What) -> Self {
        Self { what, when: When::Always, share }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// Connections are refused at once, and those in use are reset.
    Refuse,
    /// Nobody answers a connect.
    Swallow,
    /// No answer comes, neither to what is asked nor to what was.
    Hang,
    /// The answer has this status.
    Status(u16),
    /// The answer has this status and a Retry-After.
    RetryAfter(u16, Duration),
    /// Answers take so many times as long.
    Slow(f64),
    /// Answers take this long.
    Take(Duration),
    /// No answer comes before this moment, as in a collection of garbage.
    Freeze(Duration),
    /// The body breaks off after the head.
    Break,
    /// With more than so many attempts at a time, an answer is a 503 after a fifth of a second.
    Overload(usize),
    /// With more than so many attempts at a time, it hangs for 5 s for all.
    Collapse(usize),
}

/// When something is so.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// From the beginning to the end.
    Always,
    /// From a moment on.
    From(Duration),
    /// From a moment on, until before another.
    Between(Duration, Duration),
    /// In the last part, so long, of each period.
    Flapping {
        /// The period.
        every: Duration,
        /// The last part of it.
        last: Duration,
    },
}

impl When {
    /// Whether it is so at a moment.
    #[must_use]
    pub fn is(self, now: Duration) -> bool {
        match self {
            Self::Always => true,
            Self::From(from) => now >= from,
            Self::Between(from, until) => now >= from && now < until,
            Self::Flapping { every, last } => {
                now.as_nanos() % every.as_nanos() >= every.saturating_sub(last).as_nanos()
            }
        }
    }

    /// From when to when it can be so.
    #[must_use]
    pub fn span(self) -> (Duration, Duration) {
        match self {
            Self::Always | Self::Flapping { .. } => (Duration::ZERO, Duration::MAX),
            Self::From(from) => (from, Duration::MAX),
            Self::Between(from, until) => (from, until),
        }
    }
}

/// Callers of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Callers {
    /// When they call.
    pub arrivals: Arrivals,
    /// From when to when they do.
    pub when: When,
    /// Whether a second execution would do harm.
    pub post: bool,
    /// After how long they leave.
    pub patience: Option<Duration>,
    /// The deadline that they state.
    pub within: Option<Duration>,
    /// How long answers to them take, if not as the target's.
    pub latency: Option<Latency>,
    /// What is their own lot.
    pub lot: Lot,
    /// They are there for what they do to others, and are not counted.
    pub aside: bool,
}

impl Callers {
    /// Who read, and wait as long as it takes.
    pub const READERS: Self = Self {
        arrivals: Arrivals::Share(1.0),
        when: When::Always,
        post: false,
        patience: None,
        within: None,
        latency: None,
        lot: Lot::Common,
        aside: false,
    };
    /// Who write, and wait as long as it takes.
    pub const WRITERS: Self = Self { post: true, ..Self::READERS };
}

/// What callers meet because of what they ask, beside the faults of the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lot {
    /// Nothing of their own.
    Common,
    /// This, at any target.
    Everywhere(What),
    /// This, at one target.
    At(usize, What),
}

impl Lot {
    /// What they meet at a target.
    #[must_use]
    pub fn at(self, target: usize) -> Option<What> {
        match self {
            Self::Everywhere(what) => Some(what),
            Self::At(place, what) if place == target => Some(what),
            _ => None,
        }
    }
}

/// When calls come.
#[derive(Clone, Copy, Debug)]
pub enum Arrivals {
    /// At random, as this share of the cell's rate.
    Share(f64),
    /// At random, with this time between two on average.
    Random(Duration),
    /// With this time between two.
    Regular(Duration),
    /// So many, apart from one another, once in a while.
    Bursts {
        /// How many.
        of: u32,
        /// How far apart.
        apart: Duration,
        /// How often.
        every: Duration,
    },
}

impl Arrivals {
    /// How many come in a second, on average, in a cell of so many.
    #[must_use]
    pub fn a_second(self, rate: u32) -> f64 {
        match self {
            Self::Share(share) => f64::from(rate) * share,
            Self::Random(gap) | Self::Regular(gap) => 1.0 / gap.as_secs_f64(),
            Self::Bursts { of, every, .. } => f64::from(of) / every.as_secs_f64(),
        }
    }
}
