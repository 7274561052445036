//! A line of the log before it has a form: who said what, when, and with which fields.
//!
//! Made of the events of `tracing` by [`Gather`], the layer that the log consists of; formed and written by the pen, on
//! a thread of its own. True here: a line holds the fields of all spans around it, each name once, what is nearer
//! instead of what is farther; and no value is longer than [`LONGEST`].

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use chrono::{DateTime, Utc};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::pen::Pen;

/// The most bytes of one value or message; the rest is cut off. All of a line stays well below what a datagram holds.
pub(super) const LONGEST: usize = 8 << 10;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Flag(bool),
    Whole(i64),
    Large(u64),
    Fraction(f64),
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Large(number) => number.fmt(f),
            Self::Fraction(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Names and values, in the order in which they were said.
pub(super) type Fields = Vec<(&'static str, Value)>;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) time: DateTime<Utc>,
    pub(super) level: Level,
    pub(super) target: Cow<'static, str>,
    pub(super) message: String,
    /// The event's own.
    pub(super) fields: Fields,
    /// Those of the spans around it, the outermost first.
    pub(super) around: Fields,
    pub(super) file: Option<Cow<'static, str>>,
    pub(super) line: Option<u32>,
}

impl Line {
    /// A line that the log says of itself.
    pub(super) fn own(level: Level, message: String) -> Self {
        Self {
            time: Utc::now(),
            level,
            target: Cow::Borrowed(module_path!()),
            message,
            fields: Fields::new(),
            around: Fields::new(),
            file: None,
            line: None,
        }
    }
}

/// The layer that makes lines of events and hands them to the pen.
pub(super) struct Gather {
    pen: Pen,
}

impl Gather {
    pub(super) fn new(pen: Pen) -> Self {
        Self { pen }
    }
}

/// What a span was told, kept with it.
struct Told(Fields);

impl<S> Layer<S> for Gather
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Hearer { fields: &mut fields, message: None });
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Told(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(Told(fields)) = span.extensions_mut().get_mut::<Told>() {
            values.record(&mut Hearer { fields, message: None });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let (mut fields, mut message) = (Fields::new(), String::new());
        event.record(&mut Hearer { fields: &mut fields, message: Some(&mut message) });
        let mut around = Fields::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(Told(told)) = span.extensions().get::<Told>() {
                told.iter().for_each(|(name, value)| put(&mut around, name, value.clone()));
            }
        }
        around.retain(|(name, _)| !fields.iter().any(|(own, _)| own == name));
        // What comes by way of the crate `log` bears its own target and place as fields.
        let (target, file, line) = match event.normalized_metadata() {
            Some(own) => {
                let owned = |text: &str| Cow::Owned(text.to_owned());
                (owned(own.target()), own.file().map(owned), own.line())
            }
            None => {
                let own = event.metadata();
                (Cow::Borrowed(own.target()), own.file().map(Cow::Borrowed), own.line())
            }
        };
        let level = *event.metadata().level();
        self.pen.write(Line { time: Utc::now(), level, target, message, fields, around, file, line });
    }
}

/// Puts a field in, instead of one of that name.
fn put(fields: &mut Fields, name: &'static str, value: Value) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => fields.push((name, value)),
    }
}

/// Hears what an event or a span says.
struct Hearer<'a> {
    fields: &'a mut Fields,
    /// Where the message goes; a span has none.
    message: Option<&'a mut String>,
}

impl Hearer<'_> {
    fn hear(&mut self, field: &Field, value: Value) {
        match (&mut self.message, field.name()) {
            (Some(message), "message") => **message = value.to_string(),
            (_, name) if name.starts_with("log.") => {}
            (_, name) => put(self.fields, name, value),
        }
    }
}

impl Visit for Hearer<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.hear(field, Value::Fraction(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.hear(field, Value::Whole(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.hear(field, Value::Large(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.hear(field, Value::Flag(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Short(String::new());
        // Cut off is not an error.
        let _ = text.write_str(value);
        self.hear(field, Value::Text(text.0));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Short(String::new());
        let _ = write!(text, "{value:?}");
        self.hear(field, Value::Text(text.0));
    }
}

/// Text that takes no more than [`LONGEST`] bytes; the error that it is full ends the writing.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LONGEST.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        self.0.push('…');
        Err(fmt::Error)
    }
}
