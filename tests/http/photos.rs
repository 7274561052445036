//! Files of images as callers send them, made here byte by byte, and forms that carry them.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::client::{Answer, Someone};
use crate::harness::Daemon;

/// A picture with something to see in it.
pub(crate) fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let at = |n: u32| u8::try_from(n % 256).unwrap();
        Rgb([at(x * 3), at(y * 5), at(x * y)])
    })
}

fn encoded(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(picture(width, height)).write_to(&mut file, format).unwrap();
    file.into_inner()
}

pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(ImageFormat::Jpeg, width, height)
}

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(ImageFormat::Png, width, height)
}

pub(crate) fn gif(width: u32, height: u32) -> Vec<u8> {
    encoded(ImageFormat::Gif, width, height)
}

/// The JPEG with what a telephone writes into it: where it was taken, and a comment.
pub(crate) fn located(jpeg: &[u8]) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x25\x88\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
    tiff.extend(b"\x01\0\x01\0\x02\0\x02\0\0\0N\0\0\0\0\0\0\0SECRET PLACE");
    let exif = [b"Exif\0\0".as_slice(), &tiff].concat();
    let mut file = jpeg[..2].to_vec();
    for (marker, data) in [(0xe1, exif.as_slice()), (0xfe, b"SECRET COMMENT")] {
        file.extend([0xff, marker]);
        file.extend(u16::try_from(data.len() + 2).unwrap().to_be_bytes());
        file.extend(data);
    }
    file.extend(&jpeg[2..]);
    file
}

/// One chunk of a PNG.
pub(crate) fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = u32::try_from(data.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend(name);
    chunk.extend(data);
    let sum = crc32fast::hash(&chunk[4..]);
    chunk.extend(sum.to_be_bytes());
    chunk
}

/// The PNG with chunks after its header.
pub(crate) fn with_chunks(png: &[u8], chunks: &[u8]) -> Vec<u8> {
    [&png[..33], chunks, &png[33..]].concat()
}

/// A PNG of exactly so many bytes: what is too much is data that no program knows.
pub(crate) fn png_of_size(bytes: usize) -> Vec<u8> {
    let png = png(8, 8);
    let padding = vec![7; bytes - png.len() - 12];
    let file = with_chunks(&png, &chunk(b"paDd", &padding));
    assert_eq!(file.len(), bytes);
    file
}

/// A PNG of that size whose pixels are nonsense: nobody sees it who does not decode it.
pub(crate) fn rotten_png(width: u32, height: u32) -> Vec<u8> {
    let mut header = width.to_be_bytes().to_vec();
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let parts = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", b"\x78\x9cthis is no deflate stream at all"),
        chunk(b"IEND", b""),
    ];
    parts.concat()
}

/// The pixels of a file.
pub(crate) fn pixels(file: &[u8]) -> RgbImage {
    image::load_from_memory(file).unwrap().to_rgb8()
}

pub(crate) fn part(name: &str, bytes: Vec<u8>) -> Part {
    Part::bytes(bytes).file_name(name.to_owned())
}

/// A form with these files.
pub(crate) fn photos(files: &[(&str, Vec<u8>)]) -> Form {
    files.iter().fold(Form::new(), |form, (name, bytes)| form.part("file", part(name, bytes.clone())))
}

impl Daemon {
    /// Sends a form with these files, as somebody or nobody.
    pub(crate) async fn send_photos(&self, files: &[(&str, Vec<u8>)], who: Option<&Someone>) -> Answer {
        self.ask("POST", "/upload", |request| {
            let request = match who {
                Some(who) => request.bearer_auth(&who.token),
                None => request,
            };
            request.multipart(photos(files))
        })
        .await
    }

    /// Sends a file as the whole body.
    pub(crate) async fn send_raw(&self, path: &str, media_type: &str, bytes: Vec<u8>) -> Answer {
        self.ask("POST", path, |request| request.header("content-type", media_type).body(bytes)).await
    }

    /// An image that is ready, of nobody or of somebody.
    pub(crate) async fn photo(&self, name: &str, who: Option<&Someone>) -> Value {
        self.send_photos(&[(name, png(20, 10))], who).await.json(201)
    }

    /// What is served under the name of an image.
    pub(crate) async fn served(&self, image: &Value) -> Vec<u8> {
        let answer = self.get(&format!("/images/{}", image["filename"].as_str().unwrap())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.body
    }

    /// How many tasks anybody sees, and how many blobs the sweep would leave.
    pub(crate) async fn left(&self) -> (usize, usize) {
        use gristmill::store::{Page, Store, TaskFilter};
        let filter = TaskFilter::of(gristmill::account::Caller::Admin(None));
        let page = Page { after: None, order: gristmill::store::Order::Ascending, limit: 10_000 };
        let tasks = self.store.tasks(&filter, &page).await.unwrap().len();
        let blobs = self.blobs.candidates(std::time::Duration::ZERO).unwrap();
        let swept = self.store.unreferenced(&blobs).await.unwrap();
        (tasks, blobs.len() - swept.len())
    }

    /// No draft is left, once whoever hung up has been noticed.
    pub(crate) async fn no_drafts(&self) {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while self.blobs.drafts().unwrap() > 0 {
            assert!(tokio::time::Instant::now() < deadline, "a draft stays behind");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
