//! The stream under lapin, with what would break it repaired on the way in.
//!
//! RabbitMQ passes on whatever bytes a producer put into a message's names; lapin ends the connection over text that is
//! not UTF-8, and its parser goes one call deeper with each table in a table. So one message could end the connection
//! for ever, since it is delivered again each time, or the process with its stack. Here such text is made readable, and
//! what is nested too deep becomes bytes, before lapin sees it. True here:
//! - Nothing changes its length: frames stay frames, and what cannot be read is passed on as it is.
//! - A message id keeps telling messages apart: one that is not UTF-8 becomes letters made from its bytes, the same ones
//!   each time.
//! - Bodies are not looked at.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::io::{AsyncRead, AsyncWrite};
use sha2::{Digest, Sha256};

/// How much is read at a time.
const READ: usize = 64 * 1024;

/// Frames above this are no heads of messages: the protocol's own limit is 128 KiB with this broker.
const LARGEST: usize = 1024 * 1024;

/// How deep tables may be nested.
const DEEPEST: u32 = 32;

/// Type, channel and size before a frame's content, and the mark after it.
const HEAD: usize = 7;
const MARK: usize = 1;

/// A stream of frames that is repaired when read.
pub(super) struct Repaired<S> {
    inner: S,
    frames: Frames,
    scratch: Vec<u8>,
}

impl<S> Repaired<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, frames: Frames::default(), scratch: vec![0; READ] }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Repaired<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let given = this.frames.give(out);
            if given > 0 {
                return Poll::Ready(Ok(given));
            }
            let read = ready!(Pin::new(&mut this.inner).poll_read(cx, &mut this.scratch))?;
            if read == 0 {
                this.frames.end();
                return Poll::Ready(Ok(this.frames.give(out)));
            }
            this.frames.feed(&this.scratch[..read]);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Repaired<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_close(cx)
    }
}

/// Cuts a stream into frames.
#[derive(Default)]
struct Frames {
    /// Arrived; not a whole frame yet.
    held: Vec<u8>,
    /// Repaired; to be given out from `given` on.
    ready: Vec<u8>,
    given: usize,
    /// Bytes still to come of a frame that is not looked at.
    passing: usize,
}

impl Frames {
    fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let rest = &mut self.held[at..];
            if self.passing > 0 {
                let pass = self.passing.min(rest.len());
                self.ready.extend_from_slice(&rest[..pass]);
                self.passing -= pass;
                at += pass;
                if self.passing > 0 {
                    break;
                }
                continue;
            }
            let Some(&[kind, _, _, a, b, c, d]) = rest.first_chunk::<HEAD>() else { break };
            let whole = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_add(HEAD + MARK);
            if !matches!(kind, METHOD | HEADER) || whole > LARGEST {
                self.passing = whole;
                continue;
            }
            let Some(frame) = rest.get_mut(..whole) else { break };
            let content = &mut frame[HEAD..whole - MARK];
            // What is no frame as we know them is lapin's to refuse.
            let _ = if kind == METHOD { repair_method(content) } else { repair_header(content) };
            self.ready.extend_from_slice(frame);
            at += whole;
        }
        self.held.drain(..at);
    }

    /// The stream has ended: what is left is no frame.
    fn end(&mut self) {
        self.ready.append(&mut self.held);
    }

    fn give(&mut self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.ready.len() - self.given);
        out[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        if self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
        }
        count
    }
}

const METHOD: u8 = 1;
const HEADER: u8 = 2;

/// The methods that come with messages: delivered, got, returned.
fn repair_method(content: &mut [u8]) -> Option<()> {
    let mut cursor = Cursor { rest: content };
    match (cursor.number16()?, cursor.number16()?) {
        (60, 60) => {
            cursor.text()?;
            cursor.skip(9)?;
        }
        (60, 71) => cursor.skip(9)?,
        (60, 50) => {
            cursor.skip(2)?;
            cursor.text()?;
        }
        _ => return None,
    }
    // Exchange and routing key.
    cursor.text()?;
    cursor.text()
}

/// The properties of a message: which are there, by the bits of a word, then each in its order.
fn repair_header(content: &mut [u8]) -> Option<()> {
    const HEADERS: u32 = 13;
    const MESSAGE_ID: u32 = 7;
    let mut cursor = Cursor { rest: content };
    cursor.skip(12)?;
    let flags = cursor.number16()?;
    for bit in (2..16).rev().filter(|bit| flags & (1 << bit) != 0) {
        match bit {
            HEADERS => cursor.table(0)?,
            // Delivery mode and priority.
            12 | 11 => cursor.skip(1)?,
            // Timestamp.
            6 => cursor.skip(8)?,
            MESSAGE_ID => distinguish(cursor.short()?),
            _ => cursor.text()?,
        }
    }
    Some(())
}

/// Goes through a frame; `None` wherever it ends too soon.
struct Cursor<'a> {
    rest: &'a mut [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a mut [u8]> {
        let rest = std::mem::take(&mut self.rest);
        let (taken, rest) = rest.split_at_mut_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    fn number16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn long(&mut self) -> Option<&'a mut [u8]> {
        let bytes = self.take(4)?;
        let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        self.take(length as usize)
    }

    fn short(&mut self) -> Option<&'a mut [u8]> {
        let length = self.take(1)?[0];
        self.take(length.into())
    }

    fn text(&mut self) -> Option<()> {
        self.short().map(make_readable)
    }

    fn table(&mut self, depth: u32) -> Option<()> {
        let mut entries = Cursor { rest: self.long()? };
        while !entries.rest.is_empty() {
            entries.text()?;
            entries.value(depth)?;
        }
        Some(())
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        let kind = self.take(1)?;
        match kind[0] {
            b'V' => Some(()),
            b't' | b'b' | b'B' => self.skip(1),
            b's' | b'u' | b'U' => self.skip(2),
            b'I' | b'i' | b'f' => self.skip(4),
            b'D' => self.skip(5),
            b'l' | b'L' | b'd' | b'T' => self.skip(8),
            b'S' | b'x' => self.long().map(|_| ()),
            b'A' | b'F' if depth >= DEEPEST => {
                // Bytes are written alike: a length, and so many of them.
                kind[0] = b'x';
                self.long().map(|_| ())
            }
            b'F' => self.table(depth + 1),
            b'A' => {
                let mut items = Cursor { rest: self.long()? };
                while !items.rest.is_empty() {
                    items.value(depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

/// Puts a question mark for each byte that is no text.
fn make_readable(bytes: &mut [u8]) {
    let mut at = 0;
    while let Err(error) = std::str::from_utf8(&bytes[at..]) {
        let from = at + error.valid_up_to();
        let to = error.error_len().map_or(bytes.len(), |length| from + length);
        bytes[from..to].fill(b'?');
        at = to;
    }
}

/// Puts letters made from all of the bytes, if they are no text.
fn distinguish(id: &mut [u8]) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if std::str::from_utf8(id).is_ok() {
        return;
    }
    let digest = Sha256::digest(&*id);
    for (byte, made) in id.iter_mut().zip(digest.iter().cycle()) {
        *byte = LETTERS[usize::from(made % 64)];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, content: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 1];
        frame.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        frame.extend(content);
        frame.push(0xce);
        frame
    }

    fn short(bytes: &[u8]) -> Vec<u8> {
        [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn long(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    fn repaired(bytes: &[u8], pieces: usize) -> Vec<u8> {
        let mut frames = Frames::default();
        let mut out = Vec::new();
        let mut buffer = [0; 11];
        for piece in bytes.chunks(pieces.max(1)) {
            frames.feed(piece);
            loop {
                let given = frames.give(&mut buffer);
                out.extend(&buffer[..given]);
                if given == 0 {
                    break;
                }
            }
        }
        frames.end();
        out.extend(&frames.ready[frames.given..]);
        out
    }

    /// Content type, headers and message id.
    fn header(content_type: &[u8], table: &[u8], id: &[u8]) -> Vec<u8> {
        let flags = (1_u16 << 15 | 1 << 13 | 1 << 12 | 1 << 7 | 1 << 6).to_be_bytes();
        let parts: [&[u8]; 8] = [
            &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5],
            &flags,
            &short(content_type),
            &long(table),
            &[2],
            &short(id),
            &[0; 8],
            &[],
        ];
        frame(HEADER, &parts.concat())
    }

    #[test]
    fn text_that_is_none_becomes_readable_and_the_rest_stays() {
        let entry = |key: &[u8], value: &[u8]| [short(key), value.to_vec()].concat();
        let table = |key: &[u8]| {
            let inner = [&b"F"[..], &long(&entry(key, b"t\x01"))].concat();
            let list = [&b"A"[..], &long(&[&inner[..], &b"I\0\0\0\x07"[..]].concat())].concat();
            [
                entry(b"text", &[&b"S"[..], &long(b"\xff\xfe")].concat()),
                entry(key, b"l\0\0\0\0\0\0\0\x01"),
                entry(b"list", &list),
            ]
            .concat()
        };
        let good = header("тип".as_bytes(), &table("ключ".as_bytes()), b"id-7");
        assert_eq!(repaired(&good, 1), good);
        let bad = header(b"a\xffb\xc3", &table(b"k\x80"), b"id-7");
        assert_eq!(
            repaired(&bad, 5),
            header(b"a?b?", &table(b"k?"), b"id-7"),
            "a header's own text is bytes to lapin"
        );
    }

    #[test]
    fn ids_that_are_no_text_stay_apart_and_the_same_each_time() {
        let made = |id: &[u8]| repaired(&header(b"", b"", id), 1000);
        let (one, other) = (made(&[0xff; 16]), made(&[0xfe; 16]));
        assert_ne!(one, other);
        assert_eq!(one, made(&[0xff; 16]));
        assert!(one.windows(16).any(|window| window.iter().all(u8::is_ascii_graphic)), "{one:?}");
    }

    #[test]
    fn methods_that_bring_messages_are_repaired() {
        for (method, before) in [
            (60_u8, [&short(b"tag")[..], &[0; 9]].concat()),
            (71, vec![0; 9]),
            (50, [&[1, 56][..], &short(b"NO_ROUTE")].concat()),
        ] {
            let of = |exchange: &[u8], key: &[u8]| {
                frame(
                    METHOD,
                    &[&[0, 60, 0, method][..], &before, &short(exchange), &short(key), &[0, 0]].concat(),
                )
            };
            assert_eq!(repaired(&of(b"e\xff", b"\xffk"), 3), of(b"e?", b"?k"), "{method}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_becomes_bytes() {
        let mut value = b"V".to_vec();
        for _ in 0..5000 {
            value = [&b"A"[..], &long(&value)].concat();
        }
        let table = [short(b"deep"), value].concat();
        let sent = header(b"", &table, b"id");
        let told = repaired(&sent, 4096);
        let changed: Vec<(u8, u8)> =
            sent.iter().zip(&told).filter(|(old, new)| old != new).map(|(old, new)| (*old, *new)).collect();
        assert_eq!((told.len(), changed), (sent.len(), vec![(b'A', b'x')]));
        // As deep as is allowed nothing changes.
        let mut value = b"V".to_vec();
        for _ in 0..DEEPEST {
            value = [&b"A"[..], &long(&value)].concat();
        }
        let sent = header(b"", &[short(b"deep"), value].concat(), b"id");
        assert_eq!(repaired(&sent, 4096), sent);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_change_the_length(
            kind in 1_u8..4,
            content in prop::collection::vec(any::<u8>(), 0..300),
            tail in prop::collection::vec(any::<u8>(), 0..20),
            pieces in 1_usize..40,
        ) {
            let bytes = [frame(kind, &content), tail].concat();
            let told = repaired(&bytes, pieces);
            prop_assert_eq!(told.len(), bytes.len());
            prop_assert_eq!(&repaired(&bytes, 10_000), &told, "in whatever pieces it comes");
            if kind == 3 {
                prop_assert_eq!(&told[..content.len() + 8], &bytes[..content.len() + 8], "bodies pass");
            }
        }
    }
}
