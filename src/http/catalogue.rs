//! The closed list of problems that the HTTP interface can answer with: a line each, everything else derived.
//!
//! Called by whatever makes a [`Problem`](super::Problem), by the OpenAPI document and by the page `docs/problems.md`.
//! True here: a code, once published, keeps its meaning and its status; a code that nobody can provoke fails a test.

use actix_web::http::StatusCode;

macro_rules! catalogue {
    ($($variant:ident = $code:literal, $status:ident, $title:literal, $explanation:literal;)+) => {
        /// A problem's stable name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(
                #[doc = concat!($title, ".")]
                $variant,
            )+
        }

        impl Code {
            /// Every code, by status.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The status that goes with it.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// What it is called, the same at each occurrence.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// When it occurs and what to do, for the documents.
            #[must_use]
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $explanation,)+ }
            }
        }
    };
}

catalogue! {
    InvalidJson = "invalid_json", BAD_REQUEST,
        "The body is not JSON",
        "The body cannot be read as one JSON text in UTF-8: a mistake of syntax, something before or after the text (a \
         byte order mark too), or more than 128 levels of nesting. `detail` names the place.";
    InvalidParameter = "invalid_parameter", BAD_REQUEST,
        "A parameter is not valid",
        "A part of the path or of the query, or `Idempotency-Key`, is unknown, given twice, missing, or not what it \
         should be. `errors` names each, `allowed` lists what there is.";
    InvalidForm = "invalid_form", BAD_REQUEST,
        "The form is not valid",
        "The multipart form cannot be read, lacks the file, or has a field that is unknown, given twice or too long.";
    IncompleteBody = "incomplete_body", BAD_REQUEST,
        "The body ended too early",
        "The connection ended before the body did. Nothing was kept; send the request again.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED,
        "Credentials are needed",
        "The request does not prove who is calling and this needs a user: send `Authorization: Bearer <token>`, with \
         the token from `POST /users`, or log in by `POST /login`. `user_id` alone proves nothing unless `auth.trust_user_id` is on.";
    InvalidToken = "invalid_token", UNAUTHORIZED,
        "The credentials are not valid",
        "The token is malformed, unknown, or not that of the user who is named; or the session is over, and its cookie is \
         taken away.";
    LoginFailed = "login_failed", UNAUTHORIZED,
        "The login failed",
        "There is no such user, or none with this password: which of the two is not told.";
    OtherUser = "other_user", FORBIDDEN,
        "The credentials are another user's",
        "The request names one user and proves to be another, or has proofs of two. Name yourself, or nobody.";
    Forbidden = "forbidden", FORBIDDEN,
        "This is not for the caller to do",
        "The caller is known, and may not: what a user owns, only that user and admins change, and some things only \
         admins do.";
    CrossOrigin = "cross_origin", FORBIDDEN,
        "The request comes from another site",
        "A page of another site had a browser send this, with whatever proof the browser carries along. Programs send \
         `Authorization: Bearer <token>` instead.";
    NotFound = "not_found", NOT_FOUND,
        "There is no such page",
        "No route has this path. `/openapi.json` lists those that exist.";
    TaskNotFound = "task_not_found", NOT_FOUND,
        "There is no such task",
        "No task has this number, or it is not the caller's to know of.";
    NoFreeTask = "no_free_task", NOT_FOUND,
        "No task is free",
        "No task of kind `manual` that the caller may take is waiting now. Ask again later.";
    RecordingNotFound = "recording_not_found", NOT_FOUND,
        "There is no such recording",
        "No recording has this id, or it is not of the user that the link names.";
    OriginalNotKept = "original_not_kept", NOT_FOUND,
        "The original is not kept",
        "The uploaded WAV was dropped once the MP3 was made (`records.keep_original = false`).";
    UserNotFound = "user_not_found", NOT_FOUND,
        "There is no such user",
        "No user has this number.";
    AvatarNotFound = "avatar_not_found", NOT_FOUND,
        "The user has no picture",
        "The user gave no `avatar`.";
    ImageNotFound = "image_not_found", NOT_FOUND,
        "There is no such image",
        "No image has this name, or the task has none, or it was deleted.";
    ReportNotFound = "report_not_found", NOT_FOUND,
        "There is no such report",
        "No report has this id, or it is not kept any more (`reports.keep_s`). Order another one.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED,
        "The path does not take this method",
        "The path exists; `Allow` and `allowed` list the methods that it takes.";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT,
        "The body came too slowly",
        "No byte of the body came for `http.request_timeout_s`. Nothing was kept; send the request again.";
    StatusForbids = "status_forbids", CONFLICT,
        "The task's status forbids this",
        "The task stands where the action is not allowed: only what has not ended can be cancelled, only what failed or \
         was cancelled can be retried, and only what waits and has come due can be claimed.";
    StaleAttempt = "stale_attempt", CONFLICT,
        "The attempt is not the current one",
        "A worker spoke for an attempt that is over: its lease ran out, or the task was cancelled, given back or ended. \
         Drop the work; what it made does not count.";
    NotHeld = "not_held", CONFLICT,
        "The task is in other hands",
        "Only whoever claimed a task can speak for it, and nobody outside for what the daemon runs itself.";
    NotForWorkers = "not_for_workers", CONFLICT,
        "The daemon does this kind itself",
        "Workers outside take tasks of kind `manual` and of the kinds that `kinds.outside` lists.";
    UniqueTaken = "unique_taken", CONFLICT,
        "Another task has the unique key",
        "The task cannot be retried while another task of its owner and kind with the same `unique_key` has not ended.";
    EmailTaken = "email_taken", CONFLICT,
        "The e-mail is taken",
        "A user with this e-mail exists already.";
    RecordingFailed = "recording_failed", CONFLICT,
        "The recording has no MP3",
        "The conversion failed or was cancelled, so there is nothing to fetch. `detail` has the reason, `task` the \
         number of the task, which can be retried.";
    ImageFailed = "image_failed", CONFLICT,
        "The image was not taken",
        "The task that checks and stores it failed or was cancelled. `detail` has the reason, `task` the number of the \
         task, which can be retried.";
    ReportFailed = "report_failed", CONFLICT,
        "The report was not made",
        "The making of it failed or was cancelled. `detail` has the reason, `task` the number of the task, which can be \
         retried.";
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED,
        "The file is not the one that was asked for",
        "`If-Match` names other files than the one that is there, whose `ETag` the answer without `If-Match` has.";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE,
        "The body is too large",
        "The JSON body is larger than `http.max_json_bytes`. Send fewer tasks at a time.";
    RecordingTooLarge = "recording_too_large", PAYLOAD_TOO_LARGE,
        "The recording is too large",
        "The file is larger than `records.max_bytes`.";
    ImageTooLarge = "image_too_large", PAYLOAD_TOO_LARGE,
        "The image is too large",
        "The file is larger than `images.max_bytes`, or would be more pixels, frames or memory once decoded than \
         `images.max_pixels`, `images.max_frames` and `images.memory` allow.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE,
        "The body is of another type than expected",
        "`Content-Type` is not what the route takes (JSON, or a multipart form for uploads), or the body is compressed.";
    UnsupportedAudio = "unsupported_audio", UNSUPPORTED_MEDIA_TYPE,
        "The file is no WAV that can be read",
        "The bytes are another format, or a WAV with a codec that is not read. `detail` says what was found.";
    UnsupportedImage = "unsupported_image", UNSUPPORTED_MEDIA_TYPE,
        "The file is no image of a format that is taken",
        "The bytes are none of `images.formats`, whatever the name or the type says. `detail` says what was found.";
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE,
        "The range lies outside of the file",
        "`Range` asks for bytes behind the end; `Content-Range` tells the length.";
    ForeignHost = "foreign_host", MISDIRECTED_REQUEST,
        "The daemon does not go by this name",
        "`Host` names neither an address, nor `localhost`, nor the host of `http.public_url`, nor one of `http.hosts`, on a \
         daemon that lets in whoever is on its machine: it may be a page of another site whose name leads here. Call it \
         by its address, or list the name in `http.hosts`.";
    InvalidBody = "invalid_body", UNPROCESSABLE_ENTITY,
        "The body is not what is expected",
        "The JSON can be read, but a field is unknown, given twice, missing, of the wrong type or out of bounds. \
         `errors` names each with its JSON pointer and what was expected.";
    KeyReused = "key_reused", UNPROCESSABLE_ENTITY,
        "The idempotency key was used for another request",
        "`Idempotency-Key` is remembered with its request for 24 hours, and this request is another one. Take a new key \
         for a new request.";
    UnknownKind = "unknown_kind", UNPROCESSABLE_ENTITY,
        "There is no such kind of task",
        "`detail` lists the kinds that this daemon has.";
    KindNotDirect = "kind_not_direct", UNPROCESSABLE_ENTITY,
        "Tasks of this kind are not created directly",
        "The kind has a route of its own, which `detail` names.";
    KindNotClaimable = "kind_not_claimable", UNPROCESSABLE_ENTITY,
        "Workers outside do not take this kind",
        "There is no such kind, or the daemon does it itself. `allowed` lists the kinds that can be claimed: `manual`, \
         and what `kinds.outside` names.";
    InvalidPayload = "invalid_payload", UNPROCESSABLE_ENTITY,
        "The payload does not fit the kind",
        "`detail` says what is wrong with it.";
    DamagedAudio = "damaged_audio", UNPROCESSABLE_ENTITY,
        "The WAV is damaged or outside of the limits",
        "The file is a WAV that cannot be used. `detail` says what was found and what is accepted.";
    ConversionFailed = "conversion_failed", UNPROCESSABLE_ENTITY,
        "The recording could not be converted",
        "The upload was accepted, but its conversion failed while the caller waited. `detail` has the reason, `task` \
         the number of the task.";
    DamagedImage = "damaged_image", UNPROCESSABLE_ENTITY,
        "The image is damaged",
        "The file begins as an image and cannot be decoded to its end. `detail` says what is wrong with it.";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS,
        "Too many of these",
        "The user, or the address, has done this more often than is allowed. Nothing was done; try again after \
         `Retry-After`.";
    QuotaExceeded = "quota_exceeded", TOO_MANY_REQUESTS,
        "There is no room for more of yours",
        "With this the user would have more here than `images.max_per_user` or `images.max_bytes_per_user` allow. \
         Nothing was kept; delete something first.";
    Internal = "internal", INTERNAL_SERVER_ERROR,
        "The daemon made a mistake",
        "Something that should not happen did; the log has it under the request id. The request may or may not have \
         taken effect.";
    BlobDamaged = "blob_damaged", INTERNAL_SERVER_ERROR,
        "The stored file is damaged",
        "The file of a recording or an image is missing from the daemon's disk, or is not as it was stored; the log names \
         it under the request id. The operator has to restore it, or it has to be sent again.";
    UpstreamFailed = "upstream_failed", BAD_GATEWAY,
        "Whoever was asked did not help",
        "A source of questions answered with trouble, with what is no question, or with nothing new, as often as it may \
         be asked. `saved` of the `asked` questions are saved; `task` is the number of the task, which can be retried for \
         the rest.";
    QuizFailed = "quiz_failed", SERVICE_UNAVAILABLE,
        "The questions were not fetched",
        "The task that fetches failed inside of the daemon, or was cancelled. `detail` has the reason; `saved` of the \
         `asked` questions are saved; `task` is the number of the task, which can be retried for the rest.";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE,
        "Too much is waiting already",
        "As many writes, claims or logins wait, or as many images are worked on or uploads come without a proof of their user, as the daemon may hold. \
         Nothing was done; try again after `Retry-After`.";
    QueueFull = "queue_full", SERVICE_UNAVAILABLE,
        "As many tasks wait as may",
        "With this more tasks would wait, of all kinds (`tasks.max_waiting`) or of this one (`tasks.max_waiting_kinds`), than \
         the operator allows. Nothing was done; try again after `Retry-After`, when some are done.";
    Interrupted = "interrupted", SERVICE_UNAVAILABLE,
        "The daemon was interrupted",
        "The daemon restarted a part of itself while it wrote: the request may or may not have taken effect. Look \
         before you try again.";
    DatabaseUnavailable = "database_unavailable", SERVICE_UNAVAILABLE,
        "The database does not answer",
        "The database cannot be reached or did not answer in time; a write may or may not have taken effect. Try again \
         after `Retry-After`.";
    BlobStoreUnavailable = "blob_store_unavailable", SERVICE_UNAVAILABLE,
        "The store of the files does not answer",
        "The bucket that keeps recordings and images cannot be reached, refuses, or did not answer in time. Nothing was \
         kept; try again after `Retry-After`.";
    UpstreamTimeout = "upstream_timeout", GATEWAY_TIMEOUT,
        "Whoever was asked did not answer in time",
        "A source of questions did not answer, or not soon enough. `saved` of the `asked` questions are saved; `task` is \
         the number of the task, which can be retried for the rest.";
    StorageFull = "storage_full", INSUFFICIENT_STORAGE,
        "There is no room left",
        "A disk of the daemon's is full, or less is free of it than must be (`storage.min_free_bytes`), so that what was \
         accepted can still be finished. Nothing was kept; what is here can be read and removed, and what runs goes on. \
         Remove something, or have the operator make room; then it goes on by itself.";
}

impl Code {
    /// The `type` of the problem: an address of its own for each code.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("/problems/{}", self.as_str())
    }
}

/// The page `docs/problems.md`.
#[must_use]
pub fn problems_markdown() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Problems\n\n\
         <!-- Made from the catalogue in src/http/catalogue.rs by `UPDATE=1 cargo test --lib problems`. -->\n\n\
         An error is answered as `application/problem+json` (RFC 9457), or as a page where the client prefers HTML. \
         Its members: `type` (`/problems/<code>`), `title`, `status`, `detail` (what went wrong this time), `instance` \
         (the request, by its `X-Request-Id`), and `code`, which programs can rely on. Where they help there are also \
         `errors` (each with `field`, `pointer` and `problem`), `field` (the first of those), `allowed`, `task` and \
         `retry_after_s`. A 503 always has `Retry-After`, a 401 `WWW-Authenticate`, a 405 `Allow`.\n\n\
         A request whose head cannot be read, or comes too slowly, is answered before there is a route: with a bare \
         400, 408 or 431.\n\n\
         | status | code | means |\n| --- | --- | --- |\n",
    );
    for code in Code::ALL {
        let (status, name) = (code.status().as_u16(), code.as_str());
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {status} | `{name}` | **{}.** {} |", code.title(), code.explanation());
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn codes_are_unique_words_of_error_statuses_and_stand_in_the_order_of_statuses() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
        for code in Code::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code:?}");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code:?}");
            assert!(!code.title().ends_with('.') && code.explanation().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn the_page_on_problems_says_what_is_in_the_catalogue() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/problems.md");
        let fresh = problems_markdown();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let stands = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stands == fresh, "docs/problems.md differs: run `UPDATE=1 cargo test --lib problems`");
    }
}
