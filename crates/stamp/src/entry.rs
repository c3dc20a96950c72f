//! One entry of a stage's list: what a stamp looks like in the log store.

mod usual;

use crate::Traceparent;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// One stamp as it was read back. All times are microseconds on the log store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The message.
    pub id: u64,
    /// Redis `TIME` when the log store took the stamp, µs since 1970-01-01 UTC.
    pub time_us: i64,
    /// How long before `time_us` the message passed the stage; absent for a plain reading.
    pub lag_us: Option<i64>,
    /// The bound of the error of `lag_us`; absent where the writer knows none.
    pub err_us: Option<u32>,
    /// How often the log store's clock had been set before the time scale in which the event is told: event times of
    /// different scales must not be subtracted.
    pub step: u32,
    /// The event's time is by another clock, which nobody has compared with the log store's: [`Remarks::clock`] names it.
    pub foreign: bool,
}

/// What few entries tell beside: read apart, as it costs more than the stamp itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    /// The foreign clock by which the event's time is told.
    pub clock: Option<String>,
    /// The context of the trace that the message came with.
    pub traceparent: Option<Traceparent>,
}

/// An entry of a stage's list is no stamp.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Not the JSON object that docs/protocol.md describes.
    #[error("no stamp entry: {0}")]
    Json(#[from] serde_json::Error),
    /// `time` is not `seconds.microseconds`.
    #[error("time {0:?} is not <seconds>.<six digits of microseconds>")]
    Time(String),
    /// The event would lie before 1970 or beyond all times: its differences from others could not be told.
    #[error("lag {lag} µs before time {time:?} is no time")]
    Lag {
        /// The reading.
        time: String,
        /// What was said to lie between it and the event.
        lag: i64,
    },
}

impl Stamp {
    /// When the message passed the stage, µs on the log store's clock.
    #[must_use]
    pub fn event_us(&self) -> i64 {
        self.time_us - self.lag_us.unwrap_or(0)
    }

    /// Reads an entry such as `{"id":12000,"time":"1426087754.104515","lag":48,"err":17}`. Keys that it does not
    /// know are ignored.
    pub fn parse(entry: &[u8]) -> Result<Self, EntryError> {
        // Reports read millions of them, and nearly all are written as above.
        match usual::read(entry) {
            Some(stamp) => Ok(stamp),
            None => Self::parse_any(entry),
        }
    }

    /// The same for any way to write the object.
    fn parse_any(entry: &[u8]) -> Result<Self, EntryError> {
        #[derive(Deserialize)]
        struct Entry<'a> {
            id: u64,
            #[serde(borrow)]
            time: &'a str,
            lag: Option<i64>,
            err: Option<u32>,
            #[serde(default)]
            step: u32,
            clock: Option<IgnoredAny>,
        }
        let entry: Entry<'_> = serde_json::from_slice(entry)?;
        let time_us = parse_time_us(entry.time).ok_or_else(|| EntryError::Time(entry.time.to_owned()))?;
        let lag = entry.lag.unwrap_or(0);
        if time_us.checked_sub(lag).is_none_or(i64::is_negative) {
            return Err(EntryError::Lag { time: entry.time.to_owned(), lag });
        }
        let (lag_us, err_us, foreign) = (entry.lag, entry.err, entry.clock.is_some());
        Ok(Self { id: entry.id, time_us, lag_us, err_us, step: entry.step, foreign })
    }
}

impl Remarks {
    /// Reads what an entry tells beside its stamp; nothing where it is none, or tells nothing.
    #[must_use]
    pub fn parse(entry: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Entry<'a> {
            #[serde(borrow)]
            clock: Option<Cow<'a, str>>,
            #[serde(borrow)]
            traceparent: Option<Cow<'a, str>>,
        }
        let Ok(entry) = serde_json::from_slice::<Entry<'_>>(entry) else { return Self::default() };
        let traceparent = entry.traceparent.and_then(|text| text.parse().ok());
        Self { clock: entry.clock.map(Cow::into_owned), traceparent }
    }
}

/// Reads `seconds.microseconds`. Redis gives TIME as two integers, and a client that joins them without padding
/// writes `1426087754.4515` for 4,515 µs past the second: fewer than six digits are therefore refused, as
/// nobody can tell what they mean.
fn parse_time_us(text: &str) -> Option<i64> {
    let (seconds, micros) = text.split_once('.')?;
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(seconds) || !digits(micros) || micros.len() != 6 {
        return None;
    }
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_founding_entry() {
        let stamp = Stamp::parse(br#"{"id":12000,"time":"1426087754.104515"}"#).unwrap();
        assert_eq!(
            stamp,
            Stamp { id: 12000, time_us: 1_426_087_754_104_515, lag_us: None, err_us: None, step: 0, foreign: false }
        );
        assert_eq!(stamp.event_us(), 1_426_087_754_104_515);
    }

    #[test]
    fn what_the_tracer_writes_is_read_the_quick_way() {
        for entry in [
            r#"{"id":12000,"time":"1426087754.104515"}"#,
            r#"{"id":12000,"time":"1426087754.104515","lag":48,"err":17}"#,
            r#"{"id":12000,"time":"1426087754.104515","lag":-3,"err":17,"step":2}"#,
            r#"{"id":12000,"time":"1426087754.104515","step":1}"#,
        ] {
            assert_eq!(usual::read(entry.as_bytes()), Stamp::parse_any(entry.as_bytes()).ok(), "{entry}");
            assert!(usual::read(entry.as_bytes()).is_some(), "{entry}");
        }
    }

    #[test]
    fn the_event_lies_lag_before_the_reading() {
        let stamp = Stamp::parse(br#"{"id":12000,"time":"1426087754.000048","lag":50,"err":17}"#).unwrap();
        assert_eq!(stamp.event_us(), 1_426_087_753_999_998);
        assert_eq!(stamp.err_us, Some(17));
    }

    #[test]
    fn the_time_scale_is_read() {
        let stamp = Stamp::parse(br#"{"id":1,"time":"2.000000","lag":-5,"err":3,"step":2}"#).unwrap();
        assert_eq!((stamp.event_us(), stamp.step), (2_000_005, 2));
    }

    #[test]
    fn what_few_entries_tell_beside() {
        let foreign = br#"{"id":1,"time":"2.000000","lag":7,"clock":"web-1"}"#;
        assert!(Stamp::parse(foreign).unwrap().foreign);
        assert_eq!(Remarks::parse(foreign), Remarks { clock: Some("web-1".to_owned()), traceparent: None });
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let traced = format!(r#"{{"id":1,"time":"2.000000","lag":7,"err":3,"traceparent":"{traceparent}"}}"#);
        assert!(!Stamp::parse(traced.as_bytes()).unwrap().foreign);
        assert_eq!(Remarks::parse(traced.as_bytes()).traceparent, traceparent.parse().ok());
        assert_eq!(Remarks::parse(b"x"), Remarks::default());
    }

    #[test]
    fn what_is_no_stamp() {
        for bad in [
            "",
            "{}",
            "[1]",
            r#"{"id":-1,"time":"1.000000"}"#,
            r#"{"id":1,"time":1.5}"#,
            r#"{"id":1,"time":"1"}"#,
            r#"{"id":1,"time":"1.4515"}"#,
            r#"{"id":1,"time":"1.-00001"}"#,
            r#"{"id":1,"time":"99999999999999999.000000"}"#,
            r#"{"id":1,"time":"1.000000","lag":1000001}"#,
            r#"{"id":1,"time":"9223372036854.775807","lag":-1}"#,
            r#"{"id":1,"time":"1.000000","lag":-9223372036854775808}"#,
        ] {
            assert!(Stamp::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    /// What a writer that follows docs/protocol.md puts on the list.
    fn written(stamp: &Stamp) -> String {
        let time = format!("{}.{:06}", stamp.time_us / 1_000_000, stamp.time_us % 1_000_000);
        let mut entry = json!({"id": stamp.id, "time": time, "step": stamp.step});
        for (key, value) in [("lag", stamp.lag_us), ("err", stamp.err_us.map(i64::from))] {
            if let Some(value) = value {
                entry[key] = value.into();
            }
        }
        entry.to_string()
    }

    fn any_stamp() -> impl Strategy<Value = Stamp> {
        let parts = (any::<u64>(), 0..=i64::MAX, any::<Option<i64>>(), any::<Option<u32>>(), any::<u32>());
        parts.prop_map(|(id, time_us, lag_us, err_us, step)| Stamp {
            id,
            time_us,
            lag_us,
            err_us,
            step,
            foreign: false,
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_in_range_and_reads_as_the_same_again(stamp in any_stamp(), at in any::<prop::sample::Index>(), byte in any::<u8>(), whole in any::<bool>()) {
            let mut entry = written(&stamp).into_bytes();
            if !whole {
                let at = at.index(entry.len());
                entry[at] = byte;
            }
            if let Ok(read) = Stamp::parse(&entry) {
                prop_assert!(read.event_us() >= 0);
                prop_assert_eq!(Stamp::parse(written(&read).as_bytes()).unwrap(), read);
            }
        }

        #[test]
        fn a_stamp_of_this_age_is_read_whatever_it_holds(id in any::<u64>(), time_us in 0..1i64 << 52, lag in -1_000_000i64..1_000_000, err in any::<Option<u32>>(), step in any::<u32>()) {
            let stamp = Stamp { id, time_us: time_us + 1_000_000, lag_us: Some(lag), err_us: err, step, foreign: false };
            prop_assert_eq!(Stamp::parse(written(&stamp).as_bytes()).unwrap(), stamp);
        }

        #[test]
        fn the_usual_way_is_read_as_any_other(stamp in any_stamp(), cut in any::<prop::sample::Index>(), byte in any::<u8>(), whole in any::<bool>()) {
            let time = format!("{}.{:06}", stamp.time_us / 1_000_000, stamp.time_us % 1_000_000);
            let mut entry = format!(r#"{{"id":{},"time":"{time}""#, stamp.id);
            let rest = [("lag", stamp.lag_us), ("err", stamp.err_us.map(i64::from)), ("step", (stamp.step > 0).then_some(i64::from(stamp.step)))];
            for (key, value) in rest {
                entry.extend(value.map(|value| format!(r#","{key}":{value}"#)));
            }
            entry.push('}');
            let mut entry = entry.into_bytes();
            if !whole {
                let at = cut.index(entry.len());
                entry[at] = byte;
            }
            if let Some(quick) = usual::read(&entry) {
                prop_assert_eq!(quick, Stamp::parse_any(&entry).unwrap());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Stamp::parse(&bytes);
        }
    }
}
