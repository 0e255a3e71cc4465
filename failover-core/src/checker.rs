//! The checker: which target is to be checked when.

use alloc::boxed::Box;
use core::time::Duration;

use http::StatusCode;

use crate::checks::{Checks, Heard};
use crate::evidence::Evidence;
use crate::group::Group;
use crate::mark::Mark;
use crate::time::Timestamp;

/// Says which target is to be checked when, and is told how that went. One per group.
///
/// The checks of one round run side by side, so that a target that hangs holds up no other. They follow no redirects,
/// and carry the target's own headers.
///
/// # Examples
///
/// ```
/// use failover_core::{CheckNext, CheckState, Checks, Evidence, Group, Policy, Timestamp};
/// use http::StatusCode;
/// use std::time::Duration;
///
/// let policy = Policy::default().checks(Checks::at("/healthz"));
/// let group = Group::new(["http://hangs", "http://works"], policy)?;
/// let mut checker = group.checker().expect("there are checks");
/// let mut now = Timestamp::ORIGIN;
/// for _ in 0..100 {
///     match checker.next(now) {
///         CheckNext::Ask(0) => checker.report(0, Err(Evidence::MaybeProcessed)),
///         CheckNext::Ask(target) => checker.report(target, Ok(StatusCode::OK)),
///         CheckNext::Wait(time) => now = now + time,
///     }
/// }
/// let states = group.snapshot(now).targets.into_iter().map(|target| target.check);
/// assert!(states.eq([Some(CheckState::Down), Some(CheckState::Up)]));
/// # Ok::<(), failover_core::BuildError>(())
/// ```
#[derive(Debug)]
pub struct Checker<T> {
    group: Group<T>,
    rule: Checks,
    /// When the round began, if one did.
    began: Option<Timestamp>,
    slots: Box<[Slot]>,
    rows: Box<[GoodRow]>,
}

/// One target in a round.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// To be asked then.
    Due(Timestamp),
    Asked,
    /// There was no connection, which counts only if there was one to another target.
    Unconnected,
    /// It was not asked, for a reason on this side.
    Unsent,
    Connected,
}

/// The good checks in a row of one target that began after its failback clock was set.
#[derive(Clone, Copy, Debug)]
struct GoodRow {
    clock: Mark,
    good: u8,
    /// When the last check of the target began.
    began: Timestamp,
}

/// What the driver of a [`Checker`] does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CheckNext {
    /// Asks the target with this index, and goes on without waiting for the answer, which it reports.
    Ask(usize),
    /// Waits so long, or for the next report.
    Wait(Duration),
}

impl<T> Group<T> {
    /// The machine that checks the targets, if the policy has checks.
    #[must_use]
    pub fn checker(&self) -> Option<Checker<T>> {
        let rule = self.policy().checks.clone()?;
        let slots = self.targets().iter().map(|_| Slot::Unsent).collect();
        let row = GoodRow { clock: Mark::CLEAN, good: 0, began: Timestamp::ORIGIN };
        let rows = self.targets().iter().map(|_| row).collect();
        Some(Checker { group: self.clone(), rule, began: None, slots, rows })
    }
}

impl<T> Checker<T> {
    /// What is checked how.
    #[must_use]
    pub fn checks(&self) -> &Checks {
        &self.rule
    }

    /// The target with an index.
    #[must_use]
    pub fn target(&self, index: usize) -> Option<&T> {
        self.group.targets().get(index)
    }

    /// What is to be done next.
    #[must_use]
    pub fn next(&mut self, now: Timestamp) -> CheckNext {
        if !self.slots.iter().any(|slot| matches!(slot, Slot::Due(_) | Slot::Asked)) {
            self.begin_round(now);
        }
        let due = self.slots.iter().enumerate().filter_map(|(index, slot)| match slot {
            Slot::Due(due) => Some((*due, index)),
            _ => None,
        });
        match due.min() {
            Some((due, index)) if due <= now => {
                self.slots[index] = Slot::Asked;
                let (clock, row) = (self.group.shared().failback.due(index), &mut self.rows[index]);
                let good = if clock == row.clock { row.good } else { 0 };
                *row = GoodRow { clock, good, began: now };
                CheckNext::Ask(index)
            }
            Some((due, _)) => CheckNext::Wait(due.since(now)),
            None => CheckNext::Wait(self.rule.timeout),
        }
    }

    /// Reports how a check went: the status of its answer, or what its failure proves. A check that took longer than its
    /// timeout is [`MaybeProcessed`](Evidence::MaybeProcessed), or [`NoConnection`](Evidence::NoConnection) while there was
    /// none.
    pub fn report(&mut self, index: usize, result: Result<StatusCode, Evidence>) {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| matches!(slot, Slot::Asked)) else { return };
        let is_sole = self.group.targets().len() == 1;
        *slot = match result {
            Err(Evidence::NoConnection) => Slot::Unconnected,
            Err(Evidence::LocalFault | Evidence::NoRoom) => Slot::Unsent,
            Ok(_) | Err(_) => Slot::Connected,
        };
        let heard = match result {
            Ok(StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            | Err(Evidence::LocalFault | Evidence::NoRoom) => return,
            Ok(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => Heard::NoSuchPath,
            Ok(status) if self.rule.statuses.contains(status) => Heard::Good,
            Ok(_) => Heard::Bad,
            Err(Evidence::NoConnection) if !is_sole => return,
            Err(_) => Heard::Nothing,
        };
        self.book(index, heard);
    }

    /// Books a check. Enough good ones make the failback clock of a target due that the cursor has left.
    fn book(&mut self, index: usize, heard: Heard) {
        self.group.shared().health.checked(index, heard, &self.rule);
        let row = &mut self.rows[index];
        row.good = if heard == Heard::Good { row.good.saturating_add(1) } else { 0 };
        if row.good >= self.rule.rise {
            self.group.shared().failback.cut_short(index, row.clock, row.began);
        }
    }

    /// Ends the round, and begins the next one.
    fn begin_round(&mut self, now: Timestamp) {
        // If no target could be connected to, the cause is likely here.
        if self.slots.iter().any(|slot| matches!(slot, Slot::Connected)) {
            for index in 0..self.slots.len() {
                if matches!(self.slots[index], Slot::Unconnected) {
                    self.book(index, Heard::Nothing);
                }
            }
        }
        let began = self.began.map_or(now, |began| (began + self.rule.every).max(now));
        self.began = Some(began);
        let jitter = &self.group.shared().jitter;
        for slot in &mut self.slots {
            *slot = Slot::Due(began + jitter.delay(self.rule.every / 10));
        }
    }
}
