//! The rest of a long list, read as fast as the log store gives it: a thread of its own fetches chunks, and their entries are slices of what came over
//! the wire. An answer that is taken apart into values costs several times as much.
//!
//! What is left is the server's own work, on the one thread that it has. Where its lists are compressed (`list-compress-depth`), LRANGE has it unpack each
//! node and pack it again behind: for 667,000 stamps 120 ms instead of 37. DUMP hands the nodes out as they are, in 17 ms, but in one piece: so a list is
//! read in this way from a server that has little else to do meanwhile.

use super::dump::{self, First, Nodes};
use crate::RedisUrl;
use crate::connection::Line;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::sync::mpsc as threads;
use std::time::Duration;
use tokio::sync::mpsc;

/// Chunks that are ready before they are asked for.
const AHEAD: usize = 2;

/// By how much a buffer grows, bytes.
const BLOCK: usize = 256 << 10;

/// The largest list that is read in one piece, bytes as the server holds it: some 100 ms of its time.
const MOST_IN_ONE_PIECE: u64 = 64 << 20;

/// How many bytes in one piece, times the commands a second that the server has: some 25 of these wait meanwhile.
const MOST_WAITING: u64 = 1000 * (16 << 20);

/// The server holds the list, what DUMP makes of it, and what it sends.
const COPIES: u64 = 2;

/// Nodes that the server looks at to tell how large a list is.
const SAMPLES: u64 = 100;

/// Digits of a length that no answer exceeds.
const MOST_DIGITS: usize = 12;

/// The chunks of a list, as they come.
pub(super) struct Chunks {
    ready: mpsc::Receiver<Chunk>,
    /// What has been taken goes back, so that memory is got and cleared once.
    taken: threads::Sender<Vec<u8>>,
}

/// Some entries, one behind the other.
struct Chunk {
    bytes: Vec<u8>,
    entries: usize,
    /// Where the first of them stands.
    begin: usize,
    /// Takes the first of some entries.
    next: fn(&[u8]) -> Option<First<'_>>,
}

/// Reads a list from the entry with the given number on, `size` of them at a time. Where the mean length of its entries is given, bytes, it may come in
/// one piece. A fault ends it early and is not told here.
pub(super) fn read(
    url: RedisUrl,
    key: String,
    from: isize,
    size: isize,
    in_one_piece: Option<u64>,
    patience: Duration,
) -> Chunks {
    let (sender, ready) = mpsc::channel(AHEAD);
    let (taken, spare) = threads::channel();
    let fetch = move || {
        let line = url.line(patience)?;
        let mut reader = Reader { line, key, next: from, size, bytes: Vec::new(), filled: 0 };
        if let Some(entry_bytes) = in_one_piece {
            reader.in_one_piece(entry_bytes, &sender, &spare)?;
        }
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
        let Chunk { bytes, entries, begin, next } = self.ready.recv().await?;
        let mut rest = &bytes[begin..];
        for _ in 0..entries {
            // It was whole when it came.
            let Some((entry, behind)) = next(rest) else { break };
            take(entry);
            rest = behind;
        }
        // The thread may have ended.
        let _ = self.taken.send(bytes);
        Some(entries)
    }
}

impl Chunk {
    /// One that is to be filled with nodes.
    fn of_nodes(spare: &threads::Receiver<Vec<u8>>) -> Self {
        let mut bytes = spare.try_recv().unwrap_or_default();
        bytes.clear();
        Self { bytes, entries: 0, begin: 0, next: dump::next }
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
    /// Sends what is left of the list in one piece, where that is better and allowed. What it leaves out is to be asked for in the usual way.
    fn in_one_piece(
        &mut self,
        entry_bytes: u64,
        sender: &mpsc::Sender<Chunk>,
        spare: &threads::Receiver<Vec<u8>>,
    ) -> io::Result<()> {
        let mut line = BufReader::with_capacity(BLOCK, &mut self.line);
        let length = ask(&mut line, redis::cmd("LLEN").arg(&self.key))?.number();
        let usage = redis::cmd("MEMORY").arg("USAGE").arg(&self.key).arg("SAMPLES").arg(SAMPLES).to_owned();
        let bytes = ask(&mut line, &usage)?.number();
        let Answer::Text(info) = ask(&mut line, redis::cmd("INFO").arg(&["stats", "memory"]))? else { return Ok(()) };
        let info = text(&mut line, info)?;
        let (Some(length), Some(bytes)) = (length, bytes) else { return Ok(()) };
        // Nodes that are not compressed would be for DUMP.
        if bytes > length * entry_bytes / 2 || !may_come(bytes, &info) {
            return Ok(());
        }
        let Answer::Text(bytes) = ask(&mut line, redis::cmd("DUMP").arg(&self.key))? else { return Ok(()) };
        let mut nodes = Nodes::new(&mut line, bytes);
        let mut known = self.next.unsigned_abs();
        let mut chunk = Chunk::of_nodes(spare);
        // Where a node looks different, the rest is left.
        while let Ok(Some(node)) = nodes.node()
            && let Some((begin, entries)) = behind(node, &mut known)
        {
            chunk.bytes.extend(&node[begin..]);
            chunk.entries += entries;
            self.next += entries.cast_signed();
            if chunk.bytes.len() >= BLOCK
                && sender.blocking_send(std::mem::replace(&mut chunk, Chunk::of_nodes(spare))).is_err()
            {
                return Err(ErrorKind::BrokenPipe.into());
            }
        }
        _ = sender.blocking_send(chunk);
        nodes.finish()?;
        text(&mut line, 0).map(drop)
    }

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
        Ok(Some(Chunk { bytes: std::mem::take(&mut bytes), entries, begin, next: of_an_answer }))
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

/// The first of some entries of an answer: `$5\r\nfirst\r\n$6\r\nsecond\r\n`.
fn of_an_answer(entries: &[u8]) -> Option<First<'_>> {
    let (length, text) = head(entries, b'$').ok()??;
    Some((&entries[text..text + length], &entries[text + length + END..]))
}

/// Where the entries of a node begin that are not known yet, and how many these are; `known` are left to pass. None where it holds something else.
fn behind(node: &[u8], known: &mut usize) -> Option<(usize, usize)> {
    let (mut rest, mut begin, mut entries) = (node, 0, 0);
    while !rest.is_empty() {
        rest = dump::next(rest)?.1;
        if *known > 0 {
            *known -= 1;
            begin = node.len() - rest.len();
        } else {
            entries += 1;
        }
    }
    Some((begin, entries))
}

/// What a short question is answered.
enum Answer {
    Number(u64),
    /// A text of so many bytes follows.
    Text(u64),
    /// It is refused, or there is nothing.
    Nothing,
}

impl Answer {
    fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

fn ask(line: &mut BufReader<&mut Line>, question: &redis::Cmd) -> io::Result<Answer> {
    line.get_mut().write_all(&question.get_packed_command())?;
    line.get_mut().flush()?;
    let mut answer = String::new();
    line.read_line(&mut answer)?;
    let value = answer.get(1..).and_then(|rest| rest.trim_end().parse().ok());
    match (answer.as_bytes().first(), value) {
        (Some(b':'), Some(number)) => Ok(Answer::Number(number)),
        (Some(b'$'), Some(length)) => Ok(Answer::Text(length)),
        (Some(b'-' | b'$' | b'_' | b':'), _) => Ok(Answer::Nothing),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

/// A text of so many bytes, and what stands behind it.
fn text(line: &mut impl Read, length: u64) -> io::Result<String> {
    let mut text = String::new();
    line.take(length + END as u64).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether a list of so many bytes may come in one piece from a server that says this of itself (INFO).
fn may_come(bytes: u64, info: &str) -> bool {
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse::<u64>().ok());
    let (Some(commands), Some(used), Some(most)) =
        (field("instantaneous_ops_per_sec"), field("used_memory"), field("maxmemory"))
    else {
        return false;
    };
    let room = most == 0 || used + COPIES * bytes < most;
    bytes <= MOST_IN_ONE_PIECE && commands * bytes <= MOST_WAITING && room
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

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

    #[test]
    fn what_may_come_in_one_piece() {
        let says = |commands: u64, used: u64, most: u64| {
            format!(
                "# Stats\r\ninstantaneous_ops_per_sec:{commands}\r\nused_memory:{used}\r\nused_memory_peak:9\r\nmaxmemory:{most}\r\n"
            )
        };
        assert!(may_come(64 * MIB, &says(250, 0, 0)) && !may_come(65 * MIB, &says(0, 0, 0)));
        assert!(may_come(16 * MIB, &says(1000, 0, 0)) && !may_come(16 * MIB, &says(1001, 0, 0)));
        assert!(may_come(9 * MIB, &says(1, 81 * MIB, 100 * MIB)) && !may_come(10 * MIB, &says(1, 81 * MIB, 100 * MIB)));
        assert!(!may_come(1, "instantaneous_ops_per_sec:1\r\n"), "who does not say it is not asked");
    }
}
