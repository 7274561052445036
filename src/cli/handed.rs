//! A socket that systemd hands over, and the settings as they are then.

use std::path::PathBuf;

use super::{Exit, load};
use crate::app::Handed;
use crate::config::{LoadOptions, Loaded};

/// Takes the socket, if there is one, and reads the settings; with where they come from, for reading them again. To be called
/// before any other thread is started.
pub(super) fn with_socket(
    files: Vec<PathBuf>,
    then: impl FnOnce(Loaded, LoadOptions, Option<Handed>) -> Exit,
) -> Exit {
    match Handed::take() {
        Ok(handed) => {
            let options = LoadOptions::from_process(files).listening_at(handed.as_ref().map(Handed::address));
            load(options.clone(), |loaded| then(loaded, options, handed))
        }
        Err(error) => {
            eprintln!("gristmill: {error}");
            Exit::Usage
        }
    }
}
