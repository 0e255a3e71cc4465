//! Where connections come from: a port of TCP, or a Unix socket.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};

/// What connections are accepted on.
pub(crate) enum Listener {
    Tcp {
        listener: TcpListener,
        address: SocketAddr,
    },
    #[cfg(unix)]
    Unix(unix::SocketFile),
}

/// A connection that was accepted.
pub(crate) enum Accepted {
    Tcp(TcpStream, IpAddr),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl Listener {
    /// Listens at `HOST:PORT`, or at `unix:PATH`.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) async fn bind(address: &str) -> io::Result<Self> {
        #[cfg(unix)]
        if let Some(path) = address.strip_prefix(UNIX) {
            return unix::SocketFile::bind(path.as_ref()).map(Self::Unix);
        }
        let listener = TcpListener::bind(address).await?;
        Ok(Self::Tcp { address: listener.local_addr()?, listener })
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp { listener, .. } => {
                listener.accept().await.map(|(stream, peer)| Accepted::Tcp(stream, peer.ip()))
            }
            #[cfg(unix)]
            Self::Unix(socket) => socket.accept().await.map(Accepted::Unix),
        }
    }

    /// Where it can be reached.
    pub(crate) fn url(&self, is_secure: bool) -> String {
        match self {
            Self::Tcp { address, .. } => format!("{}://{address}", if is_secure { "https" } else { "http" }),
            #[cfg(unix)]
            Self::Unix(_) => self.to_string(),
        }
    }

    /// Lets only the user of this process, and root, connect, if it is a Unix socket.
    pub(crate) fn keep_private(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp { .. } => Ok(()),
            #[cfg(unix)]
            Self::Unix(socket) => socket.keep_private(),
        }
    }
}

impl Display for Listener {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, .. } => address.fmt(f),
            #[cfg(unix)]
            Self::Unix(socket) => write!(f, "{UNIX}{}", socket.path().display()),
        }
    }
}

/// What the address of a Unix socket begins with.
pub(crate) const UNIX: &str = "unix:";

#[cfg(unix)]
mod unix {
    use std::fs::{self, Permissions};
    use std::io::{self, ErrorKind};
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::os::unix::net::UnixStream as Probe;
    use std::path::{Path, PathBuf};

    use tokio::net::{UnixListener, UnixStream};

    /// A socket in the file system, whose file is gone when this is dropped.
    pub(crate) struct SocketFile {
        listener: UnixListener,
        path: PathBuf,
        /// Which file it is: another process may have put its own there.
        file: Option<(u64, u64)>,
        /// Who may connect beside root, if not everybody may.
        owner: Option<u32>,
    }

    impl SocketFile {
        pub(super) fn bind(path: &Path) -> io::Result<Self> {
            let listener = match UnixListener::bind(path) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && is_left_behind(path) => {
                    fs::remove_file(path)?;
                    UnixListener::bind(path)?
                }
                bound => bound?,
            };
            Ok(Self { listener, path: path.to_owned(), file: identity(path), owner: None })
        }

        pub(super) async fn accept(&self) -> io::Result<UnixStream> {
            loop {
                let (stream, _) = self.listener.accept().await?;
                let Some(owner) = self.owner else { return Ok(stream) };
                // Somebody else may have come before the file was private.
                if stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == ROOT) {
                    return Ok(stream);
                }
            }
        }

        pub(super) fn keep_private(&mut self) -> io::Result<()> {
            self.owner = Some(fs::symlink_metadata(&self.path)?.uid());
            fs::set_permissions(&self.path, Permissions::from_mode(0o600))
        }

        pub(super) fn path(&self) -> &Path {
            &self.path
        }
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            if self.file.is_some() && self.file == identity(&self.path) {
                // One that stays is taken over by the next process.
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    /// Whether it is the socket of a process that has ended.
    fn is_left_behind(path: &Path) -> bool {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        is_socket && Probe::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }

    const ROOT: u32 = 0;

    fn identity(path: &Path) -> Option<(u64, u64)> {
        fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
    }
}
