//! WAV files for tests, and forms that carry them.

use reqwest::multipart::{Form, Part};

use crate::client::{Answer, Someone};
use crate::harness::Daemon;

/// Mono, 16 bits, 16 kHz: a second of a tone, or as many as asked for.
pub(crate) fn tone(seconds: u32) -> Vec<u8> {
    let samples = (0..16_000 * seconds).flat_map(|n| {
        let sample = (f64::from(n) * 0.17).sin() * 8_000.0;
        (sample as i16).to_le_bytes()
    });
    with_format(1, samples.collect())
}

/// A file with that format tag.
pub(crate) fn with_format(tag: u16, data: Vec<u8>) -> Vec<u8> {
    let mut fmt = Vec::new();
    fmt.extend(tag.to_le_bytes());
    fmt.extend(1_u16.to_le_bytes());
    fmt.extend(16_000_u32.to_le_bytes());
    fmt.extend(32_000_u32.to_le_bytes());
    fmt.extend(2_u16.to_le_bytes());
    fmt.extend(16_u16.to_le_bytes());
    let mut file = b"RIFF".to_vec();
    file.extend((4 + 8 + 16 + 8 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(fmt);
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// The form as the audio service documents it.
pub(crate) fn form(who: &Someone, wav: Vec<u8>) -> Form {
    Form::new()
        .text("user", who.id.to_string())
        .text("token", who.token.clone())
        .part("file", Part::bytes(wav).file_name("talk.wav"))
}

impl Daemon {
    /// Uploads, with a wish about waiting.
    pub(crate) async fn upload(&self, path: &str, form: Form, wish: &str) -> Answer {
        self.ask("POST", path, |request| request.header("prefer", wish).multipart(form)).await
    }

    /// Nothing of an upload is left: no draft, no blob, no row.
    pub(crate) async fn nothing_is_kept(&self) {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while self.blobs.drafts().unwrap() > 0 {
            assert!(tokio::time::Instant::now() < deadline, "a draft stays behind");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(self.blobs.candidates(std::time::Duration::ZERO).unwrap(), []);
        assert_eq!(self.rows().await, 0);
    }
}

/// The path of a link, without the host.
pub(crate) fn path_of(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    rest[rest.find('/').unwrap()..].to_owned()
}
