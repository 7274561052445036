//! Files by their names in a bucket, for [`Shelf`](crate::blob::Shelf): a key is the prefix and the name.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

use super::{Bucket, Copy, told};
use crate::blob::draft::Draft;
use crate::blob::{BlobError, Item};

/// So much is fetched at a time.
const PIECE: u64 = 4 << 20;

impl Bucket {
    pub(in crate::blob) fn put_file(&self, draft: &Draft, name: &str) -> Result<(), BlobError> {
        let uploaded = self.block_on(self.upload.run(&self.store, &self.key(name), draft));
        uploaded.map_err(|reason| self.unavailable("cannot write", name, reason))
    }

    pub(in crate::blob) fn read_file(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<Option<Box<dyn Read + Send>>, BlobError> {
        let key = self.key(name);
        let copy = match self.block_on(self.in_time(self.store.head(&key))) {
            Ok(Ok(object)) => Copy::from(object),
            Ok(Err(object_store::Error::NotFound { .. })) => return Ok(None),
            Ok(Err(error)) => return Err(self.unavailable("cannot find", name, told(&error))),
            Err(_) => return Err(self.late("cannot find", name)),
        };
        Ok(Some(Box::new(File { bucket: Arc::clone(self), copy, at: 0, ahead: Bytes::new() })))
    }

    pub(in crate::blob) fn list_files(&self, folder: &str) -> Result<Vec<Item>, BlobError> {
        let now = self.now();
        let below = self.key(folder);
        let mut objects = self.store.list(Some(&below));
        let mut found = Vec::new();
        // Each page has the patience of a request: there may be many.
        while let Some(object) = self.ask("cannot list", &self.shown, async { objects.try_next().await })? {
            let Some(parts) = object.location.prefix_match(&self.prefix) else { continue };
            let name = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            let age = now.duration_since(object.last_modified.into()).unwrap_or(Duration::ZERO);
            found.push(Item { name, bytes: object.size, age });
        }
        Ok(found)
    }

    pub(in crate::blob) fn folders(&self) -> Result<Vec<String>, BlobError> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix));
        let listed = self.ask("cannot list", &self.shown, listed)?;
        let name = |path: &Path| path.filename().map(str::to_owned);
        Ok(listed.common_prefixes.iter().filter_map(name).collect())
    }

    pub(in crate::blob) fn remove_files(&self, names: &[String]) -> Result<(), BlobError> {
        self.remove(names.iter().map(|name| self.key(name)).collect())
    }

    fn key(&self, name: &str) -> Path {
        name.split('/')
            .filter(|part| !part.is_empty())
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

/// An object that is read from its beginning to its end.
struct File {
    bucket: Arc<Bucket>,
    copy: Copy,
    at: u64,
    ahead: Bytes,
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() && self.at < self.copy.bytes() {
            let until = self.copy.bytes().min(self.at + PIECE);
            let fetched = self.bucket.fetch(&self.copy, self.at..until).map_err(io::Error::other)?;
            let gone = || io::Error::new(io::ErrorKind::NotFound, "it was removed while it was read");
            self.ahead = fetched.ok_or_else(gone)?;
            self.at = until;
        }
        let n = buffer.len().min(self.ahead.len());
        self.ahead.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}
