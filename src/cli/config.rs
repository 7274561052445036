//! `gristmill config`: what the settings are, and where each comes from.

use clap::Subcommand;

use super::Exit;
use crate::config::Loaded;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Every key, its value, and where the value comes from. Passwords are hidden.
    Print {
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Whether the settings are right; what is wrong is said with file and line.
    Check,
}

/// Prints. That the settings are right is known by the time this is called.
pub(super) fn run(command: &Command, loaded: &Loaded) -> Exit {
    match command {
        Command::Print { json: true } => say!("{}", loaded.json()),
        Command::Print { json: false } => say!("{}", loaded.table().trim_end()),
        Command::Check => say!("{}", loaded.summary()),
    }
    Exit::Done
}
