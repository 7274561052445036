//! Nodes that share a bucket: copies, windows, and removals that come late.

use std::io::Read;
use std::slice::from_ref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill::blob::{BlobError, Swept};
use tokio::sync::Semaphore;

use crate::bench::{Bench, content, keep, noise};
use crate::bucket::{Fault, make_old};

const MINUTE: Duration = Duration::from_secs(60);

/// Waits for something that another thread does.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The race that a folder decides by renaming: the sweep has looked, and its removal is on the way, when another node
/// keeps the same bytes and names them.
#[test]
fn a_removal_that_is_late_removes_nothing_that_was_kept_since() {
    let bench = Bench::bucket();
    let other = bench.open("another seat");
    let name = keep(&bench.blobs, b"contested");
    bench.age();
    let permits = Arc::new(Semaphore::new(0));
    bench.store().asked();
    bench.store().set(Fault::Holding(Arc::clone(&permits)));
    std::thread::scope(|scope| {
        let sweep = scope.spawn(|| bench.blobs.sweep(from_ref(&name), bench.blobs.horizon(MINUTE)));
        until("the removal to be asked for", || bench.store().has_been_asked("DELETE "));
        keep(&other, b"contested");
        permits.add_permits(100);
        assert_eq!(sweep.join().unwrap().unwrap(), Swept { blobs: 1, bytes: 9 });
    });
    assert_eq!(content(&other, &name), b"contested");
}

#[test]
fn copies_that_a_younger_one_has_replaced_are_removed_and_readers_go_on() {
    let bench = Bench::bucket();
    let bytes = noise(1_000_000, 9);
    let name = keep(&bench.blobs, &bytes);
    bench.age();
    let mut reader = bench.blobs.read(&name).unwrap();
    let mut read = vec![0; 1000];
    reader.read_exact(&mut read).unwrap();

    keep(&bench.blobs, &bytes);
    assert_eq!(bench.store().objects().len(), 2);
    assert_eq!(bench.blobs.candidates(MINUTE).unwrap(), [], "young, in one of its copies");
    assert_eq!(bench.store().objects().len(), 1);
    reader.read_to_end(&mut read).unwrap();
    assert!(read == bytes);
}

/// All are old, and somebody names the blob: one copy must stay.
#[test]
fn of_many_old_copies_the_youngest_stays() {
    let bench = Bench::bucket();
    let name = keep(&bench.blobs, b"abc");
    let first = bench.store().objects().remove(0);
    for window in ["000000000600", "000000001200"] {
        std::fs::copy(&first, first.with_file_name(window)).unwrap();
    }
    bench.store().objects().iter().for_each(|path| make_old(path));
    assert_eq!(bench.blobs.candidates(MINUTE).unwrap(), from_ref(&name));
    assert_eq!(bench.store().objects(), from_ref(&first), "the window of today is the last");
    assert_eq!(content(&bench.blobs, &name), b"abc");

    // Nobody names it after all.
    std::fs::copy(&first, first.with_file_name("000000000600")).unwrap();
    bench.store().objects().iter().for_each(|path| make_old(path));
    assert_eq!(bench.blobs.sweep(from_ref(&name), bench.blobs.horizon(MINUTE)).unwrap().blobs, 1);
    assert!(matches!(bench.blobs.read(&name), Err(BlobError::Missing(_))));
}

/// The others may be removed at any time, one after another, under the feet of whoever reads them.
#[test]
fn of_several_copies_the_one_that_is_removed_last_is_read() {
    let bench = Bench::bucket();
    let name = keep(&bench.blobs, b"abc");
    let youngest = bench.store().objects().remove(0);
    for window in ["000000000600", "000000001200"] {
        std::fs::copy(&youngest, youngest.with_file_name(window)).unwrap();
    }
    bench.store().asked();
    assert_eq!(content(&bench.blobs, &name), b"abc");
    let asked = bench.store().asked();
    let window = youngest.file_name().unwrap().to_str().unwrap();
    let read: Vec<&String> = asked.iter().filter(|request| !request.contains("list-type")).collect();
    assert!(matches!(read[..], [only] if only.contains(window)), "{asked:?}");
}

/// A range costs a look and a piece, however large the blob.
#[test]
fn what_is_not_read_is_not_fetched() {
    let bench = Bench::bucket();
    let name = keep(&bench.blobs, &noise(7_000_000, 10));
    bench.store().asked();
    let mut reader = bench.blobs.read(&name).unwrap();
    assert_eq!(reader.len(), 7_000_000);
    assert_eq!(bench.store().asked().len(), 1, "the length is in the list");
    reader.read_exact(&mut [0; 100_000]).unwrap();
    assert_eq!(bench.store().asked().len(), 1);
}
