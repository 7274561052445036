//! What both stores do alike.

use std::fs;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use gristmill::blob::{BlobError, Horizon, Swept};
use gristmill::task::BlobName;

use crate::bench::{Bench, content, draft_of, keep, noise};
use crate::bucket::make_old;

on_both!(
    a_kept_blob_has_the_name_of_its_bytes_and_equal_bytes_are_one,
    a_draft_written_out_of_order_has_the_name_of_its_final_bytes,
    a_dropped_draft_leaves_nothing_and_a_killed_one_goes_at_the_next_start,
    a_blob_without_bytes_is_one_too,
    a_reader_is_like_a_file,
    what_is_not_there_is_missing,
    a_large_blob_comes_back_as_it_went,
    the_sweep_passes_over_what_is_young_pinned_or_named,
    what_was_long_on_its_way_is_young_when_it_is_kept,
    what_is_kept_anew_is_young_again_on_every_node,
    what_is_kept_after_the_question_stays_however_late_the_removal_is,
    what_is_kept_while_others_sweep_is_there,
    all_that_is_old_is_found_and_removed_and_what_is_no_blob_stays,
    a_node_sees_at_once_what_another_kept,
    it_can_be_used,
);

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn a_kept_blob_has_the_name_of_its_bytes_and_equal_bytes_are_one(bench: &Bench) {
    let blobs = &bench.blobs;
    let kept = blobs.keep(draft_of(blobs, b"abc")).unwrap();
    // FIPS 180-2, appendix B.1.
    assert_eq!(kept.name.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let again = blobs.keep(draft_of(blobs, b"abc")).unwrap();
    assert_eq!((again.name.clone(), again.bytes), (kept.name.clone(), 3));
    assert_eq!(content(blobs, &kept.name), b"abc");
    assert_eq!(blobs.drafts().unwrap(), 0);
    if let Some(store) = &bench.store {
        assert!(store.objects().len() <= 2, "one, or two when the window changed in between");
    }
}

fn a_draft_written_out_of_order_has_the_name_of_its_final_bytes(bench: &Bench) {
    let mut draft = draft_of(&bench.blobs, b"xbc");
    draft.seek(SeekFrom::Start(0)).unwrap();
    draft.write_all(b"a").unwrap();
    let kept = bench.blobs.keep(draft).unwrap();
    assert_eq!(kept.bytes, 3);
    assert_eq!(content(&bench.blobs, &kept.name), b"abc");
}

fn a_dropped_draft_leaves_nothing_and_a_killed_one_goes_at_the_next_start(bench: &Bench) {
    let blobs = &bench.blobs;
    drop(draft_of(blobs, b"abc"));
    assert_eq!(blobs.drafts().unwrap(), 0);

    std::mem::forget(draft_of(blobs, b"killed"));
    fs::write(bench.draft_folder().join("other-1"), "somebody else's").unwrap();
    let blobs = bench.open("seat");
    assert_eq!(blobs.drafts().unwrap(), 1, "only the other process's draft is left");
}

fn a_blob_without_bytes_is_one_too(bench: &Bench) {
    let name = keep(&bench.blobs, b"");
    let mut reader = bench.blobs.read(&name).unwrap();
    assert!(reader.is_empty());
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
}

/// Random reads and seeks, beside a cursor on the same bytes.
fn a_reader_is_like_a_file(bench: &Bench) {
    let bytes = noise(3_000_000, 1);
    let name = keep(&bench.blobs, &bytes);
    let mut reader = bench.blobs.read(&name).unwrap();
    assert_eq!(reader.len(), 3_000_000);
    let mut cursor = Cursor::new(&bytes);
    let mut dice = noise(8 * 400, 2)
        .chunks(8)
        .map(|eight| u64::from_le_bytes(eight.try_into().unwrap()))
        .collect::<Vec<_>>()
        .into_iter();
    while let (Some(kind), Some(size)) = (dice.next(), dice.next()) {
        let to = match kind % 6 {
            0 => Some(SeekFrom::Start(size % 3_100_000)),
            1 => Some(SeekFrom::End(-i64::try_from(size % 3_100_000).unwrap())),
            2 => Some(SeekFrom::Current(i64::try_from(size % 400_000).unwrap() - 200_000)),
            _ => None,
        };
        if let Some(to) = to {
            assert_eq!(reader.seek(to).ok(), cursor.seek(to).ok(), "{to:?}");
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        (&mut reader).take(size % 300_000).read_to_end(&mut one).unwrap();
        (&mut cursor).take(size % 300_000).read_to_end(&mut other).unwrap();
        assert!(
            one == other,
            "{} bytes are not those of {} at {}",
            one.len(),
            other.len(),
            cursor.position()
        );
    }
}

fn what_is_not_there_is_missing(bench: &Bench) {
    let name = BlobName::of_digest(&[7; 32]);
    assert!(matches!(bench.blobs.read(&name), Err(BlobError::Missing(missing)) if missing == name));
    assert_eq!(bench.blobs.sweep(&[name], bench.blobs.horizon(Duration::ZERO)).unwrap(), Swept::default());
}

/// In the bucket: six parts, the last of them not full.
fn a_large_blob_comes_back_as_it_went(bench: &Bench) {
    let bytes = noise(41_000_000, 3);
    let name = keep(&bench.blobs, &bytes);
    assert!(content(&bench.blobs, &name) == bytes);
    let mut reader = bench.blobs.read(&name).unwrap();
    reader.seek(SeekFrom::End(-5)).unwrap();
    let mut end = Vec::new();
    reader.read_to_end(&mut end).unwrap();
    assert_eq!(end, bytes[bytes.len() - 5..]);
}

fn the_sweep_passes_over_what_is_young_pinned_or_named(bench: &Bench) {
    let blobs = &bench.blobs;
    let kept = blobs.keep(draft_of(blobs, b"abc")).unwrap();
    let name = kept.name.clone();
    assert_eq!(blobs.candidates(Duration::ZERO).unwrap(), [], "pinned");
    assert_eq!(blobs.sweep(from_ref(&name), blobs.horizon(Duration::ZERO)).unwrap(), Swept::default());
    drop(kept);
    assert_eq!(blobs.candidates(MINUTE).unwrap(), [], "young");
    assert_eq!(blobs.sweep(from_ref(&name), blobs.horizon(MINUTE)).unwrap(), Swept::default());
    bench.age();
    assert_eq!(blobs.candidates(MINUTE).unwrap(), from_ref(&name));
    assert_eq!(blobs.sweep(&[], blobs.horizon(MINUTE)).unwrap(), Swept::default());
    assert_eq!(blobs.sweep(from_ref(&name), blobs.horizon(MINUTE)).unwrap(), Swept { blobs: 1, bytes: 3 });
    assert!(matches!(blobs.read(&name), Err(BlobError::Missing(missing)) if missing == name));
}

fn what_was_long_on_its_way_is_young_when_it_is_kept(bench: &Bench) {
    let draft = draft_of(&bench.blobs, b"abc");
    fs::read_dir(bench.draft_folder()).unwrap().for_each(|file| make_old(&file.unwrap().path()));
    let name = bench.blobs.keep(draft).unwrap().name.clone();
    assert_eq!(bench.blobs.candidates(MINUTE).unwrap(), []);
    assert_eq!(content(&bench.blobs, &name), b"abc");
}

fn what_is_kept_anew_is_young_again_on_every_node(bench: &Bench) {
    let other = bench.open("another seat");
    let name = keep(&bench.blobs, b"abc");
    bench.age();
    assert_eq!(bench.blobs.candidates(MINUTE).unwrap(), from_ref(&name));
    // Between the question who names it and the sweep.
    keep(&other, b"abc");
    assert_eq!(bench.blobs.sweep(from_ref(&name), bench.blobs.horizon(MINUTE)).unwrap(), Swept::default());
    assert_eq!(bench.blobs.candidates(MINUTE).unwrap(), []);
    assert_eq!(content(&bench.blobs, &name), b"abc");
}

/// Who asked who names it stood still for longer than the grace, and then goes on.
fn what_is_kept_after_the_question_stays_however_late_the_removal_is(bench: &Bench) {
    let asked = Horizon::at(SystemTime::now() - 3 * DAY, MINUTE);
    let name = keep(&bench.blobs, b"abc");
    bench.age();
    assert_eq!(bench.blobs.sweep(from_ref(&name), asked).unwrap(), Swept::default());
    assert_eq!(content(&bench.blobs, &name), b"abc");
    let asked_again = bench.blobs.horizon(MINUTE);
    assert_eq!(bench.blobs.sweep(from_ref(&name), asked_again).unwrap().blobs, 1);
}

fn what_is_kept_while_others_sweep_is_there(bench: &Bench) {
    let other = bench.open("another seat");
    let stop = AtomicBool::new(false);
    let name = keep(&bench.blobs, b"contested");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                other.sweep(from_ref(&name), other.horizon(MINUTE)).unwrap();
            }
        });
        // Also when something below fails: the scope waits for its threads.
        let _stop = OnDrop(|| stop.store(true, Ordering::Relaxed));
        for _ in 0..40 {
            bench.age();
            keep(&bench.blobs, b"contested");
            assert_eq!(content(&bench.blobs, &name), b"contested");
        }
    });
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// More than a page of the bucket's list.
fn all_that_is_old_is_found_and_removed_and_what_is_no_blob_stays(bench: &Bench) {
    let mut names: Vec<BlobName> =
        (0..1050_u32).map(|number| keep(&bench.blobs, &number.to_le_bytes())).collect();
    names.sort();
    bench.age();
    let foreign = [bench.put_foreign("zz/notes"), bench.put_foreign("readme")];
    let young = keep(&bench.blobs, b"young");
    let mut found = bench.blobs.candidates(MINUTE).unwrap();
    found.sort();
    assert!(found == names, "{} of {}", found.len(), names.len());
    let swept = bench.blobs.sweep(&found[..30], bench.blobs.horizon(MINUTE)).unwrap();
    assert_eq!(swept, Swept { blobs: 30, bytes: 120 });
    found.drain(..30);
    found.push(young);
    found.sort();
    let mut left = bench.blobs.candidates(Duration::ZERO).unwrap();
    left.sort();
    assert!(left == found, "{} of {}", left.len(), found.len());
    for path in foreign {
        assert!(path.exists(), "{}", path.display());
    }
}

fn a_node_sees_at_once_what_another_kept(bench: &Bench) {
    let other = bench.open("another seat");
    for number in 0..20_u8 {
        let name = keep(&bench.blobs, &[number; 100]);
        assert_eq!(content(&other, &name), [number; 100]);
    }
}

fn it_can_be_used(bench: &Bench) {
    bench.blobs.probe().unwrap();
    bench.blobs.rehearse().unwrap();
    assert_eq!(bench.blobs.candidates(Duration::ZERO).unwrap(), [], "nothing is left of the rehearsal");
    assert_eq!(bench.blobs.drafts().unwrap(), 0);
}
