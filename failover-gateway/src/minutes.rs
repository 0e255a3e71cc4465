//! The failovers, counted by the minute and by their kind. Its size is bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Method;
use serde::{Serialize, Serializer};

use crate::why::Why;

/// The failovers of the last minutes that had any, the newest minute first.
#[derive(Default)]
pub(crate) struct Minutes(VecDeque<Minute>);

struct Minute {
    /// When it began.
    at: SystemTime,
    rows: Vec<Row>,
    /// Those that had no place among the rows.
    others: u64,
}

/// Where a failover led.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    To(ShownTarget),
    /// Nowhere: the call stopped, for a reason that has a name and words.
    Stopped(&'static str, String),
}

/// Failovers of one kind.
struct Row {
    from: ShownTarget,
    way: Way,
    why: Why,
    words: String,
    count: u64,
    methods: Vec<&'static str>,
    last: SystemTime,
    took: Duration,
    longest: Duration,
}

/// A target, as it was shown then.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct ShownTarget {
    pub(crate) index: usize,
    #[serde(serialize_with = "text")]
    pub(crate) name: Arc<str>,
}

/// What is told of the failovers of one kind in one minute.
#[derive(Serialize)]
pub(crate) struct Failovers {
    #[serde(serialize_with = "rfc3339")]
    minute: SystemTime,
    from: Option<ShownTarget>,
    /// Where the call went on.
    to: Option<ShownTarget>,
    /// The reason for which the call did not go on.
    stopped: Option<&'static str>,
    /// Why the target was given up, and what kept the call from going on.
    why: String,
    count: u64,
    methods: Vec<&'static str>,
    #[serde(serialize_with = "rfc3339")]
    last: SystemTime,
    /// How long the attempts took on average, in seconds.
    mean: Option<f64>,
    /// In seconds.
    longest: Option<f64>,
}

impl Minutes {
    /// Counts a failover, which gave up an attempt that took so long.
    #[expect(clippy::too_many_arguments, reason = "they are what a failover is")]
    pub(crate) fn count(
        &mut self,
        now: SystemTime,
        method: &Method,
        from: ShownTarget,
        way: Way,
        why: Why,
        took: Duration,
        words: impl FnOnce() -> String,
    ) {
        let at = minute(now);
        if self.0.front().is_none_or(|minute| minute.at != at) {
            self.0.truncate(MOST_MINUTES - 1);
            self.0.push_front(Minute { at, rows: Vec::new(), others: 0 });
        }
        let Some(minute) = self.0.front_mut() else { return };
        let known = |row: &Row| row.from == from && row.way == way && row.why == why;
        let place = minute.rows.iter().position(known).or_else(|| {
            let row = || Row {
                from,
                way,
                why,
                words: words(),
                count: 0,
                methods: Vec::new(),
                last: now,
                took: Duration::ZERO,
                longest: Duration::ZERO,
            };
            (minute.rows.len() < MOST_ROWS).then(|| minute.rows.push(row()))?;
            Some(minute.rows.len() - 1)
        });
        match place {
            Some(place) => minute.rows[place].add(now, method, took),
            None => minute.others += 1,
        }
    }

    /// Why a target was given up last.
    pub(crate) fn latest(&self, from: &ShownTarget) -> Option<&str> {
        let rows = self.0.iter().flat_map(|minute| &minute.rows).filter(|row| row.from == *from);
        rows.max_by_key(|row| row.last).map(|row| &*row.words)
    }

    /// All of them, the newest minute first.
    pub(crate) fn rows(&self) -> Vec<Failovers> {
        self.0.iter().flat_map(Minute::told).collect()
    }
}

impl Minute {
    fn told(&self) -> impl Iterator<Item = Failovers> {
        let others = (self.others > 0).then(|| Failovers {
            minute: self.at,
            from: None,
            to: None,
            stopped: None,
            why: "others".to_owned(),
            count: self.others,
            methods: Vec::new(),
            last: self.at,
            mean: None,
            longest: None,
        });
        self.rows.iter().map(|row| row.told(self.at)).chain(others)
    }
}

impl Row {
    fn add(&mut self, now: SystemTime, method: &Method, took: Duration) {
        let method = method_name(method);
        if !self.methods.contains(&method) {
            self.methods.push(method);
        }
        self.count += 1;
        self.last = now;
        self.took = self.took.saturating_add(took);
        self.longest = self.longest.max(took);
    }

    fn told(&self, minute: SystemTime) -> Failovers {
        let (to, stopped, why) = match &self.way {
            Way::To(place) => (Some(place.clone()), None, self.words.clone()),
            Way::Stopped(reason, kept) => (None, Some(*reason), format!("{}; {kept}", self.words)),
        };
        Failovers {
            minute,
            from: Some(self.from.clone()),
            to,
            stopped,
            why,
            count: self.count,
            methods: self.methods.clone(),
            last: self.last,
            #[expect(clippy::cast_precision_loss, reason = "it is a mean")]
            mean: Some(self.took.as_secs_f64() / self.count as f64),
            longest: Some(self.longest.as_secs_f64()),
        }
    }
}

/// A method by a name that takes no memory.
fn method_name(method: &Method) -> &'static str {
    METHODS.into_iter().find(|name| method.as_str() == *name).unwrap_or("other")
}

/// When the minute of a moment began.
fn minute(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs() / 60 * 60)
}

/// A moment as programs read it.
pub(crate) fn rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*at))
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

const MOST_MINUTES: usize = 60;

/// In a minute.
const MOST_ROWS: usize = 16;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"];

#[cfg(test)]
mod tests {
    use failover_tokio::Fault;
    use serde_json::{Value, json};

    use super::*;

    /// Guards: `Minutes::count` that keeps each failover for itself, or all of them in one minute, and `Row::told` with the
    /// sum for the mean.
    #[test]
    fn an_outage_of_50_000_failovers_is_one_row() {
        let mut minutes = Minutes::default();
        for nth in 0..50_000 {
            let took = Duration::from_millis(if nth == 7 { 900 } else { 100 });
            let method = if nth % 2 == 0 { Method::GET } else { Method::PUT };
            count(&mut minutes, 59_999, &method, 0, Way::To(place(1)), took);
        }
        let stopped = Way::Stopped("no_proof", "it may have been executed".to_owned());
        count(&mut minutes, 60_000, &Method::POST, 0, stopped, Duration::ZERO);
        let rows = told(&minutes);
        assert_eq!(rows.len(), 2, "{rows:#?}");
        assert_eq!(
            (&rows[0]["minute"], &rows[0]["stopped"]),
            (&json!("1970-01-01T00:01:00.000Z"), &json!("no_proof"))
        );
        assert_eq!(
            (&rows[0]["why"], &rows[1]["why"]),
            (&json!("words; it may have been executed"), &json!("words"))
        );
        let row = &rows[1];
        assert_eq!(
            (&row["minute"], &row["last"]),
            (&json!("1970-01-01T00:00:00.000Z"), &json!("1970-01-01T00:00:59.999Z"))
        );
        assert_eq!((&row["from"]["name"], &row["to"]["index"]), (&json!("t0"), &json!(1)));
        assert_eq!((&row["count"], &row["methods"]), (&json!(50_000), &json!(["GET", "PUT"])));
        let mean = row["mean"].as_f64().unwrap();
        assert!((mean - 0.100_016).abs() < 1e-9 && row["longest"] == 0.9, "{row}");
        assert_eq!(minutes.latest(&place(0)), Some("words"));
        assert_eq!(minutes.latest(&place(1)), None);
    }

    /// Guards: `Minutes::count` without either bound, or without the others.
    #[test]
    fn bounded_sixty_minutes_of_sixteen_kinds_and_all_are_counted() {
        let mut minutes = Minutes::default();
        for nth in 0..100 {
            for target in 0..40 {
                count(&mut minutes, nth * 60_000, &Method::GET, target, Way::To(place(99)), Duration::ZERO);
            }
        }
        let rows = told(&minutes);
        assert_eq!(rows.len(), 60 * 17);
        assert_eq!(rows[0]["minute"], "1970-01-01T01:39:00.000Z");
        assert_eq!(
            (&rows[16]["why"], &rows[16]["count"], &rows[16]["from"]),
            (&json!("others"), &json!(24), &Value::Null)
        );
    }

    #[test]
    fn bounded_a_method_of_a_clients_own_making_is_an_other_one() {
        let mut minutes = Minutes::default();
        for name in ["BREW", "WHEN", "GET"] {
            count(&mut minutes, 0, &name.parse().unwrap(), 0, Way::To(place(1)), Duration::ZERO);
        }
        assert_eq!(told(&minutes)[0]["methods"], json!(["other", "GET"]));
    }

    fn count(minutes: &mut Minutes, millis: u64, method: &Method, from: usize, way: Way, took: Duration) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        minutes.count(now, method, place(from), way, Why::Fault(Fault::Refused), took, || "words".to_owned());
    }

    fn place(index: usize) -> ShownTarget {
        ShownTarget { index, name: format!("t{index}").into() }
    }

    fn told(minutes: &Minutes) -> Vec<Value> {
        minutes.rows().iter().map(|row| serde_json::to_value(row).unwrap()).collect()
    }
}
