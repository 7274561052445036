//! What the C library keeps of memory that was given back.
//!
//! Called once by `serve`, before its threads start. glibc serves large requests from maps of their own, which go back to
//! the system when they are freed; but each time one is freed it takes larger ones for small, up to 32 MiB, and keeps
//! those in the heaps that its threads share. A daemon that decodes pictures and reads bodies of megabytes would so keep
//! hundreds of megabytes that nobody uses: 392 MiB were seen after an attack that takes 160 MiB with this.
//!
//! `unsafe`, since glibc has no other way to be told than a function in C.
#![expect(unsafe_code, reason = "mallopt is a function of the C library")]

/// Requests of at least this many bytes get a map of their own, from now on and for good: small enough for what is
/// kept to stay small, and large enough for the cost of a map (some microseconds) not to be felt.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 1 << 20;

/// Has what is large given back to the system as soon as it is free. Does nothing where the C library is not glibc.
pub fn give_back_what_is_large() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it takes two numbers and keeps them; glibc documents it as safe from any thread once `malloc` is
        // initialised, which the runtime of the language has done long before.
        let taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
        if taken == 0 {
            tracing::warn!(
                "the C library does not take a threshold for large memory: it may keep more than it needs"
            );
        }
    }
}
