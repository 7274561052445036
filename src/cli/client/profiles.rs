//! `profiles.toml`: daemons by name, with the tokens to speak to them.
//!
//! Read by every command that speaks to a daemon, written by `gristmill profile`. What is true: the file is its owner's
//! alone, made so, and refused when it is not; it is written whole or not at all; what somebody wrote into it by hand, remarks
//! and order, stays.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, value};

use super::place::parse_token;
use crate::account::Token;
use crate::cli::problem::Problem;

/// One daemon.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Profile {
    pub(in crate::cli) url: String,
    pub(in crate::cli) token: Option<Token>,
    pub(in crate::cli) user: Option<i64>,
}

/// What a profile may say.
const KEYS: [&str; 3] = ["url", "token", "user"];

/// The file.
#[derive(Debug)]
pub(in crate::cli) struct Profiles {
    path: PathBuf,
    document: DocumentMut,
}

impl Profiles {
    /// Reads it; none is the same as an empty one.
    pub(in crate::cli) fn read() -> Result<Self, Problem> {
        Self::read_at(place(&|name| std::env::var_os(name).map(PathBuf::from))?)
    }

    fn read_at(path: PathBuf) -> Result<Self, Problem> {
        let failed = |error: io::Error| Problem::usage(format!("{}: {error}", path.display()));
        // Of a pipe nothing might ever come.
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(Problem::usage(format!("{} is no file", path.display())));
        }
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        if !text.is_empty() {
            let mode = fs::metadata(&path).map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                let told = format!("{} can be read by others, and holds tokens", path.display());
                return Err(Problem::usage(told).hint(format!("`chmod 600 {}`", path.display())));
            }
        }
        let document = text.parse().map_err(|error: toml_edit::TomlError| {
            // The message would show the line, which may be the one with the token.
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            Problem::usage(format!("{}:{line}: {}", path.display(), error.message()))
        })?;
        Ok(Self { path, document })
    }

    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    /// The profile of that name.
    pub(in crate::cli) fn get(&self, name: &str) -> Result<Profile, Problem> {
        let there = self.names();
        let table = self.table(name).ok_or_else(|| {
            let told = format!("there is no profile `{name}` in {}", self.path.display());
            Problem::usage(told).hint(match there.as_slice() {
                [] => format!("`gristmill profile add {name} --url URL` makes it"),
                there => format!("there are: {}", there.join(", ")),
            })
        })?;
        let bad =
            |what: &str| Problem::usage(format!("{}: the profile `{name}` {what}", self.path.display()));
        let text = |key: &str| match table.get(key) {
            None => Ok(None),
            Some(item) => item.as_str().map(Some).ok_or_else(|| bad(&format!("has a {key} that is no text"))),
        };
        if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(key)) {
            return Err(bad(&format!("has a key `{key}`")).hint(format!("there are: {}", KEYS.join(", "))));
        }
        let url = text("url")?.ok_or_else(|| bad("has no url"))?.to_owned();
        let token = text("token")?.map(parse_token).transpose();
        let token = token.map_err(|problem| problem.about(&format!("the token of the profile `{name}`")))?;
        let user = match table.get("user") {
            None => None,
            Some(item) => Some(item.as_integer().ok_or_else(|| bad("has a user that is no number"))?),
        };
        Ok(Profile { url, token, user })
    }

    /// The one in use.
    pub(in crate::cli) fn in_use(&self) -> Result<Option<(String, Profile)>, Problem> {
        let Some(name) = self.used() else { return Ok(None) };
        Ok(Some((name.to_owned(), self.get(name)?)))
    }

    /// The name of the one in use.
    pub(in crate::cli) fn used(&self) -> Option<&str> {
        self.document.get("use")?.as_str()
    }

    /// All names, in the order of the file.
    pub(in crate::cli) fn names(&self) -> Vec<String> {
        let table = self.document.get("profiles").and_then(Item::as_table_like);
        table.map(|table| table.iter().map(|(name, _)| name.to_owned()).collect()).unwrap_or_default()
    }

    /// Sets a profile. The first one is in use from then on.
    pub(in crate::cli) fn set(&mut self, name: &str, profile: &Profile) {
        let first = self.names().is_empty();
        let profiles = self.document.entry("profiles").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let entry = &mut profiles[name];
        if !entry.is_table_like() {
            *entry = Item::Table(Table::new());
        }
        entry["url"] = value(&profile.url);
        for (key, item) in [
            ("token", profile.token.as_ref().map(|token| value(token.reveal()))),
            ("user", profile.user.map(value)),
        ] {
            match (item, entry.as_table_like_mut()) {
                (Some(item), Some(table)) => drop(table.insert(key, item)),
                (None, Some(table)) => drop(table.remove(key)),
                (_, None) => {}
            }
        }
        if first {
            self.make_used(name);
        }
    }

    /// Uses it unless another is named.
    pub(in crate::cli) fn make_used(&mut self, name: &str) {
        self.document.insert("use", value(name));
    }

    /// Removes a profile. If it was in use, none is.
    pub(in crate::cli) fn remove(&mut self, name: &str) {
        if let Some(profiles) = self.document.get_mut("profiles").and_then(Item::as_table_like_mut) {
            profiles.remove(name);
        }
        if self.used() == Some(name) {
            self.document.remove("use");
        }
    }

    /// Writes the file, whole or not at all, for its owner alone.
    pub(in crate::cli) fn write(&self) -> Result<(), Problem> {
        let failed = |error: io::Error| Problem::failed(format!("{}: {error}", self.path.display()));
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let draft = self.path.with_extension(format!("toml.{}", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
            file.write_all(self.document.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)
        })();
        if written.is_err() {
            // A draft that was not made need not be removed.
            let _ = fs::remove_file(&draft);
        }
        written.map_err(failed)
    }

    fn table(&self, name: &str) -> Option<&dyn toml_edit::TableLike> {
        self.document.get("profiles")?.get(name)?.as_table_like()
    }
}

/// Where the file is, by the environment.
fn place(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Problem> {
    let told = |name| variable(name).filter(|path| path.is_absolute());
    let folder = told("XDG_CONFIG_HOME").or_else(|| Some(told("HOME")?.join(".config")));
    let folder = folder.ok_or_else(|| {
        Problem::usage("it is not known where profiles are: neither XDG_CONFIG_HOME nor HOME names a folder")
            .hint("set one of them, or name the daemon by --url")
    })?;
    Ok(folder.join("gristmill/profiles.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(url: &str) -> Profile {
        Profile { url: url.to_owned(), token: Some(Token::fresh()), user: Some(7) }
    }

    #[test]
    fn a_profile_comes_back_as_it_was_set_and_remarks_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gristmill/profiles.toml");
        let mut profiles = Profiles::read_at(path.clone()).unwrap();
        assert!(profiles.in_use().unwrap().is_none());
        let home = profile("https://home.example");
        profiles.set("home", &home);
        profiles.set("work place", &profile("https://work.example"));
        profiles.write().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

        let text = format!("# mine\n{}", fs::read_to_string(&path).unwrap());
        fs::write(&path, text).unwrap();
        let mut profiles = Profiles::read_at(path.clone()).unwrap();
        let (name, read) = profiles.in_use().unwrap().unwrap();
        assert_eq!((name.as_str(), read.url, read.token, read.user), ("home", home.url, home.token, Some(7)));
        assert_eq!(profiles.names(), ["home", "work place"]);
        profiles.set("home", &Profile { token: None, user: None, ..profile("http://other") });
        profiles.remove("work place");
        profiles.write().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\n") && !text.contains("token") && !text.contains("work"), "{text}");
        profiles.remove("home");
        assert!(profiles.used().is_none() && profiles.get("home").is_err());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_no_message_shows_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        let secret = "3f0c6d5e-secret";
        let refused = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let read = Profiles::read_at(path.clone()).and_then(|profiles| profiles.get("a"));
            read.expect_err(text).message()
        };
        let whole = format!("[profiles.a]\nurl = \"http://a\"\ntoken = \"{secret}\"\n");
        assert!(refused(&whole, 0o640).contains("can be read by others"));
        for (text, told) in [
            (whole.clone(), "no token"),
            (format!("[profiles.a]\ntoken = \"{secret}\n"), ":2: "),
            (format!("[profiles.a]\nurl = 7\ntoken = \"{secret}\"\n"), "has a url that is no text"),
            (format!("[profiles.b]\nurl = \"http://b\"\ntoken = \"{secret}\"\n"), "no profile `a`"),
        ] {
            let refused = refused(&text, 0o600);
            assert!(refused.contains(told) && !refused.contains(secret), "{text}: {refused}");
        }
    }

    #[test]
    fn the_file_is_where_others_keep_theirs() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            let variable = |name: &str| {
                let told = if name == "HOME" { home } else { xdg };
                told.map(PathBuf::from)
            };
            place(&variable).map(|path| path.display().to_string()).ok()
        };
        assert_eq!(at(Some("/x"), Some("/h")).as_deref(), Some("/x/gristmill/profiles.toml"));
        assert_eq!(at(Some("relative"), Some("/h")).as_deref(), Some("/h/.config/gristmill/profiles.toml"));
        assert_eq!(at(None, None), None);
    }
}
