//! The tree of what the parts of the pages are: headings, tables, figures (PDF 32000-1, 14.7 and 14.8).
//!
//! What is drawn is marked with a number that is its own on its page; the tree says which numbers belong to which part,
//! and a second table leads back from each number to its part.

use lopdf::{Dictionary, Document, Object, ObjectId, StringFormat, dictionary};

use super::utf16;
use crate::media::report::canvas::Tag;

struct Part {
    tag: Tag,
    parent: Option<usize>,
    children: Vec<Child>,
}

enum Child {
    Part(usize),
    /// What was drawn with that number on that page.
    Drawn {
        page: usize,
        number: i64,
    },
}

/// What has to be written before what is drawn next.
pub(super) struct Mark {
    /// Whether another mark has to be ended first.
    pub(super) ends_another: bool,
    /// The name of the part's kind.
    pub(super) tag: &'static str,
    /// The number on the page; `None` for decoration.
    pub(super) number: Option<i64>,
}

/// The tree, while it grows.
#[derive(Default)]
pub(super) struct Structure {
    parts: Vec<Part>,
    /// The parts that are open, the outermost first.
    open: Vec<usize>,
    /// What is drawn at present belongs to that part, or to none.
    marked: Option<Option<usize>>,
    /// For each page the parts to which its numbers belong.
    pages: Vec<Vec<usize>>,
}

impl Structure {
    pub(super) fn open(&mut self, tag: Tag) {
        let parent = self.open.last().copied();
        let index = self.parts.len();
        if let Some(parent) = parent {
            self.parts[parent].children.push(Child::Part(index));
        }
        self.parts.push(Part { tag, parent, children: Vec::new() });
        self.open.push(index);
    }

    pub(super) fn close(&mut self) {
        self.open.pop();
    }

    /// The mark that is due before something is drawn on that page, if it is another than the last one.
    pub(super) fn mark(&mut self, page: usize) -> Option<Mark> {
        let wanted = self.open.last().copied();
        if self.marked == Some(wanted) {
            return None;
        }
        let ends_another = self.marked.replace(wanted).is_some();
        let Some(part) = wanted else { return Some(Mark { ends_another, tag: "Artifact", number: None }) };
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, Vec::new);
        }
        let number = self.pages[page].len() as i64;
        self.pages[page].push(part);
        self.parts[part].children.push(Child::Drawn { page, number });
        Some(Mark { ends_another, tag: name(&self.parts[part].tag), number: Some(number) })
    }

    /// Ends the present mark; whether there was one.
    pub(super) fn end_mark(&mut self) -> bool {
        self.marked.take().is_some()
    }

    /// Writes the tree into a document with these pages; its root.
    pub(super) fn write(&self, document: &mut Document, pages: &[ObjectId]) -> ObjectId {
        let (root, whole, table) =
            (document.new_object_id(), document.new_object_id(), document.new_object_id());
        let parts: Vec<ObjectId> = self.parts.iter().map(|_| document.new_object_id()).collect();
        for (part, id) in self.parts.iter().zip(&parts) {
            let parent = part.parent.map_or(whole, |parent| parts[parent]);
            document.set_object(*id, element(part, parent, &parts, pages));
        }
        let top = self.parts.iter().zip(&parts).filter(|(part, _)| part.parent.is_none());
        let top: Vec<Object> = top.map(|(_, id)| Object::Reference(*id)).collect();
        document.set_object(whole, dictionary! { "S" => "Document", "P" => root, "K" => top });
        let mut numbers: Vec<Object> = Vec::new();
        for (page, marked) in self.pages.iter().enumerate() {
            let marked: Vec<Object> = marked.iter().map(|part| Object::Reference(parts[*part])).collect();
            numbers.push((page as i64).into());
            numbers.push(document.add_object(marked).into());
        }
        document.set_object(table, dictionary! { "Nums" => numbers });
        let next = self.pages.len() as i64;
        document.set_object(
            root,
            dictionary! {
                "Type" => "StructTreeRoot", "K" => whole, "ParentTree" => table, "ParentTreeNextKey" => next,
            },
        );
        root
    }
}

/// The name that PDF has for a kind of part.
fn name(tag: &Tag) -> &'static str {
    match tag {
        Tag::Title => "H1",
        Tag::Heading => "H2",
        Tag::Paragraph => "P",
        Tag::Figure(_) => "Figure",
        Tag::Table => "Table",
        Tag::Row => "TR",
        Tag::HeadCell => "TH",
        Tag::Cell => "TD",
    }
}

fn element(part: &Part, parent: ObjectId, parts: &[ObjectId], pages: &[ObjectId]) -> Dictionary {
    // The page is named once where all is on one, and with each number where it is not.
    let own_page = part.children.iter().find_map(|child| match child {
        Child::Part(_) => None,
        Child::Drawn { page, .. } => Some(*page),
    });
    let mut children: Vec<Object> = part
        .children
        .iter()
        .map(|child| match child {
            Child::Part(part) => Object::Reference(parts[*part]),
            Child::Drawn { page, number } if Some(*page) == own_page => (*number).into(),
            Child::Drawn { page, number } => {
                dictionary! { "Type" => "MCR", "Pg" => pages[*page], "MCID" => *number }.into()
            }
        })
        .collect();
    let mut element = dictionary! { "S" => name(&part.tag), "P" => parent };
    if let Some(page) = own_page {
        element.set("Pg", pages[page]);
    }
    if children.len() == 1 {
        element.set("K", children.remove(0));
    } else {
        element.set("K", children);
    }
    match &part.tag {
        Tag::Figure(alt) => element.set("Alt", Object::String(utf16(alt), StringFormat::Literal)),
        Tag::HeadCell => element.set("A", dictionary! { "O" => "Table", "Scope" => "Column" }),
        Tag::Title | Tag::Heading | Tag::Paragraph | Tag::Table | Tag::Row | Tag::Cell => {}
    }
    element
}
