//! What one call must do, written down as plainly as the design says it: the oracle of the exhaustive suites.
//!
//! It knows no marks, no clock and no other call; it is as slow as it likes.

use failover_core::{Evidence, Reason};
use http::StatusCode;

/// How one attempt ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// An answer with this status.
    Status(u16),
    /// An error with this evidence.
    Error(Evidence),
}

impl Outcome {
    /// An answer that every policy accepts.
    pub const OK: Self = Self::Status(200);

    /// One outcome of each kind that the table distinguishes.
    pub const KINDS: [Self; 12] = [
        Self::OK,
        Self::Status(503),
        Self::Status(501),
        Self::Status(421),
        Self::Error(Evidence::NoConnection),
        Self::Error(Evidence::NotSent),
        Self::Error(Evidence::NoRoom),
        Self::Error(Evidence::HandedBack),
        Self::Error(Evidence::Refused),
        Self::Error(Evidence::Stale),
        Self::Error(Evidence::MaybeProcessed),
        Self::Error(Evidence::LocalFault),
    ];

    /// The status, if there was an answer.
    ///
    /// # Panics
    ///
    /// The number is no status.
    #[must_use]
    pub fn status(self) -> Option<StatusCode> {
        match self {
            Self::Status(code) => Some(StatusCode::from_u16(code).expect("a status")),
            Self::Error(_) => None,
        }
    }
}

/// What a call did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trace {
    /// The targets of its attempts, in order.
    pub tried: Vec<usize>,
    /// Before which attempts it paused: 1 is the second attempt.
    pub pauses: Vec<usize>,
    /// The target that answered, or why it stopped.
    pub end: Result<usize, Reason>,
    /// Where the next call begins.
    pub cursor: usize,
}

/// The rule of the seed: each target once, from the sticky one on, circularly; the first success becomes sticky.
pub fn ballerina(targets: usize, sticky: usize, outcome: &mut dyn FnMut(usize) -> Outcome) -> Trace {
    let mut trace = Trace { tried: vec![], pauses: vec![], end: Err(Reason::TargetsTried), cursor: sticky };
    for target in (0..targets).map(|k| (sticky + k) % targets) {
        if !trace.tried.is_empty() {
            trace.pauses.push(trace.tried.len());
        }
        trace.tried.push(target);
        match outcome(trace.tried.len() - 1) {
            Outcome::Status(501..=504) | Outcome::Error(_) => {}
            Outcome::Status(_) => {
                trace.end = Ok(target);
                trace.cursor = target;
                break;
            }
        }
    }
    trace
}

/// What a request brings to the question whether it may be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request {
    /// Whether a second execution is known to be harmless.
    pub proof: bool,
    /// Whether its body can be sent again.
    pub body: bool,
}

impl Request {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self { proof: true, body: true },
        Self { proof: true, body: false },
        Self { proof: false, body: true },
        Self { proof: false, body: false },
    ];
}

/// The table of the design under the default policy, for the first call of a fresh group.
#[expect(clippy::match_same_arms, reason = "the table has a row for each ending")]
pub fn careful(
    targets: usize,
    sticky: usize,
    request: Request,
    outcome: &mut dyn FnMut(usize) -> Outcome,
) -> Trace {
    let order: Vec<usize> = (0..targets).map(|k| (sticky + k) % targets).collect();
    let mut trace = Trace { tried: vec![], pauses: vec![], end: Err(Reason::TargetsTried), cursor: sticky };
    let (mut free, mut sticky_stays, mut sticky_harmed, mut no_room) = (true, false, false, true);
    for (place, &target) in order.iter().enumerate() {
        if place > 0 {
            trace.pauses.push(trace.tried.len());
        }
        loop {
            trace.tried.push(target);
            let met = outcome(trace.tried.len() - 1);
            no_room &= met == Outcome::Error(Evidence::NoRoom);
            let (needs, same, harm, stays) = match (met, free) {
                (Outcome::Error(Evidence::HandedBack), true) => ("nothing", true, false, true),
                (Outcome::Error(Evidence::Stale), true) => ("proof", true, false, true),
                (Outcome::Error(Evidence::NoConnection), _) => ("nothing", false, true, false),
                (Outcome::Error(Evidence::NotSent | Evidence::HandedBack), _) => {
                    ("nothing", false, false, false)
                }
                (Outcome::Error(Evidence::NoRoom), _) => ("nothing", false, false, true),
                (Outcome::Error(Evidence::MaybeProcessed | Evidence::Stale), _) => {
                    ("proof", false, true, false)
                }
                (Outcome::Error(Evidence::Refused) | Outcome::Status(421 | 425), _) => {
                    ("body", false, true, true)
                }
                (Outcome::Error(Evidence::LocalFault), _) => ("never", false, false, true),
                (Outcome::Status(501), _) => ("body", false, false, false),
                (Outcome::Status(502..=504), _) => ("proof", false, true, false),
                (Outcome::Error(_), _) => unreachable!("every kind has its row"),
                (Outcome::Status(_), _) => {
                    trace.end = Ok(target);
                    if !sticky_stays {
                        trace.cursor = target;
                    }
                    return trace;
                }
            };
            if target == sticky {
                (sticky_stays, sticky_harmed) = (stays, harm);
            }
            let refused = match needs {
                "never" => Some(Reason::LocalFault),
                "proof" if !request.proof => Some(Reason::NoProof),
                "proof" | "body" if !request.body => Some(Reason::OneShotBody),
                _ => None,
            };
            if let Some(reason) = refused {
                trace.end = Err(reason);
                if sticky_harmed && place + 1 < targets {
                    trace.cursor = order[place + 1];
                }
                return trace;
            }
            if !same {
                break;
            }
            free = false;
        }
    }
    if no_room {
        trace.end = Err(Reason::LocalFault);
    }
    trace
}
