//! Rules of a configuration that judge answers: what they look at, and the sets of rules for what is spoken often.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::codes::StatusCodes;
use crate::evidence::Replay;
use crate::judge::{Case, Judge, Judgement};
use crate::verdict::Verdict;
use crate::wire::event;
use crate::wire::pointer::Pointer;

/// A rule of a configuration: what an answer means that looks like this.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) when: When,
    pub(crate) then: Then,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    /// What the answer is.
    Verdict(Verdict),
    /// Whether the request may be sent again, whatever the answer.
    Replay(Replay),
}

/// What a request and its answer must be for a rule to hold. Nothing that is empty is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct When {
    pub(crate) methods: Vec<Method>,
    pub(crate) path: Option<Path>,
    pub(crate) status: Option<StatusCodes>,
    /// Headers of the answer, and a value if it must be that.
    pub(crate) headers: Vec<(HeaderName, Option<String>)>,
    /// Types of the answer, without parameters.
    pub(crate) types: Vec<String>,
    /// Texts of which the body has one.
    pub(crate) body_has: Vec<String>,
    /// A place in the body that is there and is no null, and is one of these values if there are any.
    pub(crate) json: Option<(Pointer, Vec<Value>)>,
}

/// A path, or the beginning of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Path {
    Is(String),
    BeginsWith(String),
}

impl Rule {
    /// An answer that looks like this gives its target up.
    fn elsewhere(when: When, processed: bool, harm: bool) -> Self {
        Self { when, then: Then::Verdict(Verdict::Elsewhere { processed, harm }) }
    }
}

impl Judge for Rule {
    fn judge(&self, case: &Case<'_>) -> Judgement {
        let Then::Verdict(verdict) = self.then else { return Judgement::ByStatus };
        match self.when.holds(case) {
            Some(true) => verdict.into(),
            Some(false) => Judgement::ByStatus,
            None => Judgement::Peek(case.body.map_or(0, |peeked| peeked.bytes.len()) + 1),
        }
    }

    fn replay(&self, method: &Method, path: &str) -> Option<Replay> {
        match self.then {
            Then::Replay(replay) if self.when.is_asked(method, path) => Some(replay),
            _ => None,
        }
    }
}

impl When {
    /// Whether it asks for nothing of the answer.
    pub(crate) fn is_of_requests(&self) -> bool {
        let asked = Self { methods: self.methods.clone(), path: self.path.clone(), ..Self::default() };
        *self == asked
    }

    /// Whether it asks for the body.
    fn reads(&self) -> bool {
        !self.body_has.is_empty() || self.json.is_some()
    }

    fn is_asked(&self, method: &Method, path: &str) -> bool {
        let is_path = |asked: &Path| match asked {
            Path::Is(text) => path == text,
            Path::BeginsWith(text) => path.starts_with(text),
        };
        (self.methods.is_empty() || self.methods.contains(method)) && self.path.as_ref().is_none_or(is_path)
    }

    fn is_answered(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let has = |(name, value): &(HeaderName, Option<String>)| {
            let mut lines = headers.get_all(name).iter();
            lines.any(|line| value.as_ref().is_none_or(|value| line.as_bytes() == value.as_bytes()))
        };
        self.status.is_none_or(|codes| codes.contains(status))
            && self.headers.iter().all(has)
            && (self.types.is_empty() || self.types.iter().any(|asked| is_type(headers, asked)))
    }

    /// Whether an answer is like this; `None` where that depends on more of its body.
    fn holds(&self, case: &Case<'_>) -> Option<bool> {
        if !self.is_asked(case.method, case.path) || !self.is_answered(case.status, case.headers) {
            return Some(false);
        }
        if !self.reads() {
            return Some(true);
        }
        let peeked = case.body?;
        let (text, data, is_whole) = if is_stream(case.headers) {
            let first = event::first(peeked.bytes);
            (first.text, Cow::Owned(first.data), peeked.is_whole || first.is_whole)
        } else {
            (peeked.bytes, Cow::Borrowed(peeked.bytes), peeked.is_whole)
        };
        let has = |part: &String| text.windows(part.len()).any(|window| window == part.as_bytes());
        let is_text = self.body_has.is_empty() || self.body_has.iter().any(has);
        let is_json = self.json.as_ref().map_or(Some(true), |(pointer, values)| {
            let found = pointer.find(&data, is_whole)?;
            Some(if values.is_empty() { !found.is_null() } else { values.contains(&found) })
        });
        match (is_text, is_json) {
            (true, Some(true)) => Some(true),
            (_, Some(false)) => Some(false),
            _ => is_whole.then_some(false),
        }
    }
}

/// Whether an answer has this type, which may have the parameters that it likes.
fn is_type(headers: &HeaderMap, asked: &str) -> bool {
    let stated = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = stated.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(asked)
}

/// Whether an answer is a stream of events, of which the first is looked at.
fn is_stream(headers: &HeaderMap) -> bool {
    is_type(headers, STREAM)
}

/// What a gRPC target says that is not available: at once, or after it sent something, which then is known too late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grpc;

impl Judge for Grpc {
    fn judge(&self, case: &Case<'_>) -> Judgement {
        let stated = case.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        if stated.starts_with(b"application/grpc") && self.is_failure(case.headers) {
            return Verdict::Elsewhere { processed: true, harm: true }.into();
        }
        Judgement::ByStatus
    }

    fn is_failure(&self, trailers: &HeaderMap) -> bool {
        trailers.get("grpc-status").is_some_and(|status| status == UNAVAILABLE)
    }
}

const JSON: &str = "application/json";
const STREAM: &str = "text/event-stream";

/// gRPC's code of a service that is not available.
const UNAVAILABLE: &str = "14";

/// Errors of JSON-RPC that speak of the target. Of one's own faults are all others, which no other target would mend.
pub(crate) fn json_rpc() -> Vec<Rule> {
    let when = |codes: &[i64]| When {
        types: [JSON.to_owned()].into(),
        json: Some((Pointer::of(&["error", "code"]), codes.iter().copied().map(Value::from).collect())),
        ..When::default()
    };
    [
        // A limit that was exceeded (EIP-1474): nothing was done.
        Rule::elsewhere(when(&[-32005]), false, true),
        // An error inside of the target (JSON-RPC 2.0, section 5.1), which may have done something before.
        Rule::elsewhere(when(&[-32603]), true, true),
    ]
    .into()
}

/// What services of language models say when they are overloaded, or do not take the key that belongs to their URL.
pub(crate) fn llm() -> Vec<Rule> {
    let status = |codes: &[u16]| When {
        status: StatusCodes::from_codes(codes.iter().copied()).ok(),
        ..When::default()
    };
    let success = StatusCodes::range(200, 299);
    let error = |part: &str, values: &[Value]| When {
        status: success,
        types: [JSON.to_owned(), STREAM.to_owned()].into(),
        json: Some((Pointer::of(&["error", part]), values.into())),
        ..When::default()
    };
    let busy =
        ["overloaded_error", "overloaded", "rate_limit_error", "server_overloaded", "service_unavailable"];
    let busy: Vec<_> = busy.into_iter().map(Value::from).collect();
    let codes: Vec<_> = [429, 503, 529].into_iter().map(Value::from).chain(busy.iter().cloned()).collect();
    [
        Rule::elsewhere(status(&[429, 503, 529]), false, true),
        // Whether the key is the target's or the caller's own is not known: it is no strike.
        Rule::elsewhere(status(&[401, 403]), false, false),
        Rule::elsewhere(error("type", &busy), false, true),
        Rule::elsewhere(error("code", &codes), false, true),
    ]
    .into()
}
