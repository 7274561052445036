//! The side of the process: a file on its standard input, rows on its standard output.
//!
//! What is true: it reads the file in the way that the gate does, so it decodes what was priced and nothing else; it
//! begins no thread, opens no file and asks nobody anything.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::colours::{Colours, Line};
use super::planes::Planes;
use super::{Avif, ImageError, Layout, Rows, Sampling, Source, Trouble, damaged};

/// The exit code for an image that is damaged.
pub(super) const DAMAGED: i32 = 4;
/// What stands behind the last row.
pub(super) const END: u8 = 0x2e;

/// The program that has [`serve`](DecoderProcess::serve) as a subcommand, when it is not this one.
static PROGRAM: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The process that decodes AV1.
#[derive(Debug)]
pub struct DecoderProcess;

impl DecoderProcess {
    /// The subcommand of the program that decodes.
    pub const COMMAND: &'static str = "decode-avif";

    /// From now on the process is that program. For whoever has the daemon's parts in a program of their own, as the tests
    /// do: unless told, the running program starts itself.
    pub fn is_program(path: PathBuf) {
        *PROGRAM.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
    }

    /// Which program it is.
    pub(super) fn program() -> PathBuf {
        // The file may have been replaced since by a newer version of it, and is still the one that runs.
        let told = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
    }

    /// Reads an AVIF to its end, decodes it, and writes its rows.
    ///
    /// The exit code of the process follows: 0, or 4 for an image that is at fault, whose reason is written to `errors`.
    /// What cannot be written is not written: whoever asked is gone.
    pub fn serve(input: &mut dyn Read, output: &mut dyn Write, errors: &mut dyn Write) -> i32 {
        let mut bytes = Vec::new();
        let read = input.read_to_end(&mut bytes);
        let mut pipe = Pipe { output, broken: false };
        let pushed = match read {
            Ok(_) => push(&bytes, &mut pipe),
            Err(error) => Err(damaged(error)),
        };
        match pushed {
            Ok(()) => {
                pipe.write(&[END]);
                0
            }
            Err(error) => {
                let _ = writeln!(errors, "{error}");
                DAMAGED
            }
        }
    }
}

/// What comes before the rows.
pub(super) struct Head {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    /// Bytes of the colour profile.
    pub(super) profile: u32,
}

impl Head {
    pub(super) const BYTES: usize = 17;
    const SIGN: &'static [u8; 4] = b"rows";

    pub(super) fn read(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let number = |at: usize| bytes.get(at..)?.first_chunk().map(|number| u32::from_be_bytes(*number));
        let layout = match bytes[4] {
            1 => Layout::Grey,
            2 => Layout::GreyAlpha,
            3 => Layout::Rgb,
            4 => Layout::Rgba,
            _ => return None,
        };
        let head = Self { width: number(5)?, height: number(9)?, layout, profile: number(13)? };
        // Larger ones are refused by the gate.
        (bytes.starts_with(Self::SIGN) && head.profile <= 4 << 20).then_some(head)
    }

    fn bytes(&self) -> Vec<u8> {
        let numbers = [self.width, self.height, self.profile].map(u32::to_be_bytes).concat();
        [&Self::SIGN[..], &[self.layout.channels() as u8], &numbers].concat()
    }
}

/// Rows into a pipe.
struct Pipe<'a> {
    output: &'a mut dyn Write,
    broken: bool,
}

impl Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.broken |= self.output.write_all(bytes).and_then(|()| self.output.flush()).is_err();
    }
}

impl Rows for Pipe<'_> {
    fn begin(&mut self, source: Source) {
        let Source { width, height, layout, profile, .. } = source;
        let profile = profile.unwrap_or_default();
        let head = Head { width, height, layout, profile: profile.len() as u32 };
        self.write(&head.bytes());
        self.write(&profile);
    }

    fn row(&mut self, row: &[u8]) -> Result<(), ImageError> {
        self.write(row);
        if self.broken { Err(ImageError::Cancelled) } else { Ok(()) }
    }
}

/// Decodes here and now, in this process.
pub(in super::super::super) fn push(bytes: &[u8], rows: &mut dyn Rows) -> Result<(), ImageError> {
    let avif = Avif::read(bytes).map_err(|trouble| match trouble {
        Trouble::Damaged(what) | Trouble::Unreadable(what) => damaged(what),
        Trouble::Excessive { what, .. } => damaged(format!("it {what}")),
    })?;
    let frame = avif.colour.frame();
    let grey = frame.samples.sampling == Sampling::Grey;
    let layout = match (grey, &avif.alpha) {
        (true, None) => Layout::Grey,
        (true, Some(_)) => Layout::GreyAlpha,
        (false, None) => Layout::Rgb,
        (false, Some(_)) => Layout::Rgba,
    };
    let (width, height) = (avif.colour.width, avif.colour.height);
    let colours = Colours::new(avif.cicp, frame.samples.bits);
    let mut planes = Planes::new(&avif.colour);
    let mut alpha = avif.alpha.as_ref().map(|layer| (Planes::new(layer), Line::default(), layer.frame()));
    let profile = avif.profile.map(<[u8]>::to_vec).or_else(|| colours.profile(grey));
    let (mut line, mut row) = (Line::default(), vec![0; width as usize * layout.channels()]);
    for y in 0..height {
        planes.line(y, &colours, &mut line)?;
        if let Some((planes, line, frame)) = &mut alpha {
            planes.luma(y, &Colours::new(frame.cicp, frame.samples.bits), line)?;
        }
        // Whoever waits for the first row learns by it that the decoder has begun.
        if y == 0 {
            rows.begin(Source { width, height, layout, reduced: 1, drawn: false, profile: profile.clone() });
        }
        let alpha = alpha.as_ref().map(|(_, line, _)| &line.luma[..]);
        if let Some(alpha) = alpha.filter(|_| avif.premultiplied) {
            line.divide(alpha);
        }
        colours.row(&line, alpha, layout, &mut row);
        rows.row(&row)?;
    }
    Ok(())
}
