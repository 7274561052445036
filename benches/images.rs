//! Thumbnails of 12-megapixel pictures: CPU and memory of ours beside vipsthumbnail and ImageMagick, where installed.
//!
//! Ours runs twice: within this process, as the daemon does it, and as a process of its own, as the others do.

use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill::media::Cancel;
use gristmill::media::image::{DecoderProcess, Format, Limits, develop, inspect};

use crate::report::{Report, median};

const WIDTH: u32 = 4000;
const HEIGHT: u32 = 3000;
const SIDE: u32 = 320;
const ROUNDS: usize = 9;

/// Names the picture for the process that makes one thumbnail and ends.
pub const ONLY: &str = "GRISTMILL_BENCH_THUMBNAIL";

/// Makes one thumbnail.
pub fn once(path: &str) {
    let made = thumbnail(&std::fs::read(path).unwrap());
    assert!(made > 1000);
}

fn thumbnail(bytes: &[u8]) -> usize {
    DecoderProcess::is_program(env!("CARGO_BIN_EXE_gristmill").into());
    let limits = Limits {
        formats: Format::ALL.into_iter().collect(),
        pixels: 100_000_000,
        frames: 1,
        memory: 1 << 30,
    };
    let header = inspect(bytes, &limits).unwrap();
    develop(bytes, &header, SIDE, &Cancel::new(), &mut |_| {}).unwrap().thumbnail.bytes.len()
}

/// Each picture, in each way.
pub fn compare(report: &mut Report) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let installed = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !installed("time") {
        report.missing("thumbnails", "GNU time is needed (Debian: apt install time)");
        return;
    }
    let vips = installed("vips") && installed("vipsthumbnail");
    let avif = installed("avifenc");
    let magick = Command::new("/usr/bin/convert").arg("-version").output().is_ok();
    for (there, name) in [(vips, "libvips-tools"), (magick, "imagemagick"), (avif, "libavif-bin")] {
        if !there {
            report.missing(name, &format!("install it (Debian: apt install {name}) to see the ratio"));
        }
    }
    for (name, path) in pictures(folder.path(), vips, avif) {
        let bytes = std::fs::read(&path).unwrap();
        let ours =
            timed(Command::new("time").env(ONLY, &path), std::env::current_exe().unwrap(), &["--bench"]);
        row(report, &name, "ours, a process", ours, None);
        // What is decoded apart from the daemon is not in the time of this thread.
        let within = if name == "AVIF" {
            ours.0
        } else {
            let within = median((0..ROUNDS).map(|_| measured(|| thumbnail(&bytes))).collect());
            report.row(format!("thumbnail of {name}: within the daemon: CPU"), within * 1e3, "ms");
            within
        };
        let input = path.display().to_string();
        let out = folder.path().join("out.jpg").display().to_string();
        if vips {
            let size = format!("{SIDE}x{SIDE}");
            let arguments = [&input, "--size", &size, "-o", &out];
            let theirs = timed(&mut Command::new("time"), "vipsthumbnail".into(), &arguments);
            row(report, &name, "vipsthumbnail", theirs, Some(within));
        }
        // Debian's convert reads no AVIF.
        if magick && name != "AVIF" {
            let size = format!("{SIDE}x{SIDE}");
            let arguments = [&input, "-thumbnail", &size, &out];
            let theirs = timed(&mut Command::new("time"), "/usr/bin/convert".into(), &arguments);
            row(report, &name, "convert", theirs, Some(within));
        }
    }
}

fn row(report: &mut Report, name: &str, who: &str, (seconds, megabytes): (f64, f64), ours: Option<f64>) {
    report.row(format!("thumbnail of {name}: {who}: CPU"), seconds * 1e3, "ms");
    report.row(format!("thumbnail of {name}: {who}: peak memory"), megabytes, "MB");
    if let Some(ours) = ours {
        report.row(format!("thumbnail of {name}: within the daemon / {who}, CPU"), ours / seconds, "x");
    }
}

/// CPU seconds of this thread.
pub fn measured<T>(work: impl FnOnce() -> T) -> f64 {
    let used = || -> f64 {
        let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        line.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
    };
    let before = used();
    work();
    used() - before
}

/// CPU seconds and peak megabytes of a program, medians.
fn timed(time: &mut Command, program: PathBuf, arguments: &[&str]) -> (f64, f64) {
    let (mut seconds, mut megabytes) = (Vec::new(), Vec::new());
    time.args(["-f", "%U %S %M"]).arg(program).args(arguments);
    for _ in 0..ROUNDS {
        let output = time.output().unwrap();
        assert!(output.status.success(), "{time:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        let numbers: Vec<f64> =
            text.lines().last().unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
        seconds.push(numbers[0] + numbers[1]);
        megabytes.push(numbers[2] / 1024.0);
    }
    (median(seconds), median(megabytes))
}

/// The pictures: what libvips writes where it is installed, as cameras do; else one of our own writing.
fn pictures(folder: &Path, vips: bool, avif: bool) -> Vec<(String, PathBuf)> {
    let png = folder.join("photo.png");
    photo().save(&png).unwrap();
    let mut pictures = vec![("PNG".to_owned(), png.clone())];
    let jpegs: [(&str, &[&str]); 2] = [("baseline", &[]), ("progressive", &["--interlace"])];
    for (name, options) in jpegs.into_iter().filter(|_| vips) {
        let path = folder.join(format!("{name}.jpg"));
        let mut command = Command::new("vips");
        let status = command.arg("jpegsave").args([&png, &path]).args(["--Q", "90"]).args(options).status();
        assert!(status.unwrap().success());
        pictures.push((format!("JPEG, {name}"), path));
    }
    if !vips {
        let path = folder.join("baseline.jpg");
        photo().save(&path).unwrap();
        pictures.push(("JPEG, baseline, 4:4:4".to_owned(), path));
    }
    if avif {
        let path = folder.join("photo.avif");
        let options = ["-s", "8", "-y", "420", "--min", "15", "--max", "25"];
        let output = Command::new("avifenc").args(options).args([&png, &path]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        pictures.push(("AVIF".to_owned(), path));
    }
    pictures
}

/// Something like a photograph: soft shapes, edges, and grain.
fn photo() -> image::RgbImage {
    let mut noise = 0x2545_f491_u32;
    image::RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let grain = (noise % 13) as f32 - 6.0;
        let (fx, fy) = (x as f32 / 4000.0, y as f32 / 3000.0);
        let edge = if (fx * 17.0).sin() + (fy * 11.0 + fx * 3.0).cos() > 0.4 { 45.0 } else { 0.0 };
        let wave = |a: f32, b: f32| 105.0 + 60.0 * (fx * a).sin() * (fy * b).cos();
        let shade = |base: f32| (base + edge + grain).clamp(0.0, 255.0) as u8;
        image::Rgb([shade(wave(9.0, 5.0)), shade(wave(4.0, 7.0)), shade(wave(6.0, 13.0))])
    })
}
