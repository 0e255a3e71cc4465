//! A run over time as a picture: who answers, where the cursor is, and what fails.

use std::fmt::Write as _;
use std::time::Duration;

use crate::simulation::scene::Scene;
use crate::simulation::tally::{Second, Tally};

/// The picture of a run that lasted so long, as SVG.
#[must_use]
pub fn svg(scene: &Scene, title: &str, tally: &Tally, lasts: Duration) -> String {
    let total = lasts.as_secs_f64();
    let x = |seconds: f64| LEFT + WIDTH * seconds / total;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"20\" \
         font-size=\"15\">{title}</text>\n",
        LEFT + WIDTH + 40.0,
        BOTTOM + 40.0,
    );
    let step = tally.seconds.len().div_ceil(STRIPS);
    for (nth, seconds) in tally.seconds.chunks(step).enumerate() {
        let begins = x(seconds_of(nth * step));
        let width = x(seconds_of(nth * step + step)).min(LEFT + WIDTH) - begins;
        if width > 0.0 {
            strip(&mut text, seconds, begins, width);
        }
    }
    let mut path = String::new();
    let lane = |target: usize| TOP + SHARES + 20.0 + 16.0 * seconds_of(target);
    for (nth, (at, target)) in tally.moves.iter().enumerate() {
        let until = tally.moves.get(nth + 1).map_or(total, |(at, _)| at.as_secs_f64());
        let (from, until, y) = (x(at.as_secs_f64()), x(until), lane(*target));
        let _ = write!(path, "{from:.1},{y:.1} {until:.1},{y:.1} ");
    }
    let _ = writeln!(text, "<polyline points=\"{path}\" fill=\"none\" stroke=\"black\" stroke-width=\"2\"/>");
    for target in 0..scene.targets.len() {
        let (y, color) = (lane(target), COLORS[target % COLORS.len()]);
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{color}\">target {target}</text>",
            LEFT - 8.0,
            y + 4.0,
        );
    }
    for (moment, name) in [(scene.fails, "fails"), (scene.well, "well")] {
        let Some(moment) = moment.filter(|moment| *moment < lasts) else { continue };
        let at = x(moment.as_secs_f64());
        let _ = writeln!(
            text,
            "<path d=\"M{at:.1} {TOP}V{BOTTOM}\" stroke=\"black\" stroke-dasharray=\"3\"/><text x=\"{:.1}\" \
             y=\"{}\">{name}</text>",
            at + 3.0,
            TOP - 4.0,
        );
    }
    for part in 0..=5 {
        let seconds = total * f64::from(part) / 5.0;
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{seconds:.0} s</text>",
            x(seconds),
            BOTTOM + 18.0,
        );
    }
    text + "<text x=\"70\" y=\"130\" text-anchor=\"end\">share</text>\n<text x=\"70\" y=\"146\" \
            text-anchor=\"end\" fill=\"#d62728\">no answer</text>\n</svg>\n"
}

/// The shares of all that ended in some seconds, one upon another, failures on top.
fn strip(text: &mut String, seconds: &[Second], x: f64, width: f64) {
    let targets = seconds.first().map_or(0, |second| second.answered.len());
    let by = |target: usize| seconds.iter().map(|second| second.answered[target]).sum::<u64>();
    let lost = seconds.iter().map(|second| second.unanswered).sum::<u64>();
    let counts: Vec<(u64, &str)> = (0..targets)
        .map(|target| (by(target), COLORS[target % COLORS.len()]))
        .chain([(lost, LOST)])
        .collect();
    let all: u64 = counts.iter().map(|(count, _)| count).sum();
    let mut y = TOP + SHARES;
    for (count, color) in counts.into_iter().filter(|(count, _)| *count > 0) {
        let height = SHARES * thousandths(count, all);
        y -= height;
        let _ = writeln!(
            text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{height:.1}\" fill=\"{color}\"/>"
        );
    }
}

fn thousandths(part: u64, whole: u64) -> f64 {
    f64::from(u32::try_from(part * 1_000 / whole.max(1)).unwrap_or(1_000)) / 1_000.0
}

fn seconds_of(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

const COLORS: [&str; 4] = ["#1f77b4", "#2ca02c", "#9467bd", "#8c564b"];
const LOST: &str = "#d62728";
const STRIPS: usize = 300;
const LEFT: f64 = 80.0;
const WIDTH: f64 = 900.0;
const TOP: f64 = 50.0;
const SHARES: f64 = 200.0;
const BOTTOM: f64 = 340.0;
