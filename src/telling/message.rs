//! An event, and the end of a task, as everybody outside sees them.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::task::{Event, EventData, EventSeq, Failure, State, Task, Timestamp};

/// An event. The fields of [`EventData`] that it has stand beside the others.
#[derive(Debug, Serialize)]
pub struct EventMessage<'a> {
    /// Its number in the one public order; also the key by which to tell doubles apart.
    pub id: EventSeq,
    /// What happened: `created`, `started`, `progress`, `completed`, `failed`, `retrying`, `cancelled` or `deleted`.
    pub event: &'static str,
    /// To which task.
    pub task: i64,
    /// Of which kind.
    pub kind: &'a str,
    /// In which attempt; 0 before the first start.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// What goes with it.
    #[serde(flatten)]
    pub data: Option<EventData>,
}

impl<'a> EventMessage<'a> {
    /// The message of an event.
    #[must_use]
    pub fn of(seq: EventSeq, event: &'a Event) -> Self {
        Self {
            id: seq,
            event: event.fact.name().as_str(),
            task: event.task.0,
            kind: event.kind.as_str(),
            attempt: event.attempt.0,
            at: event.at,
            data: event.fact.data(),
        }
    }

    /// As JSON text.
    #[must_use]
    pub fn json(&self) -> String {
        text(self)
    }
}

/// An event as a frame of a stream of server-sent events
/// (<https://html.spec.whatwg.org/multipage/server-sent-events.html>). JSON text holds no line breaks, so the data is
/// one line.
#[must_use]
pub fn frame(seq: EventSeq, event: &Event) -> Bytes {
    let message = EventMessage::of(seq, event);
    format!("id: {seq}\nevent: {}\ndata: {}\n\n", message.event, message.json()).into()
}

/// The body of a callback, in the form that the Standard Webhooks recommend: `type`, `timestamp` and `data`, which is
/// the event, with the task's result where it completed.
#[must_use]
pub fn callback_body(seq: EventSeq, event: &Event, task: Option<&Task>) -> String {
    #[derive(Serialize)]
    struct Data<'a> {
        #[serde(flatten)]
        event: EventMessage<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a RawValue>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        r#type: String,
        timestamp: Timestamp,
        data: Data<'a>,
    }
    let result = task.filter(|task| task.life.attempt == event.attempt).and_then(result);
    text(&Body {
        r#type: format!("task.{}", event.fact.name().as_str()),
        timestamp: event.at,
        data: Data { event: EventMessage::of(seq, event), result },
    })
}

/// How a task ended, for the producer that waits for it.
#[derive(Debug, Serialize)]
pub struct Ending<'a> {
    /// Which task.
    pub id: i64,
    /// `Completed`, `Failed` or `Cancelled`.
    pub status: &'static str,
    /// What it was.
    pub kind: &'a str,
    /// The kind's answer, where it completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a RawValue>,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a Failure>,
}

impl<'a> Ending<'a> {
    /// The end of `task`; `None` while it has not ended.
    #[must_use]
    pub fn of(task: &'a Task) -> Option<Self> {
        let life = &task.life;
        life.status().is_terminal().then(|| Self {
            id: life.id.0,
            status: life.status().as_str(),
            kind: life.kind.as_str(),
            result: result(task),
            error: life.error.as_ref(),
        })
    }

    /// As JSON text.
    #[must_use]
    pub fn json(&self) -> String {
        text(self)
    }
}

fn result(task: &Task) -> Option<&RawValue> {
    match &task.life.state {
        State::Completed { result, .. } => serde_json::from_str(result.as_str()).ok(),
        State::New { .. } | State::InProgress { .. } | State::Failed { .. } | State::Cancelled { .. } => None,
    }
}

/// JSON of a type of ours, all of which can be written as JSON.
fn text<T: Serialize>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => unreachable!("a message that is no JSON: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Attempt, Fact, FailureReason, RetryCause, TaskId};

    fn event(fact: Fact) -> Event {
        Event {
            task: TaskId(7),
            kind: "noop".parse().unwrap(),
            owner: None,
            attempt: Attempt(2),
            at: Timestamp::from_micros(1_700_000_000_000_000),
            fact,
        }
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let failure = Failure::new(FailureReason::Error, "no\nluck");
        let run_at = Timestamp::from_micros(1_700_000_001_000_000);
        let retrying = event(Fact::Retrying { cause: RetryCause::Failed(failure), run_at });
        assert_eq!(
            EventMessage::of(EventSeq(9), &retrying).json(),
            r#"{"id":9,"event":"retrying","task":7,"kind":"noop","attempt":2,"at":"2023-11-14T22:13:20.000000Z","cause":"failed","error":{"reason":"error","message":"no\nluck"},"run_at":"2023-11-14T22:13:21.000000Z"}"#
        );
    }

    #[test]
    fn a_frame_has_its_number_and_ends_with_an_empty_line() {
        let frame = frame(EventSeq(9), &event(Fact::Completed));
        let text = std::str::from_utf8(&frame).unwrap();
        assert!(text.starts_with("id: 9\nevent: completed\ndata: {\"id\":9,"), "{text}");
        assert!(text.ends_with("}\n\n"));
        assert_eq!(text.matches('\n').count(), 4, "{text}");
    }

    #[test]
    fn a_callback_says_what_it_is_and_when() {
        let body = callback_body(EventSeq(9), &event(Fact::Created), None);
        assert!(
            body.starts_with(
                r#"{"type":"task.created","timestamp":"2023-11-14T22:13:20.000000Z","data":{"id":9,"#
            ),
            "{body}"
        );
        assert!(!body.contains("result"), "{body}");
    }
}
