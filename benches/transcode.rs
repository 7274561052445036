//! CPU of the transcoder beside the program `lame`, where that is installed.

use std::path::Path;
use std::process::Command;

use crate::report::{Report, median};

const MINUTES: u32 = 10;
const ROUNDS: usize = 3;

/// Ten minutes of stereo, both ways, in turns; medians of the user CPU.
pub fn compare(report: &mut Report) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let wav = folder.path().join("ten-minutes.wav");
    write_wav(&wav, MINUTES);
    let (ours, theirs) = (folder.path().join("ours.mp3"), folder.path().join("theirs.mp3"));
    let gristmill = env!("CARGO_BIN_EXE_gristmill");
    let lame = Command::new("lame").arg("--version").output().is_ok();
    if !lame {
        report.missing("lame", "install it (Debian: apt install lame) to see the ratio");
    }
    for (name, our_mode, their_mode) in
        [("CBR 128", &["--cbr", "128"][..], &["-b", "128"][..]), ("VBR V2", &["--vbr", "2"], &["-V", "2"])]
    {
        let (mut our, mut their) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            our.push(user_seconds(Command::new("bash").args(timed(
                gristmill,
                "transcode",
                &["--force"],
                our_mode,
                &wav,
                &ours,
            ))));
            if lame {
                their.push(user_seconds(Command::new("bash").args(timed(
                    "lame",
                    "--quiet",
                    &[],
                    their_mode,
                    &wav,
                    &theirs,
                ))));
            }
        }
        let ours = median(our);
        report.row(format!("transcode {name}, {MINUTES} min stereo: CPU"), ours, "s");
        if lame {
            let theirs = median(their);
            report.row(format!("lame {name}, {MINUTES} min stereo: CPU"), theirs, "s");
            report.row(format!("transcode / lame, {name}"), ours / theirs, "x");
        }
    }
}

fn timed(program: &str, first: &str, then: &[&str], mode: &[&str], wav: &Path, mp3: &Path) -> Vec<String> {
    let script = "TIMEFORMAT=%U; time \"$@\" >/dev/null 2>&1".to_owned();
    let mut arguments =
        vec!["-c".to_owned(), script, "timed".to_owned(), program.to_owned(), first.to_owned()];
    arguments.extend(then.iter().chain(mode).map(|text| (*text).to_owned()));
    arguments.extend([wav, mp3].map(|path| path.display().to_string()));
    arguments
}

fn user_seconds(command: &mut Command) -> f64 {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stderr).unwrap().trim().parse().unwrap()
}

/// Tones that move, under noise: not silence, and not a single sine, both of which encoders make short work of.
pub fn write_wav(path: &Path, minutes: u32) {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 44_100,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    let mut noise = 0x1234_5678_u32;
    for frame in 0..minutes * 60 * 44_100 {
        let seconds = f64::from(frame) / 44_100.0;
        for side in [1.0, 1.5] {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hiss = f64::from(noise >> 16) / 65_536.0 - 0.5;
            let pitch = 220.0 * side * (1.0 + 0.3 * (seconds * 0.7).sin());
            let tone = (seconds * pitch * std::f64::consts::TAU).sin() * (seconds * 3.0).sin().abs();
            writer.write_sample((tone * 12_000.0 + hiss * 3_000.0) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
}
