//! The machine under arbitrary policies and events: what holds for every one of them.
//!
//! `cargo +nightly fuzz run machine -- -max_total_time=600`, then `cargo +nightly fuzz cmin machine`.
#![no_main]

mod call;
mod plan;

use failover_core::{Group, Timestamp};

use crate::call::Call;
use crate::plan::{Event, Moment, Plan};

libfuzzer_sys::fuzz_target!(|plan: Plan| {
    // A policy that makes no sense is refused, not obeyed.
    if let Ok(group) = Group::new(few(plan.targets), plan.knobs.policy()) {
        let mut fleet = Fleet { group, calls: Vec::new(), now: Timestamp::ORIGIN };
        plan.events.into_iter().for_each(|event| fleet.perform(event));
        fleet.calls.into_iter().for_each(Call::exhaust);
    }
});

/// A group, the calls that are open, and the time.
struct Fleet {
    group: Group<u8>,
    calls: Vec<Call>,
    now: Timestamp,
}

impl Fleet {
    fn perform(&mut self, event: Event) {
        match event {
            Event::Begin(request, at) => {
                let now = self.moment(at);
                self.calls.extend(Call::begin(self.group.clone(), request, now));
            }
            Event::Report(index, outcome, at) => {
                let now = self.moment(at);
                if let Some(call) = self.take(index) {
                    self.calls.extend(call.report(outcome, now));
                }
            }
            Event::BodyGone(index) => {
                if let Some(mut call) = self.take(index) {
                    call.body_gone();
                    self.calls.push(call);
                }
            }
            Event::Abandon(index) => {
                let before = self.group.snapshot(self.now);
                drop(self.take(index));
                assert_eq!(self.group.snapshot(self.now), before, "an abandoned call books nothing");
            }
            Event::Prefer(index, at) => {
                let now = self.moment(at);
                let known = usize::from(index) < self.group.targets().len();
                assert_eq!(self.group.prefer(index.into(), now).is_ok(), known);
                assert!(!known || self.group.sticky() == usize::from(index));
            }
            Event::Replace(targets, knobs) => {
                if let Ok(group) = self.group.with_targets(few(targets), knobs.policy(), PartialEq::eq) {
                    self.group = group;
                }
            }
            Event::Look(at) => self.look(at),
        }
    }

    fn look(&mut self, at: Moment) {
        let now = self.moment(at);
        let seen = self.group.snapshot(now);
        assert!(seen.sticky < self.group.targets().len());
        assert_eq!(seen.targets.len(), self.group.targets().len());
        assert!(seen.targets.iter().all(|target| target.cooling.is_none_or(|left| !left.is_zero())));
        assert!(seen.failback_in.is_none() || seen.sticky != 0);
    }

    fn take(&mut self, index: u8) -> Option<Call> {
        let count = self.calls.len();
        (count > 0).then(|| self.calls.swap_remove(usize::from(index) % count))
    }

    fn moment(&mut self, at: Moment) -> Timestamp {
        match at {
            Moment::Later(span) => {
                self.now = self.now + span.duration();
                self.now
            }
            Moment::At(nanos) => Timestamp::from_nanos(nanos),
        }
    }
}

/// Enough targets for every order, and few enough that a call is soon exhausted.
fn few(mut targets: Vec<u8>) -> Vec<u8> {
    targets.truncate(8);
    targets
}
