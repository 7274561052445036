//! `gristmill transcode`: one file, here without a daemon; or by one (`remote`).

mod remote;

use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::Exit;
use super::client::Way;
use crate::media::Cancel;
use crate::media::mp3::{self, CbrKbps, Mode, Mp3Settings, Transcoded, VbrQuality};
use crate::media::wav::WavReader;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The WAV file.
    input: PathBuf,
    /// Where the MP3 goes; the input's name with the ending .mp3 unless given.
    output: Option<PathBuf>,
    /// Constant bit rate in kbit/s, such as 128.
    #[arg(long, value_name = "KBPS", conflicts_with = "vbr")]
    cbr: Option<u16>,
    /// Variable bit rate: 0 is the best and largest, 9 the smallest.
    #[arg(long, value_name = "QUALITY")]
    vbr: Option<u8>,
    /// Overwrite the output if it is there.
    #[arg(long)]
    force: bool,
    /// Have a daemon do it: the recording is kept there, and the MP3 is fetched. It is the daemon that says how (cbr, vbr).
    #[arg(long, conflicts_with_all = ["cbr", "vbr"])]
    remote: bool,
    /// Print the link of the MP3 instead of fetching it.
    #[arg(long, requires = "remote", conflicts_with_all = ["output", "force"])]
    link: bool,
    #[command(flatten)]
    way: Way,
}

/// Converts. The MP3 appears under its name only once it is whole.
pub(super) fn run(arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    if arguments.remote {
        return remote::run(arguments, config);
    }
    let settings = match settings(arguments) {
        Ok(settings) => settings,
        Err(problem) => {
            eprintln!("gristmill: {problem}");
            return Exit::Usage;
        }
    };
    let output = arguments.output.clone().unwrap_or_else(|| arguments.input.with_extension("mp3"));
    if output == arguments.input {
        eprintln!(
            "gristmill: {} would be overwritten by its own conversion: name another output",
            output.display()
        );
        return Exit::Usage;
    }
    if output.exists() && !arguments.force {
        eprintln!("gristmill: {} is there already: --force overwrites it", output.display());
        return Exit::Failed;
    }
    match convert(&arguments.input, &output, &settings, arguments.way.manners.is_quiet()) {
        Ok(made) => {
            tell(&made, &output, arguments.way.manners.json);
            Exit::Done
        }
        Err(problem) => {
            eprintln!("gristmill: {}: {problem}", arguments.input.display());
            Exit::Failed
        }
    }
}

fn settings(arguments: &Arguments) -> Result<Mp3Settings, String> {
    let mode = match (arguments.cbr, arguments.vbr) {
        (Some(kbps), _) => {
            Some(CbrKbps::try_from(kbps).map(Mode::Cbr).map_err(|error| format!("--cbr: {error}"))?)
        }
        (None, Some(quality)) => {
            Some(VbrQuality::try_from(quality).map(Mode::Vbr).map_err(|error| format!("--vbr: {error}"))?)
        }
        (None, None) => None,
    };
    let settings = Mp3Settings::default();
    Ok(match mode {
        Some(mode) => Mp3Settings { mode, ..settings },
        None => settings,
    })
}

fn convert(input: &Path, output: &Path, settings: &Mp3Settings, quiet: bool) -> Result<Transcoded, String> {
    // A pipe might never be written to, and cannot be read twice.
    if std::fs::metadata(input).is_ok_and(|there| !there.is_file()) {
        return Err("it is no file".to_owned());
    }
    let file = File::open(input).map_err(|error| error.to_string())?;
    let wav = WavReader::open(BufReader::new(file)).map_err(|error| error.to_string())?;
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = output.with_file_name(name);
    let made = write_part(wav, &part, settings, quiet);
    let made = made.and_then(|made| {
        std::fs::rename(&part, output).map_err(|error| format!("{}: {error}", output.display()))?;
        Ok(made)
    });
    if made.is_err() {
        // Nothing half made stays; what cannot be removed was not made.
        let _ = std::fs::remove_file(&part);
    }
    made
}

fn write_part(
    wav: WavReader<BufReader<File>>,
    part: &Path,
    settings: &Mp3Settings,
    quiet: bool,
) -> Result<Transcoded, String> {
    let at = |error: std::io::Error| format!("{}: {error}", part.display());
    let file = File::create(part).map_err(at)?;
    let mut writer = BufWriter::new(&file);
    let bar = bar(wav.frames(), quiet);
    let mut progress = |progress: mp3::Progress| bar.set_position(progress.done);
    let made = mp3::transcode(wav, &mut writer, settings, &Cancel::new(), &mut progress);
    bar.finish_and_clear();
    let made = made.map_err(|error| error.to_string())?;
    writer.flush().map_err(at)?;
    drop(writer);
    file.sync_all().map_err(at)?;
    Ok(made)
}

/// A bar on a terminal, nothing elsewhere.
fn bar(frames: u64, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(frames);
    match ProgressStyle::with_template("{bar:40} {percent:>3} %  {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn tell(made: &Transcoded, output: &Path, json: bool) {
    if json {
        match serde_json::to_string(made) {
            Ok(text) => say!("{text}"),
            Err(error) => eprintln!("gristmill: {error}"),
        }
        return;
    }
    let (seconds, millis) = (made.duration_ms / 1000, made.duration_ms % 1000);
    say!("{}: {seconds}.{millis:03} s, {} bytes", output.display(), made.bytes);
    for note in &made.notes {
        say!("  {note}");
    }
}
