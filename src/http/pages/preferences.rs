//! In which language and colours somebody wants the pages: what the request says of it, and the form that sets it.
//!
//! Called by the frame of every page. True here: a choice is kept in cookies of the browser and nowhere else; what they
//! hold is one of the choices or counts as none.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::form::Form;
use super::{local, see_other};
use crate::http::{Problem, State, client, reports};
use crate::media::report::Language;

const LANGUAGE: &str = "language";
const THEME: &str = "theme";

/// For how long a choice is kept: a year.
const KEPT_S: u32 = 365 * 24 * 3600;

/// The colours that somebody chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The word in the cookie and on the page.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Light, Self::Dark].into_iter().find(|theme| theme.as_str() == text)
    }
}

/// How the pages are to look to whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Look {
    /// The language.
    pub(in crate::http) language: Language,
    /// The colours; `None` for those of the system.
    pub(in crate::http) theme: Option<Theme>,
}

impl Look {
    /// As the cookies say, else as the browser prefers.
    pub(in crate::http) fn of(request: &HttpRequest) -> Self {
        let language = cookie(request, LANGUAGE).and_then(Language::parse);
        let theme = cookie(request, THEME).and_then(Theme::parse);
        Self { language: language.unwrap_or_else(|| reports::preferred(request.headers())), theme }
    }
}

/// The first cookie of that name.
pub(super) fn cookie<'a>(request: &'a HttpRequest, wanted: &str) -> Option<&'a str> {
    let lines = request.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == wanted).then_some(value))
}

/// Sets what the form says, and goes back to where it was.
pub(super) async fn set(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::read(&state, &request, body, &[LANGUAGE, THEME, "back"]).await?;
    let language = form.text(LANGUAGE).map(str::to_owned);
    let theme = form.text(THEME).map(str::to_owned);
    let back = form.text("back").and_then(local).unwrap_or_else(|| "/".to_owned());
    if language.as_deref().is_some_and(|tag| Language::parse(tag).is_none()) {
        form.fault(LANGUAGE, "expected `en` or `ru`");
    }
    if theme.as_deref().is_some_and(|theme| theme != "auto" && Theme::parse(theme).is_none()) {
        form.fault(THEME, "expected `light`, `dark` or `auto`");
    }
    form.finish()?;
    let mut answer = see_other(&back)?;
    let secure = if client::is_secure(&state.http, &request) { "; Secure" } else { "" };
    for (name, value) in [(LANGUAGE, language), (THEME, theme)] {
        let Some(value) = value else { continue };
        let span = if value == "auto" { 0 } else { KEPT_S };
        let cookie = format!("{name}={value}; Path=/; Max-Age={span}; HttpOnly; SameSite=Lax{secure}");
        let cookie = cookie.parse().map_err(|_| Problem::internal("a cookie that is no header"))?;
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_choice_counts_before_what_the_browser_prefers() {
        for (headers, language, theme) in [
            (&[][..], Language::En, None),
            (&[("accept-language", "ru-RU,ru;q=0.9")], Language::Ru, None),
            (&[("accept-language", "ru"), ("cookie", "language=en")], Language::En, None),
            (&[("cookie", "a=b; language=ru; theme=dark")], Language::Ru, Some(Theme::Dark)),
            (&[("cookie", "language=de; theme=pink")], Language::En, None),
            (&[("cookie", "xtheme=dark"), ("cookie", "theme=light")], Language::En, Some(Theme::Light)),
        ] {
            let mut request = TestRequest::get();
            for (name, value) in headers {
                request = request.append_header((*name, *value));
            }
            assert_eq!(Look::of(&request.to_http_request()), Look { language, theme }, "{headers:?}");
        }
    }
}
