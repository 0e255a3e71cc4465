//! The scenes: what happened to users of real systems, and what is wanted there.
//!
//! Bounds such as `leave(2.6, 4)` are so many seconds and the time in which so many calls come, since at one call a second
//! three strikes take a while: three calls that are struck, and where they are not answered by another target themselves,
//! one that is.

use std::time::Duration;

use crate::simulation::measure::{Bound, Measure};
use crate::simulation::scene::{
    Arrivals, Callers, Cells, Fault, Knobs, Latency, Lot, Scene, Target, What, When,
};

/// The scene of a name.
#[must_use]
pub fn scene(name: &str) -> Option<&'static Scene> {
    SCENES.iter().find(|scene| scene.name == name)
}

/// All scenes.
pub static SCENES: &[Scene] = &[
    Scene {
        name: "crash",
        shows: "the sticky target is down for half a minute",
        targets: &[Target::with(&[Fault::new(What::Refuse, When::Between(s(30), s(60)))]), Target::FAST],
        best: &[(s(0), 0), (s(30), 1), (s(60), 0)],
        fails: Some(s(30)),
        well: Some(s(60)),
        least: s(110),
        wanted: &[answered(0.999), best(0.5), leave(0.5, 2), back(40.0, 1), needless(0.0), worst(2.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "crash_checks",
        shows: "the sticky target is down for ten seconds, and there are checks: back when two of them were good",
        targets: &[Target::with(&[Fault::new(What::Refuse, When::Between(s(30), s(40)))]), Target::FAST],
        knobs: CHECKED,
        best: &[(s(0), 0), (s(30), 1), (s(40), 0)],
        fails: Some(s(30)),
        well: Some(s(40)),
        wanted: &[answered(0.999), best(0.8), leave(0.5, 2), back(11.0, 1), needless(0.0), worst(2.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "hang_left",
        shows: "target 0 hangs, target 1 works; callers leave after 3 s: left within a few calls",
        callers: &[Callers { patience: Some(s(3)), ..Callers::READERS }],
        wanted: &[answered(0.9), best(0.9), leave(2.6, 3), worst(2.0)],
        ..HANG
    },
    Scene {
        name: "hang_left_soon",
        shows: "target 0 hangs; callers leave after 1 s",
        callers: &[Callers { patience: Some(s(1)), ..Callers::READERS }],
        wanted: &[answered(0.85), best(0.9), leave(2.6, 5), worst(2.0)],
        ..HANG
    },
    Scene {
        name: "hang_left_cold",
        shows: "target 0 hangs from the beginning; callers leave after 3 s",
        targets: &[Target::with(&[Fault::new(What::Hang, When::Always)]), Target::FAST],
        callers: &[Callers { patience: Some(s(3)), ..Callers::READERS }],
        best: &[(s(0), 1)],
        fails: Some(s(0)),
        wanted: &[best(0.9), leave(5.0, 5)],
        ..Scene::QUIET
    },
    Scene {
        name: "hang_left_posts",
        shows: "target 0 hangs; callers who write leave after 3 s",
        callers: &[Callers { patience: Some(s(3)), ..Callers::WRITERS }],
        wanted: &[best(0.9), leave(2.6, 4), in_doubt(2.3, 4), twice(0.0)],
        ..HANG
    },
    Scene {
        name: "hang_posts_3s",
        shows: "target 0 hangs; patient POSTs, attempt_timeout 3 s: only those of about two floors end in doubt",
        callers: &[Callers::WRITERS],
        knobs: Knobs { attempt_timeout: Some(s(3)), ..Knobs::DEFAULT },
        wanted: &[best(0.9), leave(2.6, 4), in_doubt(2.3, 4), twice(0.0)],
        ..HANG
    },
    Scene {
        name: "hang_posts",
        shows: "target 0 hangs; patient POSTs, attempt_timeout 10 s",
        callers: &[Callers::WRITERS],
        wanted: &[best(0.9), leave(2.6, 4), in_doubt(2.3, 4), twice(0.0)],
        ..HANG
    },
    Scene {
        name: "hang_patient",
        shows: "target 0 hangs; patient GETs are answered by target 1",
        wanted: &[answered(0.999), best(0.95), leave(2.6, 3), worst(2.0)],
        ..HANG
    },
    Scene {
        name: "hang_at_once",
        shows: "target 0 hangs just as 64 call at once, after whom nobody comes: left in some five floors",
        callers: &[
            Callers {
                arrivals: Arrivals::Random(ms(20)),
                when: When::Between(s(0), s(30)),
                ..Callers::READERS
            },
            Callers {
                arrivals: Arrivals::Bursts { of: 64, apart: ms(0), every: s(30) },
                when: When::Between(s(0), s(31)),
                ..Callers::READERS
            },
        ],
        cells: Cells::OWN_RATE,
        wanted: &[answered(0.999), best(1.0), leave(5.5, 0), worst(2.0)],
        ..HANG
    },
    Scene {
        name: "hang_at_once_idle",
        shows: "target 0, which had a call in 20 s, hangs just as 64 call at once, after whom nobody comes",
        targets: &[Target::with(&[Fault::new(What::Hang, When::From(s(610)))]), Target::FAST],
        callers: &[
            Callers {
                arrivals: Arrivals::Regular(s(20)),
                when: When::Between(s(0), s(610)),
                ..Callers::READERS
            },
            Callers {
                arrivals: Arrivals::Bursts { of: 64, apart: ms(0), every: s(610) },
                when: When::Between(s(0), s(611)),
                ..Callers::READERS
            },
        ],
        best: &[(s(0), 0), (s(610), 1)],
        fails: Some(s(610)),
        lasts: s(700),
        least: s(700),
        cells: Cells::OWN_RATE,
        wanted: &[answered(0.999), best(1.0), leave(5.5, 0), worst(2.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "hang_deadline",
        shows: "target 0 hangs; callers state a deadline of 2 s",
        callers: &[Callers { within: Some(s(2)), ..Callers::READERS }],
        wanted: &[answered(0.9), best(0.9), leave(2.6, 4)],
        ..HANG
    },
    Scene {
        name: "hang_cold",
        shows: "target 0 hangs from the beginning; patient callers",
        targets: &[Target::with(&[Fault::new(What::Hang, When::Always)]), Target::FAST],
        best: &[(s(0), 1)],
        fails: Some(s(0)),
        wanted: &[answered(0.999), leave(10.5, 3)],
        ..Scene::QUIET
    },
    Scene {
        name: "swallowed",
        shows: "a connect that nobody answers: 3 s, and nothing for the next",
        targets: &[Target::with(&[Fault::new(What::Swallow, When::From(s(30)))]), Target::FAST],
        best: &[(s(0), 0), (s(30), 1)],
        fails: Some(s(30)),
        wanted: &[answered(0.999), best(0.95), leave(3.1, 3), worst(2.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "blip",
        shows: "one 503 in 1,000, a perfect standby: nobody moves",
        targets: &[Target::with(&[Fault::some(0.001, What::Status(503))]), Target::FAST],
        lasts: s(3_600),
        wanted: &[answered(0.999), best(0.99), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "blip_retry_after",
        shows: "one 503 in 1,000 with Retry-After 30: a blip, nobody moves",
        targets: &[Target::with(&[Fault::some(0.001, What::RetryAfter(503, s(30)))]), Target::FAST],
        lasts: s(3_600),
        wanted: &[answered(0.999), best(0.99), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "haste",
        shows: "clients with a deadline of 3 ms beside a normal load, three healthy targets: nothing changes for others",
        targets: &[Target::FAST, Target::FAST, Target::FAST],
        callers: &[
            Callers { arrivals: Arrivals::Share(0.5), ..Callers::READERS },
            Callers { arrivals: Arrivals::Share(0.5), within: Some(ms(3)), aside: true, ..Callers::READERS },
        ],
        lasts: s(600),
        wanted: &[answered(0.999), best(0.999), needless(0.0), attempts(1.01)],
        ..Scene::QUIET
    },
    Scene {
        name: "haste_mostly",
        shows: "500 callers of 3 ms a second, and an ordinary one every 50 s",
        targets: &[Target::FAST, Target::FAST, Target::FAST],
        callers: &[
            Callers { arrivals: Arrivals::Random(s(50)), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Random(ms(2)),
                within: Some(ms(3)),
                aside: true,
                ..Callers::READERS
            },
        ],
        lasts: s(600),
        cells: Cells::OWN_RATE,
        wanted: &[answered(0.999), best(0.999), needless(0.0), attempts(1.01)],
        ..Scene::QUIET
    },
    Scene {
        name: "over_before",
        shows: "POSTs whose deadline is over before the call: refused unsent",
        callers: &[Callers { within: Some(s(0)), ..Callers::WRITERS }],
        wanted: &[attempts(0.0), in_doubt(0.0, 0)],
        ..Scene::QUIET
    },
    Scene {
        name: "standby_2",
        shows: "GET of 0.4 s, 1 s for the call, 2 healthy targets: one request each",
        targets: &[slow(ms(400)), slow(ms(400))],
        ..STANDBY
    },
    Scene {
        name: "standby_3",
        shows: "GET of 0.4 s, 1 s for the call, 3 healthy targets: one request each",
        targets: &[slow(ms(400)), slow(ms(400)), slow(ms(400))],
        ..STANDBY
    },
    Scene {
        name: "report",
        shows: "report of 8 s, four healthy targets, deadline 30 s: answered by the first",
        targets: &[slow(s(8)), slow(s(8)), slow(s(8)), slow(s(8))],
        callers: &[Callers::READERS],
        ..STANDBY
    },
    Scene {
        name: "report_post",
        shows: "POST of 8 s, four healthy targets, deadline 30 s: answered",
        targets: &[slow(s(8)), slow(s(8)), slow(s(8)), slow(s(8))],
        callers: &[Callers::WRITERS],
        wanted: &[answered(1.0), best(1.0), attempts(1.0), in_doubt(0.0, 0), twice(0.0), needless(0.0)],
        ..STANDBY
    },
    Scene {
        name: "two_hang",
        shows: "deadline 12 s, interval 4 s, targets 0 and 1 hang, 2 works: every call is answered by 2",
        targets: &[
            Target::with(&[Fault::new(What::Hang, When::Always)]),
            Target::with(&[Fault::new(What::Hang, When::Always)]),
            Target::FAST,
        ],
        callers: &[Callers { arrivals: Arrivals::Regular(s(1)), ..Callers::READERS }],
        knobs: Knobs { deadline: Some(s(12)), interval: s(4), ..Knobs::DEFAULT },
        best: &[(s(0), 2)],
        cells: Cells::OWN_RATE,
        wanted: &[answered(1.0), best(1.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "not_well",
        shows: "the primary is back, but answers 500 to everything: the standby goes on answering",
        targets: &[
            Target::with(&[
                Fault::new(What::Refuse, When::Between(s(30), s(60))),
                Fault::new(What::Status(500), When::Between(s(60), s(240))),
            ]),
            Target::FAST,
        ],
        best: &[(s(0), 0), (s(30), 1), (s(240), 0)],
        fails: Some(s(30)),
        well: Some(s(240)),
        lasts: s(700),
        least: s(600),
        cells: Cells::LONG,
        wanted: &[answered(0.98), leave(0.5, 2), back(300.0, 1), returns(7.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "best_first",
        shows: "[primary, near, far]: primary down for good, near down for half a minute: near answers",
        targets: &[
            Target::with(&[Fault::new(What::Refuse, When::From(s(30)))]),
            Target::with(&[Fault::new(What::Refuse, When::Between(s(30), s(60)))]),
            Target::FAST,
        ],
        best: &[(s(0), 0), (s(30), 2), (s(60), 1)],
        fails: Some(s(30)),
        well: Some(s(60)),
        lasts: s(1_200),
        least: s(600),
        cells: Cells::LONG,
        wanted: &[answered(0.999), back(40.0, 1), best(0.9), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "nobodys_fault",
        shows: "90 % of calls are a 501 everywhere; the primary is down for a minute: back by the clock; with a \
                reader in ten seconds, one run in 400 has none in that minute and leaves afterwards",
        targets: &[Target::with(&[Fault::new(What::Refuse, When::Between(s(30), s(90)))]), Target::FAST],
        callers: &[
            Callers { arrivals: Arrivals::Share(0.1), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Share(0.9),
                lot: Lot::Everywhere(What::Status(501)),
                aside: true,
                ..Callers::READERS
            },
        ],
        best: &[(s(0), 0), (s(30), 1), (s(90), 0)],
        fails: Some(s(30)),
        well: Some(s(90)),
        lasts: s(700),
        least: s(300),
        cells: Cells::LONG,
        wanted: &[answered(0.999), back(90.0, 2), needless(0.0).idle(5.2)],
        ..Scene::QUIET
    },
    Scene {
        name: "overload",
        shows: "a primary that works for one at a time and answers 503 above: it is tried ever more seldom",
        targets: &[Target::with(&[Fault::new(What::Overload(1), When::Always)]), Target::FAST],
        best: &[(s(0), 1)],
        lasts: s(3_600),
        least: s(1_200),
        cells: Cells {
            rates: &[50],
            latencies: &[1.0, 10.0],
            because: "at one call a second, or with answers of 2 ms, one at a time is enough for all; it is long",
        },
        wanted: &[answered(0.999), returns(20.0), best(0.9)],
        ..Scene::QUIET
    },
    Scene {
        name: "collapse",
        shows: "a primary that works for one at a time and hangs for 5 s above",
        targets: &[Target::with(&[Fault::new(What::Collapse(1), When::Always)]), Target::FAST],
        best: &[(s(0), 1)],
        lasts: s(3_600),
        least: s(1_200),
        cells: Cells {
            rates: &[50],
            latencies: &[1.0, 10.0],
            because: "at one call a second, or with answers of 2 ms, one at a time is enough for all; it is long",
        },
        wanted: &[answered(0.999), returns(20.0), best(0.9)],
        ..Scene::QUIET
    },
    Scene {
        name: "broken_body",
        shows: "every body of target 0 breaks off after the head: left after three",
        targets: &[Target::with(&[Fault::new(What::Break, When::From(s(30)))]), Target::FAST],
        best: &[(s(0), 0), (s(30), 1)],
        fails: Some(s(30)),
        wanted: &[answered(0.85), best(0.95), leave(0.8, 4)],
        ..Scene::QUIET
    },
    Scene {
        name: "asked_for_300",
        shows: "503s with Retry-After 300 for 12 s, then the failback clock: asked again after 300 s",
        targets: &[
            Target::with(&[Fault::new(What::RetryAfter(503, s(300)), When::Between(s(30), s(42)))]),
            Target::FAST,
        ],
        best: &[(s(0), 0), (s(30), 1), (s(328), 0)],
        fails: Some(s(30)),
        well: Some(s(328)),
        lasts: s(500),
        least: s(450),
        cells: Cells::LONG,
        wanted: &[answered(0.999), leave(1.0, 3), needless(0.0), back(50.0, 1)],
        ..Scene::QUIET
    },
    Scene {
        name: "no_network",
        shows: "three dead targets for half a minute, nobody's fault: it is told, and order and cursor stay",
        targets: &[
            Target::with(&[Fault::new(What::Refuse, When::Between(s(30), s(60)))]),
            Target::with(&[Fault::new(What::Refuse, When::Between(s(30), s(60)))]),
            Target::with(&[Fault::new(What::Refuse, When::Between(s(30), s(60)))]),
        ],
        fails: Some(s(30)),
        least: s(80),
        wanted: &[best(0.99).idle(0.98), needless(0.0), noticed(0.5, 2)],
        ..Scene::QUIET
    },
    Scene {
        name: "busy_everywhere",
        shows: "three targets answer 503 to all writes for half a minute: it is told, and the cursor does not wander",
        targets: &[
            Target::with(&[Fault::new(What::Status(503), When::Between(s(30), s(60)))]),
            Target::with(&[Fault::new(What::Status(503), When::Between(s(30), s(60)))]),
            Target::with(&[Fault::new(What::Status(503), When::Between(s(30), s(60)))]),
        ],
        callers: &[Callers::WRITERS],
        fails: Some(s(30)),
        least: s(80),
        wanted: &[needless(50.0), noticed(0.5, 3), twice(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "network_blips",
        shows: "all targets refuse for 2 s of each 20 s: the preferred one keeps most",
        targets: &[
            Target::with(&[Fault::new(What::Refuse, BLIPS)]),
            Target::with(&[Fault::new(What::Refuse, BLIPS)]),
        ],
        lasts: s(600),
        least: s(120),
        wanted: &[best(0.75), answered(0.85)],
        ..Scene::QUIET
    },
    Scene {
        name: "posts_only",
        shows: "POSTs only: 503s of target 0 for a minute, and back without a GET to probe by",
        targets: &[Target::with(&[Fault::new(What::Status(503), When::Between(s(30), s(90)))]), Target::FAST],
        callers: &[Callers::WRITERS],
        best: &[(s(0), 0), (s(30), 1), (s(90), 0)],
        fails: Some(s(30)),
        well: Some(s(90)),
        lasts: s(500),
        least: s(400),
        cells: Cells::LONG,
        wanted: &[leave(0.8, 4), in_doubt(0.5, 3), back(45.0, 1), twice(0.0), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "budget_idle",
        shows: "a budget is spent, then nobody calls for two hours: the next outage finds it as new",
        targets: &[
            Target::with(&[
                Fault::new(What::Status(503), When::Between(s(0), s(60))),
                Fault::new(What::Status(503), When::From(s(7_200))),
            ]),
            Target::with(&[Fault::new(What::Status(503), When::Between(s(0), s(60)))]),
        ],
        callers: &[
            Callers { when: When::Between(s(0), s(60)), aside: true, ..Callers::READERS },
            Callers { when: When::From(s(7_200)), ..Callers::READERS },
        ],
        knobs: Knobs { budget: true, ..Knobs::DEFAULT },
        best: &[(s(0), 0), (s(7_200), 1)],
        fails: Some(s(7_200)),
        lasts: s(7_250),
        least: s(7_250),
        wanted: &[answered(1.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "poison",
        shows: "one POST in 50 makes any target hang for it, the others are well: nobody moves",
        callers: &[
            Callers { arrivals: Arrivals::Share(0.98), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Share(0.02),
                lot: Lot::Everywhere(What::Hang),
                aside: true,
                ..Callers::WRITERS
            },
        ],
        lasts: s(600),
        wanted: &[answered(0.999), best(0.999), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "early_data",
        shows: "5 % of calls are a 425 at target 0: nobody moves",
        callers: &[
            Callers { arrivals: Arrivals::Share(0.95), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Share(0.05),
                lot: Lot::At(0, What::Status(425)),
                aside: true,
                ..Callers::READERS
            },
        ],
        lasts: s(600),
        wanted: &[answered(0.999), best(0.999), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "early_data_alone",
        shows: "425s of target 0 for one client's early data, six in a row once a minute: nobody moves",
        callers: &[
            Callers { arrivals: Arrivals::Random(s(5)), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Bursts { of: 6, apart: ms(100), every: s(60) },
                lot: Lot::At(0, What::Status(425)),
                aside: true,
                ..Callers::READERS
            },
        ],
        lasts: s(3_600),
        cells: Cells::OWN_RATE,
        wanted: &[answered(0.999), best(0.999), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "always_20s",
        shows: "a target that always takes 20 s is never late",
        targets: &[slow(s(20)), slow(s(20))],
        knobs: PATIENT,
        lasts: s(3_600),
        least: s(300),
        cells: Cells::LONG_AND_FIXED,
        wanted: &[answered(1.0), best(1.0), needless(0.0), attempts(1.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "tail",
        shows: "1 % of the answers take 4 s: nobody moves",
        targets: &[Target::with(&[Fault::some(0.01, What::Take(s(4)))]), Target::FAST],
        lasts: s(3_600),
        wanted: &[answered(1.0), best(0.99), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "tail_hang",
        shows: "1 % of the answers take 4 s, and then the target hangs; callers leave after 3 s",
        targets: &[
            Target::with(&[Fault::new(What::Hang, When::From(s(60))), Fault::some(0.01, What::Take(s(4)))]),
            Target::FAST,
        ],
        callers: &[Callers { patience: Some(s(3)), ..Callers::READERS }],
        best: &[(s(0), 0), (s(60), 1)],
        fails: Some(s(60)),
        lasts: s(180),
        least: s(90),
        wanted: &[best(0.85), leave(4.0, 3)],
        ..Scene::QUIET
    },
    Scene {
        name: "slow_six",
        shows: "six questions of 4 s at once at an idle service: nobody moves",
        callers: &[
            Callers { arrivals: Arrivals::Regular(s(20)), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Bursts { of: 6, apart: ms(0), every: s(610) },
                latency: Some(Latency::Fixed(s(4))),
                ..Callers::READERS
            },
        ],
        lasts: s(21_600),
        cells: Cells::OWN_RATE,
        wanted: &[answered(1.0), best(1.0), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "slow_page",
        shows: "six questions of 4 s at once, a moment after another call: nobody moves",
        callers: &[
            Callers { arrivals: Arrivals::Regular(s(610)), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Bursts { of: 6, apart: ms(0), every: s(610) },
                latency: Some(Latency::Fixed(s(4))),
                when: When::From(ms(50)),
                ..Callers::READERS
            },
        ],
        lasts: s(21_600),
        cells: Cells::OWN_RATE,
        wanted: &[answered(1.0), best(1.0), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "slow_six_apart",
        shows: "six questions of 4 s, half a second apart, at an idle service: nobody moves",
        callers: &[
            Callers { arrivals: Arrivals::Regular(s(20)), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Bursts { of: 6, apart: ms(500), every: s(610) },
                latency: Some(Latency::Fixed(s(4))),
                ..Callers::READERS
            },
        ],
        lasts: s(21_600),
        cells: Cells::OWN_RATE,
        wanted: &[answered(1.0), best(1.0), needless(0.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "long_poll",
        shows: "long polls of 30 s beside fast calls: nobody moves, but once in some 300 hours of one call a second, when \
                only long polls come for five seconds, which is how a hang looks",
        callers: &[
            Callers { arrivals: Arrivals::Share(0.9), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Share(0.1),
                latency: Some(Latency::Fixed(s(30))),
                ..Callers::READERS
            },
        ],
        knobs: PATIENT,
        lasts: s(3_600),
        least: s(120),
        wanted: &[answered(1.0), best(1.0).idle(0.98), needless(0.0).idle(1.0), attempts(1.0).idle(1.01)],
        ..Scene::QUIET
    },
    Scene {
        name: "long_poll_mostly",
        shows: "a long poll of 30 s each second, and an ordinary call every 50 s: nobody moves",
        callers: &[
            Callers { arrivals: Arrivals::Random(s(50)), ..Callers::READERS },
            Callers {
                arrivals: Arrivals::Random(s(1)),
                latency: Some(Latency::Fixed(s(30))),
                ..Callers::READERS
            },
        ],
        knobs: PATIENT,
        lasts: s(3_600),
        cells: Cells::OWN_RATE,
        wanted: &[answered(1.0), best(1.0), needless(0.0), attempts(1.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "night",
        shows: "an hour of fast calls, a night without any, then 6 s each for a while: nobody moves",
        targets: &[
            Target::with(&[Fault::new(What::Take(s(6)), When::Between(s(32_400), s(32_430)))]),
            Target::with(&[Fault::new(What::Take(s(6)), When::Between(s(32_400), s(32_430)))]),
        ],
        callers: &[
            Callers { when: When::Between(s(0), s(600)), ..Callers::READERS },
            Callers { when: When::Between(s(32_400), s(32_600)), ..Callers::READERS },
        ],
        lasts: s(32_600),
        least: s(32_460),
        wanted: &[answered(1.0), best(1.0), needless(0.0), attempts(1.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "slow_down",
        shows: "all targets go from 20 ms to 2 s, as their database does: every call is answered, few go twice",
        targets: &[
            Target::with(&[Fault::new(What::Slow(100.0), When::From(s(60)))]),
            Target::with(&[Fault::new(What::Slow(100.0), When::From(s(60)))]),
        ],
        lasts: s(300),
        least: s(90),
        cells: Cells::FIXED,
        wanted: &[answered(0.999), worst(2.0), returns(50.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "brown_out",
        shows: "target 0 takes ten times as long for a minute: no call is lost",
        targets: &[Target::with(&[Fault::new(What::Slow(10.0), When::Between(s(30), s(90)))]), Target::FAST],
        least: s(100),
        wanted: &[answered(1.0), worst(2.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "pause",
        shows: "target 0 collects garbage for 3 s: no call is lost, and it is the first again soon",
        targets: &[
            Target::with(&[Fault::new(What::Freeze(s(33)), When::Between(s(30), s(33)))]),
            Target::FAST,
        ],
        best: &[(s(0), 0), (s(30), 1), (s(33), 0)],
        well: Some(s(33)),
        lasts: s(120),
        least: s(90),
        wanted: &[answered(1.0), back(40.0, 1), worst(2.0)],
        ..Scene::QUIET
    },
    Scene {
        name: "cold_start",
        shows: "target 0 is down, and takes fifty times as long for half a minute when it is up again",
        targets: &[
            Target::with(&[
                Fault::new(What::Refuse, When::Between(s(30), s(50))),
                Fault::new(What::Slow(50.0), When::Between(s(50), s(80))),
            ]),
            Target::FAST,
        ],
        best: &[(s(0), 0), (s(30), 1), (s(80), 0)],
        fails: Some(s(30)),
        well: Some(s(80)),
        lasts: s(300),
        least: s(200),
        cells: Cells::LONG,
        wanted: &[answered(0.999), leave(0.5, 2), back(160.0, 1)],
        ..Scene::QUIET
    },
    Scene {
        name: "flap",
        shows: "target 0 is up for 20 s and down for 20 s: it is returned to ever more seldom",
        targets: &[Target::with(&[Fault::new(What::Refuse, FLAPS)]), Target::FAST],
        best: &[(s(0), 1)],
        lasts: s(3_600),
        least: s(1_200),
        cells: Cells::LONG,
        wanted: &[answered(0.999), returns(20.0), best(0.85)],
        ..Scene::QUIET
    },
    Scene {
        name: "flap_checks",
        shows: "target 0 is up for 20 s and down for 20 s, and there are checks: it is returned to ever more seldom",
        targets: &[Target::with(&[Fault::new(What::Refuse, FLAPS)]), Target::FAST],
        knobs: CHECKED,
        best: &[(s(0), 1)],
        lasts: s(3_600),
        least: s(1_200),
        cells: Cells::LONG,
        wanted: &[answered(0.999), returns(20.0), best(0.85)],
        ..Scene::QUIET
    },
    Scene {
        name: "flap_checks_briefly",
        shows: "target 0 is down for 5 s of each 50 s, and there are checks: it is returned to ever more seldom, too",
        targets: &[Target::with(&[Fault::new(What::Refuse, BRIEF_FLAPS)]), Target::FAST],
        knobs: CHECKED,
        best: &[(s(0), 1)],
        lasts: s(3_600),
        least: s(1_200),
        cells: Cells::LONG,
        wanted: &[answered(0.999), returns(20.0), best(0.75)],
        ..Scene::QUIET
    },
    Scene {
        name: "flap_hang",
        shows: "target 0 is up for 20 s and hangs for 20 s; callers leave after 3 s",
        targets: &[Target::with(&[Fault::new(What::Hang, FLAPS)]), Target::FAST],
        callers: &[Callers { patience: Some(s(3)), ..Callers::READERS }],
        best: &[(s(0), 1)],
        lasts: s(3_600),
        least: s(1_200),
        cells: Cells::LONG,
        wanted: &[answered(0.95), returns(20.0), best(0.85)],
        ..Scene::QUIET
    },
];

const HANG: Scene = Scene {
    targets: &[Target::with(&[Fault::new(What::Hang, When::From(s(30)))]), Target::FAST],
    best: &[(s(0), 0), (s(30), 1)],
    fails: Some(s(30)),
    ..Scene::QUIET
};

const STANDBY: Scene = Scene {
    callers: &[Callers { within: Some(s(1)), ..Callers::READERS }],
    cells: Cells::FIXED,
    wanted: &[answered(1.0), best(1.0), attempts(1.0), needless(0.0)],
    ..Scene::QUIET
};

const PATIENT: Knobs = Knobs { attempt_timeout: Some(s(60)), deadline: Some(s(120)), ..Knobs::DEFAULT };
const CHECKED: Knobs = Knobs { checks: true, ..Knobs::DEFAULT };
const FLAPS: When = When::Flapping { every: s(40), last: s(20) };
const BRIEF_FLAPS: When = When::Flapping { every: s(50), last: s(5) };
const BLIPS: When = When::Flapping { every: s(20), last: s(2) };

const fn slow(latency: Duration) -> Target {
    Target { latency: Latency::Fixed(latency), faults: &[] }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn answered(least: f64) -> Bound {
    Bound { measure: Measure::Answered, fixed: least, calls: 0, idle: None }
}

const fn best(least: f64) -> Bound {
    Bound { measure: Measure::Best, fixed: least, calls: 0, idle: None }
}

const fn in_doubt(seconds: f64, calls: u32) -> Bound {
    Bound { measure: Measure::InDoubt, fixed: seconds, calls, idle: None }
}

const fn twice(most: f64) -> Bound {
    Bound { measure: Measure::Twice, fixed: most, calls: 0, idle: None }
}

const fn worst(most: f64) -> Bound {
    Bound { measure: Measure::Worst, fixed: most, calls: 0, idle: None }
}

const fn attempts(most: f64) -> Bound {
    Bound { measure: Measure::Attempts, fixed: most, calls: 0, idle: None }
}

const fn leave(seconds: f64, calls: u32) -> Bound {
    Bound { measure: Measure::Leave, fixed: seconds, calls, idle: None }
}

const fn back(seconds: f64, calls: u32) -> Bound {
    Bound { measure: Measure::Back, fixed: seconds, calls, idle: None }
}

const fn returns(an_hour: f64) -> Bound {
    Bound { measure: Measure::Returns, fixed: an_hour, calls: 0, idle: None }
}

const fn needless(an_hour: f64) -> Bound {
    Bound { measure: Measure::Needless, fixed: an_hour, calls: 0, idle: None }
}

const fn noticed(seconds: f64, calls: u32) -> Bound {
    Bound { measure: Measure::Noticed, fixed: seconds, calls, idle: None }
}
