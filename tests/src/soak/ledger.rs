//! What is counted by all, and what did not hold.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::chaos::{Kind, Opening};

/// The counts of callers and of sites.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// How often each request was executed, with [`ONCE`] where that may be once at most.
    executed: Vec<u8>,
    executions: u64,
    /// By what was spoken.
    executed_over: BTreeMap<&'static str, u64>,
    answered: [u64; 3],
    statuses: BTreeMap<u16, u64>,
    broke_off: u64,
    stopped: BTreeMap<&'static str, u64>,
    left: u64,
    faults: BTreeMap<&'static str, u64>,
    broken: Vec<String>,
    breaks: u64,
}

impl Ledger {
    /// Begins a call, which gets the id of its request.
    pub(super) fn begin(&self, is_once: bool) -> u64 {
        let mut counts = self.lock();
        counts.executed.push(if is_once { ONCE } else { 0 });
        counts.executed.len() as u64 - 1
    }

    /// A site has read a request whole.
    pub(super) fn executed(&self, id: u64, over: &'static str) {
        let mut counts = self.lock();
        counts.executions += 1;
        *counts.executed_over.entry(over).or_default() += 1;
        let known = usize::try_from(id).ok().and_then(|id| counts.executed.get_mut(id));
        let Some(executed) = known else {
            return counts.breaks(format!("request {id} was never made"));
        };
        let times = *executed & !ONCE;
        *executed = *executed & ONCE | (times + 1).min(!ONCE);
        if *executed & ONCE != 0 && times > 0 {
            counts.breaks(format!("POST {id} was executed {} times", times + 1));
        }
    }

    pub(super) fn injects(&self, kind: Kind) {
        *self.lock().faults.entry(kind.name()).or_default() += 1;
    }

    pub(super) fn outage(&self) {
        *self.lock().faults.entry("refused for a while").or_default() += 1;
    }

    pub(super) fn opens(&self, opening: Opening) {
        let name = match opening {
            Opening::Fine { .. } => return,
            Opening::Stall => "stall inside the handshake",
            Opening::Fin => "end inside the handshake",
        };
        *self.lock().faults.entry(name).or_default() += 1;
    }

    pub(super) fn answered(&self, target: usize, status: u16) {
        let mut counts = self.lock();
        counts.answered[target] += 1;
        *counts.statuses.entry(status).or_default() += 1;
    }

    pub(super) fn broke_off(&self) {
        self.lock().broke_off += 1;
    }

    pub(super) fn stopped(&self, reason: &'static str) {
        *self.lock().stopped.entry(reason).or_default() += 1;
    }

    pub(super) fn left(&self) {
        self.lock().left += 1;
    }

    /// Something that must hold does not.
    pub(super) fn breaks(&self, what: String) {
        self.lock().breaks(what);
    }

    pub(super) fn broken(&self) -> Vec<String> {
        self.lock().broken.clone()
    }

    pub(super) fn calls(&self) -> u64 {
        self.lock().executed.len() as u64
    }

    /// How far it is, in a line.
    pub(super) fn line(&self) -> String {
        let counts = self.lock();
        let (calls, answered) = (counts.executed.len(), counts.answered.iter().sum::<u64>());
        let stopped: u64 = counts.stopped.values().sum();
        format!(
            "calls {calls}  answered {answered}  broke off {}  stopped {stopped}  left {}  executions {}  broken {}",
            counts.broke_off, counts.left, counts.executions, counts.breaks
        )
    }

    pub(super) fn table(&self) -> String {
        let counts = self.lock();
        let once = counts.executed.iter().filter(|executed| **executed & ONCE != 0).count();
        let mut table =
            format!("calls            {}, of which {once} POSTs without a key\n", counts.executed.len());
        let mut row = |name: &str, text: String| {
            let _ = writeln!(table, "{name:16} {text}");
        };
        let answered: u64 = counts.answered.iter().sum();
        row(
            "answered",
            format!("{answered}, by target {:?}, by status {:?}", counts.answered, counts.statuses),
        );
        row("broke off", format!("{}", counts.broke_off));
        row("left by callers", format!("{}", counts.left));
        row("stopped", format!("{}", counts.stopped.values().sum::<u64>()));
        for (reason, count) in &counts.stopped {
            row("", format!("{count:9} {reason}"));
        }
        row("executions", format!("{}, {:?}", counts.executions, counts.executed_over));
        let faults = counts.faults.iter().filter(|(name, _)| **name != Kind::Fine.name());
        row("faults", format!("{}", faults.clone().map(|(_, count)| count).sum::<u64>()));
        for (name, count) in faults {
            row("", format!("{count:9} {name}"));
        }
        table
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn breaks(&mut self, what: String) {
        self.breaks += 1;
        // The first ones tell enough.
        if self.broken.len() < 100 {
            self.broken.push(what);
        }
    }
}

const ONCE: u8 = 0x80;
