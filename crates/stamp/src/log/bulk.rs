//! The rest of a long list, read as fast as the log store gives it: a thread of its own fetches chunks, and their entries are slices of what came over
//! the wire. An answer that is taken apart into values costs several times as much.
//!
//! What is left is the server's own work. It has one thread, and where its lists are compressed (`list-compress-depth`), it unpacks each node to read it
//! and packs it again behind: that is two thirds of what it does here.

use crate::RedisUrl;
use crate::connection::Line;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc as threads;
use std::time::Duration;
use tokio::sync::mpsc;

/// Chunks that are ready before they are asked for.
const AHEAD: usize = 2;

/// By how much a buffer grows, bytes.
const BLOCK: usize = 256 << 10;

/// Digits of a length that no answer exceeds.
const MOST_DIGITS: usize = 12;

/// The chunks of a list, as they come.
pub(super) struct Chunks {
    ready: mpsc::Receiver<Chunk>,
    /// What has been taken goes back, so that memory is got and cleared once.
    taken: threads::Sender<Vec<u8>>,
}

/// One answer: `*2\r\n$5\r\nfirst\r\n$6\r\nsecond\r\n`.
struct Chunk {
    bytes: Vec<u8>,
    entries: usize,
    /// Where the first of them stands.
    begin: usize,
}

/// Reads a list from the entry with the given number on, `size` of them at a time. A fault ends it early and is not told here.
pub(super) fn read(url: RedisUrl, key: String, from: isize, size: isize, patience: Duration) -> Chunks {
    let (sender, ready) = mpsc::channel(AHEAD);
    let (taken, spare) = threads::channel();
    let fetch = move || {
        let line = url.line(patience)?;
        let mut reader = Reader { line, key, next: from, size, bytes: Vec::new(), filled: 0 };
        reader.ask()?;
        while let Some(chunk) = reader.chunk(&spare)? {
            if sender.blocking_send(chunk).is_err() {
                break;
            }
        }
        io::Result::Ok(())
    };
    // Where there is no thread to be had, or no line, there are no chunks.
    let _ = std::thread::Builder::new().name("log-store".to_owned()).spawn(fetch);
    Chunks { ready, taken }
}

impl Chunks {
    /// Hands the entries of the next chunk to `take`, and gives how many these were; none when there is no more to be had this way.
    pub(super) async fn next(&mut self, take: &mut impl FnMut(&[u8])) -> Option<usize> {
        let Chunk { bytes, entries, begin } = self.ready.recv().await?;
        let mut rest = &bytes[begin..];
        for _ in 0..entries {
            // It was whole when it came.
            let Ok(Some((length, text))) = head(rest, b'$') else { break };
            take(&rest[text..text + length]);
            rest = &rest[text + length + END..];
        }
        // The thread may have ended.
        let _ = self.taken.send(bytes);
        Some(entries)
    }
}

struct Reader {
    line: Line,
    key: String,
    /// The entry that the next question begins with, and how many it asks for.
    next: isize,
    size: isize,
    bytes: Vec<u8>,
    filled: usize,
}

impl Reader {
    fn ask(&mut self) -> io::Result<()> {
        let mut question = redis::cmd("LRANGE");
        question.arg(&self.key).arg(self.next).arg(self.next + self.size - 1);
        self.next += self.size;
        self.line.write_all(&question.get_packed_command())?;
        self.line.flush()
    }

    /// The next chunk; none behind the last one, which is not full.
    fn chunk(&mut self, spare: &threads::Receiver<Vec<u8>>) -> io::Result<Option<Chunk>> {
        let (entries, begin) = self.head(0, b'*')?;
        if entries == 0 {
            return Ok(None);
        }
        // When an answer begins, the log store has done its work on it: only now the next question, so that it never works on two at a time, and
        // others who write there get their turn.
        self.ask()?;
        let mut end = begin;
        for _ in 0..entries {
            let (length, text) = self.head(end, b'$')?;
            end += text + length + END;
        }
        while self.filled < end {
            self.fill()?;
        }
        let mut bytes = std::mem::replace(&mut self.bytes, spare.try_recv().unwrap_or_default());
        let rest = self.filled - end;
        if self.bytes.len() < rest {
            self.bytes.resize(rest, 0);
        }
        self.bytes[..rest].copy_from_slice(&bytes[end..self.filled]);
        self.filled = rest;
        Ok(Some(Chunk { bytes: std::mem::take(&mut bytes), entries, begin }))
    }

    fn head(&mut self, at: usize, kind: u8) -> io::Result<(usize, usize)> {
        loop {
            if let Some(found) =
                self.bytes[..self.filled].get(at..).map(|bytes| head(bytes, kind)).transpose()?.flatten()
            {
                return Ok(found);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.filled == self.bytes.len() {
            self.bytes.resize(self.filled + BLOCK, 0);
        }
        match self.line.read(&mut self.bytes[self.filled..]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.filled += read;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The bytes behind each text.
const END: usize = 2;

/// Reads what stands before an array (`*2\r\n`) or a text (`$5\r\n`): the number, and how many bytes it takes. None where that has not come yet.
fn head(bytes: &[u8], kind: u8) -> io::Result<Option<(usize, usize)>> {
    let mut number = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            _ if at == 0 && byte == kind => {}
            b'0'..=b'9' if (1..=MOST_DIGITS).contains(&at) => number = number * 10 + usize::from(byte - b'0'),
            b'\r' if at > 1 => return Ok((bytes.len() > at + 1).then_some((number, at + END))),
            _ => return Err(ErrorKind::InvalidData.into()),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_an_answer() {
        let read = |text: &str, kind| head(text.as_bytes(), kind).ok();
        assert_eq!(read("*10000\r\n$5", b'*'), Some(Some((10_000, 8))));
        assert_eq!(read("$0\r\n\r\n", b'$'), Some(Some((0, 4))));
        for part in ["", "*", "*1", "*12\r"] {
            assert_eq!(read(part, b'*'), Some(None), "{part:?}");
        }
        for other in ["-ERR no\r\n", "$5\r\n", "*-1\r\n", "*\r\n", "*1234567890123\r\n", ":1\r\n"] {
            assert_eq!(read(other, b'*'), None, "{other:?}");
        }
    }
}
