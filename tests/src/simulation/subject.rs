//! What is tried: something that decides for each call where it goes, and learns from how that went.

use std::fmt;
use std::time::Duration;

use failover_core::{CheckNext, Evidence};

use crate::simulation::scene::Callers;

/// Something that decides where calls go. A call is known by a number, which is used again after its end.
pub trait Subject: fmt::Debug {
    /// A call begins.
    fn begin(&mut self, call: usize, caller: &Callers, now: Duration) -> Step;

    /// The head of an answer came.
    fn answered(&mut self, call: usize, status: u16, retry_after: Option<Duration>, now: Duration) -> Step;

    /// The attempt ended without one.
    fn failed(&mut self, call: usize, evidence: Evidence, now: Duration) -> Step;

    /// The bound of the attempt, or of a prolonged wait, is over.
    fn expired(&mut self, call: usize, evidence: Evidence, now: Duration) -> Step;

    /// The pause is over.
    fn resumed(&mut self, call: usize, now: Duration) -> Step;

    /// The caller left.
    fn left(&mut self, call: usize, now: Duration);

    /// The body of the answer that was returned ended whole, or broke off. It is the last that is told of a call.
    fn body_ended(&mut self, call: usize, whole: bool, now: Duration);

    /// The target where the next call begins.
    fn cursor(&self) -> usize;

    /// Whether it is known that a target does not work.
    fn knows_bad(&self, target: usize, now: Duration) -> bool;

    /// Which target is to be checked when, if any is.
    fn next_check(&mut self, now: Duration) -> Option<CheckNext> {
        let _ = now;
        None
    }

    /// A check ended.
    fn checked(&mut self, target: usize, good: bool) {
        let _ = (target, good);
    }
}

/// What a call does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Sends the request to a target.
    Send {
        /// Its index.
        target: usize,
        /// How long the attempt may take before the subject is asked.
        bound: Duration,
        /// How long the connect may take.
        connect: Duration,
    },
    /// Goes on waiting for the answer, so long before the subject is asked again.
    WaitOn(Duration),
    /// Pauses.
    Pause(Duration),
    /// Returns the answer to the caller.
    Return,
    /// Stops without one.
    Stop,
}
