//! The way out to services, and what of their answers is let in.
//!
//! Used by `upstream.rs`. True here: an answer in hand has a good status, says that it is JSON or at least not that it
//! is something else, and is whole.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use super::source::Trouble;
use crate::clock::Clock;
use crate::config::QuizSettings;
use crate::outbound::{
    BadTarget, Client, Limits, OutboundError, Policy, Request, Response, SystemResolver, Target,
};

/// The most of an answer that is read.
pub(super) const BODY_BYTES: usize = 1 << 20;

/// Gets what stands at an address.
#[async_trait]
pub(super) trait Web: Send + Sync {
    /// One request; nothing is tried twice, and no redirect is followed.
    async fn get(&self, url: &Url) -> Result<Response, Trouble>;
}

/// The world outside.
pub(super) struct Wire {
    /// For https: every public address, and the networks that the settings name.
    safe: Client,
    /// For http, whose answers anybody on the way may have written: those networks alone.
    plain: Client,
}

impl Wire {
    pub(super) fn new(settings: &QuizSettings) -> Self {
        let usual = Limits::default();
        let limits = Limits {
            resolve: usual.resolve.min(settings.timeout),
            connect: usual.connect.min(settings.timeout),
            total: settings.timeout,
            body_bytes: BODY_BYTES,
            ..usual
        };
        let allow = || settings.allow.iter().copied();
        let client = |policy| Client::with(policy, limits, Arc::new(SystemResolver::default()));
        Self { safe: client(Policy::public().with(allow())), plain: client(Policy::only(allow())) }
    }
}

#[async_trait]
impl Web for Wire {
    async fn get(&self, url: &Url) -> Result<Response, Trouble> {
        let client = if url.scheme() == "https" { &self.safe } else { &self.plain };
        let target = Target::parse(url.as_str(), client.policy())
            .map_err(|error| Trouble::Forbidden(forbidden(url, &unfit(&error))))?;
        let request = Request::get(target).header("accept", "application/json");
        let request = request.unwrap_or_else(|error| unreachable!("a header of our own: {error}"));
        client.send(request).await.map_err(|error| trouble(url, &error))
    }
}

/// What is wrong with an address, without the address.
fn unfit(error: &BadTarget) -> String {
    if let BadTarget::Forbidden { why, .. } = error {
        return leads_astray(why.what);
    }
    format!("its address {error}")
}

fn leads_astray(what: &str) -> String {
    format!("it leads to an address that is not allowed, which is {what}")
}

/// Says what to do, where it is the settings that do not allow it.
fn forbidden(url: &Url, what: &str) -> String {
    let way =
        if url.scheme() == "http" { "plain http is for networks of quiz.allow" } else { "see quiz.allow" };
    format!("{what} ({way})")
}

/// The story is for whoever asked for questions, who may be anybody: where services and their addresses are is for the log.
fn trouble(url: &Url, error: &OutboundError) -> Trouble {
    tracing::warn!(%error, "a source of questions could not be asked");
    let told = match error {
        OutboundError::Forbidden { why, .. } => leads_astray(why.what),
        OutboundError::Resolve { .. } => "its name cannot be found".to_owned(),
        OutboundError::Connect { source, .. } => format!("cannot connect: {source}"),
        OutboundError::Tls { reason, .. } => format!("no safe connection: {reason}"),
        OutboundError::Timeout { phase, after, .. } => {
            format!("it took more than {} s {phase}", after.as_secs_f64())
        }
        OutboundError::Protocol { source, .. } => format!("no proper answer: {source}"),
    };
    match error {
        OutboundError::Forbidden { .. } => Trouble::Forbidden(forbidden(url, &told)),
        OutboundError::Tls { .. } => Trouble::Forbidden(told),
        OutboundError::Timeout { .. } => Trouble::Late(told),
        OutboundError::Connect { source, .. } if source.kind() == std::io::ErrorKind::TimedOut => {
            Trouble::Late(told)
        }
        OutboundError::Resolve { .. } | OutboundError::Connect { .. } | OutboundError::Protocol { .. } => {
            Trouble::Unreachable(told)
        }
    }
}

/// The body of an answer that may hold what was asked for.
pub(super) fn body(response: Response, clock: &Clock) -> Result<Bytes, Trouble> {
    let status = response.status;
    match status {
        200..=299 => {}
        429 => return Err(Trouble::Busy { wait: retry_after(&response, clock) }),
        500..=599 => return Err(Trouble::Failed { status, wait: retry_after(&response, clock) }),
        _ => return Err(Trouble::Refused { status }),
    }
    if response.cut {
        return Err(Trouble::Wrong(format!("its answer is longer than {BODY_BYTES} bytes")));
    }
    if let Some(media) = response.header("content-type").map(|text| text.split(';').next().unwrap_or(text)) {
        let media = media.trim().to_ascii_lowercase();
        // Some leave JSON as plain text; whether it is, its shape tells.
        let json = media.ends_with("/json") || media.ends_with("+json") || media == "text/plain";
        if !json {
            let shown: String = media.chars().take(60).collect();
            return Err(Trouble::Wrong(format!("its answer is {shown:?}, not JSON")));
        }
    }
    Ok(response.body)
}

/// How long the service asks to be left alone: seconds, or the instant until which.
fn retry_after(response: &Response, clock: &Clock) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a long time too.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now = Duration::from_micros(u64::try_from(clock.now().as_micros()).unwrap_or(0));
    Some(until.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::HeaderMap;

    fn answer(status: u16, header: Option<(&'static str, &str)>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        Response { status, headers, body: Bytes::from_static(b"[]"), cut: false }
    }

    #[test]
    fn what_is_no_json_by_its_own_word_is_not_let_in() {
        for (media, good) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/plain", true),
            ("text/html", false),
            ("TEXT/HTML; charset=utf-8", false),
            ("image/png", false),
        ] {
            let judged = body(answer(200, Some(("content-type", media))), &Clock::system());
            assert_eq!(judged.is_ok(), good, "{media}: {judged:?}");
        }
        assert!(body(answer(200, None), &Clock::system()).is_ok());
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_with_a_date() {
        let clock = Clock::system();
        let wait = |status, value: &str| {
            let refused = body(answer(status, Some(("retry-after", value))), &clock).unwrap_err();
            refused.wait()
        };
        assert_eq!(wait(429, "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait(503, " 0 "), Some(Duration::ZERO));
        assert_eq!(wait(429, "99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        let past = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(wait(429, past), Some(Duration::ZERO));
        let now = u64::try_from(clock.now().as_micros()).unwrap() / 1_000_000;
        let soon = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now + 90));
        let asked = wait(503, &soon).unwrap();
        assert!((80..=91).contains(&asked.as_secs()), "{asked:?}");
        for nothing in ["", "-1", "soon", "1.5"] {
            assert_eq!(wait(429, nothing), None, "{nothing}");
        }
        assert_eq!(wait(404, "7"), None, "the status is no call for patience");
    }
}
