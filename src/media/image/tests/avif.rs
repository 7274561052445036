//! AVIF: what another decoder sees, what is taken out, and boxes that lie.

use super::make::{AVIFS, Avif, LARGE_AVIFS, avif, boxed, camera, full_box, large_avif};
use super::*;
use crate::media::image::decode::push_avif;
use crate::media::image::pixels::{Layout, Rows, Source};

/// The rows that come, and what they are.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) source: Option<Source>,
    pub(super) rows: Vec<u8>,
}

impl Rows for Seen {
    fn begin(&mut self, source: Source) {
        self.source = Some(source);
    }
    fn row(&mut self, row: &[u8]) -> Result<(), ImageError> {
        self.rows.extend_from_slice(row);
        Ok(())
    }
}

/// Decodes it here, which only what is sound may be.
pub(super) fn seen(bytes: &[u8]) -> Result<(Source, Vec<u8>), ImageError> {
    let mut seen = Seen::default();
    push_avif(bytes, &mut seen)?;
    Ok((seen.source.unwrap(), seen.rows))
}

/// Red, green, blue and alpha.
fn rgba(layout: Layout, rows: &[u8]) -> Vec<[u8; 4]> {
    let pixel = |pixel: &[u8]| match *pixel {
        [grey] => [grey, grey, grey, 255],
        [grey, alpha] => [grey, grey, grey, alpha],
        [red, green, blue] => [red, green, blue, 255],
        [red, green, blue, alpha] => [red, green, blue, alpha],
        _ => unreachable!(),
    };
    rows.chunks_exact(layout.channels()).map(pixel).collect()
}

/// The data of the file's only item.
fn data_of(name: &str) -> Vec<u8> {
    let bytes = avif(name);
    let at = bytes.windows(4).position(|kind| kind == b"mdat").unwrap();
    // What says that a picture begins is not written anew.
    bytes[at + 4..].strip_prefix(&[0x12, 0]).unwrap().to_vec()
}

/// A file of that data, of 43 by 29, as `limited420` has it.
fn still() -> Avif {
    let mut still = Avif::still(&data_of("limited420"), 43, 29);
    still.properties[1] = boxed(b"av1C", &[0x81, 0, 0x4c, 0]);
    still
}

#[test]
fn what_we_see_is_what_another_decoder_sees() {
    for (name, bytes) in AVIFS {
        let path = format!("{}/src/media/image/tests/avif/{name}.png", env!("CARGO_MANIFEST_DIR"));
        let reference = image::open(path).unwrap().into_rgba8();
        let (source, rows) = seen(bytes).unwrap();
        assert_eq!((source.width, source.height), reference.dimensions(), "{name}");
        let ours = rgba(source.layout, &rows);
        assert_eq!(ours.len(), reference.pixels().len());
        let (mut far, mut most, mut count) = (0, 0, 0);
        for (ours, theirs) in ours.iter().zip(reference.pixels()) {
            // Colours that were multiplied by little are known by little; theirs are rounded before they are divided.
            if *name == "multiplied" && theirs.0[3] < 128 {
                continue;
            }
            for (ours, theirs) in ours.iter().zip(theirs.0) {
                let off = ours.abs_diff(theirs);
                most = most.max(off);
                far += u32::from(off > 2);
                count += 1;
            }
        }
        // Theirs takes a short cut for eight bits, and knows the neighbours of a tile.
        let share = if *name == "multiplied" { 10 } else { 200 };
        assert!(
            most <= 5 && far * share <= count,
            "{name}: {most} at most, {far} of {count} off by more than 2"
        );
    }
}

#[test]
fn the_headers_tell_what_the_picture_is() {
    for (name, bytes) in AVIFS {
        let sides = if name.ends_with("grid") { (128, 128) } else { (43, 29) };
        let orientation = if *name == "told" { 5 } else { 1 };
        assert_eq!(told(bytes), (sides.0, sides.1, 1, orientation), "{name}");
    }
    for name in LARGE_AVIFS {
        let header = look(&large_avif(name)).unwrap();
        assert!(
            header.price > u64::from(header.width) * u64::from(header.height),
            "{name}: {}",
            header.price
        );
    }
    for (turns, mirror, orientation) in [
        (0, None, 1),
        (1, None, 8),
        (2, None, 3),
        (3, None, 6),
        (0, Some(0), 4),
        (1, Some(0), 5),
        (2, Some(0), 2),
        (3, Some(0), 7),
        (0, Some(1), 2),
        (1, Some(1), 7),
        (2, Some(1), 4),
        (3, Some(1), 5),
    ] {
        let mut file = still();
        file.properties.push(boxed(b"irot", &[turns]));
        file.told[0].push(0x83);
        if let Some(mirror) = mirror {
            file.properties.push(boxed(b"imir", &[mirror]));
            file.told[0].push(0x84);
        }
        assert_eq!(told(&file.bytes()), (43, 29, 1, orientation), "{turns} {mirror:?}");
    }
}

#[test]
fn colours_that_are_not_those_of_srgb_come_with_a_profile() {
    for (name, profiled) in
        [("full444", false), ("limited420", false), ("p3", true), ("bt2020", true), ("grey400", false)]
    {
        let (source, _) = seen(&avif(name)).unwrap();
        assert_eq!(source.profile.is_some(), profiled, "{name}");
        if let Some(profile) = source.profile {
            moxcms::ColorProfile::new_from_slice(&profile).unwrap();
        }
    }
    let mut file = still();
    file.properties.push(boxed(b"colr", b"profcolours of it"));
    file.told[0].push(3);
    let bytes = file.bytes();
    let (source, _) = seen(&bytes).unwrap();
    assert_eq!(source.profile.as_deref(), Some(&b"colours of it"[..]));
    assert!(bared(&bytes).bytes == bytes, "and it stays");
}

#[test]
fn places_texts_and_small_pictures_go_and_what_the_picture_is_stays() {
    assert_eq!(bared(&avif("told")).removed, [Removed::Exif, Removed::Gps, Removed::Xmp]);
    let plain = still();
    assert!(bared(&plain.bytes()).bytes == plain.bytes() && bared(&plain.bytes()).removed.is_empty());
    let exif = [&[0, 0, 0, 0][..], &camera(true, 6)].concat();
    type Beside<'a> = (&'a [u8; 4], &'a [u8], &'static [u8; 4], &'a [Removed]);
    let items: [Beside<'_>; 5] = [
        (b"Exif", &exif, b"cdsc", &[Removed::Exif, Removed::Gps, Removed::Thumbnail]),
        (b"mime", b"<x:xmpmeta>secret", b"cdsc", &[Removed::Xmp]),
        (b"av01", b"secret", b"thmb", &[Removed::Thumbnail]),
        (b"tmap", b"secret", b"dimg", &[Removed::Application]),
        (b"Exif", b"\xff\xff\xff\xffsecret", b"cdsc", &[Removed::Exif]),
    ];
    for (kind, data, way, removed) in items {
        let mut file = still();
        file.items.push((*kind, data.to_vec()));
        file.told.push(Vec::new());
        file.references.push((way, 2, vec![1]));
        let stripped = bared(&file.bytes());
        assert_eq!(stripped.removed, removed, "{}", kind.escape_ascii());
        assert!(stripped.bytes == plain.bytes());
    }
    for (behind, removed) in [
        (boxed(b"free", &[0; 90]), None),
        (boxed(b"free", b"secret"), Some(Removed::Application)),
        (boxed(b"uuid", b"secret"), Some(Removed::Application)),
        (boxed(b"mdat", b"secret"), Some(Removed::Application)),
        (b"PK\x03\x04 secret".to_vec(), Some(Removed::Trailer)),
    ] {
        let stripped = bared(&Avif { behind, ..still() }.bytes());
        assert!(stripped.removed.iter().eq(removed.iter()) && stripped.bytes == plain.bytes(), "{removed:?}");
    }
}

#[test]
fn what_hides_in_the_data_of_the_picture_or_beside_its_properties_goes() {
    let plain = still();
    let mut file = still();
    // Metadata of programs, padding, and a unit of no kind.
    for (head, data) in [(0x2a, &b"\x04secret"[..]), (0x7a, b"secret"), (0x4a, b"secret")] {
        file.items[0].1.extend([&[head, data.len() as u8][..], data].concat());
    }
    file.properties.push(boxed(b"free", b"secret"));
    file.properties[1].extend(b"secret");
    file.properties[1][3] += 6;
    file.told[0].push(3);
    let stripped = bared(&file.bytes());
    assert!(stripped.removed == [Removed::Application] && stripped.bytes == plain.bytes());
}

#[test]
fn tiles_that_are_the_same_bytes_stay_so() {
    let tile = data_of("limited420");
    let mut file = Avif::grid(&tile, 43, (1, 1));
    file.properties[0] = Avif::size(43, 29);
    file.properties[2] = Avif::size(43, 29);
    file.properties[1] = boxed(b"av1C", &[0x81, 0, 0x4c, 0]);
    file.items[0].1 = vec![0, 0, 0, 0, 0, 43, 0, 29];
    let bytes = file.bytes();
    assert!(bared(&bytes).bytes.len() <= bytes.len() + 8);
    assert!(seen(&bytes).unwrap().1 == seen(&still().bytes()).unwrap().1);
}

#[test]
fn what_claims_to_be_huge_is_refused_by_its_own_words() {
    // The AV1 data says so itself: the largest sides there are.
    let huge = sequence(65_536, 65_536);
    let error = look(&Avif::still(&huge, 65_536, 65_536).bytes()).unwrap_err();
    assert!(matches!(&error, ImageError::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("has 4,294,967,296 pixels (65536 by 65536)"), "{error}");
    for (rows, columns) in [(256, 256), (33, 32)] {
        let error = look(&Avif::grid(&sequence(64, 64), 64, (rows, columns)).bytes()).unwrap_err();
        let ImageError::TooLarge { .. } = error else { panic!("{error}") };
    }
    let grid = Avif::grid(&sequence(64, 64), 64, (32, 32)).bytes();
    assert_eq!(told(&grid), (2048, 2048, 1, 1));
    let grown = strip(&grid, &look(&grid).unwrap(), false).unwrap();
    assert!(grown.bytes.len() <= grid.len() + 64, "what is named a thousand times is written once");
    let error = look(&Avif::grid(&sequence(4096, 4096), 4096, (32, 32)).bytes()).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
}

#[test]
fn the_price_is_of_what_the_data_says_and_not_of_what_the_boxes_say() {
    for (width, height) in [(64, 64), (4096, 4095), (1, 1)] {
        let bytes = Avif::still(&sequence(4096, 4096), width, height).bytes();
        assert!(refusal(&bytes).contains("two things about its size"), "{}", refusal(&bytes));
    }
    let price = |data: &[u8], side| look(&Avif::still(data, side, side).bytes()).unwrap().price;
    assert!(price(&sequence(4096, 4096), 4096) > price(&sequence(64, 64), 64) + 4096 * 4096 * 2);
    assert!(price(&sequence(4096, 4096), 4096) < limits().memory);
}

/// AV1 data with a header of those sides, of one picture, and a frame that is none.
fn sequence(width: u32, height: u32) -> Vec<u8> {
    let mut bits = String::from("000" /* profile */);
    bits += "11"; // a still, in the short form
    bits += "00000"; // level
    bits += "11111111"; // sides in 16 bits
    bits += &format!("{:016b}{:016b}", width - 1, height - 1);
    bits += "000"; // superblocks of 64
    bits += "000"; // no tools
    bits += "00" /* 8 bits, colours */;
    bits += "0"; // colours not described
    bits += "1"; // full range
    bits += "00" /* position */;
    bits += "00"; // one quantizer for both colours, no grain
    bits += "1";
    while !bits.len().is_multiple_of(8) {
        bits += "0";
    }
    let header: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    // The frame: odds that change, no tools, sides as told, then as few tiles as there may be.
    let frame = [0x10, 0, 0, 0, 0, 0];
    [&[0x0a, header.len() as u8][..], &header, &[0x32, frame.len() as u8], &frame].concat()
}

#[test]
fn items_that_lie_outside_in_each_other_or_in_circles_are_refused() {
    let data = data_of("limited420");
    let shifted = |word: &[u8; 4], at: usize, by: &dyn Fn(&mut [u8])| {
        let mut bytes = still().bytes();
        let start = bytes.windows(4).position(|kind| kind == word).unwrap() + 4 + at;
        by(&mut bytes[start..]);
        refusal(&bytes)
    };
    // Offset and length of the only item.
    let outside = "its item 1 does not lie in the file";
    assert!(shifted(b"iloc", 14, &|bytes| bytes[..4].fill(0xff)).contains(outside));
    assert!(shifted(b"iloc", 18, &|bytes| bytes[..4].fill(0xff)).contains(outside));
    assert!(shifted(b"iloc", 18, &|bytes| bytes[..4].fill(0)).contains(outside));
    assert!(shifted(b"iloc", 12, &|bytes| bytes[1] = 2).contains("cut off within its box iloc"));
    assert!(shifted(b"iinf", 4, &|bytes| bytes[..2].fill(0xff)).contains("has 65535 items"));
    assert!(shifted(b"iinf", 14, &|bytes| bytes[0] = 9).contains("is not described"));
    let with = |change: &dyn Fn(&mut Avif)| {
        let mut file = Avif::grid(&data, 43, (1, 2));
        file.properties = vec![
            Avif::size(43, 29),
            boxed(b"av1C", &[0x81, 0, 0x4c, 0]),
            Avif::size(86, 29),
            full_box(b"auxC", 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"),
        ];
        file.items[0].1 = vec![0, 0, 0, 1, 0, 86, 0, 29];
        change(&mut file);
        refusal(&file.bytes())
    };
    // Tiles of odd width share no colours.
    assert!(with(&|_| ()).contains("two things about its size"));
    assert!(with(&|file| file.references[0].2 = vec![1, 1]).contains("coded as grid"));
    assert!(with(&|file| file.references[0].2 = vec![2, 77]).contains("has no item 77"));
    assert!(with(&|file| file.references[0].2 = vec![2]).contains("its grid is of 2 tiles, and there are 1"));
    assert!(with(&|file| file.references[0].2 = vec![2; 5000]).contains("has 5001 references"));
    assert!(with(&|file| file.items[0].1[3] = 0).contains("its grid is of 1 tiles, and there are 2"));
    // A picture that is its own transparency: it is read once, and not round and round.
    let mut circle = still();
    circle.properties.push(full_box(b"auxC", 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"));
    circle.told[0].push(3);
    circle.references.push((b"auxl", 1, vec![1]));
    assert_eq!(told(&circle.bytes()), (43, 29, 1, 1));
    let mut doubled = still();
    doubled.properties.push(full_box(b"auxC", 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"));
    for item in [2, 3] {
        doubled.items.push((*b"av01", data.clone()));
        doubled.told.push(vec![1, 0x82, 3]);
        doubled.references.push((b"auxl", item, vec![1]));
    }
    assert!(refusal(&doubled.bytes()).contains("two transparencies"));
}

#[test]
fn what_is_no_still_picture_of_ours_is_called_by_its_name() {
    let files: [(Vec<u8>, &str); 4] = [
        (include_bytes!("avif/cropped.avif").to_vec(), "an AVIF picture that is to be cropped (clap)"),
        (include_bytes!("avif/film.avif").to_vec(), "an AVIF film (a sequence of images)"),
        (
            Avif { items: vec![(*b"hvc1", vec![0; 9])], ..still() }.bytes(),
            "an AVIF file with a picture that is coded as hvc1",
        ),
        (
            {
                let mut file = still();
                file.properties.push(boxed(b"evil", b"x"));
                file.told[0].push(0x83);
                file.bytes()
            },
            "an AVIF picture that nobody may show who does not know its evil",
        ),
    ];
    for (bytes, words) in files {
        let error = look(&bytes).unwrap_err();
        assert!(matches!(&error, ImageError::Unsupported { found, .. } if found == words), "{error}");
    }
    let few = Limits { formats: [Format::Jpeg].into_iter().collect(), ..limits() };
    let error = inspect(&avif("plain420"), &few).unwrap_err();
    assert_eq!(error.to_string(), "an AVIF picture, which is not taken here: send jpeg");
}

#[test]
fn data_that_ends_early_or_is_another_picture_is_damage() {
    let data = data_of("limited420");
    for (length, words) in [(2, "cut off"), (12, "cut off"), (data.len() - 1, "cut off")] {
        let mut file = still();
        file.items[0].1.truncate(length);
        assert!(refusal(&file.bytes()).contains(words), "{length}: {}", refusal(&file.bytes()));
    }
    let mut twice = still();
    twice.items[0].1.extend(data.clone());
    assert!(refusal(&twice.bytes()).contains("two sequence headers"));
    let mut other = still();
    other.properties[1] = boxed(b"av1C", &[0x81, 0, 0x0c, 0]);
    assert!(refusal(&other.bytes()).contains("two things about its samples"));
    let mut none = still();
    let frame = data.iter().position(|byte| *byte == 0x32).unwrap();
    none.items[0].1.truncate(frame);
    assert!(refusal(&none.bytes()).contains("has no picture"), "{}", refusal(&none.bytes()));
}

#[test]
fn a_grid_costs_what_its_dearest_tile_asks_for() {
    use crate::media::image::{avif::Avif, price};
    let bytes = avif("grid");
    let mut read = Avif::read(&bytes).unwrap();
    let price = |read: &Avif<'_>| price::avif(&read.colour, None, 0);
    let plain = price(&read);
    let last = read.colour.tiles.len() - 1;
    assert!(last > 0 && !read.colour.tiles[last].coded.frame.doubled);
    let largest = read.colour.tiles[last].coded.frame;
    read.colour.tiles[last].coded.frame.doubled = true;
    let doubled = price(&read);
    let samples = u64::from(largest.width) * u64::from(largest.height);
    assert!(doubled - plain >= 2 * samples, "{plain} {doubled}");
    read.colour.tiles[last].coded.frame.tiles += 100;
    assert!(price(&read) - doubled >= 100 << 10);
}
