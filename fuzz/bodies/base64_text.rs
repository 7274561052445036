//! What has to hold for any text that should be a file in base64. Run by the fuzzer, and by `tests/fuzz`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gristmill::http::{NotBase64, read_base64};

/// The most bytes that the file may have.
const MOST: u64 = 200;

/// Reads the bytes as text.
///
/// # Panics
/// When what is read is not what was written, or is longer than it may be.
pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match read_base64(&text, MOST) {
        Ok(file) => {
            assert!(file.len() as u64 <= MOST);
            let data = if text.contains(',') { text.split_once(',').expect("it has one").1 } else { &text };
            assert_eq!(meant(&STANDARD.encode(&file)), meant(data), "another file than was sent");
            for again in [STANDARD.encode(&file), format!("data:;base64,{}", STANDARD.encode(&file))] {
                assert_eq!(read_base64(&again, MOST).expect("it is base64"), file);
            }
        }
        Err(NotBase64::Character(_, at) | NotBase64::Mixed(_, at) | NotBase64::AfterPadding(at)) => {
            assert!(at < text.len(), "a place behind the end");
        }
        Err(NotBase64::TooLong(most)) => assert!(most == MOST && text.len() as u64 > MOST),
        Err(NotBase64::Length(..) | NotBase64::LooseBits | NotBase64::DataUrl) => {}
        Err(NotBase64::Write(error)) => panic!("memory cannot be written: {error}"),
    }
}

/// The characters that mean something, in the plain alphabet.
fn meant(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n' | '='))
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect()
}
