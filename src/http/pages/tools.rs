//! Uploading from programs that people have: ShareX and curl, ready to use.
//!
//! Called by the page of uploads. True here: no secret is in what is given out: who is known puts their token there.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::account::Caller;
use crate::http::{Problem, State, auth, links};

/// What stands where the token belongs.
const TOKEN: &str = "YOUR-TOKEN";

/// The command that uploads a file, for whoever is `known`, who has to prove it.
pub(super) fn curl(state: &State, request: &HttpRequest, known: bool) -> String {
    let proof = if known { format!(" -H \"Authorization: Bearer {TOKEN}\"") } else { String::new() };
    format!("curl -F file=@picture.png{proof} {}/upload", links::base(state, request))
}

/// The settings of ShareX that upload here: a custom uploader, to be opened with it.
pub(super) async fn sharex(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = auth::reader(&state, &request, None).await?;
    let base = links::base(&state, &request);
    let mut uploader = json!({
        "Version": "14.1.0",
        "Name": format!("Gristmill ({base})"),
        "DestinationType": "ImageUploader",
        "RequestMethod": "POST",
        "RequestURL": format!("{base}/upload"),
        "Body": "MultipartFormData",
        "FileFormName": "file",
        "URL": "{json:url}",
        "ThumbnailURL": "{json:thumbnail_url}",
        "DeletionURL": "{json:url}/page?token={json:delete_token}",
        "ErrorMessage": "{json:title}: {json:detail}",
    });
    if let (true, Some(fields)) = (caller != Caller::Anonymous, uploader.as_object_mut()) {
        fields.insert("Headers".to_owned(), json!({"Authorization": format!("Bearer {TOKEN}")}));
    }
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .insert_header((
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"gristmill.sxcu\""),
        ))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .body(uploader.to_string()))
}
