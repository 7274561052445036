//! The bodies of the fuzz targets, on bytes that are changed at random: they cannot rot, and every run of the tests
//! tries some. `cargo fuzz` looks further; see CONTRIBUTING.md.
//!
//! `FUZZ_SECONDS` makes each target run for so long instead of a fixed number of times.

#[path = "../../fuzz/bodies/base64_text.rs"]
mod base64_text;
mod change;
#[path = "../../fuzz/bodies/file_names.rs"]
mod file_names;
#[path = "../../fuzz/bodies/image_gate.rs"]
mod image_gate;
#[path = "../../src/media/image/tests/make.rs"]
#[expect(dead_code, reason = "the tests of the gate use more of it")]
mod make;
#[path = "../../fuzz/bodies/ranges.rs"]
mod ranges;

use change::try_many;

#[test]
fn the_gate_of_images_keeps_its_promises() {
    let exif = [b"Exif\0\0", &make::camera(true, 6)[..]].concat();
    let plain = make::jpeg(21, 17, make::Jpeg { progressive: true, restarts: true, halved: true });
    let profile = make::chunk(b"iCCP", &[b"colours\0\0", &make::stored(b"a profile")[..]].concat());
    let text = make::chunk(b"zTXt", b"Comment\0\0text");
    let seeds = vec![
        make::jpeg_with(&plain, &[make::segment(0xe1, &exif), make::segment(0xfe, b"words")]),
        make::jpeg(9, 7, make::Jpeg::default()),
        make::png_with(
            &make::png(9, 7, true),
            &[make::chunk(b"eXIf", &make::camera(false, 8)), profile, text],
        ),
        make::interlaced(9, 7, false),
        make::apng(9, 7, true),
        make::gif_with(&make::gif(5, 4, 3), &[make::extension(0xfe, &[b"words"])]),
        [make::gif_head(9, 7), make::gif_frame(9, 7).repeat(4), vec![0x3b]].concat(),
        make::webp(9, 7),
        make::animated_webp(9, 7),
        make::avif("told"),
        make::avif("clear_grid"),
        make::avif("plain420"),
    ];
    try_many(&seeds, 20_000, image_gate::run);
}

#[test]
fn conditions_and_ranges_give_what_lies_in_the_file() {
    let seeds = [
        "100\nrbytes=0-9".to_owned(),
        "100\nrbytes=-5\ni\"ab12\"".to_owned(),
        format!("9\nrbytes=3-\nn\"x\", W/{}\nm*", ranges::TAG),
        format!("\nrbytes=0-\nm{}, \"y\"", ranges::TAG),
    ];
    try_many(&seeds.map(String::into_bytes), 200_000, ranges::run);
}

#[test]
fn a_file_in_base64_is_the_one_that_was_sent_or_none() {
    let seeds = [
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
        "data:image/png;base64,iVBORw0KGgo=",
        "DATA:;charset=x;BASE64, QUJD\r\nQUI",
        "-_-_ab+/",
        "QQ",
    ];
    try_many(&seeds.map(|seed| seed.as_bytes().to_vec()), 100_000, base64_text::run);
}

#[test]
fn a_name_of_a_file_is_harmless_and_read_back_as_it_is_told() {
    let long = format!("attachment; filename=\"{}.jpeg\"", "a".repeat(254));
    let seeds = [
        "form-data; name=\"file\"; filename=\"../a b.png\"",
        "attachment; filename=\"a\"; filename*=UTF-8''%D0%B3%0D%0A%e2%80%ae.tar.gz",
        "inline; filename=C:\\x\\..; filename*=iso-8859-1'en'%e4",
        "..\u{2028}\u{202e}\u{feff}ж.p ",
        &long,
    ];
    try_many(&seeds.map(|seed| seed.as_bytes().to_vec()), 100_000, file_names::run);
}
