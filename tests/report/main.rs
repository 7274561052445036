//! Reports.

mod sample;

use gristmill::media::report::{Language, draw};

#[test]
fn looks() {
    let out = std::env::var("OUT").unwrap();
    for (name, data) in [
        ("usual-ru", sample::usual(Language::Ru)),
        ("usual-en", sample::usual(Language::En)),
        ("empty-ru", sample::empty(Language::Ru)),
    ] {
        let began = std::time::Instant::now();
        let bytes = draw(&data).unwrap();
        eprintln!("{name} {} {:?}", bytes.len(), began.elapsed());
        std::fs::write(format!("{out}/{name}.pdf"), bytes).unwrap();
    }
}
