//! Images under SIGKILL: what was accepted is there in the end, whole and without the place it was taken at; what was not
//! leaves nothing.

use std::io::Cursor;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use gristmill::failpoint::Failpoint;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;

use crate::common::{Engine, eventually};
use crate::daemon::{Place, Start};

/// A picture like no other, and its file as a phone would send it: with a comment that is none of anybody's business.
pub(crate) fn picture(number: u32) -> (RgbImage, Vec<u8>) {
    let shade = |at: u32| u8::try_from(at % 256).unwrap();
    let pixels = RgbImage::from_fn(90, 60, |x, y| Rgb([shade(x * number), shade(y + number), shade(x * y)]));
    let mut png = Cursor::new(Vec::new());
    pixels.write_to(&mut png, ImageFormat::Png).unwrap();
    let mut file = png.into_inner();
    let text = b"Comment\0taken at home";
    let mut chunk = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend_from_slice(b"tEXt");
    chunk.extend_from_slice(text);
    let sum = crc32fast::hash(&chunk[4..]);
    chunk.extend_from_slice(&sum.to_be_bytes());
    // Behind the signature and the header.
    file.splice(33..33, chunk);
    (pixels, file)
}

/// Sends images until the daemon is no more; gives the names of those that it took, with their numbers.
async fn flood(client: &reqwest::Client, address: SocketAddr) -> Vec<(u32, String)> {
    let mut taken = Vec::new();
    for number in 1.. {
        let (_, file) = picture(number);
        let sent = client.post(format!("http://{address}/upload?filename={number}.png"));
        let sent = sent.header("content-type", "image/png").header("prefer", "respond-async").body(file);
        let Ok(answer) = sent.send().await else { break };
        let status = answer.status();
        let Ok(made) = answer.json::<Value>().await else { break };
        assert_eq!(status, 202, "{made}");
        taken.push((number, made["filename"].as_str().unwrap().to_owned()));
    }
    taken
}

async fn every_point(engine: Engine) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    for (point, nth) in [
        (Failpoint::BlobSynced, 4),
        (Failpoint::BlobMoved, 5),
        (Failpoint::CommitBefore, 7),
        (Failpoint::CommitAfter, 7),
        (Failpoint::ClaimedBeforeRun, 1),
        (Failpoint::RunDone, 3),
    ] {
        let failpoint = format!("{}:{nth}", point.name());
        let place = Place::new(engine).await;
        let mut daemon = place.spawn(&Start::dying_at(failpoint.clone()));
        // It may die before it is ready to be asked anything.
        let address = daemon.ready().await;
        let taken = flood(&client, address).await;
        let status = daemon.ended(&format!("{failpoint} was never reached")).await;
        assert_eq!(status.signal(), Some(9), "{failpoint}: {status}");

        let mut daemon = place.spawn(&Start::plain());
        let address = daemon.ready().await;
        for (number, name) in &taken {
            let link = format!("http://{address}/images/{name}");
            let file = eventually(&format!("{failpoint}: image {number} is not there"), || async {
                let answer = client.get(&link).send().await.unwrap();
                match answer.status().as_u16() {
                    200 => Some(answer.bytes().await.unwrap()),
                    202 => None,
                    other => panic!("{failpoint}: image {number} is answered {other}"),
                }
            })
            .await;
            assert_eq!(image::load_from_memory(&file).unwrap().to_rgb8(), picture(*number).0, "{failpoint}");
            assert!(!file.windows(5).any(|window| window == b"taken"), "{failpoint}");
        }
        // The last one may have been taken without anybody being told: it is waited for as well.
        let tasks = format!("http://{address}/tasks?kind=image&limit=1000");
        eventually(&format!("{failpoint}: tasks are left"), || async {
            let tasks = client.get(&tasks).send().await.unwrap().json::<Value>().await.unwrap();
            tasks.as_array().unwrap().iter().all(|task| task["status"] == "Completed").then_some(())
        })
        .await;
        let list = client.get(format!("http://{address}/images/?limit=1000")).send().await.unwrap();
        let listed = list.json::<Value>().await.unwrap().as_array().unwrap().len();
        assert!(
            (taken.len()..=taken.len() + 1).contains(&listed),
            "{failpoint}: {listed} of {}",
            taken.len()
        );
        eventually(&format!("{failpoint}: what nobody names is not swept"), || async {
            place.age_blobs();
            (place.drafts() == 0 && place.files().len() == listed).then_some(())
        })
        .await;
        daemon.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_image_that_was_taken_is_there_whole_after_any_death_on_sqlite() {
    every_point(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_image_that_was_taken_is_there_whole_after_any_death_on_postgres() {
    every_point(Engine::Postgres).await;
}
