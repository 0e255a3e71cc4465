//! A file that never fills a disk: what it has no room for begins it anew, and what was in it is kept beside it once.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file of lines, bounded in bytes.
///
/// It is appended to. A line that it has no room for moves `FILE` to `FILE.1`, in the place of what was there, and begins
/// `FILE` anew; both together have at most twice the bound. What is no file on a disk, such as a named pipe, has no bound.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    file: File,
    /// Without such, it is never begun anew.
    length: Option<u64>,
    most: u64,
    /// Whether its last line has no end.
    is_torn: bool,
}

impl RecordFile {
    /// Opens a file that has at most so many bytes, and a line more than that if it is longer.
    ///
    /// # Errors
    ///
    /// The file cannot be opened to be read and written.
    pub fn open(path: impl Into<PathBuf>, most: u64) -> io::Result<Self> {
        let path = path.into();
        let mut file = open(&path)?;
        let found = file.metadata()?;
        let length = found.is_file().then_some(found.len());
        let is_torn = length.is_some_and(|length| length > 0) && last(&mut file)? != b'\n';
        Ok(Self { path, file, length, most, is_torn })
    }

    /// Where what was in such a file before is kept: `FILE.1`.
    #[must_use]
    pub fn before(path: &Path) -> PathBuf {
        let mut name = OsString::from(path);
        name.push(".1");
        name.into()
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        if !self.is_at_its_path() {
            // Another one has begun anew already, and what is there is not to be lost.
            *self = Self::open(&self.path, self.most)?;
            return Ok(());
        }
        match fs::rename(&self.path, Self::before(&self.path)) {
            // Somebody else has moved it away.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = open(&self.path)?;
        (self.length, self.is_torn) = (Some(0), false);
        Ok(())
    }
}

#[cfg(unix)]
impl RecordFile {
    /// Whether the file at its path is still the one that is written to, as far as that can be told; none is no other.
    fn is_at_its_path(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let identity = |found: fs::Metadata| (found.dev(), found.ino());
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(own)) => identity(there) == identity(own),
            _ => true,
        }
    }
}

#[cfg(not(unix))]
impl RecordFile {
    fn is_at_its_path(&self) -> bool {
        true
    }
}

impl Write for RecordFile {
    /// Writes whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let count = lines.len() as u64;
        if self.length.is_some_and(|length| length > 0 && length + count > self.most) {
            self.begin_anew()?;
        }
        let end: &[u8] = if self.is_torn { b"\n" } else { b"" };
        self.is_torn = true;
        self.file.write_all(&[end, lines].concat())?;
        self.is_torn = false;
        self.length = self.length.map(|length| length + count + end.len() as u64);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// To be read, too, so that a named pipe is opened which nobody reads.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

fn last(file: &mut File) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}
