//! Bytes by name: recordings in, MP3s out. Knows nothing of tasks; a blob lives while somebody names it, and who
//! that is the caller of [`Blobs::sweep`] says.
//!
//! A blob is written as a [`Draft`] under a name that nobody can ask for, synced, and only then moved to its
//! content address ([`Blobs::keep`]); the folder is synced too. So a blob is there whole or not at all, whatever
//! happens in between, and equal bytes are stored once. A draft that is dropped is removed; those of a process
//! that was killed are removed when its folder is opened again.
//!
//! A kept blob is pinned until its [`Kept`] is dropped, which its owner does after the transaction that names
//! the blob: the sweep passes over what is pinned, or younger than the grace.
//!
//! Everything here is synchronous; callers on a runtime use a blocking thread.

mod folder;

pub use folder::{BlobError, Blobs, Draft, Kept, Swept};
