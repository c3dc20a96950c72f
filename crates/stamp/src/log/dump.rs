//! A list as DUMP gives it: an RDB value of type 18 (Redis 7 and its kin), node by node as the server holds them. Each is a listpack, in which an entry
//! stands behind its length, and packed with LZF where the server has packed it. Whatever looks different is not read here.

use std::io::{self, ErrorKind, Read, Take};

/// RDB's type of a list of listpacks.
const LIST: u8 = 18;

/// A node that is a listpack; the others are one entry, too long for a listpack.
const LISTPACK: u64 = 2;

/// Bytes behind the value: the version of RDB, and a checksum.
const FOOTER: u64 = 10;

/// Bytes before the entries of a listpack, and the byte behind them.
const HEAD: usize = 6;
const END: u8 = 0xff;

/// A longer node is none that a server makes of stamps, bytes.
const MOST: usize = 1 << 24;

/// The nodes of a list, oldest first.
pub(super) struct Nodes<R> {
    value: Take<R>,
    /// Not known before the first.
    left: Option<u64>,
    packed: Vec<u8>,
    node: Vec<u8>,
}

impl<R: Read> Nodes<R> {
    /// Those in the answer to DUMP, of this many bytes.
    pub(super) fn new(from: R, bytes: u64) -> Self {
        Self { value: from.take(bytes.saturating_sub(FOOTER)), left: None, packed: Vec::new(), node: Vec::new() }
    }

    fn count(&mut self) -> io::Result<u64> {
        let mut kind = [0];
        self.value.read_exact(&mut kind)?;
        if kind == [LIST] { plain(&mut self.value) } else { Err(ErrorKind::Unsupported.into()) }
    }

    /// The entries of the next node, as [`next`] takes them apart; none behind the last.
    ///
    /// # Errors
    /// When the connection fails, or it is something else.
    pub(super) fn node(&mut self) -> io::Result<Option<&[u8]>> {
        let left = self.left.map_or_else(|| self.count(), Ok)?;
        if left == 0 {
            return Ok(None);
        }
        self.left = Some(left - 1);
        if plain(&mut self.value)? != LISTPACK {
            return Err(ErrorKind::Unsupported.into());
        }
        match length(&mut self.value)? {
            Length::Plain(bytes) => self.value.read_exact(room(&mut self.node, bytes)?)?,
            Length::Packed => {
                let (packed, bytes) = (plain(&mut self.value)?, plain(&mut self.value)?);
                self.value.read_exact(room(&mut self.packed, packed)?)?;
                unpack(&self.packed, room(&mut self.node, bytes)?).ok_or(ErrorKind::InvalidData)?;
            }
        }
        match self.node.split_last() {
            Some((&END, rest)) if rest.len() >= HEAD => Ok(Some(&rest[HEAD..])),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Reads what is left, and what stands behind the value.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.value.set_limit(self.value.limit() + FOOTER);
        io::copy(&mut self.value, &mut io::sink()).map(drop)
    }
}

/// What stands before a text: its length, or that it is packed, and then two lengths follow.
enum Length {
    Plain(u64),
    Packed,
}

fn length(from: &mut impl Read) -> io::Result<Length> {
    let mut first = [0];
    from.read_exact(&mut first)?;
    let mut rest = [0; 8];
    let mut behind = |bytes: usize| from.read_exact(&mut rest[8 - bytes..]).map(|()| u64::from_be_bytes(rest));
    match first[0] {
        byte @ 0..0x40 => Ok(Length::Plain(byte.into())),
        byte @ 0x40..0x80 => Ok(Length::Plain(u64::from(byte & 0x3f) << 8 | behind(1)?)),
        0x80 => Ok(Length::Plain(behind(4)?)),
        0x81 => Ok(Length::Plain(behind(8)?)),
        0xc3 => Ok(Length::Packed),
        _ => Err(ErrorKind::Unsupported.into()),
    }
}

fn plain(from: &mut impl Read) -> io::Result<u64> {
    match length(from)? {
        Length::Plain(length) => Ok(length),
        Length::Packed => Err(ErrorKind::InvalidData.into()),
    }
}

/// Room for so many bytes.
fn room(buffer: &mut Vec<u8>, bytes: u64) -> io::Result<&mut [u8]> {
    let bytes = usize::try_from(bytes).ok().filter(|&bytes| bytes <= MOST).ok_or(ErrorKind::InvalidData)?;
    buffer.resize(bytes, 0);
    Ok(buffer)
}

/// Of some entries the first, and those behind it.
pub(super) type First<'a> = (&'a [u8], &'a [u8]);

/// The first of some entries of a listpack. None where there is none, and for a number: a stamp is a text.
pub(super) fn next(entries: &[u8]) -> Option<First<'_>> {
    let (before, length) = match *entries.first()? {
        byte @ 0x80..0xc0 => (1, usize::from(byte & 0x3f)),
        byte @ 0xe0..0xf0 => (2, usize::from(byte & 0x0f) << 8 | usize::from(*entries.get(1)?)),
        0xf0 => (5, u32::from_le_bytes(entries.get(1..5)?.try_into().ok()?) as usize),
        _ => return None,
    };
    let end = before + length;
    // Behind it stands how long it is, for readers who come from behind, seven bits a byte.
    let behind = match end {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    };
    Some((entries.get(before..end)?, entries.get(end + behind..)?))
}

/// Bytes that are copied at once: most of what LZF repeats in stamps is longer.
const STRIDE: usize = 16;

/// Unpacks LZF: pieces that stand there, and pieces that repeat what came before. None where they do not make up `out`.
fn unpack(mut packed: &[u8], out: &mut [u8]) -> Option<()> {
    let mut at = 0;
    while let Some((&control, rest)) = packed.split_first() {
        if control < 32 {
            let (piece, rest) = rest.split_at_checked(usize::from(control) + 1)?;
            out.get_mut(at..at + piece.len())?.copy_from_slice(piece);
            (at, packed) = (at + piece.len(), rest);
            continue;
        }
        let (more, rest) =
            if control < 0xe0 { (0, rest) } else { rest.split_first().map(|(&more, rest)| (more, rest))? };
        let (&low, rest) = rest.split_first()?;
        let from = at.checked_sub((usize::from(control & 0x1f) << 8 | usize::from(low)) + 1)?;
        let end = at + usize::from(control >> 5) + usize::from(more) + 2;
        repeat(out, from, at, end)?;
        (at, packed) = (end, rest);
    }
    (at == out.len()).then_some(())
}

/// Copies what begins at `from` to where `at` is, up to `end`; it may reach into what it has just made.
fn repeat(out: &mut [u8], mut from: usize, mut at: usize, end: usize) -> Option<()> {
    if end > out.len() {
        return None;
    }
    // What this writes behind the end is written over by what follows.
    while at < end && from + STRIDE <= at && at + STRIDE <= out.len() {
        let piece: [u8; STRIDE] = out[from..from + STRIDE].try_into().ok()?;
        out[at..at + STRIDE].copy_from_slice(&piece);
        (from, at) = (from + STRIDE, at + STRIDE);
    }
    for at in at..end {
        out[at] = out[from];
        from += 1;
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "lengths in test data")]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What DUMP gives of ten entries, `stamp 0 stamp 0 stamp 0` to `stamp 9 stamp 9 stamp 9`, from a Redis 7.0.
    const TEN: &str = "120302c333406b0e6b0000000400977374616d70203020e006070018a0180031a018e00007c0180032a018e00007c0180033a018e000070118ff02c333406b0e6b0000000400977374616d70203420e006070018a0180035a018e00007c0180036a018e00007c0180037a018e000070118ff02c321390e390000000200977374616d70203820e006070018a0180039a018e000070118ff0a00eb96aa77c6516069";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// The entries of all nodes, as far as they can be read.
    fn entries(dump: &[u8]) -> Vec<Vec<u8>> {
        let mut nodes = Nodes::new(dump, dump.len() as u64);
        let mut entries = Vec::new();
        while let Ok(Some(node)) = nodes.node() {
            let mut rest = node;
            while let Some((entry, behind)) = next(rest) {
                entries.push(entry.to_vec());
                rest = behind;
            }
        }
        entries
    }

    fn unpacked(packed: &[u8], length: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; length];
        unpack(packed, &mut out).map(|()| out)
    }

    #[test]
    fn what_a_server_gives_is_read() {
        let expected: Vec<_> = (0..10).map(|n| format!("stamp {n} stamp {n} stamp {n}").into_bytes()).collect();
        assert_eq!(entries(&bytes(TEN)), expected);
    }

    #[test]
    fn what_is_packed_repeats_what_came_before() {
        let text = b"\x02abc";
        assert_eq!(unpacked(text, 3), Some(b"abc".to_vec()));
        // Three from three before, then nine from one before: `abcabccccccccccc`.
        assert_eq!(unpacked(b"\x02abc\x20\x02\xe0\x00\x00", 15), Some(b"abcabcccccccccc".to_vec()));
        // Longer than a stride, and from further away than one.
        let long = b"\x1fabcdefghijklmnopqrstuvwxyz012345\xe0\x0f\x1f\x00!".to_vec();
        let expected = b"abcdefghijklmnopqrstuvwxyz012345abcdefghijklmnopqrstuvwx!".to_vec();
        assert_eq!(unpacked(&long, expected.len()), Some(expected));
        for (broken, length) in
            [(&b"\x02ab"[..], 3), (b"\x02abc", 2), (b"\x02abc", 4), (b"\x02abc\x20\x03", 6), (b"\x20", 3), (b"\xe0", 9)]
        {
            assert_eq!(unpacked(broken, length), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn damaged_values_do_no_harm(at in 0..400usize, put in vec(any::<u8>(), 1..8), cut in 0..400usize) {
            let mut dump = bytes(TEN);
            let at = at % dump.len();
            dump.splice(at..(at + put.len()).min(dump.len()), put);
            dump.truncate(dump.len().saturating_sub(cut % dump.len()));
            prop_assert!(entries(&dump).len() <= 1 << 20);
        }

        #[test]
        fn entries_of_all_lengths(entries in vec(vec(any::<u8>(), 0..5000), 0..20)) {
            let listpack: Vec<u8> = entries.iter().flat_map(|entry| element(entry)).collect();
            let (mut rest, mut read) = (&listpack[..], Vec::new());
            while let Some((entry, behind)) = next(rest) {
                read.push(entry.to_vec());
                rest = behind;
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(read, entries);
        }
    }

    /// An entry as a listpack has it.
    fn element(text: &[u8]) -> Vec<u8> {
        let length = text.len();
        let mut element = match length {
            0..64 => vec![0x80 | length as u8],
            64..4096 => (0xe000 | length as u16).to_be_bytes().to_vec(),
            _ => [&[0xf0][..], &(length as u32).to_le_bytes()].concat(),
        };
        element.extend(text);
        let mut size = element.len();
        let mut behind = Vec::new();
        loop {
            behind.push((size & 0x7f) as u8);
            size >>= 7;
            if size == 0 {
                break;
            }
        }
        element.extend(behind);
        element
    }
}
