//! A canvas on which nothing is left: to find out how many pages there will be, before the first of them has to say so.

use super::canvas::{Canvas, Colour, Face, Form, Paint, Picture, Run, Spot, Tag};

/// It measures as the other does, and draws nothing.
pub(super) struct Blank<'a>(pub(super) &'a dyn Canvas);

impl Canvas for Blank<'_> {
    fn advance(&self, face: Face, sign: char) -> Option<u16> {
        self.0.advance(face, sign)
    }

    fn begin_page(&mut self) {}

    fn write(&mut self, _: Spot, _: f32, _: Colour, _: &Run) {}

    fn draw(&mut self, _: &Form, _: Paint) {}

    fn portrait(&mut self, _: &Picture, _: Spot, _: f32) {}

    fn bookmark(&mut self, _: &str, _: f32) {}

    fn open(&mut self, _: Tag) {}

    fn close(&mut self) {}
}
