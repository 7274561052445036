//! The password: in no log line, error, health line or `Debug`, whatever goes wrong.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gristmill::broker::Broker;
use gristmill::clock::Clock;
use gristmill::telemetry::Health;
use tracing_subscriber::fmt::MakeWriter;

use crate::node::{Ours, fresh, settings, shared, shared_ctl};

/// Everything that is logged in this process.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Heard {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_is_told_nowhere() {
    const SECRET: &str = "Xk7-sesame-91";
    let heard = Heard::default();
    let subscriber =
        tracing_subscriber::fmt().with_writer(heard.clone()).with_env_filter("off,gristmill=trace").finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (user, vhost) = (fresh("user"), fresh("vhost"));
    shared_ctl(&["add_user", &user, SECRET]);
    shared_ctl(&["set_permissions", &user, ".*", ".*", ".*"]);
    let closed = fresh("closed");
    shared_ctl(&["add_vhost", &closed]);
    let host = shared().split_once('@').unwrap().1.to_owned();

    let mut lines = Vec::new();
    // Let in; a wrong password; no such vhost; one for others; nobody there; no such host.
    let good = Ours::at(&format!("amqp://{user}:{SECRET}@{host}"), &[]).await;
    lines.push(good.line());
    for url in [
        format!("amqp://{user}:{SECRET}-wrong@{host}"),
        format!("amqp://{user}:{SECRET}@{host}/{vhost}"),
        format!("amqp://{user}:{SECRET}@{host}/{closed}"),
        format!("amqp://{user}:{SECRET}@127.0.0.1:1"),
        format!("amqp://{user}:{SECRET}@no-such-host.invalid"),
    ] {
        let settings = settings(&url, &[]);
        lines.push(format!("{settings:?} {}", settings.url.as_ref().unwrap()));
        let ours = Ours::begin(&url, &[]);
        ours.until_line_has("\"down\"").await;
        lines.push(ours.line());
        lines.push(ours.broker.until_up(Duration::from_millis(1)).await.unwrap_err());
        lines.push(ours.broker.queue("q").await.unwrap_err().to_string());
        lines.push(format!("{:?}", ours.broker.can_publish().unwrap_err()));
        ours.broker.close().await;
    }
    good.broker.close().await;

    // The same from a file, and one that is missing.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let from_file =
        Ours::at(&format!("amqp://{user}@{host}"), &[("PASSWORD_FILE", file.to_str().unwrap())]).await;
    lines.push(from_file.line());
    let missing = folder.path().join("nowhere");
    for (path, text) in [(&missing, "No such file"), (&file, "is empty")] {
        if path == &file {
            std::fs::write(&file, "\n").unwrap();
        }
        let settings =
            settings(&format!("amqp://{user}@{host}"), &[("PASSWORD_FILE", path.to_str().unwrap())]);
        let refused =
            Broker::start(&settings, Health::new(), Clock::system()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(path.to_str().unwrap()) && refused.contains(text), "{refused}");
        lines.push(refused);
    }

    let log = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("connected to the broker") && log.contains("no connection to the broker"), "{log}");
    for line in &lines {
        assert!(!line.contains(SECRET), "{line}");
    }
    assert!(!log.contains(SECRET), "{log}");
    // And the reasons name no user either.
    for line in lines
        .iter()
        .filter(|line| !line.starts_with("BrokerSettings"))
        .map(String::as_str)
        .chain([log.as_str()])
    {
        assert!(!line.contains(&user), "{line}");
    }
    for reason in ["ACCESS_REFUSED", "not found", "refused for this user", "Connection refused"] {
        assert!(lines.iter().any(|line| line.contains(reason)), "{reason} in {lines:#?}");
    }
}
