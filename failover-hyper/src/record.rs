//! What happens to the calls of clients, recorded as lines of JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::{Duration, SystemTime};

use crate::lines::{Due, Lines};
use crate::recorded::{Call, Event, Line, Moment, Quiet};

/// Records what happens to the calls of one client, or of several.
///
/// There is a line for each call in which an attempt failed, with why it went on or did not, unless its caller left before it ended,
/// which is only counted; and for each change: a target
/// cools, is left or returned to, what operators and checks say, that calls stop and are answered again. Calls in which nothing
/// happened are told as numbers with the next line, or once a minute. Of calls that go alike within a second the first has its line,
/// and the others one together. A [`Story`](crate::Story) tells what such lines say.
///
/// None of it shows a path, a query, a header or a body, and targets are told as in logs. The lines are written by a thread of
/// their own: no call waits for them, and what is not written in time is lost, which a line then tells. A clone records
/// to the same place.
///
/// # Examples
///
/// ```no_run
/// use failover_hyper::{RecordFile, Recorder};
///
/// // At most 64 MiB, here and in calls.jsonl.1.
/// let recorder = Recorder::to(RecordFile::open("calls.jsonl", 32 << 20)?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Without any, nothing is recorded.
    lines: RwLock<Option<Lines>>,
    /// Whether there are any, for the many calls in which nothing happens.
    is_on: AtomicBool,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Whose calls are recorded.
    clients: Vec<Weak<Client>>,
    /// The calls of the last second, by how they went.
    alike: BTreeMap<String, Alike>,
    /// The ticks since calls in which nothing happened were told by themselves.
    ticks: u32,
}

/// Calls that went alike, after one that has its line.
#[derive(Debug, Default)]
struct Alike(Option<Line>);

/// What is recorded of a client.
#[derive(Debug)]
pub(crate) struct Recording {
    recorder: Recorder,
    client: Arc<Client>,
}

#[derive(Debug)]
struct Client {
    name: String,
    answered_at_once: AtomicU64,
    abandoned: AtomicU64,
    /// The targets, and where calls begin.
    standing: Mutex<(Vec<String>, usize)>,
}

impl Recorder {
    /// A recorder whose lines go here, for example to a [`RecordFile`](crate::RecordFile).
    pub fn to(output: impl Write + Send + 'static) -> Self {
        let recorder = Self::default();
        recorder.write_to(Some(output));
        recorder
    }

    /// Writes from now on elsewhere, or nowhere.
    pub fn write_to(&self, output: Option<impl Write + Send + 'static>) {
        let state = Arc::clone(&self.0.state);
        let add = move |due, lost| lock(&state).add(due, lost);
        let lines = output.map(|output| Lines::adding(output, TICK, add));
        self.0.is_on.store(lines.is_some(), Ordering::Relaxed);
        // What is left for the lines before is written by their thread, which then ends.
        *self.0.lines.write().unwrap_or_else(PoisonError::into_inner) = lines;
        let clients: Vec<_> = lock(&self.0.state).clients.iter().filter_map(Weak::upgrade).collect();
        for client in clients {
            let (targets, index) = client.standing().clone();
            self.tell(&client, Event::Begins { targets, index });
        }
    }

    /// Waits until everything so far is written, for a second at most.
    pub fn flush(&self) {
        // Nobody who records waits meanwhile.
        let lines = self.lines().clone();
        if let Some(lines) = lines {
            lines.flush();
        }
    }

    /// Begins to record the calls of a client with these targets.
    pub(crate) fn record(&self, name: &str, targets: &[String], index: usize) -> Recording {
        let client = Arc::new(Client {
            name: name.to_owned(),
            answered_at_once: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            standing: Mutex::default(),
        });
        {
            let clients = &mut lock(&self.0.state).clients;
            clients.retain(|client| client.strong_count() > 0);
            clients.push(Arc::downgrade(&client));
        }
        let recording = Recording { recorder: self.clone(), client };
        recording.tell(Event::Begins { targets: targets.to_vec(), index });
        recording
    }

    fn tell(&self, client: &Client, event: Event) {
        if let Some(lines) = &*self.lines() {
            let line = client.line(event);
            if !lines.has_taken(line.to_bytes()) {
                client.count(line.quiet);
            }
        }
    }

    fn lines(&self) -> RwLockReadGuard<'_, Option<Lines>> {
        self.0.lines.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    /// A call was answered by the first target that it asked.
    #[inline]
    pub(crate) fn answered_at_once(&self) {
        if self.is_on() {
            self.client.answered_at_once.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The caller of a call left.
    pub(crate) fn abandoned(&self) {
        if self.is_on() {
            self.client.abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_on(&self) -> bool {
        self.recorder.0.is_on.load(Ordering::Relaxed)
    }

    /// Something failed in a call.
    pub(crate) fn call(&self, call: Call) {
        let Some(lines) = &*self.recorder.lines() else { return };
        let kind = format!("{}\n{}", self.client.name, call.kind());
        {
            let mut state = lock(&self.recorder.0.state);
            if let Some(alike) = state.alike.get_mut(&kind) {
                alike.add(&self.client.name, call);
                return;
            }
            if state.alike.len() == MOST_KINDS {
                lines.lose(1);
                return;
            }
            state.alike.insert(kind, Alike::default());
        }
        let line = self.client.line(Event::Call(call));
        if !lines.has_taken(line.to_bytes()) {
            self.client.count(line.quiet);
        }
    }

    /// Something changed.
    pub(crate) fn tell(&self, event: Event) {
        match &event {
            Event::Begins { targets, index } | Event::Replaced { targets, index } => {
                *self.client.standing() = (targets.clone(), *index);
            }
            Event::Left { to, .. } => self.client.standing().1 = to.index,
            Event::Returned { target, .. } | Event::Preferred { target, .. } => {
                self.client.standing().1 = target.index;
            }
            _ => {}
        }
        self.recorder.tell(&self.client, event);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if self.client.quiet_is_known() {
            self.recorder.tell(&self.client, Event::Calls);
        }
    }
}

impl Client {
    fn line(&self, event: Event) -> Line {
        let quiet = Quiet {
            answered_at_once: self.answered_at_once.swap(0, Ordering::Relaxed),
            abandoned: self.abandoned.swap(0, Ordering::Relaxed),
        };
        Line { at: Moment(SystemTime::now()), client: Some(self.name.clone()), quiet, event }
    }

    /// Counts what no line tells after all.
    fn count(&self, quiet: Quiet) {
        self.answered_at_once.fetch_add(quiet.answered_at_once, Ordering::Relaxed);
        self.abandoned.fetch_add(quiet.abandoned, Ordering::Relaxed);
    }

    /// Whether there are calls in which nothing happened, and that are not told yet.
    fn quiet_is_known(&self) -> bool {
        self.answered_at_once.load(Ordering::Relaxed) > 0 || self.abandoned.load(Ordering::Relaxed) > 0
    }

    fn standing(&self) -> MutexGuard<'_, (Vec<String>, usize)> {
        lock(&self.standing)
    }
}

impl State {
    /// The lines that are due, and one of those that were lost.
    fn add(&mut self, due: Due, lost: u64) -> Vec<u8> {
        let mut lines = Vec::new();
        let is_all = due == Due::All;
        self.alike.retain(|_, alike| {
            let line = alike.0.take();
            let goes_on = line.is_some() && !is_all;
            lines.extend(line);
            goes_on
        });
        self.ticks = if is_all { 0 } else { (self.ticks + 1) % QUIET_TICKS };
        if self.ticks == 0 {
            let clients = self.clients.iter().filter_map(Weak::upgrade);
            let quiet = clients.filter(|client| client.quiet_is_known());
            lines.extend(quiet.map(|client| client.line(Event::Calls)));
        }
        if lost > 0 {
            let event = Event::Lost { lines: lost };
            lines.push(Line { at: Moment(SystemTime::now()), client: None, quiet: Quiet::default(), event });
        }
        lines.iter().flat_map(Line::to_bytes).collect()
    }
}

impl Alike {
    fn add(&mut self, client: &str, mut call: Call) {
        let at = Moment(SystemTime::now());
        if let Some(Line { event: Event::Call(before), .. }) = &self.0 {
            call.count += before.count;
            call.since = before.since;
            call.took = call.took.max(before.took);
        } else {
            call.since = Some(at);
        }
        let (client, quiet) = (Some(client.to_owned()), Quiet::default());
        self.0 = Some(Line { at, client, quiet, event: Event::Call(call) });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long calls that go alike are told together.
const TICK: Duration = Duration::from_secs(1);

/// After so many of these, calls in which nothing happened are told by themselves.
const QUIET_TICKS: u32 = 60;

/// The ways in which calls go, within that time: those that go in another one are lost.
const MOST_KINDS: usize = 100;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::sync::mpsc::{Receiver, channel};

    use serde_json::Value;

    use super::*;
    use crate::record_file::RecordFile;
    use crate::recorded::Place;

    /// Guards: a line for each of a thousand calls that fail within a second, and one that forgets how many they are.
    #[test]
    fn calls_that_go_alike_are_a_line_and_another_one_with_their_number() {
        let output = Output::default();
        let recorder = Recorder::to(output.clone());
        let recording = recorder.record("shop", &["a".to_owned(), "b".to_owned()], 0);
        for nth in 0..1_000 {
            recording.call(call("GET", f64::from(nth)));
        }
        recording.call(call("POST", 1.0));
        recorder.flush();
        let calls = output.lines("call");
        // On a busy machine a second may be over meanwhile.
        assert!((3..20).contains(&calls.len()), "{calls:#?}");
        let count = |method: &str| {
            let calls = calls.iter().filter(|call| call["method"] == method);
            calls.map(|call| call["count"].as_u64().unwrap_or(1)).sum::<u64>()
        };
        assert_eq!((count("GET"), count("POST")), (1_000, 1));
        assert!(calls[0].get("count").is_none());
        let longest = calls.iter().map(|call| call["took"].as_f64().unwrap()).fold(0.0, f64::max);
        assert!((longest - 999.0).abs() < f64::EPSILON, "{longest}");
    }

    #[test]
    fn calls_in_which_nothing_happened_are_a_number_in_the_next_line_and_at_the_end() {
        let output = Output::default();
        let recorder = Recorder::to(output.clone());
        let recording = recorder.record("shop", &["a".to_owned()], 0);
        (0..7).for_each(|_| recording.answered_at_once());
        recording.abandoned();
        recording.call(call("GET", 1.0));
        recording.answered_at_once();
        drop(recording);
        recorder.flush();
        let call = output.lines("call").remove(0);
        assert_eq!((&call["answered_at_once"], &call["abandoned"]), (&7.into(), &1.into()));
        assert_eq!(output.lines("calls")[0]["answered_at_once"], 1);
        assert_eq!(output.lines("begins")[0]["targets"], Value::from(vec!["a"]));
    }

    /// Guards: a recorder that waits for whoever reads it, and one that does not tell what it lost.
    #[test]
    fn one_that_nobody_reads_harms_no_call_and_says_afterwards_how_much_was_lost() {
        let (release, stuck) = channel();
        let output = Output::default();
        let recorder = Recorder::to(Stuck(stuck, output.clone()));
        let recording = recorder.record("shop", &["a".to_owned()], 0);
        // Whoever waited would do so for ever.
        for _ in 0..12_000 {
            recording.tell(Event::Stops { reason: "deadline".to_owned() });
        }
        (0..1_000).for_each(|nth| recording.call(call(&format!("M{nth}"), 1.0)));
        drop(release);
        while output.lines("lost").is_empty() {
            recorder.flush();
        }
        let lost: u64 = output.lines("lost").iter().map(|lost| lost["lines"].as_u64().unwrap()).sum();
        let told = output.lines("stops").len() + output.lines("call").len();
        assert_eq!(lost + told as u64, 13_000);
    }

    #[test]
    fn one_that_writes_elsewhere_says_there_where_calls_begin() {
        let (first, second) = (Output::default(), Output::default());
        let recorder = Recorder::default();
        let recording = recorder.record("shop", &["a".to_owned(), "b".to_owned()], 0);
        let (a, b) = (Place { index: 0, name: "a".to_owned() }, Place { index: 1, name: "b".to_owned() });
        recording.tell(Event::Left { target: a, to: b, why: String::new() });
        recorder.write_to(Some(first.clone()));
        recorder.write_to(Some(second.clone()));
        recorder.flush();
        recorder.write_to(None::<Output>);
        recording.call(call("GET", 1.0));
        recording.answered_at_once();
        assert!(!recording.client.quiet_is_known(), "what is not recorded is not told later");
        for output in [&first, &second] {
            while output.lines("begins").is_empty() {
                std::thread::yield_now();
            }
            assert_eq!(output.lines("begins")[0]["index"], 1);
            assert!(output.lines("call").is_empty());
        }
    }

    /// Guards: a file that grows without a bound, one that forgets what it has when it is opened, and one that goes on in
    /// the middle of a line.
    #[test]
    fn a_file_has_so_many_bytes_at_most_and_what_was_before_beside_it() {
        let folder = std::env::temp_dir().join(format!("failover-record-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("calls.jsonl");
        fs::write(&path, "torn").unwrap();
        for _ in 0..2 {
            let mut file = RecordFile::open(&path, 100).unwrap();
            for nth in 10..30 {
                file.write_all(format!("line {nth}\n").as_bytes()).unwrap();
                assert!(fs::metadata(&path).unwrap().len() <= 100);
            }
        }
        let text = |path| fs::read_to_string(path).unwrap();
        let lines = text(RecordFile::before(&path)) + &text(path.clone());
        let expected: Vec<_> = (10..30).map(|nth| format!("line {nth}")).collect();
        let last: Vec<_> = lines.lines().collect();
        assert!(expected.ends_with(&last.iter().map(ToString::to_string).collect::<Vec<_>>()), "{lines}");
        assert!(last.len() > 12, "{lines}");

        fs::write(&path, "torn").unwrap();
        RecordFile::open(&path, 100).unwrap().write_all(b"line\n").unwrap();
        assert_eq!(text(path.clone()), "torn\nline\n");

        // Of two who write, the second one to begin anew does not move away what the first one has begun.
        fs::write(&path, "old\n").unwrap();
        let [mut first, mut second] = [(); 2].map(|()| RecordFile::open(&path, 10).unwrap());
        first.write_all(b"first 1\n").unwrap();
        second.write_all(b"second\n").unwrap();
        assert_eq!(
            (text(RecordFile::before(&path)), text(path)),
            ("old\n".into(), "first 1\nsecond\n".into())
        );
        fs::remove_dir_all(folder).unwrap();
    }

    fn call(method: &str, took: f64) -> Call {
        Call {
            method: method.to_owned(),
            count: 1,
            since: None,
            took,
            answered: None,
            stopped: Some("deadline".to_owned()),
            probe: false,
            failures: Vec::new(),
            more: 0,
            passed_over: Vec::new(),
        }
    }

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Output {
        /// The lines of one kind.
        fn lines(&self, event: &str) -> Vec<Value> {
            let text = String::from_utf8(lock(&self.0).clone()).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.filter(|line| line["event"] == event).collect()
        }
    }

    impl Write for Output {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(lines)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes nothing until the other end is gone.
    struct Stuck(Receiver<()>, Output);

    impl Write for Stuck {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(lines)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
