//! How the room behaves: one making for all, a folder that is bounded and never trusted, work that can be stopped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;
use crate::config::{ByteSize, LoadOptions, Settings};
use crate::task::BlobName;

/// A room of a test's own.
struct Room {
    imaging: Imaging,
    settings: ImageSettings,
    folder: tempfile::TempDir,
}

impl Room {
    fn new(edit: impl FnOnce(&mut ImageSettings)) -> Self {
        let options = LoadOptions { directory: "no such folder".into(), ..LoadOptions::default() };
        let mut settings = Settings::load(options).unwrap().settings.images;
        let folder = tempfile::tempdir().unwrap();
        settings.cache_dir = folder.path().join("variants");
        edit(&mut settings);
        Self { imaging: Imaging::new(&settings).unwrap(), settings, folder }
    }

    /// The same folder, as the next process finds it.
    fn again(self) -> Self {
        Self { imaging: Imaging::new(&self.settings).unwrap(), ..self }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("variants")
    }

    async fn variant(
        &self,
        blob: u8,
        side: u32,
        makings: &Arc<AtomicUsize>,
    ) -> Result<Variant, ImagingError> {
        let makings = Arc::clone(makings);
        let source = move || {
            makings.fetch_add(1, Ordering::SeqCst);
            Ok::<_, io::Error>(png(200, 100, blob))
        };
        self.imaging.variant(&name(blob), &Spec::within(side), source).await
    }
}

fn name(blob: u8) -> BlobName {
    BlobName::of_digest(&[blob; 32])
}

/// Noise, which no encoder makes small.
fn png(width: u32, height: u32, seed: u8) -> Vec<u8> {
    let mut noise = 0x9e37_79b9_u32 ^ u32::from(seed);
    let picture = ::image::RgbImage::from_fn(width, height, |_, _| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ::image::Rgb([(noise >> 24) as u8, (noise >> 16) as u8, seed])
    });
    let mut bytes = io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ::image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Every file below, with its size.
fn files(root: &Path) -> Vec<(PathBuf, u64)> {
    let (mut open, mut found) = (vec![root.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = fs::metadata(&path).unwrap().len();
            found.push((path, bytes));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_who_ask_at_once_get_what_was_made_once() {
    let room = Arc::new(Room::new(|_| {}));
    let makings = Arc::default();
    let asks = (0..100).map(|_| {
        let (room, makings) = (Arc::clone(&room), Arc::clone(&makings));
        tokio::spawn(async move { room.variant(1, 64, &makings).await.unwrap() })
    });
    let mut answers = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        answers.push(ask.await.unwrap());
    }
    assert_eq!(makings.load(Ordering::SeqCst), 1);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!((answers[0].width, answers[0].height), (64, 32));
    let other = room.variant(1, 32, &makings).await.unwrap();
    assert_ne!(other.etag(), answers[0].etag());
    assert_eq!(makings.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_does_not_take_it_from_the_others() {
    let room = Room::new(|_| {});
    let (go, wait) = mpsc::channel();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let source = move || {
        let _ = begun.send(());
        wait.recv().map(|()| png(40, 40, 1)).map_err(io::Error::other)
    };
    let spec = Spec::within(16);
    let imaging = room.imaging.clone();
    let first = tokio::spawn(async move { imaging.variant(&name(1), &spec, source).await });
    begins.await.unwrap();
    let imaging = room.imaging.clone();
    let nobody = || -> Result<Vec<u8>, io::Error> { panic!("it is being made already") };
    let second = tokio::spawn(async move { imaging.variant(&name(1), &spec, nobody).await });
    first.abort();
    assert!(first.await.is_err());
    go.send(()).unwrap();
    assert_eq!(second.await.unwrap().unwrap().width, 16);
}

#[tokio::test]
async fn an_error_is_told_and_not_kept() {
    let room = Room::new(|_| {});
    let gone = || Err::<Vec<u8>, _>(io::Error::from(io::ErrorKind::NotFound));
    let spec = Spec::within(16);
    let told = room.imaging.variant(&name(1), &spec, gone).await.unwrap_err();
    let ImagingError::Source(error) = told else { panic!("{told}") };
    assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::NotFound);
    let broken = || Ok::<_, io::Error>(b"\x89PNG\r\n\x1a\n".to_vec());
    let told = room.imaging.variant(&name(1), &spec, broken).await.unwrap_err();
    assert!(matches!(told, ImagingError::Image(ImageError::Damaged(_))), "{told}");
    assert!(room.variant(1, 16, &Arc::default()).await.is_ok());
}

#[tokio::test]
async fn the_folder_stays_within_its_limit_and_keeps_what_is_used() {
    let room = Room::new(|settings| settings.cache_bytes = ByteSize::new(40 << 10));
    let makings = Arc::default();
    room.variant(0, 64, &makings).await.unwrap();
    for blob in 1..40 {
        room.variant(blob, 64, &makings).await.unwrap();
        room.variant(0, 64, &makings).await.unwrap();
        let bytes: u64 = files(&room.root()).iter().map(|(_, bytes)| bytes).sum();
        assert!(bytes <= 40 << 10, "{bytes}");
        assert_eq!(bytes, room.imaging.inner.cache.bytes());
    }
    assert_eq!(makings.load(Ordering::SeqCst), 40, "the first was used all the time, and never made again");
    assert!(files(&room.root()).len() > 3);
}

#[tokio::test]
async fn the_next_process_finds_what_is_whole_and_clears_away_the_rest() {
    let room = Room::new(|_| {});
    let makings = Arc::default();
    for blob in [1, 2, 3] {
        room.variant(blob, 64, &makings).await.unwrap();
    }
    let broken = |blob: u8| {
        let begins = name(blob).as_str().to_owned();
        files(&room.root())
            .into_iter()
            .find(|(path, _)| path.ends_with(&begins) || path.to_string_lossy().contains(&begins))
            .unwrap()
            .0
    };
    let (cut, changed) = (broken(2), broken(3));
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    let mut bytes = fs::read(&changed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&changed, bytes).unwrap();
    let old = cut.with_file_name(format!("{}-64x64-contain-any-0", name(2)));
    fs::write(&old, "of another version").unwrap();
    fs::write(room.root().join("tmp/half"), "half written").unwrap();

    let room = room.again();
    assert!(!old.exists() && !room.root().join("tmp/half").exists());
    room.variant(1, 64, &makings).await.unwrap();
    assert_eq!(makings.load(Ordering::SeqCst), 3, "it was there");
    for blob in [2, 3] {
        let whole = room.variant(blob, 64, &makings).await.unwrap();
        assert_eq!(whole.width, 64);
    }
    assert_eq!(makings.load(Ordering::SeqCst), 5);
    let bytes: u64 = files(&room.root()).iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(bytes, room.imaging.inner.cache.bytes());
}

#[tokio::test]
async fn the_folder_may_be_removed_at_any_time() {
    let room = Room::new(|_| {});
    let makings = Arc::default();
    room.variant(1, 64, &makings).await.unwrap();
    fs::remove_dir_all(room.root()).unwrap();
    room.variant(1, 64, &makings).await.unwrap();
    room.variant(1, 64, &makings).await.unwrap();
    assert_eq!(makings.load(Ordering::SeqCst), 2);
    assert_eq!(files(&room.root()).len(), 1);
}

#[tokio::test]
async fn an_image_that_is_gone_leaves_no_variant() {
    let room = Room::new(|_| {});
    for (blob, side) in [(1, 64), (1, 32), (2, 64)] {
        room.variant(blob, side, &Arc::default()).await.unwrap();
    }
    assert_eq!(room.imaging.blobs().await.unwrap().iter().filter(|blob| **blob == name(1)).count(), 1);
    room.imaging.forget(vec![name(1)]).await.unwrap();
    assert!(!room.imaging.blobs().await.unwrap().contains(&name(1)));
    let left = files(&room.root());
    assert!(left.len() == 1 && left[0].0.to_string_lossy().contains(name(2).as_str()), "{left:?}");
}

#[tokio::test]
async fn an_image_comes_in_with_its_thumbnail_which_is_not_made_again() {
    let room = Room::new(|_| {});
    let bytes = png(640, 480, 9);
    let (told, tells) = mpsc::channel();
    let progress = move |progress: Progress| told.send(progress).unwrap();
    let (stripped, developed) = room.imaging.develop(bytes, Cancel::new(), progress).await.unwrap();
    assert_eq!((developed.facts.width, developed.facts.height, developed.facts.frames), (640, 480, 1));
    assert_eq!((developed.thumbnail.width, developed.thumbnail.height), (320, 240));
    let told: Vec<Progress> = tells.iter().collect();
    assert_eq!((told[0].done, told.last().unwrap().done, told.last().unwrap().total), (0, 480, 480));
    assert!(told.is_sorted_by_key(|progress| progress.done) && told.len() > 2);

    let spec = room.imaging.thumbnail();
    let kept = room.imaging.remember_thumbnail(&name(9), &spec, developed.thumbnail.clone()).await;
    let nobody = || -> Result<Vec<u8>, io::Error> { panic!("it is there") };
    let found = room.imaging.variant(&name(9), &spec, nobody).await.unwrap();
    assert_eq!(found, kept);
    let header = room.imaging.inspect_upload(stripped.bytes.clone()).await.unwrap();
    let made = image::variant(&stripped.bytes, &header, &spec, &Cancel::new()).unwrap();
    assert_eq!(made, developed.thumbnail, "made of what is stored, either way");
}

#[tokio::test]
async fn work_on_an_image_can_be_stopped_midway() {
    let room = Room::new(|_| {});
    let cancel = Cancel::new();
    let flag = cancel.clone();
    let outcome = room.imaging.develop(png(100, 2000, 1), cancel, move |_| flag.cancel()).await;
    assert!(matches!(outcome, Err(ImagingError::Image(ImageError::Cancelled))), "{outcome:?}");
    assert_eq!(room.imaging.inner.workers.budget.taken(), 0);
}

#[tokio::test]
async fn what_could_never_have_the_memory_is_refused_before_it_is_decoded() {
    let room = Room::new(|settings| settings.memory = ByteSize::new(24 << 20));
    let mut header = png(1, 1, 0);
    // An interlaced picture of 5,000 by 5,000 pixels has to be held whole.
    header[16..24].copy_from_slice(&[0, 0, 19, 136, 0, 0, 19, 136]);
    header[28] = 1;
    let sum = crc32fast::hash(&header[12..29]);
    header[29..33].copy_from_slice(&sum.to_be_bytes());
    let outcome = room.imaging.inspect_upload(header).await;
    assert!(matches!(outcome, Err(ImagingError::Image(ImageError::TooLarge { .. }))), "{outcome:?}");
}

#[tokio::test]
async fn pictures_of_the_most_pixels_pass_with_the_settings_as_they_come() {
    let room = Room::new(|_| {});
    let (width, height) = (7300_u16, 5479_u16);
    let sides = [height.to_be_bytes(), width.to_be_bytes()].concat();
    // Headers without a picture: halved colours, at once or in scans; as large a file as is taken.
    let jpeg = |kind: u8| {
        let components = [3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0];
        let frame = [&[0xff, 0xd8, 0xff, kind, 0, 17, 8], &sides[..], &components].concat();
        let last = if kind == 0xc2 { 0 } else { 63 };
        let scan = [0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, last, 0];
        [&frame[..], &scan, &vec![0; (5 << 20) - 64], &[0xff, 0xd9]].concat()
    };
    let mut deep = png(1, 1, 0);
    deep[16..24].copy_from_slice(&[0, 0, 28, 132, 0, 0, 21, 103]);
    deep[24] = 16;
    let sum = crc32fast::hash(&deep[12..29]);
    deep[29..33].copy_from_slice(&sum.to_be_bytes());
    for bytes in [jpeg(0xc0), jpeg(0xc2), deep] {
        let header = room.imaging.inspect_upload(bytes).await.unwrap();
        assert!(u64::from(header.width) * u64::from(header.height) > 39_990_000);
    }
}

#[tokio::test]
async fn a_users_picture_is_a_square_from_the_middle() {
    let room = Room::new(|_| {});
    let made = room.imaging.avatar(png(900, 600, 4)).await.unwrap();
    assert_eq!((made.width, made.height), (AVATAR_SIDE, AVATAR_SIDE));
    let small = room.imaging.avatar(png(30, 20, 4)).await.unwrap();
    assert_eq!((small.width, small.height), (20, 20));
}
