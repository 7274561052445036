//! What happens to tasks, heard as it happens: server-sent events, taken up again where they broke off.
//!
//! Called by whatever watches. True here: nothing is heard twice or left out, whatever happens to the connection; a stream
//! that cannot be taken up again for a while is given up.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use serde::Deserialize;

use super::{Call, Daemon};
use crate::cli::problem::Problem;
use crate::outbound::Flow;

/// The longest event, in bytes: they are small.
const MOST: usize = 1 << 20;

/// How long a daemon may be away before listening to it is given up, and the pauses between the tries.
const AWAY: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// Asks again, after pauses, while the daemon is away or cannot answer.
pub(in crate::cli) async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Problem>) -> Result<T, Problem> {
    let began = Instant::now();
    loop {
        match ask().await {
            Err(problem) if !problem.is_refusal() && !problem.ends_all() && began.elapsed() < AWAY => {
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// One event: the text as it came, and what of it is of use here.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Event {
    pub(in crate::cli) json: String,
    pub(in crate::cli) told: Told,
}

/// What an event says.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::cli) struct Told {
    pub(in crate::cli) event: String,
    #[serde(default)]
    pub(in crate::cli) percent: Option<u64>,
}

/// A stream of events.
pub(in crate::cli) struct Events {
    daemon: Daemon,
    path: String,
    flow: Option<Flow>,
    buffer: BytesMut,
    /// The number of the last event heard.
    last: Option<String>,
    /// Since when the daemon is away.
    away: Option<Instant>,
}

impl Events {
    /// Begins to listen. That the daemon is not there at the very beginning is a problem at once.
    pub(in crate::cli) async fn open(daemon: &Daemon, path: String) -> Result<Self, Problem> {
        let mut events = Self {
            daemon: daemon.clone(),
            path,
            flow: None,
            buffer: BytesMut::new(),
            last: None,
            away: None,
        };
        events.connect().await?;
        Ok(events)
    }

    async fn connect(&mut self) -> Result<(), Problem> {
        let mut call = Call::get(&self.path).header("accept", "text/event-stream");
        if let Some(last) = &self.last {
            call = call.header("last-event-id", last.clone());
        }
        let (flow, _) = self.daemon.open(call).await?;
        self.flow = Some(flow);
        self.buffer.clear();
        Ok(())
    }

    /// The next event. Dropping the future loses none, but a connection that is being made.
    pub(in crate::cli) async fn next(&mut self) -> Result<Event, Problem> {
        loop {
            while let Some(frame) = self.frame()? {
                if let Some(event) = self.read(&frame)? {
                    return Ok(event);
                }
            }
            match &mut self.flow {
                Some(flow) => match flow.piece().await {
                    Ok(Some(piece)) => {
                        self.away = None;
                        self.buffer.extend_from_slice(&piece);
                    }
                    // It ended, or broke: either way it is taken up again.
                    Ok(None) | Err(_) => self.flow = None,
                },
                None => self.again().await?,
            }
        }
    }

    /// Connects anew after a pause. A refusal is the end, silence is not, for a while.
    async fn again(&mut self) -> Result<(), Problem> {
        let since = *self.away.get_or_insert_with(Instant::now);
        tokio::time::sleep(PAUSE).await;
        match self.connect().await {
            Ok(()) => Ok(()),
            Err(problem) if problem.is_refusal() => Err(problem),
            Err(problem) if since.elapsed() > AWAY => {
                Err(problem.hint(format!("it was there before, and was waited for for {} s", AWAY.as_secs())))
            }
            Err(_) => Ok(()),
        }
    }

    /// The next whole frame: what stands before an empty line.
    fn frame(&mut self) -> Result<Option<String>, Problem> {
        let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") else {
            if self.buffer.len() > MOST {
                // Whoever goes on all the same begins with another connection.
                self.flow = None;
                self.buffer.clear();
                return Err(Problem::failed("an event of more than 1 MiB came, which no Gristmill sends"));
            }
            return Ok(None);
        };
        let frame = self.buffer.split_to(end);
        self.buffer.advance(2);
        Ok(Some(String::from_utf8_lossy(&frame).into_owned()))
    }

    /// The event in a frame; `None` where it holds none, as signs of life do.
    fn read(&mut self, frame: &str) -> Result<Option<Event>, Problem> {
        let (mut number, mut json) = (None, String::new());
        for line in frame.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => number = Some(value.to_owned()),
                "data" => json.push_str(value),
                // Comments (an empty name), the word that the data have as well, and what is new.
                _ => {}
            }
        }
        if json.is_empty() {
            return Ok(None);
        }
        let told = serde_json::from_str(&json)
            .map_err(|error| Problem::failed(format!("an event came that cannot be read: {error}")))?;
        // Only now, so that one that was not heard is asked for again.
        self.last = number.or(self.last.take());
        Ok(Some(Event { json, told }))
    }
}
