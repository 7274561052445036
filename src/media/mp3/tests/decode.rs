//! Reading an MP3 back: walk its frames, check its tag against them, decode and trim.

use symphonia_bundle_mp3::MpaDecoder;
use symphonia_core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units::{Duration, Timestamp};

/// A decoder of layer III answers 528 + 1 samples late.
const DECODER_DELAY: usize = 529;

/// An MP3 as a player hears it.
pub(super) struct Decoded {
    pub(super) sample_rate: u32,
    pub(super) channels: usize,
    /// Bit rates of the audio frames, in kbit/s.
    pub(super) kbps: Vec<u32>,
    /// A plane a channel, ±1.0, trimmed by the tag.
    pub(super) planes: Vec<Vec<f32>>,
}

struct Frame {
    at: usize,
    length: usize,
    sample_rate: u32,
    channels: usize,
    samples: usize,
    kbps: u32,
    side_end: usize,
}

/// Reads a frame header as ISO 11172-3 §2.4.1.3 and 13818-3 have it.
fn frame_at(mp3: &[u8], at: usize) -> Frame {
    let [b0, b1, b2, b3] = mp3[at..at + 4].try_into().unwrap();
    assert!(b0 == 0xFF && b1 & 0xE0 == 0xE0, "no frame at byte {at}");
    assert_eq!(b1 & 0x07, 0x03, "layer III without CRC");
    let version = (b1 >> 3) & 3; // 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
    let mpeg1 = version == 3;
    let table: [u32; 15] = if mpeg1 {
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
    } else {
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
    };
    let kbps = table[usize::from(b2 >> 4)];
    let base = [44_100, 48_000, 32_000][usize::from(b2 >> 2 & 3)];
    let sample_rate = match version {
        3 => base,
        2 => base / 2,
        0 => base / 4,
        _ => panic!("reserved version"),
    };
    let samples = if mpeg1 { 1152 } else { 576 };
    let channels = if b3 >> 6 == 3 { 1 } else { 2 };
    let length = (samples as u32 / 8 * 1000 * kbps / sample_rate + u32::from(b2 >> 1 & 1)) as usize;
    let side_end = 4 + match (mpeg1, channels) {
        (true, 1) => 17,
        (true, _) => 32,
        (false, 1) => 9,
        (false, _) => 17,
    };
    Frame { at, length, sample_rate, channels, samples, kbps, side_end }
}

fn be32(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc
}

/// Checks everything that the file says of itself, then decodes it.
pub(super) fn decode(mp3: &[u8]) -> Decoded {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < mp3.len() {
        let frame = frame_at(mp3, at);
        at += frame.length;
        assert!(at <= mp3.len(), "the last frame is cut");
        frames.push(frame);
    }
    let tag_frame = frames.remove(0);
    let tag = &mp3[..tag_frame.length];
    let info = tag_frame.side_end;
    let constant = frames.iter().all(|frame| frame.kbps == frames[0].kbps);
    match &tag[info..info + 4] {
        b"Info" => assert!(constant, "an Info tag on a stream of changing bit rate"),
        b"Xing" => {}
        other => panic!("no tag but {other:?}"),
    }
    assert_eq!(be32(tag, info + 4), 15, "flags");
    assert_eq!(be32(tag, info + 8), frames.len(), "frame count");
    assert_eq!(be32(tag, info + 12), mp3.len(), "byte count");
    let toc = &tag[info + 16..info + 116];
    assert!(toc.is_sorted(), "the table of contents goes back: {toc:?}");
    // LAME's table is made from at most 400 sums, and its entries are 1/256 of the file.
    let slack = mp3.len() / 128 + mp3.len() / frames.len().min(200) + 3 * tag_frame.length;
    for (percent, entry) in toc.iter().enumerate() {
        let real = frames[(frames.len() * percent / 100).min(frames.len() - 1)].at;
        let told = usize::from(*entry) * mp3.len() / 256;
        assert!(told.abs_diff(real) <= slack, "{percent} %: {told} told, {real} real, of {}", mp3.len());
    }
    let lame = info + 120;
    assert_eq!(&tag[lame..lame + 9], b"LAME3.100");
    let trim = be32(tag, lame + 20) & 0xFF_FFFF;
    let (delay, padding) = (trim >> 12, trim & 0xFFF);
    assert_eq!(be32(tag, lame + 28), mp3.len(), "music length");
    let stored = |at: usize| u16::from_be_bytes([tag[at], tag[at + 1]]);
    assert_eq!(stored(lame + 32), crc16(&mp3[tag_frame.length..]), "music CRC");
    assert_eq!(stored(lame + 34), crc16(&tag[..lame + 34]), "tag CRC");

    let first = &frames[0];
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_MP3).with_sample_rate(first.sample_rate);
    let mut decoder = MpaDecoder::try_new(&params, &AudioDecoderOptions::default().gapless(false)).unwrap();
    let mut planes = vec![Vec::new(); first.channels];
    let mut block: Vec<Vec<f32>> = Vec::new();
    for frame in &frames {
        assert_eq!((frame.sample_rate, frame.channels), (first.sample_rate, first.channels));
        let bytes = &mp3[frame.at..frame.at + frame.length];
        let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(frame.samples as u64), bytes);
        let decoded = decoder.decode_ref(&packet).expect("a frame that decodes");
        assert_eq!(decoded.frames(), frame.samples);
        decoded.copy_to_vecs_planar(&mut block);
        for (plane, block) in planes.iter_mut().zip(&block) {
            plane.extend_from_slice(block);
        }
    }
    let start = delay + DECODER_DELAY;
    let total = frames.len() * first.samples;
    assert!(padding >= DECODER_DELAY, "the decoder's delay has to fit in the padding");
    for plane in &mut planes {
        assert_eq!(plane.len(), total);
        plane.truncate(total - (padding - DECODER_DELAY));
        plane.drain(..start);
    }
    Decoded {
        sample_rate: first.sample_rate,
        channels: first.channels,
        kbps: frames.iter().map(|frame| frame.kbps).collect(),
        planes,
    }
}
