//! What is wrong with a call, in words: a connection that is not to be had, or an answer that is a refusal.
//!
//! Called by `Daemon` alone.

use std::io::ErrorKind;

use serde::Deserialize;
use serde_json::Value;

use super::place::Place;
use crate::cli::problem::Problem;
use crate::outbound::OutboundError;

/// A problem document, as far as it is of use here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    instance: Option<String>,
    errors: Vec<Fault>,
    allowed: Vec<String>,
    retry_after_s: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    field: String,
    problem: String,
}

/// A call without an answer.
pub(super) fn of_call(place: &Place, error: &OutboundError) -> Problem {
    let (url, from) = (&place.url, &place.url_from);
    match error {
        OutboundError::Connect { source, .. } if source.kind() == ErrorKind::ConnectionRefused => {
            Problem::failed(format!("nothing listens at {url} ({from})")).hint(place.what_to_start())
        }
        OutboundError::Connect { .. } | OutboundError::Resolve { .. } => {
            Problem::failed(format!("{error} ({from})")).hint(place.what_to_start())
        }
        OutboundError::Tls { .. } => Problem::failed(error.to_string())
            .hint("is it https that is spoken there? Its certificate must be one that this machine trusts"),
        OutboundError::Timeout { .. } => {
            Problem::failed(format!("{error} ({from})")).hint("it may be busy: try again later")
        }
        OutboundError::Protocol { .. } => Problem::failed(format!("{error} ({from})")).hint(
            "the daemon may have ended, or it is none; what it was asked to do may have been done all the same",
        ),
        OutboundError::Forbidden { .. } => Problem::failed(error.to_string()),
    }
}

/// An answer that is no success.
pub(super) fn of_answer(place: &Place, status: u16, location: Option<&str>, body: &[u8]) -> Problem {
    let problem = told(place, status, location, body);
    // Above, it is the daemon that cannot, or a proxy whose daemon is just not there.
    if matches!(status, 429 | 500..) { problem } else { problem.refused() }
}

fn told(place: &Place, status: u16, location: Option<&str>, body: &[u8]) -> Problem {
    if let (300..400, Some(location)) = (status, location) {
        return Problem::failed(format!("{} sends on to {location} (status {status})", place.url))
            .hint("name that address: what is sent goes nowhere else by itself, the token above all");
    }
    let document: Document = serde_json::from_slice(body).unwrap_or_default();
    let Some(told) = document.detail.or(document.title) else {
        let what = match serde_json::from_slice::<Value>(body) {
            Ok(_) => "without a word",
            Err(_) => "as no Gristmill does",
        };
        return Problem::failed(format!("{} answered {what}, with status {status}", place.url))
            .hint(format!("is that the daemon's address? It is {}", place.url_from));
    };
    let mut problem = Problem::failed(told);
    if let Some(code) = &document.code {
        problem = problem.coded(code);
    }
    if document.errors.len() > 1 {
        for Fault { field, problem: what } in &document.errors {
            problem = problem.hint(format!("{field}: {what}"));
        }
    }
    if !document.allowed.is_empty() {
        problem = problem.hint(format!("allowed: {}", document.allowed.join(", ")));
    }
    match document.code.as_deref() {
        Some("unauthenticated") => problem.hint(place.how_to_prove()),
        Some("invalid_token") => problem.hint(place.which_token()),
        Some("rate_limited" | "overloaded" | "interrupted" | "database_unavailable") => {
            let seconds = document.retry_after_s.unwrap_or(1);
            problem.hint(format!("try again in {seconds} s"))
        }
        Some("internal") => {
            let request = document.instance.unwrap_or_default();
            problem.hint(format!("the request was {request}"))
        }
        Some(_) | None => problem,
    }
}
