//! Reports as other programs see them: qpdf, and what poppler makes of them. `./test` installs both; a test without its
//! tool fails, since a report that nobody else has read is not known to be one.

#![expect(clippy::unwrap_used, reason = "what surprises a test ends it")]

mod sample;
mod tools;

use gristmill::media::report::{
    Counter, Day, Holding, KindTotal, Language, Outcomes, Point, RecentTask, ReportData, Subject, draw,
};
use gristmill::task::{Attempt, Status, TaskId, Timestamp, UserId};
use tools::{Document, tool};

/// A square photograph, more or less.
fn photograph(side: u32) -> image::RgbImage {
    image::RgbImage::from_fn(side, side, |x, y| {
        let wave = |speed: f32, at: u32| (128.0 + 90.0 * (at as f32 * speed / side as f32).sin()) as u8;
        image::Rgb([wave(7.0, x), wave(5.0, y), wave(11.0, x + y) ^ ((x * 7 + y * 13) % 9) as u8])
    })
}

fn encoded(picture: &image::RgbImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn with_avatar(avatar: Vec<u8>) -> ReportData {
    ReportData { avatar: Some(avatar), ..sample::usual(Language::En) }
}

fn named(name: &str) -> ReportData {
    let mut data = sample::usual(Language::En);
    data.user.name = Some(name.parse().unwrap());
    data
}

#[test]
fn every_report_is_sound_in_the_eyes_of_qpdf() {
    for (name, data) in sample::all() {
        let said = Document::of(&data).run("qpdf", &["--check"]);
        assert!(said.contains("No syntax or stream encoding errors found"), "{name}: {said}");
        assert!(!said.contains("WARNING"), "{name}: {said}");
    }
}

#[test]
fn every_font_is_embedded_in_part_and_says_what_its_glyphs_mean() {
    for (name, data) in sample::all() {
        let said = Document::of(&data).run("pdffonts", &[]);
        let fonts: Vec<&str> = said.lines().skip(2).collect();
        assert!(fonts.len() >= 2, "{name}: {said}");
        for font in fonts {
            // The columns emb, sub and uni.
            let words: Vec<&str> = font.split_whitespace().collect();
            assert_eq!(words[words.len() - 5..words.len() - 2], ["yes", "yes", "yes"], "{name}: {said}");
        }
    }
}

#[test]
fn text_copies_out_as_it_was_written_in_every_script() {
    for (language, expected) in [
        (
            Language::Ru,
            ["Отчёт об активности", "Анна Сергеевна Кузнецова", "Доля побед", "61,3 %", "Выполнена"],
        ),
        (Language::En, ["Activity report", "Anna Kuznetsova", "Win ratio", "61.3%", "Completed"]),
    ] {
        let text = Document::of(&sample::usual(language)).text();
        for words in expected {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
    }
    for name in [
        "Żółć Ğüneş Ёжик Қазақ",
        "a → b ✓ ₽ №7 «x»",
        "山田太郎",
        "한글 ไทย",
        "😀 party",
        "ﬁne Straße",
        "e\u{328}\u{301}gale",
    ] {
        let text = Document::of(&named(name)).text();
        let copied: Vec<String> = ["nfc", "nfkc"].map(|form| normal(name, form)).into();
        let found = copied
            .iter()
            .any(|copied| normal(&text, "nfc").contains(copied) || normal(&text, "nfkc").contains(copied));
        assert!(found, "{name:?} is not in\n{text}");
    }
}

fn normal(text: &str, form: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    if form == "nfc" { text.nfc().collect() } else { text.nfkc().collect() }
}

#[test]
fn text_from_right_to_left_copies_in_the_order_of_speech() {
    for name in ["שלום עולם", "مرحبا", "ab גד"] {
        let text = Document::of(&named(name)).run("pdftotext", &["-enc", "UTF-8"]);
        // Poppler puts marks of direction around it.
        let text: String = text.chars().filter(|sign| !('\u{200b}'..='\u{202e}').contains(sign)).collect();
        assert!(text.contains(name), "{name:?} is not in\n{text}");
    }
}

#[test]
fn the_document_says_its_title_language_dates_and_parts_and_claims_nothing_else() {
    let data = sample::usual(Language::Ru);
    let document = Document::of(&data);
    let said = document.run("pdfinfo", &["-isodates"]);
    for expected in [
        "Отчёт об активности — Анна Сергеевна Кузнецова",
        "2026-07-19T18:30:05+03",
        "Tagged:          yes",
        "PDF version:     1.7",
        "595.276 x 841.89 pts (A4)",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    assert!(!said.contains("PDF subtype"), "no claim to be of a standard: {said}");
    let objects = document.objects();
    let catalog = tools::catalog(&objects);
    assert_eq!(catalog["/Lang"], "u:ru");
    assert_eq!(catalog["/ViewerPreferences"]["/DisplayDocTitle"], true);
    assert_eq!(catalog["/PageMode"], "/UseOutlines");
    let outline = tools::outline(&objects);
    let expected = [
        "Отчёт об активности",
        "Показатели",
        "Динамика",
        "Активность",
        "Задачи по видам",
        "Хранилище",
        "Последние задачи",
    ];
    assert_eq!(outline, expected);
    let all = objects.to_string();
    for claim in ["GTS_PDFX", "OutputIntents", "Trapped", "1970"] {
        assert!(!all.contains(claim), "{claim}");
    }
}

#[test]
fn the_parts_are_told_to_whoever_has_the_page_read_out() {
    let said = Document::of(&sample::usual(Language::En)).run("pdfinfo", &["-struct-text"]);
    for part in ["H1 (block)", "H2 (block)", "Table (block)", "Figure", "TH", "TD"] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    assert!(said.contains("\"Activity report\"") && said.contains("\"Anna Kuznetsova\""), "{said}");
}

#[test]
fn a_small_jpeg_goes_into_the_document_as_it_came() {
    let jpeg = encoded(&photograph(256), image::ImageFormat::Jpeg);
    let document = Document::of(&with_avatar(jpeg.clone()));
    assert_eq!(document.picture(), jpeg, "byte for byte");
    assert!(document.bytes().len() < 150_000, "{} bytes", document.bytes().len());
}

#[test]
fn a_large_or_lossless_picture_is_made_no_finer_than_print() {
    for (format, side) in
        [(image::ImageFormat::Jpeg, 1600), (image::ImageFormat::Png, 900), (image::ImageFormat::Png, 40)]
    {
        let document = Document::of(&with_avatar(encoded(&photograph(side), format)));
        let said = document.run("pdfimages", &["-list"]);
        let line: Vec<&str> = said.lines().nth(2).unwrap().split_whitespace().collect();
        // The columns width, height, encoding and dots an inch.
        assert_eq!(line[3], side.min(350).to_string(), "{said}");
        assert_eq!(line[3], line[4], "{said}");
        assert_eq!(line[8], "jpeg", "{said}");
        assert!(line[12].parse::<u32>().unwrap() <= 301, "{said}");
        assert!(document.bytes().len() < 150_000, "{} bytes", document.bytes().len());
    }
}

#[test]
fn an_avatar_that_is_no_picture_leaves_the_initials() {
    for broken in [b"<svg/>".to_vec(), encoded(&photograph(200), image::ImageFormat::Jpeg)[..3000].to_vec()] {
        let document = Document::of(&with_avatar(broken));
        assert_eq!(document.run("pdfimages", &["-list"]).lines().count(), 2);
        assert!(document.text().contains("AK"));
    }
}

#[test]
fn a_report_of_ten_thousand_tasks_stays_small() {
    let document = Document::of(&sample::crowded(Language::En));
    assert!(document.text().contains("and 9,800 more tasks that are not shown here"));
    assert!(document.bytes().len() < 200_000, "{} bytes", document.bytes().len());
}

/// What a process of its own writes here is compared by the test below.
const CHILD: &str = "GRISTMILL_TEST_REPORT_CHILD";

#[test]
fn equal_data_make_equal_bytes_in_every_process() {
    let data = with_avatar(encoded(&photograph(300), image::ImageFormat::Png));
    let drawn = draw(&data).unwrap();
    if let Some(path) = std::env::var_os(CHILD) {
        std::fs::write(path, drawn).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("child.pdf");
    let this = "equal_data_make_equal_bytes_in_every_process";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let ended = child.args(["--exact", this]).env(CHILD, &path).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(std::fs::read(&path).unwrap() == drawn, "another process drew other bytes");
}

/// The pages that are shown in docs/reports: a sample, its page, and whether it has an avatar.
const PICTURES: [(&str, u32, bool); 6] = [
    ("usual-ru", 1, true),
    ("usual-ru", 2, true),
    ("usual-ru", 3, true),
    ("usual-en", 1, false),
    ("empty-en", 1, false),
    ("hostile-en", 1, false),
];

/// With `UPDATE` set it makes them: see scripts/report-pictures.
#[test]
fn the_pictures_of_the_design_are_in_the_documentation_and_small() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reports");
    for (name, page, avatar) in PICTURES {
        let stem = folder.join(format!("{name}-{page}"));
        if std::env::var_os("UPDATE").is_some() {
            let mut data = sample::all().into_iter().find(|(sample, _)| *sample == name).unwrap().1;
            if avatar {
                data.avatar = Some(encoded(&photograph(300), image::ImageFormat::Jpeg));
            }
            Document::of(&data).render(page, &stem);
        }
        let path = stem.with_extension("png");
        let bytes = std::fs::read(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; make it with scripts/report-pictures", path.display())
        });
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!(
            (picture.width(), picture.height()),
            (695, 983),
            "A4 at 84 dots an inch: {}",
            path.display()
        );
        assert!(bytes.len() < 150_000, "{}: {} bytes", path.display(), bytes.len());
    }
}

#[test]
fn a_tool_that_is_not_there_fails_the_test_with_its_name() {
    let missing = std::panic::catch_unwind(|| tool("gristmill-no-such-tool")).unwrap_err();
    let said = missing.downcast_ref::<String>().unwrap();
    assert!(said.contains("gristmill-no-such-tool") && said.contains("./test"), "{said}");
}
