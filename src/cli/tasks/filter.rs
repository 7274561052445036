//! Which tasks, as the command line says it.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;

use crate::cli::client::encoded;
use crate::cli::problem::Problem;
use crate::cli::when::{Moment, Way};

/// Which tasks: those for which all of it is true.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which tasks")]
pub(in crate::cli) struct Filter {
    /// Only those that stand there: new, in-progress, completed, failed or cancelled.
    #[arg(long, value_parser = status)]
    status: Option<String>,
    /// Only those of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Only those with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Only those accepted since: a time as RFC 3339 has it, or so long ago, as `2h`.
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only those accepted before: likewise.
    #[arg(long, value_name = "TIME")]
    before: Option<Moment>,
}

impl Filter {
    /// Whether it lets everything through.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.parts(DateTime::UNIX_EPOCH).is_ok_and(|parts| parts.is_empty())
    }

    /// As a query: `status=New&kind=noop`.
    pub(in crate::cli) fn query(&self, now: DateTime<Utc>) -> Result<String, Problem> {
        let parts = self.parts(now)?;
        let parts: Vec<String> =
            parts.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        Ok(parts.join("&"))
    }

    /// For people: `status New, kind noop`; empty where it lets everything through.
    pub(in crate::cli) fn words(&self, now: DateTime<Utc>) -> String {
        let parts = self.parts(now).unwrap_or_default();
        let parts: Vec<String> = parts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        parts.join(", ")
    }

    fn parts(&self, now: DateTime<Utc>) -> Result<Vec<(&'static str, String)>, Problem> {
        let time = |moment: &Option<Moment>| match moment {
            Some(moment) => {
                let at = moment.at(now, Way::Back)?;
                Ok(Some(at.to_rfc3339_opts(SecondsFormat::Micros, true)))
            }
            None => Ok(None),
        };
        let parts = [
            ("status", self.status.clone()),
            ("kind", self.kind.clone()),
            ("tag", self.tag.clone()),
            ("created_from", time(&self.since)?),
            ("created_before", time(&self.before)?),
        ];
        Ok(parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

/// A status as people type it, as the daemon writes it.
fn status(text: &str) -> Result<String, String> {
    let plain: String = text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let found = match plain.as_str() {
        "new" => "New",
        "inprogress" | "running" => "In Progress",
        "completed" | "done" => "Completed",
        "failed" => "Failed",
        "cancelled" | "canceled" => "Cancelled",
        _ => return Err("there are: new, in-progress, completed, failed, cancelled".to_owned()),
    };
    Ok(found.to_owned())
}
