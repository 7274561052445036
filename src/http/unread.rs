//! Bodies of which an answer leaves something unread: a connection with such a body ends with its answer.
//!
//! Used by `observe`, around every request. Of a body with a length the server knows what is left, and so reads it away for
//! [`LINGER`](super::LINGER) at most, and closes. Of one in pieces (`Transfer-Encoding: chunked`) it would read on for as long
//! as the client sends, or for ever not at all, once nobody has the body in hand. So it is kept in hand here until the answer
//! is out, whoever else let go of it: the server then treats it as the other kind, which closes in time. A body that was read
//! to its end is no matter: the connection goes on.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;

/// A request's body in pieces, which a handler may read, or not, while it is kept.
pub(super) struct InPieces(Rc<RefCell<Payload>>);

impl InPieces {
    /// Takes the body of the request in hand; `None` where it has none in pieces.
    pub(super) fn of(request: &mut ServiceRequest) -> Option<Self> {
        if !request.head().chunked() {
            return None;
        }
        let body = Rc::new(RefCell::new(request.take_payload()));
        request.set_payload(Payload::Stream { payload: Box::pin(Reading(body.clone())) });
        Some(Self(body))
    }

    /// Keeps it until the answer is out.
    pub(super) fn kept_for(self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        response.map_body(|_, body| BoxBody::new(Answer { body, _request: self.0 }))
    }
}

/// The handler's end of the body.
struct Reading(Rc<RefCell<Payload>>);

impl Stream for Reading {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(context)
    }
}

/// An answer's body, with the request's.
struct Answer {
    body: BoxBody,
    _request: Rc<RefCell<Payload>>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
