//! The status page in a real browser, in the light and in the dark, by keyboard only.
//!
//! They need Debian's packages `chromium` and `chromium-driver`, and leave pictures of the page in `target/tmp`.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use failover_tests::lab::{LIMIT, Reply, Server};
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{Gateway, config};

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_page_is_live_and_readable_in_the_light() {
    shows_what_happens("light").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_page_is_live_and_readable_in_the_dark() {
    shows_what_happens("dark").await;
}

async fn shows_what_happens(scheme: &str) {
    let mut first = Server::script([Reply::ok("first")]);
    let (busy, works) = (Server::script([Reply::status(503)]), Server::script([Reply::ok("right")]));
    let urls = [first.url(), busy.url(), works.url()];
    let mut gateway = Gateway::configured(&config("", &urls, "failback = { after = '2m' }"));
    let driver = Driver::start();
    let page = driver.open(scheme, None).await;

    page.client.goto(&format!("{}/-/failover", gateway.url)).await.unwrap();
    page.wait_for("#state", "OK").await;
    page.wait_for("#why", "calls begin at target 0").await;
    assert_eq!(page.client.title().await.unwrap(), "OK - failover");
    page.wait_for("#none", "None since the gateway began.").await;
    page.wait_for("#targets tr:nth-child(1) th", &first.url()).await;
    page.wait_for("#targets tr:nth-child(1) td:nth-child(3)", "sticky: calls begin here").await;
    assert_eq!(page.run("return matchMedia('(prefers-color-scheme: dark)').matches").await, scheme == "dark");

    // It follows what happens.
    gateway.get("/");
    page.wait_for("#calls div:nth-child(1) dd", "1").await;
    first.stop();
    for _ in 0..5 {
        assert_eq!(gateway.get("/").text(), "right");
    }
    page.wait_for("#state", "FAILED OVER").await;
    page.wait_for("#why", "calls begin at target 2, and target 0 failed: connection refused").await;
    assert_eq!(page.client.title().await.unwrap(), "FAILED OVER - failover");
    assert!(page.text("#since").await.starts_with("since "));
    page.wait_for("#targets tr:nth-child(3) td:nth-child(3)", "sticky: calls begin here").await;
    page.wait_for("#targets tr:nth-child(1) td:nth-child(7)", "no connection").await;
    page.wait_for("#failovers tr:nth-child(1) td:nth-child(3)", &format!("0 {}", first.url())).await;
    page.wait_for("#failovers tr:nth-child(1) td:nth-child(4)", &format!("1 {}", busy.url())).await;
    page.wait_for("#failovers tr:nth-child(1) td:nth-child(5)", "connection refused").await;
    page.wait_for("#failovers tr:nth-child(2) td:nth-child(5)", "answered 503 Service Unavailable").await;
    page.wait_for("#calls div:nth-child(1) dd", "6").await;
    assert!(page.text("#targets tr:nth-child(1) td:nth-child(3)").await.starts_with("cools down for "));
    assert!(page.text("#failback").await.starts_with("Target 0 is probed in "));
    // One of them, or three: a target that answered within the last second is not down by one refusal.
    let minute = page.text("#minute-text").await;
    assert!(
        ["1", "3"].iter().any(|met| minute.contains(&format!("; {met} of them met a failure"))),
        "{minute}"
    );

    // It can be read by everybody, and asks nobody else.
    page.is_readable(scheme).await;
    let asked =
        "return performance.getEntriesByType('resource').every(entry => entry.name === location.href)";
    assert_eq!(page.run(asked).await, true);
    page.picture(&format!("status-{scheme}.png")).await;

    // By keyboard: the first stop is the button, which pauses the page.
    page.press(Key::Tab).await;
    assert_eq!(page.run("return document.activeElement.id").await, "pause");
    assert_ne!(page.run("return getComputedStyle(document.activeElement).outlineStyle").await, "none");
    page.press(Key::Enter).await;
    page.wait_for("#link", "paused").await;
    gateway.get("/");
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(page.text("#calls div:nth-child(1) dd").await, "6");
    page.press(Key::Enter).await;
    page.wait_for("#calls div:nth-child(1) dd", "7").await;

    gateway.signal("TERM");
    assert!(gateway.wait().success());
    page.wait_until("#link", |text| text.starts_with("not reached for ")).await;
    page.wait_for("#state", "NOT REACHED").await;
    page.is_readable(scheme).await;
    page.client.close().await.unwrap();
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn an_outage_is_red_in_the_light_and_says_why() {
    shows_an_outage("light").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn an_outage_is_red_in_the_dark_and_says_why() {
    shows_an_outage("dark").await;
}

async fn shows_an_outage(scheme: &str) {
    let works = Arc::new(AtomicBool::new(true));
    let working = Arc::clone(&works);
    let down = Server::down();
    let busy =
        Server::start(
            move |_| {
                if working.load(Ordering::Relaxed) { Reply::ok("right") } else { Reply::status(503) }
            },
        );
    let gateway = Gateway::before([&down, &busy], "");
    let driver = Driver::start();
    let page = driver.open(scheme, None).await;
    page.client.goto(&format!("{}/-/failover", gateway.url)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(gateway.get("/").status, 200);
    }
    page.wait_for("#state", "FAILED OVER").await;

    // One call among many, of which the last is answered.
    works.store(false, Ordering::Relaxed);
    assert_eq!(gateway.get("/").status, 503);
    works.store(true, Ordering::Relaxed);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(gateway.get("/").status, 200);
    page.wait_for("#warning", "1 of 6 calls in the last minute had no good answer").await;
    assert_eq!(page.text("#state").await, "FAILED OVER");
    works.store(false, Ordering::Relaxed);
    let targets = "target 0: connection refused; target 1: answered 503 Service Unavailable";
    let why = format!("all targets were tried; {targets}");
    for nth in 0..12 {
        if nth == 9 {
            // The only reason so far is told by itself.
            page.wait_until("#why", |text| text.ends_with(&format!(" had no good answer: {why}"))).await;
        }
        let answer = if nth < 9 { gateway.get("/") } else { gateway.post("/", "money") };
        assert_eq!(answer.status, 503);
    }
    page.wait_for("#state", "DOWN").await;
    assert_eq!(page.client.title().await.unwrap(), "DOWN - failover");
    // That is why, and told once.
    page.wait_until("#why", |text| text.ends_with(" had no good answer")).await;
    page.wait_for("#stops li:nth-child(1)", &format!("10 calls: {why}")).await;
    let why = "the request may have been executed and must not be sent again";
    let busy = "target 1: answered 503 Service Unavailable";
    page.wait_for("#stops li:nth-child(2)", &format!("3 calls: {why}; {busy}")).await;
    assert!(page.text("#since").await.starts_with("since "));
    page.wait_for("#warning", "").await;
    let color = page.run("return getComputedStyle(document.getElementById('banner')).backgroundColor").await;
    let parts: Vec<u8> = color
        .as_str()
        .unwrap()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect();
    assert!(parts[0] > 2 * parts[1].max(parts[2]), "{color} is not red");
    let size =
        page.run("return parseFloat(getComputedStyle(document.getElementById('state')).fontSize)").await;
    assert!(size.as_f64().unwrap() >= 24.0, "{size}");
    page.is_readable(scheme).await;
    page.picture(&format!("outage-{scheme}.png")).await;

    works.store(true, Ordering::Relaxed);
    for _ in 0..14 {
        assert_eq!(gateway.get("/").status, 200);
    }
    page.wait_for("#state", "FAILED OVER").await;
    page.client.close().await.unwrap();
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn twenty_targets_with_long_names_are_readable_on_a_screen() {
    shows_long_names(None, &[1200, 1000, 980, 700], "long-screen.png").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn twenty_targets_with_long_names_are_readable_on_a_phone() {
    shows_long_names(Some(390), &[390], "long-phone.png").await;
}

async fn shows_long_names(phone: Option<u32>, widths: &[u32], picture: &str) {
    let (down, works) = (Server::down(), Server::script([Reply::ok("right")]));
    let name = |nth: u32| format!("orders-{nth:02}.eu-central-1.{}.example.com", "production-".repeat(6));
    let mut text = "status_path = '/-/failover'\n[failover]\ntargets = [".to_owned();
    for nth in 0..20 {
        let url = if nth == 17 { works.url() } else { down.url() };
        let state = ["ready", "drain", "maintenance"][usize::from(nth == 3) + 2 * usize::from(nth == 4)];
        let _ = write!(text, "{{ url = '{url}', name = '{}', state = '{state}' }}, ", name(nth));
    }
    let gateway = Gateway::configured(&(text + "]\n"));
    assert_eq!(gateway.get("/").text(), "right");
    let driver = Driver::start();
    let page = driver.open("light", phone).await;
    page.client.goto(&format!("{}/-/failover", gateway.url)).await.unwrap();
    page.wait_for("#state", "FAILED OVER").await;
    page.wait_until("#targets tr:nth-child(20) th", |text| text.contains(&name(19))).await;
    page.wait_for("#targets tr:nth-child(4) td:nth-child(4)", "drain").await;
    page.wait_for("#targets tr:nth-child(5) td:nth-child(3)", "not tried").await;
    // The names of what failed over are shortened in the middle.
    page.wait_until("#failovers tr:nth-child(1) td:nth-child(3)", |text| text.contains('\u{2026}')).await;
    for &width in widths {
        if phone.is_none() {
            page.client.set_window_size(width, 950).await.unwrap();
        }
        let fits = "return [document.documentElement.scrollWidth <= innerWidth, innerWidth]";
        assert_eq!(page.run(fits).await, json!([true, width]));
        page.is_readable("light").await;
    }
    if phone.is_some() {
        // Each target is a block of labels and values.
        let place = "return [1, 2, 5, 6].map(nth => document.querySelector(
            `#targets tr:nth-child(1) :nth-child(${nth + 1})`).getBoundingClientRect()).every(
            (cell, nth, cells) => nth === 0 || cell.top >= cells[nth - 1].top) && getComputedStyle(document.querySelector(
            '#targets tr:nth-child(1) td:nth-child(4)'), '::before').content.includes('set to')";
        assert_eq!(page.run(place).await, true);
    } else {
        page.client.set_window_size(1200, 950).await.unwrap();
    }
    page.picture(picture).await;
    page.run("document.getElementById('failovers-title').scrollIntoView()").await;
    page.picture(&format!("failovers-{picture}")).await;

    // By keyboard: the second stop shows all failovers.
    for _ in 0..2 {
        page.press(Key::Tab).await;
    }
    assert_eq!(page.run("return document.activeElement.id").await, "all");
    page.press(Key::Enter).await;
    page.wait_for("#all", "Show 12").await;
    assert!(page.run("return document.querySelectorAll('#failovers tr').length").await.as_u64() > Some(12));
    page.client.close().await.unwrap();
}

/// A page in a browser.
struct Page {
    client: Client,
}

impl Page {
    async fn wait_for(&self, selector: &str, text: &str) {
        self.wait_until(selector, |seen| seen == text).await;
    }

    async fn wait_until(&self, selector: &str, is: impl Fn(&str) -> bool) {
        let began = Instant::now();
        loop {
            let seen = match self.client.find(Locator::Css(selector)).await {
                Ok(element) => element.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if is(&seen) {
                return;
            }
            assert!(began.elapsed() < LIMIT, "{selector} is {seen:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn text(&self, selector: &str) -> String {
        self.client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap()
    }

    async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// The contrast of each text to what is behind it is enough (WCAG 2.2, success criterion 1.4.3).
    async fn is_readable(&self, scheme: &str) {
        let contrasts = self.run(CONTRASTS).await;
        assert!(contrasts.as_array().unwrap().len() > 20);
        for told in contrasts.as_array().unwrap() {
            assert!(told["contrast"].as_f64().unwrap() >= 4.5, "{scheme}: {told}");
        }
    }

    async fn press(&self, key: Key) {
        let value = key.into();
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client.perform_actions(keys).await.unwrap();
    }

    async fn picture(&self, name: &str) {
        let picture = self.client.screenshot().await.unwrap();
        assert!(picture.starts_with(b"\x89PNG"));
        fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), picture).unwrap();
    }
}

/// The program that runs browsers; told to end, and its browsers with it, when this is dropped.
struct Driver {
    process: Child,
    _stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver is installed");
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut lines = stdout.by_ref().lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        Self { process, _stdout: stdout, port: port.expect("chromedriver says where it listens") }
    }

    /// A browser, on a phone of that width if there is one.
    async fn open(&self, scheme: &str, phone: Option<u32>) -> Page {
        let colors = u8::from(scheme == "light");
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1200,950",
            &format!("--blink-settings=preferredColorScheme={colors}"),
        ];
        let mut options = json!({ "args": args });
        if let Some(width) = phone {
            let metrics = json!({ "width": width, "height": 844, "pixelRatio": 2 });
            options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
        }
        let capabilities = json!({ "goog:chromeOptions": options });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .expect("chromium is installed");
        Page { client }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// The contrast of each text to what is behind it, as WCAG 2.2 defines it.
const CONTRASTS: &str = r"
    const parts = color => color.match(/[\d.]+/g).map(Number);
    const luminance = color => parts(color).slice(0, 3).map(part => part / 255)
        .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, nth) => sum + part * [0.2126, 0.7152, 0.0722][nth], 0);
    const behind = element => {
        for (; element; element = element.parentElement) {
            const color = getComputedStyle(element).backgroundColor;
            if (parts(color)[3] !== 0) return color;
        }
        return 'rgb(255, 255, 255)';
    };
    const texts = [...document.body.querySelectorAll('*')].filter(element => element.checkVisibility()
        && !['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(element.tagName)
        && [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
    return texts.map(element => {
        const [bright, dim] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => b - a);
        return { text: element.textContent, contrast: (bright + 0.05) / (dim + 0.05) };
    });
";
