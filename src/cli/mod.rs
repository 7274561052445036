//! The command line: a file a subcommand. The only room that speaks to the terminal.
//!
//! Exit codes: 0 done, 1 failed, 2 a wrong command line or setting, 3 a check found something wrong.
#![expect(clippy::print_stderr, reason = "speaking to the terminal is what this room is for")]

/// A line on standard output. Whoever reads it may have seen enough and be gone, as `head` is: that is no failure of ours.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        // The work is done either way, and the exit code says how.
        let _ = writeln!(std::io::stdout().lock(), $($line)*);
    }};
}

mod config;
mod dead;
mod doctor;
mod migrate;
mod serve;
mod transcode;
mod user;

use std::io::{stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{LoadOptions, Loaded, Settings};
use crate::media::image::DecoderProcess;

/// A job daemon with the jobs built in.
#[derive(Debug, Parser)]
#[command(name = "gristmill", version, propagate_version = true)]
struct Cli {
    /// A configuration file instead of config/*.toml; may be given several times, later ones win.
    #[arg(long, global = true, value_name = "FILE")]
    config: Vec<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon (what happens without a subcommand, too).
    Serve(serve::Arguments),
    /// Convert a WAV file to MP3, without a daemon.
    Transcode(transcode::Arguments),
    /// Bring the database's schema up to date, and say where it stands.
    Migrate,
    /// Look at the settings.
    Config {
        #[command(subcommand)]
        command: config::Command,
    },
    /// Look at the broker's messages that were no tasks; send them back, or remove them.
    Dead {
        #[command(subcommand)]
        command: dead::Command,
    },
    /// Users: made, listed, removed; who is an admin.
    User {
        #[command(subcommand)]
        command: user::Command,
    },
    /// Decode an AVIF from standard input into rows on standard output, as the daemon asks it of a process apart.
    #[command(name = DecoderProcess::COMMAND, hide = true)]
    DecodeAvif,
    /// Check that this machine and these settings can do the work.
    Doctor(doctor::Arguments),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Done.
    Done,
    /// It failed; what failed has been said.
    Failed,
    /// The command line or a setting is wrong; which has been said.
    Usage,
    /// A check found something wrong.
    CheckFailed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::CheckFailed => Self::from(3),
        }
    }
}

/// Does what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    let exit = match command.unwrap_or_else(|| Command::Serve(serve::Arguments::default())) {
        Command::Serve(arguments) => with_settings(config, |loaded| serve::run(arguments, loaded.settings)),
        Command::Transcode(arguments) => transcode::run(&arguments),
        Command::Migrate => with_settings(config, |loaded| migrate::run(&loaded.settings)),
        Command::Config { command } => with_settings(config, |loaded| config::run(&command, &loaded)),
        Command::Dead { command } => with_settings(config, |loaded| dead::run(&command, &loaded.settings)),
        Command::User { command } => with_settings(config, |loaded| user::run(&command, &loaded.settings)),
        Command::DecodeAvif => return decode_avif(),
        Command::Doctor(arguments) => {
            with_settings(config, |loaded| doctor::run(&arguments, &loaded.settings))
        }
    };
    exit.into()
}

/// The process that decodes AVIF: no settings, nothing said but what is asked.
fn decode_avif() -> ExitCode {
    let code = DecoderProcess::serve(&mut stdin().lock(), &mut stdout().lock(), &mut stderr().lock());
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Reads the settings; what is wrong with them is said, all of it, and nothing else is done.
fn with_settings(files: Vec<PathBuf>, then: impl FnOnce(Loaded) -> Exit) -> Exit {
    match Settings::load(LoadOptions::from_process(files)) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("warning: {warning}");
            }
            then(loaded)
        }
        Err(error) => {
            eprintln!("{error}");
            Exit::Usage
        }
    }
}

/// A runtime for commands that only ask the database something.
fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}
