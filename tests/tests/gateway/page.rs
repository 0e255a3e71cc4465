//! The status page in a real browser, in the light and in the dark, by keyboard only.
//!
//! They need Debian's packages `chromium` and `chromium-driver`, and leave pictures of the page in `target/tmp`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
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
    let page = driver.open(scheme).await;

    page.client.goto(&format!("{}/-/failover", gateway.url)).await.unwrap();
    page.wait_for("#state", "on target 0; all targets are ready").await;
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
    page.wait_for("#state", "failed over to target 2").await;
    page.wait_for("#targets tr:nth-child(3) td:nth-child(3)", "sticky: calls begin here").await;
    page.wait_for("#targets tr:nth-child(1) td:nth-child(5)", "no connection").await;
    page.wait_for("#failovers tr:nth-child(1) td:nth-child(3)", &format!("1 {}", busy.url())).await;
    page.wait_for("#failovers tr:nth-child(1) td:nth-child(4)", &format!("2 {}", works.url())).await;
    page.wait_for("#failovers tr:nth-child(1) td:nth-child(5)", "answered 503 Service Unavailable").await;
    page.wait_for("#failovers tr:nth-child(2) td:nth-child(5)", "connection refused").await;
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
    let contrasts = page.run(CONTRASTS).await;
    assert!(contrasts.as_array().unwrap().len() > 20);
    for told in contrasts.as_array().unwrap() {
        // WCAG 2.2, success criterion 1.4.3.
        assert!(told["contrast"].as_f64().unwrap() >= 4.5, "{scheme}: {told}");
    }
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
    // The tables are the next stops, so that what is cut off can be scrolled to.
    for title in ["targets-title", "failovers-title"] {
        page.press(Key::Tab).await;
        assert_eq!(page.run("return document.activeElement.getAttribute('aria-labelledby')").await, title);
    }

    // On a small screen only the tables scroll sideways.
    page.client.set_window_size(500, 800).await.unwrap();
    assert_eq!(page.run("return document.documentElement.scrollWidth <= innerWidth").await, true);

    gateway.signal("TERM");
    assert!(gateway.wait().success());
    page.wait_until("#link", |text| text.starts_with("not reached for ")).await;
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

    async fn open(&self, scheme: &str) -> Page {
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
        let capabilities = json!({ "goog:chromeOptions": { "args": args } });
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
