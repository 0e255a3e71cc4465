//! The command line: what the process is asked for.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the process is asked for.
pub(crate) enum Asked {
    Help,
    Version,
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
    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// Names the first argument that makes no sense, and what would.
    pub(crate) fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let (mut config, mut listen, mut explain, mut check) = (None, None, None, false);
        while let Some(arg) = args.next() {
            let arg = text(arg)?;
            let (flag, value) = match arg.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (arg.as_str(), None),
            };
            let twice = || format!("{flag} is given twice: expected it once");
            let setting = match flag {
                "-h" | "--help" if value.is_none() => return Ok(Self::Help),
                "-V" | "--version" if value.is_none() => return Ok(Self::Version),
                "--check" if value.is_none() && check => return Err(twice()),
                "--check" if value.is_none() => {
                    check = true;
                    continue;
                }
                "--config" => &mut config,
                "--listen" => &mut listen,
                "--explain" => &mut explain,
                _ => return Err(unknown(&arg)),
            };
            if setting.is_some() {
                return Err(twice());
            }
            let value = value.map_or_else(|| args.next().map(text).transpose(), |value| Ok(Some(value)))?;
            *setting = Some(value.ok_or_else(|| format!("{flag} needs a value: try --help"))?);
        }
        if let Some(file) = explain {
            if config.is_some() || listen.is_some() || check {
                return Err("--explain FILE: expected no other flag".to_owned());
            }
            return Ok(Self::Explain(PathBuf::from(file)));
        }
        let config = config.ok_or("--config FILE is missing: try --help")?.into();
        let options = Options { config, listen };
        Ok(if check { Self::Check(options) } else { Self::Serve(options) })
    }
}

fn text(arg: OsString) -> Result<String, String> {
    arg.into_string().map_err(|arg| format!("argument {}: expected UTF-8", arg.to_string_lossy()))
}

/// An argument that may hold a password is not shown.
fn unknown(arg: &str) -> String {
    let shown = if arg.contains('@') { "(not shown)" } else { arg };
    format!(
        "unknown argument {shown}: expected --config FILE, --listen ADDR, --check, --explain FILE, --version or --help"
    )
}
