//! A daemon of the test's own: answers what it is told to, and holds still where it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request: its first line, its headers in lower case, and what is still to be read.
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: BufReader<TcpStream>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|header| header.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn length(&self) -> u64 {
        self.header("content-length").map_or(0, |length| length.parse().unwrap())
    }

    /// Reads so many bytes of the body and forgets them.
    pub(crate) fn swallow(&mut self, bytes: u64) {
        let read = std::io::copy(&mut (&mut self.body).take(bytes), &mut std::io::sink()).unwrap();
        assert_eq!(read, bytes, "the body ended");
    }

    pub(crate) fn answer(mut self, status: u16, headers: &str, body: &str) {
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
            body.len()
        );
        // The other side may have had enough.
        let _ = self.body.get_mut().write_all((head + body).as_bytes());
    }
}

/// Serves until the test ends; its address, and the first lines and headers of what was asked.
pub(crate) fn serve(answer: impl Fn(Asked) + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heard, answer) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(answer));
    let tell = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, tell, answer) = (stream.unwrap(), Arc::clone(&tell), Arc::clone(&answer));
            std::thread::spawn(move || {
                let mut body = BufReader::new(stream);
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    if body.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                        break;
                    }
                    lines.push(line.trim().to_owned());
                }
                if lines.is_empty() {
                    return;
                }
                let line = lines.remove(0);
                let headers: Vec<String> = lines.into_iter().map(|line| line.to_lowercase()).collect();
                tell.lock().unwrap().push(format!("{line}\n{}", headers.join("\n")));
                answer(Asked { line, headers, body });
            });
        }
    });
    (format!("http://{address}"), heard)
}

/// One that gives the same answer to whatever is asked.
pub(crate) fn always(status: u16, headers: &'static str, body: impl Into<String>) -> String {
    let body = body.into();
    let (url, _) = serve(move |mut asked| {
        let length = asked.length();
        asked.swallow(length);
        asked.answer(status, headers, &body);
    });
    url
}
