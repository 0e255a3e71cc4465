//! The machine under arbitrary policies and events: what holds for every one of them.
//!
//! `cargo +nightly fuzz run machine -- -max_total_time=600`, then `cargo +nightly fuzz cmin machine`.
#![no_main]

mod call;
mod plan;

use failover_core::{BodyToken, Entry, Group, Timestamp};

use crate::call::{Call, Next};
use crate::plan::{Event, Moment, Plan};

libfuzzer_sys::fuzz_target!(|plan: Plan| {
    // A policy that makes no sense is refused, not obeyed.
    if let Ok(group) = Group::of(few(plan.targets).into_iter().map(entry), plan.knobs.policy()) {
        let mut fleet = Fleet { group, calls: Vec::new(), bodies: Vec::new(), now: Timestamp::ORIGIN };
        plan.events.into_iter().for_each(|event| fleet.perform(event));
        fleet.calls.into_iter().for_each(Call::exhaust);
    }
});

/// A group, the calls that are open, the bodies that have not ended, each with its group, and the time.
struct Fleet {
    group: Group<u8>,
    calls: Vec<Call>,
    bodies: Vec<(Group<u8>, BodyToken)>,
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
                    let next = call.report(outcome, now);
                    self.keep(next);
                }
            }
            Event::Expire(index, kind, at) => {
                let now = self.moment(at);
                if let Some(call) = self.take(index) {
                    let next = call.expire(kind, now);
                    self.keep(next);
                }
            }
            Event::Progress(index, at) => {
                let now = self.moment(at);
                if let Some(mut call) = self.take(index) {
                    call.progress(now);
                    self.calls.push(call);
                }
            }
            Event::BodyGone(index) => {
                if let Some(mut call) = self.take(index) {
                    call.body_gone();
                    self.calls.push(call);
                }
            }
            Event::Drop(index) => {
                let before = self.group.snapshot(self.now);
                drop(self.take(index));
                assert_eq!(self.group.snapshot(self.now), before, "a dropped call books nothing");
            }
            Event::Abandon(index, at) => {
                let now = self.moment(at);
                let sticky = self.group.sticky();
                self.take(index).into_iter().for_each(|call| call.abandon(now));
                assert_eq!(self.group.sticky(), sticky, "a caller who leaves moves nobody");
            }
            Event::Body(index, whole, at) => {
                let now = self.moment(at);
                if let Some((group, body)) = take(&mut self.bodies, index) {
                    if whole { group.body_whole(body, now) } else { group.body_broke_off(body, now) }
                }
            }
            Event::Prefer(index, at) => {
                let now = self.moment(at);
                let known = usize::from(index) < self.group.targets().len();
                assert_eq!(self.group.prefer(index.into(), now).is_ok(), known);
                assert!(!known || self.group.sticky() == usize::from(index));
            }
            Event::Replace(targets, knobs) => {
                if let Ok(group) =
                    self.group.with_targets(few(targets).into_iter().map(entry), knobs.policy())
                {
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
        let is_away = |(index, _): &(usize, _)| *index < seen.sticky;
        assert!(
            seen.targets
                .iter()
                .enumerate()
                .filter(|known| !is_away(known))
                .all(|(_, target)| { target.probe_in.is_none() && target.failed_probes == 0 })
        );
    }

    fn take(&mut self, index: u8) -> Option<Call> {
        take(&mut self.calls, index)
    }

    fn keep(&mut self, next: Next) {
        match next {
            Next::Open(call) => self.calls.push(call),
            Next::Body(group, body) => self.bodies.push((group, body)),
            Next::Over => {}
        }
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

fn take<T>(list: &mut Vec<T>, index: u8) -> Option<T> {
    let count = list.len();
    (count > 0).then(|| list.swap_remove(usize::from(index) % count))
}

/// A target that goes by its number.
fn entry(target: u8) -> Entry<u8> {
    Entry::new(target).known_as(target.to_string())
}

/// Enough targets for every order, and few enough that a call is soon exhausted.
fn few(mut targets: Vec<u8>) -> Vec<u8> {
    targets.truncate(8);
    targets
}
