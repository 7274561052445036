//! Reports: CPU, bytes and memory of ours beside ReportLab, where that is installed.

#[expect(dead_code, reason = "it has more samples than are measured")]
#[path = "../tests/report/sample.rs"]
mod sample;

use std::process::Command;
use std::time::Instant;

use gristmill::media::report::{
    Counter, Day, Holding, KindTotal, Language, Outcomes, Point, RecentTask, ReportData, Subject, draw,
};
use gristmill::task::{Attempt, Status, TaskId, Timestamp, UserId};

use crate::images::measured;
use crate::report::Report;

const ROUNDS: usize = 200;
/// How many reports the process draws whose memory is looked at.
const IN_A_ROW: usize = 1000;

/// Set for the process that draws many reports and says how much memory that took.
pub const MANY: &str = "GRISTMILL_BENCH_REPORTS";

/// Draws many reports and ends.
pub fn many() {
    let data = usual();
    let bytes: usize = (0..IN_A_ROW).map(|index| drawn(&data, index).len()).sum();
    assert!(bytes > IN_A_ROW * 1000);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{}", peak.trim_end_matches("kB").trim());
}

fn drawn(data: &ReportData, index: usize) -> Vec<u8> {
    draw(&ReportData { id: format!("report {index}"), ..data.clone() }).unwrap()
}

/// The usual report, with an avatar as the daemon keeps them.
fn usual() -> ReportData {
    let face = image::RgbImage::from_fn(256, 256, |x, y| {
        let wave = |speed: f32, at: u32| (128.0 + 90.0 * (at as f32 * speed / 256.0).sin()) as u8;
        image::Rgb([wave(7.0, x), wave(5.0, y), wave(11.0, x + y) ^ ((x * 7 + y * 13) % 9) as u8])
    });
    let mut avatar = std::io::Cursor::new(Vec::new());
    face.write_to(&mut avatar, image::ImageFormat::Jpeg).unwrap();
    ReportData { avatar: Some(avatar.into_inner()), ..sample::usual(Language::Ru) }
}

/// Ours and theirs.
pub fn compare(report: &mut Report) {
    let data = usual();
    let first = measured(|| drawn(&data, 0));
    report.row("report: the first of a process, fonts read: CPU", first * 1e3, "ms");
    let began = Instant::now();
    // Over all of them: the clock of a thread may be as coarse as a tick, half a report.
    let ours =
        measured(|| (1..=ROUNDS).map(|index| drawn(&data, index).len()).sum::<usize>()) / ROUNDS as f64;
    report.row("report, 3 pages, 40 tasks, avatar: CPU, mean of 200", ours * 1e3, "ms");
    report.row("report: one after the other", ROUNDS as f64 / began.elapsed().as_secs_f64(), "/s");
    report.row("report: size", drawn(&data, 0).len() as f64 / 1e3, "kB");
    let crowded = sample::crowded(Language::En);
    let few = ROUNDS / 10;
    let large = measured(|| (0..few).map(|index| drawn(&crowded, index).len()).sum::<usize>()) / few as f64;
    report.row("report of 10,000 tasks, of which 200 are shown: CPU, mean of 20", large * 1e3, "ms");
    report.row("report of 10,000 tasks: size", drawn(&crowded, 0).len() as f64 / 1e3, "kB");
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).arg("--bench").env(MANY, "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let kilobytes: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    report.row("report: a process that drew 1,000 of them: peak memory", kilobytes / 1024.0, "MB");
    reportlab(report, ours);
}

/// A like report, by benches/reportlab_report.py.
fn reportlab(report: &mut Report, ours: f64) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reportlab_report.py");
    let fonts = concat!(env!("CARGO_MANIFEST_DIR"), "/src/media/report/fonts");
    let output = Command::new("/usr/bin/python3").args([script, fonts]).output();
    let said = output.as_ref().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let numbers: Vec<f64> =
        said.unwrap_or_default().split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [seconds, bytes, kilobytes] = numbers[..] else {
        report.missing("ReportLab", "install it (Debian: apt install python3-reportlab) to see the ratio");
        return;
    };
    report.row("ReportLab, a like report: CPU, p50", seconds * 1e3, "ms");
    report.row("ReportLab: size", bytes / 1e3, "kB");
    report.row("ReportLab: a process that drew 100 of them: peak memory", kilobytes / 1024.0, "MB");
    report.row("report / ReportLab, CPU", ours / seconds, "x");
}
