//! AVIF: asked of a process of its own (`apart`), which reads the file anew and hands back rows (`process`).
//!
//! The decoder of AV1 in it, `re_rav1d`, has functions of C at its border: a panic behind them cannot be caught, and ends
//! the process. There are files that make it panic. What is true: it runs in nobody's process but its own, whose end is
//! a damaged image and nothing else; it sees no setting, no file and no environment; it is killed when nobody wants the image
//! any more. `docs/adr/0012-avif.md` has the reasons.

mod apart;
mod colours;
mod planes;
mod process;

use super::super::avif::{Avif, Cicp, Frame, Layer, Sampling, Tile};
use super::super::gate::Trouble;
use super::super::pixels::{Layout, Rows, Source, Watch};
use super::{Header, ImageError, agree};

pub(super) use apart::decode;
pub use process::DecoderProcess;

#[cfg(test)]
pub(in super::super) use process::push;

fn damaged(error: impl std::fmt::Display) -> ImageError {
    super::damaged("AVIF", error)
}
