//! Writing raw stamps.

use super::{RawHeader, Section, Totals};
use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use serde::Serialize;
use serde::de::IgnoredAny;
use stamp::{RunId, Stage};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Entries in one section at most, and their bytes: what is held in memory.
const SECTION: u64 = 10_000;
const SECTION_BYTES: usize = 8 << 20;

/// Writes a file of raw stamps, a section at a time.
pub struct RawWriter<W: Write> {
    out: FrameEncoder<W>,
    lines: Vec<u8>,
    entries: u64,
    hex: Vec<u64>,
    totals: Totals,
}

impl<W: Write> RawWriter<W> {
    /// Begins a file with its header.
    ///
    /// # Errors
    /// When `out` fails, here as in all that follows.
    pub fn new(out: W, header: &RawHeader) -> io::Result<Self> {
        let frame = FrameInfo::new().block_size(BlockSize::Max256KB).content_checksum(true);
        let mut out = FrameEncoder::with_frame_info(frame, out);
        line(&mut out, header)?;
        Ok(Self { out, lines: Vec::new(), entries: 0, hex: Vec::new(), totals: Totals::default() })
    }

    /// Writes the counters of a run, which come before its stamps.
    pub fn counts(&mut self, run: &RunId, fields: &BTreeMap<String, u64>) -> io::Result<()> {
        line(&mut self.out, &Section::Counts { run: run.clone(), counts: fields.clone() })
    }

    /// Writes one entry of a stage. Runs and stages come in the order of the header.
    pub fn entry(&mut self, run: &RunId, stage: &Stage, entry: &[u8]) -> io::Result<()> {
        if is_line_of_json(entry) {
            self.lines.extend_from_slice(entry);
        } else {
            self.hex.push(self.entries);
            self.lines.push(b'"');
            self.lines.extend(
                entry.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| b"0123456789abcdef"[digit as usize]),
            );
            self.lines.push(b'"');
        }
        self.lines.push(b'\n');
        self.entries += 1;
        if self.entries >= SECTION || self.lines.len() >= SECTION_BYTES { self.section(run, stage) } else { Ok(()) }
    }

    /// Ends a stage, also one without entries: each stage of the header has a section.
    pub fn end_stage(&mut self, run: &RunId, stage: &Stage) -> io::Result<()> {
        self.section(run, stage)
    }

    /// Ends the file and gives back what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        line(&mut self.out, &Section::End { end: self.totals })?;
        Ok(self.out.finish()?)
    }

    fn section(&mut self, run: &RunId, stage: &Stage) -> io::Result<()> {
        let (entries, hex) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.hex));
        self.totals.sections += 1;
        self.totals.entries += entries;
        line(&mut self.out, &Section::Stamps { run: run.clone(), stage: stage.clone(), entries, hex })?;
        self.out.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }
}

impl<W: Write> std::fmt::Debug for RawWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawWriter").field("totals", &self.totals).finish_non_exhaustive()
    }
}

fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    out.write_all(&serde_json::to_vec(value)?)?;
    out.write_all(b"\n")
}

/// Whether an entry can stand in the file as it is: readers of JSON lines must not stumble over it.
fn is_line_of_json(entry: &[u8]) -> bool {
    memchr::memchr(b'\n', entry).is_none()
        && std::str::from_utf8(entry).is_ok()
        && serde_json::from_slice::<IgnoredAny>(entry).is_ok()
}
