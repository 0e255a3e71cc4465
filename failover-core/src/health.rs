//! Health: the strikes against each target, how long it is tried last, and what happened there.

use alloc::boxed::Box;
use core::time::Duration;

use http::StatusCode;

use crate::admin::AdminState;
use crate::checks::{CheckState, Checks, Heard, SharedRecord};
use crate::evidence::{Evidence, Harm};
use crate::late::{FLOOR, Late, Pace};
use crate::mark::{Mark, Moment, SharedMark, doubled};
use crate::outcome::Cause;
use crate::pause::Jitter;
use crate::snapshot::TargetSnapshot;
use crate::sync::{AtomicU16, Ordering};
use crate::time::{Timestamp, nanos};

/// The cool-down: how long a target is tried last that has as many strikes as the policy's `leave_after`.
///
/// The first one lasts `base`, doubled each time the target cools again without an answer between, at most `max`, lengthened
/// by up to a fifth, all of a group alike, unless the policy's `jitter` is off. While a target cools, nothing adds; afterwards the first strike makes it cool again. An answer clears
/// all of it, unless what it answers was sent before the target asked for time by Retry-After. A cooling target is still tried
/// when all others failed, and if all cool, the order is as if none did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CoolDown {
    /// The first cool-down.
    pub base: Duration,
    /// The longest cool-down.
    pub max: Duration,
}

impl Default for CoolDown {
    /// 5 s, doubling to 5 min.
    fn default() -> Self {
        Self { base: Duration::from_secs(5), max: Duration::from_secs(300) }
    }
}

/// The knobs by which health is judged.
pub(crate) struct Rules {
    pub(crate) leave_after: u8,
    pub(crate) cool_down: Option<CoolDown>,
    pub(crate) late: Option<Late>,
    pub(crate) checks: Option<Checks>,
}

/// What is remembered of each target.
#[derive(Debug)]
pub(crate) struct Health {
    leave_after: u8,
    cool_down: Option<CoolDown>,
    late: Option<Late>,
    /// Of `late`, or the usual one without it.
    floor: Duration,
    /// After how many nanoseconds it is noted again that a target was heard: an eighth of the floor.
    heard_again: u64,
    checks: Option<Checks>,
    targets: Box<[TargetHealth]>,
}

/// What is remembered of a target.
#[derive(Debug)]
pub(crate) struct TargetHealth {
    /// Its strikes, and with `leave_after` of them until when it cools; with fewer, when the first of them began.
    mark: SharedMark,
    /// When it last asked for time while it was to be left.
    asked: Moment,
    pace: Pace,
    last_failure: LastFailure,
    /// What an administrator wants, as `AdminState::word`.
    state: AtomicU16,
    record: SharedRecord,
}

impl TargetHealth {
    pub(crate) fn new(state: AdminState) -> Self {
        Self {
            mark: SharedMark::new(Mark::CLEAN),
            asked: Moment::none(),
            pace: Pace::new(),
            last_failure: LastFailure::new(),
            state: AtomicU16::new(state.word()),
            record: SharedRecord::new(),
        }
    }

    #[inline]
    fn state(&self) -> AdminState {
        AdminState::of_word(self.state.load(Ordering::Relaxed))
    }
}

impl Health {
    /// The health of targets of which this is remembered.
    pub(crate) fn new(rules: Rules, targets: impl IntoIterator<Item = TargetHealth>) -> Self {
        let Rules { leave_after, cool_down, late, checks } = rules;
        let floor = late.map_or(FLOOR, |late| late.floor);
        let heard_again = nanos(floor) / 8;
        Self {
            leave_after,
            cool_down,
            late,
            floor,
            heard_again,
            checks,
            targets: targets.into_iter().collect(),
        }
    }

    /// What is remembered of a target, for another group with these rules, in which it has this state.
    pub(crate) fn copied(&self, target: usize, rules: &Rules, state: AdminState) -> TargetHealth {
        let Some(known) = self.targets.get(target) else { return TargetHealth::new(state) };
        let mark = match known.mark.read() {
            mark if rules.cool_down.is_none() && self.cools_until(target) > Timestamp::ORIGIN => {
                Mark::new(Timestamp::ORIGIN, mark.strikes())
            }
            mark => mark,
        };
        TargetHealth {
            mark: SharedMark::new(mark),
            asked: known.asked.copied(),
            pace: known.pace.copied(),
            last_failure: known.last_failure.copied(),
            state: AtomicU16::new(state.word()),
            record: if rules.checks == self.checks { known.record.copied() } else { SharedRecord::new() },
        }
    }

    /// Takes over what another group remembered of a target.
    pub(crate) fn restore(&self, target: usize, snapshot: &TargetSnapshot, now: Timestamp) {
        let Some(known) = self.targets.get(target) else { return };
        let until = now + snapshot.cooling.filter(|_| self.cool_down.is_some()).unwrap_or_default();
        known.mark.update(|_| Some(Mark::new(until, snapshot.strikes)));
        if let Some(usual) = snapshot.usual {
            known.pace.restore(usual, now);
        }
        if let Some(cause) = &snapshot.last_failure {
            known.last_failure.store(cause);
        }
        self.set_state(target, snapshot.state);
    }

    /// Books a check of a target.
    pub(crate) fn checked(&self, target: usize, heard: Heard, rule: &Checks) {
        if let Some(known) = self.targets.get(target) {
            known.record.heard(heard, rule);
        }
    }

    /// Whether the checks of a target say that it is down.
    #[inline]
    pub(crate) fn is_down(&self, target: usize) -> bool {
        self.targets.get(target).is_some_and(|known| known.record.is_down())
    }

    /// What the checks of a target come to, if there are checks.
    pub(crate) fn check_state(&self, target: usize) -> Option<CheckState> {
        let known = self.targets.get(target).filter(|_| self.checks.is_some())?;
        Some(known.record.state())
    }

    /// Whether a target may be probed: it is ready, and there were enough good checks of it, if there are checks.
    pub(crate) fn may_be_probed(&self, target: usize, now: Timestamp) -> bool {
        let record = self.targets.get(target).map(|known| &known.record);
        let is_checked = |rule| record.is_some_and(|record| record.may_be_probed(rule));
        self.is_ready(target, now) && self.checks.as_ref().is_none_or(is_checked)
    }

    /// What an administrator wants of a target.
    #[inline]
    pub(crate) fn state(&self, target: usize) -> AdminState {
        self.targets.get(target).map_or(AdminState::Ready, TargetHealth::state)
    }

    pub(crate) fn set_state(&self, target: usize, state: AdminState) {
        if let Some(known) = self.targets.get(target) {
            known.state.store(state.word(), Ordering::Relaxed);
        }
    }

    /// Whether nothing speaks against a target.
    #[inline]
    pub(crate) fn is_ready(&self, target: usize, now: Timestamp) -> bool {
        let Some(known) = self.targets.get(target) else { return false };
        let mark = known.mark.read();
        let cools = mark != Mark::CLEAN && self.ends(mark) > now;
        !cools && known.state() == AdminState::Ready && !known.record.is_down()
    }

    /// The mark of a target; clean for a target that is none.
    #[inline]
    pub(crate) fn mark(&self, target: usize) -> Mark {
        self.targets.get(target).map_or(Mark::CLEAN, |known| known.mark.read())
    }

    #[inline]
    pub(crate) fn cools(&self, target: usize, now: Timestamp) -> bool {
        self.cools_until(target) > now
    }

    /// Until when a target cools; the origin if it has fewer strikes than it takes.
    #[inline]
    pub(crate) fn cools_until(&self, target: usize) -> Timestamp {
        self.ends(self.mark(target))
    }

    /// Until when a target with this mark cools.
    #[inline]
    fn ends(&self, mark: Mark) -> Timestamp {
        if mark.strikes() >= self.leave_after { mark.until() } else { Timestamp::ORIGIN }
    }

    /// Whether the cursor leaves a target once another one answers well.
    pub(crate) fn is_to_be_left(&self, target: usize) -> bool {
        self.mark(target).strikes() >= self.leave_after || self.state(target) != AdminState::Ready
    }

    /// How long answers of a target usually take, if that is known.
    pub(crate) fn usual(&self, target: usize, now: Timestamp) -> Option<Duration> {
        self.targets.get(target)?.pace.usual(now)
    }

    /// After how long an attempt is late, if it can be.
    #[inline]
    pub(crate) fn late_after(&self, target: usize, now: Timestamp) -> Option<Duration> {
        self.late.and_then(|late| Some(late.bound(self.usual(target, now)?)))
    }

    /// How long an attempt must have waited that has no time to become late, for its wait to say anything.
    pub(crate) fn least_wait(&self, target: usize, now: Timestamp) -> Duration {
        self.late.map_or(Duration::MAX, |late| late.least_wait(self.usual(target, now)))
    }

    /// How often an attempt that is late is looked at again.
    pub(crate) fn floor(&self) -> Duration {
        self.floor
    }

    pub(crate) fn was_heard_since(&self, target: usize, moment: Timestamp) -> bool {
        self.targets.get(target).is_some_and(|known| known.pace.was_heard_since(moment))
    }

    /// What happened when a target failed last.
    pub(crate) fn last_failure(&self, target: usize) -> Option<Cause<()>> {
        self.targets.get(target)?.last_failure.read()
    }

    /// Learns that a target gave an answer to what was sent at `sent`. If it is well by that, and has not asked for time
    /// since, its strikes are cleared: what they were.
    #[inline]
    pub(crate) fn answered(&self, target: usize, sent: Timestamp, is_well: bool, now: Timestamp) -> Mark {
        let Some(known) = self.targets.get(target) else { return Mark::CLEAN };
        let took = now.as_nanos().saturating_sub(sent.as_nanos());
        known.pace.answered(took, is_well, self.heard_again, now);
        if is_well { known.mark.clear_unless(|| known.asked.is_after(sent)) } else { Mark::CLEAN }
    }

    /// Learns from a call that asked all targets, none of which answered in the time that it had, how long an answer takes
    /// at least.
    pub(crate) fn teach(&self, target: usize, waited: Duration, now: Timestamp) {
        if let Some(known) = self.targets.get(target).filter(|_| waited >= self.floor / 4) {
            known.pace.teach(waited, now);
        }
    }

    /// Learns that a call which asked only some targets lacked the time for the answer of this one.
    pub(crate) fn doubt(&self, target: usize, began: Timestamp, ended: Timestamp) {
        if let Some(known) = self.targets.get(target) {
            known.pace.doubt(began, ended);
        }
    }

    /// Books a failure of an attempt, at once and always. A connection that failed at a target which answered since
    /// then, or within the last floor, is one strike as any other failure.
    pub(crate) fn strike(
        &self,
        target: usize,
        harm: Harm,
        began: Timestamp,
        now: Timestamp,
        jitter: &Jitter,
    ) {
        let Some(known) = self.targets.get(target) else { return };
        let answers = || {
            let floor_ago = now.as_nanos().saturating_sub(nanos(self.floor));
            known.pace.was_heard_since(began.min(Timestamp::from_nanos(floor_ago)))
        };
        let least = if harm == Harm::Connect && !answers() { self.leave_after } else { 1 };
        self.add(known, least, 0, began, now, jitter);
    }

    /// Books that an attempt waited for nothing: as one strike, if that says anything about the target.
    ///
    /// The last of the strikes that are needed counts only when the first of them began at least a floor ago, and longer at a
    /// target that was idle before: eight times as long as it had been silent then, up to five floors. So some slow questions
    /// at an idle target move nobody. Five floors it is, too, where that attempt began together with the first one: a page of slow
    /// questions moves nobody either.
    pub(crate) fn waited(
        &self,
        target: usize,
        (began, since): (Timestamp, Timestamp),
        now: Timestamp,
        jitter: &Jitter,
    ) -> bool {
        let Some((known, late)) = self.targets.get(target).zip(self.late) else { return false };
        let mark = known.mark.read();
        let first = first_strike(mark, began);
        let idle = self.floor.saturating_mul(IDLE);
        let silence = if mark.strikes() > 0 && began.since(first) < self.floor / 2 {
            idle
        } else {
            known.pace.silence_before(first).saturating_mul(8).clamp(self.floor, idle)
        };
        let is_too_soon = mark.strikes().saturating_add(1) == self.leave_after && now.since(first) < silence;
        let usual = known.pace.usual(now);
        let counts = now.since(since) >= late.least_wait(usual)
            && !known.pace.was_heard_since(since)
            && !is_too_soon
            && known.pace.counts(late.counts_as_of(usual, since, now), self.floor);
        if counts {
            self.add(known, 1, 0, began, now, jitter);
        }
        counts
    }

    /// Books the end of a body that broke off: what its head cleared, and one strike (`broken_body`).
    pub(crate) fn broke_off(&self, target: usize, cleared: Mark, now: Timestamp, jitter: &Jitter) {
        if let Some(known) = self.targets.get(target) {
            self.add(known, 1, cleared.strikes(), now, now, jitter);
        }
    }

    /// Whether the cursor leaves a target now that another one answers well, of which `cleared` is what the answer cleared.
    ///
    /// If that one was to be left as well, all were down for a common cause, which is over: then the target gets another
    /// chance, and the next strike decides (`all_cool`).
    pub(crate) fn leaves(&self, target: usize, cleared: Mark, now: Timestamp) -> bool {
        let is_to_be_left = self.is_to_be_left(target);
        let is_ready = self.state(target) == AdminState::Ready;
        if is_to_be_left && is_ready && cleared.strikes() >= self.leave_after {
            let chance = Mark::new(now, self.leave_after - 1);
            self.targets.get(target).map(|known| known.mark.update(|_| Some(chance)));
            return false;
        }
        is_to_be_left
    }

    /// Heeds what a target that is to be left asked for by Retry-After.
    pub(crate) fn lengthen(&self, target: usize, asked: Duration, now: Timestamp) {
        let Some(known) = self.targets.get(target).filter(|_| self.cool_down.is_some()) else { return };
        let until = now + asked;
        let is_to_be_left = |mark: Mark| mark.strikes() >= self.leave_after;
        if is_to_be_left(known.mark.read()) {
            known.asked.raise(now);
        }
        let is_longer = |mark: Mark| is_to_be_left(mark) && mark.until() < until;
        known.mark.update(|mark| is_longer(mark).then(|| Mark::new(until, mark.strikes())));
    }

    /// Remembers what happened at a target, for status pages only.
    pub(crate) fn note<E>(&self, target: usize, cause: &Cause<E>) {
        if let Some(known) = self.targets.get(target) {
            known.last_failure.store(cause);
        }
    }

    /// Adds a strike, and those that are `restored`, up to `least` at least. An attempt that began before the end of a
    /// cool-down adds nothing to it (`one_step`).
    fn add(
        &self,
        known: &TargetHealth,
        least: u8,
        restored: u8,
        began: Timestamp,
        now: Timestamp,
        jitter: &Jitter,
    ) {
        known.mark.update(|mark| {
            let strikes = mark.strikes();
            if strikes >= self.leave_after && began < mark.until() {
                return None;
            }
            let added = if strikes.max(restored) < self.leave_after {
                strikes.saturating_add(restored).saturating_add(1).min(self.leave_after)
            } else {
                strikes.max(restored).saturating_add(1)
            };
            let added = added.max(least);
            let until = match added.checked_sub(self.leave_after) {
                None => first_strike(mark, began),
                Some(times) => self.cool_down.map_or(Timestamp::ORIGIN, |rule| {
                    now + jitter.lengthen_alike(doubled(rule.base, times, rule.max))
                }),
            };
            Some(Mark::new(until, added))
        });
    }
}

/// When the first strike of a row began to which one is added that began at a moment.
fn first_strike(mark: Mark, began: Timestamp) -> Timestamp {
    if mark.strikes() == 0 { began } else { began.min(mark.until()) }
}

/// The kind of a target's last failure: a status as it is, one that was judged with `JUDGED` more, an error as its place in `Evidence::ALL`, else `NO_FAILURE`.
#[derive(Debug)]
struct LastFailure(AtomicU16);

impl LastFailure {
    fn new() -> Self {
        Self(AtomicU16::new(NO_FAILURE))
    }

    fn copied(&self) -> Self {
        Self(AtomicU16::new(self.0.load(Ordering::Relaxed)))
    }

    fn store<E>(&self, cause: &Cause<E>) {
        let word = match cause {
            Cause::Status(status) => status.as_u16(),
            Cause::Judged(status) => JUDGED + status.as_u16(),
            Cause::Error(evidence, _) => {
                (0..).zip(Evidence::ALL).find(|(_, kind)| kind == evidence).map_or(NO_FAILURE, |kind| kind.0)
            }
        };
        self.0.store(word, Ordering::Relaxed);
    }

    fn read(&self) -> Option<Cause<()>> {
        let word = self.0.load(Ordering::Relaxed);
        let error = || Some(Cause::Error(*Evidence::ALL.get(usize::from(word))?, ()));
        let status = |word| StatusCode::from_u16(word).ok();
        let judged = || status(word.checked_sub(JUDGED)?).map(Cause::Judged);
        status(word).map(Cause::Status).or_else(judged).or_else(error)
    }
}

const NO_FAILURE: u16 = u16::MAX;

const JUDGED: u16 = 1_000;

/// How many floors a target that was idle may be silent, at most.
const IDLE: u32 = 5;
