//! A socket that systemd hands over, and the settings as they are then: `http.bind` is where that socket listens, so that
//! whatever depends on the address (who is let in without proof, by which names) goes by the true one.

use std::path::PathBuf;

use super::{Exit, load};
use crate::app::Handed;
use crate::config::{LoadOptions, Loaded};

/// The variable that sets `http.bind`.
const BIND: &str = "GRISTMILL__HTTP__BIND";

/// Reads the settings, and takes the socket, if there is one; with where the settings come from, for reading them again.
pub(super) fn with_socket(
    files: Vec<PathBuf>,
    then: impl FnOnce(Loaded, LoadOptions, Option<Handed>) -> Exit,
) -> Exit {
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
    load(options.clone(), |loaded| then(loaded, options, handed))
}
