//! What a record says, line by line. None of it shows more of a request than its method, or more of a URL than logs do.

use std::time::{Duration, SystemTime};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One line.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Line {
    /// When it was told.
    pub(crate) at: Moment,
    /// Whose it is, if it is a client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<String>,
    #[serde(flatten)]
    pub(crate) quiet: Quiet,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// The calls in which nothing happened, since the client's line before.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Quiet {
    /// They were answered by the first target that they asked.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) answered_at_once: u64,
    /// Their callers left.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) abandoned: u64,
}

/// What happened.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub(crate) enum Event {
    /// A call in which something failed.
    Call(Call),
    /// Nothing but calls in which nothing happened.
    Calls,
    /// The record of a client begins.
    Begins { targets: Vec<String>, index: usize },
    /// A client got other targets.
    Replaced { targets: Vec<String>, index: usize },
    /// A target cools, for some seconds.
    Cools { target: Place, cools_for: f64, strikes: u8, why: String },
    /// Calls begin at another target than before.
    Left { target: Place, to: Place, why: String },
    /// Calls begin at a preferred target again.
    Returned { target: Place, from: Place },
    /// An operator let calls begin at a target.
    Preferred { target: Place, from: Place },
    /// An operator said whether a target is to be used.
    SetByHand { target: Place, state: String },
    /// The checks of a target say that it is `up`, `down`, or has `no_such_path`.
    Checked { target: Place, state: String },
    /// Calls stop, for this reason.
    Stops { reason: String },
    /// Calls are answered again, after so many stopped in so many seconds.
    AnsweredAgain { stopped: u64, lasted: f64 },
    /// So many lines are not here.
    Lost { lines: u64 },
    /// What a later version tells.
    #[serde(other)]
    Unknown,
}

/// A call in which something failed, or several that went alike within a second.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// How many they are.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) count: u64,
    /// When the first of several was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Moment>,
    /// In seconds, to the head of the answer: the longest of several.
    #[serde(default)]
    pub(crate) took: f64,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answered: Option<Place>,
    /// Why nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stopped: Option<String>,
    /// Whether a preferred target was probed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) probe: bool,
    /// In order.
    #[serde(default)]
    pub(crate) failures: Vec<Failed>,
    /// The failures beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) more: u64,
    /// The targets that were not asked although it would have been their turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) passed_over: Vec<Skipped>,
}

/// A target.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Place {
    pub(crate) index: usize,
    pub(crate) name: String,
}

/// An attempt that failed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Failed {
    #[serde(flatten)]
    pub(crate) target: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// The status says otherwise, and a judge that it is a failure.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) judged: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<String>,
    /// In words.
    pub(crate) why: String,
    /// In seconds.
    #[serde(default)]
    pub(crate) took: f64,
}

/// A target that was passed over.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Skipped {
    #[serde(flatten)]
    pub(crate) target: Place,
    /// `cooling`, `down`, `drain` or `maintenance`.
    pub(crate) why: String,
}

impl Call {
    /// By what calls that went alike are alike: all but their times.
    pub(crate) fn kind(&self) -> String {
        let mut kind = self.clone();
        kind.took = 0.0;
        for failure in &mut kind.failures {
            failure.took = 0.0;
        }
        serde_json::to_string(&kind).unwrap_or_default()
    }
}

impl Line {
    /// The line with its end.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_one(count: &u64) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A moment, as RFC 3339 writes it: in UTC, and to a microsecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) SystemTime);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What lies beyond cannot be written.
        let latest = SystemTime::UNIX_EPOCH + YEAR_9999;
        let at = self.0.clamp(SystemTime::UNIX_EPOCH, latest);
        serializer.collect_str(&humantime::format_rfc3339_micros(at))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map(Self).map_err(D::Error::custom)
    }
}

/// Its beginning, after that of time.
const YEAR_9999: Duration = Duration::from_secs(253_370_764_800);
