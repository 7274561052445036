//! How much room a disk has.
//!
//! Asked by the pages of the admins, and by `space` every second. True here: it asks the file system once and writes nothing; what it says is of that
//! moment.

use std::io;
use std::path::Path;

/// The room of the file system that a path is on, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All of it.
    pub total: u64,
    /// What this process may still fill: less than what is free where the system keeps a reserve.
    pub free: u64,
}

impl Room {
    /// Whether it is nearly full: a tenth of it, or less, is free.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.free <= self.total / 10
    }
}

/// The room around `path`, which must be there. May wait for a disk: not for threads that serve.
///
/// # Errors
/// When the path cannot be looked at.
pub fn room_at(path: &Path) -> io::Result<Room> {
    let told = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
    Ok(Room { total: bytes(told.f_blocks), free: bytes(told.f_bavail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_nearly_full_once_a_tenth_of_it_is_free() {
        for (free, scarce) in [(0, true), (100, true), (101, false), (1_000, false)] {
            assert_eq!(Room { total: 1_000, free }.is_scarce(), scarce, "{free}");
        }
    }

    #[test]
    fn a_disk_has_no_more_free_than_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let room = room_at(folder.path()).unwrap();
        assert!(room.free > 0 && room.free <= room.total, "{room:?}");
        // The same file system, seen by another program.
        let told =
            std::process::Command::new("df").args(["-B1", "--output=size"]).arg(folder.path()).output();
        let told = String::from_utf8(told.unwrap().stdout).unwrap();
        let size: u64 = told.lines().last().unwrap().trim().parse().unwrap();
        assert_eq!(room.total, size);
        assert!(room_at(&folder.path().join("none")).is_err());
    }
}
