//! Limits that many try to pass at the same time, or by saying that they are somebody else.

use futures_util::future::join_all;
use serde_json::json;

use super::{Somebody, Target, Way, answer, make};

/// How often each status was the answer.
fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|one| **one == status).count()
}

async fn uploads(eve: &Somebody, times: usize, disguise: bool) -> Vec<u16> {
    let file = make::png(9, 7, false);
    let sent = (0..times).map(|at| {
        let mut post =
            eve.client.post(eve.at("/upload")).header("content-type", "image/png").body(file.clone());
        if disguise {
            let address = format!("10.0.{}.{}", at / 256, at % 256);
            post = post.header("x-forwarded-for", &address).header("forwarded", format!("for={address}"));
            post = post.header("x-real-ip", address);
        }
        answer(post)
    });
    join_all(sent).await.into_iter().map(|told| told.status).collect()
}

#[tokio::test]
async fn a_quota_of_five_lets_five_of_thirty_in_that_come_at_once() {
    let target = Target::start(&[("GRISTMILL__IMAGES__MAX_PER_USER", "5")]);
    let eve = target.somebody(1);
    let statuses = uploads(&eve, 30, false).await;
    assert_eq!((count(&statuses, 201), count(&statuses, 429)), (5, 25), "{statuses:?}");
    let list = answer(eve.client.get(eve.at("/images/"))).await;
    assert_eq!(list.body.as_array().unwrap().len(), 5);
    // What is no image is told so, also beyond the quota.
    assert_eq!(eve.send(Way::Raw, "a.png", b"text".to_vec()).await.status, 415);
    target.is_well("a quota").await;
}

#[tokio::test]
async fn a_rate_is_kept_by_many_at_once_whoever_they_say_they_come_from() {
    let target = Target::start(&[("GRISTMILL__IMAGES__UPLOADS_PER_MINUTE", "2")]);
    for (number, disguise) in [(1, false), (2, true)] {
        let eve = target.somebody(number);
        let begun = std::time::Instant::now();
        let statuses = uploads(&eve, 30, disguise).await;
        // Another becomes free with each half of a minute.
        let most = 2 + usize::try_from(begun.elapsed().as_secs() / 30).unwrap();
        let taken = count(&statuses, 201);
        assert!((2..=most).contains(&taken) && taken + count(&statuses, 429) == 30, "{statuses:?}");
    }
    target.is_well("a rate").await;
}

#[tokio::test]
async fn passwords_that_are_guessed_are_stopped_for_the_account_and_for_the_address() {
    let target = Target::start(&[]);
    let ann = target.somebody(1);
    let made = ann
        .client
        .post(ann.at("/users"))
        .json(&json!({"email": "ann@example.com", "password": "correct horse"}));
    assert_eq!(answer(made).await.status, 201);
    let guess = |eve: &Somebody, email: String, at: usize| {
        let login = json!({"email": email, "password": format!("guess number {at}")});
        answer(
            eve.client.post(eve.at("/login")).header("x-forwarded-for", format!("10.1.1.{at}")).json(&login),
        )
    };
    // Ten tries an account, from wherever they come.
    let crowd: Vec<Somebody> = (2..8).map(|number| target.somebody(number)).collect();
    let guesses = (0..60).map(|at| guess(&crowd[at % 6], "ann@example.com".into(), at));
    let statuses: Vec<u16> = join_all(guesses).await.into_iter().map(|told| told.status).collect();
    assert_eq!((count(&statuses, 401), count(&statuses, 429)), (10, 50), "{statuses:?}");
    // Also of one that is not there; and a hundred an address, for whatever accounts.
    let eve = target.somebody(9);
    let guesses = (0..130).map(|at| guess(&eve, format!("user{at}@example.com"), at % 250));
    let statuses: Vec<u16> = join_all(guesses).await.into_iter().map(|told| told.status).collect();
    assert_eq!((count(&statuses, 401), count(&statuses, 429)), (100, 30), "{statuses:?}");
    target.is_well("passwords").await;
}
