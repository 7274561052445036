//! Sockets that are handed over, by the program that systemd has for trying that.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

use crate::common::eventually;

/// `systemd-socket-activate`, and the daemon that it becomes with the first connection.
struct Activated {
    child: Child,
    folder: TempDir,
}

impl Activated {
    async fn by(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("systemd-socket-activate");
        command
            .args(arguments)
            .arg(format!("--setenv=STATE_DIRECTORY={}", folder.path().join("state").display()))
            // It would be another address, and callers without proof would be let in.
            .arg("--setenv=GRISTMILL__HTTP__BIND=127.0.0.1:1")
            .args([env!("CARGO_BIN_EXE_gristmill"), "serve"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("systemd-socket-activate: {error}; Debian, Ubuntu: apt install systemd")
        });
        let activated = Self { child, folder };
        eventually("it to listen", async || activated.log().contains("Listening on").then_some(())).await;
        activated
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// That it ends with 2, and says this.
    async fn refuses(mut self, words: &str) {
        let child = Mutex::new(&mut self.child);
        let ended = eventually("it to refuse", async || child.lock().unwrap().try_wait().unwrap()).await;
        assert_eq!(ended.code(), Some(2), "{}", self.log());
        assert!(self.log().contains(words), "{}", self.log());
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks on a connection of its own, and gives the answer.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    connection
        .write_all(format!("{request}\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn the_first_connection_waits_for_the_daemon_and_the_socket_decides_who_is_let_in() {
    // On all addresses, IPv4 as well: where `http.bind` is a loopback address, tasks are taken without proof.
    let port = free_port();
    let daemon = Activated::by(&["-l", &format!("[::]:{port}")]).await;
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let answer = ask(here, "GET /health/live HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = ask(here, "POST /tasks HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let log = daemon.log();
    assert!(log.contains(&format!("\"at\":\"[::]:{port}\"")) && log.contains("not on `http.bind`"), "{log}");
}

#[tokio::test]
async fn where_the_socket_is_on_loopback_callers_are_let_in_as_ever() {
    let port = free_port();
    let _daemon = Activated::by(&["-l", &format!("127.0.0.1:{port}")]).await;
    let answer = ask(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "POST /tasks HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test]
async fn what_is_no_listening_tcp_socket_is_refused_with_what_to_change() {
    let (one, two) = (free_port(), free_port());
    let several =
        Activated::by(&["-l", &format!("127.0.0.1:{one}"), "-l", &format!("127.0.0.1:{two}")]).await;
    let _knock = TcpStream::connect((Ipv4Addr::LOCALHOST, one)).unwrap();
    several.refuses("2 sockets were handed over (LISTEN_FDS), and the daemon listens on one").await;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let local = Activated::by(&["-l", path.to_str().unwrap()]).await;
    let _knock = UnixStream::connect(&path).unwrap();
    local.refuses("is no TCP socket: have ListenStream=ADDRESS:PORT").await;

    let port = free_port();
    let packets = Activated::by(&["--datagram", "-l", &format!("127.0.0.1:{port}")]).await;
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"knock", (Ipv4Addr::LOCALHOST, port)).unwrap();
    packets.refuses("is no TCP socket").await;
}

#[tokio::test]
async fn a_connection_instead_of_the_socket_is_refused_too() {
    let port = free_port();
    let each = Activated::by(&["--accept", "-l", &format!("127.0.0.1:{port}")]).await;
    let _knock = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    eventually("the daemon to refuse", async || {
        each.log().contains("does not listen: have Accept=no").then_some(())
    })
    .await;
}
