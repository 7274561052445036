//! `[storage]`: what must stay free on the disks. Consumed by whoever looks at them once a second.

use super::rule::{bytes, whole};
use super::section::section;
use super::value::ByteSize;

section! {
    /// Room on the disks of this machine: the file systems of the database (SQLite), the blobs and their drafts, the
    /// variants of images, and the logs, each looked at by itself.
    StorageSettings = "storage" {
        /// How much must stay free on a disk, so that what was accepted can be finished, and rows can be removed, when
        /// it is nearly full. Below it nothing new is taken: new tasks, uploads and sign-ups are answered 507, the
        /// broker's messages wait, variants of images are made and not kept. Reading, removing, and whatever runs go on.
        /// 0 refuses nothing before the disk is full.
        "min_free_bytes" => min_free_bytes: ByteSize = "256 MiB", bytes(0..=1 << 50);

        /// The same in percent of the disk; the larger of the two holds.
        "min_free_percent" => min_free_percent: u8 = 0, whole(0..=90);
    }
}
