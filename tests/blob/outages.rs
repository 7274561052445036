//! A bucket that is dead, silent, overrun or wrong: the right error in bounded time, nothing half done, and all well
//! again once the store is.

use std::io::Read;
use std::time::{Duration, Instant};

use gristmill::blob::{BlobError, Blobs};

use crate::bench::{Bench, PATIENCE, content, draft_of, keep, noise};
use crate::bucket::{Fault, SECRET_KEY};

const MINUTE: Duration = Duration::from_secs(60);

/// That a call ended in time, and with the words of somebody who cannot reach the store.
fn unavailable<T: std::fmt::Debug>(what: &str, call: impl FnOnce() -> Result<T, BlobError>) -> String {
    let begun = Instant::now();
    let error = call().unwrap_err();
    let took = begun.elapsed();
    assert!(took < PATIENCE, "{what} took {took:?}");
    assert!(matches!(error, BlobError::Unavailable { .. }), "{what}: {error:?}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    error.to_string()
}

/// Every verb fails; `saying` is in each of the errors.
fn nothing_works(bench: &Bench, saying: &str) {
    let blobs = &bench.blobs;
    let name = gristmill::task::BlobName::of_digest(&[7; 32]);
    for told in [
        unavailable("keep", || blobs.keep(draft_of(blobs, b"abc"))),
        unavailable("read", || blobs.read(&name)),
        unavailable("candidates", || blobs.candidates(MINUTE)),
        unavailable("sweep", || blobs.sweep(std::slice::from_ref(&name), blobs.horizon(MINUTE))),
        unavailable("probe", || blobs.probe()),
        unavailable("rehearse", || blobs.rehearse()),
    ] {
        assert!(told.contains(saying), "{told}");
    }
    assert_eq!(blobs.drafts().unwrap(), 0);
}

fn all_works(blobs: &Blobs) {
    blobs.probe().unwrap();
    blobs.rehearse().unwrap();
    let name = keep(blobs, b"all is well");
    assert_eq!(content(blobs, &name), b"all is well");
}

#[test]
fn a_dead_store_is_told_and_is_used_again_when_it_lives() {
    let bench = Bench::hasty_bucket();
    all_works(&bench.blobs);
    bench.store().die();
    nothing_works(&bench, "");
    bench.store().revive();
    all_works(&bench.blobs);
}

#[test]
fn a_silent_store_holds_nobody_for_ever() {
    let bench = Bench::hasty_bucket();
    bench.store().set(Fault::Silent);
    nothing_works(&bench, "");
    bench.store().set(Fault::None);
    all_works(&bench.blobs);
}

#[test]
fn a_store_that_is_overrun_for_a_moment_is_asked_again() {
    let bench = Bench::hasty_bucket();
    let name = keep(&bench.blobs, b"abc");
    for (status, code) in [(503, "SlowDown"), (500, "InternalError")] {
        let refuse = || bench.store().set(Fault::Refusing { left: 2, status, code });
        refuse();
        assert_eq!(keep(&bench.blobs, b"abc"), name);
        refuse();
        assert_eq!(content(&bench.blobs, &name), b"abc");
        refuse();
        assert_eq!(bench.blobs.candidates(MINUTE).unwrap(), []);
        refuse();
        bench.blobs.rehearse().unwrap();
    }
}

#[test]
fn a_store_that_refuses_for_ever_is_quoted() {
    let bench = Bench::hasty_bucket();
    for (status, code) in [(503, "SlowDown"), (500, "InternalError"), (403, "AccessDenied")] {
        bench.store().set(Fault::Refusing { left: u32::MAX, status, code });
        nothing_works(&bench, code);
    }
    bench.store().set(Fault::None);
    all_works(&bench.blobs);
}

#[test]
fn an_answer_that_breaks_off_is_fetched_again_or_told() {
    let bench = Bench::hasty_bucket();
    let bytes = noise(3_000_000, 5);
    let name = keep(&bench.blobs, &bytes);
    bench.store().set(Fault::Cutting { left: 2 });
    assert!(content(&bench.blobs, &name) == bytes, "seen by nobody");

    let mut reader = bench.blobs.read(&name).unwrap();
    let mut some = vec![0; 200_000];
    reader.read_exact(&mut some).unwrap();
    bench.store().set(Fault::Cutting { left: u32::MAX });
    let begun = Instant::now();
    let error = reader.read_to_end(&mut some).unwrap_err();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<BlobError>());
    assert!(matches!(cause, Some(BlobError::Unavailable { .. })), "{error:?}");
    // The reader goes on where it stood.
    bench.store().set(Fault::None);
    reader.read_to_end(&mut some).unwrap();
    assert!(some == bytes);
}

#[test]
fn a_store_that_dies_while_a_blob_is_read_is_waited_for_and_read_on() {
    let bench = Bench::hasty_bucket();
    let bytes = noise(3_000_000, 6);
    let name = keep(&bench.blobs, &bytes);
    let mut reader = bench.blobs.read(&name).unwrap();
    let mut some = vec![0; 1000];
    reader.read_exact(&mut some).unwrap();
    bench.store().die();
    std::thread::scope(|scope| {
        scope.spawn(|| while reader.read_to_end(&mut some).is_err() {});
        bench.store().revive();
    });
    assert!(some == bytes);
}

#[test]
fn what_is_damaged_on_its_way_is_refused() {
    let bench = Bench::hasty_bucket();
    bench.store().set(Fault::Damaging);
    for size in [3, 20_000_000] {
        let bytes = noise(size, 7);
        let kept = bench.blobs.keep(draft_of(&bench.blobs, &bytes));
        assert!(matches!(kept, Err(BlobError::Unavailable { .. })), "{kept:?}");
    }
    assert_eq!(bench.store().objects(), Vec::<std::path::PathBuf>::new());
    bench.store().set(Fault::None);
    all_works(&bench.blobs);
}

#[test]
fn the_parts_of_an_upload_that_fails_are_taken_back() {
    let bench = Bench::hasty_bucket();
    bench.store().set(Fault::PartsRefused);
    let bytes = noise(20_000_000, 8);
    unavailable("keep", || bench.blobs.keep(draft_of(&bench.blobs, &bytes)));
    let asked = bench.store().asked();
    let taken_back = |asked: &String| asked.starts_with("DELETE ") && asked.contains("uploadId=");
    assert!(asked.iter().any(taken_back), "{asked:#?}");
    assert_eq!(bench.store().objects(), Vec::<std::path::PathBuf>::new());
    // What failed is pinned no longer.
    bench.store().set(Fault::None);
    let name = keep(&bench.blobs, &bytes);
    bench.age();
    assert_eq!(bench.blobs.candidates(MINUTE).unwrap(), [name]);
}

#[test]
fn an_upload_whose_last_answer_is_lost_is_found_to_be_there() {
    let bench = Bench::hasty_bucket();
    bench.store().set(Fault::CompletionLost);
    let bytes = noise(10_000_000, 11);
    let name = keep(&bench.blobs, &bytes);
    bench.store().set(Fault::None);
    assert!(content(&bench.blobs, &name) == bytes);
}

#[test]
fn a_wrong_key_and_a_bucket_that_is_not_there_are_told_and_no_secret_is() {
    let bench = Bench::hasty_bucket();
    for (key, value, said) in [
        ("BLOBS__S3_SECRET_KEY", "hunter2hunter2", "SignatureDoesNotMatch"),
        ("BLOBS__S3_ACCESS_KEY", "burglar", "NotSignedUp"),
        ("BLOBS__URL", "s3://another", "NoSuchBucket"),
    ] {
        let mut settings = bench.store().settings(1.0);
        settings.iter_mut().find(|(name, _)| *name == key).unwrap().1 = value.to_owned();
        let blobs = bench.with(&settings, "seat").unwrap();
        let told = unavailable("probe", || blobs.probe());
        assert!(told.contains(said), "{told}");
        // The store of this test makes a bucket for whoever writes to it.
        if key != "BLOBS__URL" {
            let told = unavailable("rehearse", || blobs.rehearse());
            assert!(told.contains(said), "{told}");
        }
        assert!(!format!("{blobs:?}").contains(SECRET_KEY));
    }
}

#[test]
fn a_secret_may_stand_in_a_file_and_a_bad_file_is_named() {
    let bench = Bench::hasty_bucket();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let mut settings = bench.store().settings(1.0);
    settings.retain(|(key, _)| *key != "BLOBS__S3_SECRET_KEY");
    settings.push(("BLOBS__S3_SECRET_KEY_FILE", file.display().to_string()));
    for (text, said) in [(None, "No such file"), (Some("\n"), "is empty")] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let error = bench.with(&settings, "seat").unwrap_err().to_string();
        for part in ["blobs.s3_secret_key_file", &file.display().to_string(), said] {
            assert!(error.contains(part), "{error}");
        }
    }
    std::fs::write(&file, format!("{SECRET_KEY}\n")).unwrap();
    all_works(&bench.with(&settings, "seat").unwrap());
}

#[test]
fn a_good_store_is_not_asked_for_every_probe() {
    let bench = Bench::hasty_bucket();
    for _ in 0..10 {
        bench.blobs.probe().unwrap();
    }
    assert_eq!(bench.store().asked().len(), 1);
    // But one that just failed is.
    bench.store().set(Fault::Refusing { left: u32::MAX, status: 403, code: "AccessDenied" });
    unavailable("candidates", || bench.blobs.candidates(MINUTE));
    unavailable("probe", || bench.blobs.probe());
    bench.store().set(Fault::None);
    bench.blobs.probe().unwrap();
}

#[tokio::test]
#[should_panic(expected = "Cannot start a runtime from within a runtime")]
async fn a_thread_that_drives_a_runtime_is_not_stopped_but_told() {
    let bench = Bench::hasty_bucket();
    let _ = bench.blobs.probe();
}
