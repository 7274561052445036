//! [`Canvas`] as a PDF, with printpdf. The only place that knows it, beside the fonts, which it parses.
//!
//! Pages are gathered as printpdf's operations; [`Paper::finish`] has it write the document and adds what it does not
//! write by itself (`finish`, `structure`).

mod finish;
mod structure;

use std::collections::BTreeMap;

use printpdf::{
    Codepoint, Color, DictItem, ExternalStream, ExternalXObject, FontId, LinePoint, Mm, Op, PaintMode,
    PdfDocument, PdfFontHandle, PdfPage, PdfSaveOptions, Point, Polygon, PolygonRing, Pt, Px, Rect, Rgb,
    TextItem, TextMatrix, WindingOrder, XObject, XObjectId, XObjectTransform,
};

use unicode_normalization::UnicodeNormalization;

pub(super) use finish::About;
use structure::Structure;

use super::ReportError;
use super::canvas::{
    Area, Canvas, Colour, Face, Form, PAGE_HEIGHT, PAGE_WIDTH, Paint, Picture, Run, Spot, Tag, spot,
};
use super::typeface::Typefaces;

/// How far the handles of a curve lie from its ends, for a quarter of a circle of radius 1.
const QUARTER: f32 = 0.552_284_8;

/// A line of the outline.
struct Bookmark {
    title: String,
    /// From 0.
    page: usize,
    /// From the upper edge.
    y: f32,
}

/// A document that is being drawn.
pub(super) struct Paper {
    faces: &'static Typefaces,
    pages: Vec<Vec<Op>>,
    pictures: Vec<ExternalXObject>,
    bookmarks: Vec<Bookmark>,
    structure: Structure,
}

impl Paper {
    /// One without pages.
    ///
    /// # Errors
    /// [`ReportError::Font`].
    pub(super) fn new() -> Result<Self, ReportError> {
        Ok(Self {
            faces: Typefaces::get()?,
            pages: Vec::new(),
            pictures: Vec::new(),
            bookmarks: Vec::new(),
            structure: Structure::default(),
        })
    }

    /// The document.
    ///
    /// # Errors
    /// [`ReportError::Written`] with what the crate behind it complains of.
    pub(super) fn finish(mut self, about: &About) -> Result<Vec<u8>, ReportError> {
        self.end_mark();
        let mut document = PdfDocument::new(&about.title);
        for face in Face::ALL {
            let font = printpdf::PdfFont::new(self.faces.face(face).parsed.clone());
            document.resources.fonts.map.insert(font_id(face), font);
        }
        for (index, picture) in self.pictures.into_iter().enumerate() {
            document.resources.xobjects.map.insert(picture_id(index), XObject::External(picture));
        }
        let (width, height) = (Mm(210.0), Mm(297.0));
        document.pages = self.pages.into_iter().map(|ops| PdfPage::new(width, height, ops)).collect();
        let mut warnings = Vec::new();
        let options = PdfSaveOptions::default();
        let written = document.to_lopdf_document(&options, &mut warnings);
        if let Some(warning) = warnings.first() {
            return Err(ReportError::Written(warning.msg.clone()));
        }
        finish::finish(written, about, &self.bookmarks, &self.structure)
    }

    /// A run for the document. Forms of letters say there which letter they are, since nobody types a form.
    fn item(&self, run: &Run) -> TextItem {
        let form = |sign: &char| matches!(sign, '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
        if !run.shown.chars().any(|sign| form(&sign)) {
            return TextItem::Text(run.shown.clone());
        }
        let font = &self.faces.face(run.face).parsed;
        let glyph = |sign: char| {
            let letter = if form(&sign) { sign.nfkc().collect() } else { sign.to_string() };
            Codepoint::with_cid(font.lookup_glyph_index(u32::from(sign)).unwrap_or(0), 0.0, letter)
        };
        TextItem::GlyphIds(run.shown.chars().map(glyph).collect())
    }

    fn push(&mut self, ops: impl IntoIterator<Item = Op>) {
        self.mark();
        if let Some(page) = self.pages.last_mut() {
            page.extend(ops);
        }
    }

    /// Says of what is drawn next to which part it belongs, unless that was just said.
    fn mark(&mut self) {
        let Some(page) = self.pages.len().checked_sub(1) else { return };
        if let Some(mark) = self.structure.mark(page) {
            let ops = &mut self.pages[page];
            if mark.ends_another {
                ops.push(Op::EndMarkedContent);
            }
            ops.push(match mark.number {
                None => Op::BeginMarkedContent { tag: "Artifact".into() },
                Some(number) => Op::BeginMarkedContentWithProperties {
                    tag: mark.tag.into(),
                    properties: dictionary([("MCID", DictItem::Int(number))]),
                },
            });
        }
    }

    fn end_mark(&mut self) {
        if self.structure.end_mark()
            && let Some(page) = self.pages.last_mut()
        {
            page.push(Op::EndMarkedContent);
        }
    }
}

impl Canvas for Paper {
    fn advance(&self, face: Face, sign: char) -> Option<u16> {
        self.faces.face(face).advance(sign)
    }

    fn begin_page(&mut self) {
        self.end_mark();
        self.pages.push(Vec::new());
    }

    fn write(&mut self, at: Spot, size: f32, colour: Colour, run: &Run) {
        let mut ops = Vec::with_capacity(8);
        if let Some(said) = &run.said {
            let said = DictItem::String { data: utf16(said), literal: false };
            let properties = dictionary([("ActualText", said)]);
            ops.push(Op::BeginMarkedContentWithProperties { tag: "Span".into(), properties });
        }
        ops.extend([
            Op::StartTextSection,
            Op::SetFont { font: PdfFontHandle::External(font_id(run.face)), size: Pt(size) },
            Op::SetFillColor { col: color(colour) },
            Op::SetTextMatrix {
                matrix: TextMatrix::Raw([1.0, 0.0, 0.0, 1.0, even(at.x), even(PAGE_HEIGHT - at.y)]),
            },
            Op::ShowText { items: vec![self.item(run)] },
            Op::EndTextSection,
        ]);
        if run.said.is_some() {
            ops.push(Op::EndMarkedContent);
        }
        self.push(ops);
    }

    fn draw(&mut self, form: &Form, paint: Paint) {
        let mode = match paint {
            Paint::Fill(colour) => {
                self.push([Op::SetFillColor { col: color(colour) }]);
                PaintMode::Fill
            }
            Paint::Stroke(colour, width) => {
                self.push([
                    Op::SetOutlineColor { col: color(colour) },
                    Op::SetOutlineThickness { pt: Pt(width) },
                ]);
                PaintMode::Stroke
            }
        };
        self.push([outlined(form, mode)]);
    }

    fn portrait(&mut self, picture: &Picture, centre: Spot, radius: f32) {
        let (width, height) = (picture.width as f32, picture.height as f32);
        let scale = 2.0 * radius / width.min(height);
        let (wide, high) = (even(width * scale), even(height * scale));
        let id = picture_id(self.pictures.len());
        self.pictures.push(embedded(picture));
        let placed = XObjectTransform {
            translate_x: Some(Pt(even(centre.x - wide / 2.0))),
            translate_y: Some(Pt(even(PAGE_HEIGHT - centre.y - high / 2.0))),
            scale_x: Some(wide),
            scale_y: Some(high),
            no_auto_scale: true,
            ..XObjectTransform::default()
        };
        self.push([
            Op::SaveGraphicsState,
            outlined(&Form::Circle(centre, radius), PaintMode::Clip),
            Op::UseXobject { id, transform: placed },
            Op::RestoreGraphicsState,
        ]);
    }

    fn bookmark(&mut self, title: &str, y: f32) {
        let page = self.pages.len().saturating_sub(1);
        self.bookmarks.push(Bookmark { title: title.to_owned(), page, y });
    }

    fn open(&mut self, tag: Tag) {
        self.structure.open(tag);
    }

    fn close(&mut self) {
        self.structure.close();
    }
}

/// The name of a face in the document. Its first six letters are the mark of a font of which only a part is embedded.
fn font_id(face: Face) -> FontId {
    FontId(
        match face {
            Face::Regular => "GMREGU",
            Face::Bold => "GMBOLD",
            Face::Signs => "GMSIGN",
        }
        .into(),
    )
}

fn picture_id(index: usize) -> XObjectId {
    XObjectId(format!("Picture{index}"))
}

/// A JPEG as it came: what printpdf's own images do with it is to decode it and to lose a second time.
fn embedded(picture: &Picture) -> ExternalXObject {
    let name = |name: &str| DictItem::Name(name.as_bytes().to_vec());
    let entries = [
        ("Type", name("XObject")),
        ("Subtype", name("Image")),
        ("Width", DictItem::Int(picture.width.into())),
        ("Height", DictItem::Int(picture.height.into())),
        ("ColorSpace", name(if picture.grey { "DeviceGray" } else { "DeviceRGB" })),
        ("BitsPerComponent", DictItem::Int(8)),
        ("Filter", name("DCTDecode")),
    ];
    let dict = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ExternalXObject {
        stream: ExternalStream { dict, content: picture.jpeg.clone(), compress: false },
        width: Some(Px(picture.width as usize)),
        height: Some(Px(picture.height as usize)),
        dpi: None,
    }
}

fn dictionary<const N: usize>(entries: [(&str, DictItem); N]) -> DictItem {
    let map: BTreeMap<String, DictItem> =
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    DictItem::Dict { map }
}

/// Text outside of the pages: UTF-16 with its mark.
fn utf16(text: &str) -> Vec<u8> {
    let mut bytes = vec![0xfe, 0xff];
    bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    bytes
}

fn color(colour: Colour) -> Color {
    let part = |part: u8| (f32::from(part) / 255.0 * 1000.0).round() / 1000.0;
    Color::Rgb(Rgb { r: part(colour.0), g: part(colour.1), b: part(colour.2), icc_profile: None })
}

/// To a hundredth of a point: finer than any printer, and short in the file.
fn even(value: f32) -> f32 {
    (value * 100.0).round() / 100.0
}

fn outlined(form: &Form, mode: PaintMode) -> Op {
    match form {
        Form::Rect(area) => Op::DrawRectangle {
            rectangle: Rect {
                x: Pt(even(area.x)),
                y: Pt(even(PAGE_HEIGHT - area.bottom())),
                width: Pt(even(area.width)),
                height: Pt(even(area.height)),
                mode: Some(mode),
                winding_order: Some(WindingOrder::NonZero),
            },
        },
        Form::Rounded(area, radius) => polygon(rounded(*area, *radius), mode),
        Form::Circle(centre, radius) => {
            let side = 2.0 * radius;
            polygon(rounded(Area::new(centre.x - radius, centre.y - radius, side, side), *radius), mode)
        }
        Form::Polygon(spots) => polygon(spots.iter().map(|spot| point(*spot, false)).collect(), mode),
        Form::Line(spots) => Op::DrawLine {
            line: printpdf::Line {
                points: spots.iter().map(|spot| point(*spot, false)).collect(),
                is_closed: false,
            },
        },
    }
}

fn polygon(points: Vec<LinePoint>, mode: PaintMode) -> Op {
    let rings = vec![PolygonRing { points }];
    Op::DrawPolygon { polygon: Polygon { rings, mode, winding_order: WindingOrder::NonZero } }
}

fn point(at: Spot, bezier: bool) -> LinePoint {
    LinePoint { p: Point { x: Pt(even(at.x)), y: Pt(even(PAGE_HEIGHT - at.y)) }, bezier }
}

/// A rectangle with round corners: four straight lines, four quarters of a circle.
fn rounded(area: Area, radius: f32) -> Vec<LinePoint> {
    let radius = radius.min(area.width / 2.0).min(area.height / 2.0);
    let handle = radius * (1.0 - QUARTER);
    let (left, top, right, bottom) = (area.x, area.y, area.right(), area.bottom());
    let corner = |from: Spot, first: Spot, second: Spot, to: Spot| {
        [point(from, false), point(first, true), point(second, true), point(to, false)]
    };
    [
        corner(
            spot(right - radius, top),
            spot(right - handle, top),
            spot(right, top + handle),
            spot(right, top + radius),
        ),
        corner(
            spot(right, bottom - radius),
            spot(right, bottom - handle),
            spot(right - handle, bottom),
            spot(right - radius, bottom),
        ),
        corner(
            spot(left + radius, bottom),
            spot(left + handle, bottom),
            spot(left, bottom - handle),
            spot(left, bottom - radius),
        ),
        corner(
            spot(left, top + radius),
            spot(left, top + handle),
            spot(left + handle, top),
            spot(left + radius, top),
        ),
    ]
    .concat()
}

/// The page is what the layout takes it for.
const _: () =
    assert!(PAGE_WIDTH > 595.27 && PAGE_WIDTH < 595.29 && PAGE_HEIGHT > 841.88 && PAGE_HEIGHT < 841.9);
