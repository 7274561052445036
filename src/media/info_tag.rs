//! The Info tag for constant bit rates whose frames are too small for LAME's own.
//!
//! Called by [`mp3`](super::mp3). LAME puts its tag into a frame of the stream's bit rate and leaves it out where that is
//! too short (32 kbit/s at 44.1 kHz, say); then a player knows neither the length nor what to trim. A tag frame may have
//! another bit rate than the rest, so one is made here that is just large enough.
//!
//! Layout: "MP3 Info Tag revision 1" (gabriel.mp3-tech.org/mp3infotag.html) behind the Xing header; frame headers and
//! bit rates: ISO/IEC 11172-3 and 13818-3.

/// Bytes from the word `Info` to the end of the LAME extension.
const TAG_BYTES: usize = 156;

/// Bit rates of layer III in kbit/s by index, for MPEG-1 and for MPEG-2 and 2.5.
const MPEG1_KBPS: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const MPEG2_KBPS: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// What decides the size of a frame besides its bit rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameShape {
    pub(super) sample_rate: u32,
    pub(super) channels: u8,
}

impl FrameShape {
    fn is_mpeg1(self) -> bool {
        self.sample_rate >= 32_000
    }

    /// Bytes of a frame of `kbps` without the padding byte.
    fn frame_bytes(self, kbps: u32) -> usize {
        let factor = if self.is_mpeg1() { 144_000 } else { 72_000 };
        (factor * kbps / self.sample_rate.max(1)) as usize
    }

    /// Bytes of header and side information, behind which the tag stands.
    fn tag_offset(self) -> usize {
        match (self.is_mpeg1(), self.channels) {
            (true, 1) => 4 + 17,
            (true, _) => 4 + 32,
            (false, 1) => 4 + 9,
            (false, _) => 4 + 17,
        }
    }

    /// Whether a frame of `kbps` has room for a tag; LAME writes one exactly then.
    pub(super) fn holds_tag(self, kbps: u32) -> bool {
        self.frame_bytes(kbps) >= self.tag_offset() + TAG_BYTES
    }

    /// The smallest bit rate that has room for a tag: its index in a header and its kbit/s.
    fn tag_bit_rate(self) -> (u8, u32) {
        let rates = if self.is_mpeg1() { MPEG1_KBPS } else { MPEG2_KBPS };
        // 64 kbit/s holds a tag at every rate, so the fallback is never taken.
        (0_u8..).zip(rates).find(|(_, kbps)| self.holds_tag(*kbps)).unwrap_or((14, 320))
    }

    /// Bytes of the tag frame that [`InfoTag::frame`] makes.
    pub(super) fn tag_frame_bytes(self) -> usize {
        self.frame_bytes(self.tag_bit_rate().1)
    }
}

/// What the tag of a finished stream of constant bit rate says.
#[derive(Clone, Copy, Debug)]
pub(super) struct InfoTag {
    pub(super) shape: FrameShape,
    /// Header of the first audio frame: version, rate and channel mode are taken from it.
    pub(super) first_header: [u8; 4],
    /// Audio frames, without the tag frame.
    pub(super) frames: u64,
    /// Bytes of the audio frames.
    pub(super) audio_bytes: u64,
    /// CRC-16 of the audio frames.
    pub(super) audio_crc: Crc16,
    /// Bit rate of the audio frames in kbit/s.
    pub(super) kbps: u32,
    /// LAME's `-q`.
    pub(super) quality: u8,
    /// Cutoff of the low-pass filter in Hz.
    pub(super) low_pass: u32,
    /// Samples of silence before the first one.
    pub(super) delay: u64,
    /// Samples of silence after the last one.
    pub(super) padding: u64,
    /// Sample rate of the source in Hz.
    pub(super) source_rate: u32,
}

impl InfoTag {
    /// The tag frame, [`FrameShape::tag_frame_bytes`] long. Numbers beyond their field are cut to its largest value.
    pub(super) fn frame(&self) -> Vec<u8> {
        let (index, _) = self.shape.tag_bit_rate();
        let length = self.shape.tag_frame_bytes();
        let total = self.audio_bytes + length as u64;
        let [sync, version, rates, mode] = self.first_header;

        let mut frame = Vec::with_capacity(length);
        // The bit rate is ours; the padding bit goes, as the length is without it.
        frame.extend([sync, version, index << 4 | rates & 0x0D, mode]);
        frame.resize(self.shape.tag_offset(), 0);
        frame.extend(b"Info");
        // Frames, bytes, table of contents and quality are all there.
        frame.extend(15_u32.to_be_bytes());
        frame.extend(clamp_u32(self.frames).to_be_bytes());
        frame.extend(clamp_u32(total).to_be_bytes());
        frame.extend((0_u64..100).map(|percent| {
            let at = length as u64 + self.audio_bytes * percent / 100;
            if percent == 0 { 0 } else { u8::try_from(at * 256 / total).unwrap_or(u8::MAX) }
        }));
        // LAME's own formula for its quality figure, with the VBR quality that it has when none is asked for.
        frame.extend((100 - 10 * 4 - u32::from(self.quality)).to_be_bytes());

        frame.extend(b"LAME3.100");
        frame.push(0x01); // revision 0, constant bit rate
        frame.push(u8::try_from((self.low_pass + 50) / 100).unwrap_or(u8::MAX));
        frame.extend([0; 8]); // peak and ReplayGain: not computed
        frame.push(0x10 | 0x04); // nspsytune; ATH type 4, LAME's default
        frame.push(u8::try_from(self.kbps).unwrap_or(u8::MAX));
        let (delay, padding) = (self.delay.min(0xFFF) as u32, self.padding.min(0xFFF) as u32);
        let [_, trim @ ..] = (delay << 12 | padding).to_be_bytes();
        frame.extend(trim);
        frame.push(self.misc());
        frame.push(0); // MP3 gain: unchanged
        frame.extend([0; 2]); // no preset
        frame.extend(clamp_u32(total).to_be_bytes());
        frame.extend(self.audio_crc.value().to_be_bytes());
        let mut crc = Crc16::default();
        crc.update(&frame);
        frame.extend(crc.value().to_be_bytes());
        frame.resize(length, 0);
        frame
    }

    /// Noise shaping 1, the stereo mode and the class of the source's rate.
    fn misc(&self) -> u8 {
        let [_, _, _, mode] = self.first_header;
        let stereo = match mode >> 6 {
            0 => 1, // stereo
            1 => 3, // joint stereo
            2 => 2, // dual channel
            _ => 0, // mono
        };
        let source = match self.source_rate {
            ..=32_000 => 0,
            48_000 => 2,
            48_001.. => 3,
            _ => 1,
        };
        source << 6 | stereo << 2 | 1
    }
}

fn clamp_u32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// CRC-16/ARC (polynomial 0x8005 reflected, start 0), as the LAME tag uses it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crc16(u16);

impl Crc16 {
    /// Adds bytes to the sum.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |crc, byte| crc >> 8 ^ CRC_TABLE[usize::from(crc as u8 ^ byte)]);
    }

    /// The sum so far.
    pub(super) fn value(self) -> u16 {
        self.0
    }
}

static CRC_TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_has_the_check_value_of_crc_16_arc() {
        let mut crc = Crc16::default();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.value(), 0xBB3D);
    }

    #[test]
    fn every_rate_has_a_bit_rate_that_holds_a_tag() {
        for sample_rate in [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
            for channels in [1, 2] {
                let shape = FrameShape { sample_rate, channels };
                let (_, kbps) = shape.tag_bit_rate();
                assert!(shape.holds_tag(kbps) && kbps <= 64, "{shape:?} needs {kbps} kbit/s");
            }
        }
    }
}
