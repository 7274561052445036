//! The queue of ended spans, and the form in which they are shipped: OTLP, encoded as Protobuf.
//!
//! Filled wherever a span ends, emptied by whoever ships them. True here: it has a bound; what finds no room is dropped
//! and counted (`gristmill_trace_spans_total{result="dropped"}`).

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message as _;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::telemetry::metrics::{SpanResult, TraceMetrics};

/// Spans that may wait: at a thousand tasks a second, a second; they are a kilobyte or so each.
const QUEUE: usize = 8192;

/// Spans that go in one request.
const BATCH: usize = 512;

/// How long a span waits for others to go with.
const GATHER: Duration = Duration::from_secs(1);

/// Both ends of a queue for the spans of that resource.
pub(super) fn bounded(resource: &Resource) -> (Queue, Ended) {
    gathering(resource, GATHER)
}

fn gathering(resource: &Resource, gather: Duration) -> (Queue, Ended) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let ended = Ended { receiver, resource: resource.into(), gathered: Vec::new(), gather };
    (Queue { sender, metrics: TraceMetrics::new() }, ended)
}

/// The end where spans go in.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Sender<SpanData>,
    metrics: TraceMetrics,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.metrics.spans(SpanResult::Dropped, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The end where spans come out.
pub struct Ended {
    receiver: Receiver<SpanData>,
    resource: ResourceAttributesWithSchema,
    gathered: Vec<SpanData>,
    gather: Duration,
}

impl Ended {
    /// Waits for spans, and a moment for more. Whoever drops this loses nothing: what was gathered comes out the next time.
    pub async fn next(&mut self) -> Batch {
        loop {
            if self.gathered.is_empty() && self.receiver.recv_many(&mut self.gathered, BATCH).await == 0 {
                // Nobody is left who could record something.
                std::future::pending::<()>().await;
            }
            let more = async {
                while self.gathered.len() < BATCH {
                    let room = BATCH - self.gathered.len();
                    if self.receiver.recv_many(&mut self.gathered, room).await == 0 {
                        return;
                    }
                }
            };
            // Late is as good as full.
            let _ = tokio::time::timeout(self.gather, more).await;
            if let Some(batch) = self.packed() {
                return batch;
            }
        }
    }

    /// What is there now, as much of it as goes into a request.
    pub fn left(&mut self) -> Option<Batch> {
        while self.gathered.len() < BATCH
            && let Ok(span) = self.receiver.try_recv()
        {
            self.gathered.push(span);
        }
        self.packed()
    }

    fn packed(&mut self) -> Option<Batch> {
        let spans = self.gathered.len();
        if spans == 0 {
            return None;
        }
        let resource_spans =
            group_spans_by_resource_and_scope(std::mem::take(&mut self.gathered), &self.resource);
        Some(Batch { spans, body: ExportTraceServiceRequest { resource_spans }.encode_to_vec().into() })
    }
}

/// Spans on their way.
#[derive(Debug, Clone)]
pub struct Batch {
    /// How many.
    pub spans: usize,
    /// The request's body, of the type `application/x-protobuf`.
    pub body: bytes::Bytes,
}

/// What a collector said to a batch that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Spans that it threw away, no more than there were.
    pub rejected: usize,
    /// What it has to say; empty for nothing.
    pub message: String,
}

impl Batch {
    /// Reads the answer of a collector; one that cannot be read is taken for a plain yes, as it was given with a good status.
    #[must_use]
    pub fn answered(&self, body: &[u8]) -> Answer {
        let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|answer| answer.partial_success);
        let partial = partial.unwrap_or_default();
        let rejected = usize::try_from(partial.rejected_spans).unwrap_or(0).min(self.spans);
        Answer { rejected, message: partial.error_message }
    }

    #[cfg(test)]
    pub(super) fn read(&self) -> Vec<opentelemetry_proto::tonic::trace::v1::Span> {
        let request = ExportTraceServiceRequest::decode(self.body.clone()).unwrap();
        let resources = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        resources.flat_map(|scope| scope.spans).collect()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    fn queue(gather: Duration) -> (SdkTracerProvider, Ended) {
        let resource = Resource::builder_empty().build();
        let (queue, ended) = gathering(&resource, gather);
        (SdkTracerProvider::builder().with_span_processor(queue).build(), ended)
    }

    #[tokio::test]
    async fn spans_go_together_and_those_without_room_are_counted() {
        let recorder = crate::telemetry::metrics::builder().build_recorder();
        let exposition = recorder.handle();
        let (provider, mut ended) = metrics::with_local_recorder(&recorder, || {
            let (provider, ended) = queue(Duration::from_millis(20));
            let tracer = provider.tracer("x");
            (0..QUEUE + 5).for_each(|_| drop(tracer.start("s")));
            (provider, ended)
        });
        let text = exposition.render();
        assert!(text.contains("gristmill_trace_spans_total{result=\"dropped\"} 5"), "{text}");
        let mut came = 0;
        while came < QUEUE {
            let batch = ended.next().await;
            assert_eq!(batch.spans, BATCH);
            came += batch.spans;
        }
        assert!(ended.left().is_none());
        drop(provider.tracer("x").start("late"));
        assert_eq!(ended.next().await.spans, 1, "one alone goes too, after a moment");
    }

    #[tokio::test]
    async fn what_was_gathered_when_the_shipper_left_comes_out_afterwards() {
        let (provider, mut ended) = queue(Duration::from_secs(3600));
        drop(provider.tracer("x").start("s"));
        let left = tokio::time::timeout(Duration::from_millis(20), ended.next()).await;
        assert!(left.is_err());
        assert_eq!(ended.left().unwrap().spans, 1);
    }

    #[test]
    fn a_collector_that_threw_some_away_is_understood() {
        let batch = Batch { spans: 3, body: Vec::new().into() };
        let partial = ExportTracePartialSuccess { rejected_spans: 9, error_message: "too old".into() };
        let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(batch.answered(&body), Answer { rejected: 3, message: "too old".into() });
        assert_eq!(batch.answered(b""), Answer { rejected: 0, message: String::new() });
        assert_eq!(batch.answered(b"{}").rejected, 0);
    }
}
