//! The way to a bucket: HTTP/1.1 over connections that are used again, TLS by rustls with ring.
//!
//! Handed by `bucket.rs` to the library that speaks S3, which signs, and tries again what may be tried again. True
//! here: every exchange ends within its time limit, body included; an answer in hand is whole, so what breaks off is
//! tried again like what never came; nothing is taken from the environment, no proxy either.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Limited};
use hyper::Method;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpService,
};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::BlobError;

/// How long to wait for a connection before TLS.
const CONNECT: Duration = Duration::from_secs(5);
/// Connections that nobody uses are closed after this: before most servers and balancers would.
const IDLE: Duration = Duration::from_secs(20);
/// So many of them are kept.
const IDLE_MOST: usize = 16;
/// The largest answer, in bytes: a page of a list takes less than one MiB, and we ask for no larger piece of a blob.
const ANSWER: usize = 16 << 20;
/// Putting parts together takes a store longer than anything else: by this much. S3 says "several minutes".
const TOGETHER: u32 = 8;
/// A body may take longer than the limit: by a second for so many bytes.
const PACE: usize = 256 << 10;

/// Makes exchanges. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, HttpRequestBody>,
    /// For an exchange without a body.
    limit: Duration,
}

impl Transport {
    /// One that trusts the machine's certificates and those of `ca_file`, or speaks without TLS where `tls` is not
    /// set.
    pub(super) fn new(limit: Duration, tls: bool, ca_file: Option<&Path>) -> Result<Self, BlobError> {
        let roots = if tls { roots(ca_file)? } else { RootCertStore::empty() };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = builder
            .with_safe_default_protocol_versions()
            .unwrap_or_else(|error| unreachable!("ring speaks the usual versions: {error}"))
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT.min(limit)));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MOST)
            .build(https);
        Ok(Self { client, limit })
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.client.request(request).await.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
            HttpError::new(kind, error)
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER).collect().await;
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, BrokenBody(error)))?;
        Ok(HttpResponse::from_parts(head, body.to_bytes().into()))
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let extra = Duration::from_secs((request.body().content_length() / PACE) as u64);
        let together = request.method() == Method::POST
            && request.uri().query().is_some_and(|query| query.contains("uploadId="));
        let limit = if together { self.limit * TOGETHER } else { self.limit + extra };
        match tokio::time::timeout(limit, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, format!("no whole answer in {limit:?}"));
                Err(HttpError::new(HttpErrorKind::Timeout, late))
            }
        }
    }
}

impl object_store::client::HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// An answer that broke off, or is larger than any we ask for.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot be read to its end: {0}")]
struct BrokenBody(Box<dyn std::error::Error + Send + Sync>);

/// The machine's root certificates and those of the file.
fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, BlobError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if let Some(path) = ca_file {
        let unusable = |reason: String| BlobError::Settings {
            key: "blobs.s3_ca_file",
            reason: format!("{}: {reason}: give a file of PEM certificates", path.display()),
        };
        let text = fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let certificates = certificates.map_err(|error| unusable(format!("{error:?}")))?;
        if certificates.is_empty() {
            return Err(unusable("it holds none".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
    }
    if roots.is_empty() {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let why = if errors.is_empty() { String::new() } else { format!(" ({})", errors.join("; ")) };
        return Err(BlobError::Settings {
            key: "blobs.s3_ca_file",
            reason: format!(
                "this machine has no root certificates{why}: install its package ca-certificates, or name a file of \
                 them here"
            ),
        });
    }
    Ok(roots)
}
