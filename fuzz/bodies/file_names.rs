//! What has to hold for any name of a file, as a header says it. Run by the fuzzer, and by `tests/fuzz`.

use actix_web::http::header::HeaderValue;
use gristmill::http::{Shown, disposition, kept_name, said_name};

/// Takes the bytes for the value of a header `Content-Disposition`, and for a name by itself.
///
/// # Panics
/// When a name that is kept could be mistaken for something else, or is not read back as it is told.
pub(crate) fn run(bytes: &[u8]) {
    if let Some(name) = HeaderValue::from_bytes(bytes).ok().and_then(|header| said_name(&header)) {
        harmless(&name);
    }
    harmless(&String::from_utf8_lossy(bytes));
}

fn harmless(given: &str) {
    let Some(kept) = kept_name(given) else { return };
    assert!(!kept.is_empty() && kept.len() <= 255 && kept.trim() == kept, "{kept:?}");
    assert!(!kept.chars().all(|c| c == '.'), "{kept:?}");
    let strange = |c: char| {
        c.is_control()
            || matches!(c, '/' | '\\' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!kept.contains(strange), "{kept:?}");
    assert_eq!(kept_name(&kept).as_ref(), Some(&kept), "kept again, it is another");
    for (shown, word) in [(Shown::Inline, "inline; "), (Shown::Saved, "attachment; ")] {
        let told = disposition(shown, &kept, "png");
        assert!(
            told.starts_with(word) && told.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()),
            "{told:?}"
        );
        let header = HeaderValue::from_str(&told).expect("it can be a header");
        let read = said_name(&header).expect("it is read back");
        let stem = read.strip_suffix(".png").expect("it has the extension of what is sent");
        assert!(read.len() <= 255 && kept.starts_with(stem), "{kept:?} is read as {read:?}");
    }
}
