//! The programs of `examples/`, unchanged, with the real pika against the real daemon and a real broker.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use gristmill::outbound::webhook::{Secret, sign};
use serde_json::{Value, json};

use crate::blocks;
use crate::common::eventually;
use crate::programs::{Line, PYTHON, Program, World, corner, example};

/// Runs the documented program as it stands. Its host `rabbitmq` is this test's corner of the broker.
const SEED: &str = "
import runpy, sys
from unittest import mock
import pika
from urllib.parse import urlsplit
real, place = pika.ConnectionParameters, urlsplit(sys.argv[2])
def here(host):
    assert host == 'rabbitmq', host
    return real(place.hostname, place.port, place.path[1:])
with mock.patch.object(pika, 'ConnectionParameters', here):
    runpy.run_path(sys.argv[1])['create_task_via_rabbitmq']()
";

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_program_makes_tasks_before_and_after_the_daemon_is_there() {
    let broker = corner();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readme/create_task_via_rabbitmq.py");
    let run = || Program::script(SEED, &[program.as_os_str(), broker.as_ref()]);
    assert!(run().ended().await.success());
    let world = World::at(Some(broker.clone()), &[]);
    for count in 1..=2 {
        let tasks = eventually("the task completes", || async {
            let tasks = world.get("/tasks?status=Completed").await;
            (tasks.as_array().unwrap().len() == count).then_some(tasks)
        })
        .await;
        assert_eq!(tasks[count - 1]["kind"], "noop", "{tasks}");
        assert!(run().ended().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_is_told_the_id_and_the_end_of_its_task_and_an_id_makes_one_task() {
    let world = World::with_broker(&[]);
    let _worker = world.worker("w", &["--look-s", "0.5"]);
    let mut producer = world.python(
        "producer.py",
        &[
            "--kind",
            "resize",
            "--payload",
            r#"{"width": 640}"#,
            "--priority",
            "7",
            "--expire-s",
            "60",
            "--message-id",
            "m-1",
        ],
    );
    assert_eq!(producer.ended().await.code(), Some(0));
    let answers = producer.json();
    let end = json!({"id": 1, "status": "Completed", "kind": "resize", "result": {"width": 320}});
    assert!(answers == [json!({"id": 1}), end.clone()] || answers == [end], "{answers:?}");
    let task = world.get("/tasks/1").await;
    assert_eq!((&task["priority"], &task["owner"]), (&json!(7), &Value::Null));
    assert!(task["expires_at"].is_string(), "{task}");

    let again = world.python("producer.py", &["--kind", "resize", "--message-id", "m-1"]);
    assert_eq!(again.printed(1).await, [json!({"id": 1})]);

    let mut bad = world.python("producer.py", &["--kind", "resize", "--payload", r#"{"width": 0}"#]);
    assert_eq!(bad.ended().await.code(), Some(1));
    let end = bad.json().pop().unwrap();
    assert_eq!((end["id"].as_i64() > Some(1), &end["status"]), (true, &json!("Failed")));
    assert_eq!(end["error"]["reason"], "invalid_input");
    assert_eq!(world.get("/total_tasks_created").await["total_tasks_created"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_tasks_that_they_hear_of_and_do_each_once() {
    let world = World::with_broker(&[]);
    // With the first task the run queue is made.
    let first = world.make(json!({"kind": "resize"})).await;
    // They look for themselves once; whatever comes later they can only hear of.
    let _workers = ["left", "right"].map(|name| world.worker(name, &["--look-s", "600"]));
    world.once(first, "Completed").await;
    let task = json!({"kind": "resize", "payload": {"seconds": 0.2}});
    let made = world.post("/tasks/batch", &json!(vec![task; 20])).await;
    for task in made.as_array().unwrap() {
        let done = world.once(task["id"].as_i64().unwrap(), "Completed").await;
        assert_eq!((&done["attempt"], &done["crashes"]), (&json!(1), &json!(0)), "{done}");
    }
    let heard = world.python("listener.py", &["--sse", "--url", &world.url(), "--after", "0"]);
    let started = eventually("all starts", || async {
        let heard = heard.json();
        let started: Vec<Value> = heard.into_iter().filter(|event| event["event"] == "started").collect();
        (started.len() >= 21).then_some(started)
    })
    .await;
    let by: BTreeSet<&str> = started.iter().map(|event| event["worker"].as_str().unwrap()).collect();
    assert_eq!((started.len(), by), (21, BTreeSet::from(["left", "right"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_had_in_hand_is_done_by_another_after_the_lease() {
    let world = World::with_broker(&[]);
    let terms = ["--lease-s", "2", "--look-s", "0.5"];
    let mut first = world.worker("first", &terms);
    let id = world.make(json!({"kind": "resize", "payload": {"seconds": 4}})).await;
    world
        .task(id, "the first is at work", |task| {
            task["worker"] == "first" && task["progress"].as_i64() > Some(0)
        })
        .await;
    first.kill();
    let _second = world.worker("second", &terms);
    let done = world.once(id, "Completed").await;
    assert_eq!((&done["attempt"], &done["crashes"], &done["failures"]), (&json!(2), &json!(1), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_end_finishes_its_task_or_gives_it_back() {
    let world = World::with_broker(&[]);
    let mut patient = world.worker("patient", &["--look-s", "0.5", "--lease-s", "2"]);
    // In one step that is longer than the lease: the heart must beat, also now.
    let id = world.make(json!({"kind": "resize", "payload": {"seconds": 4, "steps": 1}})).await;
    world.once(id, "In Progress").await;
    patient.signal("TERM");
    assert_eq!(patient.ended().await.code(), Some(0));
    let done = world.get(&format!("/tasks/{id}")).await;
    assert_eq!((&done["status"], &done["attempt"]), (&json!("Completed"), &json!(1)), "{done}");

    let mut hasty = world.worker("hasty", &["--look-s", "0.5", "--grace-s", "0"]);
    let id = world.make(json!({"kind": "resize", "payload": {"seconds": 60}})).await;
    world.once(id, "In Progress").await;
    hasty.signal("TERM");
    assert_eq!(hasty.ended().await.code(), Some(0));
    let free = world.get(&format!("/tasks/{id}")).await;
    assert_eq!((&free["status"], &free["crashes"], &free["failures"]), (&json!("New"), &json!(0), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_a_worker_waits_for_tasks_at_the_claim() {
    let world = World::at(None, &[]);
    let _worker = world.worker("alone", &["--look-s", "5"]);
    for width in [2, 4] {
        let id = world.make(json!({"kind": "resize", "payload": {"width": width}})).await;
        assert_eq!(world.once(id, "Completed").await["result"], json!({"width": width / 2}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_hear_all_events_in_order_over_the_broker_and_over_http_whatever_is_cut() {
    let world = World::with_broker(&[]);
    let line = Line::to(world.daemon.address.clone()).await;
    let pattern = ["--pattern", "task.*.resize", "--queue", "ears"];
    let mut bound = world.python("listener.py", &pattern);
    bound.says("listening for").await;
    let url = format!("http://{}", line.address);
    let streamed = world.python("listener.py", &["--sse", "--url", &url, "--after", "0"]);
    let task = json!({"kind": "resize", "payload": {"seconds": 0.5}});

    let _worker = world.worker("w", &["--look-s", "0.5"]);
    let first = world.make(task.clone()).await;
    world.once(first, "Completed").await;
    bound.printed(3).await;
    bound.kill();
    let mut heard = bound.json();
    streamed.printed(2).await;
    line.cut();
    let second = world.make(task.clone()).await;
    // Of another kind: the stream has it, the pattern has not.
    let other = world.make(json!({"kind": "noop"})).await;
    for id in [second, other] {
        world.once(id, "Completed").await;
    }
    let all = eventually("the stream has the end", || async {
        let all = streamed.json();
        let ended = all.iter().filter(|event| event["event"] == "completed").count();
        (ended == 3).then_some(all)
    })
    .await;
    eventually("the line was cut once", || async {
        (streamed.complaints().matches("listening to").count() == 2).then_some(())
    })
    .await;
    let numbers: Vec<i64> = all.iter().map(|event| event["id"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=i64::try_from(all.len()).unwrap()).collect::<Vec<_>>(), "{all:?}");
    for id in [first, second] {
        let words: Vec<&str> = all
            .iter()
            .filter(|event| event["task"] == id)
            .map(|event| event["event"].as_str().unwrap())
            .collect();
        assert_eq!((words[0], words[1], words[words.len() - 1]), ("created", "started", "completed"));
        assert!(words[2..words.len() - 1].iter().all(|word| *word == "progress"), "{words:?}");
    }

    let resize: Vec<Value> = all.into_iter().filter(|event| event["kind"] == "resize").collect();
    let bound = world.python("listener.py", &pattern);
    let expected = resize.len();
    eventually("the queue kept the rest", || async {
        // What was printed and not acknowledged when the listener was killed comes again.
        let last = bound.json().last().map(|event| event["id"].clone());
        (last == resize.last().map(|event| event["id"].clone())).then_some(())
    })
    .await;
    assert!(bound.json()[0]["id"].as_i64() >= heard[2]["id"].as_i64(), "what was acknowledged stays away");
    heard.extend(bound.json());
    heard.sort_by_key(|event| event["id"].as_i64());
    heard.dedup();
    assert_eq!(heard.len(), expected);
    assert_eq!(heard, resize);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_takes_the_daemons_webhooks_in_order_and_refuses_what_is_forged() {
    let world = World::at(None, &[("GRISTMILL__WEBHOOKS__ALLOW_PRIVATE", "true")]);
    let secret = world.folder.path().join("data/webhook.secret");
    let receiver = world
        .python("webhook_receiver.py", &["--bind", "127.0.0.1:0", "--secret-file", secret.to_str().unwrap()]);
    let said = receiver.says("listening on").await;
    let url = format!("http://{}/hook", said.rsplit(' ').next().unwrap());
    let id = world.make(json!({"kind": "noop", "callback_url": url})).await;
    world.once(id, "Completed").await;
    let told = receiver.printed(3).await;
    let types: Vec<&str> = told.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["task.created", "task.started", "task.completed"]);
    assert!(told.iter().all(|message| message["data"]["task"] == id), "{told:?}");

    let key = Secret::parse(std::fs::read_to_string(&secret).unwrap().trim()).unwrap();
    let now = chrono::Utc::now().timestamp();
    let body = br#"{"type":"task.completed","data":{"task":99}}"#;
    let post = async |id: &str, at: i64, signature: Option<String>, body: &[u8]| {
        let mut request = reqwest::Client::new().post(&url).body(body.to_vec()).header("webhook-id", id);
        if let Some(signature) = signature {
            request = request.header("webhook-timestamp", at).header("webhook-signature", signature);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let genuine = sign(&key, "evt_x", now, body);
    let forged = sign(&Secret::generate(), "evt_x", now, body);
    assert_eq!(post("evt_x", now, Some(forged.clone()), body).await, 401);
    assert_eq!(post("evt_y", now, Some(genuine.clone()), body).await, 401, "the signature of another id");
    assert_eq!(post("evt_x", now, Some(genuine.clone()), b"{}").await, 401, "the signature of another body");
    let long_ago = now - 3600;
    assert_eq!(post("evt_x", long_ago, Some(sign(&key, "evt_x", long_ago, body)), body).await, 401);
    assert_eq!(post("evt_x", now, None, body).await, 400);
    assert_eq!(post("evt_x", now, Some(sign(&key, "evt_x", now, b"no json")), b"no json").await, 400);
    assert_eq!(receiver.lines().len(), 3, "nothing of that was taken");
    for _ in 0..2 {
        assert_eq!(post("evt_x", now, Some(format!("{forged} {genuine}")), body).await, 204);
    }
    assert_eq!(receiver.printed(4).await.len(), 4, "a repetition is taken once");
}

/// What the README says to do with a broker.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_for_a_broker_work() {
    let start = blocks("beside").pop().unwrap();
    let (program, settings) =
        start.split_whitespace().collect::<Vec<_>>().split_last().map(|(l, r)| (*l, r.to_vec())).unwrap();
    assert_eq!(program, "gristmill");
    let broker = corner();
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|setting| setting.split_once('=').unwrap()).collect();
    assert!(settings.contains(&("GRISTMILL__BROKER__URL", "amqp://127.0.0.1")), "{settings:?}");
    let outside: Vec<_> = settings.into_iter().filter(|(key, _)| *key != "GRISTMILL__BROKER__URL").collect();
    let world = World::at(Some(broker.clone()), &outside);
    std::os::unix::fs::symlink(example(""), world.folder.path().join("examples")).unwrap();
    let script = format!("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n{}", blocks("rabbitmq").concat())
        .replace("127.0.0.1:5000", &world.daemon.address)
        .replace("amqp://127.0.0.1", &broker)
        .replace("python3 ", &format!("{PYTHON} -B "));
    let program = Path::new(env!("CARGO_BIN_EXE_gristmill")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.current_dir(world.folder.path()).env("PATH", path).args(["-c", &script]);
    let mut shell = Program::start(shell);
    assert!(shell.ended().await.success());
    let said = shell.lines().join("\n");
    assert!(said.contains(r#""status":"Completed","kind":"resize","result":{"width": 320}"#), "{said}");
    assert!(said.contains(r#""status":"Completed","kind":"noop""#), "{said}");
}

fn shell_worker(world: &World, arguments: &[&str]) -> Program {
    let mut command = Command::new("sh");
    command.arg(example("shell/worker.sh")).args(arguments);
    command
        .env("GRISTMILL_URL", world.url())
        .env("GRISTMILL_LEASE_S", "3")
        .env("TMPDIR", world.folder.path());
    Program::start(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_in_plain_shell_does_tasks_tells_of_failures_and_gives_back() {
    let world = World::at(None, &[]);
    // What `cat` prints is the task, which so is its result.
    let mut worker = shell_worker(&world, &["resize", "cat"]);
    for payload in [json!({"attempt": 17, "quotes": "\"attempt\":18"}), json!("x".repeat(200_000))] {
        let id = world.make(json!({"kind": "resize", "payload": payload})).await;
        let done = world.once(id, "Completed").await;
        assert_eq!((&done["result"]["id"], &done["result"]["payload"]), (&json!(id), &payload));
        assert_eq!(done["attempt"], 1);
    }
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));

    // Longer than the lease: the heart beats.
    let mark = world.folder.path().join("at work");
    let work = format!("echo >>'{}'; sleep 4; exit 7", mark.display());
    let mut worker = shell_worker(&world, &["ocr", "sh", "-c", &work]);
    let id = world.make(json!({"kind": "ocr", "max_attempts": 1})).await;
    let failed = world.once(id, "Failed").await;
    assert_eq!((&failed["attempt"], &failed["crashes"]), (&json!(1), &json!(0)));
    assert_eq!(failed["error"], json!({"reason": "error", "message": "the command ended with status 7"}));

    std::fs::remove_file(&mark).unwrap();
    let id = world.make(json!({"kind": "ocr"})).await;
    eventually("it is at work again", || async { mark.exists().then_some(()) }).await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));
    let free = world.get(&format!("/tasks/{id}")).await;
    assert_eq!((&free["status"], &free["crashes"], &free["failures"]), (&json!("New"), &json!(0), &json!(0)));

    std::fs::remove_file(&mark).unwrap();
    let mut worker = shell_worker(&world, &["ocr", "sh", "-c", &work]);
    eventually("it is at work once more", || async { mark.exists().then_some(()) }).await;
    worker.kill();
    let lost = world.task(id, "a dead worker loses its task", |task| task["crashes"] == 1).await;
    assert_eq!(lost["status"], "New");
}
