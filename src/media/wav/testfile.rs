//! WAV files for tests, built chunk by chunk so that any of their fields can lie.

use std::f64::consts::TAU;

/// A file under construction.
pub(in crate::media) struct TestWav {
    pub(in crate::media) magic: [u8; 4],
    pub(in crate::media) riff_size: Option<u32>,
    chunks: Vec<u8>,
}

impl TestWav {
    pub(in crate::media) fn new() -> Self {
        Self { magic: *b"RIFF", riff_size: None, chunks: Vec::new() }
    }

    /// A chunk as the format wants it.
    pub(in crate::media) fn chunk(self, id: &[u8; 4], body: &[u8]) -> Self {
        let padded = body.len() % 2 == 1;
        let mut wav = self.chunk_sized(id, body, body.len() as u32);
        if padded {
            wav.chunks.push(0);
        }
        wav
    }

    /// A chunk without a pad byte and with any size in its header.
    pub(in crate::media) fn chunk_sized(mut self, id: &[u8; 4], body: &[u8], size: u32) -> Self {
        self.chunks.extend(id);
        self.chunks.extend(size.to_le_bytes());
        self.chunks.extend(body);
        self
    }

    pub(in crate::media) fn fmt(self, fmt: &[u8]) -> Self {
        self.chunk(b"fmt ", fmt)
    }

    pub(in crate::media) fn data(self, samples: &[u8]) -> Self {
        self.chunk(b"data", samples)
    }

    pub(in crate::media) fn build(self) -> Vec<u8> {
        let size = self.riff_size.unwrap_or(4 + self.chunks.len() as u32);
        [&self.magic[..], &size.to_le_bytes(), b"WAVE", &self.chunks].concat()
    }
}

/// PCMWAVEFORMAT, 16 bytes.
pub(in crate::media) fn fmt16(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
    let frame = channels.wrapping_mul(bits.div_ceil(8));
    let mut fmt = Vec::new();
    fmt.extend(tag.to_le_bytes());
    fmt.extend(channels.to_le_bytes());
    fmt.extend(rate.to_le_bytes());
    fmt.extend(rate.wrapping_mul(u32::from(frame)).to_le_bytes());
    fmt.extend(frame.to_le_bytes());
    fmt.extend(bits.to_le_bytes());
    fmt
}

/// The same with an extension of `extra` bytes.
pub(in crate::media) fn fmt_ex(tag: u16, channels: u16, rate: u32, bits: u16, extra: u16) -> Vec<u8> {
    let mut fmt = fmt16(tag, channels, rate, bits);
    fmt.extend(extra.to_le_bytes());
    fmt.extend(vec![0; extra.into()]);
    fmt
}

/// WAVEFORMATEXTENSIBLE, 40 bytes.
pub(in crate::media) fn fmt40(
    tag: u16,
    channels: u16,
    rate: u32,
    bits: u16,
    valid: u16,
    mask: u32,
) -> Vec<u8> {
    let mut fmt = fmt16(0xFFFE, channels, rate, bits);
    fmt.extend(22_u16.to_le_bytes());
    fmt.extend(valid.to_le_bytes());
    fmt.extend(mask.to_le_bytes());
    fmt.extend(tag.to_le_bytes());
    fmt.extend([0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71]);
    fmt
}

/// A plain 16-bit file of interleaved samples.
pub(in crate::media) fn wav16(channels: u16, rate: u32, samples: &[i16]) -> Vec<u8> {
    TestWav::new().fmt(&fmt16(1, channels, rate, 16)).data(&bytes16(samples)).build()
}

pub(in crate::media) fn bytes16(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// `frames` of sines, one frequency a channel, interleaved, at half of full scale.
pub(in crate::media) fn sines(rate: u32, hertz: &[f64], frames: usize) -> Vec<i16> {
    (0..frames)
        .flat_map(|n| {
            hertz.iter().map(move |hertz| {
                (16_384.0 * (TAU * hertz * n as f64 / f64::from(rate)).sin()).round() as i16
            })
        })
        .collect()
}
