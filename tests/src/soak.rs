//! Many callers against three targets that misbehave at random, for as long as is asked, and what must hold all the same.
//!
//! One target speaks HTTP/1.1, one HTTP/2 unasked, and one TLS, and over that either of them; which one does is drawn, too.
//!
//! Of each call:
//!
//! - an answer is that of its own request, whole, or there is an error;
//! - a POST without a key is executed at most once;
//! - a request that may be sent again is given up only when each target was tried, or for lack of time;
//! - it ends within its deadline.
//!
//! And of the client: once nobody calls, few connections are left and no tasks but those of HTTP/2 and the sweepers of the
//! pools; once it is dropped, none are.

mod adapter;
mod caller;
mod chaos;
mod conduct;
mod http1;
mod http2;
mod ledger;
mod over_async_std;
mod over_tokio;
mod site;
mod speech;

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use failover_core::{Case, Failback, Judgement, Policy, Verdict};

use self::adapter::{Adapter, Settings};
use self::caller::Caller;
use self::chaos::{Chaos, pick};
use self::ledger::Ledger;
use self::over_async_std::OverAsyncStd;
use self::over_tokio::OverTokio;
use self::site::Site;
use self::speech::{Identity, Speech};
use crate::lab::LIMIT;

/// Which adapter is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Over {
    /// The one for tokio.
    Tokio,
    /// The one for async-std.
    AsyncStd,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// For how long calls begin.
    pub lasts: Duration,
    /// How many callers there are.
    pub callers: usize,
    /// What the misbehaviour and the calls are drawn from, and of the six orders of what is spoken its remainder the one.
    pub seed: u64,
    /// By how much a call may outlast its deadline.
    pub slack: Duration,
    /// Whether something befalls most requests, and half of the calls are POSTs without a key.
    pub is_harsh: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    table: String,
    broken: Vec<String>,
    calls: u64,
}

impl Over {
    /// All adapters.
    pub const ALL: [Self; 2] = [Self::Tokio, Self::AsyncStd];

    /// The name of the adapter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::AsyncStd => "async-std",
        }
    }
}

impl Report {
    /// What of that which must hold did not.
    #[must_use]
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)
    }
}

/// Has callers call over an adapter; `tell` gets a line each ten seconds.
///
/// # Panics
///
/// If this machine has no ports, no threads or no runtime for it.
#[must_use]
pub fn soak(over: Over, order: Order, tell: impl Fn(&str)) -> Report {
    match over {
        Over::Tokio => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("a runtime is to be had");
            run(order, &tell, |group| OverTokio::new(runtime.handle(), group))
        }
        Over::AsyncStd => run(order, &tell, OverAsyncStd::new),
    }
}

fn run<A: Adapter>(order: Order, tell: &impl Fn(&str), adapter: impl Fn(Settings) -> A) -> Report {
    let ledger = Arc::new(Ledger::default());
    let chaos = Arc::new(Chaos::new(order.seed, order.is_harsh, Arc::clone(&ledger)));
    let (identity, speeches) = (Arc::new(Identity::new()), Speech::of_three(order.seed));
    let open = |nth: usize| Site::open(nth, speeches[nth], Arc::clone(&identity), Arc::clone(&chaos));
    let sites = [0, 1, 2].map(open);
    let targets = sites.iter().map(Site::target).collect();
    let adapter = adapter(Settings { targets, policy: policy(order.seed), tls: identity.client.clone() });
    let files = descriptors();
    let memory = [rss(), run_callers(order, tell, &adapter, &ledger, &sites), rss()];

    let settled = settles(|| {
        let open = sites.iter().all(|site| site.connections() <= FEW);
        let shared = sites.iter().filter(|site| site.speech() != Speech::Http1).map(Site::connections);
        let most = sites.len() + TASKS * shared.sum::<usize>();
        open && adapter.tasks().is_none_or(|tasks| tasks <= most)
    });
    let left = sites.each_ref().map(Site::connections);
    let tasks = adapter.tasks();
    if !settled {
        ledger.breaks(format!("{left:?} connections and {tasks:?} tasks are left when nobody calls"));
    }
    let watch = adapter.watch();
    drop(adapter);
    if !settles(|| sites.iter().all(|site| site.connections() == 0) && watch().is_none_or(|tasks| tasks == 0))
    {
        let left = sites.each_ref().map(Site::connections);
        ledger.breaks(format!("{left:?} connections and {:?} tasks outlive the client", watch()));
    }
    let [start, middle, end] = memory;
    let tasks = tasks.map_or("tasks unknown".to_owned(), |tasks| format!("{tasks} tasks"));
    let table = [
        format!("targets          {speeches:?}\n"),
        ledger.table(),
        format!("memory           {start} MiB at the start, {middle} in the middle, {end} at the end\n"),
        format!("descriptors      {files} at the start, {} at the end\n", descriptors()),
        format!("left in idleness {left:?} connections, {tasks}\n"),
        format!("broken           {}\n", ledger.broken().len()),
    ];
    let table = table.concat();
    Report { table, broken: ledger.broken(), calls: ledger.calls() }
}

/// Has them call until the time is over; the memory in the middle.
fn run_callers<A: Adapter>(
    order: Order,
    tell: &impl Fn(&str),
    adapter: &A,
    ledger: &Arc<Ledger>,
    sites: &[Site],
) -> u64 {
    let (is_over, running) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(order.callers)));
    for nth in 0..order.callers {
        let caller = Caller::new(adapter.clone(), Arc::clone(ledger), order, nth);
        let (is_over, running) = (Arc::clone(&is_over), Arc::clone(&running));
        adapter.spawn(async move {
            caller.run(&is_over).await;
            drop(caller);
            running.fetch_sub(1, Ordering::AcqRel);
        });
    }
    let (began, mut told, mut middle) = (Instant::now(), 0, 0);
    let mut outages = [Outage::default(); 2];
    while began.elapsed() < order.lasts {
        // Outages and progress go by the clock.
        thread::sleep(TICK);
        for (nth, outage) in outages.iter_mut().enumerate() {
            outage.pass(&sites[nth], order.seed, began.elapsed(), ledger);
        }
        if middle == 0 && began.elapsed() >= order.lasts / 2 {
            middle = rss();
        }
        if began.elapsed().as_secs() / 10 > told {
            told = began.elapsed().as_secs() / 10;
            let open: Vec<_> = sites.iter().map(Site::connections).collect();
            tell(&format!("{:4} s  {}  connections {open:?}  {} MiB", told * 10, ledger.line(), rss()));
        }
    }
    is_over.store(true, Ordering::Release);
    sites[..2].iter().for_each(Site::start);
    if !settles(|| running.load(Ordering::Acquire) == 0) {
        ledger.breaks(format!("{} callers do not end", running.load(Ordering::Acquire)));
    }
    middle
}

/// The times when a site refuses connections.
#[derive(Clone, Copy, Default)]
struct Outage {
    is_down: bool,
    until: Duration,
    count: u64,
}

impl Outage {
    fn pass(&mut self, site: &Site, seed: u64, now: Duration, ledger: &Ledger) {
        if now < self.until {
            return;
        }
        if self.count > 0 && !self.is_down {
            site.stop();
            ledger.outage();
        } else {
            site.start();
        }
        self.is_down = self.count > 0 && !self.is_down;
        let (least, most) = if self.is_down { (300, 1500) } else { (2_000, 8_000) };
        let lasts = least + pick(&[seed, site.nth() as u64, self.count]) % (most - least);
        self.until = now + Duration::from_millis(lasts);
        self.count += 1;
    }
}

fn policy(seed: u64) -> Policy {
    Policy::default()
        .connect_timeout(ATTEMPT)
        .attempt_timeout(ATTEMPT)
        .deadline(DEADLINE)
        .body_idle(ATTEMPT)
        .failback(Failback { after: Duration::from_secs(3), max: Duration::from_secs(30) })
        .seed(seed | 1)
        .judge(judge)
}

/// Goes by what an answer says, once it has seen as much of it as that says.
fn judge(case: &Case<'_>) -> Judgement {
    let said = |name| case.headers.get(name).and_then(|value| value.to_str().ok());
    match (said("x-peek").and_then(|size| size.parse().ok()), case.body) {
        (Some(size @ 1..), None) => Judgement::Peek(size),
        _ => match said("x-verdict") {
            Some("not-done") => Verdict::Elsewhere { processed: false, harm: true }.into(),
            Some("failed") => Verdict::Elsewhere { processed: true, harm: true }.into(),
            _ => Judgement::ByStatus,
        },
    }
}

/// Whether it comes to be so.
fn settles(is_so: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > LIMIT {
            return false;
        }
        // Neither runtimes nor sockets tell that they are idle.
        thread::sleep(TICK);
    }
    true
}

/// The memory of this process in MiB, or 0 where the system does not tell.
fn rss() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok().and_then(|text| {
        let pages = text.split(' ').nth(1)?;
        pages.parse::<u64>().ok()
    });
    pages.unwrap_or(0) / 256
}

/// How many descriptors this process has open, or 0 where the system does not tell.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

const TICK: Duration = Duration::from_millis(20);

/// The bound of an attempt, and of a body that stands still.
const ATTEMPT: Duration = Duration::from_secs(1);

const DEADLINE: Duration = Duration::from_secs(5);

/// How many tasks there may be for a connection of HTTP/2.
const TASKS: usize = 2;

/// How many idle connections to a target a client may keep.
const FEW: usize = 8;
