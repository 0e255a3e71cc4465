//! A target's URL: what is accepted, how a path joins it, what is shown of it.

use failover_core::{Head, PathError, Target, settle_framing};
use http::header::UPGRADE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use proptest::prelude::*;

/// Guards: `Target::uri` that joins two slashes, or drops those in front of a path.
#[test]
fn per_target_request_the_path_follows_the_base_byte_for_byte() {
    for (base, path, url) in [
        ("http://h:8080/echo", "/", "http://h:8080/echo/"),
        ("http://h:8080/echo", "", "http://h:8080/echo/"),
        ("http://h:8080/echo/", "/x", "http://h:8080/echo/x"),
        ("http://h:8080/echo//", "x", "http://h:8080/echo//x"),
        ("http://h", "/a//b/?q=%20&q", "http://h/a//b/?q=%20&q"),
        ("http://h/fo", "?q=/../x", "http://h/fo/?q=/../x"),
        ("http://h", "//evil/x", "http://h//evil/x"),
        ("http://h/fo", "//evil/x", "http://h/fo//evil/x"),
        ("http://h/", "//", "http://h//"),
        ("http://h/fo", "/http://evil/x", "http://h/fo/http://evil/x"),
        ("https://[::1]:8443", "/x", "https://[::1]:8443/x"),
        ("http://nonexistentEP/mock1", "/", "http://nonexistentep/mock1/"),
    ] {
        let target = Target::parse(base).expect("a target");
        let joined = target.uri(&Target::path(path).expect("a path")).expect("a URL");
        assert_eq!(joined.to_string(), url, "{base} and {path}");
    }
}

/// Guards: `Target::path`, or `Target::uri`, that joins a `*`.
#[test]
fn exact_what_is_asked_of_all_of_a_server_stays_so() {
    let target = Target::parse("http://h/base").expect("a target");
    let url = target.uri(&Target::path("*").expect("a path")).expect("a URL");
    assert_eq!((url.path(), url.authority().expect("its host").as_str()), ("*", "h"));
}

/// Guards: `Target::parse` that drops port 80 of https.
#[test]
fn per_target_request_the_host_is_the_targets_without_the_default_port() {
    for (url, host) in [
        ("http://h", "h"),
        ("http://h:80/x", "h"),
        ("http://h:443", "h:443"),
        ("https://h:443", "h"),
        ("https://H:8443", "h:8443"),
        ("http://u:p@h:80", "h"),
        ("http://[::1]", "[::1]"),
        ("http://[::1]:80", "[::1]"),
        ("http://[::80]", "[::80]"),
    ] {
        assert_eq!(Target::parse(url).expect("a target").host_header(), host, "{url}");
    }
}

/// Guards: `Target::parse` that takes a fragment.
#[test]
fn rejected_a_url_that_is_not_http_with_a_host() {
    for (url, shown) in [
        ("", ""),
        ("h", "h"),
        ("/only/a/path", ""),
        ("h:8080", "h:8080"),
        ("ftp://h/x", "ftp://h"),
        ("http://", "http://"),
        ("http:///x", "http://"),
        ("http://:80", "http://:80"),
        ("http://h:99999", "http://h:99999"),
        ("http://h:/x", "http://h:"),
        ("http://h:0x/x", "http://h"),
        ("http://user:secret#h/x", "http://user"),
        ("http://h/x?q", "http://h"),
        ("http://h/x#f", "http://h"),
        ("http://h h/", "http://h h"),
        ("ws://user:secret@h/x", "ws://h"),
        ("http://user:secret@h:0x/x", "http://h"),
        ("http://user:sec/ret@h:0x/x", "http://"),
        ("http://us@er:sec/ret@h:0x/x", "http://"),
        (":secret@://", ":"),
        ("user:secret://b@h", ""),
        ("h?token://", "h"),
        ("h\nttp://h", "h\\nttp://h"),
    ] {
        let error = Target::parse(url).expect_err(url);
        assert_eq!((error.key(), error.value()), ("url", shown), "{url}: {error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

/// Guards: `Target::fmt` that shows the path; `basic` whose value is not sensitive.
#[test]
fn redacted_a_target_is_shown_as_scheme_host_and_port_only() {
    let target = Target::parse("https://user:secret@h:8443/tenant/token").expect("a target");
    let shown = format!("{target} {target:?}");
    assert_eq!(shown, "https://h:8443 Target(https://h:8443)");
    assert!(target.headers()["authorization"].is_sensitive());
}

#[test]
fn user_information_becomes_basic_authorization() {
    for (url, value) in [
        ("http://Aladdin:open%20sesame@h", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("http://user@h", "Basic dXNlcjo="),
        ("http://:p@h", "Basic OnA="),
    ] {
        assert_eq!(Target::parse(url).expect("a target").headers()["authorization"], value, "{url}");
    }
}

/// Guards: a conversion that is none of `Target::parse`.
#[test]
fn a_target_is_made_of_whatever_holds_a_url() {
    let url = String::from("http://user:secret@h:8080/base/");
    let target = Target::parse(&url).expect("a target");
    assert_eq!(url.parse(), Ok(target.clone()));
    assert_eq!(Target::try_from(url.as_str()), Ok(target.clone()));
    assert_eq!(Target::try_from(&url), Ok(target.clone()));
    assert_eq!(Target::try_from(url.parse::<Uri>().expect("a URL")), Ok(target.clone()));
    assert_eq!(Target::try_from(url), Ok(target));
    for url in ["/base", "h:80", "*", "ftp://h", "http://h/?query"] {
        let error = Target::parse(url).expect_err(url);
        assert_eq!(Target::try_from(url.parse::<Uri>().expect("a URL")), Err(error.clone()));
        assert_eq!(url.parse::<Target>(), Err(error));
    }
}

/// Guards: `Target::path` that takes a fragment.
#[test]
fn rejected_a_path_that_no_target_can_be_asked_for() {
    for (path, error) in [
        ("http://evil/x", PathError::Absolute),
        ("HTTPS://evil", PathError::Absolute),
        ("/x#y", PathError::Fragment),
        ("/a b", PathError::Characters(' ')),
        ("/a\r\nHost: evil", PathError::Characters('\r')),
        ("/\u{e4}", PathError::Characters('\u{e4}')),
        ("\0", PathError::Characters('\0')),
        ("/a?b<c", PathError::Characters('<')),
        ("*?x", PathError::QueryOfAll),
    ] {
        assert_eq!(Target::path(path), Err(error), "{path:?}");
    }
    let told = "the path has ' ' in it, which must be percent-encoded";
    assert_eq!(PathError::Characters(' ').to_string(), told);
    assert_eq!(Target::path(&"x".repeat(65_534)), Err(PathError::TooLong));
    assert!(Target::path(&"x".repeat(65_533)).is_ok());
    let long = PathAndQuery::try_from(format!("/{}", "x".repeat(65_500))).expect("a path");
    assert!(Target::parse("http://h").expect("a target").uri(&long).is_ok());
    let based = Target::parse(&format!("http://h/{}", "b".repeat(100))).expect("a target");
    assert_eq!(based.uri(&long), Err(PathError::TooLong));
}

/// Guards: `Head::new` that states no length of zero, or keeps the framing that the caller stated.
#[test]
fn exact_the_length_of_a_body_is_stated_where_it_is_known_and_expected() {
    let stated = |method: Method, headers: &[(&'static str, &'static str)], length| {
        let headers = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let head =
            Head::new(method, PathAndQuery::from_static("/"), headers.collect(), length).expect("no tunnel");
        let target = Target::parse("http://h").expect("a target");
        let request = head.aim(&target, ()).expect("a request");
        let coding = request.headers().get("transfer-encoding");
        assert_eq!(coding, length.is_none().then_some(&HeaderValue::from_static("chunked")));
        request.headers().get("content-length").map(|value| value.to_str().expect("a number").to_owned())
    };
    let some = |length: &str| Some(length.to_owned());
    assert_eq!(stated(Method::GET, &[], Some(0)), None, "a GET without a body gains nothing");
    assert_eq!(stated(Method::GET, &[], Some(3)), some("3"));
    assert_eq!(stated(Method::POST, &[], Some(0)), some("0"));
    assert_eq!(stated(Method::GET, &[("content-length", "0")], Some(0)), some("0"));
    assert_eq!(
        stated(Method::POST, &[("content-length", "7")], Some(3)),
        some("3"),
        "what is known is right"
    );
    assert_eq!(stated(Method::POST, &[("content-length", "7")], None), None, "nobody can vouch for it");
    let smuggled = [("content-length", "3"), ("transfer-encoding", "chunked")];
    assert_eq!(stated(Method::POST, &smuggled, Some(3)), some("3"));
    assert!(Head::new(Method::CONNECT, PathAndQuery::from_static("/"), HeaderMap::new(), None).is_none());
}

#[test]
fn another_protocol_is_an_answer_only_to_who_asked_for_it() {
    let head =
        |headers| Head::new(Method::GET, PathAndQuery::from_static("/"), headers, None).expect("no tunnel");
    let (plain, upgrade) =
        (head(HeaderMap::new()), head(HeaderMap::from_iter([(UPGRADE, HeaderValue::from_static("x"))])));
    for (status, to_plain) in [(101, false), (200, true), (426, true), (503, true)] {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!((plain.may_be_answered_by(status), upgrade.may_be_answered_by(status)), (to_plain, true));
    }
}

#[test]
fn the_framing_of_a_message_is_settled_or_refused() {
    let coded = |coding: &'static str| ("transfer-encoding", coding);
    let length = |length: &'static str| ("content-length", length);
    for (headers, fits, left) in [
        (vec![], true, vec![]),
        (vec![length("5")], true, vec!["5"]),
        (vec![length("5, 5")], true, vec!["5"]),
        (vec![length("5"), length("5")], true, vec!["5"]),
        (vec![length("5"), length("6")], false, vec![]),
        (vec![length("5, 6")], false, vec![]),
        (vec![length("+5")], false, vec![]),
        (vec![length("\u{e9}")], false, vec![]),
        (vec![coded("chunked")], true, vec![]),
        (vec![coded("Chunked"), length("5")], true, vec![]),
        (vec![coded("gzip, chunked")], false, vec![]),
        (vec![coded("gzip"), coded("chunked"), length("5")], false, vec![]),
        (vec![coded("chunked, chunked")], false, vec![]),
        (vec![coded("identity")], false, vec![]),
    ] {
        let lines = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value)
                    .or_else(|_| HeaderValue::from_bytes(value.as_bytes()))
                    .expect("a value"),
            )
        });
        let mut lines: HeaderMap = lines.fold(HeaderMap::new(), |mut lines, (name, value)| {
            lines.append(name, value);
            lines
        });
        assert_eq!(settle_framing(&mut lines), fits, "{headers:?}");
        if fits {
            assert_eq!(lines.get_all("content-length").iter().collect::<Vec<_>>(), left, "{headers:?}");
        }
    }
}

/// Guards: `Head::aim` without the target's `Host`, or with the caller's value beside the target's.
#[test]
fn per_target_request_each_target_gets_its_own_host_and_headers() {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("caller"));
    headers.insert("x-api-key", HeaderValue::from_static("caller"));
    headers.insert("idempotency-key", HeaderValue::from_static("8e03978e"));
    let head = Head::new(Method::GET, PathAndQuery::from_static("/x"), headers, Some(0)).expect("no tunnel");
    let own = Target::parse("http://a:80/v1").expect("a target");
    let own = own.with_header(HeaderName::from_static("x-api-key"), HeaderValue::from_static("a"));
    let other = Target::parse("http://b:81").expect("a target");
    for (target, url, host, key) in
        [(own, "http://a/v1/x", "a", "a"), (other, "http://b:81/x", "b:81", "caller")]
    {
        let request = head.aim(&target, ()).expect("a request");
        assert_eq!(
            (request.uri().to_string().as_str(), &request.headers()["host"]),
            (url, &host.parse().expect("a host"))
        );
        assert_eq!(
            (&request.headers()["x-api-key"], &request.headers()["idempotency-key"]),
            (&key.parse().expect("a key"), &"8e03978e".parse().expect("a key"))
        );
        assert_eq!(request.headers().get_all("host").iter().count(), 1);
    }
}

proptest! {
    #![proptest_config(failover_tests::properties("regressions/core_target.txt"))]

    #[test]
    fn a_path_never_leaves_its_target(path in ".{0,30}", base in "(/[a-z@:/]{0,6})?") {
        let target = Target::parse(&format!("http://user@host:81{base}")).expect("a target");
        if let Some(path) = Target::path(&path).ok().filter(|path| path != "*") {
            let url = target.uri(&path).expect("a URL");
            let base = base.strip_suffix('/').unwrap_or(&base);
            prop_assert!(url.to_string().starts_with(&format!("http://host:81{base}/")), "{}", url);
        }
        // A server's request can hold more than a caller's path.
        if let Ok(path) = PathAndQuery::try_from(path) {
            let url = target.uri(&path).expect("a URL");
            prop_assert_eq!(url.authority().map(http::uri::Authority::as_str), Some("host:81"));
            prop_assert_eq!(url.query(), path.query());
        }
    }

    #[test]
    fn no_url_panics_or_shows_its_secret(url in "(http|ftp)?(://)?[a-z]{0,3}(:s3cret@)?[a-z:0-9\\[\\]]{0,6}(/.{0,5})?(\\?t0ken)?") {
        let shown = Target::parse(&url).map_or_else(|error| error.to_string(), |target| format!("{target:?}"));
        prop_assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{}", shown);
    }
}
