//! What becomes of an attempt: decided when it begins, from the target's faults at that moment and at its end.

use std::time::Duration;

use crate::simulation::random::Random;
use crate::simulation::scene::{Callers, Fault, Latency, Target, What};

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fate {
    /// When it ends and how; never by itself if there is none.
    pub end: Option<(Duration, End)>,
    /// Nobody answers the connect.
    pub is_swallowed: bool,
    /// The request is executed, whether or not an answer comes.
    pub is_executed: bool,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// With the head of an answer.
    Answer {
        /// Its status.
        status: u16,
        /// What it asks for.
        retry_after: Option<Duration>,
        /// Its body breaks off.
        breaks: bool,
    },
    /// With a connection that was refused.
    Refused,
    /// With a connection that was reset.
    Reset,
}

/// What a target is doing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// The attempts that wait for an answer.
    pub in_flight: usize,
    /// Until when it hangs because there were too many.
    pub collapsed_until: Duration,
}

impl Fate {
    /// The fate of an attempt that begins and is not among those in flight yet.
    pub fn of(
        (index, target): (usize, &Target),
        load: &mut Load,
        caller: &Callers,
        factor: f64,
        now: Duration,
        random: &mut Random,
    ) -> Self {
        let mut takes = match caller.latency.unwrap_or(target.latency) {
            Latency::Usual(median) => random.log_normal(median.mul_f64(factor), SPREAD),
            Latency::Fixed(latency) => latency,
        };
        let (mut status, mut retry_after, mut breaks) = (200, None, false);
        let active = target.faults.iter().filter(|fault| fault.when.is(now) && random.happens(fault.share));
        let mut until = Duration::ZERO;
        for what in active.map(|fault| fault.what).chain(caller.lot.at(index)) {
            match what {
                What::Refuse => {
                    let end = Some((now + REFUSAL, End::Refused));
                    return Self { end, is_swallowed: false, is_executed: false };
                }
                What::Swallow => return Self { end: None, is_swallowed: true, is_executed: false },
                What::Hang => return Self::SILENT,
                What::Status(code) => status = code,
                What::RetryAfter(code, asked) => (status, retry_after) = (code, Some(asked)),
                What::Slow(times) => takes = takes.mul_f64(times),
                What::Take(time) => takes = time,
                What::Freeze(end) => until = end,
                What::Break => breaks = true,
                What::Overload(most) if load.in_flight >= most => {
                    (status, takes) = (503, OVERLOADED);
                }
                What::Collapse(most) if load.in_flight >= most => load.collapsed_until = now + COLLAPSED,
                What::Overload(_) | What::Collapse(_) => {}
            }
        }
        if load.collapsed_until > now {
            return Self::SILENT;
        }
        let at = (now + takes.max(INSTANT)).max(until);
        let end = End::Answer { status, retry_after, breaks };
        let is_executed = status < 400 || status == 500;
        match target
            .faults
            .iter()
            .filter(|fault| is_total(fault) && fault.when.is(at))
            .map(|fault| fault.what)
            .next()
        {
            Some(What::Hang) => Self { is_executed, ..Self::SILENT },
            Some(What::Refuse) => Self { end: Some((at, End::Reset)), is_swallowed: false, is_executed },
            Some(What::Freeze(end_of_pause)) => {
                Self { end: Some((end_of_pause, end)), is_swallowed: false, is_executed }
            }
            _ => Self { end: Some((at, end)), is_swallowed: false, is_executed },
        }
    }

    const SILENT: Self = Self { end: None, is_swallowed: false, is_executed: true };
}

/// Whether a fault meets what was begun before it, too.
fn is_total(fault: &Fault) -> bool {
    fault.share >= 1.0 && matches!(fault.what, What::Hang | What::Refuse | What::Freeze(_))
}

const SPREAD: f64 = 0.4;
/// How long a refusal takes.
const REFUSAL: Duration = Duration::from_millis(1);
/// The shortest answer.
const INSTANT: Duration = Duration::from_micros(1);
const OVERLOADED: Duration = Duration::from_millis(200);
const COLLAPSED: Duration = Duration::from_secs(5);
