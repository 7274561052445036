//! Pictures of every page, as they stand in `docs/screenshots`: made by `scripts/screenshots`, kept small.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::browser::{Browser, DESKTOP, PHONE};
use crate::sights::{NAMES, Names, Sights, Viewer};

/// As much as all of them may take together.
const MOST: u64 = 3 << 20;

/// Eight pictures on one sheet: a row a language; the desktop and then the phone, each in light and dark.
const SHEET: &str = "const [pictures, desktop, phone, gap] = arguments;
    const images = await Promise.all(pictures.map(async (bytes) => {
        const image = new Image();
        image.src = 'data:image/png;base64,' + bytes;
        await image.decode();
        return image;
    }));
    const row = Math.max(desktop[1], phone[1]);
    const sheet = new OffscreenCanvas(2 * (desktop[0] + phone[0]) + 5 * gap, 2 * row + 3 * gap);
    const pen = sheet.getContext('2d');
    pen.fillStyle = '#888';
    pen.fillRect(0, 0, sheet.width, sheet.height);
    images.forEach((image, at) => {
        const [column, line] = [at % 4, Math.floor(at / 4)];
        const left = [0, desktop[0], 2 * desktop[0], 2 * desktop[0] + phone[0]][column];
        pen.drawImage(image, left + gap * (column + 1), gap + line * (row + gap));
    });
    const blob = await sheet.convertToBlob({ type: 'image/webp', quality: 0.6 });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    let text = '';
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);";

/// Waits until all is there that is to be seen.
const SETTLED: &str = "await document.fonts.ready;
    for (const image of document.images) image.loading = 'eager';
    await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots")
}

/// A sheet of one page.
async fn sheet(browser: &Browser, sights: &Sights, name: &str, path: &str) -> Vec<u8> {
    let mut pictures = Vec::new();
    for language in ["en", "ru"] {
        for size in [DESKTOP, PHONE] {
            for dark in [false, true] {
                browser.language(language).await;
                browser.colours(dark).await;
                browser.size(size).await;
                browser.open(&sights.world.at(path)).await;
                if name == "api" {
                    browser.one(".opblock-tag").await;
                }
                browser.wait_for(SETTLED, json!([])).await;
                pictures.push(STANDARD.encode(browser.picture(size, "png", 0.5).await));
            }
        }
    }
    browser.open("about:blank").await;
    let half = |(width, height): (u32, u32)| [width / 2, height / 2];
    let made = browser.wait_for(SHEET, json!([pictures, half(DESKTOP), half(PHONE), 8])).await;
    STANDARD.decode(made.as_str().unwrap()).unwrap()
}

async fn make() {
    let sights = Sights::prepare(&Names::usual()).await;
    let browser = Browser::start().await;
    std::fs::create_dir_all(folder()).unwrap();
    for viewer in [Viewer::Nobody, Viewer::User, Viewer::Admin] {
        sights.become_one(&browser, viewer).await;
        for page in sights.of(viewer) {
            let made = sheet(&browser, &sights, page.name, &page.path).await;
            std::fs::write(folder().join(format!("{}.webp", page.name)), made).unwrap();
        }
    }
}

/// With `UPDATE` set it makes them: see scripts/screenshots.
#[tokio::test]
async fn there_is_a_small_picture_of_every_page_in_the_documentation_and_of_no_other() {
    if std::env::var_os("UPDATE").is_some() {
        make().await;
    }
    let entries = std::fs::read_dir(folder()).unwrap_or_else(|error| {
        panic!("{}: {error}; make the pictures with scripts/screenshots", folder().display())
    });
    let entries: Vec<_> = entries.map(|entry| entry.unwrap()).collect();
    let mut there: Vec<String> =
        entries.iter().map(|entry| entry.file_name().into_string().unwrap()).collect();
    let mut wanted: Vec<String> = NAMES.iter().map(|name| format!("{name}.webp")).collect();
    wanted.push("README.md".to_owned());
    there.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(there, wanted, "make the pictures with scripts/screenshots");
    let bytes: u64 = entries.iter().map(|entry| entry.metadata().unwrap().len()).sum();
    assert!(bytes < MOST, "{bytes} bytes");
    let page = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for name in NAMES {
        assert!(page.contains(&format!("({name}.webp)")), "docs/screenshots/README.md does not show {name}");
    }
}
