//! Rows as files: a line of JSON a row, packed by gzip.
//!
//! Used by `make.rs`, which writes them, and by `check.rs` and `restore.rs`, which read them. True here: a row has one form
//! only, whichever database it comes from, so equal tables have equal sums; memory holds one row at a time.

use std::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::error::BackupError;
use super::manifest::{FileEntry, Manifest};
use super::name::Name;
use crate::blob::Shelf;
use crate::store::{Row, Value};
use crate::task::{BlobName, BlobNameError};

/// The longest line that is read: rows are bounded far below this.
const LONGEST: u64 = 256 << 20;

/// How many rows, and the digest of their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) rows: u64,
    pub(super) sha256: BlobName,
}

/// A sum as it grows.
#[derive(Default)]
pub(super) struct Summing {
    rows: u64,
    hasher: Sha256,
    line: Vec<u8>,
}

impl Summing {
    /// Adds a row; gives its line.
    pub(super) fn add(&mut self, row: &Row) -> io::Result<&[u8]> {
        self.line.clear();
        let written: Vec<Written<'_>> = row.iter().map(Written).collect();
        serde_json::to_writer(&mut self.line, &written).map_err(io::Error::other)?;
        self.line.push(b'\n');
        self.hasher.update(&self.line);
        self.rows += 1;
        Ok(&self.line)
    }

    pub(super) fn sum(self) -> Sum {
        Sum { rows: self.rows, sha256: digest(self.hasher) }
    }
}

/// A hash as the name of bytes.
pub(super) fn digest(hasher: Sha256) -> BlobName {
    BlobName::of_digest(&hasher.finalize().into())
}

/// A file of rows that is being written.
pub(super) struct Writer<W: Write> {
    summing: Summing,
    packed: GzEncoder<BufWriter<W>>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(file: W) -> Self {
        // The fastest: rows shrink to a fifth by it, and a better one takes several times as long for little.
        let packed = GzEncoder::new(BufWriter::with_capacity(256 << 10, file), Compression::fast());
        Self { summing: Summing::default(), packed }
    }

    pub(super) fn write(&mut self, row: &Row) -> io::Result<()> {
        let line = self.summing.add(row)?;
        self.packed.write_all(line)
    }

    /// The file, whole, and the sum of what is in it.
    pub(super) fn finish(self) -> io::Result<(W, Sum)> {
        let file = self.packed.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, self.summing.sum()))
    }
}

/// What was read of a file, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    pub(super) sha256: BlobName,
    pub(super) sum: Sum,
}

/// Reads a file of rows to its end, and gives each to `take`.
pub(super) fn read<E: From<io::Error>>(
    file: impl Read,
    mut take: impl FnMut(Row) -> Result<(), E>,
) -> Result<Seen, E> {
    let hashing = Hashing { file, hasher: Sha256::new(), bytes: 0 };
    let mut lines =
        BufReader::with_capacity(256 << 10, GzDecoder::new(BufReader::with_capacity(256 << 10, hashing)));
    let mut summing = Summing::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut lines).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let row = parse(&line)?;
        // What is summed is what was understood: a line of another form is none of ours.
        if summing.add(&row)? != line {
            return Err(invalid("a line is not in the form in which rows are written").into());
        }
        take(row)?;
    }
    // What stands after the packed rows is read as well, so that the digest is that of the file.
    let mut rest = lines.into_inner().into_inner();
    io::copy(&mut rest, &mut io::sink())?;
    let Hashing { hasher, bytes, .. } = rest.into_inner();
    Ok(Seen { bytes, sha256: digest(hasher), sum: summing.sum() })
}

/// Reads the list of a backup's blobs, and gives each with its size, `None` for one that the backup does not have. Compares
/// the list with the sums in the manifest.
pub(super) fn read_list(
    shelf: &Shelf,
    name: &Name,
    manifest: &Manifest,
    mut take: impl FnMut(BlobName, Option<u64>) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    read_file(shelf, name, &manifest.blob_list, |row| {
        let (Some(Value::Text(blob)), Some(bytes), 2) = (row.first(), row.get(1), row.len()) else {
            return Err("a row without a blob".to_owned().into());
        };
        let blob = blob.parse().map_err(|error: BlobNameError| Wrong::Form(error.to_string()))?;
        let bytes = match bytes {
            Value::Int(bytes) => Some(bytes.unsigned_abs()),
            Value::Null | Value::Text(_) | Value::Bool(_) => None,
        };
        take(blob, bytes).map_err(Wrong::Other)
    })
}

/// Reads a file of rows of a backup, gives each row, and compares the file with its sums.
pub(super) fn read_file(
    shelf: &Shelf,
    name: &Name,
    file: &FileEntry,
    take: impl FnMut(Row) -> Result<(), Wrong>,
) -> Result<(), BackupError> {
    let damaged =
        |problem: String| BackupError::Damaged { backup: name.to_string(), file: file.file.clone(), problem };
    let reader = shelf.read(&name.file(&file.file))?.ok_or_else(|| damaged("it is missing".to_owned()))?;
    match read(reader, take) {
        Ok(seen) => file.judge(&seen).map_or(Ok(()), |problem| Err(damaged(problem))),
        Err(Wrong::Form(problem)) => Err(damaged(problem)),
        Err(Wrong::Other(error)) => Err(error),
    }
}

/// What ends the reading of a file.
pub(super) enum Wrong {
    /// It is not what was written.
    Form(String),
    /// Something else.
    Other(BackupError),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Form(error.to_string())
    }
}

impl From<String> for Wrong {
    fn from(problem: String) -> Self {
        Self::Form(problem)
    }
}

fn parse(line: &[u8]) -> io::Result<Row> {
    let row: Vec<Parsed> = serde_json::from_slice(line).map_err(|error| invalid(error.to_string()))?;
    Ok(row.into_iter().map(|Parsed(value)| value).collect())
}

pub(super) fn invalid(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.into())
}

/// Counts and hashes what is read through it.
pub(super) struct Hashing<R> {
    file: R,
    hasher: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}

/// Reads a file to its end: how many bytes, and their digest.
pub(super) fn look_through(
    mut file: impl Read,
    mut each: impl FnMut(u64) -> io::Result<()>,
) -> io::Result<(u64, BlobName)> {
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok((bytes, digest(hasher)));
        }
        hasher.update(&buffer[..n]);
        bytes += n as u64;
        each(n as u64)?;
    }
}

struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
        }
    }
}

struct Parsed(Value);

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl Visitor<'_> for Values {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a whole number of 64 bits, a text, or true or false")
    }

    fn visit_unit<E>(self) -> Result<Parsed, E> {
        Ok(Parsed(Value::Null))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Parsed, E> {
        Ok(Parsed(Value::Int(number)))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Parsed, E> {
        let number = i64::try_from(number).map_err(|_| E::custom("a number of more than 63 bits"))?;
        Ok(Parsed(Value::Int(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Parsed, E> {
        Ok(Parsed(Value::Text(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Parsed, E> {
        Ok(Parsed(Value::Text(text)))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Parsed, E> {
        Ok(Parsed(Value::Bool(flag)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            any::<bool>().prop_map(Value::Bool),
            any::<String>().prop_map(Value::Text),
        ]
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were(rows in prop::collection::vec(prop::collection::vec(value(), 0..6), 0..20)) {
            let mut writer = Writer::new(Vec::new());
            rows.iter().for_each(|row| writer.write(row).unwrap());
            let (file, sum) = writer.finish().unwrap();
            let mut back = Vec::new();
            let seen = read::<io::Error>(&file[..], |row| { back.push(row); Ok(()) }).unwrap();
            prop_assert_eq!(back, rows);
            prop_assert_eq!(seen.sum, sum);
            prop_assert_eq!(seen.bytes, file.len() as u64);
        }
    }

    #[test]
    fn a_line_of_another_form_is_no_row() {
        for line in ["[1 ]\n", "[1]", "[1.5]\n", "[9223372036854775808]\n", "{}\n", "[[1]]\n"] {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(line.as_bytes()).unwrap();
            let file = packed.finish().unwrap();
            assert!(read::<io::Error>(&file[..], |_| Ok(())).is_err(), "{line}");
        }
    }
}
