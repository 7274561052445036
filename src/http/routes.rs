//! The table of routes: what there is, for whom, who handles it, and which problems it may answer with.
//!
//! The server is configured from it, the OpenAPI document is completed from it, and a test compares the two. To add a
//! route, add its line here, its handler to the list in `openapi.rs`, and its case to `tests/http/access.rs`, which asks it
//! as every kind of caller. What an [`Access`] means stands in its own table.

use std::collections::HashSet;
use std::rc::Rc;

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, Route};

use super::catalogue::Code;
use super::hosts::Hosts;
use super::observe::{AtOnce, Way, no_route, observe};
use super::pages::{self, When};
use super::{
    Problem, State, avatar, bulk, download, events, gc, health, image_upload, images, kinds, live, login,
    nodes, outside, questions, recordings, records, reports, serving, stats, task_image, tasks, users,
};
use crate::account::Access;

/// One method of one path.
struct Line {
    method: Verb,
    path: &'static str,
    access: Access,
    handler: fn() -> Route,
    /// The problems of its own, in groups; [`ALWAYS`] is added.
    problems: &'static [&'static [Code]],
    at_once: Option<AtOnce>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    /// A `GET` that does something: without the `HEAD` that a `GET` brings along.
    Take,
    Post,
    Put,
    Patch,
    Delete,
}

/// A route as others may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// `GET`, `POST`, ...
    pub method: &'static str,
    /// The pattern: `/tasks/{id}`.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// The problems that it may answer with.
    pub problems: Vec<Code>,
}

/// Any route: a query that is not understood, a name that is not ours, and our own mistakes.
const ALWAYS: &[Code] = &[Code::InvalidParameter, Code::ForeignHost, Code::Internal];
/// Routes that find out who is calling.
const CALLER: &[Code] =
    &[Code::Unauthenticated, Code::InvalidToken, Code::OtherUser, Code::DatabaseUnavailable];
/// Routes that read a body.
const BODY: &[Code] = &[Code::IncompleteBody, Code::RequestTimeout, Code::UnsupportedMediaType];
/// Routes that read JSON.
const JSON: &[Code] =
    &[Code::InvalidJson, Code::InvalidBody, Code::BodyTooLarge, Code::Overloaded, Code::StorageFull];
/// Routes that write.
const WRITE: &[Code] =
    &[Code::Overloaded, Code::Interrupted, Code::DatabaseUnavailable, Code::StorageFull, Code::KeyReused];
/// Routes that create tasks from what the caller says.
const SUBMIT: &[Code] = &[
    Code::UnknownKind,
    Code::KindNotDirect,
    Code::InvalidPayload,
    Code::TaskNotFound,
    Code::UnsupportedImage,
    Code::ImageTooLarge,
    Code::DamagedImage,
    Code::RateLimited,
    Code::QuotaExceeded,
    Code::StorageFull,
    Code::QueueFull,
    Code::BlobStoreUnavailable,
];
/// Routes that change a task.
const CHANGE: &[Code] = &[Code::TaskNotFound, Code::StatusForbids, Code::Forbidden];
/// Routes that give a task to a program outside.
const CLAIM: &[Code] =
    &[Code::TaskNotFound, Code::StatusForbids, Code::NotForWorkers, Code::KindNotClaimable];
/// Routes by which it speaks of the task.
const WORD: &[Code] = &[Code::TaskNotFound, Code::StaleAttempt, Code::NotHeld];
/// Routes that take what a user says of themselves.
const PROFILE: &[Code] = &[
    Code::Forbidden,
    Code::EmailTaken,
    Code::UnsupportedImage,
    Code::DamagedImage,
    Code::ImageTooLarge,
    Code::RateLimited,
    Code::StorageFull,
    Code::BlobStoreUnavailable,
];
/// The route that tries passwords.
const LOGIN: &[Code] = &[Code::LoginFailed, Code::RateLimited, Code::Overloaded, Code::DatabaseUnavailable];
/// Routes that take recordings.
const RECORD: &[Code] = &[
    Code::InvalidForm,
    Code::RecordingTooLarge,
    Code::UnsupportedAudio,
    Code::DamagedAudio,
    Code::ConversionFailed,
    Code::RecordingFailed,
    Code::TaskNotFound,
    Code::BlobStoreUnavailable,
    Code::StorageFull,
    Code::QueueFull,
];
/// Routes that give recordings.
const PLAY: &[Code] = &[
    Code::RecordingNotFound,
    Code::OriginalNotKept,
    Code::RecordingFailed,
    Code::PreconditionFailed,
    Code::RangeNotSatisfiable,
    Code::BlobDamaged,
    Code::BlobStoreUnavailable,
    Code::DatabaseUnavailable,
];

/// Routes that change a user's counters.
const STATS: &[Code] = &[Code::UserNotFound, Code::Forbidden];
/// The route that orders reports.
const REPORT: &[Code] = &[
    Code::UserNotFound,
    Code::Forbidden,
    Code::RateLimited,
    Code::ReportFailed,
    Code::TaskNotFound,
    Code::QueueFull,
];
/// The route that gives reports.
const FETCH: &[Code] = &[
    Code::ReportNotFound,
    Code::ReportFailed,
    Code::PreconditionFailed,
    Code::RangeNotSatisfiable,
    Code::BlobDamaged,
    Code::BlobStoreUnavailable,
    Code::DatabaseUnavailable,
];
/// The route that fetches questions.
const QUIZ: &[Code] =
    &[Code::UpstreamFailed, Code::UpstreamTimeout, Code::QuizFailed, Code::TaskNotFound, Code::QueueFull];

/// Routes about what need not be here.
const GC: &[Code] = &[Code::Forbidden, Code::BlobStoreUnavailable];

/// Routes that give images.
const SHOW: &[Code] = &[
    Code::ImageNotFound,
    Code::ImageFailed,
    Code::PreconditionFailed,
    Code::RangeNotSatisfiable,
    Code::BlobDamaged,
    Code::BlobStoreUnavailable,
    Code::Overloaded,
    Code::Interrupted,
    Code::DatabaseUnavailable,
];

/// The route that gives the pictures of tasks.
const TASK_IMAGE: &[Code] = &[
    Code::TaskNotFound,
    Code::ImageNotFound,
    Code::ImageFailed,
    Code::PreconditionFailed,
    Code::RangeNotSatisfiable,
    Code::BlobDamaged,
    Code::BlobStoreUnavailable,
];

/// Routes that take images.
const UPLOAD: &[Code] = &[
    Code::InvalidForm,
    Code::InvalidJson,
    Code::InvalidBody,
    Code::ImageTooLarge,
    Code::UnsupportedImage,
    Code::DamagedImage,
    Code::ImageFailed,
    Code::RateLimited,
    Code::QuotaExceeded,
    Code::TaskNotFound,
    Code::StorageFull,
    Code::QueueFull,
    Code::BlobStoreUnavailable,
];

/// The table. The first lines are the busiest.
const TABLE: &[Line] = &[
    line(Verb::Get, "/images/{name}", Access::LinkHolder, || web::to(serving::get), &[SHOW])
        .with_at_once(serving::at_once),
    line(
        Verb::Delete,
        "/images/{name}",
        Access::TokenHolder,
        || web::to(images::delete),
        &[CALLER, WRITE, &[Code::ImageNotFound, Code::Forbidden]],
    ),
    line(
        Verb::Post,
        "/tasks",
        Access::Guests,
        || web::to(tasks::create),
        &[CALLER, BODY, JSON, WRITE, SUBMIT],
    ),
    line(Verb::Get, "/tasks", Access::Guests, || web::to(tasks::list), &[CALLER]),
    line(
        Verb::Post,
        "/tasks/batch",
        Access::Guests,
        || web::to(tasks::create_batch),
        &[CALLER, BODY, JSON, WRITE, SUBMIT],
    ),
    line(
        Verb::Post,
        "/tasks/claim",
        Access::Taker,
        || web::to(outside::claim),
        &[CALLER, BODY, JSON, WRITE, CLAIM],
    ),
    line(Verb::Post, "/tasks/cancel", Access::Guests, || web::to(bulk::cancel), &[CALLER, BODY, JSON, WRITE]),
    line(
        Verb::Post,
        "/tasks/retry",
        Access::Guests,
        || web::to(bulk::retry),
        &[CALLER, BODY, JSON, WRITE, &[Code::QueueFull]],
    ),
    line(Verb::Post, "/tasks/delete", Access::Guests, || web::to(bulk::delete), &[CALLER, BODY, JSON, WRITE]),
    line(
        Verb::Get,
        "/tasks/{id}",
        Access::OwnerOrAssignee,
        || web::to(tasks::get),
        &[CALLER, &[Code::TaskNotFound]],
    ),
    line(
        Verb::Delete,
        "/tasks/{id}",
        Access::Owner,
        || web::to(tasks::delete),
        &[CALLER, WRITE, &[Code::TaskNotFound, Code::Forbidden]],
    ),
    line(
        Verb::Get,
        "/tasks/{id}/image",
        Access::OwnerOrAssignee,
        || web::to(task_image::get),
        &[CALLER, TASK_IMAGE],
    ),
    line(
        Verb::Get,
        "/tasks/{id}/events",
        Access::OwnerOrAssignee,
        || web::to(events::of_task),
        &[CALLER, &[Code::TaskNotFound, Code::Overloaded]],
    ),
    line(
        Verb::Post,
        "/tasks/{id}/cancel",
        Access::Owner,
        || web::to(tasks::cancel),
        &[CALLER, BODY, JSON, WRITE, CHANGE],
    ),
    line(
        Verb::Post,
        "/tasks/{id}/retry",
        Access::Owner,
        || web::to(tasks::retry),
        &[CALLER, BODY, JSON, WRITE, CHANGE, &[Code::UniqueTaken, Code::QueueFull]],
    ),
    line(
        Verb::Post,
        "/tasks/{id}/heartbeat",
        Access::Holder,
        || web::to(outside::heartbeat),
        &[CALLER, BODY, JSON, WRITE, WORD],
    ),
    line(
        Verb::Post,
        "/tasks/{id}/progress",
        Access::Holder,
        || web::to(outside::progress),
        &[CALLER, BODY, JSON, WRITE, WORD],
    ),
    line(
        Verb::Post,
        "/tasks/{id}/complete",
        Access::Holder,
        || web::to(outside::complete),
        &[CALLER, BODY, JSON, WRITE, WORD],
    ),
    line(
        Verb::Post,
        "/tasks/{id}/fail",
        Access::Holder,
        || web::to(outside::fail),
        &[CALLER, BODY, JSON, WRITE, WORD],
    ),
    line(
        Verb::Post,
        "/tasks/{id}/release",
        Access::Holder,
        || web::to(outside::release),
        &[CALLER, BODY, JSON, WRITE, WORD],
    ),
    line(
        Verb::Take,
        "/take_free_task",
        Access::Taker,
        || web::to(outside::take_free),
        &[CALLER, WRITE, &[Code::NoFreeTask]],
    ),
    line(Verb::Get, "/kinds", Access::Admins, || web::to(kinds::list), &[CALLER, &[Code::Forbidden]]),
    line(Verb::Get, "/gc", Access::Admins, || web::to(gc::look), &[CALLER, GC]),
    line(
        Verb::Post,
        "/gc",
        Access::Admins,
        || web::to(gc::act),
        &[CALLER, BODY, JSON, GC, &[Code::Interrupted]],
    ),
    line(Verb::Get, "/nodes", Access::Admins, || web::to(nodes::list), &[CALLER, &[Code::Forbidden]]),
    line(
        Verb::Get,
        "/admin/live",
        Access::Admins,
        || web::to(live::live),
        &[CALLER, &[Code::Forbidden, Code::Overloaded]],
    ),
    line(
        Verb::Post,
        "/kinds/{kind}/pause",
        Access::Admins,
        || web::to(kinds::pause),
        &[CALLER, BODY, JSON, WRITE, &[Code::Forbidden, Code::UnknownKind]],
    ),
    line(
        Verb::Post,
        "/kinds/{kind}/resume",
        Access::Admins,
        || web::to(kinds::resume),
        &[CALLER, BODY, JSON, WRITE, &[Code::Forbidden, Code::UnknownKind]],
    ),
    line(Verb::Get, "/total_tasks_created", Access::Guests, || web::to(outside::total), &[CALLER]),
    line(Verb::Get, "/events", Access::Guests, || web::to(events::all), &[CALLER, &[Code::Overloaded]]),
    line(
        Verb::Post,
        "/users",
        Access::Everybody,
        || web::to(users::create),
        &[CALLER, BODY, JSON, WRITE, PROFILE],
    ),
    line(Verb::Get, "/users", Access::Everybody, || web::to(users::list), &[CALLER]),
    line(
        Verb::Post,
        "/user",
        Access::Everybody,
        || web::to(users::create_alias),
        &[CALLER, BODY, JSON, WRITE, PROFILE],
    ),
    line(
        Verb::Get,
        "/users/{id}",
        Access::Everybody,
        || web::to(users::get),
        &[CALLER, &[Code::UserNotFound]],
    ),
    line(
        Verb::Patch,
        "/users/{id}",
        Access::Owner,
        || web::to(users::change),
        &[CALLER, BODY, JSON, WRITE, PROFILE, &[Code::UserNotFound]],
    ),
    line(
        Verb::Delete,
        "/users/{id}",
        Access::Owner,
        || web::to(users::delete),
        &[CALLER, WRITE, &[Code::UserNotFound, Code::Forbidden]],
    ),
    line(
        Verb::Get,
        "/users/{id}/avatar",
        Access::Everybody,
        || web::to(avatar::get),
        &[&[Code::UserNotFound, Code::AvatarNotFound, Code::BlobStoreUnavailable, Code::DatabaseUnavailable]],
    ),
    line(
        Verb::Post,
        "/users/{id}/token",
        Access::Owner,
        || web::to(users::renew_token),
        &[CALLER, BODY, JSON, WRITE, &[Code::UserNotFound, Code::Forbidden, Code::RateLimited]],
    ),
    line(Verb::Get, "/users/{id}/stats", Access::Owner, || web::to(stats::get), &[CALLER, STATS]),
    line(
        Verb::Put,
        "/users/{id}/stats",
        Access::Owner,
        || web::to(stats::put),
        &[CALLER, BODY, JSON, WRITE, STATS],
    ),
    line(
        Verb::Patch,
        "/users/{id}/stats",
        Access::Owner,
        || web::to(stats::patch),
        &[CALLER, BODY, JSON, WRITE, STATS],
    ),
    line(
        Verb::Post,
        "/users/{id}/report",
        Access::Owner,
        || web::to(reports::create),
        &[CALLER, BODY, JSON, WRITE, REPORT],
    ),
    line(Verb::Get, "/reports/{id}", Access::LinkHolder, || web::to(reports::get), &[FETCH]),
    line(
        Verb::Post,
        "/quiz",
        Access::Guests,
        || web::to(questions::create),
        &[CALLER, BODY, JSON, WRITE, QUIZ],
    ),
    line(Verb::Get, "/quiz/questions", Access::Guests, || web::to(questions::list), &[CALLER]),
    line(Verb::Post, "/login", Access::Everybody, || web::to(login::login), &[BODY, JSON, LOGIN]),
    line(
        Verb::Post,
        "/logout",
        Access::Everybody,
        || web::to(login::logout),
        &[&[Code::DatabaseUnavailable, Code::StorageFull]],
    ),
    line(Verb::Post, "/records", Access::Users, || web::to(records::create), &[CALLER, BODY, WRITE, RECORD]),
    line(Verb::Get, "/records", Access::Users, || web::to(recordings::list), &[CALLER]),
    line(
        Verb::Delete,
        "/records/{id}",
        Access::Owner,
        || web::to(recordings::delete),
        &[CALLER, WRITE, &[Code::RecordingNotFound, Code::Forbidden]],
    ),
    line(
        Verb::Post,
        "/music-add",
        Access::Users,
        || web::to(records::create_alias),
        &[CALLER, BODY, WRITE, RECORD],
    ),
    line(Verb::Get, "/record", Access::LinkHolder, || web::to(download::get), &[PLAY]),
    line(
        Verb::Post,
        "/upload",
        Access::Guests,
        || web::to(image_upload::create),
        &[CALLER, BODY, WRITE, UPLOAD],
    ),
    line(Verb::Get, "/images/", Access::Guests, || web::to(images::list), &[CALLER]),
    line(Verb::Get, "/images", Access::Guests, || web::to(images::list_alias), &[CALLER]),
    line(Verb::Get, "/health/live", Access::Everybody, || web::to(health::live), &[]),
    line(Verb::Get, "/health/ready", Access::Everybody, || web::to(health::ready), &[]),
    line(Verb::Get, "/metrics", Access::Everybody, || web::to(health::metrics), &[]),
    line(Verb::Get, "/openapi.json", Access::Everybody, || web::to(health::openapi), &[]),
];

/// What a node answers that has not the role of the doors.
const ALWAYS_THERE: &[&str] = &["/health/live", "/health/ready", "/metrics"];

const fn line(
    method: Verb,
    path: &'static str,
    access: Access,
    handler: fn() -> Route,
    problems: &'static [&'static [Code]],
) -> Line {
    Line { method, path, access, handler, problems, at_once: None }
}

impl Line {
    /// The same, with what answers some of its requests, of whatever method, without the handler.
    const fn with_at_once(mut self, at_once: AtOnce) -> Self {
        self.at_once = Some(at_once);
        self
    }
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get | Self::Take => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it does something, and so is not for pages of other sites.
    fn acts(self) -> bool {
        self != Self::Get
    }

    /// The methods that the verb answers: HEAD is what GET is, without the body.
    fn methods(self) -> &'static [Method] {
        match self {
            Self::Get => &[Method::GET, Method::HEAD],
            Self::Take => &[Method::GET],
            Self::Post => &[Method::POST],
            Self::Put => &[Method::PUT],
            Self::Patch => &[Method::PATCH],
            Self::Delete => &[Method::DELETE],
        }
    }
}

/// Every route.
#[must_use]
pub fn table() -> Vec<RouteInfo> {
    let info = |line: &Line| {
        let mut problems: Vec<Code> = line.problems.concat();
        problems.extend(ALWAYS);
        problems.extend(line.method.acts().then_some(Code::CrossOrigin));
        problems.sort();
        problems.dedup();
        RouteInfo { method: line.method.as_str(), path: line.path, access: line.access, problems }
    };
    TABLE.iter().map(info).collect()
}

/// Every page for people, by method and path; some stand beside a route of the same path, for who prefers HTML.
#[must_use]
pub fn page_table() -> Vec<(&'static str, &'static str)> {
    let listed = |page: &'static pages::Page| {
        page.methods().iter().map(|method| (method.as_str(), page.path)).collect::<Vec<_>>()
    };
    pages::all().flat_map(listed).collect()
}

/// Gives the routes of the table to the server.
pub(super) fn configure(app: &mut ServiceConfig, state: &Data<State>) {
    let mut paths: Vec<&'static str> = TABLE.iter().map(|line| line.path).collect();
    paths.extend(pages::all().map(|page| page.path));
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(*path));
    let hosts = Hosts::guarded(&state.http, &state.auth).map(Rc::new);
    for path in paths {
        if state.only_health && !ALWAYS_THERE.contains(&path) {
            continue;
        }
        let lines = || TABLE.iter().filter(|line| line.path == path);
        let pages = || pages::all().filter(|page| page.path == path);
        let mut resource = web::resource(path);
        // First, since the API's lines take whatever comes.
        for page in pages() {
            for method in page.methods() {
                resource = resource.route(page.route(method));
            }
        }
        for line in lines() {
            for method in line.method.methods() {
                resource = resource.route((line.handler)().method(method.clone()));
            }
        }
        let methods = lines().flat_map(|line| line.method.methods());
        let methods = methods.chain(pages().flat_map(pages::Page::methods));
        let mut allowed: Vec<&'static str> = methods.map(Method::as_str).collect();
        allowed.sort_unstable();
        allowed.dedup();
        let refuse = move || {
            let detail = format!("this path takes {}", allowed.join(", "));
            let problem = Problem::new(Code::MethodNotAllowed, detail).allowing(allowed.iter().copied());
            async move { Err::<HttpResponse, Problem>(problem) }
        };
        let state = state.clone();
        let acts = lines().any(|line| line.method == Verb::Take);
        let way = Rc::new(Way {
            route: Some(path),
            acts,
            varies: pages().any(|page| page.when == When::Asked),
            at_once: lines().find_map(|line| line.at_once),
            hosts: hosts.clone(),
            metrics: state.http_metrics.of_route(Some(path)),
        });
        app.service(
            resource
                .default_service(web::to(refuse))
                .wrap(from_fn(move |request, next| observe(state.clone(), way.clone(), request, next))),
        );
    }
    let state = state.clone();
    let metrics = state.http_metrics.of_route(None);
    let way = Rc::new(Way { route: None, acts: false, varies: false, at_once: None, hosts, metrics });
    app.default_service(
        web::to(no_route)
            .wrap(from_fn(move |request, next| observe(state.clone(), way.clone(), request, next))),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_route_stands_twice_and_the_methods_of_a_path_stand_together() {
        let keys: Vec<(&str, &str)> = TABLE.iter().map(|line| (line.path, line.method.as_str())).collect();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
        let mut paths: Vec<&str> = keys.iter().map(|(path, _)| *path).collect();
        paths.dedup();
        assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), paths.len());
    }

    #[test]
    fn every_code_belongs_to_a_route_or_to_none_at_all() {
        let mut told: BTreeSet<Code> = table().into_iter().flat_map(|route| route.problems).collect();
        // These two are the answers where there is no route.
        told.extend([Code::NotFound, Code::MethodNotAllowed]);
        assert_eq!(told, Code::ALL.iter().copied().collect());
    }
}
