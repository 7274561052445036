//! What is drawn, seen through a canvas that writes everything down: that nothing leaves the paper, no text lies on
//! another, and every sign can be shown, whatever the data are.

#[path = "../../../tests/report/sample.rs"]
mod sample;

use super::canvas::{
    Area, Canvas, Colour, Face, Form, PAGE_HEIGHT, PAGE_WIDTH, Paint, Picture, Run, Spot, Tag,
};
use super::sheet::MARGIN;
use super::typeface::Typefaces;
use super::*;
use crate::task::{Attempt, Status, TaskId, Timestamp, UserId};

/// A text, and the space that it takes.
#[derive(Debug)]
struct Written {
    area: Area,
    said: String,
}

#[derive(Default)]
struct Page {
    texts: Vec<Written>,
    forms: Vec<Area>,
}

struct Recorder {
    faces: &'static Typefaces,
    pages: Vec<Page>,
    open: usize,
    bookmarks: Vec<String>,
    tags: Vec<Tag>,
}

impl Recorder {
    fn new() -> Self {
        let faces = Typefaces::get().unwrap();
        Self { faces, pages: Vec::new(), open: 0, bookmarks: Vec::new(), tags: Vec::new() }
    }

    fn of(data: &ReportData) -> Self {
        let report = Report::of(data).unwrap();
        let mut recorder = Self::new();
        let pages = sections::draw(&mut Blank(&Self::new()), &report, 0);
        assert_eq!(sections::draw(&mut recorder, &report, pages), pages);
        assert_eq!(recorder.pages.len(), pages);
        assert_eq!(recorder.open, 0, "every part was closed");
        recorder
    }

    fn said(&self) -> String {
        let texts = self.pages.iter().flat_map(|page| &page.texts);
        texts.map(|text| text.said.as_str()).collect::<Vec<_>>().join("\n").replace('\u{a0}', " ")
    }
}

fn bounds(spots: &[Spot]) -> Area {
    let over = |pick: fn(&Spot) -> f32| {
        let values = spots.iter().map(pick);
        (values.clone().fold(f32::MAX, f32::min), values.fold(f32::MIN, f32::max))
    };
    let ((left, right), (top, bottom)) = (over(|spot| spot.x), over(|spot| spot.y));
    Area::new(left, top, right - left, bottom - top)
}

impl Canvas for Recorder {
    fn advance(&self, face: Face, sign: char) -> Option<u16> {
        self.faces.face(face).advance(sign)
    }

    fn begin_page(&mut self) {
        self.pages.push(Page::default());
    }

    fn write(&mut self, at: Spot, size: f32, _: Colour, run: &Run) {
        let widths = run.shown.chars().map(|sign| {
            self.advance(run.face, sign).unwrap_or_else(|| panic!("{:?} has no {sign:?}", run.face))
        });
        let width: u32 = widths.map(u32::from).sum();
        assert_eq!(width, run.advance, "as wide as it was measured: {:?}", run.shown);
        assert!(size >= 6.5, "{size} points cannot be read");
        // From the top of a capital to a bit below the line.
        let area = Area::new(at.x, at.y - 0.72 * size, width as f32 * size / 1000.0, 0.9 * size);
        let said = run.said.clone().unwrap_or_else(|| run.shown.clone());
        self.pages.last_mut().unwrap().texts.push(Written { area, said });
    }

    fn draw(&mut self, form: &Form, _: Paint) {
        let area = match form {
            Form::Rect(area) | Form::Rounded(area, _) => *area,
            Form::Circle(centre, radius) => {
                Area::new(centre.x - radius, centre.y - radius, 2.0 * radius, 2.0 * radius)
            }
            Form::Polygon(spots) | Form::Line(spots) => bounds(spots),
        };
        self.pages.last_mut().unwrap().forms.push(area);
    }

    fn portrait(&mut self, _: &Picture, _: Spot, _: f32) {}

    fn bookmark(&mut self, title: &str, _: f32) {
        self.bookmarks.push(title.to_owned());
    }

    fn open(&mut self, tag: Tag) {
        self.open += 1;
        self.tags.push(tag);
    }

    fn close(&mut self) {
        self.open -= 1;
    }
}

fn overlap(one: Area, other: Area) -> bool {
    // A hair's breadth of rounding.
    let slack = 0.05;
    one.x + slack < other.right()
        && other.x + slack < one.right()
        && one.y + slack < other.bottom()
        && other.y + slack < one.bottom()
}

#[test]
fn nothing_leaves_the_paper_and_no_text_lies_on_another() {
    for (name, data) in sample::all() {
        let drawn = Recorder::of(&data);
        for (number, page) in drawn.pages.iter().enumerate() {
            for form in &page.forms {
                let on_paper = form.x >= -0.01
                    && form.y >= -0.01
                    && form.right() <= PAGE_WIDTH + 0.01
                    && form.bottom() <= PAGE_HEIGHT + 0.01
                    && form.width >= 0.0
                    && form.height >= 0.0;
                assert!(on_paper, "{name}, page {}: {form:?}", number + 1);
            }
            for (index, text) in page.texts.iter().enumerate() {
                let within = text.area.x >= MARGIN - 0.1
                    && text.area.right() <= PAGE_WIDTH - MARGIN + 0.1
                    && text.area.y >= MARGIN - 0.1
                    && text.area.bottom() <= PAGE_HEIGHT - MARGIN + 2.0;
                assert!(within, "{name}, page {}: {text:?} leaves the margins", number + 1);
                let under = page.texts[..index].iter().find(|other| overlap(text.area, other.area));
                assert!(under.is_none(), "{name}, page {}: {text:?} on {under:?}", number + 1);
            }
        }
    }
}

#[test]
fn a_usual_report_says_what_is_in_its_data() {
    let russian = Recorder::of(&sample::usual(Language::Ru)).said();
    for said in [
        "Отчёт об активности",
        "Анна Сергеевна Кузнецова",
        "anna@example.com",
        "с нами с 2 ноября 2025",
        "Сессии",
        "1284",
        "Доля побед",
        "61,3 %",
        "10 д 13 ч",
        "Boss fights",
        "transcode",
        "1255",
        "5,3 ГБ",
        "Страница 1 из 4",
        "Страница 4 из 4",
        "Составлен 19 июля 2026, 18:30 (Europe/Moscow, UTC+3)",
        "и ещё 2535 задач, которые здесь не показаны",
        "прочие",
        "по видам",
        "Хранимое сейчас, по дням поступления",
    ] {
        assert!(russian.lines().any(|line| line.contains(said)), "{said:?} is not in\n{russian}");
    }
    let english = Recorder::of(&sample::usual(Language::En)).said();
    for said in [
        "Activity report",
        "61.3%",
        "1,284",
        "5.3 GB",
        "Page 2 of 4",
        "and 2,535 more tasks that are not shown here",
    ] {
        assert!(english.lines().any(|line| line.contains(said)), "{said:?} is not in\n{english}");
    }
    assert!(!english.chars().any(|sign| ('а'..='я').contains(&sign)), "{english}");
}

#[test]
fn an_empty_report_says_that_there_is_nothing_and_no_mail_that_was_not_given() {
    let drawn = Recorder::of(&sample::empty(Language::En));
    let said = drawn.said();
    for sentence in [
        "There are no figures yet.",
        "There is no history of the figures yet.",
        "There were no tasks in these days.",
        "Nothing is kept yet.",
        "User 7",
    ] {
        assert!(said.contains(sentence), "{sentence:?} is not in\n{said}");
    }
    assert_eq!(drawn.pages.len(), 1);
    assert!(!said.contains('@'), "{said}");
}

#[test]
fn what_is_too_much_is_left_out_and_counted() {
    let drawn = Recorder::of(&sample::crowded(Language::En));
    let said = drawn.said();
    assert!(said.contains("and 9,800 more tasks that are not shown here"), "{said}");
    assert!(said.contains("and 76 more figures"), "{said}");
    assert!(drawn.pages.len() <= 12, "{} pages", drawn.pages.len());
    let heads = said.lines().filter(|line| *line == "Note").count();
    assert!(heads >= 4 && heads < drawn.pages.len(), "the head of the table comes again: {heads} times");
}

#[test]
fn every_section_is_in_the_outline_and_every_figure_has_its_words() {
    let drawn = Recorder::of(&sample::usual(Language::En));
    let expected =
        ["Activity report", "Figures", "Over time", "Activity", "Tasks by kind", "Storage", "Recent tasks"];
    assert_eq!(drawn.bookmarks, expected);
    let words: Vec<&String> = drawn
        .tags
        .iter()
        .filter_map(|tag| match tag {
            Tag::Figure(words) => Some(words),
            Tag::Title
            | Tag::Heading
            | Tag::Paragraph
            | Tag::Table
            | Tag::Row
            | Tag::HeadCell
            | Tag::Cell => None,
        })
        .collect();
    assert!(words.len() >= 7 && words.iter().all(|words| words.len() > 5), "{words:?}");
}

#[test]
fn equal_data_make_equal_bytes_and_other_data_others() {
    let data = sample::usual(Language::Ru);
    let drawn = draw(&data).unwrap();
    assert_eq!(drawn, draw(&data.clone()).unwrap());
    let other = ReportData { id: "another".into(), ..data };
    assert_ne!(drawn, draw(&other).unwrap());
}

#[test]
fn a_report_of_no_year_is_refused_in_words() {
    let created_at = Timestamp::from_micros(i64::MAX);
    let error = draw(&ReportData { created_at, ..sample::empty(Language::En) }).unwrap_err();
    assert!(error.to_string().contains("only the years 0 to 9999"), "{error}");
}
