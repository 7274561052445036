//! Shipping to collectors that behave, and to some that do not.

use std::io::Write;
use std::sync::Mutex as StdMutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::config::{LoadOptions, Settings};
use crate::telemetry::traces::{Part, Traces};

/// What a collector does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Take,
    Say(u16),
    Close,
    Hang,
}

/// A collector that does one thing after the other, and from then on takes; gives the heads of what came.
async fn collector(does: Vec<Does>) -> (String, mpsc::UnboundedReceiver<(Does, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (came_in, came) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut hanging = Vec::new();
        for does in does.into_iter().chain(std::iter::repeat(Does::Take)) {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read(&mut stream).await;
            let _ = came_in.send((does, head));
            let answer = |status: u16, more: &str| {
                format!("HTTP/1.1 {status} x\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n")
            };
            match does {
                Does::Take => stream.write_all(answer(200, "").as_bytes()).await.unwrap(),
                Does::Say(status) => {
                    stream.write_all(answer(status, "retry-after: 0\r\n").as_bytes()).await.unwrap();
                }
                Does::Close => drop(stream),
                Does::Hang => hanging.push(stream),
            }
        }
    });
    (url, came)
}

/// Reads a request to its end; its head.
async fn read(stream: &mut TcpStream) -> String {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "a request broke off");
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if bytes.len() >= head.len() + 4 + length.unwrap().parse::<usize>().unwrap() {
            return head.to_owned();
        }
    }
}

fn exporter(url: &str, more: &str) -> (Traces, Exporter) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    let timeout = if more.contains("timeout_s") { "" } else { "timeout_s = 0.3\n" };
    std::fs::write(&file, format!("[tracing]\notlp_url = \"{url}\"\n{timeout}{more}")).unwrap();
    let options = LoadOptions { files: vec![file], ..LoadOptions::default() };
    let settings = Settings::load(options).unwrap().settings.tracing;
    let (traces, ended) = Traces::new(&settings, "node");
    let exporter = Exporter::new(&settings, ended.unwrap()).unwrap().unwrap();
    (traces, Exporter { pause: Duration::from_millis(5), ..exporter })
}

fn record(traces: &Traces, spans: usize) {
    (0..spans).for_each(|_| drop(traces.open(Part::Inside, None, || "x".into())));
}

/// What was said in the log meanwhile.
#[derive(Clone, Default)]
struct Sheet(Arc<StdMutex<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sheet {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let pen = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || pen.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Ships one batch as the actor does.
async fn ship(exporter: &Exporter) {
    let mut state = exporter.state.lock().await;
    state.held = state.ended.left();
    assert!(state.held.is_some(), "there is something to ship");
    exporter.ship(&mut state, Exporter::TRIES).await;
}

#[tokio::test]
async fn a_batch_is_tried_again_until_it_is_taken_and_trouble_is_told_once() {
    let sheet = Sheet::default();
    let _guard = sheet.listen();
    let trouble = [Does::Close, Does::Say(503), Does::Hang, Does::Say(429)];
    let (url, mut came) = collector(trouble.to_vec()).await;
    let (traces, exporter) = exporter(&url, "otlp_headers = \"x-key=a%20b\"");
    record(&traces, 3);
    ship(&exporter).await;
    for expected in trouble.into_iter().chain([Does::Take]) {
        let (does, head) = came.recv().await.unwrap();
        assert_eq!(does, expected);
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(
            head.contains("content-type: application/x-protobuf") && head.contains("x-key: a b"),
            "{head}"
        );
    }
    let told = sheet.text();
    assert_eq!(told.matches("spans cannot be shipped").count(), 1, "{told}");
    assert!(told.contains("spans are shipped again") && told.contains("lost=0"), "{told}");
    assert!(exporter.state.lock().await.held.is_none());
}

#[tokio::test]
async fn what_is_refused_or_never_taken_is_thrown_away_and_the_next_batch_goes() {
    let sheet = Sheet::default();
    let _guard = sheet.listen();
    let never = std::iter::repeat_n(Does::Say(503), Exporter::TRIES as usize);
    let (url, mut came) = collector([Does::Say(400)].into_iter().chain(never).collect()).await;
    let (traces, exporter) = exporter(&format!("{url}/otlp/v1/traces"), "");
    for spans in [2, 5, 1] {
        record(&traces, spans);
        ship(&exporter).await;
    }
    let mut tries = Vec::new();
    while let Ok((does, head)) = came.try_recv() {
        assert!(head.starts_with("post /otlp/v1/traces "), "{head}");
        tries.push(does);
    }
    assert_eq!(tries.len(), 1 + Exporter::TRIES as usize + 1, "a refusal is final, a busy collector is not");
    let told = sheet.text();
    assert_eq!(told.matches("spans cannot be shipped").count(), 1, "{told}");
    assert!(told.contains("lost=7"), "{told}");
}

#[tokio::test]
async fn the_end_ships_what_is_left_and_waits_for_nobody() {
    let (url, mut came) = collector(Vec::new()).await;
    let (traces, well) = exporter(&url, "");
    record(&traces, 600);
    well.flush(Duration::from_secs(20)).await;
    assert!(came.recv().await.is_some() && came.recv().await.is_some(), "600 spans are two batches");
    assert!(well.state.lock().await.ended.left().is_none());

    let (url, _came) = collector(vec![Does::Hang]).await;
    let (traces, hung) = exporter(&url, "timeout_s = 60\n");
    record(&traces, 1);
    let within = timeout(Duration::from_secs(20), hung.flush(Duration::from_millis(50))).await;
    assert!(within.is_ok(), "it waits for a collector that hangs");
}

#[tokio::test]
async fn without_an_address_there_is_nothing_to_ship_to_and_one_that_is_none_is_told() {
    let settings = Settings::load(LoadOptions { directory: "none".into(), ..LoadOptions::default() });
    assert!(Traces::new(&settings.unwrap().settings.tracing, "node").1.is_none());
}
