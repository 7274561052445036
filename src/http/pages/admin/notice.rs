//! What was done, said on the page that a form leads to.
//!
//! True here: it goes through the address, as numbers and words of a closed list, so that whoever makes such an address up
//! has a page say nothing that is not ours.

use actix_web::HttpRequest;

use crate::http::pages::words::admin::AdminWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::number;
use crate::media::report::Language;

/// The parameter.
pub(super) const NAME: &str = "told";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Tasks were made ready again.
    Retried,
    /// Tasks were stopped.
    Cancelled,
    /// Things were removed.
    Deleted,
    /// Dead messages were sent back.
    SentBack,
    /// A user has another role.
    RoleSet,
    /// A kind was paused.
    Paused,
    /// A kind goes on.
    Resumed,
    /// A form was sent with nothing chosen.
    NothingChosen,
}

impl Deed {
    const ALL: [Self; 8] = [
        Self::Retried,
        Self::Cancelled,
        Self::Deleted,
        Self::SentBack,
        Self::RoleSet,
        Self::Paused,
        Self::Resumed,
        Self::NothingChosen,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Retried => "retried",
            Self::Cancelled => "cancelled",
            Self::Deleted => "deleted",
            Self::SentBack => "sent_back",
            Self::RoleSet => "role_set",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::NothingChosen => "nothing",
        }
    }

    fn text(self, w: &AdminWords) -> &'static str {
        match self {
            Self::Retried => w.told_retried,
            Self::Cancelled => w.told_cancelled,
            Self::Deleted => w.told_deleted,
            Self::SentBack => w.told_sent_back,
            Self::RoleSet => w.told_role,
            Self::Paused => w.told_paused,
            Self::Resumed => w.told_resumed,
            Self::NothingChosen => w.told_nothing,
        }
    }
}

/// What to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    /// Whether all of it went well.
    pub(super) good: bool,
}

impl Notice {
    /// As the address has it.
    pub(super) fn of(request: &HttpRequest, w: &AdminWords, language: Language) -> Option<Self> {
        let query = url::form_urlencoded::parse(request.query_string().as_bytes());
        let told = query.into_iter().find(|(name, _)| name == NAME)?.1;
        let mut parts = told.split('.');
        let name = parts.next()?;
        let deed = Deed::ALL.into_iter().find(|deed| deed.as_str() == name)?;
        let mut count = || parts.next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let (done, refused, left) = (count(), count(), count());
        let mut text = filled(deed.text(w), &[&number(language, done)]);
        for (how_many, words) in [(refused, w.told_refused), (left, w.told_left)] {
            if how_many > 0 {
                text.push(' ');
                text.push_str(&filled(words, &[&number(language, how_many)]));
            }
        }
        Some(Self { text, good: refused == 0 && left == 0 && deed != Deed::NothingChosen })
    }

    /// The place with it: so much was done, so much could not be done, so much is left.
    pub(super) fn at(place: &str, deed: Deed, [done, refused, left]: [u64; 3]) -> String {
        let (path, query) = place.split_once('?').unwrap_or((place, ""));
        let mut kept = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if name != NAME {
                kept.append_pair(&name, &value);
            }
        }
        let told = format!("{}.{done}.{refused}.{left}", deed.as_str());
        format!("{path}?{}", kept.append_pair(NAME, &told).finish())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn read(uri: &str) -> Option<Notice> {
        let request = TestRequest::with_uri(uri).to_http_request();
        Notice::of(&request, AdminWords::of(Language::En), Language::En)
    }

    #[test]
    fn what_was_done_goes_through_the_address_once() {
        let place = Notice::at("/admin/tasks?status=Failed&told=deleted.1.0.0", Deed::Retried, [1200, 3, 0]);
        assert_eq!(place, "/admin/tasks?status=Failed&told=retried.1200.3.0");
        let notice = read(&place).unwrap();
        assert!(
            notice.text.contains("1,200") && notice.text.contains('3') && !notice.good,
            "{}",
            notice.text
        );
        assert!(read(&Notice::at("/admin/dead", Deed::SentBack, [2, 0, 0])).unwrap().good);
    }

    #[test]
    fn nobody_has_a_page_say_what_is_not_ours() {
        assert_eq!(read("/admin/tasks"), None);
        for made_up in ["hello.1.0.0", "", "%3Cb%3E", "."] {
            assert_eq!(read(&format!("/admin/tasks?told={made_up}")), None, "{made_up}");
        }
        let notice = read("/admin/tasks?told=deleted.%3Cb%3E.x.-1").unwrap();
        assert!(!notice.text.contains('<'), "{}", notice.text);
    }
}
