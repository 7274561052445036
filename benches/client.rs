//! A small HTTP/1.1 client on a kept connection: just enough to load the daemon without costing more than it does.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request as its bytes.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    with_body(method, path, headers, body.as_bytes())
}

/// The same, whose body is any bytes.
pub fn with_body(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

impl Client {
    pub async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 64 * 1024] })
    }

    /// Sends, and reads the whole answer: its status, and its body.
    pub async fn send(&mut self, request: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            let seen = &self.buffer[..filled];
            let Some(head) = seen.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&seen[..head]).unwrap();
            let status = text[9..12].parse().unwrap();
            let length: usize = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            let end = head + 4 + length;
            if filled >= end {
                return Ok((status, seen[head + 4..end].to_vec()));
            }
            if self.buffer.len() < end {
                self.buffer.resize(end, 0);
            }
        }
    }
}
