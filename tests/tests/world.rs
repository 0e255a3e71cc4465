//! The world: that it counts rightly, that it repeats itself, and which of its scenes the machine meets.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::time::Duration;

use failover_core::Evidence;
use failover_tests::simulation::catalogue::{SCENES, scene};
use failover_tests::simulation::chance::{longest, most};
use failover_tests::simulation::grid::{Effort, Kind, Verdict, judge, misses, play, table};
use failover_tests::simulation::measure::{Bound, Measure, Values};
use failover_tests::simulation::plot::svg;
use failover_tests::simulation::random::Random;
use failover_tests::simulation::run::{Cell, run};
use failover_tests::simulation::scene::{
    Arrivals, Callers, Cells, Fault, Latency, Lot, Scene, Target, What, When,
};
use failover_tests::simulation::subject::{Step, Subject};
use failover_tests::simulation::tally::{Second, Tally};

#[test]
fn the_machine_meets_every_scene() {
    let scenes: Vec<&Scene> = SCENES.iter().collect();
    let verdicts = judge(&scenes, Kind::Machine, Effort::SMALL, |_, _| {});
    assert!(verdicts.iter().all(Verdict::is_met), "\n{}", misses(&verdicts));
    assert_eq!(verdicts.len(), SCENES.len());
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let some: Vec<&Scene> =
        ["crash", "haste", "collapse", "tail_hang"].into_iter().filter_map(scene).collect();
    let text = |kind| {
        let verdicts = judge(&some, kind, Effort::SMALL, |_, _| {});
        table(kind, &verdicts) + &misses(&verdicts)
    };
    for kind in Kind::ALL {
        assert_eq!(text(kind), text(kind));
    }
    let picture = |seed| {
        let cell = Cell { rate: 50, latency: 1.0, seed };
        let tally = play(some[0], Kind::Machine, cell, some[0].lasts);
        svg(some[0], "crash", &tally, some[0].lasts)
    };
    assert_eq!(picture(0), picture(0));
    assert_ne!(picture(0), picture(1));
}

#[test]
fn each_scene_has_a_name_of_its_own_and_a_reason_for_what_it_leaves_out() {
    for (nth, one) in SCENES.iter().enumerate() {
        assert!(scene(one.name).is_some_and(|found| std::ptr::eq(found, one)), "{} stands twice", one.name);
        assert!(!one.shows.is_empty() && !one.wanted.is_empty(), "scene {nth}");
        let all = one.cells.rates.len() * one.cells.latencies.len() == 9;
        assert_eq!(one.cells.because.is_empty(), all, "{}", one.name);
        assert!(one.least <= one.lasts, "{}", one.name);
        assert!(!Effort::SMALL.cells(one).is_empty(), "{} is never played by the test", one.name);
        assert!(one.best[0].0.is_zero() && one.best.is_sorted(), "{}", one.name);
    }
}

#[test]
fn an_answer_comes_after_the_latency_and_its_body_is_whole() {
    let (log, tally) = listen(&TINY, 3_500);
    assert_eq!(
        log,
        "1.0 begin; 1.1 answered 200; 1.1 body true; 2.0 begin; 2.1 answered 200; 2.1 body true; \
                     3.0 begin; 3.1 answered 200; 3.1 body true; "
    );
    assert_eq!(tally.seconds.iter().map(Second::answers).collect::<Vec<_>>(), [0, 1, 1, 1]);
    let values = tally.values(&TINY, 1, Duration::from_millis(3_500));
    assert_eq!(values.of(Measure::Answered), Some(1.0));
    assert_eq!(values.of(Measure::Attempts), Some(1.0));
    assert_eq!(values.of(Measure::InDoubt), None, "nobody writes");
}

#[test]
fn what_hangs_is_asked_after_its_bound_even_if_it_was_asked_before() {
    let hang = faulty(&[Fault::new(What::Hang, When::From(Duration::from_millis(1_050)))]);
    let (log, tally) = listen(&hang, 2_500);
    assert_eq!(log, "1.0 begin; 1.4 expired MaybeProcessed; 2.0 begin; 2.4 expired MaybeProcessed; ");
    assert_eq!((tally.in_doubt, tally.seconds[1].unanswered), (2, 1));
}

#[test]
fn a_connect_that_nobody_answers_ends_unsent_after_the_bound_of_the_connect() {
    let swallow = faulty(&[Fault::new(What::Swallow, When::Always)]);
    let (log, tally) = listen(&swallow, 1_900);
    assert_eq!(log, "1.0 begin; 1.3 expired NoConnection; ");
    assert_eq!(tally.in_doubt, 0);
}

#[test]
fn what_is_down_refuses_and_resets_what_was_begun() {
    let down = faulty(&[Fault::new(What::Refuse, When::From(Duration::from_millis(1_050)))]);
    let (log, tally) = listen(&down, 2_500);
    assert_eq!(log, "1.0 begin; 1.1 failed MaybeProcessed; 2.0 begin; 2.0 failed NoConnection; ");
    assert_eq!(tally.in_doubt, 1);
}

#[test]
fn a_pause_of_the_target_puts_its_answers_off() {
    let (from, until) = (Duration::from_millis(1_050), Duration::from_millis(1_200));
    let pause = faulty(&[Fault::new(What::Freeze(until), When::Between(from, until))]);
    assert_eq!(listen(&pause, 1_900).0, "1.0 begin; 1.2 answered 200; 1.2 body true; ");
}

#[test]
fn a_body_breaks_off_after_the_head() {
    let breaks = faulty(&[Fault::new(What::Break, When::Always)]);
    let (log, tally) = listen(&breaks, 1_900);
    assert_eq!(log, "1.0 begin; 1.1 answered 200; 1.1 body false; ");
    assert_eq!((tally.in_doubt, tally.seconds[1].unanswered), (0, 1));
}

#[test]
fn a_caller_who_leaves_is_told_of_and_his_write_is_in_doubt() {
    let leaves = [Callers { patience: Some(Duration::from_millis(30)), ..WRITER }];
    let (log, tally) = listen(&Scene { callers: leak(leaves), ..TINY }, 1_900);
    assert_eq!(log, "1.0 begin; 1.0 left; ");
    assert_eq!((tally.in_doubt, tally.seconds[1].unanswered), (1, 1));
}

#[test]
fn a_call_is_met_by_its_own_lot_and_counted_only_if_it_does_not_stand_aside() {
    let lot = Lot::Everywhere(What::Status(404));
    let aside = [Callers { lot, aside: true, ..WRITER }];
    let (log, tally) = listen(&Scene { callers: leak(aside), ..TINY }, 1_900);
    assert_eq!(log, "1.0 begin; 1.1 answered 404; 1.1 body true; ");
    assert_eq!(tally.values(&TINY, 1, Duration::from_secs(1)).of(Measure::Answered), None);
}

#[test]
fn more_at_a_time_than_a_target_takes_get_a_503() {
    let gap = Duration::from_millis(600);
    let bursts = [Callers {
        arrivals: Arrivals::Bursts { of: 2, apart: Duration::ZERO, every: gap },
        ..Callers::READERS
    }];
    let overload = faulty(&[Fault::new(What::Overload(1), When::Always)]);
    let (log, _) = listen(&Scene { callers: leak(bursts), ..overload }, 1_000);
    assert_eq!(
        log,
        "0.6 begin; 0.6 begin; 0.7 answered 200; 0.7 body true; 0.8 answered 503; 0.8 body true; "
    );
}

#[test]
fn moves_of_the_cursor_are_told_apart() {
    let at = Duration::from_secs;
    let scene = Scene {
        best: leak([(at(0), 0), (at(10), 1), (at(20), 0)]),
        fails: Some(at(10)),
        well: Some(at(20)),
        ..TINY
    };
    let moves = vec![(at(0), 0), (at(5), 1), (at(6), 0), (at(12), 1), (at(25), 0)];
    let tally = Tally { moves, ..Tally::new(2, at(3_600)) };
    let values = tally.values(&scene, 1, at(3_600));
    let of = |measure| values.of(measure);
    assert_eq!((of(Measure::Leave), of(Measure::Back)), (Some(2.0), Some(5.0)));
    assert_eq!((of(Measure::Returns), of(Measure::Needless)), (Some(2.0), Some(1.0)));
}

#[test]
fn a_bound_grows_with_the_time_in_which_calls_come() {
    let bound = Bound { measure: Measure::Leave, fixed: 2.5, calls: 4, idle: None };
    let mut values = Values::default();
    assert!(bound.is_kept(&values, 1.0), "what makes no sense is not bounded");
    values.set(Measure::Leave, 3.0);
    assert!(bound.is_kept(&values, 1.0) && !bound.is_kept(&values, 50.0));
    assert!(!bound.idle(2.9).is_kept(&values, 1.0), "nobody else asks");
    assert!(bound.idle(3.0).is_kept(&values, 1.0) && !bound.idle(3.0).is_kept(&values, 50.0));
    values.set(Measure::Answered, 0.9);
    let share = |fixed| Bound { measure: Measure::Answered, fixed, calls: 0, idle: None };
    assert!(share(0.9).is_kept(&values, 1.0) && !share(0.91).is_kept(&values, 1.0));
}

#[test]
fn what_chance_does_in_all_but_one_run_in_ten_thousand_is_what_it_does() {
    assert_eq!(longest(0).to_bits(), 0.0_f64.to_bits());
    assert!((longest(1) - 10_000.0_f64.ln()).abs() < 1e-9);
    let (mut random, runs) = (Random::new(0), 1_000_000);
    for calls in [1_u32, 2, 4] {
        let time = Duration::from_secs_f64(longest(calls));
        let mut takes = || (0..calls).map(|_| random.exponential(Duration::from_secs(1))).sum::<Duration>();
        let late = (0..runs).filter(|_| takes() > time).count();
        assert!((60..140).contains(&late), "{late} of {runs} take longer than {calls} calls do");
    }
    assert_eq!([0.0, 1.0, 6.0, 1_000.0].map(most), [0, 6, 17, 1_120]);
}

/// One target that takes 0.1 s, and a call a second.
const TINY: Scene = Scene {
    name: "tiny",
    targets: &[Target { latency: TENTH, faults: &[] }],
    callers: &[Callers { post: false, ..WRITER }],
    cells: Cells::OWN_RATE,
    ..Scene::QUIET
};
const WRITER: Callers = Callers { arrivals: Arrivals::Regular(Duration::from_secs(1)), ..Callers::WRITERS };
const TENTH: Latency = Latency::Fixed(Duration::from_millis(100));

/// The tiny scene with faults of its target, whose callers write.
fn faulty(faults: &[Fault]) -> Scene {
    let faults = Box::leak(Box::from(faults));
    Scene { targets: leak([Target { latency: TENTH, faults }]), callers: leak([WRITER]), ..TINY }
}

fn leak<T, const N: usize>(list: [T; N]) -> &'static [T] {
    Box::leak(Box::new(list))
}

/// What a subject is told in so many milliseconds that sends each call once to target 0.
fn listen(scene: &Scene, milliseconds: u64) -> (String, Tally) {
    let mut listener = Listener(String::new());
    let cell = Cell { rate: 1, latency: 1.0, seed: 0 };
    let tally = run(scene, cell, Duration::from_millis(milliseconds), &mut listener);
    (listener.0, tally)
}

#[derive(Debug)]
struct Listener(String);

impl Listener {
    fn hear(&mut self, now: Duration, what: &str) {
        let _ = write!(self.0, "{:.1} {what}; ", now.as_secs_f64());
    }
}

impl Subject for Listener {
    fn begin(&mut self, _call: usize, _caller: &Callers, now: Duration) -> Step {
        self.hear(now, "begin");
        let ms = Duration::from_millis;
        Step::Send { target: 0, bound: ms(400), connect: ms(300) }
    }

    fn answered(&mut self, _call: usize, status: u16, _asked: Option<Duration>, now: Duration) -> Step {
        self.hear(now, &format!("answered {status}"));
        Step::Return
    }

    fn failed(&mut self, _call: usize, evidence: Evidence, now: Duration) -> Step {
        self.hear(now, &format!("failed {evidence:?}"));
        Step::Stop
    }

    fn expired(&mut self, _call: usize, evidence: Evidence, now: Duration) -> Step {
        self.hear(now, &format!("expired {evidence:?}"));
        Step::Stop
    }

    fn resumed(&mut self, _call: usize, _now: Duration) -> Step {
        unreachable!("it never pauses")
    }

    fn left(&mut self, _call: usize, now: Duration) {
        self.hear(now, "left");
    }

    fn body_ended(&mut self, _call: usize, whole: bool, now: Duration) {
        self.hear(now, &format!("body {whole}"));
    }

    fn cursor(&self) -> usize {
        0
    }

    fn knows_bad(&self, _target: usize, _now: Duration) -> bool {
        false
    }
}
