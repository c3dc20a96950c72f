//! Reading HTTP/1.1 responses: the status is kept, the body is passed over. Pure; it knows no socket.

/// The most header lines in a response.
const HEADERS: usize = 64;

/// The longest head of a response, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

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
    /// Bytes of a chunk, its line end included.
    Chunk(u64),
    /// Lines up to an empty one.
    Trailers,
    UntilClose,
}

/// A response that has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The connection cannot be used again.
    pub(crate) close: bool,
}

/// What came is no HTTP/1.1 response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no HTTP/1.1 response")]
pub(crate) struct Garbage;

impl Response {
    pub(crate) fn new(bodyless: bool) -> Self {
        Self { state: State::default(), bodyless }
    }

    /// Reads on. Gives the bytes that it has used up, and the answer once it is whole.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(usize, Option<Answer>), Garbage> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let step = match &mut self.state {
                State::Head => self.read_head(rest)?,
                State::Body { left, .. } => left.read(rest)?,
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
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(bytes).map_err(|_| Garbage)? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial if bytes.len() > LONGEST_HEAD => return Err(Garbage),
            httparse::Status::Partial => return Ok(0),
        };
        let status = head.code.ok_or(Garbage)?;
        // An interim response, such as 100 Continue, comes before the real one.
        if (100..200).contains(&status) {
            return Ok(length);
        }
        let mut close = head.version == Some(0);
        let mut left = None;
        for header in head.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") && left != Some(Left::ChunkSize) {
                let text = std::str::from_utf8(header.value).map_err(|_| Garbage)?;
                left = Some(Left::Bytes(text.trim().parse().map_err(|_| Garbage)?));
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                left = Some(Left::ChunkSize);
            } else if header.name.eq_ignore_ascii_case("connection") {
                close = header.value.eq_ignore_ascii_case(b"close")
                    || close && !header.value.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        let left = match (status, left) {
            _ if self.bodyless => Left::Bytes(0),
            (204 | 304, _) => Left::Bytes(0),
            (_, Some(left)) => left,
            (_, None) => Left::UntilClose,
        };
        self.state = State::Body { status, close, left };
        Ok(length)
    }
}

impl Left {
    fn read(&mut self, bytes: &[u8]) -> Result<usize, Garbage> {
        match self {
            Left::Bytes(left) => {
                let used = (*left).min(bytes.len() as u64);
                *left -= used;
                Ok(usize::try_from(used).unwrap_or(bytes.len()))
            }
            Left::Chunk(left) => {
                let used = (*left).min(bytes.len() as u64);
                *left -= used;
                if *left == 0 {
                    *self = Left::ChunkSize;
                }
                Ok(usize::try_from(used).unwrap_or(bytes.len()))
            }
            Left::ChunkSize => match httparse::parse_chunk_size(bytes).map_err(|_| Garbage)? {
                httparse::Status::Complete((line, size)) => {
                    *self = if size == 0 { Left::Trailers } else { Left::Chunk(size.checked_add(2).ok_or(Garbage)?) };
                    Ok(line)
                }
                httparse::Status::Partial => Ok(0),
            },
            Left::Trailers => {
                let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
                if matches!(&bytes[..end], b"" | b"\r") {
                    *self = Left::Bytes(0);
                }
                Ok(end + 1)
            }
            Left::UntilClose => Ok(bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads responses that come in pieces of the given size.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Answer>, Garbage> {
        let (mut response, mut answers, mut buffer) = (Response::default(), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            loop {
                let (used, answer) = response.read(&buffer)?;
                buffer.drain(..used);
                match answer {
                    Some(answer) => answers.push(answer),
                    None => break,
                }
            }
        }
        answers.extend(response.end());
        Ok(answers)
    }

    fn check(bytes: &str, expected: &[(u16, bool)]) {
        for piece in [1, 2, 7, 1000] {
            let answers = read(bytes.as_bytes(), piece).unwrap();
            let answers: Vec<_> = answers.iter().map(|answer| (answer.status, answer.close)).collect();
            assert_eq!(answers, expected, "{bytes:?} in pieces of {piece}");
        }
    }

    #[test]
    fn every_way_to_end_a_body() {
        check("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", &[(202, false)]);
        check("HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\nConnection: close\r\n\r\nhello", &[(202, true)]);
        check(
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            &[(204, false), (304, false)],
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n",
            &[(200, false)],
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\nHTTP/1.1 500 E\r\nContent-Length: 1\r\n\r\nx",
            &[(200, false), (500, false)],
        );
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n", &[(202, false)]);
        check("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", &[(200, true)]);
        check("HTTP/1.1 200 OK\r\n\r\neverything until the end", &[(200, true)]);
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let mut response = Response::new(true);
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(response.read(bytes), Ok((bytes.len(), Some(Answer { status: 200, close: false }))));
    }

    #[test]
    fn what_is_no_response() {
        for bad in [
            "garbage\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert_eq!(read(bad.as_bytes(), 1000), Err(Garbage), "{bad:?}");
        }
        assert_eq!(read(&vec![b'a'; 2 * LONGEST_HEAD], 4096), Err(Garbage));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1usize..50) {
            let _ = read(&bytes, piece);
            let _ = read(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &bytes].concat(), piece);
        }
    }
}
