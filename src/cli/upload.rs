//! `gristmill upload`: images go to the daemon, links come back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Exit;
use super::client::form::Opened;
use super::client::{Call, Daemon, Way, encoded, with_daemon};
use super::problem::Problem;
use super::terminal::Console;
use super::terminal::bars::Bars;
use super::terminal::text::harmless;

/// How long the daemon is asked to wait for an image to be ready; its link is good anyhow.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The images.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// So many at a time.
    #[arg(long, short, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// The links as Markdown.
    #[arg(long, group = "form")]
    markdown: bool,
    /// The links as HTML.
    #[arg(long, group = "form")]
    html: bool,
    /// The links as BBCode.
    #[arg(long, group = "form")]
    bbcode: bool,
    #[command(flatten)]
    way: Way,
}

/// An image that was taken.
#[derive(Debug, Deserialize)]
struct Taken {
    url: String,
    original_name: String,
}

/// Uploads.
pub(super) fn run(arguments: &Arguments, config: Vec<PathBuf>) -> Exit {
    with_daemon(&arguments.way, config, async |daemon, console| upload(arguments, daemon, console).await)
}

async fn upload(arguments: &Arguments, daemon: &Daemon, console: &Console) -> Result<Exit, Problem> {
    let bars = console.bars();
    let count = arguments.files.len();
    let whole = (count > 1).then(|| bars.count("images", count as u64));
    let send = |path: &PathBuf| {
        let (path, bars) = (path.clone(), bars.clone());
        async move {
            let sent = one(&path, daemon, &bars).await;
            (path, sent)
        }
    };
    // In the order of the command line, whichever is there first.
    let mut sent = stream::iter(&arguments.files).map(send).buffered(arguments.jobs.into());
    let (mut exit, mut taken) = (Exit::Done, 0);
    while let Some((path, image)) = sent.next().await {
        if let Some(whole) = &whole {
            whole.advance(1);
        }
        let mut said = Ok(Exit::Done);
        bars.say(|| said = tell(arguments, &path, image, console));
        match said? {
            Exit::Done => taken += 1,
            so @ (Exit::Failed | Exit::Usage | Exit::CheckFailed | Exit::Interrupted) => exit = exit.or(so),
        }
    }
    drop(whole);
    if count > 1 && taken < count {
        console.remark(&format!("{taken} of {count} images were taken"));
    }
    Ok(exit)
}

async fn one(path: &Path, daemon: &Daemon, bars: &Bars) -> Result<Box<RawValue>, Problem> {
    let file = Opened::open(path).await?;
    let bar = bars.bytes(&file.name(), file.length);
    let call = Call::post("/upload")
        .header("content-type", "application/octet-stream")
        .header("x-filename", encoded(&file.name()))
        .wait(PATIENCE);
    let answer = daemon.post(call, file.alone(Some(bar))).await;
    let answer = answer.map_err(|problem| problem.about(&path.display().to_string()))?;
    daemon.parse(&answer)
}

/// Says what became of a file.
fn tell(
    arguments: &Arguments,
    path: &Path,
    image: Result<Box<RawValue>, Problem>,
    console: &Console,
) -> Result<Exit, Problem> {
    let image = match image {
        Ok(image) => image,
        Err(problem) => {
            if console.json {
                let file = path.display().to_string();
                let error = serde_json::json!({"message": problem.message(), "code": problem.code()});
                console.json_line(&serde_json::json!({"file": file, "error": error}))?;
            }
            return Ok(problem.say());
        }
    };
    if console.json {
        console.json_line(&image)?;
        return Ok(Exit::Done);
    }
    let odd = |error| Problem::failed(format!("an image came back that cannot be read: {error}"));
    let Taken { url, original_name } = serde_json::from_str(image.get()).map_err(odd)?;
    let several = console.is_terminal() && arguments.files.len() > 1;
    let form = (arguments.markdown, arguments.html, arguments.bbcode);
    let line = link(form, &harmless(&url), &harmless(&original_name));
    let plain = form == (false, false, false);
    let name = if several && plain { format!("  {}", harmless(&original_name)) } else { String::new() };
    console.line(&format!("{line}{name}"))?;
    Ok(Exit::Done)
}

/// The link in the form that is wanted: Markdown, HTML, BBCode, or plain.
fn link((markdown, html, bbcode): (bool, bool, bool), url: &str, name: &str) -> String {
    if markdown {
        let name: String = name
            .chars()
            .flat_map(|c| ['\\', c].into_iter().skip(usize::from(!"[]\\`*_<>".contains(c))))
            .collect();
        return format!("![{name}](<{url}>)");
    }
    if html {
        let escape = |text: &str| html_escape::encode_double_quoted_attribute(text).into_owned();
        return format!("<img src=\"{}\" alt=\"{}\">", escape(url), escape(name));
    }
    if bbcode { format!("[img]{url}[/img]") } else { url.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_written_in_the_form_that_is_wanted_and_names_stay_names() {
        let (url, name) = ("http://h/images/a.png?w=1&h=2", "a \"b\" [c](d) <e> & _f.png");
        assert_eq!(link((false, false, false), url, name), url);
        assert_eq!(
            link((true, false, false), url, name),
            "![a \"b\" \\[c\\](d) \\<e\\> & \\_f.png](<http://h/images/a.png?w=1&h=2>)"
        );
        assert_eq!(
            link((false, true, false), url, name),
            "<img src=\"http://h/images/a.png?w=1&amp;h=2\" alt=\"a &quot;b&quot; [c](d) &lt;e&gt; &amp; _f.png\">"
        );
        assert_eq!(link((false, false, true), url, name), "[img]http://h/images/a.png?w=1&h=2[/img]");
    }
}
