//! What is the same for many operations of the document, said once and put where it belongs: sections, the server, headers
//! of answers, examples of problems, short summaries.
//!
//! Called by the document alone, after the handlers have said what is their own. True here: what a handler says of a header
//! stays; what it leaves out is filled in from the table below, and a test finds what neither says.

use serde_json::{Map, Value, json};

use crate::http::catalogue::Code;
use crate::http::problem::MEDIA_TYPE;
use crate::http::routes::RouteInfo;

/// The sections, in the order in which they are shown.
const TAGS: &[(&str, &str)] = &[
    ("Tasks", "Work to be done: created, watched, stopped, tried again, removed."),
    ("Workers", "For programs outside of the daemon, and people, who do tasks: claim, lease, progress, end."),
    ("Events", "What happens, as server-sent events: live, numbered, resumable."),
    ("Users", "Who is who: profiles, tokens, sessions, named counters."),
    ("Images", "Pictures in, links out; smaller ones made on the way."),
    ("Recordings", "WAV in, MP3 out."),
    ("Quiz", "Questions with answers, fetched and kept."),
    ("Reports", "PDFs about a user."),
    ("Administration", "For admins: kinds paused, many tasks changed at once, nodes looked at."),
    ("Operations", "For whoever runs the daemon: health, metrics, this document."),
];

/// A header of an answer, wherever it occurs.
struct Header {
    name: &'static str,
    description: &'static str,
    form: &'static str,
    example: &'static str,
}

const fn header(
    name: &'static str,
    description: &'static str,
    form: &'static str,
    example: &'static str,
) -> Header {
    Header { name, description, form, example }
}

#[rustfmt::skip]
const HEADERS: &[Header] = &[
    header("accept-ranges", "That parts can be asked for by `Range`.", "string", "bytes"),
    header("cache-control", "How long it may be kept, and by whom.", "string", "public, max-age=31536000, immutable"),
    header("content-disposition", "What the file is called, and whether it is to be saved.", "string",
        "attachment; filename=\"talk.mp3\"; filename*=UTF-8''talk.mp3"),
    header("content-range", "Which bytes these are, and of how many.", "string", "bytes 0-1023/48213"),
    header("etag", "Its content, by a strong tag for `If-None-Match`, `If-Match` and `If-Range`.", "string",
        "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\""),
    header("link", "The next page, where there are more.", "string", "</tasks?after=200&limit=100>; rel=\"next\""),
    header("location", "Where it is.", "string", "/tasks/7"),
    header("preference-applied", "What was made of `Prefer`.", "string", "wait=10"),
    header("retry-after", "After how many seconds to ask again.", "integer", "1"),
    header("set-cookie", "The cookie of the session.", "string",
        "gristmill_session=...; Path=/; HttpOnly; SameSite=Lax"),
    header("www-authenticate", "How to prove who is calling.", "string", "Bearer realm=\"gristmill\""),
    header("x-request-id", "The request, as the log and `instance` of a problem have it: the one that it came with, or a new \
        one.", "string", "6f1e0a52c9b34d1700000001"),
];

/// Sections and server.
pub(super) fn describe_whole(document: &mut Value) {
    let tags = TAGS.iter().map(|(name, description)| json!({"name": name, "description": description}));
    document["tags"] = tags.collect();
    // Whatever it is called by, it is where its document comes from.
    document["servers"] = json!([{"url": "/", "description": "The daemon that this document comes from."}]);
    document["info"]["contact"] = json!({"name": "Whoever runs this daemon"});
    let examples: Map<String, Value> =
        Code::ALL.iter().map(|code| (code.as_str().to_owned(), example(*code))).collect();
    document["components"]["examples"] = examples.into();
    let headers: Map<String, Value> =
        HEADERS.iter().map(|header| (header.name.to_owned(), header.component())).collect();
    document["components"]["headers"] = headers.into();
}

/// Makes the first sentence the summary, and leaves the rest to the description.
pub(super) fn shorten(operation: &mut Value) {
    let Some(said) = operation["summary"].as_str().map(|text| text.replace('\n', " ")) else { return };
    let (first, rest) = said.split_once(". ").unwrap_or((said.trim_end_matches('.'), ""));
    let more = operation["description"].as_str().unwrap_or_default();
    let parts = [rest, more].into_iter().filter(|part| !part.is_empty());
    let description = parts.collect::<Vec<_>>().join("\n\n");
    operation["summary"] = json!(first);
    operation["description"] = json!(description);
}

/// Adds an answer for each status with the problems that have it.
pub(super) fn describe_problems(responses: &mut Value, route: &RouteInfo) {
    let mut statuses: Vec<u16> = route.problems.iter().map(|code| code.status().as_u16()).collect();
    statuses.dedup();
    for status in statuses {
        let codes = || route.problems.iter().filter(|code| code.status().as_u16() == status);
        let words: Vec<String> = codes().map(|code| format!("`{}`", code.as_str())).collect();
        let examples: Map<String, Value> = codes()
            .map(|code| code.as_str())
            .map(|code| (code.to_owned(), json!({"$ref": format!("#/components/examples/{code}")})))
            .collect();
        responses[status.to_string()] = json!({
            "description": format!("Problem: {}.", words.join(", ")),
            "content": {MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": examples,
            }},
        });
    }
}

fn example(code: Code) -> Value {
    json!({
        "summary": code.title(),
        "value": {
            "type": code.type_uri(),
            "title": code.title(),
            "status": code.status().as_u16(),
            "detail": code.explanation(),
            "instance": "urn:request:6f1e0a52c9b34d1700000001",
            "code": code.as_str(),
        },
    })
}

/// Adds the headers that an answer has by its status, and fills in what is not said of those that it names.
pub(super) fn describe_headers(operation: &mut Value) {
    let waits = operation["parameters"]
        .as_array()
        .is_some_and(|parameters| parameters.iter().any(|parameter| parameter["name"] == "prefer"));
    let ranges = operation["responses"].get("206").is_some();
    for (status, answer) in operation["responses"].as_object_mut().into_iter().flatten() {
        let by_status: &[&str] = match status.as_str() {
            "200" | "201" | "202" if waits => &["preference-applied"],
            "206" | "304" if ranges => &["etag"],
            "401" => &["www-authenticate"],
            "416" => &["content-range"],
            "429" | "503" => &["retry-after"],
            _ => &[],
        };
        for name in by_status.iter().chain(&["x-request-id"]) {
            // What is null is not said yet.
            let _ = &mut answer["headers"][name];
        }
        for (name, told) in answer["headers"].as_object_mut().into_iter().flatten() {
            if let Some(header) = HEADERS.iter().find(|header| header.name == name) {
                fill_in(told, header);
            }
        }
    }
}

/// Leads to the table's words where the handler has none of its own.
fn fill_in(told: &mut Value, header: &Header) {
    if told["description"].is_string() {
        told["schema"] = json!({"type": header.form});
        told["example"] = header.sample();
    } else {
        *told = json!({"$ref": format!("#/components/headers/{}", header.name)});
    }
}

impl Header {
    fn sample(&self) -> Value {
        let number = self.example.parse::<u64>().ok().filter(|_| self.form == "integer");
        number.map_or_else(|| json!(self.example), Value::from)
    }

    fn component(&self) -> Value {
        json!({"description": self.description, "schema": {"type": self.form}, "example": self.sample()})
    }
}
