//! The judges of a configuration: what they say of which answers, and what is refused.

use failover_core::{Case, Config, Judge, Judgement, Judges, MOST_PEEKED, Replay, Verdict};
use failover_tests::properties;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;

const ELSEWHERE: Verdict = Verdict::Elsewhere { processed: true, harm: true };
const NOT_DONE: Verdict = Verdict::Elsewhere { processed: false, harm: true };
const NOT_TAKEN: Verdict = Verdict::Elsewhere { processed: false, harm: false };

/// Guards: a condition of `When` that is not asked for; `Judges::judge` that does not stop at the first match.
#[test]
fn the_first_rule_that_matches_judges() {
    let judges = read(
        r#"
        [[judge]]
        when = { status = 404, path = "/v1/*", method = ["GET", "HEAD"] }
        verdict = "pass"
        [[judge]]
        when = { status = "4xx", header = { x-fault = "ours" } }
        verdict = "elsewhere"
        processed = false
        harm = false
        [[judge]]
        when = { header = "x-fault" }
        verdict = "elsewhere"
        [[judge]]
        when = { type = "text/html", body_has = ["captive", "portal"], status = 200 }
        verdict = "elsewhere"
        processed = false
        [[judge]]
        when = { json = "/ok", in = [true, 1.5, "yes", 7] }
        verdict = "accept"
        "#,
    );
    let answer = |status, headers: &[(&str, &str)], body: &str| Answer::new(status, headers, body);
    for (answer, path, expected) in [
        (answer(404, &[], ""), "/v1/users", Some(Verdict::Pass)),
        (answer(404, &[("x-fault", "ours")], ""), "/v1/", Some(Verdict::Pass)),
        (answer(404, &[("x-fault", "ours")], ""), "/v2/", Some(NOT_TAKEN)),
        (answer(500, &[("x-fault", "ours")], ""), "/v2/", Some(ELSEWHERE)),
        (answer(404, &[("x-fault", "theirs")], ""), "/v2/", Some(ELSEWHERE)),
        (answer(404, &[], "{}"), "/v2/", None),
        (answer(200, &[("content-type", "Text/HTML; charset=utf-8")], "a portal"), "/", Some(NOT_DONE)),
        (answer(200, &[("content-type", "text/plain")], "a portal"), "/", None),
        (answer(201, &[("content-type", "text/html")], "a portal"), "/", None),
        (answer(200, &[("content-type", "text/html")], "a door"), "/", None),
        (answer(503, &[], r#"{"ok": true}"#), "/", Some(Verdict::Accept)),
        (answer(503, &[], r#"{"ok": "yes"}"#), "/", Some(Verdict::Accept)),
        (answer(503, &[], r#"{"ok": 7}"#), "/", Some(Verdict::Accept)),
        (answer(503, &[], r#"{"ok": 1.5}"#), "/", Some(Verdict::Accept)),
        (answer(503, &[], r#"{"ok": 70}"#), "/", None),
        (answer(503, &[], r#"{"ok": "no"}"#), "/", None),
    ] {
        assert_eq!(answer.judged(&judges, path), expected, "{answer:?}");
    }
}

/// Guards: `Pointer::find` that looks beside its place.
#[test]
fn a_place_in_json_is_found_wherever_it_is_and_nowhere_else() {
    for (place, json, is_there) in [
        ("", "[]", true),
        ("", "null", false),
        ("", "", false),
        ("/error", r#"{"error": {"code": 1}}"#, true),
        ("/error", r#"{"error": null}"#, false),
        ("/error", r#"{"data": {"error": 1}}"#, false),
        ("/error", r#"{"result": [{"error": 1}], "error": false}"#, true),
        ("/error", r#"[{"error": 1}]"#, false),
        ("/0/error", r#"[{"error": 1}]"#, true),
        ("/1/error", r#"[{"error": 1}, {"error": 2}]"#, true),
        ("/2", "[1, 2]", false),
        ("/01", "[1, 2]", false),
        ("/a~1b/~0", r#"{"a/b": {"~": 1}}"#, true),
        ("/", r#"{"": 1}"#, true),
        ("/a", r#"{"a": null, "a": 1}"#, false),
        ("/a/b", r#"{"a": 1}"#, false),
        ("/a", r#"{"a": 1} {"#, true),
        ("/a", r#"{"b": 1"#, false),
        ("/a", r#"{"b": tru, "a": 1}"#, false),
        ("/a", r#"{"\u0061": 1}"#, true),
    ] {
        let judges = read(&format!("[[judge]]\nwhen = {{ json = '{place}' }}\nverdict = 'pass'"));
        let found = Answer::new(200, &[], json).judged(&judges, "/");
        assert_eq!(found.is_some(), is_there, "{place} in {json}");
    }
}

/// Guards: `Pointer::find` that takes a part of a number for all of it; `When::holds` that gives up a text too early;
/// `event::first` that ends anywhere.
#[test]
fn whatever_part_of_a_body_came_first_it_is_judged_as_the_whole() {
    let json = ("content-type", "application/json");
    let stream = ("content-type", "text/event-stream");
    let judges = |preset| read(&format!("[[judge]]\npreset = '{preset}'"));
    for (preset, status, header, body, expected) in [
        (
            "json-rpc",
            200,
            json,
            r#"{"id": 1, "error": {"message": "\"code\":", "code": -32005}}"#,
            Some(NOT_DONE),
        ),
        ("json-rpc", 200, json, r#"{"error": {"code": -32603, "data": {}}}"#, Some(ELSEWHERE)),
        ("json-rpc", 200, json, r#"{"error": {"code": -320050}}"#, None),
        ("json-rpc", 200, json, r#"{"error": {"code": -32005.5}}"#, None),
        ("json-rpc", 200, json, r#"[{"error": {"code": -32005}}]"#, None),
        ("json-rpc", 200, json, r#"{"result": "0x0"}"#, None),
        ("json-rpc", 200, json, r#"{"error": {"code": -32002}}"#, None),
        ("llm", 429, json, "{}", Some(NOT_DONE)),
        ("llm", 529, json, "", Some(NOT_DONE)),
        ("llm", 401, json, "", Some(NOT_TAKEN)),
        ("llm", 200, json, r#"{"error": {"type": "overloaded_error"}}"#, Some(NOT_DONE)),
        ("llm", 200, json, r#"{"error": {"type": "invalid_request_error"}}"#, None),
        ("llm", 400, json, r#"{"error": {"type": "overloaded_error"}}"#, None),
        ("llm", 200, json, r#"{"error": {"code": 529}}"#, Some(NOT_DONE)),
        (
            "llm",
            200,
            stream,
            "event: error\ndata: {\"error\":\ndata: {\"type\": \"overloaded_error\"}}\n\n",
            Some(NOT_DONE),
        ),
        (
            "llm",
            200,
            stream,
            ": hi\n\ndata: {\"choices\": []}\n\ndata: {\"error\": {\"code\": 429}}\n\n",
            None,
        ),
        ("grpc", 200, ("grpc-status", "14"), "", None),
    ] {
        let answer = Answer::new(status, &[header], body);
        assert_eq!(answer.judged(&judges(preset), "/"), expected, "{answer:?}");
        answer.is_judged_alike_by_parts(&judges(preset));
    }
    let grpc = Answer::new(200, &[("content-type", "application/grpc+proto"), ("grpc-status", "14")], "");
    assert_eq!(grpc.judged(&judges("grpc"), "/"), Some(ELSEWHERE));
}

/// Guards: `Judge::replay` of `Rule` that goes by the answer, or holds for every path.
#[test]
fn a_rule_vouches_for_requests() {
    let judges = read(
        r#"
        [[judge]]
        when = { method = "POST", path = "/search/*" }
        replay = "always"
        [[judge]]
        when = { path = "/search/odd" }
        replay = "never"
        "#,
    );
    for (method, path, expected) in [
        (Method::POST, "/search/", Some(Replay::Always)),
        (Method::POST, "/search/odd", Some(Replay::Always)),
        (Method::PUT, "/search/odd", Some(Replay::Never)),
        (Method::POST, "/search", None),
        (Method::GET, "/", None),
    ] {
        assert_eq!(judges.replay(&method, path), expected, "{method} {path}");
    }
    assert_eq!(Answer::new(200, &[], "").judged(&judges, "/search/odd"), None);
}

#[test]
fn rejected_a_rule_that_makes_no_sense_names_its_key() {
    let refused = |rule: &str| {
        let error = toml::from_str::<Config>(&format!("judge = [{rule}]")).expect_err(rule);
        error.message().to_owned()
    };
    for (rule, message) in [
        ("1", "judge[0] = 1: expected a table of preset, when, verdict, processed, harm, replay"),
        ("{}", "judge[0].when = : expected what the rule looks at, such as { status = 200 }"),
        (
            "{ when = {} }",
            "judge[0].when = {..}: expected at least one of method, path, status, header, type, body_has, json, in",
        ),
        (
            "{ when = { status = 200 } }",
            "judge[0].verdict = : expected one of accept, pass, elsewhere; or replay",
        ),
        (
            "{ when = { status = 20 }, verdict = 'pass' }",
            "judge[0].when.status = 20: expected status codes such as 503, \"501-504\" or \"5xx, !501\"",
        ),
        (
            "{ when = { state = 200 }, verdict = 'pass' }",
            "unknown key `judge[0].when.state`: did you mean `status`? The keys here are method, path, status, header, type, body_has, json, in",
        ),
        (
            "{ when = { status = 200 }, verdict = 'retry' }",
            "judge[0].verdict = retry: expected one of accept, pass, elsewhere",
        ),
        (
            "{ when = { status = 200 }, verdict = 'pass', harm = true }",
            "judge[0].harm = true: expected verdict = elsewhere beside it",
        ),
        (
            "{ when = { status = 200 }, processed = true, verdict = 'accept' }",
            "judge[0].processed = true: expected verdict = elsewhere beside it",
        ),
        (
            "{ when = { status = 200 }, replay = 'always' }",
            "judge[0].replay = always: expected nothing but method and path in when",
        ),
        (
            "{ when = { path = '/a' }, replay = 'always', verdict = 'pass' }",
            "judge[0].replay = always: expected a rule of its own, without a verdict",
        ),
        (
            "{ when = { path = '/a' }, replay = 'auto' }",
            "judge[0].replay = auto: expected one of always, methods, never",
        ),
        (
            "{ when = { path = 'a' }, verdict = 'pass' }",
            "judge[0].when.path = a: expected a path such as /rpc, or the beginning of one such as /v1/*",
        ),
        (
            "{ when = { path = '/a*b' }, verdict = 'pass' }",
            "judge[0].when.path = /a*b: expected a path such as /rpc, or the beginning of one such as /v1/*",
        ),
        (
            "{ when = { path = '/a?b' }, verdict = 'pass' }",
            "judge[0].when.path = /a?b: expected a path such as /rpc, or the beginning of one such as /v1/*",
        ),
        (
            "{ when = { method = 'P ST' }, verdict = 'pass' }",
            "judge[0].when.method = P ST: expected a method such as POST",
        ),
        (
            "{ when = { json = 'error' }, verdict = 'pass' }",
            "judge[0].when.json = error: expected a place in JSON such as /error/code (RFC 6901)",
        ),
        (
            "{ when = { json = '/~2' }, verdict = 'pass' }",
            "judge[0].when.json = /~2: expected a place in JSON such as /error/code (RFC 6901)",
        ),
        (
            "{ when = { in = [1] }, verdict = 'pass' }",
            "judge[0].when.json = : expected a place in JSON such as /error/code (RFC 6901)",
        ),
        (
            "{ when = { json = '/a', in = 1 }, verdict = 'pass' }",
            "judge[0].when.in = 1: expected a list of numbers, texts, true or false",
        ),
        (
            "{ when = { json = '/a', in = [nan] }, verdict = 'pass' }",
            "judge[0].when.in = NaN: expected a list of numbers, texts, true or false",
        ),
        (
            "{ when = { method = 'post' }, verdict = 'pass' }",
            "judge[0].when.method = post: expected a method such as POST",
        ),
        (
            "{ when = { status = '' }, verdict = 'pass' }",
            "judge[0].when.status = : expected at least one status",
        ),
        (
            "{ when = { type = 'application/json; charset=utf-8' }, verdict = 'pass' }",
            "judge[0].when.type = application/json; charset=utf-8: expected a type such as application/json, without parameters, or a list",
        ),
        (
            "{ when = { header = { x-key = \"s3\\ncret\" } }, verdict = 'pass' }",
            "judge[0].when.header = (not shown): expected the name of a header, or a table of names and values",
        ),
        (
            "{ when = { header = ['s3cret'] }, verdict = 'pass' }",
            "judge[0].when.header = (not shown): expected the name of a header, or a table of names and values",
        ),
        (
            "{ when = { json = '/a', in = [[1]] }, verdict = 'pass' }",
            "judge[0].when.in = [1]: expected a list of numbers, texts, true or false",
        ),
        (
            "{ when = { body_has = '' }, verdict = 'pass' }",
            "judge[0].when.body_has = : expected a text, or a list of texts",
        ),
        (
            "{ when = { header = 's3 cret' }, verdict = 'pass' }",
            "judge[0].when.header = (not shown): expected the name of a header, or a table of names and values",
        ),
        (
            "{ when = { header = { x-key = 1 } }, verdict = 'pass' }",
            "judge[0].when.header = (not shown): expected the name of a header, or a table of names and values",
        ),
        ("{ preset = 'soap' }", "judge[0].preset = soap: expected one of grpc, json-rpc, llm"),
        ("{ preset = 'llm', harm = true }", "judge[0].harm = true: expected nothing beside preset"),
        (
            "{ when = { status = 200 }, verdict = 'pass' }, { then = 1 }",
            "unknown key `judge[1].then`: did you mean `when`? The keys here are preset, when, verdict, processed, harm, replay",
        ),
    ] {
        assert_eq!(refused(rule), message);
    }
}

proptest! {
    #![proptest_config(properties("regressions/core_judges.txt"))]

    /// Guards: `Pointer::find` that panics, or changes its mind.
    #[test]
    fn whatever_comes_is_judged_as_the_whole_and_panics_nowhere(
        body in r#"(\{|\}|\[|\]|,|:|"error"|"code"|-32005|"data|data: |[ \n\r]|1|\\|é){0,24}"#,
        is_stream: bool,
    ) {
        let kind = if is_stream { "text/event-stream" } else { "application/json" };
        let answer = Answer::new(200, &[("content-type", kind)], &body);
        for rule in ["json = '/error/code', in = [-32005, 1]", "json = '/0'", "body_has = 'data'", "json = ''"] {
            let judges = read(&format!("[[judge]]\nwhen = {{ {rule} }}\nverdict = 'pass'"));
            answer.is_judged_alike_by_parts(&judges);
        }
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let header = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        };
        Self {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: headers.iter().map(header).collect(),
            body: body.into(),
        }
    }

    fn ask(&self, judges: &Judges, path: &str, body: Option<(&[u8], bool)>) -> Judgement {
        let request = HeaderMap::new();
        let case = Case::new((&Method::GET, path, &request), (self.status, &self.headers));
        judges.judge(&match body {
            Some((bytes, is_whole)) => case.with_body(bytes, is_whole),
            None => case,
        })
    }

    /// As an adapter that reads the body as far as it is asked to.
    fn judged(&self, judges: &Judges, path: &str) -> Option<Verdict> {
        let mut said = self.ask(judges, path, None);
        while let Judgement::Peek(asked) = said {
            assert!((1..=MOST_PEEKED).contains(&asked));
            let length = asked.min(self.body.len());
            let is_whole = asked > self.body.len();
            said = self.ask(judges, path, Some((&self.body[..length], is_whole)));
            if is_whole && matches!(said, Judgement::Peek(_)) {
                return None;
            }
        }
        match said {
            Judgement::Is(verdict) => Some(verdict),
            _ => None,
        }
    }

    /// What is decided by a part of the body is decided by all of it.
    fn is_judged_alike_by_parts(&self, judges: &Judges) {
        let whole = self.ask(judges, "/", Some((&self.body, true)));
        assert!(!matches!(whole, Judgement::Peek(_)), "{self:?}");
        for cut in 0..=self.body.len() {
            let part = self.ask(judges, "/", Some((&self.body[..cut], false)));
            assert!(part == whole || matches!(part, Judgement::Peek(_)), "{part:?} of {cut} of {self:?}");
        }
    }
}

fn read(config: &str) -> Judges {
    toml::from_str::<Config>(config).expect(config).policy.judge
}
