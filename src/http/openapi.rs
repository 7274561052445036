//! The OpenAPI document: what the handlers say of themselves, with every problem of every route added from the table.

mod complete;

use std::sync::LazyLock;

use serde_json::{Value, json};
use utoipa::OpenApi;

use super::catalogue::Code;
use super::routes::{self, RouteInfo};
use super::{
    avatar, bulk, download, events, file, gc, health, idempotency, image_upload, image_view, images, kinds,
    live, login, nodes, outside, outside_form, questions, recordings, records, reports, serving, session,
    stats, task_form, task_image, task_view, tasks, user_form, user_view, users,
};
use crate::account::Access;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gristmill",
        description = "A job daemon with the jobs built in. Errors are RFC 9457 problem documents with a stable \
            `code`; a path that does not exist is answered with `not_found`, a method that a path does not take with \
            `method_not_allowed`. Every answer carries `X-Request-Id`, which a request may set.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        tasks::create, tasks::create_batch, tasks::list, tasks::get, tasks::delete, tasks::cancel, tasks::retry,
        outside::claim, outside::heartbeat, outside::progress, outside::complete, outside::fail, outside::release,
        outside::take_free, outside::total,
        bulk::cancel, bulk::retry, bulk::delete, kinds::list, kinds::pause, kinds::resume, nodes::list, gc::look, gc::act,
        live::live,
        events::all, events::of_task, serving::get, task_image::get,
        users::create, users::create_alias, users::list, users::get, users::change, users::delete,
        users::renew_token, avatar::get, login::login, login::logout,
        recordings::list, records::create, records::create_alias, recordings::delete, download::get,
        stats::get, stats::put, stats::patch, reports::create, reports::get, questions::create, questions::list,
        image_upload::create, images::list, images::list_alias, images::delete,
        health::live, health::ready, health::metrics, health::openapi,
    ),
    components(schemas(
        task_view::TaskView<'_>, task_view::PictureView, task_view::CallbackView<'_>, task_view::FailureSchema, task_form::NewTaskSchema,
        outside_form::ClaimSchema, outside_form::HeartbeatSchema, outside_form::ProgressSchema, outside_form::CompleteSchema,
        file::FileSchema, outside_form::FailSchema, outside_form::ReleaseSchema, outside::TotalView, user_form::NewUserSchema,
        user_form::UserChangeSchema, user_form::NewTokenSchema, user_view::UserView<'_>, user_view::WithToken<'_>,
        login::LoginSchema, records::RecordingView<'_>, records::NewRecordingSchema,
        stats::StatsView<'_>, stats::DayView, stats::NewStatsSchema, reports::ReportView<'_>, reports::NewReportSchema,
        bulk::BulkView, kinds::KindView, kinds::DepthView, kinds::PauseView,
        gc::GarbageView, gc::EndedView, gc::HeldView, gc::LooseView, nodes::NodeView, nodes::ReportView, nodes::ComponentView, nodes::PermitsView,
        kinds::RatesView, kinds::RateView, kinds::QuantilesView,
        questions::QuestionSchema, questions::NewQuestionsSchema,
        image_view::ImageView, image_view::UploadedView<'_>, image_upload::NewImagesSchema,
        image_upload::NewImageSchema,
    )),
)]
struct Document;

/// The document as text.
pub(super) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    &TEXT
}

fn document() -> Value {
    // The document is made of texts and numbers, which always have a JSON form.
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    for route in routes::table() {
        let method = route.method.to_lowercase();
        let operation = document["paths"].get_mut(route.path).and_then(|path| path.get_mut(method));
        // One that is missing is for the test to find, not to be made up here.
        let Some(operation) = operation else { continue };
        complete::describe_problems(&mut operation["responses"], &route);
        operation["security"] = security(&route);
        complete::shorten(operation);
        describe_access(operation, &route);
        if route.problems.contains(&Code::KeyReused) {
            describe_key(operation);
        }
        complete::describe_headers(operation);
    }
    complete::describe_whole(&mut document);
    // An empty body is the shortest way to a task, and a token needs none either.
    for path in ["/tasks", "/users/{id}/token", "/users/{id}/report"] {
        document["paths"][path]["post"]["requestBody"]["required"] = json!(false);
    }
    // A form with several files is answered with several images.
    let image = json!({"$ref": "#/components/schemas/UploadedImage"});
    for status in ["201", "202"] {
        document["paths"]["/upload"]["post"]["responses"][status]["content"]["application/json"]["schema"] =
            json!({"oneOf": [image, {"type": "array", "minItems": 2, "items": image}]});
    }
    // The question that was saved last before the call, where there was one.
    document["paths"]["/quiz"]["post"]["responses"]["200"]["content"]["application/json"]["schema"] = json!({"oneOf": [
        {"$ref": "#/components/schemas/Question"},
        {"type": "object", "maxProperties": 0, "title": "NoQuestion"},
    ]});
    let schemas = &mut document["components"]["schemas"];
    // What the derived schemas cannot say: fields that are unknown are refused, and a user needs one of the two.
    for form in FORMS {
        schemas[form]["additionalProperties"] = json!(false);
    }
    // By `if`, and not by `anyOf`: from that, generators make clients with a class for each of the cases, and fields lost.
    schemas["NewUser"]["if"] = json!({"not": {"required": ["name"]}});
    schemas["NewUser"]["then"] = json!({"required": ["email"]});
    schemas["NewTask"]["properties"]["tags"]["items"] =
        json!({"type": "string", "minLength": 1, "maxLength": 64});
    let kinds = &mut schemas["Claim"]["properties"]["kinds"];
    kinds["items"] = json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,31}$"});
    kinds["uniqueItems"] = json!(true);
    schemas["Claim"]["if"] = json!({"required": ["kinds"]});
    schemas["Claim"]["then"] = json!({"not": {"required": ["id"]}});
    schemas["Claim"]["else"] = json!({"required": ["id"]});
    schemas["Problem"] = problem_schema();
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "http", "scheme": "bearer", "description": "The token that `POST /users` gave."},
        "session": {"type": "apiKey", "in": "cookie", "name": session::COOKIE,
            "description": "The cookie that `POST /login` sets. What another site's page has a browser send is refused."},
    });
    document
}

/// The forms whose fields are all there are.
const FORMS: [&str; 15] = [
    "NewTask",
    "NewUser",
    "UserChange",
    "NewToken",
    "Login",
    "NewRecording",
    "NewImage",
    "NewReport",
    "NewQuestions",
    "Claim",
    "Heartbeat",
    "Progress",
    "Complete",
    "Fail",
    "Release",
];

/// Adds the header that makes a request count once, and the one that tells of it.
fn describe_key(operation: &mut Value) {
    let key = json!({
        "name": idempotency::NAME,
        "in": "header",
        "required": false,
        "description": "Makes the request count once: sent again with the same key within 24 hours, it does nothing and \
            is answered as before, also when the task is gone by then. A key belongs to the caller (all callers without \
            an identity share theirs: draw it at random) and to one request; with another it is `key_reused`. Refusals \
            are not remembered. 1 to 255 visible ASCII characters, bare or in quotes.",
        "schema": {"type": "string", "minLength": 1, "maxLength": idempotency::MAX_BYTES + 2},
        "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
    });
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(key),
        None => operation["parameters"] = json!([key]),
    }
    let told = json!({"schema": {"type": "string", "const": "true"}, "example": "true",
        "description": "There where the answer was given before to the same `Idempotency-Key`."});
    let answers = operation["responses"].as_object_mut().into_iter().flatten();
    for (_, answer) in answers.filter(|(status, _)| status.starts_with('2')) {
        answer["headers"][idempotency::REPLAYED.as_str()] = told.clone();
    }
}

/// With a token, a session or neither; where one must be somebody, only with one of them, or with the fields of a form.
fn security(route: &RouteInfo) -> Value {
    if !route.problems.contains(&Code::InvalidToken) {
        return json!([]);
    }
    let in_the_form = route.problems.contains(&Code::InvalidForm);
    match route.access {
        Access::Users | Access::Admins if !in_the_form => json!([{"token": []}, {"session": []}]),
        Access::Users
        | Access::Admins
        | Access::Everybody
        | Access::Guests
        | Access::Owner
        | Access::OwnerOrAssignee
        | Access::Taker
        | Access::Holder
        | Access::LinkHolder
        | Access::TokenHolder => json!([{"token": []}, {"session": []}, {}]),
    }
}

/// Who may, after what it does.
fn describe_access(operation: &mut Value, route: &RouteInfo) {
    let said = operation["description"].as_str().filter(|said| !said.is_empty());
    let words = route.access.words();
    operation["description"] = json!(said.map_or(words.to_owned(), |said| format!("{said}\n\n{words}")));
}

fn problem_schema() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "description": "An error (RFC 9457).",
        "required": ["type", "title", "status", "detail", "instance", "code"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "The page on problems, at this code."},
            "title": {"type": "string", "description": "What it is called, the same at each occurrence."},
            "status": {"type": "integer", "description": "The status of the answer."},
            "detail": {"type": "string", "description": "What went wrong this time."},
            "instance": {"type": "string", "format": "uri", "description": "The request, by its id."},
            "code": {"type": "string", "enum": codes, "description": "What programs tell it by."},
            "field": {"type": "string", "description": "The first of `errors`."},
            "errors": {"type": "array", "description": "Each thing that is wrong with the input.", "items": {
                "type": "object",
                "required": ["field", "problem"],
                "properties": {
                    "field": {"type": "string", "examples": ["[3].priority"]},
                    "pointer": {"type": "string", "format": "json-pointer", "examples": ["/3/priority"]},
                    "problem": {"type": "string"},
                },
            }},
            "allowed": {"type": "array", "items": {"type": "string"}, "description": "What would be allowed."},
            "task": {"type": "integer", "description": "The task that it is about."},
            "saved": {"type": "integer", "description": "How much of what was asked for was done all the same."},
            "asked": {"type": "integer", "description": "How much was asked for."},
            "retry_after_s": {"type": "integer", "description": "Try again after so many seconds."},
        },
    })
}
