//! What belongs to others: tokens that are guessed, images, tasks and users of somebody else, variants nobody offers.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Somebody, Target, Way, answer, files_in, make};

async fn user(eve: &Somebody, name: &str) -> (Value, String) {
    let made = answer(eve.client.post(eve.at("/users")).json(&json!({ "name": name }))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.body["token"].as_str().unwrap().to_owned();
    (made.body, token)
}

/// Nobody deletes, sees or changes what is not theirs.
pub(super) async fn tokens_and_strangers(target: &Target) {
    let eve = target.somebody(130);
    let one = eve.upload(make::png(9, 7, false)).await;
    let other = eve.upload(make::png(8, 7, false)).await;
    let path = format!("/images/{}", one["filename"].as_str().unwrap());
    let others = other["delete_token"].as_str().unwrap().to_owned();
    let token = one["delete_token"].as_str().unwrap();
    let mut changed = token.to_owned();
    let last = if changed.pop() == Some('0') { '1' } else { '0' };
    changed.push(last);
    let guesses = [
        String::new(),
        "null".into(),
        "00000000-0000-0000-0000-000000000000".into(),
        others,
        changed,
        "' OR '1'='1".into(),
        "%' --".into(),
        "\0".into(),
        token[..token.len() - 1].to_owned(),
        format!("{token}0"),
        "a".repeat(7000),
        "ж".into(),
    ];
    for guess in &guesses {
        let url = url::Url::parse_with_params(&eve.at(&path), &[("token", guess)]).unwrap();
        let told = answer(eve.client.delete(url)).await;
        assert_eq!((told.status, told.code()), (403, "forbidden"), "{guess:?}");
        if let Ok(guess) = reqwest::header::HeaderValue::from_bytes(guess.as_bytes()) {
            let told = answer(eve.client.delete(eve.at(&path)).header("x-delete-token", guess)).await;
            assert_eq!(told.status, 403);
        }
    }
    assert_eq!(answer(eve.client.delete(eve.at(&path))).await.status, 401);

    let (ann, anns) = user(&eve, "Ann").await;
    let (_, bobs) = user(&eve, "Bob").await;
    let post = eve.client.post(eve.at("/upload")).bearer_auth(&anns).header("content-type", "image/png");
    let hers = answer(post.body(make::png(7, 7, false))).await.body;
    let (image, task) = (hers["filename"].as_str().unwrap(), &hers["task"]["id"]);
    let profile = format!("/users/{}", ann["id"]);
    let client = &eve.client;
    for (request, by_user, by_nobody) in [
        (client.delete(eve.at(&format!("/images/{image}"))), 403, 401),
        (client.get(eve.at(&format!("/tasks/{task}"))), 404, 404),
        (client.get(eve.at(&format!("/tasks/{task}/image"))), 404, 404),
        (client.delete(eve.at(&format!("/tasks/{task}"))), 404, 404),
        (client.delete(eve.at(&profile)), 403, 401),
        (client.patch(eve.at(&profile)).json(&json!({"name": "Eve"})), 403, 401),
        (client.post(eve.at(&format!("{profile}/token"))), 403, 401),
        (client.get(eve.at(&format!("/images/?user_id={}", ann["id"]))), 401, 401),
    ] {
        let as_bob = answer(request.try_clone().unwrap().bearer_auth(&bobs)).await;
        assert!(as_bob.status == by_user || as_bob.status == 403, "{request:?}: {as_bob:?}");
        let as_nobody = answer(request.try_clone().unwrap()).await;
        assert!(as_nobody.status == by_nobody || as_nobody.status == 401, "{request:?}: {as_nobody:?}");
    }
    for who in [Some(&bobs), None] {
        let list = client.get(eve.at("/images/?limit=1000"));
        let list = answer(match who {
            Some(token) => list.bearer_auth(token),
            None => list,
        })
        .await;
        let listed = list.body.as_array().unwrap();
        assert!(
            listed.iter().all(|listed| listed["filename"] != image && listed.get("delete_token").is_none())
        );
    }
    // All is still there, and the right token takes it away, once.
    assert_eq!(client.get(eve.at(&format!("/images/{image}"))).send().await.unwrap().status(), 200);
    for status in [204, 404] {
        let told = answer(client.delete(eve.at(&path)).header("x-delete-token", token)).await;
        assert_eq!(told.status, status);
    }
}

/// Only what is offered is made, and once.
pub(super) async fn variants(target: &Target) {
    let eve = target.somebody(131);
    let image = eve.send(Way::Form, "a.png", make::png(700, 500, false)).await.body;
    let link = eve.at(&format!("/images/{}", image["filename"].as_str().unwrap()));
    let kept = || files_in(&target.data().join("variants")).len();
    let before = kept();
    let (link, client) = (&link, &eve.client);
    for query in [
        "w=0",
        "w=-1",
        "w=1000000000",
        "w=NaN",
        "w=1e3",
        "w=64.0",
        "w=",
        "w=+64",
        "w=0x40",
        "w=18446744073709551680",
        "w=%36%34%00",
        "w=64&w=128",
        "w[]=64",
        "h=65",
        "fit=fill",
        "fit=",
        "w=64&format=svg",
        "w=64&format=gif",
        "w=64&format=../../x",
        "q=1",
        "fit=cover",
        "w=%D9%A6%D9%A4",
    ] {
        let told = answer(client.get(format!("{link}?{query}"))).await;
        assert_eq!((told.status, told.code()), (400, "invalid_parameter"), "{query}: {told:?}");
    }
    let sizes: Vec<(u32, u32)> = (0..10_000).map(|at| (129 + at % 100, 1 + at / 100)).collect();
    for some in sizes.chunks(500) {
        let asked = some.iter().map(|(w, h)| async move {
            client.get(format!("{link}?w={w}&h={h}")).send().await.unwrap().status().as_u16()
        });
        assert!(join_all(asked).await.into_iter().all(|status| status == 400));
    }
    assert_eq!(kept(), before, "nothing was made of what was refused");
    let asked = (0..200).map(|_| async move {
        let got = client.get(format!("{link}?w=128&h=64&fit=cover")).send().await.unwrap();
        (got.status().as_u16(), got.bytes().await.unwrap())
    });
    let got = join_all(asked).await;
    assert!(got.iter().all(|one| one.0 == 200 && one.1 == got[0].1));
    assert_eq!(kept(), before + 1, "it was made once");
}
