//! Who sits on a data folder: at most one process, which knows by it that whoever sat there before is dead.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use uuid::Uuid;

use super::StartError;

/// The lock on a data folder, and the name that the folder keeps: who holds it knows that whoever had it before is
/// dead.
pub struct Seat {
    name: String,
    _lock: File,
}

impl Seat {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the seat, making the folder where it is missing.
    ///
    /// # Errors
    /// [`StartError::SeatTaken`] while another process has it.
    pub fn take(data_dir: &Path) -> Result<Self, StartError> {
        let path = data_dir.join("seat");
        let folder = |source| StartError::Folder { path: path.display().to_string(), source };
        // For its owner alone: it holds recordings, e-mails and the hashes of tokens.
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(folder)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(folder)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StartError::SeatTaken { path: data_dir.display().to_string() });
            }
            Err(TryLockError::Error(source)) => return Err(folder(source)),
        }
        let mut name = String::new();
        file.read_to_string(&mut name).map_err(folder)?;
        if name.trim().parse::<Uuid>().is_err() {
            name = Uuid::new_v4().to_string();
            file.rewind().and_then(|()| file.set_len(0)).map_err(folder)?;
            file.write_all(name.as_bytes()).and_then(|()| file.sync_all()).map_err(folder)?;
        }
        // With the machine's name for itself: a copied folder is another machine's seat, not the same one twice.
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        Ok(Self { name: format!("{}@{}", name.trim(), machine.trim()), _lock: file })
    }
}
