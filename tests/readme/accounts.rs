//! `gristmill user`: before the daemon was ever started, beside it, and after it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Daemon, gristmill};

/// Runs the command with a line on its standard input; its exit code, and what it said and complained of.
fn with_input(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gristmill"))
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

fn add(folder: &Path, arguments: &[&str]) -> Value {
    let all = [&["user", "add", "--json"], arguments].concat();
    let (code, said) = with_input(folder, &all, "correct horse\n");
    assert_eq!(code, Some(0), "{all:?}: {said}");
    serde_json::from_str(&said).unwrap()
}

fn list(folder: &Path) -> Vec<(i64, String)> {
    let (code, said) = gristmill(folder, &["user", "list", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let users: Vec<Value> = serde_json::from_str(&said).unwrap();
    users
        .iter()
        .map(|user| (user["id"].as_i64().unwrap(), user["role"].as_str().unwrap().to_owned()))
        .collect()
}

/// What both ways must do alike, on the users that are there.
fn goes_well(folder: &Path, email: &str) -> (Value, Value) {
    let before = list(folder);
    let eve = add(folder, &["--admin", "--email", email, "--password-stdin"]);
    let bob = add(folder, &["--name", "Bob"]);
    assert_eq!((eve["role"].as_str(), bob["role"].as_str()), (Some("admin"), Some("user")));
    let id = bob["id"].to_string();
    let (code, said) = gristmill(folder, &["user", "add", "--email", email]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("with this e-mail exists already"), "{said}");
    let (code, said) = gristmill(folder, &["user", "token", &id, "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let renewed: Value = serde_json::from_str(&said).unwrap();
    assert_ne!(renewed["token"], bob["token"]);
    let gone = add(folder, &["--name", "Gone"])["id"].to_string();
    let (code, said) = gristmill(folder, &["user", "delete", &gone]);
    assert_eq!(code, Some(0), "{said}");
    for arguments in
        [&["user", "delete", &gone][..], &["user", "role", &gone, "admin"], &["user", "token", "99999"]]
    {
        let (code, said) = gristmill(folder, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("there is no user"), "{arguments:?}: {said}");
    }
    let (code, said) = gristmill(folder, &["user", "role", &id, "admin"]);
    assert_eq!(code, Some(0), "{said}");
    let role = |user: &Value| (user["id"].as_i64().unwrap(), "admin".to_owned());
    assert_eq!(list(folder), [before, vec![role(&eve), role(&bob)]].concat());
    (eve, renewed)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_admin_is_made_before_the_start_and_beside_the_daemon_alike() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (first, _) = goes_well(folder, "first@example.com");
    let secrets = folder.join("data/operator.token");
    assert!(!secrets.exists());

    let mut daemon = Daemon::start(folder);
    let (second, renewed) = goes_well(folder, "second@example.com");
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{}{path}", daemon.address);
    for admin in [&first, &second, &renewed] {
        let users = client.get(url("/users")).bearer_auth(admin["token"].as_str().unwrap());
        let users: Vec<Value> = users.send().await.unwrap().json().await.unwrap();
        assert!(users.iter().all(|user| user["role"].is_string()), "seen by an admin: {users:?}");
    }
    let login = json!({"email": "second@example.com", "password": "correct horse"});
    let login = client.post(url("/login")).json(&login).send().await.unwrap();
    assert_eq!(login.status(), 200);
    // The operator's token is nobody's behind a proxy.
    let text = std::fs::read_to_string(&secrets).unwrap();
    let token = text.trim().split_once(' ').unwrap().1;
    let forwarded = client.get(url("/tasks")).bearer_auth(token).header("x-forwarded-for", "127.0.0.1");
    assert_eq!(forwarded.send().await.unwrap().status(), 401);
    assert_eq!(client.get(url("/tasks")).bearer_auth(token).send().await.unwrap().status(), 200);

    let pid = daemon.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(daemon.child.wait().unwrap().success());
    assert!(!secrets.exists(), "a clean end takes it away");
    goes_well(folder, "third@example.com");
}

#[test]
fn a_user_who_cannot_be_is_a_wrong_command_line() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, input, told) in [
        (&["user", "add"][..], "", "--name"),
        (&["user", "add", "--email", "nobody"], "", "no e-mail address"),
        (&["user", "add", "--name", ""], "", "a name has 1 to 100 characters"),
        (&["user", "add", "--name", "Ann", "--password-stdin"], "short\n", "password"),
        (&["user", "role", "1", "root"], "", "`root` is no role"),
    ] {
        let (code, said) = with_input(folder.path(), arguments, input);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
    assert!(!folder.path().join("data").exists(), "nothing was opened");
}
