//! The client: one call from the name to the end of the answer.
//!
//! Held by whoever calls the world outside. What is true of its calls stands on the page of the room.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::WebhookSettings;
use crate::telemetry::traces::{self, Open, Part};

use super::address::Policy;
use super::connect::{Connector, Stream};
use super::error::{OutboundError, Phase};
use super::flow::{Driver, Flow, Outgoing, Pulse, Source};
use super::request::{Request, Response};
use super::resolve::{Resolver, SystemResolver};
use super::target::TargetHost;

/// The head of an answer: this many headers, in this many bytes. The bytes are counted as they come in, by the
/// piece, so that up to twice as many may get through.
const HEADERS: usize = 100;
const HEAD_BYTES: usize = 32 << 10;

const AGENT: &str = concat!("gristmill/", env!("CARGO_PKG_VERSION"));

/// How long and how much a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Finding the addresses of the host.
    pub resolve: Duration,
    /// Connecting, and making the connection safe.
    pub connect: Duration,
    /// The whole call, from finding the address to the end of the answer. Waiting for other calls to make
    /// room does not count.
    pub total: Duration,
    /// How much of the answer's body is read, in bytes; the rest is cut off.
    pub body_bytes: usize,
    /// Calls at once; further ones wait, first come, first served.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            total: Duration::from_secs(15),
            body_bytes: 64 << 10,
            concurrency: 16,
        }
    }
}

impl From<&WebhookSettings> for Limits {
    fn from(settings: &WebhookSettings) -> Self {
        let usual = Self::default();
        Self {
            resolve: usual.resolve.min(settings.timeout),
            connect: usual.connect.min(settings.timeout),
            total: settings.timeout,
            concurrency: settings.concurrency,
            ..usual
        }
    }
}

/// Makes calls. Cheap to clone; clones share the limit on calls at once.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Policy,
    limits: Limits,
    resolver: Arc<dyn Resolver>,
    connector: Connector,
    calls: Arc<Semaphore>,
}

impl Client {
    /// A client with the usual limits and the system's resolver.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with(policy, Limits::default(), Arc::new(SystemResolver::default()))
    }

    /// A client with these limits and this resolver.
    #[must_use]
    pub fn with(policy: Policy, limits: Limits, resolver: Arc<dyn Resolver>) -> Self {
        Self::over(Connector::new(limits.connect), policy, limits, resolver)
    }

    pub(super) fn over(
        connector: Connector,
        policy: Policy,
        limits: Limits,
        resolver: Arc<dyn Resolver>,
    ) -> Self {
        let calls = Arc::new(Semaphore::new(limits.concurrency.clamp(1, Semaphore::MAX_PERMITS)));
        Self { inner: Arc::new(Inner { policy, limits, resolver, connector, calls }) }
    }

    /// What may be called: to parse targets with.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// Makes one call, and tries nothing twice. Dropping the future ends the call and closes its connection.
    ///
    /// # Errors
    /// [`OutboundError`] when there is no answer; an answer of whatever status is a [`Response`].
    pub async fn send(&self, request: Request) -> Result<Response, OutboundError> {
        let Ok(_permit) = self.inner.calls.acquire().await else {
            unreachable!("nobody closes the semaphore")
        };
        let mut step = step(&request);
        let (origin, after) = (request.target.origin(), self.inner.limits.total);
        let call = timeout(after, self.inner.call(request)).await;
        let call = call.unwrap_or(Err(OutboundError::Timeout { origin, phase: Phase::Answering, after }));
        if let Some(step) = &mut step {
            note(step, call.as_ref().map(|response| response.status));
        }
        call
    }

    /// Makes one call that sends `source` as its body (that of the request is not sent) and gives the answer as soon as
    /// its head is there. It may take as long as it will, unless nothing moves for `idle`; of the [`Limits`] only those on
    /// finding the address, connecting and calls at once count.
    ///
    /// # Errors
    /// [`OutboundError`] when there is no answer; an answer of whatever status is a [`Flow`].
    pub async fn open(
        &self,
        request: Request,
        source: Source,
        idle: Duration,
    ) -> Result<Flow, OutboundError> {
        let Ok(permit) = Arc::clone(&self.inner.calls).acquire_owned().await else {
            unreachable!("nobody closes the semaphore")
        };
        let origin = request.target.origin();
        // Of a flow the trace has the way to the head of the answer.
        let mut step = step(&request);
        let opened = self.open_traced(request, source, idle, (origin, permit)).await;
        if let Some(step) = &mut step {
            note(step, opened.as_ref().map(|flow| flow.status));
        }
        opened
    }

    async fn open_traced(
        &self,
        request: Request,
        source: Source,
        idle: Duration,
        (origin, permit): (String, OwnedSemaphorePermit),
    ) -> Result<Flow, OutboundError> {
        let addresses = self.inner.addresses(&request).await?;
        let stream = self.inner.connector.connect(&request.target, &addresses).await?;
        let broken = |source| OutboundError::Protocol { origin: origin.clone(), source };
        let (mut sender, connection) = shaken(stream).await.map_err(broken)?;
        let pulse = Pulse::new();
        let body = Outgoing { source, pulse: pulse.clone() };
        // What ends the connection, the answer is told too.
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
        let answer = tokio::select! {
            biased;
            answer = sender.send_request(message(request, body)) => answer.map_err(broken)?,
            () = pulse.stopped(idle) => {
                return Err(OutboundError::Timeout { origin, phase: Phase::Answering, after: idle });
            }
        };
        let (head, body) = answer.into_parts();
        let (status, headers) = (head.status.as_u16(), head.headers);
        Ok(Flow { status, headers, body, origin, idle, _connection: driver, _permit: permit })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.debug_struct("Client")
            .field("policy", &inner.policy)
            .field("limits", &inner.limits)
            .finish_non_exhaustive()
    }
}

impl Inner {
    async fn call(&self, request: Request) -> Result<Response, OutboundError> {
        let addresses = self.addresses(&request).await?;
        let stream = self.connector.connect(&request.target, &addresses).await?;
        self.exchange(stream, request).await
    }

    /// The addresses of the target, every one of them allowed: one that is not speaks against the name, even
    /// if another would have been tried first.
    async fn addresses(&self, request: &Request) -> Result<Vec<IpAddr>, OutboundError> {
        let host = request.target.host();
        let addresses = match host {
            TargetHost::Name(name) => self.resolve(request, name).await?,
            TargetHost::Address(address) => vec![*address],
        };
        for address in &addresses {
            let refused = |why| OutboundError::Forbidden { host: host.to_string(), address: *address, why };
            // Again for an address in the URL: another policy may have been in force when that was parsed.
            self.policy.check(*address).map_err(refused)?;
        }
        Ok(addresses)
    }

    async fn resolve(&self, request: &Request, name: &str) -> Result<Vec<IpAddr>, OutboundError> {
        let after = self.limits.resolve;
        match timeout(after, self.resolver.addresses(name)).await {
            Ok(found) => found.map_err(|source| OutboundError::Resolve { host: name.to_owned(), source }),
            Err(_) => Err(OutboundError::Timeout {
                origin: request.target.origin(),
                phase: Phase::Resolving,
                after,
            }),
        }
    }

    async fn exchange(&self, stream: Box<dyn Stream>, request: Request) -> Result<Response, OutboundError> {
        let origin = request.target.origin();
        let broken = |source| OutboundError::Protocol { origin: origin.clone(), source };
        let (mut sender, connection) = shaken(stream).await.map_err(broken)?;
        let answer = async {
            let body = Full::new(request.body.clone());
            let response = sender.send_request(message(request, body)).await?;
            self.read(response).await
        };
        tokio::pin!(answer);
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What ended the connection, the answer is told too; all that came before is still to be read.
            _ = connection => answer.await,
        };
        answer.map_err(broken)
    }

    async fn read(&self, response: hyper::Response<Incoming>) -> hyper::Result<Response> {
        let (head, mut body) = response.into_parts();
        let most = self.limits.body_bytes;
        let (mut kept, mut cut) = (BytesMut::new(), false);
        while let Some(frame) = body.frame().await {
            // Trailers are let fall.
            let Ok(data) = frame?.into_data() else { continue };
            let room = most - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                cut = true;
                break;
            }
        }
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body: kept.freeze(), cut })
    }
}

/// The call's place in the trace, where that is recorded.
fn step(request: &Request) -> Option<Open> {
    let mut step = traces::child(Part::Client, || request.method.to_string().into())?;
    step.set("http.request.method", request.method.to_string());
    // Paths and queries may hold secrets.
    step.set("server.address", request.target.host().to_string());
    Some(step)
}

/// How it went.
fn note(step: &mut Open, went: Result<u16, &OutboundError>) {
    match went {
        Ok(status) => {
            step.set("http.response.status_code", i64::from(status));
            if status >= 400 {
                step.fail("status");
            }
        }
        Err(OutboundError::Resolve { .. }) => step.fail("resolve"),
        Err(OutboundError::Forbidden { .. }) => step.fail("forbidden"),
        Err(OutboundError::Connect { .. }) => step.fail("connect"),
        Err(OutboundError::Tls { .. }) => step.fail("tls"),
        Err(OutboundError::Timeout { .. }) => step.fail("timeout"),
        Err(OutboundError::Protocol { .. }) => step.fail("protocol"),
    }
}

/// HTTP/1.1 over that connection: what sends on it, and what moves it.
async fn shaken<B>(
    stream: Box<dyn Stream>,
) -> hyper::Result<(http1::SendRequest<B>, http1::Connection<TokioIo<Box<dyn Stream>>, B>)>
where
    B: hyper::body::Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    http1::Builder::new().max_headers(HEADERS).max_buf_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await
}

/// The request as it goes out, with that body.
fn message<B>(request: Request, body: B) -> hyper::Request<B> {
    let mut message = hyper::Request::new(body);
    *message.method_mut() = request.method;
    let (uri, host) = (request.target.path_and_query(), request.target.authority());
    *message.uri_mut() = uri.parse().unwrap_or_else(|error| unreachable!("a parsed URL's path: {error}"));
    *message.headers_mut() = request.headers;
    let host = HeaderValue::from_str(&host).unwrap_or_else(|error| unreachable!("a parsed host: {error}"));
    message.headers_mut().insert(HOST, host);
    message.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    message.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    message
}
