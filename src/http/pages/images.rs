//! `/upload`, `/images/` and `/images/{name}/page`: images are sent, seen and removed.
//!
//! True here: what is sent, listed and removed is so by the functions of the API, with its limits and rights; what a file
//! was called is text of a stranger, escaped wherever it stands, in the codes to copy as well.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::assets::Asset;
use super::confirm::{self, Ask, SURE};
use super::entry::set_cookie;
use super::form::Form;
use super::frame::{Frame, Section, Visitor};
use super::preferences::{Look, cookie};
use super::told::{self, Told};
use super::words::filled;
use super::words::frame::ConfirmWords;
use super::words::images::ImageWords;
use super::words::problems::ProblemWords;
use super::words::written::{instant, number, plural, size};
use super::{formats, next_page, see_other, tools};
use crate::account::{Access, Caller};
use crate::http::catalogue::Code;
use crate::http::extract::{self, Query};
use crate::http::image_desk::Desk;
use crate::http::image_upload::{self, Received};
use crate::http::links::ImageLinks;
use crate::http::listing::Cut;
use crate::http::upload::Unproven;
use crate::http::{Problem, State, auth, client, images};
use crate::store::Image;
use crate::task::{ImageName, TaskId};

/// How many images a page of the gallery has.
const PAGE: u32 = 48;

/// An image as the pages show it.
struct Picture {
    name: String,
    filename: String,
    thumbnail: String,
    page: String,
    size: String,
    dimensions: String,
    uploaded: String,
    uploaded_at: String,
    ready: bool,
    url: String,
    markdown: String,
    html: String,
    bbcode: String,
    /// The address at which whoever has it removes the image, right after the upload.
    delete: Option<String>,
}

impl Picture {
    fn of(state: &State, request: &HttpRequest, image: &Image, token: Option<&str>) -> Self {
        let language = Look::of(request).language;
        let w = ImageWords::of(language);
        let links = ImageLinks::of(state, request);
        let url = links.image(&image.name);
        let side = state.images.thumbnail;
        let (width, height) = (image.facts.width, image.facts.height);
        let page = format!("/images/{}/page", image.name);
        let told = |number_of: u32| number(language, number_of.into());
        let delete = token.map(|token| format!("{url}/page?token={token}"));
        Self {
            name: image.name.to_string(),
            thumbnail: format!("/images/{}?w={side}&h={side}", image.name),
            size: size(language, image.bytes),
            dimensions: filled(
                plural(language, height.into(), [w.pixels_one, w.pixels_few, w.pixels]),
                &[&told(width), &told(height)],
            ),
            uploaded: instant(language, image.created_at),
            uploaded_at: image.created_at.to_string(),
            ready: image.blob.is_some(),
            markdown: format!("![{}]({url})", in_markdown(&image.filename)),
            html: format!(
                "<img src=\"{url}\" width=\"{width}\" height=\"{height}\" alt=\"{}\">",
                html_escape::encode_double_quoted_attribute(&image.filename)
            ),
            bbcode: format!("[img]{url}[/img]"),
            filename: image.filename.clone(),
            page,
            url,
            delete,
        }
    }
}

/// The text as the name of a picture in Markdown: what means something there is made to mean itself.
fn in_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '.' | '-' | ',' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[derive(Template)]
#[template(path = "upload.html")]
struct UploadPage {
    frame: Frame,
    w: &'static ImageWords,
    told: Option<Told>,
    limit: String,
    accept: String,
    max_bytes: u64,
    max_files: usize,
    too_large: String,
    done: Vec<Picture>,
    curl: String,
    known: bool,
}

fn upload_page(
    state: &State,
    request: &HttpRequest,
    visitor: Visitor,
    told: Option<Told>,
    done: Vec<Picture>,
) -> UploadPage {
    let language = Look::of(request).language;
    let w = ImageWords::of(language);
    let most = size(language, state.images.max_bytes.bytes());
    let files = number(language, state.images.max_files as u64);
    let types: Vec<&str> = state.images.formats.iter().map(|format| format.media_type()).collect();
    let known = visitor != Visitor::Nobody;
    UploadPage {
        curl: tools::curl(state, request, known),
        known,
        frame: Frame::new(request, visitor, Section::Upload, w.upload),
        w,
        told,
        limit: filled(w.limit, &[&formats(state), &most, &files]),
        accept: types.join(","),
        max_bytes: state.images.max_bytes.bytes(),
        max_files: state.images.max_files,
        too_large: filled(w.too_large, &[&most]),
        done,
    }
}

/// How long the tokens of an upload wait for the page that shows them, in seconds.
const CARRIED_S: u32 = 60;

/// What stands between the tokens of an upload.
const SEPARATOR: &str = "/";

/// The cookie in which the tokens of an upload get to the page that shows them: an address would stay in the history of
/// the browser and in the logs of proxies. It is called by the first image, since several uploads may be on their way.
struct Carried(String);

impl Carried {
    /// That of the upload whose first image is called so.
    fn of(first: &str) -> Self {
        Self(format!("gristmill_tokens_{}", first.replace(|c: char| !c.is_ascii_alphanumeric(), "_")))
    }

    /// The tokens, in the order of the images.
    fn held<'a>(&self, request: &'a HttpRequest) -> Option<&'a str> {
        cookie(request, &self.0)
    }

    fn keep(
        &self,
        state: &State,
        request: &HttpRequest,
        answer: &mut HttpResponse,
        tokens: &str,
    ) -> Result<(), Problem> {
        // What a request brought goes back only if it looks like what went out.
        let plain = |c: char| c.is_ascii_hexdigit() || c == '-' || SEPARATOR.contains(c);
        if !tokens.chars().all(plain) {
            return Ok(());
        }
        let secure = if client::is_secure(&state.http, request) { "; Secure" } else { "" };
        let name = &self.0;
        set_cookie(
            answer,
            &format!("{name}={tokens}; Path=/upload; Max-Age={CARRIED_S}; HttpOnly; SameSite=Lax{secure}"),
        )
    }

    fn drop_from(&self, answer: &mut HttpResponse) -> Result<(), Problem> {
        set_cookie(answer, &format!("{}=; Path=/upload; Max-Age=0; HttpOnly; SameSite=Lax", self.0))
    }
}

/// The form, with what was just sent by it.
pub(super) async fn upload_form(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["done"]);
    let wanted = query.text("done").unwrap_or_default().to_owned();
    query.finish()?;
    let visitor = Visitor::of(&state, auth::reader(&state, &request, None).await?).await?;
    let carried = Carried::of(wanted.split(',').next().unwrap_or_default());
    let held = carried.held(&request).map(str::to_owned);
    let mut tokens = held.iter().flat_map(|tokens| tokens.split(SEPARATOR));
    let mut done = Vec::new();
    for name in wanted.split(',').take(state.images.max_files) {
        let token = tokens.next();
        let Ok(name) = name.parse::<ImageName>() else { continue };
        let Some(image) = state.store.image(&name).await? else { continue };
        // Only what is the token is shown as one.
        let token = token.filter(|token| images::right_to(&image, Caller::Anonymous, Some(*token)).is_ok());
        done.push(Picture::of(&state, &request, &image, token));
    }
    let mut page = upload_page(&state, &request, visitor, None, done);
    let waits = page.done.iter().any(|picture| !picture.ready);
    if waits {
        page.frame = page.frame.polled(2);
    }
    let mut answer = Frame::answer(&page, StatusCode::OK)?;
    match held {
        // The page is looked at again, and has to know them then.
        Some(tokens) if waits => carried.keep(&state, &request, &mut answer, &tokens)?,
        Some(_) => carried.drop_from(&mut answer)?,
        None => {}
    }
    Ok(answer)
}

/// Takes what the form sends, and leads to where its links are.
pub(super) async fn upload(
    state: Data<State>,
    desk: Data<Desk>,
    unproven: Data<Unproven>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let parts = (&**desk, &**unproven);
    match image_upload::receive(&state, parts, &request, body, None).await {
        Ok(Received::Now(shown, caller)) => {
            let entries = shown.iter().map(|shown| {
                let name = shown.view.filename();
                // Who is known removes it by who they are.
                let token = shown.view.delete_token().filter(|_| caller == Caller::Anonymous);
                (name.to_owned(), token.map(ToString::to_string).unwrap_or_default())
            });
            let (names, tokens): (Vec<String>, Vec<String>) = entries.unzip();
            let mut answer = see_other(&format!("/upload?done={}", names.join(",")))?;
            if let Some(first) = names.first().filter(|_| caller == Caller::Anonymous) {
                Carried::of(first).keep(&state, &request, &mut answer, &tokens.join(SEPARATOR))?;
            }
            Ok(answer)
        }
        // A form without scripts has no key.
        Ok(Received::Before(..)) => see_other("/images/"),
        Err(problem) => Err(told::shown_on(&request, problem, |told| {
            upload_page(&state, &request, Visitor::unknown(&request), Some(told), Vec::new())
        })),
    }
}

#[derive(Template)]
#[template(path = "gallery.html")]
struct GalleryPage {
    frame: Frame,
    w: &'static ImageWords,
    whose: &'static str,
    deleted: bool,
    pictures: Vec<Picture>,
    next: Option<String>,
    later: bool,
}

/// The gallery.
pub(super) async fn gallery(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["limit", "after", "user_id", "done"]);
    let limit = if query.text("limit").is_some() { query.limit() } else { PAGE };
    let after = query.parsed("after", |text| extract::number(text).map(TaskId));
    let (named, deleted) = (query.user_id(), query.text("done") == Some("deleted"));
    query.finish()?;
    let caller = auth::reader(&state, &request, named).await?;
    let Cut { page: images, next } = images::page(&state, caller, after, limit).await?;
    let w = ImageWords::of(Look::of(&request).language);
    let visitor = Visitor::of(&state, caller).await?;
    let page = GalleryPage {
        frame: Frame::new(&request, visitor, Section::Images, w.gallery),
        w,
        whose: match caller {
            Caller::Anonymous => w.gallery_nobodys,
            Caller::User(_) => w.gallery_own,
            Caller::Admin(_) => w.gallery_all,
        },
        deleted,
        pictures: images.iter().map(|image| Picture::of(&state, &request, image, None)).collect(),
        next: next.map(|last| next_page(&request, last)),
        later: after.is_some(),
    };
    Frame::answer(&page, StatusCode::OK)
}

#[derive(Template)]
#[template(path = "image.html")]
struct ImagePage {
    frame: Frame,
    w: &'static ImageWords,
    told: Option<Told>,
    picture: Picture,
    format: String,
    frames: Option<String>,
    owner: Option<(String, String)>,
    task: Option<(String, String)>,
    /// Whether whoever asks may remove it without its token.
    may_delete: bool,
    token: String,
}

async fn image_page(
    state: &State,
    request: &HttpRequest,
    image: &Image,
    caller: Caller,
    token: Option<&str>,
    told: Option<Told>,
) -> Result<ImagePage, Problem> {
    let language = Look::of(request).language;
    let w = ImageWords::of(language);
    let visitor = Visitor::of(state, caller).await?;
    let mut frame = Frame::new(request, visitor, Section::Images, image.filename.clone());
    if image.blob.is_none() {
        frame = frame.polled(2);
    }
    // Who has no more than the link learns what it shows, not whose it is.
    let sees_task =
        caller.may_see(image.owner, None) && (caller != Caller::Anonymous || state.auth.anonymous);
    let owner = match image.owner.filter(|_| sees_task) {
        Some(id) => {
            let user = state.store.user(id).await?;
            let name =
                user.and_then(|user| user.name).map_or_else(|| frame.user(id), |name| name.to_string());
            Some((format!("/users/{id}"), name))
        }
        None => None,
    };
    let frames = Some(image.facts.frames).filter(|frames| *frames > 1);
    Ok(ImagePage {
        picture: Picture::of(state, request, image, None),
        format: image.facts.format.to_string(),
        frames: frames.map(|frames| number(language, frames.into())),
        owner,
        task: sees_task.then(|| (format!("/tasks/{}", image.task), image.task.to_string())),
        may_delete: Access::TokenHolder.allows(caller, image.owner, None),
        token: token.unwrap_or_default().to_owned(),
        frame,
        w,
        told,
    })
}

/// The image in the path.
async fn find(state: &State, request: &HttpRequest) -> Result<Image, Problem> {
    let image = match images::name(request) {
        Some(name) => state.store.image(&name).await?,
        None => None,
    };
    image.ok_or_else(|| images::no_image(request))
}

/// An image's own page: for whoever has its link, as the image itself is.
pub(super) async fn of_image(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["token"]);
    let token = query.text("token").map(str::to_owned);
    query.finish()?;
    let caller = auth::caller(&state, &request, None).await?;
    let image = find(&state, &request).await?;
    let page = image_page(&state, &request, &image, caller, token.as_deref(), None).await?;
    Frame::answer(&page, StatusCode::OK)
}

/// Removes the image for its owner, an admin, or whoever types its token.
pub(super) async fn delete(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let form = Form::read(&state, &request, body, &["token", SURE]).await?;
    form.finish()?;
    let caller = auth::caller(&state, &request, None).await?;
    let image = find(&state, &request).await?;
    let given = form.text("token");
    let right = match images::right_to(&image, caller, given) {
        Ok(right) => right,
        Err(problem) => return refused(&state, &request, &image, (caller, given.is_some()), problem).await,
    };
    if form.text(SURE).is_none() {
        return ask(&state, &request, &image, caller, given).await;
    }
    images::remove(&state, right, Some(image), None).await?;
    // Where nobody may look around, there is the upload.
    let lists = caller != Caller::Anonymous || state.auth.anonymous;
    see_other(if lists { "/images/?done=deleted" } else { "/" })
}

/// Asks whether the image is to go.
async fn ask(
    state: &State,
    request: &HttpRequest,
    image: &Image,
    caller: Caller,
    token: Option<&str>,
) -> Result<HttpResponse, Problem> {
    let language = Look::of(request).language;
    let question = Ask {
        section: Section::Images,
        question: ConfirmWords::of(language).image.to_owned(),
        what: Some(image.filename.clone()),
        hint: ImageWords::of(language).delete_hint,
        action: format!("/images/{}/delete", image.name),
        fields: token.map(|token| ("token", token.to_owned())).into_iter().collect(),
        back: format!("/images/{}/page", image.name),
    };
    confirm::page(state, request, caller, question).await
}

async fn refused(
    state: &State,
    request: &HttpRequest,
    image: &Image,
    (caller, by_token): (Caller, bool),
    problem: Problem,
) -> Result<HttpResponse, Problem> {
    let Some(told) = Told::of(request, &problem).filter(|_| problem.code() == Code::Forbidden) else {
        return Err(problem);
    };
    let w = ProblemWords::of(Look::of(request).language);
    let told = if by_token { Told { title: w.wrong_token, advice: w.check_token, ..told } } else { told };
    let page = image_page(state, request, image, caller, None, Some(told)).await?;
    Err(told::rendered(problem, &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_nothing_in_markdown() {
        assert_eq!(in_markdown("a](x) <b>*_.png"), "a\\]\\(x\\) \\<b\\>\\*\\_.png");
        assert_eq!(in_markdown("кот-1.jpg"), "кот-1.jpg");
    }
}
