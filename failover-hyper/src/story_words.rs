//! How a story is worded: what is said of calls, changes and times.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use http::Method;

use crate::recorded::{Call, Event, Failed, Place, Skipped};

/// What became of calls like this one.
pub(crate) fn title(call: &Call, count: u64) -> String {
    let mut path: Vec<&Place> = Vec::new();
    for target in call.failures.iter().map(|failure| &failure.target).chain(&call.answered) {
        if path.last() != Some(&target) {
            path.push(target);
        }
    }
    let (calls, were) = (many(count, "call"), were(count));
    let reason = call.stopped.as_deref().unwrap_or_default();
    let Some((first, others)) = path.split_first() else {
        return format!("{calls} {were} not begun: {}", plain_reason(reason));
    };
    let from = format!("{}{}", shown(first), if call.probe { ", which they probed," } else { "" });
    let to: Vec<_> = others.iter().map(|target| format!(" to {}", shown(target))).collect();
    let to = to.join(" and");
    let is_withheld = !matches!(reason, "targets_tried" | "maintenance");
    let failure = if call.answered.is_some() { call.failures.first() } else { call.failures.last() };
    let why = failure.map_or("", |failure| &failure.why);
    match (call.answered.is_some(), others.is_empty()) {
        (true, true) => format!("{calls} {were} answered by {from} when sent again: {why}"),
        (true, false) => format!("{calls} failed over from {from}{to}: {why}"),
        (false, true) if is_withheld => format!("{calls} {were} not failed over from {from}: {why}"),
        (false, true) => {
            format!("{calls} {were} not answered by {from}, and no other target was left: {why}")
        }
        (false, false) if is_withheld => {
            format!("{calls} failed over from {from}{to}, and {were} not failed over from there: {why}")
        }
        (false, false) => format!("{calls} failed over from {from}{to}, and no other target was left: {why}"),
    }
}

/// Adds why each attempt of a call like this one was followed by another one, or not.
pub(crate) fn reasons(text: &mut String, call: &Call) {
    let last = call.failures.len().saturating_sub(1);
    for (nth, failure) in call.failures.iter().enumerate() {
        let goes_on = nth < last || call.more > 0 || call.answered.is_some();
        let why = if goes_on { why_on(failure, &call.method) } else { what_it_means(failure).to_owned() };
        text.push('\n');
        // The title says it of a single one.
        if last > 0 {
            let _ = write!(text, "Target {}: {}. ", failure.target.index, failure.why);
        }
        text.push_str(&why);
    }
    if call.more > 0 {
        let _ = write!(text, "\nThere were {} more attempts.", call.more);
    }
    for Skipped { target, why } in &call.passed_over {
        let why = match why.as_str() {
            "cooling" => "it cools",
            "down" => "its checks say that it is down",
            "drain" => "an operator drains it",
            "maintenance" => "an operator has it in maintenance",
            other => other,
        };
        let _ = write!(text, "\n{} was passed over: {why}.", shown(target));
    }
    if let Some(reason) = &call.stopped {
        let _ = write!(text, "\n{}", in_words(reason, &call.method));
    }
}

/// Why a request was sent again after this.
fn why_on(failure: &Failed, method: &str) -> String {
    let meaning = what_it_means(failure);
    if is_unsent(failure) {
        return format!("{meaning} So it could be sent again, whatever its method.");
    }
    let meaning = if meaning.is_empty() { String::new() } else { format!("{meaning} ") };
    if is_idempotent(method) {
        return format!("{meaning}A second execution does no harm by its method, so it could be sent again.");
    }
    let status = if failure.status.is_some() { "its answer says that it was not executed, or " } else { "" };
    format!("{meaning}It could be sent again since {status}an Idempotency-Key or `replay` allows it.")
}

fn is_unsent(failure: &Failed) -> bool {
    let evidence = failure.evidence.as_deref();
    matches!(evidence, Some("no_connection" | "not_sent" | "no_room" | "handed_back" | "refused"))
}

/// What is known of the request after this.
fn what_it_means(failure: &Failed) -> &'static str {
    match failure.evidence.as_deref() {
        Some("no_connection") => "Without a connection, nothing of the request was sent.",
        Some("not_sent" | "handed_back") => "Nothing of the request was sent.",
        Some("no_room") => "A limit on this side kept the request from being sent.",
        Some("refused") => "The target said that it did not execute the request.",
        Some("stale") => {
            "The connection had been idle and was closed meanwhile; the request may have been executed."
        }
        Some("maybe_processed") => "The request may have been executed.",
        Some("local_fault") => "The fault is on this side.",
        _ => "",
    }
}

/// Why a call stopped, so that somebody knows what to do.
fn in_words(reason: &str, method: &str) -> String {
    let words = match reason {
        "targets_tried" => "All targets were tried.",
        "max_attempts" => "Withheld (max_attempts): no more attempts are allowed, although a target is left.",
        "deadline" => "Withheld (deadline): no time was left for another attempt.",
        "budget" => {
            "Withheld (budget): so many calls failed over before that the budget for it was spent, \
             which keeps an outage of one target from becoming all others' load."
        }
        "no_proof" => {
            return format!(
                "Withheld (no_proof): the request may have been executed, and nothing says that a second execution does no \
                 harm: {method} is not idempotent, there was no Idempotency-Key, and `replay` does not allow it. \
                 Whether it was executed, only the target knows."
            );
        }
        "one_shot_body" => "Withheld (one_shot_body): its body can be sent only once, and was on its way.",
        "body_gone" => {
            "Withheld (body_gone): its body was longer than `replay_buffer`, so that it was not there any more."
        }
        "local_fault" => {
            "Withheld (local_fault): the fault is on this side, so that no target could do better."
        }
        "maintenance" => "Every target that was left is in maintenance.",
        other => return format!("Stopped: {other}."),
    };
    words.to_owned()
}

/// A change in words, if it is one.
pub(crate) fn change(event: Event) -> Option<String> {
    let list = |targets: &[String]| {
        let targets = targets.iter().enumerate().map(|(index, name)| format!("\ntarget {index} ({name})"));
        targets.collect::<String>()
    };
    Some(match event {
        Event::Begins { targets, index } => {
            format!("The record begins. Calls begin at target {index}; the targets are{}", list(&targets))
        }
        Event::Replaced { targets, index } => {
            format!(
                "The targets were replaced. Calls begin at target {index}; the targets are{}",
                list(&targets)
            )
        }
        Event::Left { target, to, why } => {
            format!("From here on calls begin at {}, and not at {}: {why}", shown(&to), shown(&target))
        }
        Event::Returned { target, from } => format!(
            "From here on calls begin at {} again, and not at {}: it answered as it should",
            shown(&target),
            shown(&from)
        ),
        Event::Preferred { target, from } => {
            format!("An operator let calls begin at {}, and not at {}", shown(&target), shown(&from))
        }
        Event::SetByHand { target, state } => {
            let meaning = match state.as_str() {
                "ready" => " again",
                "drain" => ": it is asked after all others",
                "maintenance" => ": it is not asked",
                _ => "",
            };
            format!("An operator set {} to {state}{meaning}", shown(&target))
        }
        Event::Checked { target, state } => {
            let says = match state.as_str() {
                "no_such_path" => "that it has no such path to check",
                "up" => "that it is up",
                "down" => "that it is down",
                other => other,
            };
            format!("The checks of {} say {says}", shown(&target))
        }
        Event::Stops { reason } => format!("Calls stop: {}", plain_reason(&reason)),
        Event::AnsweredAgain { stopped, lasted } => {
            format!("Calls are answered again: {stopped} stopped in {}", seconds(lasted))
        }
        Event::Call(_) | Event::Calls | Event::Cools { .. } | Event::Lost { .. } | Event::Unknown => {
            return None;
        }
    })
}

/// A reason without what it means for a single call.
fn plain_reason(reason: &str) -> &str {
    match reason {
        "targets_tried" => "all targets were tried",
        "max_attempts" => "no attempts are left (max_attempts)",
        "deadline" => "no time is left (deadline)",
        "budget" => "the budget for failovers is spent (budget)",
        "no_proof" => "requests may have been executed, and must not be sent again (no_proof)",
        "one_shot_body" => "bodies can be sent only once (one_shot_body)",
        "body_gone" => "bodies are longer than `replay_buffer` (body_gone)",
        "local_fault" => "the fault is on this side (local_fault)",
        "maintenance" => "every target is in maintenance",
        other => other,
    }
}

pub(crate) fn is_idempotent(method: &str) -> bool {
    Method::from_bytes(method.as_bytes()).is_ok_and(|method| method.is_idempotent())
}

fn shown(target: &Place) -> String {
    format!("target {} ({})", target.index, target.name)
}

pub(crate) fn many(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

pub(crate) fn were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// A time, as exact as somebody who reads it needs it.
pub(crate) fn seconds(time: f64) -> String {
    let time = Duration::try_from_secs_f64(time).unwrap_or_default();
    match time.as_millis() {
        0 => format!("{} µs", time.as_micros()),
        1..1_000 => format!("{} ms", time.as_millis()),
        1_000..10_000 => format!("{:.1} s", time.as_secs_f64()),
        10_000..60_000 => format!("{} s", time.as_secs()),
        _ => humantime::format_duration(Duration::from_secs(time.as_secs())).to_string(),
    }
}

/// Without what a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    let is_obeyed = |c: char| {
        let is_direction =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || is_direction
    };
    text.chars().map(|c| if is_obeyed(c) { ' ' } else { c }).collect()
}

/// The same in lines that a terminal has room for.
pub(crate) fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let is_full = lines.last().is_some_and(|line| line.len() + word.len() >= WIDTH && !line.is_empty());
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

pub(crate) fn day(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string().chars().take(10).collect()
}

pub(crate) fn clock(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string().chars().skip(11).take(12).collect()
}

/// Of a line beside the times, in bytes.
const WIDTH: usize = 96;
