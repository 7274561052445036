//! `[records]`: recordings. Consumed by the routes of recordings and the kind `transcode`.

use super::rule::{bytes, flag};
use super::section::section;
use super::value::ByteSize;

section! {
    /// Recordings: WAV in, MP3 out.
    RecordSettings = "records" {
        /// The largest recording, in bytes. It streams to disk, so this bounds disk space and time, not
        /// memory.
        "max_bytes" => max_bytes: ByteSize = "2 GiB", bytes(1 << 10..=1 << 40);

        /// Whether the WAV is kept beside the MP3. Kept, it can be fetched again; dropped, a recording takes
        /// about a tenth of the space.
        "keep_original" => keep_original: bool = true, flag();
    }
}
