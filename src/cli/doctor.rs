//! `gristmill doctor`: whether this machine and these settings can do the work.

use std::io::{Cursor, Seek, SeekFrom};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::{Exit, block_on};
use crate::app::{open_blobs, schema_of};
use crate::clock::Clock;
use crate::config::Settings;
use crate::media::Cancel;
use crate::media::mp3::{self, Mp3Settings};
use crate::media::wav::WavReader;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// As JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

/// Looks at everything, says what it found, and fails when anything is wrong.
pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Exit {
    let findings = [
        finding("data folder", data_folder(settings)),
        finding("database", database(settings)),
        finding("blob store", blobs(settings)),
        finding("address", address(settings)),
        finding("transcoder", transcoder()),
    ];
    if arguments.json {
        match serde_json::to_string_pretty(&findings) {
            Ok(text) => say!("{text}"),
            Err(error) => eprintln!("gristmill: {error}"),
        }
    } else {
        for Finding { check, ok, detail } in &findings {
            say!("{} {check}: {detail}", if *ok { "ok  " } else { "FAIL" });
        }
    }
    if findings.iter().all(|finding| finding.ok) { Exit::Done } else { Exit::CheckFailed }
}

fn finding(check: &'static str, found: Result<String, String>) -> Finding {
    let ok = found.is_ok();
    let (Ok(detail) | Err(detail)) = found;
    Finding { check, ok, detail }
}

/// Whether the folder takes a file, and how fast the disk syncs: what a durable commit costs at the least.
fn data_folder(settings: &Settings) -> Result<String, String> {
    const SYNCS: u32 = 50;
    let folder = settings.data_dir();
    let fail = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(fail)?;
    let path = folder.join(format!("doctor-{}", std::process::id()));
    let measured = (|| {
        use std::io::Write as _;
        let mut file = std::fs::File::create(&path)?;
        let begun = Instant::now();
        for _ in 0..SYNCS {
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
        }
        Ok(begun.elapsed() / SYNCS)
    })();
    let removed = std::fs::remove_file(&path);
    let each: Duration = measured.map_err(fail)?;
    removed.map_err(fail)?;
    Ok(format!("{} can be written; a sync takes {:.2} ms", folder.display(), each.as_secs_f64() * 1e3))
}

/// Looks, and changes nothing: migrations are for the daemon's start, or for `gristmill migrate`.
fn database(settings: &Settings) -> Result<String, String> {
    let url = &settings.database.url;
    let found = block_on(schema_of(settings)).map_err(|error| error.to_string())?;
    match found.map_err(|error| error.to_string())? {
        (Some(found), known) if found > known => Err(format!(
            "{url} has schema {found}, this program knows {known}: start the newer program that made it"
        )),
        (Some(found), known) if found < known => {
            Ok(format!("{url} has schema {found}; the next start brings it to {known}"))
        }
        (Some(found), _) => Ok(format!("{url} answers, schema {found}")),
        (None, known) => Ok(format!("{url} is empty; the first start makes schema {known}")),
    }
}

fn blobs(settings: &Settings) -> Result<String, String> {
    let seat = format!("doctor-{}", std::process::id());
    let blobs = open_blobs(settings, &seat, Clock::system());
    blobs.and_then(|blobs| blobs.rehearse()).map_err(|error| error.to_string())?;
    Ok(match settings.blobs.url.folder() {
        Some(folder) => format!("{} can be written", folder.display()),
        None => format!("{} can be written, read, listed and cleaned", settings.blobs.url),
    })
}

fn address(settings: &Settings) -> Result<String, String> {
    let bind = settings.http.bind;
    match TcpListener::bind(bind) {
        Ok(_) => Ok(format!("{bind} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Ok(format!("{bind} is in use (a running daemon is no fault)"))
        }
        Err(error) => Err(format!("{bind}: {error}")),
    }
}

/// A second of sine, through the whole way: a WAV written by another hand than ours, read and encoded by ours.
fn transcoder() -> Result<String, String> {
    const RATE: u32 = 44_100;
    let text = |error: hound::Error| error.to_string();
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut wav, spec).map_err(text)?;
    for frame in 0..RATE {
        let angle = f64::from(frame) / f64::from(RATE) * 440.0 * std::f64::consts::TAU;
        #[expect(clippy::cast_possible_truncation, reason = "within ±16,000")]
        let sample = (angle.sin() * 16_000.0) as i16;
        for _ in 0..spec.channels {
            writer.write_sample(sample).map_err(text)?;
        }
    }
    writer.finalize().map_err(text)?;
    wav.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    let reader = WavReader::open(wav).map_err(|error| error.to_string())?;
    let mut mp3 = Cursor::new(Vec::new());
    let begun = Instant::now();
    let settings = Mp3Settings::default();
    let made = mp3::transcode(reader, &mut mp3, &settings, &Cancel::new(), &mut |_| {})
        .map_err(|error| error.to_string())?;
    if made.frames_out != u64::from(RATE) {
        return Err(format!("{} of {RATE} frames came through", made.frames_out));
    }
    Ok(format!("a second of audio took {:.0} ms", begun.elapsed().as_secs_f64() * 1e3))
}
