//! A store that speaks S3 and checks signatures, on a port of its own, with a folder behind it; and all that can be
//! wrong with such a store.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses a part of this"
)]

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

pub const BUCKET: &str = "mill";
pub const ACCESS_KEY: &str = "miller";
pub const SECRET_KEY: &str = "hunter2/hunter2";

/// What is wrong with the store.
#[derive(Clone, Default)]
pub enum Fault {
    #[default]
    None,
    /// It takes requests and says nothing.
    Silent,
    /// It refuses so many requests, with a status and a code; `u32::MAX` is for ever.
    Refusing { left: u32, status: u16, code: &'static str },
    /// So many answers to GET end in their middle.
    Cutting { left: u32 },
    /// A byte of what is uploaded is another when it arrives.
    Damaging,
    /// It refuses every part of an upload but the first.
    PartsRefused,
    /// It puts the parts of an upload together, and says that it failed.
    CompletionLost,
    /// Removals wait for a permit.
    Holding(Arc<Semaphore>),
}

type Error = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, Error>>;

#[derive(Default)]
struct State {
    fault: Fault,
    /// Method and path of each request, as they came.
    asked: Vec<String>,
}

/// The store. Ends when dropped.
pub struct Store {
    pub address: SocketAddr,
    folder: TempDir,
    service: S3Service,
    state: Arc<Mutex<State>>,
    runtime: Option<Runtime>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let store = Self {
            // A port of the system's choice, kept over deaths.
            address: std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
            folder,
            service: builder.build(),
            state: Arc::default(),
            runtime: Some(runtime),
            accepting: Mutex::default(),
        };
        store.revive();
        store
    }

    /// Takes no connection any more, and drops those that are open.
    pub fn die(&self) {
        if let Some(accepting) = self.accepting.lock().unwrap().take() {
            accepting.abort();
            while !accepting.is_finished() {
                std::thread::yield_now();
            }
        }
    }

    /// Listens again, on the same port.
    pub fn revive(&self) {
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (service, state) = (self.service.clone(), self.state.clone());
        let accepting = self.runtime.as_ref().unwrap().spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (service, state) = (service.clone(), state.clone());
                let answer = service_fn(move |request| answer(service.clone(), state.clone(), request));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
                while connections.try_join_next().is_some() {}
            }
        });
        *self.accepting.lock().unwrap() = Some(accepting);
    }

    pub fn set(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    /// What was asked since the last time, as `GET /mill/…`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// What was asked so far and not taken.
    pub fn has_been_asked(&self, beginning: &str) -> bool {
        self.state.lock().unwrap().asked.iter().any(|asked| asked.starts_with(beginning))
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The settings of somebody who may use it, as in the environment.
    pub fn settings(&self, timeout_s: f64) -> Vec<(&'static str, String)> {
        vec![
            ("BLOBS__URL", format!("s3://{BUCKET}/some/where")),
            ("BLOBS__S3_ENDPOINT", self.endpoint()),
            ("BLOBS__S3_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("BLOBS__S3_SECRET_KEY", SECRET_KEY.to_owned()),
            ("BLOBS__S3_TIMEOUT_S", timeout_s.to_string()),
        ]
    }

    /// The files of the objects below the prefix of [`Self::settings`].
    pub fn objects(&self) -> Vec<PathBuf> {
        let (mut open, mut found) = (vec![self.place("")], Vec::new());
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.exists() {
                found.push(path);
            }
        }
        found.sort();
        found
    }

    /// The file of an object, by its key without the prefix.
    pub fn place(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join("some/where").join(key)
    }

    /// Makes all objects as old as they would be after two days, and of a window that is long over. One that a sweep
    /// takes meanwhile is let go.
    pub fn age(&self) {
        for (number, path) in self.objects().iter().enumerate() {
            let older = path.with_file_name(format!("{number:012}"));
            match fs::rename(path, &older) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                renamed => {
                    renamed.unwrap();
                    make_old(&older);
                }
            }
        }
    }
}

/// Dates a file two days back, unless it is gone.
pub fn make_old(path: &Path) {
    let old = SystemTime::now() - Duration::from_secs(48 * 3600);
    match File::options().write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        file => file.unwrap().set_modified(old).unwrap(),
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(
    service: S3Service,
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let fault = {
        let mut state = state.lock().unwrap();
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        state.asked.push(format!("{} {path}", request.method()));
        let fault = state.fault.clone();
        if let Fault::Refusing { left, .. } | Fault::Cutting { left } = &mut state.fault {
            *left = left.saturating_sub(1);
        }
        fault
    };
    let (method, query) = (request.method().clone(), request.uri().query().unwrap_or_default().to_owned());
    match fault {
        Fault::Silent => std::future::pending().await,
        Fault::Refusing { left, status, code } if left > 0 => return Ok(refusal(status, code)),
        Fault::PartsRefused if query.contains("partNumber=") && !query.contains("partNumber=1&") => {
            return Ok(refusal(500, "InternalError"));
        }
        Fault::Holding(permits) if method == Method::DELETE => permits.acquire().await.unwrap().forget(),
        Fault::CompletionLost if method == Method::POST && query.contains("uploadId=") => {
            let _ = pass(&service, request).await.into_body().collect().await;
            return Ok(refusal(500, "InternalError"));
        }
        Fault::Damaging if method == Method::PUT => {
            let (head, body) = request.into_parts();
            let mut bytes = body.collect().await.unwrap().to_bytes().to_vec();
            if let Some(byte) = bytes.last_mut() {
                *byte ^= 1;
            }
            return Ok(pass(&service, Request::from_parts(head, Full::new(Bytes::from(bytes)))).await);
        }
        Fault::Cutting { left } if left > 0 && method == Method::GET => {
            let (head, body) = pass(&service, request).await.into_parts();
            let mut bytes = body.collect().await.unwrap().to_bytes();
            bytes.truncate(bytes.len() / 2);
            let pieces = [Ok(Frame::data(bytes)), Err(Error::from("cut"))];
            let body = StreamBody::new(futures_util::stream::iter(pieces));
            return Ok(Response::from_parts(head, body.boxed_unsync()));
        }
        Fault::None
        | Fault::Refusing { .. }
        | Fault::Cutting { .. }
        | Fault::Damaging
        | Fault::PartsRefused
        | Fault::CompletionLost
        | Fault::Holding(_) => {}
    }
    Ok(pass(&service, request).await)
}

async fn pass<B>(service: &S3Service, request: Request<B>) -> Answer
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Error>,
{
    let request = request.map(|body| s3s::Body::http_body_unsync(body.map_err(Into::into)));
    let answer = service.call(request).await.unwrap();
    answer.map(|body| body.map_err(Into::into).boxed_unsync())
}

fn refusal(status: u16, code: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>Not now</Message></Error>"
    );
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}
