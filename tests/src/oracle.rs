//! What one call must do, written down as plainly as the design says it: the oracle of the exhaustive suites.
//!
//! It knows no marks, no clock and no other call; it is as slow as it likes.

use failover_core::{Evidence, Follow, Policy, Reason, Verdict};
use http::StatusCode;

/// How one attempt ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// An answer with this status.
    Status(u16),
    /// An answer of 200 that was judged to be this.
    Judged(Verdict),
    /// An error with this evidence.
    Error(Evidence),
}

impl Outcome {
    /// An answer that every policy accepts.
    pub const OK: Self = Self::Status(200);

    /// One outcome of each kind that the table distinguishes, but for those of judges.
    pub const KINDS: [Self; 15] = [
        Self::OK,
        Self::Status(404),
        Self::Status(500),
        Self::Status(503),
        Self::Status(501),
        Self::Status(421),
        Self::Status(425),
        Self::Error(Evidence::NoConnection),
        Self::Error(Evidence::NotSent),
        Self::Error(Evidence::NoRoom),
        Self::Error(Evidence::HandedBack),
        Self::Error(Evidence::Refused),
        Self::Error(Evidence::Stale),
        Self::Error(Evidence::MaybeProcessed),
        Self::Error(Evidence::LocalFault),
    ];

    /// One answer of each kind that a judge distinguishes.
    pub const JUDGED: [Self; 5] = [
        Self::Judged(Verdict::Pass),
        Self::Judged(Verdict::Elsewhere { processed: false, harm: false }),
        Self::Judged(Verdict::Elsewhere { processed: false, harm: true }),
        Self::Judged(Verdict::Elsewhere { processed: true, harm: false }),
        Self::Judged(Verdict::Elsewhere { processed: true, harm: true }),
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
            Self::Judged(_) => Some(StatusCode::OK),
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

/// The rule of Ballerina's client: each target once, from the sticky one on, circularly; the first success becomes sticky.
pub fn ballerina(targets: usize, sticky: usize, outcome: &mut dyn FnMut(usize) -> Outcome) -> Trace {
    let mut trace = Trace { tried: vec![], pauses: vec![], end: Err(Reason::TargetsTried), cursor: sticky };
    for target in (0..targets).map(|k| (sticky + k) % targets) {
        if !trace.tried.is_empty() {
            trace.pauses.push(trace.tried.len());
        }
        trace.tried.push(target);
        match outcome(trace.tried.len() - 1) {
            Outcome::Status(501..=504) | Outcome::Judged(Verdict::Elsewhere { .. }) | Outcome::Error(_) => {}
            Outcome::Status(_) | Outcome::Judged(_) => {
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

/// The table of the design under the default codes, one round, and replay with proof, for the first call of a fresh group.
pub fn careful(
    policy: &Policy,
    targets: usize,
    sticky: usize,
    request: Request,
    outcome: &mut dyn FnMut(usize) -> Outcome,
) -> Trace {
    let mut trace = Trace { tried: vec![], pauses: vec![], end: Err(Reason::TargetsTried), cursor: sticky };
    let mut met = vec![];
    for place in 0..targets {
        let target = (sticky + place) % targets;
        if place > 0 {
            trace.pauses.push(trace.tried.len());
        }
        loop {
            trace.tried.push(target);
            met.push(outcome(met.len()));
            let lacks = match needs(&met) {
                None => {
                    trace.end = Ok(target);
                    break;
                }
                Some(Needs::Never) => Some(Reason::LocalFault),
                Some(Needs::Proof) if !request.proof => Some(Reason::NoProof),
                Some(Needs::Proof | Needs::Body) if !request.body => Some(Reason::OneShotBody),
                Some(_) => None,
            };
            if let Some(reason) = lacks {
                trace.end = Err(reason);
                break;
            }
            if !is_free(policy, &met) {
                break;
            }
        }
        if trace.end != Err(Reason::TargetsTried) {
            break;
        }
    }
    if trace.end.is_err() && met.iter().all(|&met| met == Outcome::Error(Evidence::NoRoom)) {
        trace.end = Err(Reason::LocalFault);
    }
    trace.cursor = cursor(policy, targets, sticky, &trace, &met);
    trace
}

/// The strikes of each target after the attempts of the first call of a fresh group.
#[must_use]
pub fn strikes(policy: &Policy, targets: usize, tried: &[usize], met: &[Outcome]) -> Vec<u8> {
    let codes = policy.failover_codes.union(policy.not_processed.unwrap_or_default());
    let mut strikes = vec![0; targets];
    for (nth, &target) in tried.iter().enumerate() {
        let is_returned = met[nth].status().is_some_and(|status| !codes.contains(status));
        let (before, added) = (strikes[target], strikes[target] + 1);
        strikes[target] = match met[nth] {
            Outcome::Judged(Verdict::Pass | Verdict::Elsewhere { harm: false, .. }) => before,
            Outcome::Judged(Verdict::Elsewhere { .. }) => added,
            Outcome::Judged(_) => 0,
            Outcome::Status(429 | 500..=599) if is_returned => before,
            Outcome::Status(_) if is_returned => 0,
            Outcome::Status(421 | 429) => added,
            Outcome::Status(400..=499 | 501) => before,
            Outcome::Status(_) | Outcome::Error(Evidence::Refused | Evidence::MaybeProcessed) => added,
            Outcome::Error(Evidence::Stale) if !is_free(policy, &met[..=nth]) => added,
            Outcome::Error(Evidence::NoConnection) => added.max(policy.leave_after),
            Outcome::Error(_) => before,
        };
    }
    strikes
}

/// What sending a request again needs.
enum Needs {
    /// Nothing: it was not sent.
    Nothing,
    Body,
    /// The body, too.
    Proof,
    Never,
}

/// What a replay needs after the last of these outcomes; `None`: that one is returned.
fn needs(met: &[Outcome]) -> Option<Needs> {
    match met[met.len() - 1] {
        Outcome::Error(
            Evidence::NoConnection | Evidence::NotSent | Evidence::NoRoom | Evidence::HandedBack,
        ) => Some(Needs::Nothing),
        Outcome::Error(Evidence::Refused)
        | Outcome::Status(421 | 425 | 501)
        | Outcome::Judged(Verdict::Elsewhere { processed: false, .. }) => Some(Needs::Body),
        Outcome::Error(Evidence::Stale | Evidence::MaybeProcessed) | Outcome::Status(502..=504) => {
            Some(Needs::Proof)
        }
        Outcome::Judged(Verdict::Elsewhere { .. }) => Some(Needs::Proof),
        Outcome::Error(Evidence::LocalFault) => Some(Needs::Never),
        Outcome::Error(_) => unreachable!("every kind has its row"),
        Outcome::Status(_) | Outcome::Judged(_) => None,
    }
}

/// Whether the last of these outcomes is followed by the free repeat, of which a call has one.
#[must_use]
pub fn is_free(policy: &Policy, met: &[Outcome]) -> bool {
    let may_repeat = |met: &Outcome| matches!(met, Outcome::Error(Evidence::HandedBack | Evidence::Stale));
    policy.free_repeat
        && met.last().is_some_and(may_repeat)
        && met.iter().filter(|met| may_repeat(met)).count() == 1
}

/// Where the cursor is after such a call.
fn cursor(policy: &Policy, targets: usize, sticky: usize, trace: &Trace, met: &[Outcome]) -> usize {
    let last = met[met.len() - 1];
    let is_down = strikes(policy, targets, &trace.tried, met)[sticky] >= policy.leave_after;
    let at_sticky = trace.tried.iter().rposition(|&target| target == sticky).map(|nth| &met[..=nth]);
    let is_given_up = at_sticky.is_some_and(|met| match met[met.len() - 1] {
        Outcome::Error(Evidence::Refused | Evidence::NoRoom | Evidence::LocalFault)
        | Outcome::Status(421 | 425) => false,
        Outcome::Error(_) => !is_free(policy, met),
        Outcome::Status(_) | Outcome::Judged(_) => true,
    });
    let is_well = !matches!(last, Outcome::Status(500) | Outcome::Judged(Verdict::Pass));
    match (policy.follow, trace.end) {
        (_, Ok(target)) if target == sticky => sticky,
        (Follow::Strikes, Ok(target)) if is_down && is_well => target,
        (Follow::Strikes, Err(_)) if is_down && policy.cool_down.is_none() => {
            let is_left_out = (0..targets).any(|target| !trace.tried.contains(&target));
            if is_left_out { (sticky + 1) % targets } else { sticky }
        }
        (Follow::Answer, Ok(target)) if is_given_up => target,
        _ => sticky,
    }
}
