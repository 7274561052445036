//! A call whose body is sent as it is read, and whose answer is read as it comes.
//!
//! Made by [`Client::open`](super::Client::open), for callers that carry files and listen to streams. True here: such a call
//! has no end by the clock, since nobody knows how long a file or a stream is; instead it ends when nothing has moved
//! for as long as its caller said. What stands in memory is a piece at a time. The connection is closed when the
//! [`Flow`] is dropped.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::error::{OutboundError, Phase};

/// What a call sends: so many bytes, piece by piece.
pub struct Source {
    pieces: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    left: u64,
}

impl Source {
    /// The pieces, which are `length` bytes together: that is what the other side is told. Fewer break the call off.
    #[must_use]
    pub fn new(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static, length: u64) -> Self {
        Self { pieces: Box::pin(pieces), left: length }
    }

    /// These bytes.
    #[must_use]
    pub fn of(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self::new(futures_util::stream::iter([Ok(bytes)]), length)
    }
}

/// When something last moved, shared by both ways of a call.
#[derive(Clone)]
pub(super) struct Pulse {
    begun: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), last_ms: Arc::default() }
    }

    fn beat(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.fetch_max(now, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    /// Ends once nothing has moved for so long.
    pub(super) async fn stopped(&self, idle: Duration) {
        loop {
            let until = self.last() + idle;
            sleep_until(until).await;
            if self.last() + idle <= until {
                return;
            }
        }
    }
}

/// The body as hyper takes it.
pub(super) struct Outgoing {
    pub(super) source: Source,
    pub(super) pulse: Pulse,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.source.left == 0 {
            return Poll::Ready(None);
        }
        let piece = std::task::ready!(self.source.pieces.as_mut().poll_next(cx));
        let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was sent");
        let mut piece = piece.unwrap_or_else(|| Err(ended()))?;
        // More than was announced would be taken for the next request.
        piece.truncate(usize::try_from(self.source.left).unwrap_or(usize::MAX));
        self.source.left -= piece.len() as u64;
        self.pulse.beat();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.source.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.source.left)
    }
}

/// An answer, read as it comes.
#[derive(Debug)]
pub struct Flow {
    /// The status, 200 to 999; a redirect is one like any other.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) origin: String,
    pub(super) idle: Duration,
    pub(super) _connection: Driver,
    pub(super) _permit: OwnedSemaphorePermit,
}

/// What moves a connection, ended with it.
#[derive(Debug)]
pub(super) struct Driver(pub(super) JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Flow {
    /// Whether the status is one of 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header as text, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`OutboundError`] when the connection broke, or nothing came for as long as the caller said.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, OutboundError> {
        loop {
            let frame = match timeout(self.idle, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(source))) => {
                    return Err(OutboundError::Protocol { origin: self.origin.clone(), source });
                }
                Ok(None) => return Ok(None),
                Err(_) => {
                    let (origin, phase) = (self.origin.clone(), Phase::Answering);
                    return Err(OutboundError::Timeout { origin, phase, after: self.idle });
                }
            };
            // Trailers are let fall.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
    }

    /// The rest of the body, up to so many bytes; and whether it went on beyond them.
    ///
    /// # Errors
    /// As [`Flow::piece`].
    pub async fn rest(&mut self, most: usize) -> Result<(Bytes, bool), OutboundError> {
        let mut kept = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            let room = most - kept.len();
            kept.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                return Ok((kept.freeze(), true));
            }
        }
        Ok((kept.freeze(), false))
    }
}
