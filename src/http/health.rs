//! `/health`, `/metrics` and `/openapi.json`: what programs ask about the daemon itself.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::extract::Query;
use super::tasks::json_answer;
use super::{Problem, State, openapi};

/// Whether the process serves at all.
#[utoipa::path(
    get, path = "/health/live", operation_id = "isLive", tag = "Operations",
    responses((status = 200, description = "It does.", body = Object, example = json!({"status": "live"}))),
)]
pub(super) async fn live(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    Ok(json_answer(HttpResponse::Ok(), br#"{"status":"live"}"#.to_vec()))
}

/// Whether the node takes work, and what each component does. `degraded`: it takes work, and lacks something optional.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "isReady", tag = "Operations",
    responses(
        (status = 200, description = "It takes work.", body = Object, example = json!(
            {"ready": true, "degraded": false, "phase": "ready", "components": {"database": {"importance": "required", "state": "up"}}})),
        (status = 503, description = "It starts, drains, or lacks a component.",
            headers(("retry-after" = u64, description = "After how many seconds to ask again.")), body = Object,
            example = json!({"ready": false, "degraded": false, "phase": "draining", "components": {}})),
    ),
)]
pub(super) async fn ready(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let snapshot = state.health.snapshot();
    let body = serde_json::to_vec(&snapshot).map_err(|error| Problem::internal(error.to_string()))?;
    let mut answer = if snapshot.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    if !snapshot.ready {
        answer.insert_header((header::RETRY_AFTER, 1));
    }
    Ok(json_answer(answer, body))
}

/// Everything that is measured, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "Operations",
    responses((status = 200, description = "The text format 0.0.4.", content_type = "text/plain", body = String,
        example = "gristmill_http_requests_total{route=\"/tasks\",method=\"POST\",status=\"2xx\"} 7\n")),
)]
pub(super) async fn metrics(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let form = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, form)).body(state.metrics.render()))
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "Operations",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, example = json!(
        {"openapi": "3.1.0", "info": {"title": "Gristmill", "version": "0.1.0"}, "paths": {}}))),
)]
pub(super) async fn openapi(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    Ok(json_answer(HttpResponse::Ok(), openapi::text().as_bytes().to_vec()))
}
