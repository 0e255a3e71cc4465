//! Clients of HTTP/2 that ask for much work by little: they harm neither the gateway nor who else is there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use failover_tests::lab::{Gate, LIMIT, Reply, Server};

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Outcome, PING, PRIORITY, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame, get, head, length,
};
use crate::{Gateway, Over, config};

/// Guards: as many requests as are sent that are reset before they are looked at.
#[test]
fn bounded_a_flood_of_requests_that_are_reset_at_once_ends_their_connection() {
    let flooded = Flooded::new();
    let taken = flooded.endures(|frames| {
        frames.ask(|stream| [get(stream, "/flood"), frame(RST_STREAM, 0, stream, &CANCEL)].concat())
    });
    assert!(taken < STREAMS as usize, "it is cut off");
    let asked = flooded.asked("/flood");
    assert!(asked < 1000, "{asked} reached the target");
    flooded.goes_on();
}

#[test]
fn bounded_a_flood_of_requests_that_are_reset_when_they_are_under_way_takes_no_more_than_its_places() {
    let flooded = Flooded::new();
    flooded.endures(|frames| {
        for nth in 0..500 {
            let stream = 2 * nth + 1;
            // An answer to the ping shows that the request before it was read.
            let ping = frame(PING, 0, 0, &u64::from(nth).to_be_bytes());
            assert!(frames.send(&[get(stream, "/stuck"), ping].concat()));
            while frames.read().unwrap().kind != PING {}
            assert!(frames.send(&frame(RST_STREAM, 0, stream, &CANCEL)));
        }
    });
    // They end with their streams.
    flooded.gateway.wait_for_status(|status| status["calls"]["waiting"] == 0);
    flooded.goes_on();
}

/// Guards: as many streams as are reset here.
#[test]
fn bounded_a_flood_of_frames_for_which_streams_are_reset_ends_its_connection() {
    let flooded = Flooded::new();
    let taken = flooded.endures(|frames| {
        // A window that is too large is an error of its stream (RFC 9113, section 6.9.1).
        let widened = 0x7fff_ffff_u32.to_be_bytes();
        frames.ask(|stream| [get(stream, "/flood"), frame(WINDOW_UPDATE, 0, stream, &widened)].concat())
    });
    assert!(taken < STREAMS as usize, "it is cut off");
    flooded.goes_on();
}

/// Guards: heads of any size.
#[test]
fn bounded_a_flood_of_a_head_that_never_ends_ends_its_connection() {
    let whole = block(&[("x", &"y".repeat(1000))]);
    let long = [&[0, 1, b'x'][..], &length(16 << 20)].concat();
    for (name, first, more) in [
        ("many fields", vec![], whole.repeat(15)),
        ("one field", long, vec![b'y'; 16 << 10]),
        ("nothing", vec![], vec![]),
    ] {
        let flooded = Flooded::new();
        let taken = flooded.endures(|frames| {
            assert!(frames.send(&frame(HEADERS, END_STREAM, 1, &first)));
            let more = frame(CONTINUATION, 0, 1, &more);
            let taken = (0..STREAMS).take_while(|_| frames.send(&more)).count();
            assert_eq!(frames.outcome(1), Outcome::Closed, "{name}");
            taken
        });
        assert!(taken < STREAMS as usize, "{name} is cut off");
        flooded.goes_on();
    }
}

#[test]
fn bounded_a_flood_of_frames_that_are_to_be_acknowledged_is_read_no_faster_than_its_acknowledgements() {
    for (kind, payload) in [(SETTINGS, vec![]), (PING, vec![0; 8])] {
        let flooded = Flooded::new();
        let taken = flooded.endures(|frames| {
            let many = frame(kind, 0, 0, &payload).repeat(1000);
            (0..STREAMS).take_while(|_| frames.send(&many)).count()
        });
        assert!(taken < STREAMS as usize, "{kind} is held up");
        flooded.goes_on();
    }
}

#[test]
fn bounded_a_flood_of_empty_pieces_of_a_body_ends_its_connection() {
    let flooded = Flooded::new();
    let taken = flooded.endures(|frames| {
        let post = [(":method", "POST"), (":scheme", "http"), (":authority", "h"), (":path", "/flood")];
        assert!(frames.send(&head(1, 0, &post)));
        let many = frame(DATA, 0, 1, &[]).repeat(100);
        let taken = (0..STREAMS).take_while(|_| frames.send(&many)).count();
        assert_eq!(frames.outcome(1), Outcome::Closed);
        taken
    });
    assert!(taken < STREAMS as usize, "it is cut off");
    assert_eq!(flooded.asked("/flood"), 0);
    flooded.goes_on();
}

#[test]
fn bounded_a_flood_of_frames_that_change_nothing_is_read_and_forgotten() {
    for (name, noise) in [
        ("windows", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("priorities of streams that are not there", frame(PRIORITY, 0, 9, &[0, 0, 0, 3, 16])),
        ("frames that nobody knows", frame(0xbe, 0xff, 1, &[0; 100])),
    ] {
        let flooded = Flooded::new();
        flooded.endures(|frames| {
            let many = noise.repeat(1000);
            assert!((0..100).all(|_| frames.send(&many)), "{name}");
            assert!(frames.send(&get(1, "/after")));
            assert_eq!(frames.outcome(1), Outcome::Answered, "{name}");
        });
        flooded.goes_on();
    }
}

/// Guards: heads of any size.
#[test]
fn bounded_a_flood_of_fields_that_refer_to_a_large_one_reaches_no_target() {
    let four = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/flood")];
    // Remembered (RFC 7541, section 6.2.1), and then referred to by a byte each.
    let value = vec![b'y'; 4000];
    let large = [&[0x40, 1, b'x'][..], &length(value.len()), &value].concat();
    // A field that everybody knows: `accept-encoding: gzip, deflate`.
    let known = vec![0x90];
    for (name, remembered, reference) in [("remembered", large, vec![0xbe]), ("known", vec![], known)] {
        let flooded = Flooded::new();
        flooded.endures(|frames| {
            let fields = [block(&four), remembered, reference.repeat(10_000)].concat();
            for nth in 0..200 {
                if !frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 2 * nth + 1, &fields)) {
                    break;
                }
            }
            assert_eq!(frames.outcome(1), Outcome::Closed, "{name}");
        });
        assert_eq!(flooded.asked("/flood"), 0, "{name}");
        flooded.goes_on();
    }
}

/// Guards: as much of each answer in memory as hyper keeps.
#[test]
fn bounded_a_flood_of_answers_that_are_not_taken_is_held_back_at_the_targets() {
    let flooded = Flooded::new();
    // As much as may be sent without a word from here.
    let settings = [(4, i32::MAX.unsigned_abs())];
    flooded.endures_with(&settings, |frames| {
        assert!(frames.send(&frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes())));
        for nth in 0..100 {
            assert!(frames.send(&get(2 * nth + 1, "/large")));
        }
        assert!(flooded.server.wait_for_requests(101).len() > 100);
    });
    flooded.goes_on();
}

impl Frames {
    /// Sends frames on one stream after the other, and tells on how many they were taken.
    fn ask(&mut self, frames: impl Fn(u32) -> Vec<u8>) -> usize {
        let streams: Vec<_> = (0..STREAMS).map(|nth| 2 * nth + 1).collect();
        let taken = streams.chunks(100).take_while(|streams| {
            self.send(&streams.iter().flat_map(|stream| frames(*stream)).collect::<Vec<_>>())
        });
        100 * taken.count()
    }
}

/// A gateway and its target, which were at work before they are flooded.
struct Flooded {
    server: Server,
    gateway: Gateway,
    stuck: Gate,
}

impl Flooded {
    fn new() -> Self {
        let stuck = Gate::new();
        let server = Server::start({
            let stuck = stuck.clone();
            move |request| match request.target.as_str() {
                "/stuck" => Reply::ok("stuck").after(&stuck),
                "/large" => Reply::ok(vec![0; 4 << 20]),
                target => Reply::ok(target),
            }
        });
        let gateway = Gateway::configured(&config("", &[server.url()], ""));
        assert_eq!(gateway.get("/").text(), "/");
        Self { server, gateway, stuck }
    }

    fn endures<T>(&self, flood: impl FnOnce(&mut Frames) -> T) -> T {
        self.endures_with(&[], flood)
    }

    /// Floods the gateway, whose memory stays small, and which answers others all the time.
    fn endures_with<T>(&self, settings: &[(u16, u32)], flood: impl FnOnce(&mut Frames) -> T) -> T {
        let before = self.gateway.most_memory();
        let over = AtomicBool::new(false);
        let returned = thread::scope(|scope| {
            let _over = Over(&over);
            let (answered, answers) = channel();
            scope.spawn({
                let over = &over;
                move || {
                    while !over.load(Ordering::Relaxed) {
                        assert_eq!(self.gateway.get("/beside").text(), "/beside");
                        let _ = answered.send(());
                    }
                }
            });
            let mut frames = Frames::with_settings(&self.gateway, settings);
            let returned = flood(&mut frames);
            // While its connection stands; the first of these may have been asked for earlier.
            while answers.try_recv().is_ok() {}
            for _ in 0..2 {
                answers.recv_timeout(LIMIT).unwrap();
            }
            returned
        });
        // Linux counts by processor, roughly: a peak that is read later may be less.
        let grown = self.gateway.most_memory().saturating_sub(before);
        assert!(grown < MOST_GROWN, "{grown} bytes");
        returned
    }

    /// How many requests for a path reached the target.
    fn asked(&self, path: &str) -> usize {
        self.server.requests().iter().filter(|request| request.target == path).count()
    }

    /// The gateway serves others, and ends as it should.
    fn goes_on(mut self) {
        self.stuck.open();
        let mut frames = Frames::to(&self.gateway);
        assert!(frames.send(&get(1, "/after")));
        assert_eq!(frames.outcome(1), Outcome::Answered);
        drop(frames);
        assert_eq!(self.gateway.get("/after").text(), "/after");
        self.gateway.signal("TERM");
        assert_eq!(self.gateway.wait().code(), Some(0));
        let panicked = self.gateway.log.get_mut().unwrap().iter().find(|line| line.contains("panicked"));
        assert_eq!(panicked, None);
    }
}

const STREAMS: u32 = 20_000;

/// The code of an error that is none (RFC 9113, section 7).
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// In bytes: what a flood may cost.
const MOST_GROWN: u64 = 32 << 20;
