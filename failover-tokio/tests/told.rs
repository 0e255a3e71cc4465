//! What an operator is told of a client: one line for each change, however many calls there are.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use failover_tokio::core::Checks;
use failover_tokio::{AdminState, AttemptBody, Failover, FailoverClient, FailoverLayer, Policy, Target};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{BoxError, Layer, Service, ServiceExt};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Guards: a cool-down, and an outage, that every call tells which meets it.
#[tokio::test]
async fn a_thousand_calls_that_stop_are_a_handful_of_lines() {
    let told = Told::default();
    let _subscriber = told.install();
    let dead = [dead(), dead()];
    let client = FailoverClient::builder().targets(&dead).name("payments").build().unwrap();
    for _ in 0..1_000 {
        client.get("/").await.unwrap_err();
    }
    let lines = told.lines();
    assert!(lines.iter().all(|line| line.contains("client=payments")), "{lines:#?}");
    assert_eq!(told.count("calls stop: all targets were tried"), 1, "{lines:#?}");
    for (index, name) in dead.iter().enumerate() {
        let cools = format!("target cools client=payments index={index} target_name={name} cools_for=*");
        let cools: Vec<_> = lines.iter().filter(|line| line.contains(&cools)).collect();
        // On a busy machine a cool-down may end meanwhile, and the next one begin.
        assert!((1..=3).contains(&cools.len()), "{lines:#?}");
        assert!(cools[0].contains("strikes=3 why=connection refused"), "{cools:?}");
    }
    assert!(lines.len() < 10, "{lines:#?}");
}

/// Guards: an outage that is told by each call, or as often as it begins, and one that does not count its calls.
#[tokio::test(start_paused = true)]
async fn an_outage_is_told_when_it_begins_and_when_it_ends_with_its_size() {
    let (told, lab) = (Told::default(), Lab::new(&[503]));
    let _subscriber = told.install();
    let failover = lab.failover(Policy::default());
    for _ in 0..7 {
        call(&failover).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    lab.set(0, 200);
    for _ in 0..3 {
        call(&failover).await.unwrap();
    }
    let (stop, again) = ("calls stop", "calls are answered again client=default stopped=7 lasted=14.0");
    assert_eq!((told.count(stop), told.count(again)), (1, 1), "{:#?}", told.lines());

    // Where some are answered and some are not, that is told once a minute.
    for _ in 0..100 {
        lab.set(0, 503);
        call(&failover).await.unwrap_err();
        lab.set(0, 200);
        call(&failover).await.unwrap();
    }
    assert_eq!(told.count(stop), 1, "{:#?}", told.lines());
    tokio::time::sleep(Duration::from_secs(60)).await;
    lab.set(0, 503);
    call(&failover).await.unwrap_err();
    lab.set(0, 200);
    call(&failover).await.unwrap();
    assert_eq!((told.count(stop), told.count("stopped=101")), (2, 1), "{:#?}", told.lines());
}

/// Guards: an answer that clears a cool-down, and of which nothing is noted.
#[tokio::test(start_paused = true)]
async fn a_target_that_cools_anew_before_it_would_have_been_ready_is_told_anew() {
    let (told, lab) = (Told::default(), Lab::new(&[503]));
    let _subscriber = told.install();
    let failover = lab.failover(Policy::default().leave_after(1));
    for count in 1..=3 {
        lab.set(0, 503);
        call(&failover).await.unwrap_err();
        assert_eq!(told.count("target cools"), count, "{:#?}", told.lines());
        lab.set(0, 200);
        call(&failover).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Guards: a move that nobody tells since its call met no failure, and a return that is told as a failover.
#[tokio::test(start_paused = true)]
async fn a_target_is_left_once_and_returned_to_once() {
    let (told, lab) = (Told::default(), Lab::new(&[503, 200]));
    let _subscriber = told.install();
    let failover = lab.failover(Policy::default());
    for _ in 0..10 {
        call(&failover).await.unwrap();
    }
    assert_eq!(
        told.lines(),
        [
            "WARN target cools client=default index=0 target_name=http://0.example cools_for=* strikes=3 \
             why=answered 503 Service Unavailable",
            "WARN target left client=default index=0 target_name=http://0.example to_index=1 \
             to_name=http://1.example why=answered 503 Service Unavailable strikes=3",
        ]
    );
    lab.set(0, 200);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        call(&failover).await.unwrap();
    }
    assert_eq!(
        told.lines()[2..],
        ["INFO returned to target client=default index=0 target_name=http://0.example from_index=1 \
          from_name=http://1.example"]
    );
}

/// Guards: a move by hand that is not noted as told.
#[tokio::test(start_paused = true)]
async fn what_an_operator_does_is_told() {
    let (told, lab) = (Told::default(), Lab::new(&[200, 200, 200]));
    let _subscriber = told.install();
    let failover = lab.failover(Policy::default()).named("stock");
    for _ in 0..2 {
        failover.prefer(2).unwrap();
        failover.set_state(1, AdminState::Drain).unwrap();
    }
    failover.prefer(7).unwrap_err();
    failover.set_targets([target(2), target(0)], Policy::default()).unwrap();
    assert_eq!(
        told.lines(),
        [
            "INFO target preferred by hand client=stock index=2 target_name=http://2.example from_index=0 \
             from_name=http://0.example",
            "INFO target's state set by hand client=stock index=1 target_name=http://1.example state=drain",
            "INFO targets replaced client=stock targets=http://2.example, http://0.example index=0 \
             target_name=http://2.example from_index=2 from_name=http://2.example",
        ]
    );
}

/// Guards: checks whose verdicts nobody tells.
#[tokio::test]
async fn up_and_down_by_checks_are_told_once_each() {
    let told = Told::default();
    let _subscriber = told.install();
    let (sick, well) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU16::new(200)));
    let urls = [serve(&sick), serve(&well)];
    let checks = Checks { every: Duration::from_millis(10), ..Checks::at("/healthz") };
    let policy = Policy::default().checks(checks);
    let client = FailoverClient::builder().targets(&urls).policy(policy).build().unwrap();
    let [first, second] =
        [0, 1].map(|index| format!("client=default index={index} target_name={}", urls[index]));
    let (up, down) =
        (format!("INFO target up by its checks {first}"), format!("WARN target down by its checks {first}"));
    told.wait_for(&up, 1).await;
    told.wait_for(&format!("INFO target up by its checks {second}"), 1).await;
    sick.store(500, Ordering::SeqCst);
    told.wait_for(&down, 1).await;
    sick.store(200, Ordering::SeqCst);
    told.wait_for(&up, 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(told.lines().len(), 4, "{:#?}", told.lines());
    drop(client);
}

/// Guards: two targets at one host that are told alike.
#[tokio::test(start_paused = true)]
async fn redacted_targets_at_one_host_are_told_apart_without_their_paths() {
    let (told, lab) = (Told::default(), Lab::new(&[200]));
    let _subscriber = told.install();
    let parse = |url: &str| Target::parse(url).unwrap();
    let targets = [
        parse("http://0.example/s3cret"),
        parse("http://0.example/other"),
        parse("http://0.example/other"),
        parse("http://0.example/other").named("near"),
    ];
    let failover = Failover::new(targets.clone(), Policy::default(), lab).unwrap();
    failover.set_targets(targets, Policy::default()).unwrap();
    let names = "targets=http://0.example, http://0.example#2, http://0.example#3, near index=0";
    assert_eq!(told.count(names), 1, "{:#?}", told.lines());
}

/// Guards: an old list whose calls still tell.
#[tokio::test(start_paused = true)]
async fn after_a_reload_only_the_new_targets_are_told() {
    let (told, lab) = (Told::default(), Lab::new(&[503, 200]));
    let _subscriber = told.install();
    let failover = lab.failover(Policy::default());
    lab.hold(true);
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let failover = failover.clone();
            tokio::spawn(async move { call(&failover).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    failover.set_targets([target(0), target(1)], Policy::default()).unwrap();
    lab.hold(false);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(told.lines().len(), 1, "{:#?}", told.lines());
    for _ in 0..5 {
        call(&failover).await.unwrap();
    }
    assert_eq!((told.count("target cools"), told.count("target left")), (1, 1), "{:#?}", told.lines());
}

/// Guards: a group that falls silent when one of the lists that share it is replaced.
#[tokio::test(start_paused = true)]
async fn services_of_one_layer_tell_each_change_once() {
    let (told, lab) = (Told::default(), Lab::new(&[503, 200]));
    let _subscriber = told.install();
    let layer = FailoverLayer::new(lab.targets(), Policy::default()).unwrap().named("edge");
    let (one, other) = (layer.layer(lab.clone()), layer.layer(lab.clone()));
    for _ in 0..5 {
        call(&one).await.unwrap();
        call(&other).await.unwrap();
    }
    assert_eq!((told.count("target cools client=edge"), told.count("target left client=edge")), (1, 1));
    one.set_targets([target(1)], Policy::default()).unwrap();
    other.prefer(0).unwrap();
    assert_eq!(told.count("target preferred by hand"), 1, "the others still share it");
}

/// Guards: a move that nobody tells, and failures after which nothing is compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_told_last_is_how_it_is_once_all_is_quiet() {
    let told = Told::default();
    let _subscriber = told.install();
    for _ in 0..20 {
        let lab = Lab::new(&[200, 200, 200]);
        let failover = lab.failover(Policy::default().leave_after(1));
        told.clear();
        let threads: Vec<_> = (0..4_u16)
            .map(|nth| {
                let (failover, lab, told) = (failover.clone(), lab.clone(), told.clone());
                thread::spawn(move || {
                    let _subscriber = told.install();
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    for round in 0..50 {
                        let target = usize::from((nth + round) % 3);
                        lab.set(target, if round % 2 == 0 { 503 } else { 200 });
                        let _ = runtime.block_on(call(&failover));
                        if round % 10 == nth {
                            failover.prefer(target).unwrap();
                        }
                    }
                })
            })
            .collect();
        tokio::task::block_in_place(|| threads.into_iter().for_each(|thread| thread.join().unwrap()));
        let mut sticky = 0;
        for line in told.lines() {
            let field = |key: &str| {
                let value = line.split_once(&format!(" {key}="))?.1;
                value.split(' ').next()?.parse::<usize>().ok()
            };
            let step = match () {
                () if line.contains("target left") => (field("index"), field("to_index")),
                () if line.contains("preferred") || line.contains("returned") => {
                    (field("from_index"), field("index"))
                }
                () => continue,
            };
            assert_eq!(step.0, Some(sticky), "{line}");
            sticky = step.1.unwrap();
        }
        assert_eq!(sticky, failover.sticky());
    }
}

/// Guards: a gauge that keeps the value of a target which is gone.
#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn gauges_are_of_the_moment_at_which_they_are_asked_for() {
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let gauges = || {
        let seen = recorder.snapshotter().snapshot().into_vec().into_iter();
        let gauges = seen.filter_map(|(key, _, _, value)| match value {
            metrics_util::debugging::DebugValue::Gauge(value) => {
                let labels = key.key().labels().map(|label| label.value().to_owned()).collect::<Vec<_>>();
                Some((format!("{} {}", key.key().name(), labels.join(" ")), value.into_inner()))
            }
            _ => None,
        });
        gauges.collect::<std::collections::BTreeMap<_, _>>()
    };
    let lab = Lab::new(&[503, 200]);
    let failover = lab.failover(Policy::default()).named("a");
    let other = lab.failover(Policy::default()).named("b");
    for _ in 0..3 {
        call(&failover).await.unwrap();
    }
    failover.record_gauges();
    other.record_gauges();
    let seen = gauges();
    for (gauge, value) in [
        ("failover_target_sticky a http://0.example 0", 0.0),
        ("failover_target_sticky a http://1.example 1", 1.0),
        ("failover_target_strikes a http://0.example 0", 3.0),
        ("failover_target_strikes a http://1.example 1", 0.0),
        ("failover_target_cooling_seconds a http://1.example 1", 0.0),
        ("failover_target_sticky b http://0.example 0", 1.0),
        ("failover_target_strikes b http://0.example 0", 0.0),
    ] {
        assert_eq!(seen.get(gauge), Some(&value), "{gauge}: {seen:#?}");
    }
    assert!(seen["failover_target_cooling_seconds a http://0.example 0"] >= 5.0, "{seen:#?}");
    assert!(!seen.keys().any(|key| key.starts_with("failover_target_up")), "there are no checks");

    // What was read of this recorder is 0 until it is set again.
    failover.record_gauges();
    failover.set_targets([target(1)], Policy::default()).unwrap();
    failover.record_gauges();
    let seen = gauges();
    for (gauge, value) in [
        ("failover_target_sticky a http://1.example 0", 1.0),
        ("failover_target_sticky a http://1.example 1", 0.0),
        ("failover_target_cooling_seconds a http://0.example 0", 0.0),
    ] {
        assert_eq!(seen.get(gauge), Some(&value), "{gauge}: {seen:#?}");
    }
}

/// Guards: a change or a call that is recorded as another one or not at all.
#[cfg(feature = "record")]
#[tokio::test(start_paused = true)]
async fn what_happens_to_calls_and_each_change_are_recorded_and_make_a_story() {
    let (kept, lab) = (Kept::default(), Lab::new(&[503, 200, 200]));
    let recorder = failover_tokio::Recorder::to(kept.clone());
    let layer = FailoverLayer::new(lab.targets(), Policy::default()).unwrap();
    let layer = layer.named("stock").recorded(&recorder);
    let failover = layer.layer(lab.clone());
    failover.set_state(1, AdminState::Drain).unwrap();
    call(&failover).await.unwrap();
    failover.prefer(2).unwrap();
    lab.set(2, 503);
    lab.set(1, 503);
    call(&failover).await.unwrap_err();
    for target in 0..3 {
        lab.set(target, 200);
    }
    for _ in 0..5 {
        call(&failover).await.unwrap();
    }
    lab.hold(true);
    let left = tokio::time::timeout(Duration::from_millis(1), call(&failover)).await;
    assert!(left.is_err());
    lab.hold(false);
    failover.set_targets([target(2), target(0)], Policy::default()).unwrap();
    recorder.flush();
    let story = kept.story();
    let words = story.split_whitespace().collect::<Vec<_>>().join(" ");
    let [first, second, third] = [0, 1, 2].map(|nth| format!("target {nth} (http://{nth}.example)"));
    for said in [
        "(UTC): stock",
        &format!("An operator set {second} to drain: it is asked after all others"),
        &format!("1 call failed over from {first} to {third}: answered 503 Service Unavailable"),
        &format!("{second} was passed over: an operator drains it."),
        &format!("An operator let calls begin at {third}, and not at {first}"),
        &format!("1 call failed over from {third} to {first} and to {second}, and no other target was left:"),
        "All targets were tried.",
        "Calls stop: all targets were tried",
        "Calls are answered again: 1 stopped in",
        "The targets were replaced. Calls begin at target 0; the targets are target 0 (http://2.example) target 1",
        "calls 8 answered at once 5 failed over 1 callers who left 1 stopped 1: 1 targets_tried",
    ] {
        assert!(words.contains(said), "no {said:?} in {story}");
    }
}

/// What is recorded.
#[cfg(feature = "record")]
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

#[cfg(feature = "record")]
impl Kept {
    fn story(&self) -> String {
        let mut story = failover_tokio::Story::default();
        String::from_utf8_lossy(&self.0.lock().unwrap()).lines().for_each(|line| story.read(line));
        story.to_string()
    }
}

#[cfg(feature = "record")]
impl std::io::Write for Kept {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(lines)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Services at `http://0.example` and so on that answer with what they are told to.
#[derive(Clone)]
struct Lab {
    statuses: Arc<[AtomicU16]>,
    held: Arc<tokio::sync::watch::Sender<bool>>,
}

impl Lab {
    fn new(statuses: &[u16]) -> Self {
        let statuses = statuses.iter().map(|status| AtomicU16::new(*status)).collect();
        Self { statuses, held: Arc::new(tokio::sync::watch::channel(false).0) }
    }

    fn set(&self, target: usize, status: u16) {
        self.statuses[target].store(status, Ordering::SeqCst);
    }

    /// Whether answers wait.
    fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    fn targets(&self) -> Vec<Target> {
        (0..self.statuses.len()).map(target).collect()
    }

    fn failover(&self, policy: Policy) -> Failover<Self> {
        Failover::new(self.targets(), policy, self.clone()).unwrap()
    }
}

impl Service<Request<AttemptBody>> for Lab {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<AttemptBody>) -> Self::Future {
        let host = request.uri().host().unwrap();
        let target: usize = host.split('.').next().unwrap().parse().unwrap();
        let (statuses, mut held) = (Arc::clone(&self.statuses), self.held.subscribe());
        Box::pin(async move {
            let _ = held.wait_for(|held| !held).await;
            let status = StatusCode::from_u16(statuses[target].load(Ordering::SeqCst))?;
            Ok(Response::builder().status(status).body(Full::default())?)
        })
    }
}

async fn call(failover: &Failover<Lab>) -> Result<StatusCode, failover_tokio::Error<Full<Bytes>>> {
    let request = Request::get("http://front.example/").body(Full::<Bytes>::default()).unwrap();
    Ok(failover.clone().oneshot(request).await?.status())
}

fn target(index: usize) -> Target {
    Target::parse(&format!("http://{index}.example")).unwrap()
}

/// A URL at which nobody listens.
fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Answers each request with this status, and closes the connection; the URL.
fn serve(status: &Arc<AtomicU16>) -> String {
    let (listener, status) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::clone(status));
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let status = status.load(Ordering::SeqCst);
            let _ = write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    url
}

/// What was told at the levels that operators read, a line for each event: level, message, and fields.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn install(&self) -> tracing::subscriber::DefaultGuard {
        tracing::subscriber::set_default(self.clone())
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(part)).count()
    }

    /// Waits until there are so many lines that hold this.
    async fn wait_for(&self, part: &str, count: usize) {
        let enough = async {
            while self.count(part) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), enough).await;
        assert!(waited.is_ok(), "no {part} in {:#?}", self.lines());
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::INFO && metadata.target() == "failover"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let Line { message, fields } = line;
        self.0.lock().unwrap().push(format!("{} {message}{fields}", event.metadata().level()));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            // A cool-down is spread.
            name @ "cools_for" => write!(self.fields, " {name}=*").unwrap(),
            name => write!(self.fields, " {name}={value:?}").unwrap(),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.fields, " {}={value}", field.name()).unwrap();
    }
}
