//! What a record says, in words.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use failover_tokio::{RecordFile, Story};

/// The story of a record in a file, with what was in it before, or of one on stdin if the path is `-`.
///
/// # Errors
///
/// Names the file that cannot be read.
pub(crate) fn story(path: &Path) -> Result<String, String> {
    let mut story = Story::default();
    let refuse = |path: &Path, error| format!("--explain {}: {error}", path.display());
    if path == Path::new(STDIN) {
        read(&mut story, io::stdin()).map_err(|error| refuse(path, error))?;
        return Ok(story.to_string());
    }
    let before = RecordFile::before(path);
    // Both are opened before any is read, so that nothing is missed, and this one first, so that nothing is read twice.
    let old = match File::open(&before) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(refuse(&before, error)),
    };
    let new = File::open(path).map_err(|error| refuse(path, error))?;
    if let Some(old) = old {
        read(&mut story, old).map_err(|error| refuse(&before, error))?;
    }
    read(&mut story, new).map_err(|error| refuse(path, error))?;
    Ok(story.to_string())
}

fn read(story: &mut Story, input: impl Read) -> io::Result<()> {
    let (mut input, mut line) = (BufReader::new(input), Vec::new());
    while input.read_until(b'\n', &mut line)? > 0 {
        story.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

const STDIN: &str = "-";
