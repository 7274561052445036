//! Computation on bytes: reading WAV, writing MP3, reading and making images.
//!
//! Everything here is synchronous and pure: bytes in, bytes out, with a [`Cancel`] flag to stop early and a callback to
//! tell how far the work is. The callers are the kinds, from a compute thread; nothing here knows of databases, actors
//! or HTTP, and only [`report`], which draws tasks, knows the words for them.
//!
//! Three things hold for the whole room. Memory does not grow with the input: buffers have a fixed bound and are never
//! sized from a field of a header. No input makes it panic. An error says what failed, what was found and what to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod downmix;
pub mod image;
mod info_tag;
mod lame;
pub mod mp3;
pub mod report;
mod resample;
pub mod wav;
mod waveform;

/// A flag that asks running work to stop; every clone is the same flag.
///
/// Work looks at it at each chunk (about 8,000 audio frames, milliseconds) and answers with its `Cancelled` error. A
/// raised flag stays raised: one flag serves one run.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that nobody has raised yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop; calling it again changes nothing.
    pub fn cancel(&self) {
        // Relaxed is enough: the flag carries no data, and being seen one chunk later does no harm.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called on any clone.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Raises its flag when it is dropped: held by whoever wants the work, who may go away at any instant.
#[derive(Debug, Default)]
pub struct CancelOnDrop(Cancel);

impl CancelOnDrop {
    /// The flag.
    pub fn flag(&self) -> Cancel {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::{Cancel, CancelOnDrop};

    #[test]
    fn a_flag_is_raised_when_nobody_wants_the_work_any_more() {
        let wanted = CancelOnDrop::default();
        let flag = wanted.flag();
        assert!(!flag.is_cancelled());
        drop(wanted);
        assert!(flag.is_cancelled());
    }

    #[test]
    fn a_clone_of_a_cancel_flag_is_the_same_flag() {
        let one = Cancel::new();
        let other = one.clone();
        assert!(!other.is_cancelled());
        one.cancel();
        one.cancel();
        assert!(other.is_cancelled());
    }
}
