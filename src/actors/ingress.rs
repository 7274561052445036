//! Owns the HTTP server: starts it, notices its end, stops it when the daemon drains.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt as _, AsyncContext, Context, Handler, Message, ResponseFuture,
    WrapFuture,
};
use actix_web::dev::{Server, ServerHandle};

/// Makes a server on the daemon's listener: at the start, and anew should it end.
pub type MakeServer = Arc<dyn Fn() -> std::io::Result<Server> + Send + Sync>;

/// The actor.
pub struct Ingress {
    make: MakeServer,
    handle: Option<ServerHandle>,
}

impl Ingress {
    /// An ingress.
    #[must_use]
    pub fn new(make: MakeServer) -> Self {
        Self { make, handle: None }
    }
}

impl Actor for Ingress {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        match (self.make)() {
            Ok(server) => {
                self.handle = Some(server.handle());
                ctx.spawn(server.into_actor(self).map(|ended, _, ctx| {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the HTTP server failed");
                    }
                    ctx.stop();
                }));
            }
            Err(error) => {
                tracing::error!(%error, "the HTTP server could not be started");
                ctx.stop();
            }
        }
    }
}

/// Takes no new connections from now on: they wait in the queue of the listening socket.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Refrain;

impl Handler<Refrain> for Ingress {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Refrain, _: &mut Context<Self>) -> ResponseFuture<()> {
        let handle = self.handle.clone();
        Box::pin(async move {
            if let Some(handle) = handle {
                handle.pause().await;
            }
        })
    }
}

/// Takes no new connections, lets requests under way finish, and ends.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shut;

impl Handler<Shut> for Ingress {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Shut, _: &mut Context<Self>) -> ResponseFuture<()> {
        let handle = self.handle.clone();
        Box::pin(async move {
            if let Some(handle) = handle {
                handle.stop(true).await;
            }
        })
    }
}
