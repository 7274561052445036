//! `gristmill completions` and `gristmill man`: what the shells and man know of the command line, made from what clap knows.

use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::Shell;

use super::problem::Problem;
use super::{Exit, command};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell.
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// A folder for all pages, a page a subcommand; else the first page goes to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes the completions of a shell to standard output.
pub(super) fn completions(arguments: &Completions) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "gristmill", &mut text);
    out(&text)
}

/// Writes pages for man.
pub(super) fn man(arguments: &Man) -> Exit {
    match &arguments.out {
        Some(folder) => match write_all(folder) {
            Ok(()) => Exit::Done,
            Err(error) => Problem::failed(format!("{}: {error}", folder.display())).say(),
        },
        None => {
            let mut text = Vec::new();
            match clap_mangen::Man::new(command()).render(&mut text) {
                Ok(()) => out(&text),
                Err(error) => Problem::failed(error.to_string()).say(),
            }
        }
    }
}

fn write_all(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command(), folder)
}

fn out(text: &[u8]) -> Exit {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => Problem::failed(format!("standard output cannot be written: {error}")).say(),
    }
}
