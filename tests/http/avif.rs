//! AVIF, which is taken where `images.formats` has it.

use gristmill::http::Code;
use gristmill::media::image::DecoderProcess;
use serde_json::json;

use crate::harness::{Wishes, start};
use crate::photos::pixels;
use crate::wav::path_of;

/// Of 43 by 29, to be turned, with a place and texts.
const TOLD: &[u8] = include_bytes!("../../src/media/image/tests/avif/told.avif");
const FILM: &[u8] = include_bytes!("../../src/media/image/tests/avif/film.avif");

#[tokio::test]
async fn an_avif_is_taken_stripped_served_and_made_smaller_where_the_settings_have_it() {
    DecoderProcess::is_program(env!("CARGO_BIN_EXE_gristmill").into());
    let settings = vec![("images.formats", "jpeg, png, avif")];
    let daemon = start(Wishes { settings, ..Wishes::default() }).await;
    let made = daemon.send_photos(&[("cat.avif", TOLD.to_vec())], None).await;
    let image = made.json(201);
    assert_eq!((&image["format"], &image["frames"]), (&json!("avif"), &json!(1)));
    assert_eq!((&image["width"], &image["height"]), (&json!(29), &json!(43)), "upright");
    assert_eq!(image["removed"], json!(["exif", "gps", "xmp"]));
    assert!(image["filename"].as_str().unwrap().ends_with(".avif"), "{image}");
    assert!(!image["thumbhash"].as_str().unwrap().is_empty());

    let answer = daemon.get(&path_of(image["url"].as_str().unwrap())).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/avif"));
    assert!(answer.body.len() < TOLD.len() && answer.body[4..].starts_with(b"ftypavif"));
    assert!(!answer.body.windows(6).any(|word| word == b"secret"));

    let thumbnail = daemon.get(&path_of(image["thumbnail_url"].as_str().unwrap())).await;
    assert_eq!((thumbnail.status, thumbnail.header("content-type")), (200, "image/jpeg"));
    assert_eq!((pixels(&thumbnail.body).width(), pixels(&thumbnail.body).height()), (29, 43));
    let variant = format!("{}?h=64&format=png", path_of(image["url"].as_str().unwrap()));
    let variant = daemon.get(&variant).await;
    assert_eq!((variant.status, variant.header("content-type")), (200, "image/png"));
    assert_eq!(pixels(&variant.body).height(), 43, "never larger than it is");

    daemon.send_photos(&[("film.avif", FILM.to_vec())], None).await.problem(Code::UnsupportedImage);
    let cut = TOLD[..TOLD.len() - 9].to_vec();
    daemon.send_photos(&[("cut.avif", cut)], None).await.problem(Code::DamagedImage);
}

#[tokio::test]
async fn an_avif_is_named_and_refused_where_the_settings_leave_it_out() {
    let daemon = start(Wishes::default()).await;
    let told = daemon.send_photos(&[("cat.avif", TOLD.to_vec())], None).await;
    let told = told.problem(Code::UnsupportedImage);
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("an AVIF picture, which is not taken here: send jpeg, png or gif"), "{detail}");
    daemon.nothing_is_kept().await;
}
