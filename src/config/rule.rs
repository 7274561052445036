//! Rules: what a key may hold, in code and in words.
//!
//! Called by the section files, one rule a key. True here: a rule parses strictly (a file that says `"4"`
//! where a number is meant is refused), except that environment variables, which are always text, may spell
//! any type; and what a rule refuses it also describes.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use url::Url;

use super::section::Literal;
use super::value::{BlobUrl, BrokerUrl, ByteSize, DatabaseUrl, LogFilter};

/// Why a value was refused, as the end of a sentence about it.
pub(super) type Refusal = String;

/// What a key may hold.
pub(super) trait Rule {
    /// The domain type that comes out.
    type Out;

    fn parse(&self, raw: &Raw) -> Result<Self::Out, Refusal>;

    /// What is allowed, in words.
    fn allowed(&self) -> String;

    /// The value as it may be shown: secrets are blanked.
    fn show(&self, value: &Self::Out) -> Literal;

    /// Whether the raw text may hold a secret, and so must not be quoted in an error.
    fn is_secret(&self) -> bool {
        false
    }
}

/// A value before its rule has seen it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Flag(bool),
    Whole(i64),
    Fraction(f64),
    Text(String),
    /// From the environment: text that may stand for any type.
    Loose(String),
    /// A list, a table or nothing: never allowed, named for the error.
    Other(&'static str),
}

impl Raw {
    /// The refusal of a value of the wrong type.
    fn wrong_type(&self) -> Refusal {
        match self {
            Self::Flag(_) => "is true or false".to_owned(),
            Self::Whole(_) | Self::Fraction(_) => "is a number".to_owned(),
            Self::Text(_) => "is text".to_owned(),
            Self::Loose(_) => "cannot be read".to_owned(),
            Self::Other(what) => format!("is {what}"),
        }
    }

    fn flag(&self) -> Result<bool, Refusal> {
        match self {
            Self::Flag(flag) => Ok(*flag),
            Self::Loose(text) => text.parse().map_err(|_| self.wrong_type()),
            Self::Whole(_) | Self::Fraction(_) | Self::Text(_) | Self::Other(_) => Err(self.wrong_type()),
        }
    }

    fn whole(&self) -> Result<i64, Refusal> {
        match self {
            Self::Whole(number) => Ok(*number),
            Self::Fraction(_) => Err("is not a whole number".to_owned()),
            Self::Loose(text) => text.parse().map_err(|_| "is not a whole number".to_owned()),
            Self::Flag(_) | Self::Text(_) | Self::Other(_) => Err(self.wrong_type()),
        }
    }

    fn number(&self) -> Result<f64, Refusal> {
        match self {
            // Exact up to 2^53, far above every bound.
            Self::Whole(number) => Ok(*number as f64),
            Self::Fraction(number) => Ok(*number),
            Self::Loose(text) => text.parse().map_err(|_| "is not a number".to_owned()),
            Self::Flag(_) | Self::Text(_) | Self::Other(_) => Err(self.wrong_type()),
        }
    }

    pub(super) fn text(&self) -> Result<&str, Refusal> {
        match self {
            Self::Text(text) | Self::Loose(text) => Ok(text),
            Self::Flag(_) | Self::Whole(_) | Self::Fraction(_) | Self::Other(_) => Err(self.wrong_type()),
        }
    }
}

/// As an error quotes it.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Fraction(number) => write!(f, "{number:?}"),
            Self::Text(text) | Self::Loose(text) => write!(f, "{text:?}"),
            Self::Other(what) => write!(f, "({what})"),
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // `any`, since asking for a type would make the deserializer convert: `true` to 1, 2.7 to 3.
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(i64::try_from(number).map_or(Raw::Other("a number too large to hold"), Raw::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Fraction(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Other("nothing"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Raw::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Raw::Other("a table"))
    }
}

/// `true` or `false`.
pub(super) fn flag() -> Flag {
    Flag
}

pub(super) struct Flag;

impl Rule for Flag {
    type Out = bool;

    fn parse(&self, raw: &Raw) -> Result<bool, Refusal> {
        raw.flag()
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn show(&self, value: &bool) -> Literal {
        Literal::Flag(*value)
    }
}

/// A whole number within bounds.
pub(super) fn whole<T>(bounds: RangeInclusive<i64>) -> Whole<T> {
    Whole { bounds, out: PhantomData }
}

pub(super) struct Whole<T> {
    bounds: RangeInclusive<i64>,
    out: PhantomData<T>,
}

impl<T: TryFrom<i64> + TryInto<i64> + Copy> Rule for Whole<T> {
    type Out = T;

    fn parse(&self, raw: &Raw) -> Result<T, Refusal> {
        let number = raw.whole()?;
        if !self.bounds.contains(&number) {
            return Err("is out of range".to_owned());
        }
        T::try_from(number).map_err(|_| "is out of range".to_owned())
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.bounds.start(), self.bounds.end())
    }

    fn show(&self, value: &T) -> Literal {
        Literal::Whole((*value).try_into().unwrap_or(i64::MAX))
    }
}

/// A number of threads or runs, 0 meaning as many as the machine has cores; what comes out is the number
/// meant.
pub(super) fn cores_or(most: i64) -> CoresOr {
    CoresOr { most }
}

pub(super) struct CoresOr {
    most: i64,
}

impl Rule for CoresOr {
    type Out = NonZeroUsize;

    fn parse(&self, raw: &Raw) -> Result<NonZeroUsize, Refusal> {
        let number: usize = whole(0..=self.most).parse(raw)?;
        Ok(NonZeroUsize::new(number)
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)))
    }

    fn allowed(&self) -> String {
        format!("a whole number from 1 to {}, or 0 for as many as there are cores", self.most)
    }

    fn show(&self, value: &NonZeroUsize) -> Literal {
        Literal::Whole(i64::try_from(value.get()).unwrap_or(i64::MAX))
    }
}

/// A time in seconds, a fraction allowed.
pub(super) fn seconds(bounds: RangeInclusive<f64>) -> Seconds {
    Seconds { bounds }
}

pub(super) struct Seconds {
    bounds: RangeInclusive<f64>,
}

impl Rule for Seconds {
    type Out = Duration;

    fn parse(&self, raw: &Raw) -> Result<Duration, Refusal> {
        let number = raw.number()?;
        if !self.bounds.contains(&number) {
            return Err("is out of range".to_owned());
        }
        Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
    }

    fn allowed(&self) -> String {
        format!("seconds from {} to {}", self.bounds.start(), self.bounds.end())
    }

    fn show(&self, value: &Duration) -> Literal {
        if value.subsec_nanos() == 0 {
            Literal::Whole(i64::try_from(value.as_secs()).unwrap_or(i64::MAX))
        } else {
            Literal::Fraction(value.as_secs_f64())
        }
    }
}

/// A part of a whole, from 0 to 1.
pub(super) fn share() -> Share {
    Share
}

pub(super) struct Share;

impl Rule for Share {
    type Out = f64;

    fn parse(&self, raw: &Raw) -> Result<f64, Refusal> {
        let number = raw.number()?;
        if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("is out of range".to_owned()) }
    }

    fn allowed(&self) -> String {
        "a number from 0 to 1".to_owned()
    }

    fn show(&self, value: &f64) -> Literal {
        Literal::Fraction(*value)
    }
}

/// A size in bytes: a number, or text with a unit.
pub(super) fn bytes(bounds: RangeInclusive<u64>) -> Bytes {
    Bytes { bounds }
}

pub(super) struct Bytes {
    bounds: RangeInclusive<u64>,
}

impl Rule for Bytes {
    type Out = ByteSize;

    fn parse(&self, raw: &Raw) -> Result<ByteSize, Refusal> {
        let size = match raw {
            Raw::Whole(number) => {
                ByteSize::new(u64::try_from(*number).map_err(|_| "is out of range".to_owned())?)
            }
            Raw::Text(text) | Raw::Loose(text) => {
                text.parse().map_err(|_| "is not a size in bytes".to_owned())?
            }
            Raw::Flag(_) | Raw::Fraction(_) | Raw::Other(_) => return Err(raw.wrong_type()),
        };
        if self.bounds.contains(&size.bytes()) { Ok(size) } else { Err("is out of range".to_owned()) }
    }

    fn allowed(&self) -> String {
        format!(
            "a number of bytes or text as \"5 MB\" or \"2 GiB\", from {} to {}",
            ByteSize::new(*self.bounds.start()),
            ByteSize::new(*self.bounds.end())
        )
    }

    fn show(&self, value: &ByteSize) -> Literal {
        Literal::Text(value.to_string())
    }
}

/// A type that is one of a few words.
pub(super) trait Choice: Copy + PartialEq + 'static {
    /// Every value with its word.
    const ALL: &'static [(&'static str, Self)];
}

/// One word of a closed list.
pub(super) fn choice<T: Choice>() -> OneOf<T> {
    OneOf(PhantomData)
}

pub(super) struct OneOf<T>(PhantomData<T>);

impl<T: Choice> Rule for OneOf<T> {
    type Out = T;

    fn parse(&self, raw: &Raw) -> Result<T, Refusal> {
        let text = raw.text()?;
        T::ALL
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| "is not one of the words".to_owned())
    }

    fn allowed(&self) -> String {
        T::ALL.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
    }

    fn show(&self, value: &T) -> Literal {
        let word = T::ALL.iter().find(|(_, known)| known == value).map_or("", |(word, _)| *word);
        Literal::Text(word.to_owned())
    }
}

/// An address to listen on.
pub(super) fn address() -> Address {
    Address
}

pub(super) struct Address;

impl Rule for Address {
    type Out = SocketAddr;

    fn parse(&self, raw: &Raw) -> Result<SocketAddr, Refusal> {
        raw.text()?.parse().map_err(|_| "is not an address and port".to_owned())
    }

    fn allowed(&self) -> String {
        "an IP address and port, as \"127.0.0.1:5000\", \"0.0.0.0:5000\" or \"[::]:5000\"".to_owned()
    }

    fn show(&self, value: &SocketAddr) -> Literal {
        Literal::Text(value.to_string())
    }
}

/// A folder.
pub(super) fn folder() -> Folder {
    Folder
}

pub(super) struct Folder;

impl Rule for Folder {
    type Out = PathBuf;

    fn parse(&self, raw: &Raw) -> Result<PathBuf, Refusal> {
        match raw.text()? {
            "" => Err("is empty".to_owned()),
            text => Ok(PathBuf::from(text)),
        }
    }

    fn allowed(&self) -> String {
        "a path".to_owned()
    }

    fn show(&self, value: &PathBuf) -> Literal {
        Literal::Text(value.display().to_string())
    }
}

/// A file, or `""` for none.
pub(super) fn optional_file() -> OptionalFile {
    OptionalFile
}

pub(super) struct OptionalFile;

impl Rule for OptionalFile {
    type Out = Option<PathBuf>;

    fn parse(&self, raw: &Raw) -> Result<Option<PathBuf>, Refusal> {
        let text = raw.text()?;
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn allowed(&self) -> String {
        "a path, or \"\" for none".to_owned()
    }

    fn show(&self, value: &Option<PathBuf>) -> Literal {
        Literal::Text(value.as_ref().map(|path| path.display().to_string()).unwrap_or_default())
    }
}

/// The address under which the world sees the daemon, or `""` for none.
pub(super) fn optional_web_url() -> OptionalWebUrl {
    OptionalWebUrl
}

pub(super) struct OptionalWebUrl;

impl Rule for OptionalWebUrl {
    type Out = Option<Url>;

    fn parse(&self, raw: &Raw) -> Result<Option<Url>, Refusal> {
        let text = raw.text()?;
        if text.is_empty() {
            return Ok(None);
        }
        let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("is neither http nor https".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user or a password".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or a fragment".to_owned());
        }
        Ok(Some(url))
    }

    fn allowed(&self) -> String {
        "an http or https URL without user, query or fragment, or \"\" for none".to_owned()
    }

    fn show(&self, value: &Option<Url>) -> Literal {
        Literal::Text(value.as_ref().map(Url::to_string).unwrap_or_default())
    }

    // Somebody may have put a password in: the refusal must not print it.
    fn is_secret(&self) -> bool {
        true
    }
}

/// Where the database is.
pub(super) fn database_url() -> DatabaseUrlRule {
    DatabaseUrlRule
}

pub(super) struct DatabaseUrlRule;

impl Rule for DatabaseUrlRule {
    type Out = DatabaseUrl;

    fn parse(&self, raw: &Raw) -> Result<DatabaseUrl, Refusal> {
        raw.text()?.parse()
    }

    fn allowed(&self) -> String {
        "\"sqlite:<path>\" or \"postgres://<user>:<password>@<host>/<database>\"".to_owned()
    }

    fn show(&self, value: &DatabaseUrl) -> Literal {
        Literal::Text(value.to_string())
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// Where the broker is, or `""` for none.
pub(super) fn optional_broker_url() -> OptionalBrokerUrl {
    OptionalBrokerUrl
}

pub(super) struct OptionalBrokerUrl;

impl Rule for OptionalBrokerUrl {
    type Out = Option<BrokerUrl>;

    fn parse(&self, raw: &Raw) -> Result<Option<BrokerUrl>, Refusal> {
        match raw.text()? {
            "" => Ok(None),
            text => text.parse().map(Some),
        }
    }

    fn allowed(&self) -> String {
        "\"amqp://<user>:<password>@<host>:<port>/<vhost>\", the same with amqps, or \"\" for none".to_owned()
    }

    fn show(&self, value: &Option<BrokerUrl>) -> Literal {
        Literal::Text(value.as_ref().map(BrokerUrl::to_string).unwrap_or_default())
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// Text of so many bytes.
pub(super) fn text(bounds: RangeInclusive<usize>) -> Text {
    Text { bounds }
}

pub(super) struct Text {
    bounds: RangeInclusive<usize>,
}

impl Rule for Text {
    type Out = String;

    fn parse(&self, raw: &Raw) -> Result<String, Refusal> {
        let text = raw.text()?;
        if !self.bounds.contains(&text.len()) {
            return Err("is too short or too long".to_owned());
        }
        Ok(text.to_owned())
    }

    fn allowed(&self) -> String {
        format!("text of {} to {} bytes", self.bounds.start(), self.bounds.end())
    }

    fn show(&self, value: &String) -> Literal {
        Literal::Text(value.clone())
    }
}

/// Where blobs are kept.
pub(super) fn blob_url() -> BlobUrlRule {
    BlobUrlRule
}

pub(super) struct BlobUrlRule;

impl Rule for BlobUrlRule {
    type Out = BlobUrl;

    fn parse(&self, raw: &Raw) -> Result<BlobUrl, Refusal> {
        raw.text()?.parse()
    }

    fn allowed(&self) -> String {
        "\"file:<folder>\" or \"s3://<bucket>/<prefix>\"".to_owned()
    }

    fn show(&self, value: &BlobUrl) -> Literal {
        Literal::Text(value.to_string())
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// Which log lines are written.
pub(super) fn log_filter() -> LogFilterRule {
    LogFilterRule
}

pub(super) struct LogFilterRule;

impl Rule for LogFilterRule {
    type Out = LogFilter;

    fn parse(&self, raw: &Raw) -> Result<LogFilter, Refusal> {
        raw.text()?.parse()
    }

    fn allowed(&self) -> String {
        "off, error, warn, info, debug or trace, also for parts: \"info,gristmill::store=debug\"".to_owned()
    }

    fn show(&self, value: &LogFilter) -> Literal {
        Literal::Text(value.to_string())
    }
}
