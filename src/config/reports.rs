//! `[reports]`: reports about users. Consumed by the route that orders them.

use std::time::Duration;

use chrono_tz::Tz;

use super::rule::{Raw, Refusal, Rule, seconds, whole};
use super::section::{Literal, section};

section! {
    /// Reports: what is known of a user and their work, as a PDF.
    ReportSettings = "reports" {
        /// How long a report is kept, in seconds. Then its link leads nowhere, and the file is removed.
        "keep_s" => keep: Duration = 2_592_000, seconds(60.0..=315_360_000.0);

        /// The time zone in which reports write times where the request names none, as the IANA database calls it.
        "time_zone" => time_zone: Tz = "UTC", time_zone();

        /// How many reports about one user may be ordered in a minute; 0 for any number.
        "per_minute" => per_minute: u32 = 30, whole(0..=1_000_000);
    }
}

/// The name of a time zone.
fn time_zone() -> TimeZone {
    TimeZone
}

struct TimeZone;

impl Rule for TimeZone {
    type Out = Tz;

    fn parse(&self, raw: &Raw) -> Result<Tz, Refusal> {
        let text = raw.text()?;
        text.parse().map_err(|_| format!("names the time zone {text:?}, which is not known"))
    }

    fn allowed(&self) -> String {
        "the name of a time zone of the IANA database, as `Europe/Moscow`".to_owned()
    }

    fn show(&self, value: &Tz) -> Literal {
        Literal::Text(value.name().to_owned())
    }
}
