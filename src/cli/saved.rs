//! What the daemon made, fetched into a file: under its name only once it is whole.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::client::{Call, Daemon};
use super::problem::Problem;
use super::terminal::Console;

/// Fetches `path` of the daemon into `file`; the bytes that came. What stands there already is a problem, unless `force`.
pub(super) async fn save(
    daemon: &Daemon,
    path: String,
    file: &Path,
    force: bool,
    console: &Console,
) -> Result<u64, Problem> {
    check(file, force)?;
    let failed = |error: std::io::Error| Problem::failed(format!("{}: {error}", file.display()));
    let (mut flow, _) = daemon.open(Call::get(path).header("accept", "*/*")).await?;
    let length = flow.header("content-length").and_then(|length| length.parse().ok());
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bars = console.bars();
    let bar = bars.bytes(&name, length.unwrap_or(0));
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let part = Part { path: folder.join(format!(".{name}.{}.part", std::process::id())) };
    let mut draft = std::fs::File::create_new(&part.path).map_err(failed)?;
    let mut written = 0;
    while let Some(piece) = daemon.piece(&mut flow).await? {
        draft.write_all(&piece).map_err(failed)?;
        written += piece.len() as u64;
        bar.set(written);
    }
    if length.is_some_and(|length| length != written) {
        return Err(Problem::failed(format!("{}: {written} bytes came, and there are more", file.display())));
    }
    draft.sync_all().map_err(failed)?;
    std::fs::rename(&part.path, file).map_err(failed)?;
    Ok(written)
}

/// Whether the file may be written.
pub(super) fn check(file: &Path, force: bool) -> Result<(), Problem> {
    if file.is_dir() {
        return Err(Problem::usage(format!("{} is a folder: name a file in it", file.display())));
    }
    if file.exists() && !force {
        return Err(Problem::failed(format!("{} is there already: --force overwrites it", file.display())));
    }
    Ok(())
}

/// A file that is not whole yet; removed unless it got its name.
struct Part {
    path: PathBuf,
}

impl Drop for Part {
    fn drop(&mut self) {
        // When all went well it is there no more.
        let _ = std::fs::remove_file(&self.path);
    }
}
