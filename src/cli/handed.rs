//! A socket that systemd hands over, and the settings as they are then: `http.bind` is where that socket listens, so that
//! whatever depends on the address (who is let in without proof, by which names) goes by the true one.

use std::path::PathBuf;

use super::{Exit, load};
use crate::app::Handed;
use crate::config::{LoadOptions, Loaded};

/// The variable that sets `http.bind`.
const BIND: &str = "GRISTMILL__HTTP__BIND";

/// Reads the settings, and takes the socket, if there is one.
pub(super) fn with_socket(files: Vec<PathBuf>, then: impl FnOnce(Loaded, Option<Handed>) -> Exit) -> Exit {
    let handed = match Handed::take() {
        Ok(handed) => handed,
        Err(error) => {
            eprintln!("gristmill: {error}");
            return Exit::Usage;
        }
    };
    let mut options = LoadOptions::from_process(files);
    if let Some(handed) = &handed {
        // Above all other layers.
        options.env.insert(BIND.into(), handed.address().to_string().into());
    }
    load(options, |loaded| then(loaded, handed))
}
