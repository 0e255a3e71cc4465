//! What is measured of a run, and the bounds that scenes set.

use crate::simulation::chance;

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measure {
    /// The share of calls that got a whole answer below 500.
    Answered,
    /// Writes without an answer that may have been executed, as seconds of the arrivals.
    InDoubt,
    /// Writes that were executed more than once.
    Twice,
    /// Attempts per call in the worst ten seconds.
    Worst,
    /// Attempts per call.
    Attempts,
    /// The share of answers that came from the best target that works.
    Best,
    /// Seconds until the cursor left the target that failed.
    Leave,
    /// Seconds until the cursor was at the target that is well again.
    Back,
    /// Moves of the cursor to a preferred target, an hour.
    Returns,
    /// Moves of the cursor away from the best target, an hour.
    Needless,
    /// Seconds until the failing target is known to fail.
    Noticed,
}

impl Measure {
    /// All of them, as the columns of a table.
    pub const ALL: [Self; 11] = [
        Self::Answered,
        Self::InDoubt,
        Self::Twice,
        Self::Worst,
        Self::Attempts,
        Self::Best,
        Self::Leave,
        Self::Back,
        Self::Returns,
        Self::Needless,
        Self::Noticed,
    ];

    /// The head of its column.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Answered => "answered %",
            Self::InDoubt => "in doubt, s of calls",
            Self::Twice => "executed twice",
            Self::Worst => "attempts per call, worst 10 s",
            Self::Attempts => "attempts per call",
            Self::Best => "at the best %",
            Self::Leave => "left after s",
            Self::Back => "back after s",
            Self::Returns => "returns/h",
            Self::Needless => "needless leaves/h",
            Self::Noticed => "noticed after s",
        }
    }

    /// The value as a table shows it.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => "never".to_owned(),
            Self::Answered | Self::Best => format!("{:.2}", value * 100.0),
            Self::Twice => format!("{value:.0}"),
            Self::Worst | Self::Attempts => format!("{value:.2}"),
            _ => format!("{value:.1}"),
        }
    }

    /// The worse of two values.
    #[must_use]
    pub fn worse(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Answered | Self::Best => one.min(other),
            _ => one.max(other),
        }
    }
}

/// A value of each measure that makes sense in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Values([Option<f64>; Measure::ALL.len()]);

impl Values {
    /// The value of a measure.
    #[must_use]
    pub fn of(&self, measure: Measure) -> Option<f64> {
        self.0[measure as usize]
    }

    /// Sets the value of a measure.
    pub fn set(&mut self, measure: Measure, value: f64) {
        self.0[measure as usize] = Some(value);
    }

    /// The worse value of each measure.
    #[must_use]
    pub fn worse(&self, other: &Self) -> Self {
        let mut worse = *self;
        for measure in Measure::ALL {
            if let Some(value) = other.of(measure) {
                worse.set(measure, self.of(measure).map_or(value, |mine| measure.worse(mine, value)));
            }
        }
        worse
    }
}

/// What a measure may be at most, or at least where more is better.
///
/// Calls come at random, so a bound that needs some of them leaves the time in which they come in all but one run in ten
/// thousand ([`chance`]), and one on writes in doubt as many as come in its time.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// What is bounded.
    pub measure: Measure,
    /// The value of the bound in every cell.
    pub fixed: f64,
    /// How many calls must come one after another, beside it.
    pub calls: u32,
    /// The bound at targets that are idle, if it is another one there.
    pub idle: Option<f64>,
}

impl Bound {
    /// The same bound, but this one at targets that are idle.
    #[must_use]
    pub const fn idle(self, value: f64) -> Self {
        Self { idle: Some(value), ..self }
    }

    /// The bound at so many calls a second.
    #[must_use]
    pub fn at(self, rate: f64) -> f64 {
        match (self.idle, self.measure) {
            (Some(value), _) if rate < BUSY => value,
            (_, Measure::InDoubt) => {
                f64::from(chance::most(self.fixed * rate + f64::from(self.calls))) / rate
            }
            _ => self.fixed + chance::longest(self.calls) / rate,
        }
    }

    /// Whether a value keeps the bound at so many calls a second.
    #[must_use]
    pub fn is_kept(self, values: &Values, rate: f64) -> bool {
        let bound = self.at(rate);
        values.of(self.measure).is_none_or(|value| self.measure.worse(value, bound).total_cmp(&bound).is_eq())
    }
}

/// From how many calls a second on a target is never idle.
const BUSY: f64 = 2.0;
