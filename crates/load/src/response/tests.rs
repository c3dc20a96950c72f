//! Responses, whatever the pieces in which they come.

use super::*;
use proptest::prelude::*;

/// All answers in these pieces, and how it ended.
fn read_pieces<'b>(pieces: impl IntoIterator<Item = &'b [u8]>, bodyless: bool) -> Result<Vec<Answer>, Garbage> {
    let (mut response, mut answers, mut buffer) = (Response::new(bodyless), Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let (used, answer) = response.read(&buffer, &mut ())?;
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

fn read(bytes: &[u8], piece: usize) -> Result<Vec<Answer>, Garbage> {
    read_pieces(bytes.chunks(piece), false)
}

/// What whole responses are, as status and whether the connection ends with them.
fn check(bytes: &str, expected: &[(u16, bool)]) {
    for piece in [1, 2, 7, 1000] {
        let answers = read(bytes.as_bytes(), piece).unwrap();
        let answers: Vec<_> = answers.iter().map(|answer| (answer.status, answer.close)).collect();
        assert_eq!(answers, expected, "{bytes:?} in pieces of {piece}");
    }
}

/// Every kind of response and of fault, each short enough to be cut everywhere.
const ALL: &[&str] = &[
    "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 202 Accepted\r\ncontent-length: 5, 5\r\nConnection: close, X-Foo\r\n\r\nhello",
    "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 7\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nwhatever comes",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
    "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nx",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
    "SSH-2.0-OpenSSH\r\n",
    "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
];

/// Every way to cut each of them in two or three.
#[test]
fn no_split_makes_a_difference() {
    for bytes in ALL.iter().map(|text| text.as_bytes()) {
        for bodyless in [false, true] {
            let whole = read_pieces([bytes], bodyless);
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    assert_eq!(
                        read_pieces(pieces, bodyless),
                        whole,
                        "{} cut at {first} and {second}",
                        bytes.escape_ascii()
                    );
                }
            }
        }
    }
}

#[test]
fn every_way_to_end_a_body() {
    check(ALL[0], &[(202, false)]);
    check(ALL[1], &[(202, true)]);
    check(ALL[2], &[(204, false), (304, false)]);
    check(ALL[3], &[(200, false)]);
    // A length beside an encoding is not believed, nor is what follows.
    check(ALL[4], &[(200, true)]);
    check(ALL[5], &[(200, true)]);
    check(ALL[6], &[(202, false)]);
    check(ALL[7], &[(200, true)]);
    check(ALL[8], &[(200, false)]);
    check(ALL[9], &[(200, false)]);
    check(ALL[10], &[(200, false)]);
    check(ALL[11], &[(200, false)]);
    check(ALL[12], &[(101, true)]);
    check("HTTP/1.1 200 OK\r\n\r\neverything until the end", &[(200, true)]);
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 500 E\r\nContent-Length: 1\r\n\r\nx",
        &[(200, false), (500, false)],
    );
}

#[test]
fn an_answer_to_head_has_no_body() {
    let mut response = Response::new(true);
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(response.read(bytes, &mut ()), Ok((bytes.len(), Some(Answer { status: 200, close: false }))));
}

#[test]
fn what_is_no_response() {
    for (bad, why) in [
        ("garbage\r\n\r\n", Garbage::NotHttp),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Garbage::Length),
        (ALL[13], Garbage::Length),
        (ALL[14], Garbage::Length),
        (ALL[15], Garbage::Length),
        (ALL[16], Garbage::NotHttp),
        (ALL[17], Garbage::NotHttp),
        (ALL[18], Garbage::NotHttp),
    ] {
        assert_eq!(read(bad.as_bytes(), 1000), Err(why), "{bad:?}");
    }
}

/// A head of exactly this many bytes, of header lines of this length.
fn head_of(length: usize, line: usize) -> Vec<u8> {
    let mut head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n".to_vec();
    while head.len() + line + 4 + 2 <= length {
        head.extend_from_slice(b"A:");
        head.resize(head.len() + line, b'x');
        head.extend_from_slice(b"\r\n");
    }
    let rest = length - head.len() - 2;
    assert!(rest == 0 || rest >= 4, "{rest}");
    if rest > 0 {
        head.extend_from_slice(b"B:");
        head.resize(length - 4, b'x');
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    assert_eq!(head.len(), length);
    head
}

#[test]
fn the_limit_of_a_head_does_not_depend_on_the_pieces() {
    for line in [100_000, 60] {
        for piece in [1000, 1448, 16_384, LONGEST_HEAD - 1, LONGEST_HEAD, LONGEST_HEAD + 1, usize::MAX] {
            let fits = read(&head_of(LONGEST_HEAD, line), piece);
            assert_eq!(fits, Ok(vec![Answer { status: 200, close: false }]), "{line}, {piece}");
            let large = read(&head_of(LONGEST_HEAD + 4, line), piece);
            assert_eq!(large, Err(Garbage::LargeHead), "{line}, {piece}");
        }
    }
    let long = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(LONGEST_LINE));
    for piece in [1000, 1448, usize::MAX] {
        assert_eq!(read(long.as_bytes(), piece), Err(Garbage::LongLine), "{piece}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_depend_on_the_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1usize..50, start in 0usize..4,
    ) {
        let start: &str = ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: "][start];
        let bytes = [start.as_bytes(), &bytes].concat();
        prop_assert_eq!(read(&bytes, piece), read(&bytes, usize::MAX));
    }

    #[test]
    fn what_two_responses_are_does_not_depend_on_the_pieces(
        which in prop::collection::vec(0..ALL.len(), 1..4), cuts in prop::collection::vec(0usize..400, 0..8),
    ) {
        let bytes = which.iter().map(|&which| ALL[which]).collect::<String>().into_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
        prop_assert_eq!(read_pieces(pieces, false), read(&bytes, usize::MAX));
    }
}
