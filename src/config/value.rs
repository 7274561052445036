//! The domain types that settings are parsed into.
//!
//! Used by the rules here and by every room that takes settings. True here: a value of these types is well
//! formed, and neither `Debug` nor `Display` shows a password.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tracing_subscriber::EnvFilter;
use url::Url;

/// A number of bytes, written as `1048576`, `"1 MiB"` (1024 to the step) or `"1 MB"` (1000 to the step).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// Units by name; the larger first, since the first that divides a size is the one it is shown in.
const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; sizes beyond the address space are cut to it.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Text that is not a size in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a size in bytes: write a whole number and a unit, as 5 MB or 2 GiB")]
pub struct BadByteSize;

impl FromStr for ByteSize {
    type Err = BadByteSize;

    fn from_str(text: &str) -> Result<Self, BadByteSize> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| BadByteSize)?;
        let unit = unit.trim_start();
        let factor = if unit.is_empty() {
            1
        } else {
            let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
            known.ok_or(BadByteSize)?.1
        };
        number.checked_mul(factor).map(Self).ok_or(BadByteSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = UNITS
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&("B", 1));
        write!(f, "{} {unit}", self.0 / factor)
    }
}

/// A URL that may hold a password: shown without it, given whole only by [`SecretUrl::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// The whole URL, for whoever connects. Never log it.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
            return f.write_str("***");
        }
        // PostgreSQL also takes the password as a parameter.
        if self.0.query().is_some() {
            let pairs: Vec<(String, String)> =
                self.0.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
            let mut query = shown.query_pairs_mut();
            query.clear();
            for (name, value) in &pairs {
                let secret = name.to_ascii_lowercase().contains("pass");
                query.append_pair(name, if secret { "***" } else { value });
            }
        }
        write!(f, "{shown}")
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

/// Which database keeps the tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// Embedded SQLite in one file.
    Sqlite {
        /// The file, relative to the working directory unless absolute.
        path: PathBuf,
    },
    /// A PostgreSQL server, shared by any number of nodes.
    Postgres(SecretUrl),
}

impl FromStr for DatabaseUrl {
    type Err = String;

    // The refusals never quote the text: a mistyped URL still holds its password.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) =
            text.split_once(':').ok_or("has no scheme: it must begin with sqlite: or postgres://")?;
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path == ":memory:" {
                    return Err("names no file: a task must survive a restart".to_owned());
                }
                if path.contains('?') {
                    return Err("has parameters, which the SQLite form does not take".to_owned());
                }
                Ok(Self::Sqlite { path: PathBuf::from(path) })
            }
            "postgres" | "postgresql" => {
                let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
                if !rest.starts_with("//") {
                    return Err("lacks the // after postgres:".to_owned());
                }
                Ok(Self::Postgres(SecretUrl(url)))
            }
            other => Err(unknown_scheme(other, rest, "database")),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

/// Where the broker is and who comes to it. Neither `Debug` nor `Display` shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    tls: bool,
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    vhost: String,
}

impl BrokerUrl {
    /// Whether the connection is encrypted.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, if the URL has one. Never log it.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }
}

/// The longest name of a virtual host: what the protocol can carry.
const LONGEST_VHOST: usize = 255;

impl FromStr for BrokerUrl {
    type Err = String;

    // The refusals never quote the text: a mistyped URL still holds its password.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) =
            text.split_once(':').ok_or("has no scheme: it must begin with amqp:// or amqps://")?;
        let tls = match scheme {
            "amqp" => false,
            "amqps" => true,
            other => return Err(unknown_scheme(other, rest, "broker")),
        };
        let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no host")?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has parameters: heartbeat and time limits have keys of their own".to_owned());
        }
        let user = plain(url.username())?;
        let vhost = plain(url.path().strip_prefix('/').unwrap_or_default())?;
        if vhost.len() > LONGEST_VHOST {
            return Err(format!("has a vhost of more than {LONGEST_VHOST} bytes"));
        }
        Ok(Self {
            tls,
            host: plain(host.trim_start_matches('[').trim_end_matches(']'))?,
            port: url.port().unwrap_or(if tls { 5671 } else { 5672 }),
            user: if user.is_empty() { "guest".to_owned() } else { user },
            password: url.password().map(plain).transpose()?,
            // Nobody has a virtual host without a name, and many write the slash.
            vhost: if vhost.is_empty() { "/".to_owned() } else { vhost },
        })
    }
}

/// A part of a URL without its percent signs.
fn plain(part: &str) -> Result<String, String> {
    let decoded = percent_decode_str(part).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| "has a part that is not UTF-8 once decoded".to_owned())
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |part| utf8_percent_encode(part, NON_ALPHANUMERIC);
        write!(f, "{}://{}", if self.tls { "amqps" } else { "amqp" }, encoded(&self.user))?;
        if self.password.is_some() {
            f.write_str(":***")?;
        }
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "@{open}{}{close}:{}/{}", self.host, self.port, encoded(&self.vhost))
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

/// Which store keeps the blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobUrl {
    /// A local folder.
    File {
        /// The folder, relative to the working directory unless absolute.
        folder: PathBuf,
    },
    /// A bucket of a store that speaks S3.
    Bucket {
        /// Its name.
        bucket: String,
        /// What the keys in it begin with: words with slashes between them, or nothing.
        prefix: String,
    },
}

impl BlobUrl {
    /// The local folder, if the store is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::File { folder } => Some(folder),
            Self::Bucket { .. } => None,
        }
    }
}

impl FromStr for BlobUrl {
    type Err = String;

    // The refusals never quote the text: somebody may have written the key into it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) =
            text.split_once(':').ok_or("has no scheme: it must begin with file: or s3://")?;
        match scheme {
            "file" => {
                let folder = rest.strip_prefix("//").unwrap_or(rest);
                if folder.is_empty() {
                    return Err("names no folder".to_owned());
                }
                Ok(Self::File { folder: PathBuf::from(folder) })
            }
            "s3" => bucket_url(rest.strip_prefix("//").ok_or("lacks the // after s3:")?),
            other => Err(unknown_scheme(other, rest, "blob store")),
        }
    }
}

/// `bucket/prefix`.
fn bucket_url(rest: &str) -> Result<BlobUrl, String> {
    if rest.contains('@') {
        return Err("holds a user or a key, which have keys of their own (s3_access_key)".to_owned());
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let edges = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let named = (3..=63).contains(&bucket.len())
        && bucket.starts_with(edges)
        && bucket.ends_with(edges)
        && bucket.chars().all(|c| edges(c) || matches!(c, '-' | '.'));
    if !named {
        let rule = "3 to 63 of a-z, 0-9, - and ., a letter or digit first and last";
        return Err(format!("names no bucket: {rule}"));
    }
    let prefix = prefix.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    let word = |word: &str| !word.is_empty() && word.chars().all(plain) && !matches!(word, "." | "..");
    if !prefix.is_empty() && !prefix.split('/').all(word) {
        return Err(
            "has a prefix that is not words of letters, digits and - _ . = with / between them".to_owned()
        );
    }
    if prefix.len() > LONGEST_PREFIX {
        return Err(format!("has a prefix of more than {LONGEST_PREFIX} bytes"));
    }
    Ok(BlobUrl::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

/// A key of S3 has at most 1024 bytes, of which a blob takes less than 100.
const LONGEST_PREFIX: usize = 900;

impl fmt::Display for BlobUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { folder } => write!(f, "file:{}", folder.display()),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// Names the scheme only where it surely is one: in `secret:...` the word before the colon may be the secret.
fn unknown_scheme(scheme: &str, rest: &str, what: &str) -> String {
    if rest.starts_with("//") && scheme.chars().all(|c| c.is_ascii_lowercase()) {
        format!("has the scheme {scheme}, which is no known {what}")
    } else {
        format!("has a scheme that is no known {what}")
    }
}

/// Which log lines are written: a level, or levels by part of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter in the form that the subscriber takes.
    pub fn to_env_filter(&self) -> EnvFilter {
        // Parsed strictly when this value was made, so the lossy form loses nothing.
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("is empty".to_owned());
        }
        // The subscriber would take a mistyped level for the name of a module, and log all of that module.
        for part in text.split(',').map(str::trim) {
            if !part.contains('=') && !LEVELS.contains(&part.to_ascii_lowercase().as_str()) {
                return Err(format!("has {part:?}, which is no level"));
            }
        }
        EnvFilter::builder().parse(text).map_err(|error| format!("is no log filter ({error})"))?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
