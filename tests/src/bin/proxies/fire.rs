//! Under fire: the first backend of each proxy comes to harm under load, and is brought back.

use std::collections::HashMap;
use std::time::Duration;

use clap::{Args, ValueEnum};
use failover_tests::example::Scratch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::backend::{Backend, Conduct};
use crate::caller::{Callers, Load};
use crate::contender::{Contender, Place, Proxy};
use crate::figures::{Figures, HEADS, Times};
use crate::{Error, say, scratch};

/// What is asked for.
#[derive(Args)]
pub(crate) struct Order {
    /// Plays fewer scenes, and shorter
    #[arg(long)]
    quick: bool,
    /// A scene that is played; may be repeated [default: all, or three of them if it is quick]
    #[arg(long = "scene", value_name = "NAME")]
    scenes: Vec<Scene>,
}

impl Order {
    fn scenes(&self) -> &[Scene] {
        match &self.scenes[..] {
            [] if self.quick => &Scene::QUICK,
            [] => Scene::value_variants(),
            some => some,
        }
    }

    /// How long the fault lasts.
    fn fault(&self) -> Duration {
        if self.quick { FAULT / 2 } else { FAULT }
    }

    /// How long it is watched what follows.
    fn watch(&self) -> Duration {
        if self.quick { QUICK_WATCH } else { WATCH }
    }
}

/// What happens to the first backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Scene {
    Killed,
    Stopped,
    Busy,
    Blackholed,
    Slow,
    Cut,
}

impl Scene {
    const QUICK: [Self; 3] = [Self::Killed, Self::Stopped, Self::Busy];

    fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::Busy => "busy",
            Self::Blackholed => "blackholed",
            Self::Slow => "slow",
            Self::Cut => "cut",
        }
    }

    fn tells(self) -> &'static str {
        match self {
            Self::Killed => "SIGKILL; then it is started again",
            Self::Stopped => "SIGSTOP: connections to it are made, and nothing is answered; then SIGCONT",
            Self::Busy => "it answers everything with a 503",
            Self::Blackholed => "SIGSTOP with a full backlog: no connection to it is made either",
            Self::Slow => "it answers everything after 3 s",
            Self::Cut => "it closes each connection halfway through the body of its answer",
        }
    }

    /// How many connections wait for the first backend to take them.
    fn backlog(self) -> u32 {
        if self == Self::Blackholed { LITTLE } else { MUCH }
    }

    async fn strike(self, backend: &mut Backend) -> Result<(), Error> {
        match self {
            Self::Killed => backend.kill(),
            Self::Stopped => backend.stop(),
            Self::Busy => backend.tell(Conduct::Busy),
            Self::Blackholed => backend.isolate().await,
            Self::Slow => backend.tell(Conduct::Slow),
            Self::Cut => backend.tell(Conduct::Cut),
        }
    }

    async fn bring_back(self, backend: &mut Backend) -> Result<(), Error> {
        match self {
            Self::Killed => backend.restart().await,
            Self::Stopped | Self::Blackholed => backend.go_on(),
            Self::Busy | Self::Slow | Self::Cut => backend.tell(Conduct::Well),
        }
    }
}

/// Plays the scenes, and prints a table for each, and at the end what they come to.
pub(crate) async fn perform(gateway: &str, order: &Order) -> Result<(), Error> {
    say(&format!(
        "GETs and POSTs that are answered with 1 KiB; the first of two backends comes to harm for {:?}",
        order.fault()
    ));
    let mut scenes = Vec::new();
    for &scene in order.scenes() {
        let played = play(scene, order, gateway).await?;
        say(&format!("\n### {}: {}\n", scene.name(), scene.tells()));
        say(&format!("| load | leave after | proxy | {} |", HEADS.join(" | ")));
        say(&format!("| --- | --- | --- |{}", " ---: |".repeat(HEADS.len())));
        for (cast, figures) in &played {
            say(&format!("| {} | {} | {figures} |", cast.who(), cast.contender.name()));
        }
        say("");
        for (cast, Figures { failures, .. }) in
            played.iter().filter(|(_, figures)| !figures.failures.is_empty())
        {
            let failures: Vec<_> =
                failures.iter().map(|(failure, count)| format!("{count} {failure}")).collect();
            say(&format!("{} | {}: {}", cast.who(), cast.contender.name(), failures.join(", ")));
        }
        scenes.push((scene, played));
    }
    say("\n### Calls that failed / were answered after more than a second / until calls went elsewhere\n");
    say(&format!("| load | leave after | | {} |", Contender::ALL.map(Contender::name).join(" | ")));
    say(&format!("| --- | --- | --- |{}", " --- |".repeat(Contender::ALL.len())));
    for (nth, cast) in Cast::all().into_iter().enumerate().step_by(Contender::ALL.len()) {
        for (scene, played) in &scenes {
            let figures = played.iter().skip(nth).take(Contender::ALL.len());
            let cells: Vec<_> = figures.map(|(_, figures)| figures.in_short()).collect();
            say(&format!("| {} | {} | {} |", cast.who(), scene.name(), cells.join(" | ")));
        }
    }
    Ok(())
}

/// Plays a scene with each cast at the same time.
async fn play(scene: Scene, order: &Order, gateway: &str) -> Result<Vec<(Cast, Figures)>, Error> {
    let mut stages = Vec::new();
    for cast in Cast::all() {
        stages.push(Stage::set(scene, cast, gateway).await?);
    }
    let fault = Instant::now() + WARM;
    let back = fault + order.fault();
    let times = Times { fault, back, end: back + order.watch() };
    let mut plays = JoinSet::new();
    for (nth, stage) in stages.into_iter().enumerate() {
        plays.spawn(async move {
            let cast = stage.cast;
            stage.play(scene, times).await.map(|figures| (nth, cast, figures))
        });
    }
    let mut played = plays.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    played.sort_by_key(|(nth, ..)| *nth);
    Ok(played.into_iter().map(|(_, cast, figures)| (cast, figures)).collect())
}

/// A proxy, and who calls it.
#[derive(Clone, Copy, Debug)]
struct Cast {
    load: Load,
    patience: Duration,
    contender: Contender,
}

impl Cast {
    /// Each with each, the proxies by turns.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for load in Load::ALL {
            for patience in PATIENCES {
                all.extend(Contender::ALL.map(|contender| Self { load, patience, contender }));
            }
        }
        all
    }

    /// Who calls, as cells of a table.
    fn who(self) -> String {
        format!("{} | {} s", self.load.name(), self.patience.as_secs())
    }
}

/// A proxy and its backends.
struct Stage {
    cast: Cast,
    backends: [Backend; 2],
    proxy: Proxy,
    /// Where their files are.
    _folder: Scratch,
}

impl Stage {
    async fn set(scene: Scene, cast: Cast, gateway: &str) -> Result<Self, Error> {
        let (held, folder) = scratch();
        let backends = [
            Backend::start("first", scene.backlog(), &folder).await?,
            Backend::start("second", MUCH, &folder).await?,
        ];
        let ports = [backends[0].port(), backends[1].port()];
        let place = Place { gateway, under: &[], folder, backends: ports };
        let proxy = Proxy::start(cast.contender, &place).await?;
        Ok(Self { cast, backends, proxy, _folder: held })
    }

    async fn play(mut self, scene: Scene, times: Times) -> Result<Figures, Error> {
        let callers = Callers::start(self.cast.load, &self.proxy.address(), self.cast.patience, times.end);
        sleep_until(times.fault).await;
        scene.strike(&mut self.backends[0]).await?;
        sleep_until(times.back).await;
        scene.bring_back(&mut self.backends[0]).await?;
        let calls = callers.end().await?;
        let mut executions = HashMap::new();
        for backend in &self.backends {
            backend.count(&mut executions)?;
        }
        Ok(Figures::of(&calls, &executions, times))
    }
}

/// How long callers wait: longer than any proxy takes that is configured like these, and shorter.
const PATIENCES: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(2)];

/// How long all is well at first.
const WARM: Duration = Duration::from_secs(3);

const FAULT: Duration = Duration::from_secs(12);

/// Until the gateway without checks has come back, half a minute after it left.
const WATCH: Duration = Duration::from_secs(26);

const QUICK_WATCH: Duration = Duration::from_secs(5);

/// Room for all connections that callers make at once.
const LITTLE: u32 = 128;

/// Room for all connections that are made while nobody takes any.
const MUCH: u32 = 4096;
