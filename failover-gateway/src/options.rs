//! The command line: what the process is asked for.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ContextValue;
use clap::{Error, Parser};

/// What the process is asked for.
pub(crate) enum Asked {
    /// To tell the version, or how it is used.
    Text(String),
    /// To tell the story of a record.
    Explain(PathBuf),
    /// To tell what the file says.
    Check(Options),
    /// To serve.
    Serve(Options),
}

pub(crate) struct Options {
    pub(crate) config: PathBuf,
    /// Where to listen if not where the file says.
    pub(crate) listen: Option<String>,
}

impl Asked {
    /// Reads the arguments, of which the first one is the program.
    ///
    /// # Errors
    ///
    /// Names the first argument that makes no sense, and what would.
    pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        match Flags::try_parse_from(args) {
            Ok(Flags { explain: Some(file), .. }) => Ok(Self::Explain(file)),
            Ok(Flags { config, listen, check, explain: None }) => {
                let options = Options { config: config.unwrap_or_default(), listen };
                Ok(if check { Self::Check(options) } else { Self::Serve(options) })
            }
            Err(error) if error.use_stderr() => Err(line(error)),
            Err(text) => Ok(Self::Text(text.to_string())),
        }
    }
}

/// Passes each request on to the first target that works
#[derive(Parser)]
#[command(version, after_help = AFTER, override_usage = USAGE)]
struct Flags {
    /// A TOML file, whose keys README.md and gateway.toml tell
    #[arg(long, value_name = "FILE", required_unless_present = "explain")]
    config: Option<PathBuf>,
    /// Listens here rather than where the file says; port 0 is any free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Tells what the file says, and does nothing
    #[arg(long)]
    check: bool,
    /// Tells in words what a record says: each failover and why, and each that was withheld; reads FILE.1 before it, and
    /// stdin where FILE is -
    #[arg(long, value_name = "FILE", exclusive = true)]
    explain: Option<PathBuf>,
}

/// What was wrong and what was meant, in one line. An argument that may hold a password is not shown.
fn line(mut error: Error) -> String {
    let secret = |value: &ContextValue| value.to_string().contains('@');
    let hidden: Vec<_> = error.context().filter_map(|(kind, value)| secret(value).then_some(kind)).collect();
    for kind in hidden {
        error.insert(kind, ContextValue::String("(not shown)".to_owned()));
    }
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let wrong = paragraphs.next().unwrap_or_default();
    let meant = paragraphs.find_map(|text| text.strip_prefix("tip: ").map(str::to_owned));
    let wrong = wrong.strip_prefix("error: ").unwrap_or(&wrong);
    format!("{wrong}: {}", meant.as_deref().unwrap_or("try --help"))
}

const USAGE: &str = "\
failover-gateway --config FILE [--listen ADDR] [--check]
       failover-gateway --explain FILE";

const AFTER: &str = "\
SIGHUP reads the file again; SIGTERM and Ctrl-C let the calls under way end.
Exit code: 0 when all calls have ended, 1 if some were cut off, 2 for a flag or a file that makes no sense.";
