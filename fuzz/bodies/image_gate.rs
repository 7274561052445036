//! What has to hold for any bytes at the gate of images. Run by the fuzzer, and by `tests/fuzz`.

use gristmill::media::image::{Format, Header, Limits, inspect, strip};

/// Inspects the bytes; what is let through is stripped, inspected and stripped again.
///
/// # Panics
/// When the gate breaks a promise.
pub(crate) fn run(bytes: &[u8]) {
    let limits = Limits {
        formats: Format::ALL.into_iter().collect(),
        pixels: 40_000_000,
        frames: 1000,
        memory: 192 << 20,
    };
    let Ok(header) = inspect(bytes, &limits) else { return };
    assert!(header.width > 0 && header.height > 0 && (1..=limits.frames).contains(&header.frames));
    assert!(u64::from(header.width) * u64::from(header.height) <= limits.pixels);
    assert!(header.price <= limits.memory);
    let stripped = strip(bytes, &header, false).expect("what was let through can be stripped");
    assert!(stripped.bytes.len() <= bytes.len() + 64, "stripping made it longer");
    let after = inspect(&stripped.bytes, &Limits { memory: u64::MAX, ..limits });
    let after = after.expect("what was stripped is let through");
    assert_eq!(Header { price: 0, ..after.clone() }, Header { price: 0, ..header });
    let again = strip(&stripped.bytes, &after, false).expect("and can be stripped again");
    assert!(again.bytes == stripped.bytes && again.removed.is_empty(), "stripping again changes it");
}
