//! The command line: a file a subcommand. The only room that speaks to the terminal.
//!
//! Exit codes: 0 done, 1 failed, 2 a wrong command line or setting, 3 a check found something wrong, or a task that was
//! waited for did not complete; 130 interrupted.
//!
//! The commands that work here (`serve`, `migrate`, `doctor`, ...) read the settings; those that speak to a daemon
//! (`client`) read them only if nothing else says where it is. Those say what went wrong by a `Problem`.
#![expect(clippy::print_stderr, reason = "speaking to the terminal is what this room is for")]

/// A line on standard output. Whoever reads it may have seen enough and be gone, as `head` is: that is no failure of ours.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        // The work is done either way, and the exit code says how.
        let _ = writeln!(std::io::stdout().lock(), $($line)*);
    }};
}

mod backup;
mod client;
mod config;
mod dead;
mod doctor;
mod examples;
mod follow;
mod gc;
mod handed;
mod kinds;
mod migrate;
mod pages;
mod problem;
mod profile;
mod quiz;
mod report;
mod restore;
mod saved;
mod serve;
mod submit;
mod tasks;
mod terminal;
mod transcode;
mod upload;
mod user;
mod watch;
mod watched;
mod when;

#[cfg(test)]
mod document;

use std::io::{stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::problem::Problem;
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
    /// Create a task, and wait for its end or not.
    Submit(submit::Arguments),
    /// Tasks: listed, shown, watched, cancelled, tried again, removed.
    Tasks(tasks::Arguments),
    /// Follow tasks to their ends; the exit code says whether all completed.
    Watch(watch::Arguments),
    /// Send images, and print their links.
    Upload(upload::Arguments),
    /// Convert a WAV file to MP3: here, or by a daemon.
    Transcode(transcode::Arguments),
    /// Fetch questions that were not here before, and print them.
    Quiz(quiz::Arguments),
    /// Make a report about a user, and fetch it.
    Report(report::Arguments),
    /// What kinds of tasks there are; pause and resume them.
    Kinds {
        #[command(subcommand)]
        command: kinds::Command,
    },
    /// Daemons by name, with the tokens for them.
    Profile {
        #[command(subcommand)]
        command: profile::Command,
    },
    /// Bring the database's schema up to date, and say where it stands; or move it to PostgreSQL.
    Migrate(migrate::Arguments),
    /// Save the database and the blobs; list and check what was saved.
    Backup(backup::Arguments),
    /// Fill this installation, which must be empty, from a backup.
    Restore(restore::Arguments),
    /// Look at the settings.
    Config {
        #[command(subcommand)]
        command: config::Command,
    },
    /// Remove what need not be here: tasks that ended long ago, and files that nothing names; or only say what that is.
    Gc(gc::Arguments),
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
    /// Print the completions for a shell.
    Completions(pages::Completions),
    /// Print the pages for man.
    Man(pages::Man),
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
    /// A check found something wrong, or a task did not complete.
    CheckFailed,
    /// Whoever sits there had enough.
    Interrupted,
}

impl Exit {
    /// This and another of the same command: what is worse.
    fn or(self, other: Self) -> Self {
        let weight = |exit: Self| match exit {
            Self::Done => 0,
            Self::CheckFailed => 1,
            Self::Failed => 2,
            Self::Usage => 3,
            Self::Interrupted => 4,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::CheckFailed => Self::from(3),
            // As a shell says it of what SIGINT ended.
            Exit::Interrupted => Self::from(130),
        }
    }
}

/// Does what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    let parsed = Cli::from_arg_matches(&command().get_matches());
    let Cli { config, command } = parsed.unwrap_or_else(|error| error.exit());
    let exit = match command.unwrap_or_else(|| Command::Serve(serve::Arguments::default())) {
        Command::Serve(arguments) => handed::with_socket(config, |loaded, options, socket| {
            serve::run(arguments, loaded.settings, options, socket)
        }),
        Command::Submit(arguments) => submit::run(&arguments, config),
        Command::Tasks(arguments) => tasks::run(&arguments, config),
        Command::Watch(arguments) => watch::run(&arguments, config),
        Command::Upload(arguments) => upload::run(&arguments, config),
        Command::Transcode(arguments) => transcode::run(&arguments, config),
        Command::Quiz(arguments) => quiz::run(&arguments, config),
        Command::Report(arguments) => report::run(&arguments, config),
        Command::Kinds { command } => kinds::run(&command, config),
        Command::Profile { command } => profile::run(&command),
        Command::Migrate(arguments) => {
            with_settings(config, |loaded| migrate::run(&arguments, &loaded.settings))
        }
        Command::Backup(arguments) => {
            with_settings(config, |loaded| backup::run(&arguments, loaded.settings))
        }
        Command::Restore(arguments) => {
            with_settings(config, |loaded| restore::run(&arguments, &loaded.settings))
        }
        Command::Config { command } => with_settings(config, |loaded| config::run(&command, &loaded)),
        Command::Gc(arguments) => gc::run(&arguments, config),
        Command::Dead { command } => with_settings(config, |loaded| dead::run(&command, &loaded.settings)),
        Command::User { command } => with_settings(config, |loaded| user::run(&command, &loaded.settings)),
        Command::DecodeAvif => return decode_avif(),
        Command::Doctor(arguments) => {
            with_settings(config, |loaded| doctor::run(&arguments, &loaded.settings))
        }
        Command::Completions(arguments) => pages::completions(&arguments),
        Command::Man(arguments) => pages::man(&arguments),
    };
    exit.into()
}

/// What clap knows of the command line, examples included.
fn command() -> clap::Command {
    examples::with_examples(Cli::command())
}

/// The process that decodes AVIF: no settings, nothing said but what is asked.
fn decode_avif() -> ExitCode {
    let code = DecoderProcess::serve(&mut stdin().lock(), &mut stdout().lock(), &mut stderr().lock());
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Reads the settings; what is wrong with them is said, all of it, and nothing else is done.
fn with_settings(files: Vec<PathBuf>, then: impl FnOnce(Loaded) -> Exit) -> Exit {
    load(LoadOptions::from_process(files), then)
}

fn load(options: LoadOptions, then: impl FnOnce(Loaded) -> Exit) -> Exit {
    match Settings::load(options) {
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

/// Does work that Ctrl-C ends cleanly: bars are wiped, half a file is removed.
fn interruptible<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    // A name that is still being looked up is nothing to wait for.
    interruptible_within(work, Duration::ZERO)
}

/// The same, and waits so long at the most for what goes on in threads and cannot be left half done.
fn interruptible_within<T>(
    work: impl Future<Output = Result<T, Problem>>,
    patience: Duration,
) -> Result<T, Problem> {
    let failed = |error: std::io::Error| Problem::failed(format!("the runtime cannot be started: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err(Problem::interrupted()),
        }
    });
    runtime.shutdown_timeout(patience);
    done
}
