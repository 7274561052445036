//! `operator.token` in the data folder: where the daemon listens, and a token with which whoever can read the folder is
//! its operator.
//!
//! Written by the composition root at each start, removed at a clean end; what a crash leaves there is of no use to
//! anybody. Read by the subcommands. Only the owner of the folder can read it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::StartError;
use crate::account::Token;

const NAME: &str = "operator.token";

/// The file of a running daemon, for as long as this lives.
pub(super) struct Written {
    path: PathBuf,
}

impl Written {
    /// Writes it, whole or not at all.
    pub(super) fn new(data_dir: &Path, address: SocketAddr, token: &Token) -> Result<Self, StartError> {
        let path = data_dir.join(NAME);
        let folder = |source| StartError::Folder { path: path.display().to_string(), source };
        let draft = data_dir.join(format!("{NAME}.new"));
        // One that a crash left may be anybody's to read.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(folder(error)),
            Ok(()) | Err(_) => {}
        }
        let mut file =
            OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft).map_err(folder)?;
        writeln!(file, "http://{} {}", near(address), token.reveal()).map_err(folder)?;
        fs::rename(&draft, &path).map_err(folder)?;
        Ok(Self { path })
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the operator's token could not be removed");
        }
    }
}

/// The way to a daemon that runs on this machine.
pub struct Operator {
    /// Its address, as `http://127.0.0.1:5000`.
    pub url: String,
    /// What proves its operator.
    pub token: Token,
}

impl Operator {
    /// Reads what the daemon of that data folder wrote.
    ///
    /// # Errors
    /// When there is none, when it is not ours to read, or is none.
    pub fn read(data_dir: &Path) -> Result<Self, StartError> {
        let path = data_dir.join(NAME);
        let folder = |source| StartError::Folder { path: path.display().to_string(), source };
        let text = fs::read_to_string(&path).map_err(folder)?;
        let nonsense = || folder(io::Error::new(io::ErrorKind::InvalidData, "not an address and a token"));
        let (url, token) = text.trim().split_once(' ').ok_or_else(nonsense)?;
        Ok(Self { url: url.to_owned(), token: token.parse().map_err(|_| nonsense())? })
    }
}

/// Where to reach from this machine what listens there.
fn near(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_its_owners_alone_and_gone_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        assert!(Operator::read(folder.path()).is_err());
        fs::write(&path, "left by a crash").unwrap();
        fs::write(folder.path().join("operator.token.new"), "also").unwrap();
        assert!(Operator::read(folder.path()).is_err());
        let token = Token::fresh();
        let written = Written::new(folder.path(), "0.0.0.0:81".parse().unwrap(), &token).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let operator = Operator::read(folder.path()).unwrap();
        assert_eq!((operator.url.as_str(), operator.token), ("http://127.0.0.1:81", token));
        drop(written);
        assert!(!path.exists());
    }

    #[test]
    fn what_listens_everywhere_is_reached_here() {
        for (address, expected) in
            [("0.0.0.0:5", "127.0.0.1:5"), ("[::]:5", "[::1]:5"), ("10.0.0.1:5", "10.0.0.1:5")]
        {
            assert_eq!(near(address.parse().unwrap()).to_string(), expected);
        }
    }
}
