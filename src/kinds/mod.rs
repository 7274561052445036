//! What tasks do: a file a kind, and the registry that knows them all.
//!
//! A new kind is one file here, with its payload type, its name and its `run`, and one line in
//! [`Registry::standard`]. A kind gets bytes and gives bytes: it knows nothing of the database, the broker, HTTP
//! or the actors that run it. What it must do:
//!
//! - look at [`Run::cancel`] often enough to stop within a second (compute), or be ready to be dropped at any
//!   `.await` (asynchronous work);
//! - do its computing in [`Run::compute`], never on the runtime's own threads;
//! - write results as blobs through [`Run::blobs`] and name them in its [`Done`]; what it does not name there is
//!   swept away later;
//! - tell an input that can never succeed ([`RunError::InvalidInput`]) from bad luck ([`RunError::Error`]).

pub mod backup;
pub mod desk;
pub mod image;
pub mod manual;
pub mod noop;
pub mod quiz;
pub mod report;
pub mod transcode;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::watch;

use self::desk::Desk;
use crate::blob::{Blobs, Kept};
use crate::config::{KindSettings, Settings};
use crate::imaging::Imaging;
use crate::media::Cancel;
use crate::media::image::Facts;
use crate::quiz::Quiz;
use crate::task::{Attempt, Json, Kind, Percent, TaskId};

/// One kind of work, as its author writes it.
pub trait Work: Send + Sync + 'static {
    /// The kind's name.
    const NAME: &'static str;
    /// What the kind needs to know. Checked when the task is accepted, and read again when it runs.
    type Payload: DeserializeOwned + Send + 'static;

    /// Where tasks of this kind come from, when not from whoever may create tasks.
    fn other_door(&self) -> Option<&'static str> {
        None
    }

    /// Whether only those who run the daemon may create such tasks.
    fn admins_only(&self) -> bool {
        false
    }

    /// Does it.
    fn run(&self, payload: Self::Payload, run: Run) -> impl Future<Output = Result<Done, RunError>> + Send;
}

/// What a run has at hand.
#[derive(Clone)]
pub struct Run {
    /// Which task; with the attempt, the key under which a kind may ask other systems to act once.
    pub task: TaskId,
    /// Which try.
    pub attempt: Attempt,
    /// Raised when the run should stop.
    pub cancel: Cancel,
    /// The blobs.
    pub blobs: Blobs,
    /// What may be asked of the database.
    pub desk: Arc<dyn Desk>,
    progress: Arc<watch::Sender<Option<Percent>>>,
    /// What must not be given back before the run is over for good, computing threads included.
    _hold: Arc<dyn Any + Send + Sync>,
}

/// What a run made.
#[derive(Debug)]
pub struct Done {
    /// JSON of the kind's own shape.
    pub result: Json,
    /// The blob that holds it, when there is one. Pinned until the outcome is written down.
    pub output: Option<Kept>,
    /// Whether the task's input blob is needed no more.
    pub drop_input: bool,
    /// What it found out about the image that the task is made for.
    pub image: Option<Facts>,
}

/// Why a run did not make it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Another try may go better.
    #[error("{0}")]
    Error(String),
    /// No try ever will.
    #[error("{0}")]
    InvalidInput(String),
    /// Somebody outside, who was asked for help, did not give it; another try may go better.
    #[error("{story}")]
    Upstream {
        /// Whether it was for want of time: no answer came, or not soon enough.
        late: bool,
        /// Who was asked, what came, and what was done all the same.
        story: String,
    },
    /// It stopped because it was asked to.
    #[error("stopped")]
    Cancelled,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("task", &self.task)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl Run {
    /// A run. Its progress goes into `progress`, of which only the newest word counts; `hold` is dropped when
    /// the run is over for good, which may be after it was given up.
    #[must_use]
    pub fn new(
        task: TaskId,
        attempt: Attempt,
        cancel: Cancel,
        blobs: Blobs,
        desk: Arc<dyn Desk>,
        progress: watch::Sender<Option<Percent>>,
        hold: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self { task, attempt, cancel, blobs, desk, progress: Arc::new(progress), _hold: hold }
    }

    /// Tells how far the run is.
    pub fn progress(&self, percent: Percent) {
        self.progress.send_if_modified(|newest| newest.replace(percent) != Some(percent));
    }

    /// Computes on a thread where that hurts nobody; a panic there is passed on to the runner's panic boundary.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let (run, span) = (self.clone(), tracing::Span::current());
        match tokio::task::spawn_blocking(move || span.in_scope(|| work(&run))).await {
            Ok(made) => made,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down and drops this very future too.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// What the engine sees of a kind.
pub trait AnyWork: Send + Sync + 'static {
    /// [`Work::NAME`].
    fn kind(&self) -> Kind;
    /// [`Work::other_door`].
    fn other_door(&self) -> Option<&'static str>;
    /// [`Work::admins_only`].
    fn admins_only(&self) -> bool;
    /// Whether `payload` is one.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    fn check(&self, payload: &Json) -> Result<(), String>;
    /// [`Work::run`].
    fn run(self: Arc<Self>, payload: Json, run: Run) -> Running;
}

/// A run under way.
pub type Running = Pin<Box<dyn Future<Output = Result<Done, RunError>> + Send>>;

impl<W: Work> AnyWork for W {
    fn kind(&self) -> Kind {
        name(W::NAME)
    }

    fn other_door(&self) -> Option<&'static str> {
        Work::other_door(self)
    }

    fn admins_only(&self) -> bool {
        Work::admins_only(self)
    }

    fn check(&self, payload: &Json) -> Result<(), String> {
        serde_json::from_str::<W::Payload>(payload.as_str()).map(drop).map_err(|error| error.to_string())
    }

    fn run(self: Arc<Self>, payload: Json, run: Run) -> Running {
        Box::pin(async move {
            let payload = serde_json::from_str::<W::Payload>(payload.as_str())
                .map_err(|error| RunError::InvalidInput(format!("the payload does not fit: {error}")))?;
            Work::run(&*self, payload, run).await
        })
    }
}

/// The kinds that this daemon has, each with how many of it may run at once on this node.
pub struct Registry {
    kinds: BTreeMap<Kind, Registered>,
    /// The kinds that workers outside do.
    outside: BTreeSet<Kind>,
    settings: KindSettings,
}

struct Registered {
    work: Arc<dyn AnyWork>,
    concurrency: u32,
}

impl Registry {
    /// The kinds that come with Gristmill: a line each.
    #[must_use]
    pub fn standard(settings: &KindSettings, imaging: &Imaging, sources: &Quiz) -> Self {
        Self::empty(settings)
            .with(noop::Noop)
            .with(transcode::Transcode)
            .with(image::Image::new(imaging.clone()))
            .with(quiz::Quiz::new(sources.clone()))
            .with(report::Report)
            .with(backup::Backup)
            .with_outside(outside(settings))
    }

    /// The same, of a whole configuration.
    #[must_use]
    pub fn configured(settings: &Settings, imaging: &Imaging) -> Self {
        Self::standard(&settings.kinds, imaging, &Quiz::new(&settings.quiz))
    }

    /// A registry without kinds.
    #[must_use]
    pub fn empty(settings: &KindSettings) -> Self {
        Self { kinds: BTreeMap::new(), outside: BTreeSet::new(), settings: settings.clone() }
    }

    /// This registry and one kind more. As many of it run at once as the settings say, else as there are cores.
    #[must_use]
    pub fn with<W: Work>(mut self, work: W) -> Self {
        let limit = self.settings.concurrency(W::NAME).or_else(|| std::thread::available_parallelism().ok());
        let concurrency = limit.map_or(1, |limit| u32::try_from(limit.get()).unwrap_or(u32::MAX));
        self.kinds.insert(name(W::NAME), Registered { work: Arc::new(work), concurrency });
        self
    }

    /// This registry, with more kinds that workers outside do. One that the daemon does itself stays the daemon's.
    #[must_use]
    pub fn with_outside(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.outside.extend(kinds);
        self.outside.retain(|kind| !self.kinds.contains_key(kind));
        self
    }

    /// This registry as a node has it that runs nothing: it knows the kinds, and has no permit for any.
    #[must_use]
    pub fn without_permits(mut self) -> Self {
        self.kinds.values_mut().for_each(|registered| registered.concurrency = 0);
        self
    }

    /// The kinds that workers outside do.
    #[must_use]
    pub fn outside(&self) -> &BTreeSet<Kind> {
        &self.outside
    }

    /// The kind of that name, where the daemon does it itself.
    #[must_use]
    pub fn get(&self, kind: &Kind) -> Option<&Arc<dyn AnyWork>> {
        self.kinds.get(kind).map(|registered| &registered.work)
    }

    /// The names of all kinds, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let names: BTreeSet<&Kind> = self.kinds.keys().chain(&self.outside).collect();
        names.into_iter().map(Kind::as_str).collect()
    }

    /// Each kind that the daemon does itself, with how many of it may run at once.
    pub fn iter(&self) -> impl Iterator<Item = (&Kind, u32)> {
        self.kinds.iter().map(|(kind, registered)| (kind, registered.concurrency))
    }
}

/// The kinds that workers outside do: `manual`, and those of the settings.
#[must_use]
pub fn outside(settings: &KindSettings) -> BTreeSet<Kind> {
    settings.outside.iter().cloned().chain([manual::kind()]).collect()
}

/// All kinds that there are by these settings, without what does them.
#[must_use]
pub fn all(settings: &KindSettings) -> BTreeSet<Kind> {
    KindSettings::own().map(name).chain(outside(settings)).collect()
}

fn name(name: &'static str) -> Kind {
    match name.parse() {
        Ok(kind) => kind,
        Err(error) => unreachable!("a kind's author chose a name that is none: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LoadOptions;

    #[test]
    fn the_standard_registry_has_its_kinds_with_well_formed_names() {
        let nowhere =
            LoadOptions { files: Vec::new(), directory: "/nonexistent".into(), env: BTreeMap::new() };
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::load(nowhere).unwrap().settings;
        settings.images.cache_dir = folder.path().to_owned();
        let imaging = Imaging::new(&settings.images).unwrap();
        let registry = Registry::configured(&settings, &imaging);
        assert_eq!(registry.names(), ["backup", "image", "manual", "noop", "quiz", "report", "transcode"]);
        assert_eq!(registry.outside().iter().map(Kind::as_str).collect::<Vec<_>>(), ["manual"]);
        for (kind, concurrency) in registry.iter() {
            assert!(concurrency > 0, "{kind} would hold its tasks for ever");
        }
    }
}
