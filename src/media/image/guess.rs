//! What a file is that is no image of ours, in words for whoever sent it.

/// What the bytes look like: `an SVG drawing`, `a PDF`, `text`.
pub(super) fn what_it_is(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "an empty file".to_owned();
    }
    if let Some(name) = by_signature(bytes).or_else(|| by_brand(bytes)).or_else(|| by_words(bytes)) {
        return name.to_owned();
    }
    let first: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("something that begins as no picture does ({})", first.join(" "))
}

fn by_signature(bytes: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 22] = [
        (b"BM", "a BMP picture"),
        (b"II\x2a\0", "a TIFF picture"),
        (b"MM\0\x2a", "a TIFF picture"),
        (b"II\x2b\0", "a BigTIFF picture"),
        (b"MM\0\x2b", "a BigTIFF picture"),
        (b"\0\0\x01\0", "an icon (ICO)"),
        (b"8BPS", "a Photoshop file"),
        (b"\xff\x0a", "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
        (b"qoif", "a QOI picture"),
        (b"%PDF", "a PDF"),
        (b"%!PS", "PostScript"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"Rar!", "a RAR archive"),
        (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
        (b"OggS", "an Ogg file"),
        (b"ID3", "an MP3"),
        (b"RIFF", "a RIFF file (WAV or AVI)"),
        (b"\x7fELF", "a program"),
        (b"MZ", "a program"),
    ];
    KNOWN.iter().find(|(signature, _)| bytes.starts_with(signature)).map(|(_, name)| *name)
}

/// Files of boxes tell their kind in the first one.
fn by_brand(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) != Some(b"ftyp") {
        return None;
    }
    Some(match bytes.get(8..12)? {
        b"avif" | b"avis" => "an AVIF picture",
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => "a HEIC picture",
        _ => "a video (MP4 or QuickTime)",
    })
}

fn by_words(bytes: &[u8]) -> Option<&'static str> {
    let start = &bytes[..bytes.len().min(1024)];
    // A character may be cut at the end of what is looked at.
    let text = match str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => str::from_utf8(&start[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let text = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    Some(if text.contains("<svg") {
        "an SVG drawing"
    } else if text.starts_with("<!doctype html") || text.contains("<html") || text.contains("<script") {
        "an HTML page"
    } else if text.starts_with("<?xml") {
        "XML"
    } else if text.starts_with('{') || text.starts_with('[') {
        "text, perhaps JSON"
    } else if text.starts_with("data:image/") {
        "a data URL, which only the JSON form takes"
    } else {
        "text"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_by_mistake_is_called_by_its_name() {
        for (bytes, words) in [
            (&b""[..], "an empty file"),
            (b"BM\x10\0\0\0", "a BMP picture"),
            (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg onload=alert(1)>", "an SVG drawing"),
            (b"<!DOCTYPE html><p>hello", "an HTML page"),
            (b"%PDF-1.7", "a PDF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
            (b"\0\0\0\x18ftypisom\0\0\0\0", "a video (MP4 or QuickTime)"),
            ("привет".as_bytes(), "text"),
            (b"\x01\x02\xff", "something that begins as no picture does (01 02 ff)"),
        ] {
            assert_eq!(what_it_is(bytes), words);
        }
        let cut = "я".repeat(1024);
        assert_eq!(what_it_is(&cut.as_bytes()[..1023]), "text", "also when cut within a letter");
    }
}
