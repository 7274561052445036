//! The page of the API's document, and what it is made of.

use std::io::Read;

use gristmill::http::Code;

use crate::harness::{Wishes, start};
use crate::pages::{look, page};

#[tokio::test]
async fn the_page_is_there_with_all_that_it_names_and_the_other_addresses_lead_to_it() {
    let daemon = start(Wishes::default()).await;
    for path in ["/swagger", "/swagger/", "/swagger-ui/"] {
        let led = daemon.get(path).await;
        assert_eq!((led.status, led.header("location")), (308, "/swagger-ui"), "{path}");
    }
    let text = page(&look(&daemon, "/swagger-ui", &[]).await, 200);
    let files: Vec<&str> =
        text.split("\"/swagger-ui/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(files.len(), 3, "{text}");
    for file in files {
        let file = daemon.get(&format!("/swagger-ui/{file}")).await;
        assert_eq!((file.status, file.header("x-content-type-options")), (200, "nosniff"));
        assert!(file.body.len() > 100);
    }
    for none in ["index.html", "swagger-initializer.js", "..%2fdist%2findex.html", "%00"] {
        daemon.get(&format!("/swagger-ui/{none}")).await.problem(Code::NotFound);
    }
}

#[tokio::test]
async fn who_reads_gzip_gets_the_archives_own_bytes_and_nobody_gets_them_twice() {
    let daemon = start(Wishes::default()).await;
    let path = "/swagger-ui/swagger-ui-bundle.js";
    let plain = daemon.get(path).await;
    let packed = daemon.ask("GET", path, |request| request.header("accept-encoding", "gzip, br")).await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"));
    assert_eq!((packed.header("vary"), plain.header("content-encoding")), ("accept-encoding", ""));
    let mut read = Vec::new();
    flate2::read::GzDecoder::new(&*packed.body).read_to_end(&mut read).unwrap();
    assert!(read == plain.body, "the two forms differ");
    assert!(packed.body.len() * 3 < plain.body.len());
    let etag = packed.header("etag").to_owned();
    assert_ne!(etag, plain.header("etag"), "each form has a tag of its own");
    let again = daemon
        .ask("GET", path, |request| {
            request.header("accept-encoding", "gzip").header("if-none-match", etag.clone())
        })
        .await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, &*etag));
}
