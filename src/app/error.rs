//! Why the daemon did not start.

use std::net::SocketAddr;

use crate::blob::BlobError;
use crate::broker::BrokerFileError;
use crate::imaging::FolderError;
use crate::outbound;
use crate::store::StoreError;
use crate::telemetry::action_log::ActionLogError;

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the data folder.
    #[error("{path} is the data folder of another gristmill process: stop that one, or set `data_dir`")]
    SeatTaken {
        /// Which folder.
        path: String,
    },
    /// A file or folder cannot be made or read.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {bind} (`http.bind`): {source}")]
    Bind {
        /// Which address.
        bind: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The blob store.
    #[error("blob store: {0}")]
    Blobs(#[from] BlobError),
    /// The action log.
    #[error("action log: {0}")]
    ActionLog(#[from] ActionLogError),
    /// The metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The broker's files.
    #[error("broker: {0}")]
    Broker(#[from] BrokerFileError),
    /// The folder of variants of images.
    #[error("images: {0}")]
    Imaging(#[from] FolderError),
    /// The address of the collector of spans.
    #[error("tracing.otlp_url {0}")]
    Collector(outbound::BadTarget),
    /// The secret that callbacks are signed with.
    #[error("webhooks: {0}")]
    Secret(#[from] outbound::webhook::SecretFileError),
    /// The system gives no thread.
    #[error("no thread to be had: {0}")]
    Thread(std::io::Error),
}
