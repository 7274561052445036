//! Profiles: kept, used, refused; and where tokens go, and do not.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use crate::fake::serve;
use crate::world::{Said, World, bare, said};

/// The program in that folder with something on standard input.
fn fed(folder: &std::path::Path, arguments: &[&str], input: &str) -> Said {
    let mut child = bare(folder, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may not want to read.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_profile_says_where_and_as_whom() {
    let world = World::with(&[("GRISTMILL__AUTH__ANONYMOUS", "false")]);
    let (ann, token) = world.user(&[]);
    let folder = world.folder.path();
    let (url, user) = (world.url(), ann.to_string());
    let added =
        fed(folder, &["profile", "add", "home", "--url", &url, "--user", &user], &format!("{token}\n"));
    assert!(!format!("{added:?}").contains(&token), "{added:?}");
    assert!(added.done().ends_with(", and in use\n"));
    let file = folder.join(".config/gristmill/profiles.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let run = |arguments: &[&str]| said(&mut bare(folder, arguments));
    assert_eq!(run(&["submit", "-q", "--wait"]).code, Some(0));
    assert_eq!(run(&["tasks", "--json"]).json()[0]["owner"], json!(ann));
    assert_eq!(run(&["report", "-q"]).done(), format!("report-{ann}.pdf\n"), "about whom, the profile knows");

    fed(folder, &["profile", "add", "away", "--url", "http://127.0.0.1:1", "--no-token"], "").done();
    let listed = run(&["profile", "list", "--json"]);
    assert_eq!(
        listed.json(),
        [
            json!({"name": "home", "url": url, "user": ann, "token": true, "use": true}),
            json!({"name": "away", "url": "http://127.0.0.1:1", "user": null, "token": false, "use": false}),
        ]
    );
    let table = run(&["profile", "list"]).done();
    assert!(table.contains("home") && table.contains("kept") && !table.contains(&token), "{table}");
    run(&["tasks", "--profile", "away"])
        .failed(1, &["nothing listens at http://127.0.0.1:1 (from the profile `away`)"]);
    said(bare(folder, &["tasks"]).env("GRISTMILL_PROFILE", "away")).failed(1, &["the profile `away`"]);
    run(&["profile", "use", "away"]).done();
    run(&["tasks"]).failed(1, &["the profile `away`"]);
    said(bare(folder, &["tasks", "--profile", "home"]).env("GRISTMILL_URL", "http://127.0.0.1:1")).done();
    run(&["profile", "remove", "home"]).done();
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&token));
    run(&["tasks", "--profile", "home"]).failed(2, &["there is no profile `home`", "there are: away"]);
    run(&["profile", "remove", "home"]).failed(2, &["there is no profile `home`"]);
}

#[test]
fn what_is_no_profile_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let add = |url: &str, input: &str| fed(folder.path(), &["profile", "add", "a", "--url", url], input);
    add("http://127.0.0.1:1", "").failed(2, &["no token came", "--no-token"]);
    add("http://127.0.0.1:1", "secret-word\n").failed(2, &["no token", "a UUID"]);
    add("127.0.0.1", "").failed(2, &["--url 127.0.0.1"]);
    add("http://ann:pw@h/", "").failed(2, &["a user or a password"]);
    assert!(!folder.path().join(".config/gristmill/profiles.toml").exists());
    let token = "3b1d3c5e-0c4f-4d39-9a51-7e1f6f0f2f7a";
    let warned = add("http://jobs.example.com", token);
    assert!(warned.err.contains("unencrypted") && !warned.err.contains(token), "{warned:?}");
    warned.done();
    let file = folder.path().join(".config/gristmill/profiles.toml");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let told = said(&mut bare(folder.path(), &["tasks"]));
    assert!(!told.err.contains(token));
    told.failed(2, &["can be read by others, and holds tokens", "chmod 600"]);
    // A slip of the pen must not make of somebody nobody.
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let text = std::fs::read_to_string(&file).unwrap().replace("token =", "tokn =");
    std::fs::write(&file, text).unwrap();
    let told = said(&mut bare(folder.path(), &["tasks"]));
    assert!(!told.err.contains(token));
    told.failed(2, &["the profile `a` has a key `tokn`", "url, token, user"]);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    said(&mut bare(folder.path(), &["tasks"])).failed(2, &["profiles.toml is no file"]);
    // What is said of an address is seen by others.
    let told = said(&mut bare(folder.path(), &["tasks", "--url", "http://ann:hunter2@127.0.0.1:1"]));
    assert!(!told.err.contains("hunter2"), "{told:?}");
    told.failed(2, &["the URL from --url holds a user or a password"]);
}

#[test]
fn a_token_goes_where_it_belongs_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, heard_mine) = serve(|asked| asked.answer(200, "", "[]"));
    let (other, heard_other) = serve(|asked| asked.answer(200, "", "[]"));
    let token = "3b1d3c5e-0c4f-4d39-9a51-7e1f6f0f2f7a";
    fed(folder.path(), &["profile", "add", "mine", "--url", &mine], token).done();
    said(&mut bare(folder.path(), &["tasks"])).done();
    assert!(heard_mine.lock().unwrap()[0].contains(&format!("authorization: bearer {token}")));
    said(&mut bare(folder.path(), &["tasks", "--url", &other])).done();
    said(bare(folder.path(), &["tasks"]).env("GRISTMILL_URL", &other)).done();
    let heard = heard_other.lock().unwrap().join("\n");
    assert!(heard.matches("GET /tasks").count() == 2 && !heard.contains("authorization"), "{heard}");
    // Who names a token by itself means it for whatever address there is.
    let own = "11111111-2222-4333-8444-555555555555";
    said(bare(folder.path(), &["tasks"]).env("GRISTMILL_TOKEN", own)).done();
    assert!(heard_mine.lock().unwrap()[1].contains(own));
}
