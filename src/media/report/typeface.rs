//! The fonts of the reports: Noto Sans, and DejaVu Sans for signs that it lacks. They are parsed once in a process.

use std::collections::HashMap;
use std::sync::OnceLock;

use printpdf::ParsedFont;

use super::ReportError;
use super::canvas::Face;

/// A font, and how wide each of its characters is.
pub(super) struct Typeface {
    /// As the drawing crate has it.
    pub(super) parsed: ParsedFont,
    advances: HashMap<char, u16>,
}

impl Typeface {
    fn read(bytes: &[u8]) -> Option<Self> {
        let parsed = ParsedFont::from_bytes(bytes, 0, &mut Vec::new())?;
        let em = u32::from(parsed.pdf_font_metrics.units_per_em).max(1);
        let advance = |sign: char| {
            let glyph = parsed.lookup_glyph_index(u32::from(sign)).filter(|glyph| *glyph != 0)?;
            // As it is rounded in the document, so that a text ends where it was measured to end.
            let thousandths = u32::from(parsed.get_horizontal_advance(glyph)) * 1000 / em;
            Some((sign, u16::try_from(thousandths).ok()?))
        };
        // No font here goes beyond the first two planes.
        let advances = ('\u{20}'..'\u{20000}').filter_map(advance).collect();
        Some(Self { parsed, advances })
    }

    /// How wide a character is, in thousandths of its size; `None` where there is no glyph for it.
    pub(super) fn advance(&self, sign: char) -> Option<u16> {
        self.advances.get(&sign).copied()
    }
}

/// All faces.
pub(super) struct Typefaces([Typeface; 3]);

impl Typefaces {
    /// The faces of this process.
    ///
    /// # Errors
    /// [`ReportError::Font`], which only a build with broken font files can meet.
    pub(super) fn get() -> Result<&'static Self, ReportError> {
        static FACES: OnceLock<Option<Typefaces>> = OnceLock::new();
        let read = || {
            Some(Self([
                Typeface::read(include_bytes!("fonts/NotoSans-Regular.ttf"))?,
                Typeface::read(include_bytes!("fonts/NotoSans-Bold.ttf"))?,
                Typeface::read(include_bytes!("fonts/DejaVuSans.ttf"))?,
            ]))
        };
        FACES.get_or_init(read).as_ref().ok_or(ReportError::Font)
    }

    /// One of them.
    pub(super) fn face(&self, face: Face) -> &Typeface {
        let [regular, bold, signs] = &self.0;
        match face {
            Face::Regular => regular,
            Face::Bold => bold,
            Face::Signs => signs,
        }
    }
}
