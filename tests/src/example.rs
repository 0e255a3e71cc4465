//! The examples of the crates, as programs that a user runs.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::lab::LIMIT;

/// Builds an example of a crate and tells where it is.
///
/// # Panics
///
/// If it cannot be built.
#[must_use]
pub fn build(package: &str, name: &str) -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--message-format=json", "-p", package, "--example", name])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(built.status.success(), "the example {name} cannot be built");
    let messages = String::from_utf8_lossy(&built.stdout);
    let named = format!(r#""name":"{name}""#);
    let found = messages.lines().filter(|line| line.contains(&named)).find_map(|line| {
        let (_, path) = line.split_once(r#""executable":""#)?;
        path.split_once('"').map(|(path, _)| PathBuf::from(path))
    });
    found.expect("the build tells where the executable is")
}

/// An example that has run to its end.
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
