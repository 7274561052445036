//! Files on their way to the daemon: read as they are sent, as the whole body or as a multipart form.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::cli::problem::Problem;
use crate::cli::terminal::bars::Bar;
use crate::outbound::Source;

/// A piece of a file in memory, in bytes.
const PIECE: usize = 128 << 10;

/// What is sent.
pub(in crate::cli) struct Parcel {
    pub(super) source: Source,
    /// Why the file could not be read to its end, if so.
    pub(super) unread: Arc<Mutex<Option<Problem>>>,
}

/// A file that is there to be sent.
pub(in crate::cli) struct Opened {
    path: PathBuf,
    file: File,
    pub(in crate::cli) length: u64,
}

impl Opened {
    /// Opens it. Only a regular file is taken: of anything else nobody knows the length.
    pub(in crate::cli) async fn open(path: &Path) -> Result<Self, Problem> {
        let failed = |error: io::Error| Problem::failed(error.to_string()).about(&path.display().to_string());
        // Opening a pipe would wait for whoever writes to it.
        let meta = tokio::fs::metadata(path).await.map_err(failed)?;
        if meta.is_dir() {
            return Err(Problem::failed(format!("{} is a folder: name the files in it", path.display())));
        }
        if !meta.is_file() {
            return Err(Problem::failed(format!("{} is no file", path.display())));
        }
        let file = File::open(path).await.map_err(failed)?;
        let length = file.metadata().await.map_err(failed)?.len();
        Ok(Self { path: path.to_owned(), file, length })
    }

    /// What it is called, without its folder.
    pub(in crate::cli) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The file as the whole body.
    pub(in crate::cli) fn alone(self, bar: Option<Bar>) -> Parcel {
        let length = self.length;
        let (pieces, unread) = self.pieces(bar);
        Parcel { source: Source::new(pieces, length), unread }
    }

    /// The file as the only part of a form; and the form's type.
    pub(in crate::cli) fn in_form(self, bar: Option<Bar>) -> (Parcel, String) {
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let head = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             content-type: application/octet-stream\r\n\r\n",
            quoted(&self.name())
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let length = self.length + (head.len() + tail.len()) as u64;
        let (pieces, unread) = self.pieces(bar);
        let around = |text: String| stream::iter([Ok(Bytes::from(text))]);
        let pieces = around(head).chain(pieces).chain(around(tail));
        (
            Parcel { source: Source::new(pieces, length), unread },
            format!("multipart/form-data; boundary={boundary}"),
        )
    }

    /// Exactly as many bytes as the file had when it was opened.
    fn pieces(
        self,
        bar: Option<Bar>,
    ) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, Arc<Mutex<Option<Problem>>>) {
        let unread: Arc<Mutex<Option<Problem>>> = Arc::default();
        let tell = Arc::clone(&unread);
        let Self { path, file, length } = self;
        let pieces = stream::unfold((file, length, bar), move |(mut file, left, bar)| {
            let (path, tell) = (path.clone(), Arc::clone(&tell));
            async move {
                if left == 0 {
                    return None;
                }
                let mut piece = BytesMut::with_capacity(PIECE.min(usize::try_from(left).unwrap_or(PIECE)));
                let read = match file.read_buf(&mut piece).await {
                    Ok(0) => Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "it became shorter while it was sent",
                    )),
                    Ok(read) => Ok(read),
                    Err(error) => Err(error),
                };
                match read {
                    Ok(_) => {
                        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                        let sent = piece.len() as u64;
                        if let Some(bar) = &bar {
                            bar.advance(sent);
                        }
                        Some((Ok(piece.freeze()), (file, left - sent, bar)))
                    }
                    Err(error) => {
                        let problem = Problem::failed(error.to_string()).about(&path.display().to_string());
                        if let Ok(mut unread) = tell.lock() {
                            *unread = Some(problem);
                        }
                        Some((Err(error), (file, 0, bar)))
                    }
                }
            }
        });
        (pieces, unread)
    }
}

/// A name between quotes, as browsers write it into a form.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_and_what_is_not_there_are_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let told = |path: PathBuf| async move { Opened::open(&path).await.err().unwrap().message() };
        assert!(told(folder.path().to_owned()).await.contains("is a folder"));
        let missing = folder.path().join("a.png");
        assert_eq!(
            told(missing.clone()).await,
            format!("{}: No such file or directory (os error 2)", missing.display())
        );
        assert!(told("/dev/null".into()).await.contains("is no file"));
    }

    #[tokio::test]
    async fn a_file_that_shrinks_while_it_is_sent_is_an_error_with_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(PIECE as u64 * 2).unwrap();
        let (pieces, unread) = Opened::open(file.path()).await.unwrap().pieces(None);
        let mut pieces = std::pin::pin!(pieces);
        assert_eq!(pieces.next().await.unwrap().unwrap().len(), PIECE);
        file.as_file().set_len(PIECE as u64).unwrap();
        assert!(pieces.next().await.unwrap().is_err());
        assert!(pieces.next().await.is_none());
        let told = unread.lock().unwrap().take().unwrap().message();
        assert!(told.contains("became shorter") && told.contains(file.path().to_str().unwrap()), "{told}");
    }

    #[test]
    fn no_name_breaks_out_of_the_form() {
        assert_eq!(quoted("a\"\r\nb.wav"), "a%22%0D%0Ab.wav");
    }
}
