//! Rules of all pages, checked on the templates themselves.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Every template, by its name.
fn templates() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/pages/templates");
    let (mut open, mut found) = (vec![root], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let inside = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            open.extend(inside.collect::<Vec<PathBuf>>());
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(!found.is_empty());
    found
}

/// The template without what stands between `open` and `close`.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once(open) {
        kept.push_str(before);
        rest = after.split_once(close).map_or("", |(_, after)| after);
    }
    kept + rest
}

/// What a template itself would say to somebody: the text between its tags, and the attributes that are read out.
fn said(template: &str) -> Vec<String> {
    let bare = without(&without(&without(template, "{#", "#}"), "{%", "%}"), "{{", "}}");
    let mut said = vec![without(&without(&bare, "<svg", "</svg>"), "<", ">")];
    for name in ["aria-label", "alt", "title", "placeholder", "label", "content", "data-label"] {
        let mark = format!(" {name}=\"");
        let attributes = bare.split(&mark).skip(1);
        said.extend(attributes.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()));
    }
    said
}

/// What needs no translation.
const NAMES: &[&str] = &[
    "Gristmill",
    "width=device-width, initial-scale=1",
    "URL",
    "Markdown",
    "HTML",
    "BBCode",
    "MP3",
    "WAV",
    "PDF",
];

fn words_of(template: &str) -> Vec<String> {
    let mut words = Vec::new();
    for text in said(template) {
        let text = NAMES.iter().fold(text, |text, name| text.replace(name, ""));
        let entities =
            ["&amp;", "&nbsp;", "&lt;", "&gt;"].iter().fold(text, |text, entity| text.replace(entity, ""));
        words.extend(
            entities.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_owned),
        );
    }
    words
}

#[test]
fn all_that_a_template_says_comes_from_the_words() {
    for (name, text) in templates() {
        assert_eq!(words_of(&text), Vec::<String>::new(), "{name}");
    }
    assert_eq!(words_of("<p title=\"Hi\">{{ w.a }} there{% if x == \"no\" %}</p>"), ["there", "Hi"]);
}

#[test]
fn a_template_has_neither_style_nor_script_in_it() {
    for (name, text) in templates() {
        let text = text.to_lowercase();
        assert!(!text.contains(" style=") && !text.contains("<style"), "{name}");
        assert!(!text.contains("javascript:") && !text.contains("|safe"), "{name}");
        for script in text.split("<script").skip(1) {
            assert!(script.split('>').next().unwrap_or_default().contains("src="), "{name}");
        }
        let handlers = text.split_whitespace().filter(|part| part.starts_with("on") && part.contains("=\""));
        assert_eq!(handlers.count(), 0, "{name}");
    }
}

#[test]
fn only_a_place_of_ours_is_led_back_to() {
    for ours in ["/", "/tasks?status=New&after=5", "/images/x.png/page", "/a?next=//b"] {
        assert_eq!(local(ours).as_deref(), Some(ours));
    }
    let long = format!("/{}", "x".repeat(2_000));
    for other in [
        "",
        "tasks",
        "//evil.example",
        "/\\evil.example",
        "/a\\b",
        "https://evil.example",
        "/a b",
        "/\t/evil",
        "/\r\nx: y",
        "/ж",
        &long,
    ] {
        assert_eq!(local(other), None, "{other}");
    }
    assert_eq!(login_with("/tasks?a=b"), "/login?next=%2Ftasks%3Fa%3Db");
    assert_eq!(login_with("//evil.example"), "/login");
    assert_eq!(login_with("/images/a/page?token=b"), "/login?next=%2Fimages%2Fa%2Fpage");
    assert_eq!(login_with("/a?token=b&c=d"), "/login?next=%2Fa%3Fc%3Dd");
}

#[test]
fn no_page_stands_twice() {
    let mut keys: Vec<(&str, bool)> = all().map(|page| (page.path, page.way == Way::Shown)).collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
}
