//! One run of one scene: the queue of events, and who calls, answers, waits and leaves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use failover_core::{CheckNext, Evidence};

use crate::simulation::fate::{End, Fate, Load};
use crate::simulation::measure::Measure;
use crate::simulation::random::Random;
use crate::simulation::scene::{Arrivals, Callers, Scene};
use crate::simulation::subject::{Step, Subject};
use crate::simulation::tally::Tally;

/// One cell of the grid, and the seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Calls a second.
    pub rate: u32,
    /// The factor of the targets' latency.
    pub latency: f64,
    /// The seed.
    pub seed: u64,
}

/// Plays a scene for so long.
#[must_use]
pub fn run(scene: &Scene, cell: Cell, lasts: Duration, subject: &mut dyn Subject) -> Tally {
    let numbers = [u64::from(cell.rate), cell.latency.to_bits(), cell.seed];
    let mut random = Random::of(scene.name, &numbers);
    let mut run = Run {
        scene,
        cell,
        subject,
        queue: BinaryHeap::new(),
        serial: 0,
        calls: vec![],
        free: vec![],
        loads: vec![Load::default(); scene.targets.len()],
        arrivals: Random::new(random.draw()),
        fates: Random::new(random.draw()),
        in_burst: vec![0; scene.callers.len()],
        awaits_notice: scene.wants(Measure::Noticed),
        tally: Tally::new(scene.targets.len(), lasts),
    };
    run.open();
    while let Some(Reverse(next)) = run.queue.pop() {
        if next.at >= lasts {
            break;
        }
        run.happen(next.event, next.at);
        run.look(next.at);
    }
    run.tally
}

struct Run<'a> {
    scene: &'a Scene,
    cell: Cell,
    subject: &'a mut dyn Subject,
    queue: BinaryHeap<Reverse<Next>>,
    /// Tells events of one moment apart, attempts, and calls that had the same number.
    serial: u64,
    calls: Vec<Call>,
    /// The numbers of calls that ended.
    free: Vec<usize>,
    loads: Vec<Load>,
    arrivals: Random,
    fates: Random,
    /// How many calls of the present burst were made, for each kind of callers.
    in_burst: Vec<u32>,
    awaits_notice: bool,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Next {
    at: Duration,
    serial: u64,
    event: Event,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    /// Callers of a kind call.
    Call(usize),
    /// An attempt ends as its fate has it.
    End(Ticket),
    /// The time is over after which the subject wants to be asked.
    Bound(Ticket),
    /// The time for the connect is over.
    ConnectBound(Ticket),
    Resume(Ticket),
    BodyBreaks(Ticket),
    Leave(Ticket),
    Check,
    Checked {
        target: usize,
        is_good: bool,
    },
}

/// A call, and what it must still be doing for an event to happen.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Ticket {
    call: usize,
    serial: u64,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    /// The kind of its caller.
    kind: usize,
    /// Which of those with this number it is.
    born: u64,
    /// What it is doing.
    serial: u64,
    began: Duration,
    /// The target of the attempt that waits for an answer.
    asks: Option<usize>,
    fate: Fate,
    executed: u32,
    /// Some attempt may have been executed.
    is_doubtful: bool,
}

impl Run<'_> {
    fn open(&mut self) {
        for kind in 0..self.scene.callers.len() {
            let from = self.scene.callers[kind].when.span().0;
            let first = self.gap(kind);
            self.push(from + first, Event::Call(kind));
        }
        self.push(Duration::ZERO, Event::Check);
    }

    fn happen(&mut self, event: Event, now: Duration) {
        match event {
            Event::Call(kind) => self.call(kind, now),
            Event::End(ticket) if self.is_due(ticket) => self.end(ticket.call, now),
            Event::Bound(ticket) | Event::ConnectBound(ticket) if self.is_due(ticket) => {
                self.expire(ticket.call, now);
            }
            Event::Resume(ticket) if self.is_due(ticket) => {
                let step = self.subject.resumed(ticket.call, now);
                self.perform(ticket.call, step, now);
            }
            Event::BodyBreaks(ticket) if self.is_due(ticket) => {
                self.subject.body_ended(ticket.call, false, now);
                self.close(ticket.call, now, None);
            }
            Event::Leave(ticket) if self.calls[ticket.call].born == ticket.serial => {
                self.hang_up(ticket.call);
                self.subject.left(ticket.call, now);
                self.lose(ticket.call, now);
            }
            Event::Check => self.check(now),
            Event::Checked { target, is_good } => self.subject.checked(target, is_good),
            _ => {}
        }
    }

    /// Writes down where the cursor is, and whether the failing target is known to fail.
    fn look(&mut self, now: Duration) {
        let cursor = self.subject.cursor();
        if self.tally.moves.last().is_some_and(|(_, target)| *target != cursor) {
            self.tally.moves.push((now, cursor));
        }
        let is_failing = self.scene.fails.is_some_and(|fails| fails <= now);
        let awaits_notice = self.awaits_notice && is_failing && self.tally.noticed.is_none();
        if awaits_notice && self.subject.knows_bad(self.scene.failing(), now) {
            self.tally.noticed = Some(now);
        }
    }

    fn call(&mut self, kind: usize, now: Duration) {
        let callers = &self.scene.callers[kind];
        let next = now + self.gap(kind);
        if next < callers.when.span().1 {
            self.push(next, Event::Call(kind));
        }
        let call = self.free.pop().unwrap_or(self.calls.len());
        if call == self.calls.len() {
            self.calls.push(Call::NONE);
        }
        self.serial += 1;
        let born = self.serial;
        self.calls[call] = Call { kind, born, began: now, ..Call::NONE };
        if !callers.aside {
            self.tally.second(now).begun += 1;
        }
        if let Some(patience) = callers.patience {
            self.push(now + patience, Event::Leave(Ticket { call, serial: born }));
        }
        let step = self.subject.begin(call, callers, now);
        self.perform(call, step, now);
    }

    /// The time until the next call of a kind.
    fn gap(&mut self, kind: usize) -> Duration {
        let (random, made) = (&mut self.arrivals, &mut self.in_burst[kind]);
        match self.scene.callers[kind].arrivals {
            Arrivals::Share(share) => {
                random.exponential(Duration::from_secs_f64(1.0 / (f64::from(self.cell.rate) * share)))
            }
            Arrivals::Random(mean) => random.exponential(mean),
            Arrivals::Regular(gap) => gap,
            Arrivals::Bursts { of, apart, every } => {
                *made = *made % of + 1;
                if *made == 1 { every.saturating_sub(apart * (of - 1)) } else { apart }
            }
        }
    }

    fn end(&mut self, call: usize, now: Duration) {
        let open = self.hang_up(call);
        let Some((_, end)) = open.fate.end else { unreachable!("its end was expected") };
        let step = match end {
            End::Answer { status, retry_after, breaks } => {
                self.calls[call].is_doubtful |= matches!(status, 502..=504);
                let step = self.subject.answered(call, status, retry_after, now);
                if step == Step::Return {
                    return self.hand_over(call, open, status, breaks, now);
                }
                step
            }
            End::Refused => self.subject.failed(call, Evidence::NoConnection, now),
            End::Reset => self.subject.failed(call, Evidence::MaybeProcessed, now),
        };
        self.perform(call, step, now);
    }

    fn expire(&mut self, call: usize, now: Duration) {
        let open = self.calls[call];
        let evidence = if open.fate.is_swallowed { Evidence::NoConnection } else { Evidence::MaybeProcessed };
        let step = self.subject.expired(call, evidence, now);
        if let Step::WaitOn(bound) = step {
            let at = now + bound + self.late();
            self.push(at, Event::Bound(Ticket { call, serial: open.serial }));
        } else {
            self.hang_up(call);
            self.perform(call, step, now);
        }
    }

    fn perform(&mut self, call: usize, step: Step, now: Duration) {
        match step {
            Step::Send { target, bound, connect } => self.send(call, target, bound, connect, now),
            Step::Pause(pause) => {
                let ticket = self.turn(call);
                self.push(now + pause, Event::Resume(ticket));
            }
            Step::Stop => self.lose(call, now),
            Step::Return | Step::WaitOn(_) => unreachable!("{step:?} without an answer or a bound"),
        }
    }

    fn send(&mut self, call: usize, target: usize, bound: Duration, connect: Duration, now: Duration) {
        let callers = &self.scene.callers[self.calls[call].kind];
        let (plan, load) = ((target, &self.scene.targets[target]), &mut self.loads[target]);
        let fate = Fate::of(plan, load, callers, self.cell.latency, now, &mut self.fates);
        load.in_flight += 1;
        let ticket = self.turn(call);
        let open = &mut self.calls[call];
        (open.asks, open.fate) = (Some(target), fate);
        open.executed += u32::from(fate.is_executed);
        open.is_doubtful |= fate.is_executed;
        if !callers.aside {
            let began = open.began;
            self.tally.second(began).attempts += 1;
        }
        if let Some((at, _)) = fate.end.filter(|(at, _)| *at <= now + bound) {
            self.push(at, Event::End(ticket));
        } else {
            // The subject may prolong the wait, so the end may come after the bound.
            if fate.is_swallowed {
                let at = now + connect + self.late();
                self.push(at, Event::ConnectBound(ticket));
            }
            let at = now + bound + self.late();
            self.push(at, Event::Bound(ticket));
            if let Some((at, _)) = fate.end {
                self.push(at, Event::End(ticket));
            }
        }
    }

    /// The attempt waits for an answer no longer.
    fn hang_up(&mut self, call: usize) -> Call {
        if let Some(target) = self.calls[call].asks {
            self.loads[target].in_flight -= 1;
        }
        let open = self.calls[call];
        self.calls[call].asks = None;
        self.turn(call);
        open
    }

    /// The caller gets the head of an answer.
    fn hand_over(&mut self, call: usize, open: Call, status: u16, breaks: bool, now: Duration) {
        if breaks {
            let ticket = self.turn(call);
            self.calls[call].is_doubtful = false;
            return self.push(now + BODY, Event::BodyBreaks(ticket));
        }
        self.subject.body_ended(call, true, now);
        self.close(call, now, open.asks.filter(|_| status < 500));
    }

    /// The call ends without an answer.
    fn lose(&mut self, call: usize, now: Duration) {
        let open = self.calls[call];
        let callers = &self.scene.callers[open.kind];
        if callers.post && !callers.aside && open.is_doubtful {
            self.tally.in_doubt += 1;
        }
        self.close(call, now, None);
    }

    fn close(&mut self, call: usize, now: Duration, answered: Option<usize>) {
        let open = self.calls[call];
        let callers = &self.scene.callers[open.kind];
        self.calls[call] = Call::NONE;
        self.free.push(call);
        if callers.aside {
            return;
        }
        self.tally.twice += u64::from(callers.post && open.executed > 1);
        match answered {
            Some(target) => {
                self.tally.second(now).answered[target] += 1;
                if now >= self.scene.judged_from() {
                    self.tally.best.0 += u64::from(target == self.scene.best_at(now));
                    self.tally.best.1 += 1;
                }
            }
            None => self.tally.second(now).unanswered += 1,
        }
    }

    fn check(&mut self, now: Duration) {
        while let Some(next) = self.subject.next_check(now) {
            match next {
                CheckNext::Ask(target) => self.ask(target, now),
                CheckNext::Wait(time) => return self.push(now + time, Event::Check),
            }
        }
    }

    fn ask(&mut self, target: usize, now: Duration) {
        let plan = (target, &self.scene.targets[target]);
        let mut load = self.loads[target];
        let fate = Fate::of(plan, &mut load, &Callers::READERS, self.cell.latency, now, &mut self.fates);
        let (at, is_good) = match fate.end {
            Some((at, End::Answer { status, .. })) if at <= now + CHECK => (at, status < 300),
            Some((at, _)) if at <= now + CHECK => (at, false),
            _ => (now + CHECK, false),
        };
        self.push(at, Event::Checked { target, is_good });
    }

    /// How late a timer goes off.
    fn late(&mut self) -> Duration {
        TIMER.mul_f64(self.fates.unit())
    }

    /// The call does something else, which makes what was expected of it void.
    fn turn(&mut self, call: usize) -> Ticket {
        self.serial += 1;
        self.calls[call].serial = self.serial;
        Ticket { call, serial: self.serial }
    }

    fn is_due(&self, ticket: Ticket) -> bool {
        self.calls[ticket.call].serial == ticket.serial
    }

    fn push(&mut self, at: Duration, event: Event) {
        self.serial += 1;
        self.queue.push(Reverse(Next { at, serial: self.serial, event }));
    }
}

impl Call {
    const NONE: Self = Self {
        kind: 0,
        born: 0,
        serial: 0,
        began: Duration::ZERO,
        asks: None,
        fate: Fate { end: None, is_swallowed: false, is_executed: false },
        executed: 0,
        is_doubtful: false,
    };
}

/// How long a body takes until it breaks off.
const BODY: Duration = Duration::from_millis(10);
/// What a timer of an adapter is late at most.
const TIMER: Duration = Duration::from_millis(1);
/// How long a check waits.
const CHECK: Duration = Duration::from_secs(2);
