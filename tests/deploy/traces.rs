//! One id from the request to the callback, over two nodes: in their logs, in the task, in the call to the receiver, and
//! in the spans, as a decoder that is not ours reads them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::common::{eventually, fresh_postgres_database};
use crate::stand::{Node, project};

/// `collector.py`, and the spans that it got.
struct Collector {
    child: Child,
    url: String,
    spans: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    fn start() -> Self {
        let folder = std::env::var("GRISTMILL_TEST_TOOLS").unwrap_or_else(|_| {
            panic!("no tools: run `./test --test deploy`, or set GRISTMILL_TEST_TOOLS (scripts/with-tools)")
        });
        let mut command = Command::new(format!("{folder}/python/bin/python"));
        command.arg(project("tests/deploy/collector.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = format!("http://127.0.0.1:{}", lines.next().unwrap());
        let spans = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&spans);
        std::thread::spawn(move || {
            lines.for_each(|line| kept.lock().unwrap().push(serde_json::from_str(&line).unwrap()));
        });
        Self { child, url, spans }
    }

    /// The span of that name in that trace, once it has come.
    async fn span(&self, trace: &str, name: &str) -> Value {
        eventually(&format!("the span `{name}`"), || async {
            let spans = self.spans.lock().unwrap();
            spans.iter().find(|span| span["trace"] == trace && span["name"] == name).cloned()
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A receiver of callbacks; the heads of those that came.
async fn receiver() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/told", listener.local_addr().unwrap());
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
            while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
                let read = stream.read(&mut piece).await.unwrap();
                bytes.extend_from_slice(&piece[..read]);
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            kept.lock().unwrap().push(text.split("\r\n\r\n").next().unwrap().to_lowercase());
            // The rest of the body may still be on its way; the answer is what counts.
            let _ = stream.write_all(b"HTTP/1.1 204 x\r\nconnection: close\r\n\r\n").await;
            let _ = stream.read(&mut piece).await;
        }
    });
    (url, heads)
}

/// The lines of a node's log that belong to that trace.
fn lines_of(node: &Node, trace: &str) -> Vec<Value> {
    let log = node.log();
    let lines = log.lines().map(|line| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    lines.filter(|line| line["trace_id"] == trace).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_goes_from_the_request_to_the_run_on_another_node_and_to_the_callback() {
    let place = tempfile::tempdir().unwrap();
    let (collector, (told_at, heads)) = (Collector::start(), receiver().await);
    let database = fresh_postgres_database().await;
    let blobs = format!("file:{}", place.path().join("blobs").display());
    let settings = |roles: &str, otlp: &str| {
        let pairs = [
            ("ROLES", roles),
            ("DATABASE__URL", &database),
            ("BLOBS__URL", &blobs),
            ("LOG__LEVEL", "info,gristmill=debug"),
            ("TRACING__OTLP_URL", otlp),
            ("TRACING__OTLP_HEADERS", "x-key=open%20sesame"),
            ("WEBHOOKS__ALLOW_PRIVATE", "true"),
        ];
        pairs.map(|(key, value)| (key, value.to_owned()))
    };
    let door = Node::start(place.path(), "door", &settings("http", &collector.url)).await;
    let worker = Node::start(place.path(), "worker", &settings("worker,janitor", &collector.url)).await;

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let response = reqwest::Client::new()
        .post(door.url("/tasks"))
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .header("x-request-id", "r-17")
        .header("prefer", "wait=30")
        .json(&json!({"callback_url": told_at}))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
    let place_in_trace = response.headers()["traceresponse"].to_str().unwrap().to_owned();
    let task: Value = response.json().await.unwrap();
    assert_eq!(task["traceparent"], place_in_trace);

    let request = collector.span(trace, "POST /tasks").await;
    assert_eq!((&request["parent"], &request["kind"]), (&json!("00f067aa0ba902b7"), &json!(2)));
    assert_eq!(place_in_trace, format!("00-{trace}-{}-01", request["span"].as_str().unwrap()));
    assert_eq!(
        request["attributes"],
        json!({"http.request.method": "POST", "http.route": "/tasks", "http.response.status_code": 201,
            "gristmill.request.id": "r-17"})
    );
    assert_eq!(
        (&request["resource"]["service.name"], &request["key"]),
        (&json!("gristmill"), &json!("open sesame"))
    );
    let commit = collector.span(trace, "commit").await;
    assert_eq!((&commit["parent"], &commit["kind"]), (&request["span"], &json!(1)));
    let run = collector.span(trace, "run noop").await;
    assert_eq!((&run["parent"], &run["kind"], &run["status"]), (&request["span"], &json!(5), &json!(0)));
    assert_eq!(
        run["attributes"],
        json!({"gristmill.task.id": task["id"], "gristmill.task.kind": "noop", "gristmill.task.attempt": 1,
            "gristmill.run.outcome": "completed"})
    );
    let instance = "service.instance.id";
    assert_ne!(run["resource"][instance], request["resource"][instance], "it ran on the other node");
    let callback = collector.span(trace, "callback").await;
    assert_eq!(callback["parent"], request["span"]);
    let call = collector.span(trace, "POST").await;
    assert_eq!((&call["kind"], &call["attributes"]["http.response.status_code"]), (&json!(3), &json!(204)));

    let heads = heads.lock().unwrap().clone();
    assert!(!heads.is_empty());
    for head in &heads {
        assert!(head.contains(&format!("traceparent: 00-{trace}-")), "{head}");
    }
    let ran = eventually("the run's line", || async {
        let lines = lines_of(&worker, trace);
        lines.into_iter().find(|line| line["message"] == "the run is over")
    })
    .await;
    assert_eq!((&ran["task_id"], &ran["kind"], &ran["attempt"]), (&task["id"], &json!("noop"), &json!(1)));

    // A trace that nobody began before, and an error.
    let refused =
        reqwest::Client::new().post(door.url("/tasks")).json(&json!({"kind": "none"})).send().await.unwrap();
    let place_in_trace = refused.headers()["traceresponse"].to_str().unwrap().to_owned();
    let trace = place_in_trace.split('-').nth(1).unwrap();
    let span = collector.span(trace, "POST /tasks").await;
    assert_eq!(
        (&span["parent"], &span["attributes"]["http.response.status_code"]),
        (&json!(""), &json!(422))
    );
    let metrics = reqwest::get(door.url("/metrics")).await.unwrap().text().await.unwrap();
    let exported = metrics
        .lines()
        .find_map(|line| line.strip_prefix("gristmill_trace_spans_total{result=\"exported\"} "));
    assert!(exported.is_some_and(|spans| spans.parse::<u64>().unwrap() > 0), "{exported:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_says_and_whom_it_asks_belongs_to_its_task() {
    let place = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let settings = [
        ("TRACING__OTLP_URL", collector.url.as_str()),
        ("QUIZ__PROVIDER", "jservice"),
        ("QUIZ__URL", "http://127.0.0.1:1/questions"),
        ("QUIZ__ALLOW", "127.0.0.1/32"),
        ("QUIZ__BREAKER_FAILURES", "1"),
    ];
    let settings = settings.map(|(key, value)| (key, value.to_owned()));
    let node = Node::start(place.path(), "node", &settings).await;
    let asked = reqwest::Client::new().post(node.url("/quiz")).json(&json!({"questions_num": 1}));
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 502);
    let place_in_trace = answer.headers()["traceresponse"].to_str().unwrap().to_owned();
    let trace = place_in_trace.split('-').nth(1).unwrap();
    let run = collector.span(trace, "run quiz").await;
    assert_eq!((&run["status"], &run["attributes"]["gristmill.run.outcome"]), (&json!(2), &json!("failed")));
    let call = collector.span(trace, "GET").await;
    assert_eq!((&call["parent"], &call["kind"]), (&run["span"], &json!(3)));
    assert_eq!(
        (&call["attributes"]["error.type"], &call["attributes"]["server.address"]),
        (&json!("connect"), &json!("127.0.0.1"))
    );
    let lines = lines_of(&node, trace);
    let said = lines.iter().find(|line| line["message"] == "a source of questions could not be asked");
    let said = said.unwrap_or_else(|| panic!("not of the trace: {}", node.log()));
    assert_eq!(
        (&said["kind"], &said["attempt"], &said["level"]),
        (&json!("quiz"), &json!(1), &json!("WARN"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_one_line_and_no_request_and_the_end_ships_the_rest() {
    let place = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let node = Node::start(place.path(), "alone", &[("TRACING__OTLP_URL", url)]).await;
    let client = reqwest::Client::new();
    for _ in 0..20 {
        let response = client.post(node.url("/tasks")).header("prefer", "wait=20").send().await.unwrap();
        assert_eq!(response.status(), 201);
    }
    let complaint = "spans cannot be shipped";
    eventually("the complaint", || async { node.log().contains(complaint).then_some(()) }).await;
    node.process.end_well();
    assert_eq!(node.log().matches(complaint).count(), 1, "{}", node.log());

    let collector = Collector::start();
    let node = Node::start(place.path(), "shipping", &[("TRACING__OTLP_URL", collector.url.clone())]).await;
    let response = client.post(node.url("/tasks")).header("prefer", "wait=20").send().await.unwrap();
    let place_in_trace = response.headers()["traceresponse"].to_str().unwrap().to_owned();
    // Sooner than spans are gathered for.
    node.process.end_well();
    let trace = place_in_trace.split('-').nth(1).unwrap();
    collector.span(trace, "run noop").await;
}
