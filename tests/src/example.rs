//! The programs of the crates, as a user runs them.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::lab::LIMIT;

/// cargo, as it is where no other cargo has started this program.
///
/// What cargo tells a test of its package would change what build scripts see, and so build anew what depends on them.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    let told = env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        TOLD.contains(&&*name) || TOLD_OF.iter().any(|prefix| name.starts_with(prefix))
    });
    for name in told {
        command.env_remove(name);
    }
    command
}

/// Builds an example of the workspace and tells where it is.
///
/// It is built as a part of the whole workspace, with the features that all members together ask for, so that nothing is
/// built twice. nextest runs each test in a process of its own; the first that needs an example builds it for that run.
///
/// # Panics
///
/// If it cannot be built.
#[must_use]
pub fn build(name: &str) -> PathBuf {
    build_as(name, &["--example", name])
}

/// Builds a binary of the workspace, as [`build`] does an example.
///
/// # Panics
///
/// If it cannot be built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    // With an example beside it, cargo gives it the features that tests ask for.
    build_as(name, &["--bin", name, "--example", "http_failover"])
}

fn build_as(name: &str, targets: &[&str]) -> PathBuf {
    let noted = Noted::of(name);
    if let Some(path) = noted.as_ref().and_then(Noted::read) {
        return path;
    }
    let built = cargo()
        .args(["build", "--quiet", "--message-format=json", "--workspace"])
        .args(targets)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(built.status.success(), "{name} cannot be built");
    let messages = String::from_utf8_lossy(&built.stdout);
    let named = format!(r#""name":"{name}""#);
    let found = messages.lines().filter(|line| line.contains(&named)).find_map(|line| {
        let (_, path) = line.split_once(r#""executable":""#)?;
        path.split_once('"').map(|(path, _)| PathBuf::from(path))
    });
    let path = found.expect("the build tells where the executable is");
    if let Some(noted) = noted {
        noted.write(&path);
    }
    path
}

/// A program that has run to its end.
#[derive(Debug)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// What it wrote to stdout.
    pub printed: String,
    /// What it wrote to stderr.
    pub complaint: String,
}

impl Run {
    /// Runs a program, which is given [`LIMIT`] for it.
    ///
    /// # Panics
    ///
    /// If it cannot be run, does not end or is ended by a signal, or prints what is not UTF-8.
    #[must_use]
    pub fn of(program: &Path, args: &[impl AsRef<OsStr>]) -> Self {
        let mut process = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let [printed, complaint] = [
            process.stdout.take().map(read).expect("stdout is piped"),
            process.stderr.take().map(read).expect("stderr is piped"),
        ];
        let code = wait(&mut process).code().expect("it ended by itself");
        let text = |reader: JoinHandle<String>| reader.join().expect("what it prints is UTF-8");
        Self { code, printed: text(printed), complaint: text(complaint) }
    }

    /// Its complaint, where it refused its arguments: one line, and exit code 2.
    ///
    /// # Panics
    ///
    /// If it did not refuse them like that.
    #[must_use]
    pub fn refusal(self) -> String {
        let Self { code, printed, complaint } = self;
        assert_eq!((code, printed.as_str(), complaint.lines().count()), (2, "", 1), "{complaint}");
        complaint
    }

    /// Its complaint, where it refused its flags: what the parser of the command line says, and exit code 2.
    ///
    /// # Panics
    ///
    /// If it did not refuse them like that.
    #[must_use]
    pub fn misuse(self) -> String {
        let Self { code, printed, complaint } = self;
        assert_eq!((code, printed.as_str()), (2, ""), "{complaint}");
        assert!(complaint.starts_with("error: "), "{complaint}");
        complaint
    }
}

/// Reads while the process runs, so that it never waits for its reader.
fn read(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).expect("UTF-8");
        text
    })
}

/// Waits for the end of a process.
///
/// # Panics
///
/// If it has not ended after [`LIMIT`]; it is then killed.
pub fn wait(process: &mut Child) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = process.try_wait().expect("the process is ours") {
            return status;
        }
        if began.elapsed() > LIMIT {
            // Fails if it has ended meanwhile, which is as good.
            let _ = process.kill();
            panic!("it did not end within {LIMIT:?}");
        }
        // A child's end can be polled for, but not waited for with a bound.
        thread::sleep(Duration::from_millis(5));
    }
}

/// Tells a process that was started here to end, hang up and so on: the signal's name is `TERM`, `HUP`.
///
/// # Panics
///
/// If it cannot be told.
pub fn signal(process: &Child, name: &str) {
    let told = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
    assert!(told.expect("kill can be run").success(), "{name}");
}

/// A file that is gone when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A file of this name, with this text, in a folder of its own below `folder`.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    #[must_use]
    pub fn file(folder: &str, name: &str, text: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(folder).join(format!("{}-{nth}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for scratch files");
        let scratch = Self(folder.join(name));
        scratch.write(text);
        scratch
    }

    /// Replaces the text.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write(&self, text: &str) {
        fs::write(&self.0, text).expect("the scratch file can be written");
    }

    /// Where the file is.
    ///
    /// # Panics
    ///
    /// If the folder's name is not UTF-8.
    #[must_use]
    pub fn path(&self) -> String {
        self.0.to_str().expect("the path is UTF-8").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            // What is left in a folder for such files does no harm.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Where the processes of one run of nextest tell each other that a program is built.
struct Noted {
    run: String,
    file: PathBuf,
}

impl Noted {
    fn of(name: &str) -> Option<Self> {
        let run = env::var("NEXTEST_RUN_ID").ok()?;
        let mut file = env::current_exe().expect("a test is a file").with_file_name(name);
        file.set_extension("run");
        Some(Self { run, file })
    }

    fn read(&self) -> Option<PathBuf> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (run, path) = text.split_once('\n')?;
        (run == self.run).then(|| path.into())
    }

    /// Replaces the file, so that nobody reads half of it.
    fn write(&self, path: &Path) {
        let whole = self.file.with_extension(process::id().to_string());
        fs::write(&whole, format!("{}\n{}", self.run, path.display())).expect("a note of the program");
        fs::rename(whole, &self.file).expect("a note of the program");
    }
}

/// What cargo and nextest set for a test; the rest of `CARGO_*` is the user's.
const TOLD: [&str; 7] = [
    "CARGO",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];
const TOLD_OF: [&str; 4] = ["CARGO_BIN_", "CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_"];
