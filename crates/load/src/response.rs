//! Reading HTTP/1.1 responses (RFC 9112): the status is kept, the body is passed over. Pure; it knows no socket, and what it gives does not
//! depend on the pieces in which the bytes come.

use httparse::{EMPTY_HEADER, Header, ParserConfig};

/// Header lines for which there is room on the stack; a response with more of them takes memory of its own.
const USUAL_HEADERS: usize = 64;

/// The longest header block, in bytes: from the status line to the empty line.
pub(crate) const LONGEST_HEAD: usize = 256 * 1024;

/// The longest line within a chunked body: a chunk's size with its extensions, or a trailer.
const LONGEST_LINE: usize = 16 * 1024;

/// A response that is being read.
#[derive(Debug, Default)]
pub(crate) struct Response {
    state: State,
    /// It answers HEAD: it has no body, whatever its headers say.
    bodyless: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Body {
        status: u16,
        close: bool,
        left: Left,
    },
}

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Bytes(u64),
    /// The next line gives the size of a chunk.
    ChunkSize,
    /// Bytes of a chunk.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// Lines up to an empty one.
    Trailers,
    UntilClose,
}

/// A response that has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The connection cannot be used again.
    pub close: bool,
}

/// Why what came cannot be read as a response. The texts are kinds of errors in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Garbage {
    /// Something else, or a broken head or chunk.
    #[error("not HTTP")]
    NotHttp,
    /// The end of the header block did not come within [`LONGEST_HEAD`].
    #[error("header block larger than {} KiB", LONGEST_HEAD / 1024)]
    LargeHead,
    /// Nobody can tell where the body ends (RFC 9112, section 6.3).
    #[error("contradictory or invalid Content-Length")]
    Length,
    /// A line of a chunked body did not end within [`LONGEST_LINE`].
    #[error("chunk or trailer line longer than {} KiB", LONGEST_LINE / 1024)]
    LongLine,
}

/// Whoever looks into an answer while it is read.
pub(crate) trait Look {
    /// A whole header block, from the status line to the empty line.
    fn head(&mut self, _: &[u8]) {}

    /// The next bytes of the body, without the frame of chunks.
    fn body(&mut self, _: &[u8]) {}
}

/// Nobody looks: the body is passed over.
impl Look for () {}

impl Response {
    pub(crate) fn new(bodyless: bool) -> Self {
        Self { state: State::default(), bodyless }
    }

    /// Reads on. Gives the bytes that it has used up, and the answer once it is whole.
    pub(crate) fn read(&mut self, bytes: &[u8], look: &mut impl Look) -> Result<(usize, Option<Answer>), Garbage> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let step = match &mut self.state {
                State::Head => {
                    let length = self.read_head(rest)?;
                    if length > 0 {
                        look.head(&rest[..length]);
                    }
                    length
                }
                State::Body { left, .. } => {
                    let is_content = matches!(left, Left::Bytes(_) | Left::Chunk(_) | Left::UntilClose);
                    let length = left.read(rest)?;
                    if is_content {
                        look.body(&rest[..length]);
                    }
                    length
                }
            };
            used += step;
            if let State::Body { status, close, left: Left::Bytes(0) } = self.state {
                self.state = State::Head;
                return Ok((used, Some(Answer { status, close })));
            }
            if step == 0 {
                return Ok((used, None));
            }
        }
    }

    /// The answer when the connection ends here: whole, if the body was to end with it.
    pub(crate) fn end(&self) -> Option<Answer> {
        match self.state {
            State::Body { status, left: Left::UntilClose, .. } => Some(Answer { status, close: true }),
            _ => None,
        }
    }

    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, Garbage> {
        // Never more than may belong to it, so that a fault behind that is not seen before the length.
        let head = &bytes[..bytes.len().min(LONGEST_HEAD)];
        let mut usual = [EMPTY_HEADER; USUAL_HEADERS];
        match self.parse_head(head, &mut usual) {
            Err(httparse::Error::TooManyHeaders) => {
                // A header line takes four bytes or more: `a:` and the line's end.
                let mut many = vec![EMPTY_HEADER; head.len() / 4 + 1];
                self.parse_head(head, &mut many).unwrap_or(Err(Garbage::NotHttp))
            }
            parsed => parsed.unwrap_or(Err(Garbage::NotHttp)),
        }
    }

    /// The outer error is that of the parser.
    fn parse_head<'b>(
        &mut self,
        bytes: &'b [u8],
        headers: &mut [Header<'b>],
    ) -> Result<Result<usize, Garbage>, httparse::Error> {
        let mut parser = ParserConfig::default();
        parser.allow_obsolete_multiline_headers_in_responses(true).allow_spaces_after_header_name_in_responses(true);
        let mut head = httparse::Response::new(headers);
        let length = match parser.parse_response(&mut head, bytes)? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial if bytes.len() == LONGEST_HEAD => return Ok(Err(Garbage::LargeHead)),
            httparse::Status::Partial => return Ok(Ok(0)),
        };
        let status = head.code.unwrap_or_default();
        // An interim response, such as 100 Continue, comes before the real one. 101 is the last one in HTTP.
        if (100..200).contains(&status) && status != 101 {
            return Ok(Ok(length));
        }
        let fields = match Fields::of(head.headers) {
            Ok(fields) => fields,
            Err(_) if self.has_no_body(status) => Fields::default(),
            Err(garbage) => return Ok(Err(garbage)),
        };
        let left = match fields {
            _ if self.has_no_body(status) => Left::Bytes(0),
            Fields { chunked: Some(true), .. } => Left::ChunkSize,
            Fields { chunked: None, length: Some(length), .. } => Left::Bytes(length),
            // Also where a transfer encoding ends with another coding than chunked.
            Fields { .. } => Left::UntilClose,
        };
        // Both lengths together may be an attempt to smuggle: nothing that follows is believed.
        let doubtful = fields.chunked.is_some() && fields.length.is_some();
        let kept = fields.keep_alive || head.version != Some(0);
        self.state = State::Body { status, close: fields.close || !kept || doubtful || status == 101, left };
        Ok(Ok(length))
    }

    fn has_no_body(&self, status: u16) -> bool {
        self.bodyless || matches!(status, 101 | 204 | 304)
    }
}

/// What the headers say of the body and of the connection.
#[derive(Debug, Default, Clone, Copy)]
struct Fields {
    length: Option<u64>,
    /// Whether the transfer encoding, where there is one, ends with chunked.
    chunked: Option<bool>,
    close: bool,
    keep_alive: bool,
}

impl Fields {
    fn of(headers: &[Header<'_>]) -> Result<Self, Garbage> {
        let mut fields = Self::default();
        let mut lengths = Ok(None);
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                for text in list(header.value) {
                    lengths = lengths.and_then(|known| same(known, text));
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                for coding in list(header.value) {
                    fields.chunked = Some(coding.eq_ignore_ascii_case(b"chunked"));
                }
            } else if header.name.eq_ignore_ascii_case("connection") {
                for token in list(header.value) {
                    fields.close |= token.eq_ignore_ascii_case(b"close");
                    fields.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
        }
        // A transfer encoding overrides the length, whatever that says.
        match lengths {
            Ok(length) => fields.length = length,
            Err(garbage) if fields.chunked.is_none() => return Err(garbage),
            Err(_) => fields.close = true,
        }
        Ok(fields)
    }
}

/// The elements of a header's value, which commas separate.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// The length that both this text and those before it give.
fn same(known: Option<u64>, text: &[u8]) -> Result<Option<u64>, Garbage> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or(Garbage::Length)?;
    if known.is_none_or(|known| known == length) { Ok(Some(length)) } else { Err(Garbage::Length) }
}

impl Left {
    fn read(&mut self, bytes: &[u8]) -> Result<usize, Garbage> {
        match self {
            Left::Bytes(left) => Ok(pass(left, bytes)),
            Left::Chunk(left) => {
                let used = pass(left, bytes);
                if *left == 0 {
                    *self = Left::ChunkEnd;
                }
                Ok(used)
            }
            Left::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    *self = Left::ChunkSize;
                    Ok(2)
                }
                [] | [b'\r'] => Ok(0),
                _ => Err(Garbage::NotHttp),
            },
            Left::ChunkSize => {
                let line = &bytes[..bytes.len().min(LONGEST_LINE)];
                match httparse::parse_chunk_size(line).map_err(|_| Garbage::NotHttp)? {
                    httparse::Status::Complete((used, size)) => {
                        *self = if size == 0 { Left::Trailers } else { Left::Chunk(size) };
                        Ok(used)
                    }
                    httparse::Status::Partial if line.len() == LONGEST_LINE => Err(Garbage::LongLine),
                    httparse::Status::Partial => Ok(0),
                }
            }
            Left::Trailers => {
                let line = &bytes[..bytes.len().min(LONGEST_LINE)];
                let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
                    return if line.len() == LONGEST_LINE { Err(Garbage::LongLine) } else { Ok(0) };
                };
                if matches!(&line[..end], b"" | b"\r") {
                    *self = Left::Bytes(0);
                }
                Ok(end + 1)
            }
            Left::UntilClose => Ok(bytes.len()),
        }
    }
}

/// Passes over as many bytes as are there, of those that are left.
fn pass(left: &mut u64, bytes: &[u8]) -> usize {
    let used = (*left).min(bytes.len() as u64);
    *left -= used;
    usize::try_from(used).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests;
