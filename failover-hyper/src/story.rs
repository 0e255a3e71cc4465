//! The story that a record tells: each failover and why, each that was withheld and why, and each change.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use crate::recorded::{Call, Event, Line, Moment, Place, Quiet};
use crate::story_words::{
    change, clock, day, is_idempotent, many, plain, reasons, seconds, title, were, wrapped,
};

/// Tells in words, in the order of time, what a [`Recorder`](crate::Recorder) wrote.
///
/// Calls that went alike, each within a minute of the one before, are one paragraph. What cannot be read is counted.
///
/// # Examples
///
/// ```
/// use failover_hyper::Story;
///
/// let mut story = Story::default();
/// story.read(concat!(
///     r#"{"at":"2026-11-26T14:03:12Z","client":"shop","event":"call","method":"POST","stopped":"no_proof","#,
///     r#""failures":[{"index":0,"name":"a","evidence":"maybe_processed","why":"no answer in time"}]}"#,
/// ));
/// assert!(story.to_string().contains("1 call was not failed over from target 0 (a): no answer in time"));
/// ```
#[derive(Debug, Default)]
pub struct Story {
    clients: BTreeMap<String, Client>,
    paragraphs: Vec<Paragraph>,
    /// The last paragraph of each kind.
    kinds: HashMap<String, usize>,
    /// The earliest and the latest moment.
    span: Option<(SystemTime, SystemTime)>,
    lost: u64,
    unknown: u64,
    unreadable: u64,
}

/// What there was of a client.
#[derive(Debug, Default)]
struct Client {
    quiet: Quiet,
    /// Answered after a failure, by another target.
    failed_over: u64,
    /// Answered after a failure, by the same target.
    repeated: u64,
    /// By reason.
    stopped: BTreeMap<String, u64>,
    /// Where calls begin, and since when.
    begins_at: Option<(Place, SystemTime)>,
    /// How long calls began at each target.
    stayed: BTreeMap<(usize, String), Duration>,
    /// Its last moment.
    last: Option<SystemTime>,
}

#[derive(Debug)]
struct Paragraph {
    client: String,
    first: SystemTime,
    last: SystemTime,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Change(String),
    Lost(u64),
    Cools { target: Place, times: u64, longest: f64, strikes: u8, why: String },
    Calls { example: Box<Call>, count: u64, longest: f64, methods: BTreeMap<String, u64> },
}

impl Story {
    /// Reads a line, which may be cut off.
    pub fn read(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        match serde_json::from_str(line) {
            Ok(line) => self.note(line),
            Err(_) => self.unreadable += 1,
        }
    }

    fn note(&mut self, line: Line) {
        let Line { at: Moment(at), client, quiet, event } = line;
        let since = match &event {
            Event::Call(call) => call.since.map_or(at, |Moment(since)| since.min(at)),
            _ => at,
        };
        let (first, last) = self.span.unwrap_or((since, at));
        self.span = Some((first.min(since), last.max(at)));
        let client = client.unwrap_or_default();
        if let Event::Lost { lines } = event {
            self.lost = self.lost.saturating_add(lines);
            return self.lose(at, lines);
        }
        let known = self.clients.entry(client.clone()).or_default();
        let counts = &mut known.quiet;
        counts.answered_at_once = counts.answered_at_once.saturating_add(quiet.answered_at_once);
        counts.abandoned = counts.abandoned.saturating_add(quiet.abandoned);
        let before = known.last.map_or(at, |last| last.max(at));
        let ended = known.last.replace(before);
        match event {
            Event::Call(call) => {
                known.count(&call);
                self.call(client, (since, at), call);
            }
            Event::Cools { target, cools_for, strikes, why } => {
                self.cools(client, at, Content::Cools { target, times: 1, longest: cools_for, strikes, why });
            }
            Event::Unknown => self.unknown += 1,
            event => {
                known.stand(&event, at, ended);
                if let Some(text) = change(event) {
                    self.change(&client, at, text);
                }
            }
        }
    }

    fn change(&mut self, client: &str, at: SystemTime, text: String) {
        let content = Content::Change(text);
        self.paragraphs.push(Paragraph { client: client.to_owned(), first: at, last: at, content });
    }

    fn lose(&mut self, at: SystemTime, lines: u64) {
        let kind = "lost".to_owned();
        if let Some(Paragraph { last, content: Content::Lost(count), .. }) = self.last_of(&kind, at) {
            *last = at.max(*last);
            *count = count.saturating_add(lines);
        } else {
            let (client, content) = (String::new(), Content::Lost(lines));
            self.begin(kind, Paragraph { client, first: at, last: at, content });
        }
    }

    fn cools(&mut self, client: String, at: SystemTime, content: Content) {
        let Content::Cools { target, longest: cools_for, why, .. } = &content else { return };
        let kind = format!("{client}\ncools {} {} {why}", target.index, target.name);
        let cools_for = *cools_for;
        match self.last_of(&kind, at) {
            Some(Paragraph { last, content: Content::Cools { times, longest, .. }, .. }) => {
                *last = at.max(*last);
                *times += 1;
                *longest = longest.max(cools_for);
            }
            _ => self.begin(kind, Paragraph { client, first: at, last: at, content }),
        }
    }

    fn call(&mut self, client: String, (since, at): (SystemTime, SystemTime), call: Call) {
        let kind = format!("{client}\n{}", kind(&call));
        let calls = self.last_of(&kind, since);
        if let Some(Paragraph {
            first, last, content: Content::Calls { count, longest, methods, .. }, ..
        }) = calls
        {
            *first = since.min(*first);
            *last = at.max(*last);
            *count = count.saturating_add(call.count);
            *longest = longest.max(call.took);
            let times = methods.entry(call.method).or_default();
            *times = times.saturating_add(call.count);
            return;
        }
        let content = Content::Calls {
            count: call.count,
            longest: call.took,
            methods: BTreeMap::from([(call.method.clone(), call.count)]),
            example: Box::new(call),
        };
        self.begin(kind, Paragraph { client, first: since, last: at, content });
    }

    /// The last paragraph of a kind, if that was not long ago.
    fn last_of(&mut self, kind: &str, at: SystemTime) -> Option<&mut Paragraph> {
        let paragraph = &mut self.paragraphs[*self.kinds.get(kind)?];
        (at <= paragraph.last + LONGEST_GAP).then_some(paragraph)
    }

    fn begin(&mut self, kind: String, paragraph: Paragraph) {
        self.kinds.insert(kind, self.paragraphs.len());
        self.paragraphs.push(paragraph);
    }
}

impl Client {
    fn count(&mut self, call: &Call) {
        match (&call.answered, &call.stopped) {
            (Some(target), _) if call.failures.iter().all(|failure| failure.target == *target) => {
                self.repeated = self.repeated.saturating_add(call.count);
            }
            (Some(_), _) => self.failed_over = self.failed_over.saturating_add(call.count),
            (None, Some(reason)) => {
                let times = self.stopped.entry(reason.clone()).or_default();
                *times = times.saturating_add(call.count);
            }
            (None, None) => {}
        }
    }

    /// Notes where calls begin after a change. `ended` is the last moment before it.
    fn stand(&mut self, event: &Event, at: SystemTime, ended: Option<SystemTime>) {
        let place = match event {
            Event::Begins { targets, index } | Event::Replaced { targets, index } => {
                targets.get(*index).map(|name| Place { index: *index, name: name.clone() })
            }
            Event::Left { to, .. } => Some(to.clone()),
            Event::Returned { target, .. } | Event::Preferred { target, .. } => Some(target.clone()),
            _ => None,
        };
        let Some(place) = place else { return };
        // What was between two records is not known.
        let is_new = matches!(event, Event::Begins { .. });
        self.stay(if is_new { ended.unwrap_or(at) } else { at });
        self.begins_at = Some((place, at));
    }

    fn stay(&mut self, until: SystemTime) {
        if let Some((place, since)) = self.begins_at.take() {
            let stayed = until.duration_since(since).unwrap_or_default();
            *self.stayed.entry((place.index, place.name)).or_default() += stayed;
        }
    }

    /// How long calls began at each target, until the last moment.
    fn stays(&self) -> BTreeMap<(usize, String), Duration> {
        let mut stayed = self.stayed.clone();
        if let (Some((place, since)), Some(last)) = (&self.begins_at, self.last) {
            let time = last.duration_since(*since).unwrap_or_default();
            *stayed.entry((place.index, place.name.clone())).or_default() += time;
        }
        stayed
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, last)) = self.span else {
            f.write_str("Nothing is recorded.\n")?;
            return self.misses(f);
        };
        let (from, to) = (day(first), day(last));
        let until = if from == to { clock(last) } else { format!("{to} {}", clock(last)) };
        let clients: Vec<_> = self.clients.keys().map(|name| plain(name)).collect();
        writeln!(f, "Recorded from {from} {} to {until} (UTC): {}", clock(first), clients.join(", "))?;
        let mut paragraphs: Vec<_> = self.paragraphs.iter().collect();
        paragraphs.sort_by_key(|paragraph| paragraph.first);
        let mut today = from;
        for paragraph in paragraphs {
            let date = day(paragraph.first);
            if date != today {
                write!(f, "\n{date}\n")?;
                today = date;
            }
            let mut text = paragraph.text();
            if clients.len() > 1 && !paragraph.client.is_empty() {
                text.insert_str(0, &format!("{}: ", paragraph.client));
            }
            let lines = text.lines().filter(|line| !line.is_empty()).flat_map(|line| wrapped(&plain(line)));
            let text = lines.collect::<Vec<_>>().join(INDENT);
            write!(f, "\n{}  {text}\n", clock(paragraph.first))?;
        }
        for (name, client) in &self.clients {
            let whose = if clients.len() > 1 { format!(" of {}", plain(name)) } else { String::new() };
            write!(f, "\nSummary{whose}\n{client}")?;
        }
        self.misses(f)
    }
}

impl Story {
    /// What is missing in it.
    fn misses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lost > 0 {
            writeln!(
                f,
                "  {} {} lost, so that all numbers may be too small",
                many(self.lost, "line"),
                were(self.lost)
            )?;
        }
        if self.unreadable > 0 {
            let count = many(self.unreadable, "line");
            writeln!(f, "  {count} could not be read, as one that is cut off")?;
        }
        if self.unknown > 0 {
            writeln!(f, "  {} of a kind that only a later version knows", many(self.unknown, "line"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stopped = self.stopped.values().copied().fold(0, u64::saturating_add);
        let Quiet { answered_at_once, abandoned } = self.quiet;
        let calls = [answered_at_once, abandoned, self.failed_over, self.repeated, stopped];
        let calls = calls.into_iter().fold(0, u64::saturating_add);
        writeln!(f, "  calls             {calls}")?;
        writeln!(f, "  answered at once  {answered_at_once}")?;
        writeln!(f, "  failed over       {}", self.failed_over)?;
        if self.repeated > 0 {
            writeln!(f, "  repeated          {}", self.repeated)?;
        }
        if abandoned > 0 {
            writeln!(f, "  callers who left  {abandoned}")?;
        }
        write!(f, "  stopped           {stopped}")?;
        for (nth, (reason, count)) in self.stopped.iter().enumerate() {
            write!(f, "{} {count} {}", if nth == 0 { ":" } else { "," }, plain(reason))?;
        }
        writeln!(f)?;
        let stays = self.stays();
        let whole = stays.values().sum::<Duration>().as_secs_f64();
        for (nth, ((index, name), time)) in stays.iter().enumerate() {
            let title = if nth == 0 { "calls began at" } else { "" };
            let share = if whole > 0.0 { 100.0 * time.as_secs_f64() / whole } else { 0.0 };
            let time = seconds(time.as_secs_f64());
            writeln!(f, "  {title:<16}  target {index} ({}) for {time}, {share:.0} %", plain(name))?;
        }
        Ok(())
    }
}

impl Paragraph {
    /// Its lines.
    fn text(&self) -> String {
        let until =
            if self.last > self.first { format!(", until {}", clock(self.last)) } else { String::new() };
        match &self.content {
            Content::Change(text) => text.clone(),
            Content::Lost(count) => {
                format!(
                    "{} {} lost{until}: they could not be written in time.",
                    many(*count, "line"),
                    were(*count)
                )
            }
            Content::Cools { target, times, longest, strikes, why } => {
                let (often, until) = match times {
                    1 => (String::new(), String::new()),
                    times => (format!(" {times} times, at most"), until),
                };
                format!(
                    "Target {} ({}) cools{often} for {}{until}: {why}\n\
                     With {} it is asked after all others meanwhile.",
                    target.index,
                    target.name,
                    seconds(*longest),
                    many(u64::from(*strikes), "strike")
                )
            }
            Content::Calls { example, count, longest, methods } => {
                let mut text = title(example, *count);
                let methods: Vec<_> =
                    methods.iter().map(|(method, count)| format!("{count} {method}")).collect();
                let longest = seconds(*longest);
                let took = if *count == 1 { "it took" } else { "the longest took" };
                let _ = write!(text, "\n{}{until}; {took} {longest}.", methods.join(", "));
                reasons(&mut text, example);
                text
            }
        }
    }
}

/// What calls are alike by in a story: all but their times, and methods of which the same is to be said.
fn kind(call: &Call) -> String {
    let mut call = call.clone();
    (call.count, call.since) = (1, None);
    let is_idempotent = is_idempotent(&call.method);
    call.method = is_idempotent.to_string();
    call.kind()
}

/// Between calls that are told as one thing.
const LONGEST_GAP: Duration = Duration::from_secs(60);

const INDENT: &str = "\n              ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_with_each_failover_each_that_was_withheld_and_each_change() {
        assert_eq!(told(OUTAGE), include_str!("story.txt"));
    }

    #[test]
    fn a_line_that_nobody_would_write_does_no_harm() {
        let line = format!(
            r#"{{"at":"2026-11-26T14:03:12Z","client":"a\u202eb","event":"call","method":"GET","count":{0},"stopped":"deadline","answered_at_once":{0},"abandoned":{0},"failures":[]}}"#,
            u64::MAX
        );
        let mut story = Story::default();
        story.read(&line);
        story.read(&line);
        let told = story.to_string();
        assert!(told.contains(&u64::MAX.to_string()) && !told.contains('\u{202e}'), "{told}");
    }

    /// Guards: calls that are told one by one, or together although an hour lies between them.
    #[test]
    fn calls_that_went_alike_are_told_together_until_a_minute_passes_without_one() {
        let mut text = String::new();
        for (at, method, why) in [
            ("14:00:00", "GET", "connection refused"),
            ("14:00:30", "GET", "the TLS handshake failed"),
            ("14:00:59", "GET", "connection refused"),
            ("14:00:59", "PUT", "connection refused"),
            ("14:01:58", "GET", "connection refused"),
            ("15:00:00", "GET", "connection refused"),
        ] {
            text += &failed_over(at, method, why);
        }
        let story = told(&text);
        let told: Vec<_> = story.lines().filter(|line| line.contains("failed over from")).collect();
        let title = |at, calls, why| {
            format!("{at}.000  {calls} failed over from target 0 (a) to target 1 (b): {why}")
        };
        assert_eq!(
            told,
            [
                title("14:00:00", "4 calls", "connection refused"),
                title("14:00:30", "1 call", "the TLS handshake failed"),
                title("15:00:00", "1 call", "connection refused"),
            ]
        );
        assert!(story.contains("3 GET, 1 PUT, until 14:01:58.000; the longest took 12 ms."), "{story}");
        assert!(story.contains("failed over       6\n"), "{story}");
    }

    #[test]
    fn several_that_were_recorded_as_one_count_as_several() {
        let text = concat!(
            r#"{"at":"2026-11-26T14:00:09Z","client":"c","event":"call","method":"GET","count":40,"#,
            r#""since":"2026-11-26T14:00:08Z","took":2.5,"stopped":"targets_tried","#,
            r#""failures":[{"index":0,"name":"a","status":503,"why":"answered 503 Service Unavailable"}]}"#,
        );
        let story = told(text);
        assert!(
            story.starts_with("Recorded from 2026-11-26 14:00:08.000 to 14:00:09.000 (UTC): c\n"),
            "{story}"
        );
        assert!(
            story.contains("14:00:08.000  40 calls were not answered by target 0 (a), and no other target"),
            "{story}"
        );
        assert!(story.contains("stopped           40: 40 targets_tried\n"), "{story}");
    }

    /// Guards: a record whose writer was killed, one that a later version wrote, and one that is empty.
    #[test]
    fn what_cannot_be_read_is_counted_and_the_rest_is_told() {
        let whole = failed_over("14:00:00", "GET", "connection refused");
        let later = r#"{"at":"2026-11-26T14:00:01Z","client":"c","event":"hedged","by":7}"#;
        let torn = &whole[..whole.len() / 2];
        let story = told(&format!("{whole}{later}\nnonsense\n\n{torn}"));
        assert!(story.contains("1 call failed over"), "{story}");
        assert!(story.contains("  1 line of a kind that only a later version knows\n"), "{story}");
        assert!(story.contains("  2 lines could not be read"), "{story}");
        assert_eq!(told(""), "Nothing is recorded.\n");
        assert_eq!(told("{\n"), "Nothing is recorded.\n  1 line could not be read, as one that is cut off\n");
    }

    #[test]
    fn what_was_lost_is_told_where_it_is_missing_and_at_the_end() {
        let line = |at: &str| format!(r#"{{"at":"2026-11-26T{at}Z","event":"lost","lines":30}}"#);
        let story = told(&format!("{}\n{}", line("14:00:00"), line("14:00:01")));
        assert!(story.contains("14:00:00.000  60 lines were lost, until 14:00:01.000: they"), "{story}");
        assert!(story.ends_with("  60 lines were lost, so that all numbers may be too small\n"), "{story}");
    }

    #[test]
    fn each_reason_says_what_kept_a_call_from_another_target() {
        for (reason, said) in [
            ("no_proof", "PATCH is not idempotent"),
            ("one_shot_body", "can be sent only once"),
            ("body_gone", "longer than `replay_buffer`"),
            ("max_attempts", "although a target is left"),
            ("deadline", "no time was left"),
            ("budget", "budget for it was spent"),
            ("local_fault", "on this side"),
        ] {
            let text = format!(
                r#"{{"at":"2026-11-26T14:00:00Z","client":"c","event":"call","method":"PATCH","stopped":"{reason}","failures":[{{"index":0,"name":"a","evidence":"maybe_processed","why":"no answer in time"}}]}}"#
            );
            let story = told(&text);
            let title = "1 call was not failed over from target 0 (a): no answer in time";
            assert!(story.contains(title) && story.contains(said), "{story}");
            assert!(story.contains(&format!("Withheld ({reason})")), "{story}");
        }
        let unsent = r#"{"at":"2026-11-26T14:00:00Z","client":"c","event":"call","method":"GET","stopped":"deadline"}"#;
        assert!(told(unsent).contains("1 call was not begun: no time is left (deadline)"));
    }

    /// Guards: a name that clears the screen of whoever reads the story.
    #[test]
    fn nothing_is_told_that_a_terminal_would_obey() {
        let story = told(&failed_over("14:00:00", "GET", "\\u001b[2Jgone"));
        assert!(story.chars().all(|c| c == '\n' || !c.is_control()), "{story:?}");
    }

    #[test]
    fn several_clients_are_told_apart() {
        let text = failed_over("14:00:00", "GET", "x");
        let story = told(&format!("{text}{}", text.replace(r#""client":"c""#, r#""client":"d""#)));
        assert!(
            story.contains("c: 1 call failed over") && story.contains("d: 1 call failed over"),
            "{story}"
        );
        assert!(story.contains("Summary of c\n") && story.contains("Summary of d\n"), "{story}");
    }

    fn told(text: &str) -> String {
        let mut story = Story::default();
        text.lines().for_each(|line| story.read(line));
        story.to_string()
    }

    fn failed_over(at: &str, method: &str, why: &str) -> String {
        format!(
            r#"{{"at":"2026-11-26T{at}Z","client":"c","event":"call","method":"{method}","took":0.0125,"answered":{{"index":1,"name":"b"}},"failures":[{{"index":0,"name":"a","evidence":"no_connection","why":"{why}"}}]}}"#
        ) + "\n"
    }

    const OUTAGE: &str = include_str!("story.jsonl");
}
