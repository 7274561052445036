//! The layers: defaults, files, environment, put over one another; then every key read by its rule.
//!
//! Called by `Settings::load`. The package `config` does the layering; this file finds the layers, checks
//! their keys against the declared ones, and remembers which line or variable gave each value, which `config`
//! does not know. True here: a file is read once, so that what is checked is what is used; and no settings
//! come out while any layer holds a key that no section declares.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use toml_edit::{Document, Item, TableLike};

use super::Settings;
use super::error::{ConfigError, Origin, Problem};
use super::print::Entry;
use super::rule::{Raw, Rule};
use super::section::{Base, Key, SectionInfo, env_name};

/// How a variable that sets a key begins.
pub(super) const ENV_PREFIX: &str = "GRISTMILL__";

/// Where systemd names the folder that it made for the service.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// Where the layers are.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The settings files, the later over the earlier; they must exist. Empty: those in `directory`.
    pub files: Vec<PathBuf>,
    /// The folder whose `*.toml` are read, in the order of their names, when `files` is empty. It may be
    /// missing.
    pub directory: PathBuf,
    /// The environment.
    pub env: BTreeMap<OsString, OsString>,
}

impl LoadOptions {
    /// The usual places: the given files, else `config/*.toml`; the environment of this process.
    pub fn from_process(files: Vec<PathBuf>) -> Self {
        Self { files, env: std::env::vars_os().collect(), ..Self::default() }
    }

    /// With `http.bind` as it is, whatever the layers say, where a socket was handed over that listens already: so all
    /// that depends on the address (who is let in without proof, by which names) goes by the true one.
    #[must_use]
    pub fn listening_at(mut self, handed: Option<SocketAddr>) -> Self {
        if let Some(address) = handed {
            self.env.insert(env_name("http.bind").into(), address.to_string().into());
        }
        self
    }
}

impl Default for LoadOptions {
    /// `config/*.toml` and an empty environment.
    fn default() -> Self {
        Self { files: Vec::new(), directory: PathBuf::from("config"), env: BTreeMap::new() }
    }
}

/// Settings with what is known about them.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every key with its value and where that came from, in the order of the reference file.
    pub entries: Vec<Entry>,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    /// What is allowed but deserves a word, to be logged at start and told by `config check`.
    pub warnings: Vec<String>,
}

pub(super) fn load(options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let declared = Declared { sections: Settings::sections() };
    let mut found = Found::default();
    read_files(options, &declared, &mut found);
    read_env(options, &declared, &mut found);

    let base = settle_base(&declared, &found, state_directory(options));
    let mut reader = Reader::new(&declared, &base, found);
    let settings = Settings::read(&mut reader);

    let Reader { problems, entries, files, .. } = reader;
    match settings {
        Some(settings) if problems.is_empty() => {
            let warnings = warnings(&settings);
            Ok(Loaded { settings, entries, files, warnings })
        }
        Some(_) | None => Err(ConfigError { problems }),
    }
}

/// What is allowed, but opens the daemon wider than most mean to.
fn warnings(settings: &Settings) -> Vec<String> {
    let bind = settings.http.bind;
    let mut warnings = Vec::new();
    if !bind.ip().is_loopback() {
        if settings.auth.trust_user_id {
            warnings.push(format!(
                "auth.trust_user_id is on while http.bind is {bind}: whoever reaches the port may act as any user"
            ));
        }
        if settings.auth.anonymous {
            warnings.push(format!(
                "auth.anonymous is on while http.bind is {bind}: whoever reaches the port may create tasks"
            ));
        }
        if settings.webhooks.allow_private {
            warnings.push(format!(
                "webhooks.allow_private is on while http.bind is {bind}: whoever may create tasks may have the \
                 daemon call into its own network"
            ));
        }
    }
    let backup = &settings.backup;
    if backup.to.folder().is_none()
        && backup.s3_access_key.is_empty()
        && settings.blobs.s3_access_key.is_empty()
    {
        warnings
            .push("backup.to names a bucket, and there is no key to it: set backup.s3_access_key".to_owned());
    }
    warnings
}

/// What the layers hold.
#[derive(Default)]
struct Found {
    /// The files with their text.
    files: Vec<(PathBuf, String)>,
    /// The variables that set declared keys.
    env: BTreeMap<String, String>,
    /// Who gave each key last.
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl Found {
    fn problem(&mut self, key: Option<&str>, origin: Origin, what: String, allowed: Option<String>) {
        self.problems.push(Problem { key: key.map(str::to_owned), origin, what, allowed });
    }

    /// The layers over one another.
    fn layered(&self, declared: &Declared, base: &Base) -> Result<Config, config::ConfigError> {
        let mut builder = Config::builder();
        for key in declared.keys() {
            builder = builder.set_default(&key.path, key.default.literal(base))?;
        }
        for (_, text) in &self.files {
            builder = builder.add_source(File::from_str(text, FileFormat::Toml));
        }
        let env = self.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        builder
            .add_source(
                Environment::with_prefix(ENV_PREFIX.trim_end_matches('_'))
                    .prefix_separator("__")
                    .separator("__")
                    .source(Some(env)),
            )
            .build()
    }
}

/// The keys that exist.
struct Declared {
    sections: Vec<SectionInfo>,
}

impl Declared {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.sections.iter().flat_map(|section| &section.keys)
    }

    fn key(&self, path: &str) -> Option<&Key> {
        self.keys().find(|key| key.path == path)
    }

    /// Whether keys live below this path.
    fn is_section(&self, path: &str) -> bool {
        self.keys().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The keys of the section that `path` lies in; those of the top level and the sections if it lies in
    /// none.
    fn siblings(&self, path: &str) -> Vec<String> {
        let section = path.split('.').next().filter(|name| path.contains('.') && self.is_section(name));
        match section {
            Some(name) => {
                let inside = self.sections.iter().filter(|section| section.name == name);
                inside.flat_map(|section| section.keys.iter().map(|key| key.path.clone())).collect()
            }
            None => {
                let top = self.sections.iter().filter(|section| section.name.is_empty());
                let keys = top.flat_map(|section| section.keys.iter().map(|key| key.path.clone()));
                let sections = self.sections.iter().filter(|section| !section.name.is_empty());
                keys.chain(sections.map(|section| section.name.to_owned())).collect()
            }
        }
    }

    /// The key that was most likely meant.
    fn nearest(&self, path: &str) -> Option<String> {
        let leaf = leaf(path);
        let siblings = self.siblings(path);
        let by_spelling = |candidates: &[String], wanted: &str, least: f64| {
            candidates
                .iter()
                .map(|candidate| (strsim::jaro_winkler(wanted, self::leaf(candidate)), candidate))
                .filter(|(likeness, _)| *likeness >= least)
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, candidate)| candidate.clone())
        };
        by_spelling(&siblings, leaf, 0.85)
            .or_else(|| {
                // Part of a name: `timeout_s` for `request_timeout_s`.
                let whole = |candidate: &&String| {
                    let candidate = self::leaf(candidate);
                    leaf.len() >= 4 && (candidate.contains(leaf) || leaf.contains(candidate))
                };
                siblings.iter().find(whole).cloned()
            })
            .or_else(|| {
                // The right name in the wrong place.
                self.keys().find(|key| self::leaf(&key.path) == leaf).map(|key| key.path.clone())
            })
            .or_else(|| {
                let all: Vec<String> = self.keys().map(|key| key.path.clone()).collect();
                let likeness = |key: &String| strsim::jaro_winkler(path, key);
                let best = all.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
                (likeness(&best) >= 0.92).then_some(best)
            })
    }
}

fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn read_files(options: &LoadOptions, declared: &Declared, found: &mut Found) {
    let files = if options.files.is_empty() {
        match files_in(&options.directory) {
            Ok(files) => files,
            Err(error) => {
                let origin = Origin::File { file: options.directory.clone(), line: None };
                found.problem(None, origin, format!("the folder cannot be read: {error}"), None);
                return;
            }
        }
    } else {
        options.files.clone()
    };

    for file in files {
        let text = match read(&file) {
            Ok(text) => text,
            Err(error) => {
                let origin = Origin::File { file, line: None };
                found.problem(None, origin, format!("the file cannot be read: {error}"), None);
                continue;
            }
        };
        match Document::parse(text.as_str()) {
            Ok(document) => {
                let walk = Walk { file: &file, text: &text, declared };
                walk.table(document.as_table(), "", found);
            }
            Err(error) => {
                // Only the message: the error's own text quotes the line, which may hold a password.
                let line = error.span().map(|span| line_of(&text, span.start));
                let what = format!("is not TOML: {}", error.message().replace('\n', "; "));
                found.problem(None, Origin::File { file, line }, what, None);
                continue;
            }
        }
        found.files.push((file, text));
    }
}

/// The text of a file. A pipe is refused: it gives what is in it once, and a reload would wait for ever for more.
fn read(file: &Path) -> std::io::Result<String> {
    if std::fs::metadata(file)?.file_type().is_fifo() {
        let why = "it is a pipe, and settings are read again at a reload: give a file";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why));
    }
    std::fs::read_to_string(file)
}

/// The settings files of a folder by name; none if there is no such folder.
fn files_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // An editor's hidden copies are nobody's settings.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// The check of one file's keys against the declared ones.
struct Walk<'a> {
    file: &'a Path,
    text: &'a str,
    declared: &'a Declared,
}

impl Walk<'_> {
    fn table(&self, table: &dyn TableLike, prefix: &str, found: &mut Found) {
        for (name, _) in table.iter() {
            let Some((key, item)) = table.get_key_value(name) else { continue };
            let line = key.span().or_else(|| item.span()).map(|span| line_of(self.text, span.start));
            let origin = Origin::File { file: self.file.to_owned(), line };
            // A quoted name with a dot is one name, not a path, and so no declared key.
            let dotted = name.contains('.');
            let shown = if dotted { format!("{name:?}") } else { name.to_owned() };
            let path = super::section::join(prefix, &shown);

            if !dotted && self.declared.key(&path).is_some() {
                found.origins.insert(path, origin);
            } else if !dotted && self.declared.is_section(&path) {
                match as_table(item) {
                    Some(inner) => self.table(inner, &path, found),
                    None => {
                        let what = format!("`{path}` is a section, not a value");
                        let keys = self.declared.siblings(&format!("{path}.")).join(", ");
                        found.problem(Some(&path), origin, what, Some(keys));
                    }
                }
            } else {
                let kind = if as_table(item).is_some() { "section" } else { "key" };
                let mut what = format!("there is no {kind} `{path}`");
                if let Some(meant) = self.declared.nearest(&path) {
                    what.push_str(&format!("; did you mean `{meant}`?"));
                }
                let allowed = self.declared.siblings(&path).join(", ");
                found.problem(Some(&path), origin, what, Some(allowed));
            }
        }
    }
}

fn as_table(item: &Item) -> Option<&dyn TableLike> {
    item.as_table_like()
}

fn read_env(options: &LoadOptions, declared: &Declared, found: &mut Found) {
    for (name, value) in &options.env {
        let Some(name) = name.to_str() else { continue };
        let upper = name.to_uppercase();
        let origin = Origin::Env { name: name.to_owned() };

        let Some(rest) = upper.strip_prefix(ENV_PREFIX) else {
            // One underscore where two belong would otherwise pass in silence.
            let spelt = |name: &str| name.replace("__", "_");
            if let Some(key) = declared.keys().find(|key| spelt(&key.env_name()) == spelt(&upper)) {
                let what = format!("sets nothing; did you mean `{}`?", key.env_name());
                found.problem(Some(&key.path), origin, what, None);
            }
            continue;
        };
        let path = rest.to_lowercase().replace("__", ".");

        if declared.key(&path).is_none() {
            let mut what = if declared.is_section(&path) {
                format!("`{path}` is a section, not a key")
            } else {
                format!("there is no key `{path}`")
            };
            if let Some(meant) = declared.nearest(&path).filter(|meant| declared.key(meant).is_some()) {
                what.push_str(&format!("; did you mean `{}`?", env_name(&meant)));
            }
            let inside = if declared.is_section(&path) { format!("{path}.") } else { path.clone() };
            let siblings = declared.siblings(&inside);
            let names = siblings.iter().map(|sibling| match declared.key(sibling) {
                Some(key) => key.env_name(),
                None => format!("{}__...", env_name(sibling)),
            });
            found.problem(Some(&path), origin, what, Some(names.collect::<Vec<_>>().join(", ")));
        } else if upper != name {
            found.problem(Some(&path), origin, format!("must be written in capitals: `{upper}`"), None);
        } else if let Some(value) = value.to_str() {
            found.env.insert(name.to_owned(), value.to_owned());
            found.origins.insert(path, origin);
        } else {
            found.problem(Some(&path), origin, format!("`{path}` is not text in UTF-8"), None);
        }
    }
}

/// The first folder that systemd made for the service, if any.
fn state_directory(options: &LoadOptions) -> Option<String> {
    let value = options.env.get(&OsString::from(STATE_DIRECTORY))?.to_str()?;
    value.split(':').next().filter(|folder| !folder.is_empty()).map(str::to_owned)
}

/// Reads the keys that other defaults depend on, ahead of the rest. A bad one leaves its default standing
/// here: it is told when its section is read.
fn settle_base(declared: &Declared, found: &Found, state_directory: Option<String>) -> Base {
    let mut base = Base { state_directory, ..Base::default() };
    let Ok(layers) = found.layered(declared, &base) else { return base };
    if let Ok(raw) = layers.get::<Raw>("data_dir")
        && let Ok(folder) = super::rule::folder().parse(&raw)
    {
        base.data_dir = folder;
    }
    if let Ok(raw) = layers.get::<Raw>("http.bind")
        && let Ok(address) = super::rule::address().parse(&raw)
    {
        base.bind = address;
    }
    base
}

/// Reads keys for the sections and gathers what is wrong with them.
pub(super) struct Reader {
    layers: Option<Config>,
    origins: BTreeMap<String, Origin>,
    files: Vec<PathBuf>,
    problems: Vec<Problem>,
    entries: Vec<Entry>,
}

impl Reader {
    fn new(declared: &Declared, base: &Base, mut found: Found) -> Self {
        let layers = match found.layered(declared, base) {
            Ok(layers) => Some(layers),
            Err(error) => {
                // Every file has been parsed by now, so this is a disagreement between two TOML parsers; a
                // file that was refused already explains itself.
                if found.problems.is_empty() {
                    let what = format!("the layers cannot be put together: {error}");
                    found.problem(None, Origin::Default, what, None);
                }
                None
            }
        };
        if base.state_directory.is_some() {
            let origin = Origin::Env { name: STATE_DIRECTORY.to_owned() };
            found.origins.entry("data_dir".to_owned()).or_insert(origin);
        }
        let files = found.files.into_iter().map(|(file, _)| file).collect();
        Self { layers, origins: found.origins, files, problems: found.problems, entries: Vec::new() }
    }

    fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// The value of a key, or `None` once its problem has been noted.
    pub(super) fn read<R: Rule>(&mut self, key: &str, rule: &R) -> Option<R::Out> {
        let origin = self.origin(key);
        let raw = match self.layers.as_ref()?.get::<Raw>(key) {
            Ok(Raw::Text(text)) if matches!(origin, Origin::Env { .. }) => Raw::Loose(text),
            Ok(raw) => raw,
            Err(error) => {
                // A value stands where the section should, which has been told.
                if self.problems.is_empty() {
                    let what = format!("`{key}` cannot be read: {error}");
                    self.problems.push(Problem { key: Some(key.to_owned()), origin, what, allowed: None });
                }
                return None;
            }
        };
        match rule.parse(&raw) {
            Ok(value) => {
                self.entries.push(Entry { key: key.to_owned(), value: rule.show(&value), origin });
                Some(value)
            }
            Err(reason) => {
                let what = if rule.is_secret() {
                    format!("the value of `{key}` {reason}")
                } else {
                    format!("`{key} = {raw}` {reason}")
                };
                let allowed = Some(rule.allowed());
                self.problems.push(Problem { key: Some(key.to_owned()), origin, what, allowed });
                None
            }
        }
    }

    /// Notes that a key, though good by itself, does not fit the others.
    pub(super) fn refuse(&mut self, key: &str, reason: String) {
        let origin = self.origin(key);
        let what = format!("`{key}` {reason}");
        self.problems.push(Problem { key: Some(key.to_owned()), origin, what, allowed: None });
    }
}
