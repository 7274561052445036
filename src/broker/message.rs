//! Messages as they go out and come in: what this room's callers see of AMQP.
//!
//! True here: text that the protocol cannot carry (more than 255 bytes where it has a short string) is found when
//! the message is made, and told when it is published; nothing panics over it. A message that is forwarded keeps its
//! body and its properties, headers of unknown types included.

use std::time::Duration;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// The header that holds the user who published a forwarded message: the broker lets nobody publish in another's
/// name, and would close the channel over the property.
const FORMER_USER: &str = "x-gristmill-user-id";

/// What direct reply addresses begin with.
const DIRECT: &str = "amq.rabbitmq.reply-to";

/// Headers by which a publisher has the broker put a message into more queues, and the names under which a forwarded
/// message keeps them: it goes to its one queue. A dead message would go back to where it was no task, for ever.
const COPIES: [(&str, &str); 2] = [("CC", "x-gristmill-cc"), ("BCC", "x-gristmill-bcc")];

/// A message to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) body: Bytes,
    pub(super) mandatory: bool,
    pub(super) properties: BasicProperties,
    headers: FieldTable,
    /// What cannot be carried, if anything.
    pub(super) fault: Option<String>,
}

impl Publish {
    /// A message to a queue, through the default exchange; it must arrive there (mandatory) and outlives the broker's
    /// process if the queue does (persistent).
    pub fn to_queue(queue: &str, body: impl Into<Bytes>) -> Self {
        Self::to_exchange("", queue, body).mandatory(true)
    }

    /// A persistent message to an exchange. It may find no queue that wants it.
    pub fn to_exchange(exchange: &str, routing_key: &str, body: impl Into<Bytes>) -> Self {
        let mut message = Self {
            exchange: ShortString::default(),
            routing_key: ShortString::default(),
            body: body.into(),
            mandatory: false,
            properties: BasicProperties::default(),
            headers: FieldTable::default(),
            fault: None,
        };
        message.exchange = message.short("exchange", exchange);
        message.routing_key = message.short("routing key", routing_key);
        message.persistent(true)
    }

    /// The delivered message whole, to a queue and to no other. Of its properties only the user changes its place, to a
    /// header; of its headers those that ask for copies change their names.
    pub fn forward(delivery: &Delivery, queue: &str) -> Self {
        let mut message = Self::to_queue(queue, delivery.body.clone());
        let received = &delivery.properties;
        message.headers = received.headers().clone().unwrap_or_default();
        if let Some(user) = received.user_id() {
            message.headers.insert(FORMER_USER.into(), AMQPValue::LongString(user.as_str().into()));
        }
        for (active, kept) in COPIES {
            if let Some(queues) = message.headers.inner().get(active).cloned() {
                message = message.without_header(active);
                message.headers.insert(kept.into(), queues);
            }
        }
        message.properties = without(received, Without::User);
        message
    }

    /// The type of the body, such as `application/json`.
    #[must_use]
    pub fn content_type(mut self, content_type: &str) -> Self {
        let value = self.short("content type", content_type);
        self.properties = self.properties.with_content_type(value);
        self
    }

    /// The id of the message, by which receivers know it again.
    #[must_use]
    pub fn message_id(mut self, id: &str) -> Self {
        let value = self.short("message id", id);
        self.properties = self.properties.with_message_id(value);
        self
    }

    /// What the message answers.
    #[must_use]
    pub fn correlation_id(mut self, id: &str) -> Self {
        let value = self.short("correlation id", id);
        self.properties = self.properties.with_correlation_id(value);
        self
    }

    /// The queue that an answer should go to.
    #[must_use]
    pub fn reply_to(mut self, queue: &str) -> Self {
        let value = self.short("reply-to", queue);
        self.properties = self.properties.with_reply_to(value);
        self
    }

    /// What kind of message it is.
    #[must_use]
    pub fn kind(mut self, kind: &str) -> Self {
        let value = self.short("type", kind);
        self.properties = self.properties.with_type(value);
        self
    }

    /// Whether the broker keeps it on disk, in a queue that does so.
    #[must_use]
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.properties = self.properties.with_delivery_mode(if persistent { 2 } else { 1 });
        self
    }

    /// Whether it is an error when no queue takes it.
    #[must_use]
    pub fn mandatory(mut self, mandatory: bool) -> Self {
        self.mandatory = mandatory;
        self
    }

    /// Its priority in a queue that has priorities.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.properties = self.properties.with_priority(priority);
        self
    }

    /// How long it may wait in a queue; milliseconds count.
    #[must_use]
    pub fn expiration(mut self, expiration: Duration) -> Self {
        let millis = expiration.as_millis().to_string();
        let value = self.short("expiration", &millis);
        self.properties = self.properties.with_expiration(value);
        self
    }

    /// It may wait for as long as the queue lets it.
    #[must_use]
    pub fn without_expiration(mut self) -> Self {
        self.properties = without(&self.properties, Without::Expiration);
        self
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub fn timestamp(mut self, seconds: u64) -> Self {
        self.properties = self.properties.with_timestamp(seconds);
        self
    }

    /// A header of text; one of the same name is replaced.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = self.short("name of a header", name);
        self.headers.insert(name, AMQPValue::LongString(value.into()));
        self
    }

    /// Whether it goes to a direct reply address (`amq.rabbitmq.reply-to`), which is no queue: the broker takes it apart
    /// to find the connection that waits, and some that are made up end the connection over which they come.
    pub fn is_direct_answer(&self) -> bool {
        self.exchange.as_str().is_empty() && self.routing_key.as_str().starts_with(DIRECT)
    }

    /// Without the header of this name.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        let kept = self.headers.inner().iter().filter(|(known, _)| known.as_str() != name);
        let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
        self.headers = kept.collect::<std::collections::BTreeMap<_, _>>().into();
        self
    }

    /// The properties as they go out.
    pub(super) fn sealed(&self) -> BasicProperties {
        let properties = self.properties.clone();
        if self.headers.inner().is_empty() {
            properties
        } else {
            properties.with_headers(self.headers.clone())
        }
    }

    fn short(&mut self, what: &str, text: &str) -> ShortString {
        ShortString::try_new(text).unwrap_or_else(|_| {
            self.fault = Some(format!("its {what} has {} bytes, and 255 is the most", text.len()));
            ShortString::default()
        })
    }
}

/// What [`without`] leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    User,
    Expiration,
}

/// The properties but for one, and for the headers, which are kept apart.
fn without(received: &BasicProperties, dropped: Without) -> BasicProperties {
    let mut kept = BasicProperties::default();
    macro_rules! keep {
        ($($get:ident => $with:ident,)+) => {
            $(if let Some(value) = received.$get().clone() {
                kept = kept.$with(value);
            })+
        };
    }
    keep! {
        content_type => with_content_type,
        content_encoding => with_content_encoding,
        delivery_mode => with_delivery_mode,
        priority => with_priority,
        correlation_id => with_correlation_id,
        reply_to => with_reply_to,
        message_id => with_message_id,
        timestamp => with_timestamp,
        kind => with_type,
        app_id => with_app_id,
        cluster_id => with_cluster_id,
    }
    if dropped != Without::Expiration {
        keep! { expiration => with_expiration, }
    }
    if dropped != Without::User {
        keep! { user_id => with_user_id, }
    }
    kept
}

/// A message that came from the broker, and is not acknowledged yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// What it says.
    pub body: Bytes,
    /// The exchange it was published to; empty for the default one.
    pub exchange: String,
    /// The routing key it was published with: the name of the queue, through the default exchange.
    pub routing_key: String,
    /// Whether somebody may have had it before.
    pub redelivered: bool,
    pub(super) properties: BasicProperties,
    pub(super) tag: u64,
    pub(super) generation: u64,
}

impl Delivery {
    pub(super) fn new(received: lapin::message::Delivery, generation: u64) -> Self {
        Self {
            body: Bytes::from(received.data),
            exchange: received.exchange.into(),
            routing_key: received.routing_key.into(),
            redelivered: received.redelivered,
            properties: received.properties,
            tag: received.delivery_tag,
            generation,
        }
    }

    /// The id that the publisher gave it.
    pub fn message_id(&self) -> Option<&str> {
        self.properties.message_id().as_ref().map(ShortString::as_str)
    }

    /// The queue that wants an answer.
    pub fn reply_to(&self) -> Option<&str> {
        self.properties.reply_to().as_ref().map(ShortString::as_str)
    }

    /// What an answer must repeat.
    pub fn correlation_id(&self) -> Option<&str> {
        self.properties.correlation_id().as_ref().map(ShortString::as_str)
    }

    /// The type of the body, as the publisher says.
    pub fn content_type(&self) -> Option<&str> {
        self.properties.content_type().as_ref().map(ShortString::as_str)
    }

    /// The kind of message, as the publisher says.
    pub fn kind(&self) -> Option<&str> {
        self.properties.kind().as_ref().map(ShortString::as_str)
    }

    /// Its priority.
    pub fn priority(&self) -> Option<u8> {
        *self.properties.priority()
    }

    /// How long it might have waited, if the publisher wrote a number of milliseconds.
    pub fn expiration(&self) -> Option<Duration> {
        let text = self.properties.expiration().as_ref()?;
        text.as_str().parse().ok().map(Duration::from_millis)
    }

    /// When it was made, in seconds since 1970, as the publisher says.
    pub fn timestamp(&self) -> Option<u64> {
        *self.properties.timestamp()
    }

    /// A header as text: text itself, numbers and flags as they are written; `None` if there is none, or it is a
    /// list or a table.
    pub fn header(&self, name: &str) -> Option<String> {
        self.properties.headers().as_ref()?.inner().get(name).and_then(text_of)
    }

    /// Every header as text, in the order of their names; lists and tables in a form for people.
    pub fn headers(&self) -> Vec<(String, String)> {
        let Some(headers) = self.properties.headers() else { return Vec::new() };
        let shown = |value| text_of(value).unwrap_or_else(|| format!("{value:?}"));
        headers.inner().iter().map(|(name, value)| (name.as_str().to_owned(), shown(value))).collect()
    }

    /// How often it was delivered before, as quorum queues count it.
    pub fn delivery_count(&self) -> Option<u64> {
        self.properties.headers().as_ref()?.inner().get("x-delivery-count").and_then(count_of)
    }
}

fn text_of(value: &AMQPValue) -> Option<String> {
    if let AMQPValue::LongString(text) = value {
        return Some(text.to_string());
    }
    if let AMQPValue::ShortString(text) = value {
        return Some(text.to_string());
    }
    if let AMQPValue::Boolean(flag) = value {
        return Some(flag.to_string());
    }
    if let AMQPValue::Double(number) = value {
        return Some(number.to_string());
    }
    if let AMQPValue::Float(number) = value {
        return Some(number.to_string());
    }
    if let AMQPValue::Timestamp(seconds) = value {
        return Some(seconds.to_string());
    }
    whole_of(value).map(|number| number.to_string())
}

fn count_of(value: &AMQPValue) -> Option<u64> {
    whole_of(value).and_then(|number| u64::try_from(number).ok())
}

fn whole_of(value: &AMQPValue) -> Option<i128> {
    match value {
        AMQPValue::ShortShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => Some((*number).into()),
        AMQPValue::ShortUInt(number) => Some((*number).into()),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::LongLongInt(number) => Some((*number).into()),
        AMQPValue::Boolean(_)
        | AMQPValue::Float(_)
        | AMQPValue::Double(_)
        | AMQPValue::DecimalValue(_)
        | AMQPValue::ShortString(_)
        | AMQPValue::LongString(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::Timestamp(_)
        | AMQPValue::FieldTable(_)
        | AMQPValue::ByteArray(_)
        | AMQPValue::Void => None,
    }
}
