//! The context of somebody else's trace, as a message brings it along: W3C Trace Context, `traceparent`.

use std::fmt;
use std::str::FromStr;

/// The length of what version 00 has; later versions may only add to it.
const LENGTH: usize = 55;

/// A `traceparent`: `00-<trace id>-<parent span id>-<flags>`, all in lower-case hex
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>). What came in a later version is one of version 00 here, as it is passed on by who knows
/// no other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traceparent([u8; LENGTH]);

/// The text is no `traceparent`. The specification says to ignore it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 00-<32 hex digits>-<16 hex digits>-<2 hex digits>")]
pub struct InvalidTraceparent;

impl Traceparent {
    /// The name of the HTTP header, of the message's field, and of the MQTT 5 user property.
    pub const NAME: &str = "traceparent";

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The trace's id, 16 bytes.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        self.bytes(3)
    }

    /// The id of the span that sent the message, 8 bytes.
    #[must_use]
    pub fn span_id(&self) -> [u8; 8] {
        self.bytes(36)
    }

    /// Whether its sender records the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.bytes::<1>(53)[0] & 1 == 1
    }

    /// The bytes whose hex begins there.
    fn bytes<const N: usize>(&self, from: usize) -> [u8; N] {
        let digit = |at: usize| match self.0[at] {
            digit @ b'0'..=b'9' => digit - b'0',
            letter => letter - b'a' + 10,
        };
        std::array::from_fn(|index| digit(from + 2 * index) << 4 | digit(from + 2 * index + 1))
    }
}

impl FromStr for Traceparent {
    type Err = InvalidTraceparent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let text = text.trim_matches([' ', '\t']).as_bytes();
        let known: [u8; LENGTH] =
            text.get(..LENGTH).and_then(|known| known.try_into().ok()).ok_or(InvalidTraceparent)?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let parts_are_well = known.iter().enumerate().all(|(at, &byte)| match at {
            2 | 35 | 52 => byte == b'-',
            _ => is_hex(byte),
        });
        // Version ff is forbidden; 00 ends here, and a later one goes on with a hyphen.
        let rest_is_well = match &known[..2] {
            b"ff" => false,
            b"00" => text.len() == LENGTH,
            _ => text.get(LENGTH).is_none_or(|&next| next == b'-'),
        };
        if !parts_are_well || !rest_is_well {
            return Err(InvalidTraceparent);
        }
        let mut parsed = Self(known);
        if known[..2] != *b"00" {
            // Of a later version only these parts mean the same, and of its flags only the first.
            let flags: &[u8] = if parsed.is_sampled() { b"01" } else { b"00" };
            parsed.0[..2].copy_from_slice(b"00");
            parsed.0[53..].copy_from_slice(flags);
        }
        let is_somebody = parsed.trace_id() != [0; 16] && parsed.span_id() != [0; 8];
        is_somebody.then_some(parsed).ok_or(InvalidTraceparent)
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traceparent({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed: Traceparent = text.parse().unwrap();
        assert_eq!(parsed.as_str(), text);
        assert_eq!(parsed.span_id(), [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert_eq!((parsed.trace_id()[0], parsed.trace_id()[15], parsed.is_sampled()), (0x4b, 0x36, true));
    }

    #[test]
    fn a_later_version_may_go_on_and_is_passed_on_as_this_one() {
        for (flags, known) in [("00-what-comes", "00"), ("03-what-comes", "01"), ("01", "01"), ("fe", "00")] {
            let later = format!("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            let passed_on = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{known}");
            assert_eq!(later.parse::<Traceparent>().unwrap().as_str(), passed_on);
        }
    }

    #[test]
    fn what_is_none() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<Traceparent>(), Err(InvalidTraceparent), "{bad}");
        }
    }
}
