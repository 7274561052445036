//! Uploading, the gallery, an image's own page.

use gristmill::http::Code;

use super::{in_both, led_to, look, page, problem_page, send, send_files, user};
use crate::client::Answer;
use crate::harness::{Wishes, start};
use crate::photos::{gif, png};

/// A name that does harm wherever it is not escaped, and turns what follows it around.
const HOSTILE: &str = "a\"><script>alert(1)<b onload='x'>\u{202e}gnp.png";

/// The names of the images that an upload leads to.
fn uploaded(place: &str) -> Vec<String> {
    let list = place.strip_prefix("/upload?done=").unwrap();
    list.split(',').map(str::to_owned).collect()
}

/// The tokens that go with them, by the cookie of the answer.
fn tokens(answer: &Answer) -> Vec<String> {
    let cookie = answer.cookie();
    let (name, tokens) = cookie.split_once('=').unwrap();
    assert!(name.starts_with("gristmill_tokens_"), "{cookie}");
    tokens.split('/').map(str::to_owned).collect()
}

#[tokio::test]
async fn files_of_the_form_are_uploaded_and_all_links_are_shown() {
    let daemon = start(Wishes::default()).await;
    let text = in_both(
        &daemon,
        "/upload",
        "",
        "Choose one or several files.",
        "Выберите один или несколько файлов.",
    )
    .await;
    assert!(text.contains(".jpg .png .gif, up to 5\u{a0}MiB each, at most 20 at once."), "{text}");
    let files = [("one.png", png(20, 10)), ("two.gif", gif(8, 8))];
    let sent = send_files(&daemon, "/upload", "", &files).await;
    let place = led_to(&sent);
    let (images, tokens) = (uploaded(&place), tokens(&sent));
    assert_eq!((images.len(), tokens.len()), (2, 2));
    let kept = sent.header("set-cookie");
    assert!(kept.ends_with("; Path=/upload; Max-Age=60; HttpOnly; SameSite=Lax"), "{kept}");
    let shown = look(&daemon, &place, &[("cookie", &sent.cookie())]).await;
    let text = page(&shown, 200);
    for ((name, token), (file, _)) in images.iter().zip(&tokens).zip(&files) {
        assert!(!place.contains(token.as_str()), "{place}");
        let url = daemon.url(&format!("/images/{name}"));
        assert!(text.contains(&format!("value=\"{url}\"")), "{text}");
        assert!(text.contains(&format!("value=\"![{file}]({url})\"")), "{text}");
        assert!(text.contains(&format!("value=\"[img]{url}[/img]\"")), "{text}");
        assert!(text.contains(&format!("value=\"&#60;img src=&#34;{url}&#34;")), "{text}");
        assert!(text.contains(&format!("value=\"{url}/page?token={token}\"")), "{text}");
        assert_eq!(daemon.get(&format!("/images/{name}")).await.status, 200);
    }
    // They are shown this once.
    let taken_away = shown.header("set-cookie");
    assert!(taken_away.contains("=; Path=/upload; Max-Age=0;"), "{taken_away}");
    assert!(!page(&look(&daemon, &place, &[]).await, 200).contains("page?token="));
    // What is made up shows nothing, and a token that is none is not shown as one.
    let forged = format!("/upload?done={},nothing.png,..%2F..", images[0]);
    let cookie = sent.cookie().replace(&tokens[0], "0b8b6a2e-6f0d-4f6c-9a6e-3f1a6f7f5b11");
    let text = page(&look(&daemon, &forged, &[("cookie", &cookie)]).await, 200);
    assert!(!text.contains("page?token=") && text.contains(&images[0]), "{text}");
}

#[tokio::test]
async fn what_is_refused_is_told_beside_the_form() {
    let daemon = start(Wishes { settings: vec![("images.max_bytes", "1 KiB")], ..Wishes::default() }).await;
    for (files, status, words) in [
        (vec![("a.txt", b"no picture at all, whatever it is called".to_vec())], 415, "no image of a format"),
        (vec![("big.png", png(200, 200))], 413, "too large"),
        (vec![], 400, "form is not valid"),
    ] {
        let answer = send_files(&daemon, "/upload", "", &files).await;
        let text = page(&answer, status);
        assert!(
            text.contains("role=\"alert\"") && text.contains(words) && text.contains("id=\"upload\""),
            "{text}"
        );
    }
    assert!(daemon.get("/images/").await.json(200).as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_that_means_harm_is_text_on_every_page() {
    let daemon = start(Wishes::default()).await;
    let place = led_to(&send_files(&daemon, "/upload", "", &[(HOSTILE, png(9, 9))]).await);
    let name = uploaded(&place).swap_remove(0);
    for path in [place, "/images/".to_owned(), format!("/images/{name}/page")] {
        let text = page(&look(&daemon, &path, &[]).await, 200);
        for harm in ["<script>", "<b onload"] {
            assert!(!text.contains(harm), "{path}: {text}");
        }
        assert!(text.contains("&#60;script&#62;alert(1)"), "{path}: {text}");
        // Where the name stands as text, what turns around ends with it.
        for part in text.split("gnp.png").skip(1) {
            let ends = ["</bdi>", "</title>", "\"", " ·", "](", "&#", "\u{202c}"];
            assert!(ends.iter().any(|end| part.starts_with(end)), "{path}: {part:.60}");
        }
    }
}

#[tokio::test]
async fn the_gallery_has_pages_and_shows_each_their_own() {
    let daemon = start(Wishes::default()).await;
    let (_, ann) = user(&daemon, "Ann").await;
    for name in ["a.png", "b.png", "c.png"] {
        led_to(&send_files(&daemon, "/upload", &ann, &[(name, png(9, 9))]).await);
    }
    led_to(&send_files(&daemon, "/upload", "", &[("nobodys.png", png(9, 9))]).await);
    let text = in_both(&daemon, "/images/", "", "Images that nobody owns", "Изображения без владельца").await;
    assert!(text.contains("nobodys.png") && !text.contains("a.png<"), "{text}");
    let first = page(&look(&daemon, "/images/?limit=2", &[("cookie", &ann)]).await, 200);
    assert!(first.contains("c.png") && first.contains("b.png") && !first.contains("a.png<"), "{first}");
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let next = next.replace("&#38;", "&").replace("&amp;", "&");
    let second = page(&look(&daemon, &format!("/images/{next}"), &[("cookie", &ann)]).await, 200);
    assert!(second.contains(">a.png<") && !second.contains("rel=\"next\""), "{second}");
    // The same path is JSON to programs, and its link without the slash too.
    let json = daemon.get("/images/").await;
    assert_eq!((json.json(200).as_array().unwrap().len(), json.header("vary")), (1, "accept"));
    page(&look(&daemon, "/images", &[]).await, 200);
}

#[tokio::test]
async fn an_image_is_bytes_at_its_name_and_a_page_beside_it() {
    let daemon = start(Wishes::default()).await;
    let place = led_to(&send_files(&daemon, "/upload", "", &[("cat.png", png(31, 17))]).await);
    let name = uploaded(&place).swap_remove(0);
    let bytes = look(&daemon, &format!("/images/{name}"), &[]).await;
    assert_eq!(bytes.header("content-type"), "image/png");
    let path = format!("/images/{name}/page");
    let text = in_both(&daemon, &path, "", "31 × 17 pixels", "31 × 17 пикселей").await;
    let small = led_to(&send_files(&daemon, "/upload", "", &[("dot.png", png(1, 1))]).await);
    let small = format!("/images/{}/page", uploaded(&small)[0]);
    in_both(&daemon, &small, "", "1 × 1 pixels", "1 × 1 пиксель<").await;
    assert!(text.contains("<h1><bdi>cat.png</bdi></h1>"), "{text}");
    problem_page(&look(&daemon, "/images/none.png/page", &[]).await, Code::ImageNotFound);
}

#[tokio::test]
async fn an_image_is_deleted_by_its_owner_or_its_token_and_nobody_else() {
    let daemon = start(Wishes::default()).await;
    let (_, ann) = user(&daemon, "Ann").await;
    let (_, bob) = user(&daemon, "Bob").await;
    let name = uploaded(&led_to(&send_files(&daemon, "/upload", &ann, &[("a.png", png(9, 9))]).await))
        .swap_remove(0);
    let own_page = format!("/images/{name}/page");
    for (cookie, told) in [("", false), (bob.as_str(), false), (ann.as_str(), true)] {
        let text = page(&look(&daemon, &own_page, &[("cookie", cookie)]).await, 200);
        assert_eq!(text.contains("<bdi>Ann</bdi></a>"), told, "whose it is: {text}");
        assert_eq!(text.contains("<dt>Owner</dt>"), told, "{text}");
    }
    let path = format!("/images/{name}/delete");
    problem_page(&send(&daemon, &path, "", &[]).await, Code::Unauthenticated);
    assert!(page(&send(&daemon, &path, &bob, &[]).await, 403).contains("role=\"alert\""));
    let asked = page(&send(&daemon, &path, &ann, &[]).await, 200);
    assert!(asked.contains("name=\"sure\" value=\"yes\"") && asked.contains("<bdi>a.png</bdi>"), "{asked}");
    assert_eq!(daemon.get(&format!("/images/{name}")).await.status, 200, "nothing is gone before the answer");
    assert_eq!(led_to(&send(&daemon, &path, &ann, &[("sure", "yes")]).await), "/images/?done=deleted");
    daemon.get(&format!("/images/{name}")).await.problem(Code::ImageNotFound);

    let sent = send_files(&daemon, "/upload", "", &[("b.png", png(9, 9))]).await;
    let (name, token) = (uploaded(&led_to(&sent)).swap_remove(0), tokens(&sent).swap_remove(0));
    let form = page(&look(&daemon, &format!("/images/{name}/page?token={token}"), &[]).await, 200);
    assert!(form.contains(&format!("value=\"{token}\"")), "{form}");
    let path = format!("/images/{name}/delete");
    let wrong = "0b8b6a2e-6f0d-4f6c-9a6e-3f1a6f7f5b11";
    let refused = page(&send(&daemon, &path, &bob, &[("token", wrong)]).await, 403);
    assert!(refused.contains("role=\"alert\"") && refused.contains("Check the token"), "{refused}");
    assert!(!refused.contains("Only the owner"), "{refused}");
    let asked = page(&send(&daemon, &path, "", &[("token", &token)]).await, 200);
    assert!(asked.contains(&format!("name=\"token\" value=\"{token}\"")), "{asked}");
    led_to(&send(&daemon, &path, "", &[("token", &token), ("sure", "yes")]).await);
    daemon.get(&format!("/images/{name}")).await.problem(Code::ImageNotFound);
}

#[tokio::test]
async fn programs_of_people_get_settings_that_upload_here_and_hold_no_secret() {
    let daemon = start(Wishes::default()).await;
    let (_, ann) = user(&daemon, "Ann").await;
    for (cookie, proof) in [("", false), (ann.as_str(), true)] {
        let with: Vec<_> =
            [("cookie", cookie)].into_iter().filter(|(_, cookie)| !cookie.is_empty()).collect();
        let settings = look(&daemon, "/upload/gristmill.sxcu", &with).await;
        assert!(settings.header("content-disposition").contains("gristmill.sxcu"));
        let settings = settings.json(200);
        assert_eq!(settings["RequestURL"], daemon.url("/upload"));
        assert_eq!(settings["Headers"]["Authorization"] == "Bearer YOUR-TOKEN", proof, "{settings}");
        let text = page(&look(&daemon, "/upload", &with).await, 200);
        assert_eq!(text.contains("YOUR-TOKEN"), proof, "{text}");
    }
    // What the settings name is there.
    let sent = daemon.send_photos(&[("a.png", png(9, 9))], None).await.json(201);
    for member in ["url", "thumbnail_url", "delete_token"] {
        assert!(sent[member].is_string(), "{sent}");
    }
}
