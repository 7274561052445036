//! AVIF through the process that decodes it: what is made of sound files, and what the daemon's side makes of a process
//! that fails, lies or hangs.
//!
//! The process is one for the whole program, so one test at a time says which it is.

#[path = "../../src/media/image/tests/make.rs"]
#[expect(dead_code, reason = "the tests of the gate use more of it")]
mod make;

use std::fs;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gristmill::media::Cancel;
use gristmill::media::image::{
    DecoderProcess, Encoding, Format, Header, ImageError, Limits, Spec, check, develop, inspect, strip,
    variant,
};
use tempfile::TempDir;

static ONE: Mutex<()> = Mutex::new(());

/// From now on the process is that program, for whoever holds the guard.
fn process(path: impl Into<PathBuf>) -> MutexGuard<'static, ()> {
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    DecoderProcess::is_program(path.into());
    guard
}

fn ours() -> MutexGuard<'static, ()> {
    process(env!("CARGO_BIN_EXE_gristmill"))
}

fn header(bytes: &[u8]) -> Header {
    let formats = Format::ALL.into_iter().collect();
    let limits = Limits { formats, pixels: 40_000_000, frames: 1, memory: 192 << 20 };
    inspect(bytes, &limits).expect("a picture")
}

fn checked(bytes: &[u8]) -> Result<(), ImageError> {
    check(bytes, &header(bytes), &Cancel::new())
}

#[test]
fn sound_files_are_decoded_and_made_smaller() {
    let _ours = ours();
    for (name, bytes) in make::AVIFS {
        let header = header(bytes);
        let stripped = strip(bytes, &header, false).expect("it can be stripped");
        let developed = develop(&stripped.bytes, &header, 20, &Cancel::new(), &mut |_| {});
        let developed = developed.unwrap_or_else(|error| panic!("{name}: {error}"));
        let facts = developed.facts;
        assert_eq!((facts.format, facts.frames), (Format::Avif, 1));
        let seen = if *name == "told" { (29, 43) } else { (header.width, header.height) };
        assert_eq!((facts.width, facts.height), seen, "{name}");
        assert_eq!(developed.thumbnail.width.max(developed.thumbnail.height), 20);
        assert!((5..=25).contains(&facts.thumbhash.len()));
    }
}

#[test]
fn a_variant_shows_what_another_decoder_sees() {
    let _ours = ours();
    let spec = Spec { format: Some(Encoding::Png), ..Spec::default() };
    for name in ["limited420", "full444", "clear420", "grid", "lossless"] {
        let bytes = make::avif(name);
        let made = variant(&bytes, &header(&bytes), &spec, &Cancel::new()).expect("it can be made");
        let made = image::load_from_memory(&made.bytes).expect("a PNG").into_rgba8();
        let path = format!("{}/src/media/image/tests/avif/{name}.png", env!("CARGO_MANIFEST_DIR"));
        let reference = image::open(path).expect("it is there").into_rgba8();
        assert_eq!(made.dimensions(), reference.dimensions(), "{name}");
        let most = made.iter().zip(reference.iter()).map(|(ours, theirs)| ours.abs_diff(*theirs)).max();
        assert!(most <= Some(5), "{name}: {most:?}");
    }
}

#[test]
fn data_that_makes_no_sense_is_damage() {
    let _ours = ours();
    let sound = make::avif("grid");
    let data = sound.windows(4).position(|kind| kind == b"mdat").expect("it has data") + 4;
    let mut refused = 0;
    for round in 0..60_usize {
        let mut bytes = sound.clone();
        for place in 0..4 {
            let at = data + (round * 7919 + place * 104_729) % (bytes.len() - data);
            bytes[at] ^= (round % 255 + 1) as u8;
        }
        let limits = Limits {
            formats: Format::ALL.into_iter().collect(),
            pixels: 40_000_000,
            frames: 1,
            memory: 192 << 20,
        };
        let Ok(header) = inspect(&bytes, &limits) else { continue };
        match check(&bytes, &header, &Cancel::new()) {
            Ok(()) => {}
            Err(ImageError::Damaged(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 5, "{refused}");
}

/// A program of a few words of the shell.
fn fake(folder: &Path, words: &str) -> PathBuf {
    let path = folder.join("decoder");
    fs::write(&path, format!("#!/bin/sh\ncat >/dev/null\n{words}\n")).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
    path
}

#[test]
fn a_process_that_fails_is_a_damaged_image_and_one_that_is_lost_is_nobodys_fault() {
    let bytes = make::avif("plain420");
    let damaged = |words: &str| ImageError::Damaged(format!("AVIF: {words}"));
    let unavailable = |words: &str| ImageError::Unavailable(words.to_owned());
    for (words, error) in [
        ("kill -ABRT $$", damaged("it makes the decoder of AV1 fail")),
        ("kill -SEGV $$", damaged("it makes the decoder of AV1 fail")),
        ("echo bad tiles >&2; exit 4", damaged("bad tiles")),
        ("kill -KILL $$", unavailable("its decoder was killed")),
        ("echo no memory >&2; exit 1", unavailable("its decoder ended with Some(1): no memory")),
        ("head -c 100 /dev/zero", unavailable("what answered is not its decoder")),
        ("printf 'rows\\003\\0\\0\\0\\001\\0\\0\\0\\001\\0\\0\\0\\0...!'", damaged("its size: x")),
        ("", unavailable("its decoder ended with Some(0): ")),
    ] {
        let folder = TempDir::new().expect("a folder");
        let _fake = process(fake(folder.path(), words));
        let told = checked(&bytes).expect_err(words);
        let sized = matches!(&told, ImageError::Damaged(what) if what.starts_with("its size"));
        assert!(told == error || sized && words.starts_with("printf"), "{words}: {told:?}");
    }
    let _none = process("/no/such/program");
    let told = checked(&bytes).expect_err("there is no program");
    assert!(matches!(&told, ImageError::Unavailable(why) if why.contains("cannot be started")), "{told:?}");
}

#[test]
fn rows_that_end_early_are_no_picture_and_more_of_them_neither() {
    let folder = TempDir::new().expect("a folder");
    let (bytes, program) = (make::avif("lossless"), env!("CARGO_BIN_EXE_gristmill"));
    let path = folder.path().join("file.avif");
    fs::write(&path, &bytes).expect("it can be written");
    let rows = format!("{program} {} <{}", DecoderProcess::COMMAND, path.display());
    for (words, whole) in [
        (rows.clone(), true),
        (format!("{rows} | head -c 2000"), false),
        (format!("{rows} | head -c $((17 + 43 * 29 * 3))"), false),
        (format!("{rows} | head -c $((17 + 43 * 29 * 3)); printf x"), false),
    ] {
        let _fake = process(fake(folder.path(), &words));
        assert_eq!(checked(&bytes).is_ok(), whole, "{words}");
    }
}

#[test]
fn a_process_that_hangs_is_ended_with_whoever_asked() {
    let folder = TempDir::new().expect("a folder");
    let pid = folder.path().join("pid");
    let words = format!("echo $$ >{0}.new; mv {0}.new {0}; exec sleep 3600", pid.display());
    let _fake = process(fake(folder.path(), &words));
    let bytes = make::avif("plain420");
    let cancel = Cancel::new();
    let flag = cancel.clone();
    let asked = std::thread::spawn(move || check(&bytes, &header(&bytes), &flag));
    let until = Instant::now() + Duration::from_secs(60);
    while !pid.exists() {
        assert!(Instant::now() < until, "the process did not begin");
        std::thread::yield_now();
    }
    cancel.cancel();
    assert_eq!(asked.join().expect("no panic"), Err(ImageError::Cancelled));
    let pid = fs::read_to_string(pid).expect("a number");
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "it is still there");
}

#[test]
fn the_process_is_told_nothing_but_the_file() {
    let folder = TempDir::new().expect("a folder");
    let told = folder.path().join("told");
    let _fake = process(fake(folder.path(), &format!("{{ echo \"$@\"; env; }} >{}", told.display())));
    checked(&make::avif("plain420")).expect_err("nothing is decoded");
    let told = fs::read_to_string(told).expect("it was written");
    assert!(told.starts_with(DecoderProcess::COMMAND), "{told}");
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !told.contains("CARGO"), "{told}");
}

/// Looked at while it waits to be rid of its rows: everything is decoded by then, or a row of tiles of it.
#[test]
fn the_process_takes_no_more_memory_than_the_price() {
    for name in make::LARGE_AVIFS {
        let bytes = make::large_avif(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_gristmill"))
            .arg(DecoderProcess::COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        child.stdin.take().expect("an end").write_all(&bytes).expect("it reads");
        let mut output = child.stdout.take().expect("an end");
        output.read_exact(&mut [0; 17]).expect("it decodes");
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        let of = |word: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(word)).expect("a line");
            line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") << 10
        };
        // Pages of the program itself are shared with the daemon.
        let (taken, price) = (of("VmHWM:") - of("RssFile:"), header(&bytes).price);
        println!("{name}: {taken} of {price}");
        assert!(taken <= price, "{name}: {taken} bytes, and the price is {price}");
        std::io::copy(&mut output, &mut std::io::sink()).expect("it goes on");
        assert!(child.wait().expect("it ends").success());
    }
}

#[test]
fn the_command_line_decodes_and_says_what_is_wrong() {
    let run = |bytes: &[u8]| {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let code = DecoderProcess::serve(&mut Cursor::new(bytes), &mut output, &mut errors);
        (code, output.len(), String::from_utf8(errors).expect("text"))
    };
    assert_eq!(run(&make::avif("lossless")), (0, 17 + 43 * 29 * 3 + 1, String::new()));
    let (code, length, error) = run(b"\0\0\0\x10ftypavif\0\0\0\0");
    assert_eq!((code, length), (4, 0));
    assert!(error.contains("it has no box meta"), "{error}");
}
