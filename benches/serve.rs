//! Images by their links beside nginx with the same file, and uploads from end to end.
//!
//! Both are loaded by `wrk` over loopback, with as many connections, in turns; what counts is the median of the rounds.
//! nginx is started for this alone, on a free port and from a folder that goes away, as people set it up for static
//! files: a worker a core, sendfile, a cache of open files, no access log. The ETag is its own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{Client, with_body};
use crate::daemon::{Daemon, Setup};
use crate::load::quantiles;
use crate::report::{Report, median};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;

/// `GET` of one image of 50 kB, whole and not modified, of ours and nginx's; then of many different ones.
pub async fn compare(report: &mut Report, span: Duration) {
    for program in ["nginx", "wrk"] {
        if !is_there(program) {
            return report.missing(
                "images beside nginx",
                "install nginx and wrk (Debian: apt install nginx-light wrk)",
            );
        }
    }
    let picture = jpeg(50_000, 0);
    let daemon = Daemon::start(&unlimited()).await;
    let ours = format!("http://{}{}", daemon.address, upload(&daemon, &picture).await);
    let nginx = Nginx::start(&picture);
    let theirs = format!("http://{}/images/picture.jpg", nginx.address);
    let (our_tag, their_tag) = (etag_of(&ours).await, etag_of(&theirs).await);
    for (what, our_header, their_header) in [("50 kB", None, None), ("304", Some(our_tag), Some(their_tag))] {
        let (mut our, mut their) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            our.push(wrk(&ours, our_header.as_deref(), span));
            their.push(wrk(&theirs, their_header.as_deref(), span));
        }
        let (our, their) = (median(our), median(their));
        let row = |who: &str| format!("images: GET, {what}, {CONNECTIONS} connections: {who}");
        report.row(row("gristmill"), our, "/s");
        report.row(row("nginx"), their, "/s");
        report.row(row("ratio"), our / their, "");
    }
    many(report, &daemon).await;
    daemon.stop().await;
}

/// Ten thousand different images, more than the memory for them holds, each fetched once.
async fn many(report: &mut Report, daemon: &Daemon) {
    const IMAGES: usize = 10_000;
    let before = daemon.rss_mb();
    let mut client = Client::connect(daemon.address).await.unwrap();
    let mut most = before;
    for number in 0..IMAGES {
        let path = upload(daemon, &jpeg(5_000, number as u64 + 1)).await;
        let (status, body) = client.send(&with_body("GET", &path, "", &[])).await.unwrap();
        assert!(status == 200 && !body.is_empty());
        if number % 100 == 0 {
            most = most.max(daemon.rss_mb());
        }
    }
    report.row("images: memory before 10,000 different ones came and were fetched (RSS)", before, "MB");
    report.row("images: memory at the most meanwhile", most.max(daemon.rss_mb()), "MB");
}

/// Uploads of 200 kB: each is decoded, stored and synced, has its thumbnail, and is committed before its answer.
pub async fn uploads(report: &mut Report, span: Duration) {
    const PICTURES: u64 = 256;
    let daemon = Daemon::start(&unlimited()).await;
    let requests: Vec<Vec<u8>> = (0..PICTURES).map(|seed| posted(&jpeg(200_000, seed))).collect();
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let mut client = Client::connect(daemon.address).await.unwrap();
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        clients.spawn(async move {
            let mut all = Vec::new();
            while begun.elapsed() < span {
                let sent = Instant::now();
                let request = &requests[next.fetch_add(1, Ordering::Relaxed) % requests.len()];
                let (status, body) = client.send(request).await.unwrap();
                assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
                all.push(sent.elapsed());
            }
            all
        });
    }
    let all: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
    let rate = all.len() as f64 / begun.elapsed().as_secs_f64();
    let latency = quantiles(all);
    report.row("images: uploads of 200 kB, 8 connections", rate, "/s");
    report.row("images: uploads of 200 kB, p50", latency.p50.as_secs_f64() * 1e3, "ms");
    report.row("images: uploads of 200 kB, p99", latency.p99.as_secs_f64() * 1e3, "ms");
    daemon.stop().await;
}

fn unlimited() -> Setup {
    Setup::default().with("IMAGES__UPLOADS_PER_MINUTE", "0")
}

fn posted(picture: &[u8]) -> Vec<u8> {
    with_body("POST", "/upload", "content-type: image/jpeg\r\nprefer: wait=30\r\n", picture)
}

/// The path of the image.
async fn upload(daemon: &Daemon, picture: &[u8]) -> String {
    let mut client = Client::connect(daemon.address).await.unwrap();
    let (status, body) = client.send(&posted(picture)).await.unwrap();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    let image: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let url = image["url"].as_str().unwrap();
    url[url.find("/images/").unwrap()..].to_owned()
}

/// A picture whose file has about that many bytes, another for each seed.
fn jpeg(bytes: usize, seed: u64) -> Vec<u8> {
    // Noise takes much the same for each pixel, whatever the size.
    let side = ((bytes as f64) / 0.9).sqrt() as u16;
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let pixels: Vec<u8> = (0..usize::from(side).pow(2)).map(|_| noise()).collect();
    let mut file = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.encode(&pixels, side, side, jpeg_encoder::ColorType::Luma).unwrap();
    file
}

async fn etag_of(url: &str) -> String {
    let answer = reqwest::get(url).await.unwrap().error_for_status().unwrap();
    answer.headers()["etag"].to_str().unwrap().to_owned()
}

/// Requests a second.
fn wrk(url: &str, etag: Option<&str>, span: Duration) -> f64 {
    let mut command = Command::new("wrk");
    command.args(["-t2", &format!("-c{CONNECTIONS}"), &format!("-d{}s", span.as_secs().max(1)), url]);
    if let Some(etag) = etag {
        command.args(["-H", &format!("If-None-Match: {etag}")]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.unwrap_or_else(|| panic!("{text}")).trim().parse().unwrap()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// An nginx with one file; gone when dropped.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn start(picture: &[u8]) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::create_dir_all(folder.path().join("images")).unwrap();
        std::fs::write(folder.path().join("images/picture.jpg"), picture).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let conf = folder.path().join("nginx.conf");
        std::fs::write(&conf, configuration(folder.path(), address)).unwrap();
        let child = Command::new("nginx").arg("-p").arg(folder.path()).arg("-c").arg(&conf).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen on {address}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, address, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master takes its workers along.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn configuration(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    let user = if is_root() { "user root;" } else { "" };
    format!(
        "daemon off; {user} worker_processes auto; pid {folder}/pid; error_log stderr error;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
         access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; etag on;\n\
         keepalive_timeout 75s; keepalive_requests 100000000;\n\
         open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s; open_file_cache_errors on;\n\
         client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;\n\
         uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n\
         types {{ image/jpeg jpg; }}\n\
         server {{ listen {address} backlog=1024; root {folder};\n\
         location /images/ {{\n\
         add_header Cache-Control \"public, max-age=31536000, immutable\"; add_header X-Content-Type-Options nosniff;\n\
         add_header Content-Security-Policy \"default-src 'none'; sandbox\"; }} }}\n\
         }}\n"
    )
}

/// Whether this runs as root, whose folders nginx's usual user may not enter.
fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}
