//! Questions and reports under SIGKILL: each call saves exactly what it asked for, once; each report that was ordered is
//! there in the end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use gristmill::failpoint::Failpoint;
use serde_json::{Value, json};

use crate::common::{Engine, eventually};
use crate::daemon::{Place, Start};

/// More calls, or orders, than it takes to reach any point; the bank has questions for all, and a user may order so many.
const CALLS: usize = 25;

/// How many questions each call asks for.
const ASKED: usize = 3;

fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap()
}

/// Calls for questions until the daemon is no more; gives how many calls it took.
async fn call(client: &reqwest::Client, address: SocketAddr) -> usize {
    for calls in 0..CALLS {
        let call = client.post(format!("http://{address}/quiz")).header("prefer", "respond-async");
        let Ok(answer) = call.json(&json!({"questions_num": ASKED})).send().await else { return calls };
        assert_eq!(answer.status().as_u16(), 202);
    }
    CALLS
}

async fn all(client: &reqwest::Client, address: SocketAddr, path: &str) -> Vec<Value> {
    let mut list = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page = client.get(format!("http://{address}{next}")).send().await.unwrap();
        let link = page.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        list.extend(page.json::<Vec<Value>>().await.unwrap());
        match link {
            Some(link) => next = link.trim_start_matches('<').split('>').next().unwrap().to_owned(),
            None => return list,
        }
    }
}

async fn questions(engine: Engine) {
    let client = client();
    for (point, nth) in [
        (Failpoint::QuestionsSaved, 2),
        (Failpoint::CommitBefore, 9),
        (Failpoint::CommitAfter, 9),
        (Failpoint::ClaimedBeforeRun, 3),
        (Failpoint::RunDone, 4),
    ] {
        let failpoint = format!("{}:{nth}", point.name());
        let place = Place::new(engine).await;
        let mut daemon = place.spawn(&Start::dying_at(failpoint.clone()));
        let address = daemon.ready().await;
        let calls = call(&client, address).await;
        let status = daemon.ended(&format!("{failpoint} was never reached")).await;
        assert_eq!(status.signal(), Some(9), "{failpoint}: {status}");

        let mut daemon = place.spawn(&Start::plain());
        let address = daemon.ready().await;
        let tasks = eventually(&format!("{failpoint}: calls are left"), || async {
            let tasks = all(&client, address, "/tasks?kind=quiz&limit=1000").await;
            tasks
                .iter()
                .all(|task| task["status"] == "Completed" || task["status"] == "Failed")
                .then_some(tasks)
        })
        .await;
        // The last one may have been taken without anybody being told.
        assert!((calls..=calls + 1).contains(&tasks.len()), "{failpoint}: {} of {calls}", tasks.len());
        let saved = all(&client, address, "/quiz/questions?limit=1000").await;
        let texts: BTreeSet<&str> =
            saved.iter().map(|question| question["question"].as_str().unwrap()).collect();
        assert_eq!(texts.len(), saved.len(), "{failpoint}");
        for task in &tasks {
            assert_eq!(task["status"], "Completed", "{failpoint}: {task}");
            assert_eq!(task["result"]["saved"], ASKED, "{failpoint}: {task}");
        }
        assert_eq!(saved.len(), tasks.len() * ASKED, "{failpoint}");
        daemon.drain().await;
    }
}

async fn reports(engine: Engine) {
    let client = client();
    for (point, nth) in [
        (Failpoint::BlobSynced, 3),
        (Failpoint::BlobMoved, 3),
        (Failpoint::CommitAfter, 9),
        (Failpoint::RunDone, 2),
    ] {
        let failpoint = format!("{}:{nth}", point.name());
        let place = Place::new(engine).await;
        let mut daemon = place.spawn(&Start::dying_at(failpoint.clone()));
        let address = daemon.ready().await;
        let made = client.post(format!("http://{address}/users")).json(&json!({"name": "Ann"})).send().await;
        let ann: Value = made.unwrap().json().await.unwrap();
        let order = format!("/users/{}/report", ann["id"]);
        let mut links = Vec::new();
        for _ in 0..CALLS {
            let sent =
                client.post(format!("http://{address}{order}")).bearer_auth(ann["token"].as_str().unwrap());
            let Ok(answer) = sent.send().await else { break };
            assert_eq!(answer.status().as_u16(), 202);
            let Ok(told) = answer.json::<Value>().await else { break };
            links.push(told["url"].as_str().unwrap().to_owned());
        }
        let status = daemon.ended(&format!("{failpoint} was never reached")).await;
        assert_eq!(status.signal(), Some(9), "{failpoint}: {status}");

        let mut daemon = place.spawn(&Start::plain());
        let address = daemon.ready().await;
        for link in &links {
            let pdf = eventually(&format!("{failpoint}: {link} is not there"), || async {
                let answer = client.get(format!("http://{address}{link}")).send().await.unwrap();
                match answer.status().as_u16() {
                    200 => Some(answer.bytes().await.unwrap()),
                    202 => None,
                    other => panic!("{failpoint}: {link} is answered {other}"),
                }
            })
            .await;
            assert!(
                pdf.starts_with(b"%PDF-") && pdf.trim_ascii_end().ends_with(b"%%EOF"),
                "{failpoint}: {link}"
            );
        }
        daemon.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_saves_what_it_asked_for_after_any_death_on_sqlite() {
    questions(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_saves_what_it_asked_for_after_any_death_on_postgres() {
    questions(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_report_that_was_ordered_is_there_after_any_death_on_sqlite() {
    reports(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_report_that_was_ordered_is_there_after_any_death_on_postgres() {
    reports(Engine::Postgres).await;
}
