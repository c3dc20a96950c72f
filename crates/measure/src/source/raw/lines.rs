//! The lines of a file, compressed or not. A thread of its own decompresses ahead of who reads them.

use super::RawError;
use lz4_flex::frame::FrameDecoder;
use memchr::{memchr, memrchr};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Text decompressed at a time, bytes.
const BLOCK: usize = 1 << 20;

/// Blocks that are ready before they are asked for.
const AHEAD: usize = 3;

/// No line is longer, bytes: the header holds a whole sweep's description, and it is the longest.
const LONGEST: usize = 256 << 20;

/// What a frame of LZ4 begins with, a stream of zstd, and the same lines uncompressed.
const LZ4: [u8; 4] = [0x04, 0x22, 0x4D, 0x18];
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const PLAIN: [u8; 4] = *b"{\"fo";

/// Reads a file line by line.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    at: usize,
    number: u64,
    /// What stands at the present line, for errors: empty, or beginning with a comma.
    place: String,
    read: Arc<AtomicU64>,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<Self, RawError> {
        let unreadable = |source| RawError::Unreadable { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        let mut magic = [0; 4];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == LZ4 || magic == PLAIN => {}
            Ok(()) if magic == ZSTD => return Err(RawError::Zstd(path.to_owned())),
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(unreadable(error)),
            _ => return Err(RawError::Foreign(path.to_owned())),
        }
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let read = Arc::new(AtomicU64::new(0));
        let file = Counted { file, read: read.clone(), ended: false };
        let text: Box<dyn Read + Send> = match magic {
            LZ4 => Box::new(Frames { decoder: FrameDecoder::new(file), within: false }),
            _ => Box::new(file),
        };
        let (sender, blocks) = sync_channel(AHEAD);
        let thread = std::thread::Builder::new().name("decompress".to_owned());
        thread.spawn(move || decompress(text, &sender)).map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), blocks, block: Vec::new(), at: 0, number: 0, place: String::new(), read })
    }

    /// The next line without its end; `None` behind the last one.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, RawError> {
        if self.at >= self.block.len() {
            match self.blocks.recv() {
                Ok(Ok(block)) => (self.block, self.at) = (block, 0),
                Ok(Err(error)) => return Err(self.broken(error)),
                // The thread has come to the end of the file.
                Err(_) => return Ok(None),
            }
        }
        let rest = &self.block[self.at..];
        let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
        self.at += line.len() + 1;
        self.number += 1;
        Ok(Some(line))
    }

    /// Says what the next lines are.
    pub(crate) fn set_place(&mut self, place: String) {
        self.place = place;
    }

    /// Bytes of the file that have been read so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(crate) fn foreign(&self) -> RawError {
        RawError::Foreign(self.path.clone())
    }

    pub(crate) fn version(&self, found: u32, known: u32) -> RawError {
        RawError::Version { path: self.path.clone(), found, known }
    }

    pub(crate) fn cut_off(&self) -> RawError {
        RawError::CutOff { path: self.path.clone(), line: self.number, place: self.place.clone() }
    }

    pub(crate) fn damaged(&self, what: &impl ToString) -> RawError {
        let (path, place) = (self.path.clone(), self.place.clone());
        RawError::Damaged { path, line: self.number.max(1), place, what: what.to_string() }
    }

    fn broken(&self, error: io::Error) -> RawError {
        match error.kind() {
            ErrorKind::UnexpectedEof => self.cut_off(),
            _ if error.raw_os_error().is_some() => RawError::Unreadable { path: self.path.clone(), source: error },
            _ => self.damaged(&error),
        }
    }
}

/// A file that tells how far it has been read.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
    ended: bool,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        self.ended |= length == 0 && !buffer.is_empty();
        Ok(length)
    }
}

/// The text of all frames. The decoder itself takes a file that ends between two blocks of a frame for a whole one.
struct Frames {
    decoder: FrameDecoder<Counted>,
    within: bool,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.decoder.read(buffer).map_err(of_frame)? {
                // A frame has ended, and another may follow.
                0 if !self.decoder.get_ref().ended => self.within = false,
                0 if self.within => return Err(ErrorKind::UnexpectedEof.into()),
                length => {
                    self.within = length > 0;
                    return Ok(length);
                }
            }
        }
    }
}

/// The decoder's words for a fault of the text are names of its code.
fn of_frame(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::UnexpectedEof || error.raw_os_error().is_some() {
        return error;
    }
    io::Error::new(ErrorKind::InvalidData, "the text does not match its checksum, or cannot be unpacked at all")
}

/// Sends blocks of whole lines until the file ends or nobody receives them any more.
fn decompress(mut text: impl Read, blocks: &SyncSender<io::Result<Vec<u8>>>) {
    let mut rest = Vec::new();
    loop {
        let mut block = Vec::with_capacity(rest.len() + BLOCK);
        block.append(&mut rest);
        // What came before a fault is in the block.
        let done = text.by_ref().take(BLOCK as u64).read_to_end(&mut block);
        let end = if matches!(done, Ok(0)) { block.len() } else { memrchr(b'\n', &block).map_or(0, |at| at + 1) };
        rest = block.split_off(end);
        if !block.is_empty() && blocks.send(Ok(block)).is_err() {
            return;
        }
        match done {
            Ok(0) => return,
            Ok(_) if rest.len() > LONGEST => {
                return drop(blocks.send(Err(io::Error::new(ErrorKind::InvalidData, "a line is too long"))));
            }
            Ok(_) => {}
            Err(error) => return drop(blocks.send(Err(error))),
        }
    }
}
