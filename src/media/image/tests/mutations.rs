//! Pictures with bytes changed at random: no panic, and what the gate lets through keeps its promises.

use proptest::prelude::*;

use super::make;
use super::*;

fn seeds() -> Vec<Vec<u8>> {
    let exif = [b"Exif\0\0", &make::camera(true, 6)[..]].concat();
    let plain = make::jpeg(21, 17, make::Jpeg { progressive: true, ..make::Jpeg::default() });
    vec![
        make::jpeg_with(&plain, &[make::segment(0xe1, &exif)]),
        make::png_with(&make::png(21, 17, false), &[make::chunk(b"eXIf", &make::camera(false, 8))]),
        make::apng(9, 7, true),
        make::gif(9, 7, 3),
        make::webp(21, 17),
        make::animated_webp(9, 7),
        make::avif("told"),
        make::avif("clear_grid"),
        make::avif("limited420"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_picture_is_refused_or_keeps_every_promise(
        seed in 0_usize..9,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let mut bytes = seeds().swap_remove(seed);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some((from, to)) = cut {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            // A piece goes, or comes twice when it ends before it begins.
            bytes = [&bytes[..from], &bytes[to..]].concat();
        }
        keeps_its_promises(&bytes);
    }

    #[test]
    fn bytes_without_sense_behind_a_signature_are_refused_or_keep_every_promise(
        start in prop::sample::select(vec![
            &b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x40\0\0\0WEBPVP8X", b"RIFF\x40\0\0\0WEBPVP8L",
            b"\0\0\0\x10ftypavif\0\0\0\0",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        keeps_its_promises(&[start, &bytes].concat());
    }
}

fn keeps_its_promises(bytes: &[u8]) {
    let Ok(header) = look(bytes) else { return };
    assert!(header.width > 0 && header.height > 0 && header.frames > 0);
    assert!(u64::from(header.width) * u64::from(header.height) <= limits().pixels);
    assert!(header.price <= limits().memory);
    let stripped = strip(bytes, &header, false).unwrap();
    assert!(stripped.bytes.len() <= bytes.len() + 64, "it grew");
    let unpriced = Limits { memory: u64::MAX, ..limits() };
    let after = inspect(&stripped.bytes, &unpriced).unwrap();
    assert_eq!(Header { price: 0, ..after.clone() }, Header { price: 0, ..header });
    let again = strip(&stripped.bytes, &after, false).unwrap();
    assert!(again.bytes == stripped.bytes && again.removed.is_empty(), "{:?}", again.removed);
}
