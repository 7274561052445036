//! Names of files that are paths, commands, headers or pages: whatever a file is called, its name here is ours, and the
//! text that is kept of theirs is harmless wherever it is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::requests::raw;
use super::{Answer, Somebody, Target, answer, files_in, make};

/// What they call their files.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "../../../../../../attack-evil.png",
        "..\\..\\..\\attack-evil.png",
        "/etc/cron.d/attack-evil",
        "C:\\Windows\\attack-evil.png",
        "..%2f..%2fattack-evil.png",
        "%00.png",
        "a\0attack-evil.png",
        "...",
        "..",
        ".",
        "",
        " ",
        "attack-evil.png. . .",
        ".htaccess",
        "CON",
        "a\u{202e}gnp.exe",
        "\u{feff}\u{200f}a.png",
        "<script>alert(1)</script>.png",
        "\"><img src=x onerror=alert(1)>.png",
        "a.png\r\nSet-Cookie: attack=1\r\n\r\n<script>",
        "a.png\nError: forged line",
        "a\u{1b}[2J\u{1b}]0;title\u{7}.png",
        "a\u{85}\u{2028}\u{2029}forged.png",
        "$(id).png",
        "`id`.png",
        "|id",
        "-rf",
        "'; DROP TABLE tasks; --.png",
        "{{7*7}}${7*7}.png",
        "\\\";filename=other.png",
        "a;b=c.png",
        "%s%n%x.png",
        "photo.png.php",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(format!("{}.png", "a".repeat(300)));
    names.push("ж".repeat(300));
    names.push("e\u{301}".repeat(200));
    names
}

/// The name in a form's header, as it may stand there: quoted, and what ends a line as browsers write it.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn percent(name: &str) -> String {
    name.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"))
}

/// A form of one file with this behind `name="file"; `.
async fn in_form(target: &Target, said: &str, file: &[u8]) -> Answer {
    let head = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; {said}\r\nContent-Type: image/png\r\n\r\n"
    );
    let body = [head.as_bytes(), file, b"\r\n--b--\r\n"].concat();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        target.daemon.address,
        body.len()
    );
    raw(target, &[head.as_bytes(), &body].concat()).await
}

/// All of them, in all the places where a name can stand.
pub(super) async fn every_name_by_every_way(target: &Target) {
    let eve = target.somebody(120);
    let file = make::png(9, 7, false);
    let mut taken = 0;
    for name in &names() {
        let post = |query: &[(&str, &str)]| {
            let url = url::Url::parse_with_params(&eve.at("/upload"), query).unwrap();
            eve.client.post(url).header("content-type", "image/png").body(file.clone())
        };
        let text = STANDARD.encode(&file);
        let mut answers = vec![
            ("the form", in_form(target, &format!("filename=\"{}\"", escaped(name)), &file).await),
            ("the form, bare", in_form(target, &format!("filename=\"{name}\""), &file).await),
            (
                "the form, extended",
                in_form(target, &format!("filename=\"a.png\"; filename*=UTF-8''{}", percent(name)), &file)
                    .await,
            ),
            (
                "the form, both",
                in_form(target, &format!("filename*=UTF-8''{}; filename=\"a.png\"", percent(name)), &file)
                    .await,
            ),
            ("the query", answer(post(&[("filename", name)])).await),
            ("the header", answer(post(&[]).header("x-filename", percent(name))).await),
            ("the disposition", {
                let said = format!("attachment; filename*=UTF-8''{}", percent(name));
                answer(post(&[]).header("content-disposition", said)).await
            }),
            (
                "JSON",
                answer(eve.client.post(eve.at("/upload")).json(&json!({"image": text, "filename": name})))
                    .await,
            ),
        ];
        // What ends the header ends the form, which is refused then.
        for (place, answer) in &mut answers {
            let broken =
                place.starts_with("the form") && answer.status == 400 && answer.code() == "invalid_form";
            assert!(answer.status == 201 || broken, "{name:?} in {place}: {answer:?}");
            if answer.status == 201 {
                taken += 1;
                harmless(&eve, &answer.body, &format!("{name:?} in {place}")).await;
            }
        }
    }
    assert!(taken > names().len() * 6, "{taken} were taken");
    strange_headers(target, &file).await;
    nothing_escaped(target);
}

/// Extended names that are wrong: taken by another name, or refused as a form.
async fn strange_headers(target: &Target, file: &[u8]) {
    for said in [
        "filename*=UTF-8''%ff%fe.png",
        "filename*=ISO-8859-1''%e4.png",
        "filename*=nonsense",
        "filename*=UTF-8''%zz",
        "filename*=''",
        "filename=unquoted name.png",
        "filename=\"one.png\"; filename=\"two.png\"",
        "filename=\"never ends",
        "filename",
        "filename=\"a.png\"; name=\"other\"",
    ] {
        let told = in_form(target, said, file).await;
        assert!([201, 400].contains(&told.status), "{said}: {told:?}");
    }
}

/// The name is ours, and theirs is text of one line that no place can mistake for something else.
async fn harmless(eve: &Somebody, image: &Value, what: &str) {
    let ours = image["filename"].as_str().unwrap();
    let (stem, extension) = ours.split_at(22);
    assert!(stem.bytes().all(|byte| byte.is_ascii_alphanumeric()) && extension == ".png", "{what}: {ours}");
    assert_eq!(image["url"], eve.at(&format!("/images/{ours}")), "{what}");
    let theirs = image["original_name"].as_str().unwrap();
    let line = |c: char| {
        c.is_control() || matches!(c, '/' | '\\' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}')
    };
    assert!(!theirs.is_empty() && theirs.len() <= 255 && !theirs.contains(line), "{what}: {theirs:?}");
    let got = eve.client.get(eve.at(&format!("/images/{ours}"))).send().await.unwrap();
    let header = |name: &str| got.headers()[name].to_str().unwrap().to_owned();
    let said = header("content-disposition");
    let (inline, rest) = said.split_once("; filename=\"").unwrap();
    let (ascii, extended) = rest.split_once("\"; filename*=UTF-8''").unwrap();
    assert_eq!(inline, "inline", "{what}");
    assert!(!ascii.contains(['"', '\\', '/']) && ascii.is_ascii(), "{what}: {said}");
    assert!(
        extended.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"';,\\/<>".contains(&byte)),
        "{what}: {said}"
    );
    assert!(!got.headers().contains_key("set-cookie"), "{what}");
    assert_eq!(
        (header("content-type"), header("x-content-type-options")),
        ("image/png".into(), "nosniff".into())
    );
    assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox", "{what}");
}

/// The log has a line for each and no other, and no file bears a name of theirs.
fn nothing_escaped(target: &Target) {
    for line in target.read("data/app.log").lines() {
        let begun = line.starts_with('[') && (line.contains("] Success: ") || line.contains("] Error: "));
        assert!(begun && !line.contains(char::is_control), "{line:?}");
        assert!(!line.contains(['\u{2028}', '\u{2029}', '\u{202e}']), "{line:?}");
    }
    for file in files_in(target.folder.path()) {
        assert!(!file.to_string_lossy().contains("evil"), "{}", file.display());
    }
    assert!(!std::path::Path::new("/attack-evil.png").exists());
}
