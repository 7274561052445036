//! `[images]`: the image host. Consumed by the routes of images and users, the kind `image`, and the room in which
//! images are worked on.

use std::path::PathBuf;

use super::rule::{Raw, Refusal, Rule, bytes, flag, folder, whole};
use super::section::{Literal, derived, section};
use super::value::ByteSize;
use crate::media::image::{Format, FormatSet, Spec, room_beside};

section! {
    /// Images: what is taken, what is made of it, and how much anybody may leave here.
    ImageSettings = "images" {
        /// The largest image file, in bytes.
        "max_bytes" => max_bytes: ByteSize = "5 MiB", bytes(1 << 10..=1 << 30);

        /// The formats that are taken, told by the bytes, never by a name. AVIF is decoded in a process of its own, which
        /// this program starts of itself for each image.
        "formats" => formats: FormatSet = "jpeg, png, gif", formats();

        /// The most pixels of an image; of an animation, of all its frames together. Checked before anything is
        /// decoded.
        "max_pixels" => max_pixels: u64 = 40_000_000, whole(1..=1_000_000_000);

        /// The most frames of an animation.
        "max_frames" => max_frames: u32 = 1000, whole(1..=100_000);

        /// The memory that all images together may take while they are decoded, in bytes. An image whose decoding
        /// would take more is refused; more images than fit wait for each other.
        "memory" => memory: ByteSize = "256 MiB", bytes(16 << 20..=1 << 40);

        /// Whether what cameras and programs write into a file besides the picture (place, device, names, programs)
        /// stays in it. Without it, what is stored is the file less all that; the picture itself is never changed.
        "keep_metadata" => keep_metadata: bool = false, flag();

        /// The longer side of the thumbnail that is made of each image, in pixels; one of `images.sizes`.
        "thumbnail" => thumbnail: u32 = 320, whole(16..=4096);

        /// The sides that `w` and `h` may ask for, in pixels. Others are refused, so that nobody can have a thousand
        /// variants made of one image.
        "sizes" => sizes: Vec<u32> = "64, 128, 320, 640, 1280, 1920", sizes();

        /// The folder of variants that were made. It may be removed at any time: they are made again.
        "cache_dir" => cache_dir: PathBuf = derived(
            "variants in data_dir",
            |base| Literal::Text(base.in_data_dir("variants"))
        ), folder();

        /// How much that folder may hold, in bytes. The variants that nobody asked for the longest go first.
        "cache_bytes" => cache_bytes: ByteSize = "1 GiB", bytes(1 << 20..=1 << 50);

        /// How much of the images that are asked for often is kept in memory, in bytes; 0 for nothing.
        "memory_cache" => memory_cache: ByteSize = "32 MiB", bytes(0..=1 << 40);

        /// The most images of one user, pictures with tasks among them; 0 for any number. Callers without an identity are
        /// counted as one. A user's own picture is not counted: there is one, made small.
        "max_per_user" => max_per_user: u64 = 0, whole(0..=1_000_000_000);

        /// The most bytes of images of one user, counted likewise; 0 for any number.
        "max_bytes_per_user" => max_bytes_per_user: ByteSize = "0 B", bytes(0..=1 << 60);

        /// How many images a user, or an address without an identity, may send in a minute, with tasks and as their own
        /// picture too; 0 for any number. So many may come at once, and then one each time its share of the minute is
        /// over.
        "uploads_per_minute" => uploads_per_minute: u32 = 600, whole(0..=1_000_000);

        /// The most files in one form.
        "max_files" => max_files: usize = 20, whole(1..=1000);

        check fits;
    }
}

fn fits(images: &ImageSettings) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if !images.sizes.contains(&images.thumbnail) {
        let reason = format!("is {}, which is not one of images.sizes", images.thumbnail);
        problems.push(("thumbnail", reason));
    }
    let least = least_memory(images.max_bytes, &images.sizes);
    if images.memory < least {
        let reason = format!(
            "is {}, and no image could be worked on: one of images.max_bytes ({}), and a variant of the largest of \
             images.sizes, take {least} at least",
            images.memory, images.max_bytes
        );
        problems.push(("memory", reason));
    }
    problems
}

/// What an image of so many bytes takes at least: the file, once more without its metadata, once more as parts of a
/// colour profile, those put together, and what a variant of the largest side takes beside the decoder. In whole MiB.
fn least_memory(max_bytes: ByteSize, sizes: &[u32]) -> ByteSize {
    /// For a small picture.
    const DECODER: u64 = 1 << 20;
    let largest = sizes.iter().copied().max().unwrap_or(0);
    let beside = room_beside(&Spec::within(largest));
    let bytes = max_bytes.bytes().saturating_mul(4).saturating_add(beside).saturating_add(DECODER);
    ByteSize::new(bytes.next_multiple_of(1 << 20))
}

/// Formats, separated by commas. Text and not a list, so that a file and a variable write it the same way.
fn formats() -> Formats {
    Formats
}

struct Formats;

impl Rule for Formats {
    type Out = FormatSet;

    fn parse(&self, raw: &Raw) -> Result<FormatSet, Refusal> {
        let format = |word: &str| {
            word.trim().parse::<Format>().map_err(|error| format!("has a word that is none: {error}"))
        };
        raw.text()?.split(',').map(format).collect()
    }

    fn allowed(&self) -> String {
        "at least one of jpeg, png, gif, webp and avif, separated by commas".to_owned()
    }

    fn show(&self, value: &FormatSet) -> Literal {
        Literal::Text(value.iter().map(Format::as_str).collect::<Vec<_>>().join(", "))
    }
}

/// Sides of variants, separated by commas.
fn sizes() -> Sizes {
    Sizes
}

struct Sizes;

impl Sizes {
    /// More of them would be no allow-list.
    const MOST: usize = 32;
}

impl Rule for Sizes {
    type Out = Vec<u32>;

    fn parse(&self, raw: &Raw) -> Result<Vec<u32>, Refusal> {
        let size = |word: &str| match word.trim().parse() {
            Ok(size) if (16..=4096).contains(&size) => Ok(size),
            Ok(_) | Err(_) => Err(format!("has {:?}, which is no whole number from 16 to 4096", word.trim())),
        };
        let mut sizes = raw.text()?.split(',').map(size).collect::<Result<Vec<u32>, _>>()?;
        sizes.sort_unstable();
        sizes.dedup();
        if sizes.len() > Self::MOST {
            return Err(format!("has {} sizes", sizes.len()));
        }
        Ok(sizes)
    }

    fn allowed(&self) -> String {
        format!("1 to {} whole numbers from 16 to 4096, separated by commas", Self::MOST)
    }

    fn show(&self, value: &Vec<u32>) -> Literal {
        Literal::Text(value.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))
    }
}
