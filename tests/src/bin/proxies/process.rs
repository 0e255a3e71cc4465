//! Processes that end with whoever started them.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::Error;

/// A process, told to end when this is dropped, and killed if it does not.
pub(crate) struct Process(Child);

impl Process {
    /// Starts it, or tells which program is not there.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        match command.spawn() {
            Ok(child) => Ok(Self(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("{program} is not installed, or not in the PATH").into())
            }
            Err(error) => Err(format!("{program}: {error}").into()),
        }
    }

    /// Starts one that reads what it is told.
    pub(crate) fn start_told(command: &mut Command) -> Result<(Self, ChildStdin), Error> {
        let mut process = Self::start(command.stdin(Stdio::piped()))?;
        let told = process.0.stdin.take().ok_or("a process without input")?;
        Ok((process, told))
    }

    /// Starts one that tells something.
    pub(crate) fn start_telling(command: &mut Command) -> Result<(Self, ChildStdout), Error> {
        let mut process = Self::start(command.stdout(Stdio::piped()))?;
        let telling = process.0.stdout.take().ok_or("a process without output")?;
        Ok((process, telling))
    }

    /// Waits until somebody listens on its port.
    pub(crate) async fn listens(&mut self, port: u16) -> Result<(), Error> {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if let Some(status) = self.0.try_wait()? {
                return Err(format!("a process has ended that was to listen: {status}").into());
            }
            if began.elapsed() > LONGEST_START {
                return Err(format!("nobody listens after {LONGEST_START:?}").into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Sends it a signal: the name is `STOP`, `CONT` and so on.
    pub(crate) fn signal(&self, name: &str) -> Result<(), Error> {
        let told = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status()?;
        if told.success() { Ok(()) } else { Err(format!("{name} cannot be sent").into()) }
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn end(mut self) -> Result<ExitStatus, Error> {
        self.signal("TERM")?;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// The processor time that it and its children took so far, user and system, to a hundredth of a second.
    pub(crate) fn processor_time(&self) -> Result<Duration, Error> {
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")? {
            // A process may have ended since it was listed.
            let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
            let Some((id, rest)) = stat.split_once(" (") else { continue };
            let fields: Vec<_> = rest.rsplit_once(") ").map_or(vec![], |(_, rest)| rest.split(' ').collect());
            let own = self.0.id().to_string();
            if id == own || fields.get(1) == Some(&&*own) {
                for field in [fields.get(11), fields.get(12)] {
                    ticks += field.ok_or("no times in /proc")?.parse::<u64>()?;
                }
            }
        }
        Ok(Duration::from_millis(10 * ticks))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What fails here fails because it has ended, which is as good.
        if let Ok(None) = self.0.try_wait() {
            let _ = self.signal("CONT");
            let _ = self.signal("TERM");
        }
        let told = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) && told.elapsed() < LONGEST_END {
            // A child's end can be polled for, but not waited for with a bound.
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command whose process says nothing.
pub(crate) fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A port that is free as far as anybody can tell before it is taken.
pub(crate) async fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port())
}

const LONGEST_START: Duration = Duration::from_secs(30);

const LONGEST_END: Duration = Duration::from_secs(2);
