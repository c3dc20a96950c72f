//! Reading raw stamps.

use super::lines::Lines;
use super::{FORMAT, RawError, RawHeader, Section, Totals, VERSION, Versioned};
use stamp::{RunId, Stage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of raw stamps. It is read once from its beginning to its end where its stages are asked for in their order; whoever goes back makes
/// it begin anew.
#[derive(Debug)]
pub struct RawFile {
    path: PathBuf,
    header: RawHeader,
    /// What comes in the file, in order.
    places: Vec<(RunId, Stage)>,
    counts: BTreeMap<RunId, BTreeMap<String, u64>>,
    lines: Lines,
    next: Next,
    seen: Totals,
}

/// What follows in the file.
#[derive(Debug)]
enum Next {
    /// Entries of the place with this index.
    Stamps { place: usize, entries: u64, hex: Vec<u64> },
    /// Nothing.
    End,
}

impl RawFile {
    /// Opens a file and reads what it holds.
    ///
    /// # Errors
    /// When it cannot be read, or is something else.
    pub fn open(path: &Path) -> Result<Self, RawError> {
        let mut lines = Lines::open(path)?;
        let header = header(&mut lines)?;
        let place =
            |run: &super::RawRun| run.stages.iter().map(|stage| (run.run.clone(), stage.clone())).collect::<Vec<_>>();
        let mut file = Self {
            path: path.to_owned(),
            places: header.runs.iter().flat_map(place).collect(),
            header,
            counts: BTreeMap::new(),
            lines,
            next: Next::End,
            seen: Totals::default(),
        };
        file.advance()?;
        Ok(file)
    }

    /// What it holds.
    pub fn header(&self) -> &RawHeader {
        &self.header
    }

    /// Bytes of the file that have been read so far.
    pub fn bytes_read(&self) -> u64 {
        self.lines.read()
    }

    /// The counters of a run, each field as it was in the log store; empty for a run that the file does not hold.
    ///
    /// # Errors
    /// When the file is cut off or damaged before them.
    pub fn counts(&mut self, run: &RunId) -> Result<&BTreeMap<String, u64>, RawError> {
        if self.header.runs.iter().any(|known| known.run == *run) {
            while !self.counts.contains_key(run) && !matches!(self.next, Next::End) {
                self.section(&mut |_| {})?;
            }
        }
        Ok(self.counts.entry(run.clone()).or_default())
    }

    /// Hands every entry of a stage to `take`, oldest first; none where the file does not hold the stage.
    ///
    /// # Errors
    /// When the file is cut off or damaged before their end.
    pub fn entries(&mut self, run: &RunId, stage: &Stage, mut take: impl FnMut(&[u8])) -> Result<(), RawError> {
        let Some(wanted) = self.places.iter().position(|place| place.0 == *run && place.1 == *stage) else {
            return Ok(());
        };
        if self.place().is_none_or(|place| place > wanted) {
            self.rewind()?;
        }
        while let Some(place) = self.place().filter(|&place| place <= wanted) {
            if place == wanted { self.section(&mut take)? } else { self.section(&mut |_| {})? }
        }
        Ok(())
    }

    /// The entries of the next section of a stage; `None` behind its last one. It reads on from where it is, and never goes back.
    ///
    /// # Errors
    /// When the file is cut off or damaged before their end.
    pub fn section_of(&mut self, run: &RunId, stage: &Stage) -> Result<Option<Vec<Vec<u8>>>, RawError> {
        let wanted = self.places.iter().position(|place| place.0 == *run && place.1 == *stage);
        while self.place().zip(wanted).is_some_and(|(place, wanted)| place < wanted) {
            self.section(&mut |_| {})?;
        }
        if self.place().is_none() || self.place() != wanted {
            return Ok(None);
        }
        let mut entries = Vec::new();
        self.section(&mut |entry: &[u8]| entries.push(entry.to_vec()))?;
        Ok(Some(entries))
    }

    /// Reads on to the end, so that a fault before it is told.
    ///
    /// # Errors
    /// When the file is cut off or damaged.
    pub fn finish(&mut self) -> Result<(), RawError> {
        while self.place().is_some() {
            self.section(&mut |_| {})?;
        }
        Ok(())
    }

    fn place(&self) -> Option<usize> {
        match self.next {
            Next::Stamps { place, .. } => Some(place),
            Next::End => None,
        }
    }

    fn rewind(&mut self) -> Result<(), RawError> {
        self.lines = Lines::open(&self.path)?;
        self.seen = Totals::default();
        header(&mut self.lines)?;
        self.next = Next::Stamps { place: 0, entries: 0, hex: Vec::new() };
        self.advance()
    }

    /// Hands over the entries of the next section and reads what comes behind it.
    fn section(&mut self, take: &mut impl FnMut(&[u8])) -> Result<(), RawError> {
        let Next::Stamps { entries, hex, .. } = &self.next else { return Ok(()) };
        let mut hex = hex.iter().copied().peekable();
        for index in 0..*entries {
            let Some(line) = self.lines.next()? else { return Err(self.lines.cut_off()) };
            if hex.next_if_eq(&index).is_none() {
                take(line);
                continue;
            }
            match from_hex(line) {
                Some(entry) => take(&entry),
                None => return Err(self.lines.damaged(&"this should be a string of hexadecimal digits")),
            }
        }
        self.seen.sections += 1;
        self.seen.entries += entries;
        self.advance()
    }

    /// Reads lines up to the next one that says which stamps follow.
    fn advance(&mut self) -> Result<(), RawError> {
        let before = self.place().unwrap_or(0);
        loop {
            let Some(line) = self.lines.next()? else { return Err(self.lines.cut_off()) };
            let section = serde_json::from_slice::<Section>(line);
            match section.map_err(|_| self.lines.damaged(&"this should say what follows"))? {
                Section::Counts { run, counts } => {
                    self.lines.set_place(format!(", the counts of run {run}"));
                    self.counts.insert(run, counts);
                }
                Section::Stamps { run, stage, entries, hex } => {
                    let after = self.places.iter().skip(before).position(|place| place.0 == run && place.1 == stage);
                    let Some(after) = after else {
                        return Err(self
                            .lines
                            .damaged(&format!("stage {stage} of run {run} is not where the header has it")));
                    };
                    self.lines.set_place(format!(", among the stamps of stage {stage} of run {run}"));
                    self.next = Next::Stamps { place: before + after, entries, hex };
                    return Ok(());
                }
                Section::End { end } => {
                    self.lines.set_place(String::new());
                    if end != self.seen {
                        return Err(self.lines.damaged(&format!(
                            "{} stamps were written, and {} are there",
                            end.entries, self.seen.entries
                        )));
                    }
                    // Only behind the last line it shows whether the checksum holds.
                    if self.lines.next()?.is_some() {
                        return Err(self.lines.damaged(&"nothing should follow the last line"));
                    }
                    self.next = Next::End;
                    return Ok(());
                }
            }
        }
    }
}

fn header(lines: &mut Lines) -> Result<RawHeader, RawError> {
    let Some(line) = lines.next()?.map(<[u8]>::to_vec) else { return Err(lines.cut_off()) };
    // Looked at first: what else is wrong with a file of another version is no news.
    let versioned = serde_json::from_slice::<Versioned>(&line).ok().filter(|versioned| versioned.format == FORMAT);
    let Some(Versioned { version, .. }) = versioned else { return Err(lines.foreign()) };
    if version != VERSION {
        return Err(lines.version(version, VERSION));
    }
    serde_json::from_slice(&line).map_err(|error| lines.damaged(&error))
}

/// The bytes that a JSON string of hexadecimal digits stands for.
fn from_hex(line: &[u8]) -> Option<Vec<u8>> {
    let digits = line.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let digit = |&byte: &u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}
