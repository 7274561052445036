//! Traces: which request made which task, who ran it, and how long each part took.
//!
//! Two things under one roof. Every request and every message belongs to a trace, whether anybody records it or not:
//! the id comes with it, or is made, and goes into the log, into the task's row, and with it to other nodes and to
//! callbacks. Where a collector is set (`tracing.otlp_url`), spans are recorded as well, and wait in a
//! bounded `queue` for whoever ships them.
//!
//! Opened by the rooms where a trace begins or goes on ([`Traces::open`]), and by those below them ([`child`]), which
//! need not know where they are: that is kept with the task of the runtime. True here: recording never waits and never
//! fails; without a collector no span is made; what a span says are ids and names, never what a caller sent.

mod queue;

use std::borrow::Cow;
use std::future::Future;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};

pub use self::queue::{Answer, Batch, Ended};
use crate::config::TracingSettings;
use crate::task::TraceParent;

/// The versions of names that the spans' attributes follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

tokio::task_local! {
    static HERE: Here;
}

#[derive(Clone)]
struct Here {
    at: TraceParent,
    traces: Traces,
}

/// What a span is to whoever it deals with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It answers somebody.
    Server,
    /// It asks somebody outside.
    Client,
    /// It does what somebody asked for, who does not wait.
    Consumer,
    /// It is a step inside.
    Inside,
}

/// Where spans are opened. Clones share the recording, if there is one.
#[derive(Clone, Default)]
pub struct Traces {
    recorder: Option<Recorder>,
}

#[derive(Clone)]
struct Recorder {
    tracer: SdkTracer,
    // With the last one the tracer would record nothing more.
    _provider: SdkTracerProvider,
}

impl Traces {
    /// As the settings want it, for the node of that name; what is recorded comes out of [`Ended`].
    #[must_use]
    pub fn new(settings: &TracingSettings, node: &str) -> (Self, Option<Ended>) {
        if settings.otlp_url.is_none() {
            return (Self::default(), None);
        }
        let version = env!("CARGO_PKG_VERSION");
        let facts = [
            KeyValue::new("service.name", "gristmill"),
            KeyValue::new("service.version", version),
            KeyValue::new("service.instance.id", node.to_owned()),
        ];
        let resource = Resource::builder_empty().with_schema_url(facts, SCHEMA).build();
        let (queue, ended) = queue::bounded(&resource);
        // Whoever began a trace has decided whether it is recorded.
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("gristmill");
        (Self { recorder: Some(Recorder { tracer, _provider: provider }) }, Some(ended))
    }

    /// Goes on with a trace, or begins one. `name` is asked for only where it is recorded.
    #[must_use]
    pub fn open(
        &self,
        part: Part,
        from: Option<TraceParent>,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Open {
        let Some(recorder) = &self.recorder else {
            let at = from.unwrap_or_else(|| TraceParent::new(rand::random(), rand::random(), false));
            return Open { here: Here { at, traces: self.clone() }, span: None };
        };
        let parent = from.map_or_else(Context::new, remote);
        let builder = SpanBuilder::from_name(name()).with_kind(part.kind());
        let span = recorder.tracer.build_with_context(builder, &parent);
        let context = span.span_context();
        let trace = u128::from_be_bytes(context.trace_id().to_bytes());
        let number = u64::from_be_bytes(context.span_id().to_bytes());
        let at = TraceParent::new(trace, number, context.is_sampled());
        Open { here: Here { at, traces: self.clone() }, span: Some(span).filter(Span::is_recording) }
    }
}

impl Part {
    fn kind(self) -> SpanKind {
        match self {
            Self::Server => SpanKind::Server,
            Self::Client => SpanKind::Client,
            Self::Consumer => SpanKind::Consumer,
            Self::Inside => SpanKind::Internal,
        }
    }
}

fn remote(parent: TraceParent) -> Context {
    let (trace, span) = parent.numbers();
    let flags = TraceFlags::default().with_sampled(parent.is_sampled());
    let context = SpanContext::new(trace.into(), span.into(), flags, true, TraceState::default());
    Context::new().with_remote_span_context(context)
}

/// A span that has not ended; it does when this is dropped.
pub struct Open {
    here: Here,
    span: Option<Span>,
}

impl Open {
    /// The place in the trace: what comes after it names this as its parent.
    #[must_use]
    pub fn at(&self) -> TraceParent {
        self.here.at
    }

    /// Whether it is recorded.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.span.is_some()
    }

    /// Notes a fact, by the name that OpenTelemetry's conventions give it.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// Notes that it failed, in a word or two that hold nothing of a caller's.
    pub fn fail(&mut self, why: &'static str) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new("error.type", why));
            span.set_status(Status::error(why));
        }
    }

    /// Does `work` at this place: what is opened meanwhile by [`child`] is below it.
    pub fn during<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        HERE.scope(self.here.clone(), work)
    }
}

/// The place in a trace where the present task of the runtime is.
#[must_use]
pub fn here() -> Option<TraceParent> {
    HERE.try_with(|here| here.at).ok()
}

/// Opens a span below where we are; `None` where that is not recorded.
#[must_use]
pub fn child(part: Part, name: impl FnOnce() -> Cow<'static, str>) -> Option<Open> {
    let here = HERE.try_with(|here| here.at.is_sampled().then(|| here.clone())).ok()??;
    here.traces.recorder.as_ref()?;
    Some(here.traces.open(part, Some(here.at), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, Settings};

    fn settings(text: &str) -> TracingSettings {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.toml");
        std::fs::write(&file, format!("[tracing]\n{text}")).unwrap();
        Settings::load(LoadOptions { files: vec![file], ..LoadOptions::default() }).unwrap().settings.tracing
    }

    const ON: &str = "otlp_url = \"http://127.0.0.1:4318\"\n";

    fn parent(flags: &str) -> TraceParent {
        format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}").parse().unwrap()
    }

    #[tokio::test]
    async fn without_a_collector_ids_are_carried_or_made_and_nothing_is_recorded() {
        let (traces, ended) = Traces::new(&settings(""), "n");
        assert!(ended.is_none());
        let unasked = || -> Cow<'static, str> { panic!("a name for a span that nobody records") };
        let carried = traces.open(Part::Server, Some(parent("01")), unasked);
        assert_eq!(carried.at(), parent("01"));
        let (one, other) =
            (traces.open(Part::Server, None, unasked), traces.open(Part::Server, None, unasked));
        assert!(one.at() != other.at() && !one.at().is_sampled());
        assert_eq!(here(), None);
        carried
            .during(async {
                assert_eq!(here(), Some(parent("01")));
                assert!(child(Part::Inside, || "x".into()).is_none());
            })
            .await;
    }

    #[tokio::test]
    async fn spans_hang_below_one_another_and_below_a_remote_parent() {
        let (traces, ended) = Traces::new(&settings(ON), "n");
        let mut ended = ended.unwrap();
        let open = traces.open(Part::Server, Some(parent("01")), || "outer".into());
        assert_eq!(open.at().trace_id(), parent("01").trace_id());
        assert!(open.is_recorded() && open.at() != parent("01"));
        open.during(async {
            let mut inner = child(Part::Client, || "inner".into()).unwrap();
            inner.set("n", 7);
            inner.fail("timeout");
            inner.during(async { drop(child(Part::Inside, || "innermost".into())) }).await;
        })
        .await;
        drop(open);
        let batch = ended.left().unwrap();
        assert_eq!(batch.spans, 3);
        let spans = batch.read();
        let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(of("outer").parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
        assert_eq!(of("inner").parent_span_id, of("outer").span_id);
        assert_eq!(of("innermost").parent_span_id, of("inner").span_id);
        assert!(spans.iter().all(|span| span.trace_id == of("outer").trace_id));
        assert_eq!(of("inner").attributes.len(), 2);
        assert_eq!(of("inner").status.as_ref().unwrap().message, "timeout");
    }

    #[tokio::test]
    async fn whoever_began_a_trace_decides_whether_it_is_recorded_and_else_the_ratio() {
        let (none, _ended) = Traces::new(&settings(&format!("{ON}sample_ratio = 0.0")), "n");
        let unrecorded = none.open(Part::Server, None, || "x".into());
        assert!(!unrecorded.is_recorded() && !unrecorded.at().is_sampled());
        assert!(none.open(Part::Server, Some(parent("01")), || "x".into()).is_recorded());
        let (all, _ended) = Traces::new(&settings(ON), "n");
        assert!(all.open(Part::Server, None, || "x".into()).is_recorded());
        let unwanted = all.open(Part::Server, Some(parent("00")), || "x".into());
        assert!(!unwanted.is_recorded());
        assert_eq!(unwanted.at().trace_id(), parent("00").trace_id(), "it goes on, unrecorded");
        unwanted.during(async { assert!(child(Part::Inside, || "y".into()).is_none()) }).await;
    }
}
