//! What an MP3 is asked to be: values that cannot be wrong once they exist.
//!
//! They come from a task's payload or the configuration as JSON, `{"mode": {"vbr": 2}, "channels": "auto", "effort": 3}`,
//! every field optional; an unknown field or a value out of range is an error that says what is allowed.

use mp3lame_encoder::{Bitrate, Quality};
use serde::{Deserialize, Serialize};

use crate::media::lame::RateControl;

/// How to encode. The default is VBR V2 (about 190 kbit/s for stereo music), the channels of the source, effort 3.
///
/// V2 is the usual "transparent" setting of LAME, gives speech and mono only what they need, and is faster than constant
/// bit rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mp3Settings {
    /// Constant or variable bit rate.
    pub mode: Mode,
    /// Channels of the MP3.
    pub channels: ChannelMode,
    /// How hard LAME searches.
    pub effort: Effort,
}

/// Constant or variable bit rate: `{"cbr": 128}` or `{"vbr": 2}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every frame of the same bit rate.
    Cbr(CbrKbps),
    /// Every frame of the bit rate that its sound needs.
    Vbr(VbrQuality),
}

impl Default for Mode {
    fn default() -> Self {
        Self::Vbr(VbrQuality::default())
    }
}

impl Mode {
    pub(super) fn rate_control(self) -> RateControl {
        match self {
            Self::Cbr(rate) => RateControl::Cbr(rate.bitrate()),
            Self::Vbr(quality) => RateControl::Vbr(lame_quality(quality.0)),
        }
    }
}

/// Channels of the MP3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelMode {
    /// As the source: mono stays mono, everything else becomes stereo.
    #[default]
    Auto,
    /// One channel, the mean of both sides.
    Mono,
}

/// A constant bit rate in kbit/s, one of [`CbrKbps::ALLOWED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct CbrKbps(u16);

impl CbrKbps {
    /// The bit rates that can be asked for, in kbit/s. Which of them a sample rate has is MP3's matter: above 160 only from
    /// 32 kHz on, above 64 only from 16 kHz on; the nearest is taken and noted.
    pub const ALLOWED: [u16; 16] = [8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];

    /// The bit rate in kbit/s.
    pub fn get(self) -> u16 {
        self.0
    }

    fn bitrate(self) -> Bitrate {
        match self.0 {
            8 => Bitrate::Kbps8,
            16 => Bitrate::Kbps16,
            24 => Bitrate::Kbps24,
            32 => Bitrate::Kbps32,
            40 => Bitrate::Kbps40,
            48 => Bitrate::Kbps48,
            64 => Bitrate::Kbps64,
            80 => Bitrate::Kbps80,
            96 => Bitrate::Kbps96,
            112 => Bitrate::Kbps112,
            160 => Bitrate::Kbps160,
            192 => Bitrate::Kbps192,
            224 => Bitrate::Kbps224,
            256 => Bitrate::Kbps256,
            320 => Bitrate::Kbps320,
            // 128, the only other value that `try_from` lets through.
            _ => Bitrate::Kbps128,
        }
    }
}

impl TryFrom<u16> for CbrKbps {
    type Error = SettingsError;

    fn try_from(kbps: u16) -> Result<Self, SettingsError> {
        if Self::ALLOWED.contains(&kbps) {
            Ok(Self(kbps))
        } else {
            Err(SettingsError::BitRate { found: kbps })
        }
    }
}

impl From<CbrKbps> for u16 {
    fn from(rate: CbrKbps) -> Self {
        rate.0
    }
}

/// LAME's `-V`, 0 (largest, best) to 9 (smallest); 2 if nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct VbrQuality(u8);

impl VbrQuality {
    /// The number after `-V`.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for VbrQuality {
    fn default() -> Self {
        Self(2)
    }
}

impl TryFrom<u8> for VbrQuality {
    type Error = SettingsError;

    fn try_from(quality: u8) -> Result<Self, SettingsError> {
        if quality <= 9 { Ok(Self(quality)) } else { Err(SettingsError::VbrQuality { found: quality }) }
    }
}

impl From<VbrQuality> for u8 {
    fn from(quality: VbrQuality) -> Self {
        quality.0
    }
}

/// LAME's `-q`, 3 (the default of the `lame` program) to 9 (fastest).
///
/// 0 to 2 are not offered: they take up to three times as long, and with a constant bit rate they sound worse (LAME bug
/// 516).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Effort(u8);

impl Effort {
    /// The number after `-q`.
    pub fn get(self) -> u8 {
        self.0
    }

    pub(super) fn quality(self) -> Quality {
        lame_quality(self.0)
    }
}

impl Default for Effort {
    fn default() -> Self {
        Self(3)
    }
}

impl TryFrom<u8> for Effort {
    type Error = SettingsError;

    fn try_from(effort: u8) -> Result<Self, SettingsError> {
        if (3..=9).contains(&effort) {
            Ok(Self(effort))
        } else {
            Err(SettingsError::Effort { found: effort })
        }
    }
}

impl From<Effort> for u8 {
    fn from(effort: Effort) -> Self {
        effort.0
    }
}

/// A setting outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A constant bit rate that is not offered.
    #[error("cbr {found} is not a bit rate of MP3; use one of {:?} kbit/s", CbrKbps::ALLOWED)]
    BitRate {
        /// The bit rate asked for, in kbit/s.
        found: u16,
    },
    /// A VBR quality above 9.
    #[error("vbr {found} is out of range; use 0 (best) to 9 (smallest)")]
    VbrQuality {
        /// The quality asked for.
        found: u8,
    },
    /// An effort outside 3 to 9.
    #[error("effort {found} is out of range; use 3 (the default) to 9 (fastest)")]
    Effort {
        /// The effort asked for.
        found: u8,
    },
}

fn lame_quality(number: u8) -> Quality {
    match number {
        0 => Quality::Best,
        1 => Quality::SecondBest,
        2 => Quality::NearBest,
        3 => Quality::VeryNice,
        4 => Quality::Nice,
        5 => Quality::Good,
        6 => Quality::Decent,
        7 => Quality::Ok,
        8 => Quality::SecondWorst,
        _ => Quality::Worst,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Mp3Settings, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_is_vbr_2_with_the_channels_of_the_source() {
        let settings = parse("{}").unwrap();
        assert_eq!(settings, Mp3Settings::default());
        let json = serde_json::to_value(settings).unwrap();
        assert_eq!(json, serde_json::json!({"mode": {"vbr": 2}, "channels": "auto", "effort": 3}));
    }

    #[test]
    fn every_allowed_value_survives_a_round_trip_and_reaches_lame() {
        for kbps in CbrKbps::ALLOWED {
            let settings = parse(&format!(r#"{{"mode": {{"cbr": {kbps}}}, "channels": "mono"}}"#)).unwrap();
            assert_eq!(settings.mode, Mode::Cbr(CbrKbps(kbps)));
            assert_eq!(CbrKbps(kbps).bitrate() as u16, kbps);
            assert_eq!(parse(&serde_json::to_string(&settings).unwrap()).unwrap(), settings);
        }
        for quality in 0..=9 {
            assert_eq!(lame_quality(quality) as u8, quality);
            assert!(parse(&format!(r#"{{"mode": {{"vbr": {quality}}}}}"#)).is_ok());
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_is_allowed() {
        for (json, told) in [
            (r#"{"mode": {"cbr": 100}}"#, "160, 192"),
            (r#"{"mode": {"vbr": 10}}"#, "0 (best) to 9"),
            (r#"{"effort": 0}"#, "3 (the default)"),
            (r#"{"bitrate": 128}"#, "unknown field"),
            (r#"{"channels": "quad"}"#, "unknown variant"),
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}
