//! What printpdf leaves open: the language, the outline with its places, dates with their zone, names that are the same
//! each time, the tree of the parts; and what it says without being asked, which is taken out.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;
use lopdf::{Dictionary, Document, Object, ObjectId, SaveOptions, StringFormat, dictionary};
use sha2::{Digest, Sha256};

use super::structure::Structure;
use super::{Bookmark, utf16};
use crate::media::report::ReportError;
use crate::media::report::canvas::PAGE_HEIGHT;

/// What the document says of itself.
pub(in crate::media::report) struct About {
    /// Its title, which is shown in the title bar.
    pub(in crate::media::report) title: String,
    /// About whom it is.
    pub(in crate::media::report) author: String,
    /// What it is, in a sentence.
    pub(in crate::media::report) subject: String,
    /// The tag of its language.
    pub(in crate::media::report) language: &'static str,
    /// When it was made, in its zone.
    pub(in crate::media::report) created: DateTime<Tz>,
    /// What no other document is called.
    pub(in crate::media::report) id: String,
}

/// Completes and writes a document.
pub(super) fn finish(
    mut document: Document,
    about: &About,
    bookmarks: &[Bookmark],
    structure: &Structure,
) -> Result<Vec<u8>, ReportError> {
    let wrong = |error: lopdf::Error| ReportError::Written(error.to_string());
    document.version = "1.7".into();
    let pages: Vec<ObjectId> = document.page_iter().collect();
    for (index, page) in pages.iter().enumerate() {
        let page = document.get_dictionary_mut(*page).map_err(wrong)?;
        page.remove(b"Annots");
        page.set("StructParents", index as i64);
        page.set("Tabs", "S");
    }
    let tree = structure.write(&mut document, &pages);
    let outline = outline(&mut document, bookmarks, &pages);
    let catalog = document.catalog_mut().map_err(wrong)?;
    catalog.set("Lang", Object::string_literal(about.language));
    catalog.set("ViewerPreferences", dictionary! { "DisplayDocTitle" => true });
    catalog.set("MarkInfo", dictionary! { "Marked" => true });
    catalog.set("StructTreeRoot", tree);
    if let Some(outline) = outline {
        catalog.set("Outlines", outline);
        catalog.set("PageMode", "UseOutlines");
    }
    let info = document.add_object(info(about));
    let old = document.trailer.get(b"Info").and_then(Object::as_reference).map_err(wrong)?;
    document.objects.remove(&old);
    document.trailer.set("Info", info);
    let name = Object::String(digest(about), StringFormat::Hexadecimal);
    document.trailer.set("ID", vec![name.clone(), name]);
    write(document)
}

/// Objects lie together and are compressed, or the tree of the parts would be larger than the pages.
fn write(mut document: Document) -> Result<Vec<u8>, ReportError> {
    document.compress();
    let options = SaveOptions::builder()
        .use_object_streams(true)
        .use_xref_streams(true)
        .max_objects_per_stream(200)
        .compression_level(6)
        .build();
    let mut bytes = Vec::new();
    let written = document.save_with_options(&mut bytes, options);
    written.map_err(|error| ReportError::Written(error.to_string()))?;
    Ok(bytes)
}

fn info(about: &About) -> Dictionary {
    let text = |text: &str| Object::String(utf16(text), StringFormat::Literal);
    let date = Object::string_literal(date(about.created));
    dictionary! {
        "Title" => text(&about.title),
        "Author" => text(&about.author),
        "Subject" => text(&about.subject),
        "Creator" => Object::string_literal(concat!("Gristmill ", env!("CARGO_PKG_VERSION"))),
        "Producer" => Object::string_literal("printpdf"),
        "CreationDate" => date.clone(),
        "ModDate" => date,
    }
}

/// A date with its zone: `D:20260719183005+03'00'`.
fn date(instant: DateTime<Tz>) -> String {
    let offset = instant.timezone().offset_from_utc_datetime(&instant.naive_utc()).fix();
    let minutes = offset.local_minus_utc() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let zone = format!("{sign}{:02}'{:02}'", minutes.abs() / 60, minutes.abs() % 60);
    format!("D:{}{zone}", instant.format("%Y%m%d%H%M%S"))
}

/// The name of the file: of what is in it, not of chance.
fn digest(about: &About) -> Vec<u8> {
    let mut digest = Sha256::new();
    digest.update(about.id.as_bytes());
    digest.update(about.created.timestamp_micros().to_be_bytes());
    digest.finalize()[..16].to_vec()
}

/// The outline, in the order in which the bookmarks were set, each leading to its place and not only to its page.
fn outline(document: &mut Document, bookmarks: &[Bookmark], pages: &[ObjectId]) -> Option<ObjectId> {
    let root = document.new_object_id();
    let ids: Vec<ObjectId> = bookmarks.iter().map(|_| document.new_object_id()).collect();
    let (first, last) = (*ids.first()?, *ids.last()?);
    for (index, bookmark) in bookmarks.iter().enumerate() {
        let top = Object::Real((PAGE_HEIGHT - bookmark.y).round());
        let place = vec![pages[bookmark.page].into(), "XYZ".into(), Object::Null, top, Object::Null];
        let mut line = dictionary! {
            "Title" => Object::String(utf16(&bookmark.title), StringFormat::Literal),
            "Parent" => root,
            "Dest" => place,
        };
        if let Some(before) = index.checked_sub(1) {
            line.set("Prev", ids[before]);
        }
        if let Some(after) = ids.get(index + 1) {
            line.set("Next", *after);
        }
        document.set_object(ids[index], line);
    }
    let count = ids.len() as i64;
    document.set_object(
        root,
        dictionary! { "Type" => "Outlines", "First" => first, "Last" => last, "Count" => count },
    );
    Some(root)
}
