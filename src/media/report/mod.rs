//! Reports: what is known of a user and their work, as pages to print.
//!
//! [`ReportData`] goes in, a PDF comes out ([`draw`]). The kind that makes reports is the caller, from a compute thread; it
//! gathers the data, and nothing here asks for any.
//!
//! What is true: equal data make equal bytes, in every process. Whatever is in the data, every text lies within the
//! margins, none over another, and is shown by signs that the fonts have. What is drawn is bounded, whatever the data
//! are. The pages (`sections`) speak to a canvas of ours, and only `pdf` knows the crate that writes PDFs
//! (`docs/adr/0013-reports-drawn-with-printpdf.md`).

mod axis;
mod blank;
mod canvas;
mod data;
mod figure;
mod joining;
mod pdf;
mod portrait;
mod sections;
mod sheet;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod typeface;
mod words;
mod written;

use chrono::DateTime;
use chrono_tz::Tz;

pub use data::{
    Counter, Day, Holding, KindTotal, Language, Outcomes, Point, RecentTask, ReportData, Subject,
};

use blank::Blank;
use canvas::Picture;
use pdf::{About, Paper};
use words::Words;
use written::local;

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The fonts in the program cannot be read.
    #[error("the fonts of the reports cannot be read: this build is broken")]
    Font,
    /// The time of creation is beyond the years 0 to 9999.
    #[error("a report cannot be dated {0}: only the years 0 to 9999 have dates")]
    Date(crate::task::Timestamp),
    /// The document could not be written.
    #[error("the report could not be written: {0}")]
    Written(String),
}

/// A report that is about to be drawn: the data, and what is made of them once.
struct Report<'a> {
    data: &'a ReportData,
    words: &'static Words,
    created: DateTime<Tz>,
    /// What the user is called here.
    name: String,
    /// When the report was made, for the foot of the pages.
    made: String,
    portrait: Option<Picture>,
}

/// Draws a report: a PDF, version 1.7, of about 20 to 150 kB.
///
/// # Errors
/// [`ReportError`]; nothing in the data but a date beyond the calendar leads to one.
pub fn draw(data: &ReportData) -> Result<Vec<u8>, ReportError> {
    let report = Report::of(data)?;
    let mut paper = Paper::new()?;
    let pages = sections::draw(&mut Blank(&paper), &report, 0);
    sections::draw(&mut paper, &report, pages);
    paper.finish(&report.about())
}

impl<'a> Report<'a> {
    fn of(data: &'a ReportData) -> Result<Self, ReportError> {
        let words = Words::of(data.language);
        let created = local(data.created_at, data.time_zone).ok_or(ReportError::Date(data.created_at))?;
        let user = &data.user;
        let name = user.name.as_ref().map(|name| text::clean(name.as_str())).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| format!("{}\u{a0}{}", words.user, user.id));
        let made = format!("{} {}", words.made, words.full_moment(created));
        let portrait = data.avatar.as_deref().and_then(portrait::picture);
        Ok(Self { data, words, created, name, made, portrait })
    }

    /// What the document says of itself.
    fn about(&self) -> About {
        About {
            title: format!("{} — {}", self.words.title, self.name),
            author: self.name.clone(),
            subject: self.words.subject.to_owned(),
            language: self.data.language.tag(),
            created: self.created,
            id: self.data.id.clone(),
        }
    }
}
