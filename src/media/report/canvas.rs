//! What a page can be drawn on. The layout speaks only to [`Canvas`], so that the crate behind it can change, and so that
//! a test can look at what is drawn.
//!
//! Places are in points (1/72 inch) from the left and upper edge of the page.

/// The width of the paper: A4.
pub(super) const PAGE_WIDTH: f32 = 595.28;
/// Its height.
pub(super) const PAGE_HEIGHT: f32 = 841.89;

/// A place on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spot {
    /// From the left edge.
    pub(super) x: f32,
    /// From the upper edge.
    pub(super) y: f32,
}

/// The place `x` from the left and `y` from above.
pub(super) const fn spot(x: f32, y: f32) -> Spot {
    Spot { x, y }
}

/// An upright rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    /// Its left edge.
    pub(super) x: f32,
    /// Its upper edge.
    pub(super) y: f32,
    /// To the right.
    pub(super) width: f32,
    /// Down.
    pub(super) height: f32,
}

impl Area {
    /// The one with these edges.
    pub(super) const fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    /// Its right edge.
    pub(super) fn right(self) -> f32 {
        self.x + self.width
    }

    /// Its lower edge.
    pub(super) fn bottom(self) -> f32 {
        self.y + self.height
    }
}

/// Red, green and blue, as sRGB has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8);

/// One of the fonts that are embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Face {
    /// The text.
    Regular,
    /// What stands out.
    Bold,
    /// Signs that the others lack.
    Signs,
}

impl Face {
    /// Every face.
    pub(super) const ALL: [Self; 3] = [Self::Regular, Self::Bold, Self::Signs];
}

/// Text in one face, ready to be put on the page: every character has a glyph there, they stand from left to right.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    /// In which face.
    pub(super) face: Face,
    /// What is seen.
    pub(super) shown: String,
    /// What is read and copied, where that is something else.
    pub(super) said: Option<String>,
    /// How wide it is, in thousandths of its size.
    pub(super) advance: u32,
}

/// A form on the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// A rectangle.
    Rect(Area),
    /// A rectangle whose corners are round, with that radius.
    Rounded(Area, f32),
    /// A circle about a place, with that radius.
    Circle(Spot, f32),
    /// A closed line through these places.
    Polygon(Vec<Spot>),
    /// An open line through these places; it cannot be filled.
    Line(Vec<Spot>),
}

/// How a form is made visible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Paint {
    /// Filled.
    Fill(Colour),
    /// Drawn along its edge, so many points wide.
    Stroke(Colour, f32),
}

/// A JPEG, as it goes into the document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    /// The file.
    pub(super) jpeg: Vec<u8>,
    /// Columns of pixels.
    pub(super) width: u32,
    /// Rows.
    pub(super) height: u32,
    /// Whether it has one component instead of three.
    pub(super) grey: bool,
}

/// What a part of the page is, for whoever has it read out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tag {
    /// The title of the document.
    Title,
    /// A heading of a section.
    Heading,
    /// A text.
    Paragraph,
    /// A drawing, and what it shows, in words.
    Figure(String),
    /// A table: of rows.
    Table,
    /// A row: of cells.
    Row,
    /// The cell that heads a column.
    HeadCell,
    /// Any other cell.
    Cell,
}

/// Pages that can be drawn on, one after the other.
pub(super) trait Canvas {
    /// How wide a character is in a face, in thousandths of its size; `None` where the face has no glyph for it.
    fn advance(&self, face: Face, sign: char) -> Option<u16>;

    /// Begins a page; what is drawn from now on is on it. Nothing may be drawn before the first.
    fn begin_page(&mut self);

    /// Writes; `at` is where the first character stands on its baseline.
    fn write(&mut self, at: Spot, size: f32, colour: Colour, run: &Run);

    /// Draws a form.
    fn draw(&mut self, form: &Form, paint: Paint);

    /// Puts the middle of a picture into a circle and fills it.
    fn portrait(&mut self, picture: &Picture, centre: Spot, radius: f32);

    /// A line of the document's outline, which leads to that height of the present page.
    fn bookmark(&mut self, title: &str, y: f32);

    /// From now on everything is part of this, inside of what it is part of already. What is part of nothing is decoration.
    fn open(&mut self, tag: Tag);

    /// Ends what was opened last.
    fn close(&mut self);
}
