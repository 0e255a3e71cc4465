//! What an operator sees: events, spans and metrics, and no secret in any of them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use failover_tokio::{AttemptBody, Evidence, Failover, Policy, Target};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, ServiceExt, service_fn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// One test, since what `tracing` knows of its callsites is the process's.
#[tokio::test(start_paused = true)]
async fn calls_and_attempts_are_told_and_counted_without_secrets() {
    let told = Told::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(told.clone())
        .finish();
    let _subscriber = tracing::subscriber::set_default(subscriber);
    #[cfg(feature = "metrics")]
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    #[cfg(feature = "metrics")]
    let _recorder = metrics::set_default_local_recorder(&recorder);
    #[cfg(feature = "metrics")]
    failover_tokio::describe_metrics();

    answered_by_the_third().await;
    stopped_by_doubt().await;
    abandoned().await;
    broken_off().await;

    are_told(&told.lines());
    #[cfg(feature = "metrics")]
    are_counted(recorder.snapshotter().snapshot());
}

fn are_told(told: &[String]) {
    let [first_calls @ .., works_too, answered_too, broken] = told else { panic!("{told:#?}") };
    let [not_sent, busy, works, answered, doubt, why, outage, stopped, gone, abandoned] = first_calls else {
        panic!("{told:#?}")
    };
    for (line, parts) in [
        (
            not_sent,
            &[
                "DEBUG",
                "attempt given up",
                "index=0",
                "target_name=\"http://one.example\"",
                "evidence=\"not_sent\"",
                "took=1.0",
            ][..],
        ),
        (busy, &["DEBUG", "attempt given up", "index=1", "status=503"]),
        (works, &["DEBUG", "attempt answered", "target_name=\"http://three.example\"", "status=200"]),
        (
            answered,
            &[
                "INFO",
                "close",
                "outcome=\"answered\"",
                "index=2",
                "target_name=\"http://three.example\"",
                "attempts=3",
                "took=1.0",
            ],
        ),
        (
            doubt,
            &[
                "DEBUG",
                "attempt given up",
                "evidence=\"maybe_processed\"",
                "error=the target's service failed",
            ],
        ),
        (why, &["DEBUG", "must not be sent again", "reason=\"no_proof\"", "attempts=1"]),
        (outage, &["WARN", "calls stop", "reason=\"no_proof\""]),
        (stopped, &["INFO", "close", "outcome=\"no_proof\""]),
        (gone, &["DEBUG", "call abandoned", "attempts=1"]),
        (abandoned, &["INFO", "close", "outcome=\"abandoned\"", "took=5.0"]),
    ] {
        for part in parts.iter().chain(&["call{client=\"default\" method=POST"]) {
            assert!(line.contains(part), "no {part} in {line}");
        }
    }
    for (line, parts) in [
        (works_too, ["DEBUG", "attempt answered", "status=200"]),
        (answered_too, ["INFO", "close", "outcome=\"answered\""]),
        (broken, ["DEBUG", "answer broke off", "target_name=\"http://three.example\""]),
    ] {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    for line in told {
        for secret in ["user", "secret", "base", "path", "query", "x-key", "7f3a", "money"] {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}

#[cfg(feature = "metrics")]
fn are_counted(snapshot: metrics_util::debugging::Snapshot) {
    use metrics_util::debugging::DebugValue;

    let mut seen: Vec<String> = snapshot
        .into_vec()
        .into_iter()
        .filter(|(_, _, _, value)| !matches!(value, DebugValue::Gauge(_)))
        .map(|(key, _, description, value)| {
            assert!(description.is_some(), "{key:?}");
            let mut labels = key.key().labels();
            assert_eq!(labels.next().map(|label| (label.key(), label.value())), Some(("client", "default")));
            let labels: Vec<_> = labels.map(|label| format!("{}={}", label.key(), label.value())).collect();
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Histogram(times) => format!("{times:?}"),
                DebugValue::Gauge(_) => panic!("{key:?}"),
            };
            format!("{}{{{}}} {value}", key.key().name(), labels.join(","))
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "failover_attempt_duration_seconds{target=http://one.example,index=0} [1.0]",
            "failover_attempt_duration_seconds{target=http://three.example,index=0} [0.0]",
            "failover_attempt_duration_seconds{target=http://three.example,index=2} [0.0]",
            "failover_attempt_duration_seconds{target=https://two.example:8443,index=0} [0.0]",
            "failover_attempt_duration_seconds{target=https://two.example:8443,index=1} [0.0]",
            "failover_attempts_total{target=http://one.example,index=0,outcome=not_sent,status=none} 1",
            "failover_attempts_total{target=http://three.example,index=0,outcome=answered,status=2xx} 1",
            "failover_attempts_total{target=http://three.example,index=2,outcome=answered,status=2xx} 1",
            "failover_attempts_total{target=https://two.example:8443,index=0,outcome=maybe_processed,status=none} 1",
            "failover_attempts_total{target=https://two.example:8443,index=1,outcome=failover_code,status=5xx} 1",
            "failover_broken_answers_total{target=http://three.example,index=0} 1",
            "failover_call_duration_seconds{outcome=abandoned} [5.0]",
            "failover_call_duration_seconds{outcome=answered} [1.0, 0.0]",
            "failover_call_duration_seconds{outcome=no_proof} [0.0]",
            "failover_calls_total{outcome=abandoned} 1",
            "failover_calls_total{outcome=answered} 2",
            "failover_calls_total{outcome=no_proof} 1",
            "failover_failovers_total{from=http://one.example,to=https://two.example:8443} 1",
            "failover_failovers_total{from=https://two.example:8443,to=http://three.example} 1",
        ]
    );
}

/// A call that the first target cannot be sent, the second gives up, and the third answers.
async fn answered_by_the_third() {
    let service = service_fn(|request: Request<AttemptBody>| async move {
        match request.uri().host() {
            Some("one.example") => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err("https://user:secret@elsewhere.example/path".into())
            }
            Some("two.example") => Ok(answer(StatusCode::SERVICE_UNAVAILABLE)),
            _ => Ok::<_, BoxError>(answer(StatusCode::OK)),
        }
    });
    let policy = Policy::default().not_processed(None);
    let failover =
        Failover::new(["http://user:secret@one.example/base", TWO, THREE].map(target), policy, service);
    let failover = failover.unwrap().classify(|_: &(dyn std::error::Error + 'static)| Evidence::NotSent);
    failover.oneshot(post()).await.unwrap();
}

/// A call that the only target that was tried may have executed.
async fn stopped_by_doubt() {
    let service = service_fn(|_: Request<AttemptBody>| async {
        Err::<Response<Full<Bytes>>, BoxError>("https://user:secret@elsewhere.example/path".into())
    });
    let failover = Failover::new([TWO, THREE].map(target), Policy::default(), service).unwrap();
    failover.oneshot(post()).await.unwrap_err();
}

/// A call whose caller goes away.
async fn abandoned() {
    let service = service_fn(|_: Request<AttemptBody>| {
        std::future::pending::<Result<Response<Full<Bytes>>, BoxError>>()
    });
    let failover = Failover::new([THREE].map(target), Policy::default(), service).unwrap();
    tokio::time::timeout(Duration::from_secs(5), failover.oneshot(post())).await.unwrap_err();
}

/// A call whose answer's body breaks off, which is read twice.
async fn broken_off() {
    let service = service_fn(|_: Request<AttemptBody>| async {
        let frames = [Err("https://user:secret@elsewhere.example/path"), Ok("half")];
        Ok::<_, BoxError>(Response::new(Frames(frames.into())))
    });
    let failover = Failover::new([THREE].map(target), Policy::default(), service).unwrap();
    let mut body = failover.oneshot(post()).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
}

fn answer(status: StatusCode) -> Response<Full<Bytes>> {
    Response::builder().status(status).header("x-key", "7f3a").body(Full::from("secret")).unwrap()
}

fn post() -> Request<Full<Bytes>> {
    Request::post("http://user:secret@front.example/path?query")
        .header("x-key", "7f3a")
        .body("money".into())
        .unwrap()
}

fn target(url: &str) -> Target {
    Target::parse(url).unwrap().with_header("x-key".parse().unwrap(), "7f3a".parse().unwrap())
}

/// A body of these frames, the last one first.
struct Frames(Vec<Result<&'static str, &'static str>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = self.0.pop().map(|frame| frame.map(|data| Frame::data(data.into())).map_err(Into::into));
        Poll::Ready(frame)
    }
}

const TWO: &str = "https://two.example:8443/base";
const THREE: &str = "http://three.example";

/// What a subscriber wrote about failover.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Told {
    fn lines(&self) -> Vec<String> {
        let told = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        told.lines().filter(|line| line.contains(" failover:")).map(str::to_owned).collect()
    }
}

impl io::Write for Told {
    fn write(&mut self, told: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(told);
        Ok(told.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Told {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
