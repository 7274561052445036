//! Settings: every key of the daemon, where its value comes from, and what it may be.
//!
//! Called once at start by the composition root, and by `gristmill config print` and `config check`. Nothing
//! here touches the database, the network or a clock.
//!
//! What is true:
//! - A value comes from the highest layer that gives it: `GRISTMILL__SECTION__KEY` in the environment, else
//!   the last file that names it, else the built-in default.
//! - A [`Settings`] in hand is valid: values are parsed into domain types and checked against their bounds
//!   and against each other at load. A key that nobody declared, or a value that is not allowed, stops the
//!   start; all such problems are told at once, each with the file and line (or the variable) and what is
//!   allowed.
//! - A key is declared once, in the file of its section: type, default, bounds and documentation. The struct,
//!   the checks, `config/gristmill.toml` and `docs/configuration.md` all come from that declaration.
//!
//! To add a section: write `src/config/<section>.rs` after the model of `shutdown.rs`, name it in the list of
//! modules and in `settings!` below, and run the tests with `UPDATE=1` to regenerate the two documents.

// The machinery.
mod by_kind;
mod error;
mod host_names;
mod keep;
mod load;
mod network;
mod print;
mod reference;
mod roles;
mod rule;
mod secret;
mod section;
mod value;

// The sections, in the order in which the documents show them.
mod auth;
mod backup;
mod blobs;
mod broker;
mod database;
mod general;
mod http;
mod images;
mod kinds;
mod log;
mod quiz;
mod records;
mod reports;
mod shutdown;
mod storage;
mod supervisor;
mod tasks;
mod tracing;
mod webhooks;

#[cfg(test)]
mod tests;

pub use self::auth::AuthSettings;
pub use self::backup::{BackupSettings, BlobCare};
pub use self::blobs::BlobSettings;
pub use self::broker::{BrokerSettings, QueueForm};
pub use self::database::DatabaseSettings;
pub use self::error::{ConfigError, Origin, Problem};
pub use self::general::GeneralSettings;
pub use self::host_names::HostName;
pub use self::http::HttpSettings;
pub use self::images::ImageSettings;
pub use self::keep::Keep;
pub use self::kinds::KindSettings;
pub use self::load::{LoadOptions, Loaded};
pub use self::log::{Language, LogFormat, LogSettings};
pub use self::network::Network;
pub use self::print::Entry;
pub use self::quiz::QuizSettings;
pub use self::records::RecordSettings;
pub use self::reference::{reference_markdown, reference_toml};
pub use self::reports::ReportSettings;
pub use self::roles::{Role, Roles};
pub use self::secret::{BadSecret, SecretText, WebhookSecret};
pub use self::section::Literal;
pub use self::shutdown::ShutdownSettings;
pub use self::storage::StorageSettings;
pub use self::supervisor::SupervisorSettings;
pub use self::tasks::TaskSettings;
pub use self::tracing::{OtlpHeaders, TracingSettings};
pub use self::value::{BlobUrl, BrokerUrl, ByteSize, DatabaseUrl, LogFilter, SecretUrl};
pub use self::webhooks::WebhookSettings;

section::settings! {
    general: GeneralSettings,
    http: HttpSettings,
    database: DatabaseSettings,
    blobs: BlobSettings,
    broker: BrokerSettings,
    tasks: TaskSettings,
    kinds: KindSettings,
    records: RecordSettings,
    images: ImageSettings,
    quiz: QuizSettings,
    reports: ReportSettings,
    webhooks: WebhookSettings,
    auth: AuthSettings,
    backup: BackupSettings,
    log: LogSettings,
    tracing: TracingSettings,
    storage: StorageSettings,
    shutdown: ShutdownSettings,
    supervisor: SupervisorSettings,
}

impl Settings {
    /// The folder that holds everything the daemon keeps on this machine.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.general.data_dir
    }

    /// Reads all layers and gives the settings with the origin of each, or every problem found.
    pub fn load(options: LoadOptions) -> Result<Loaded, ConfigError> {
        load::load(&options)
    }
}
