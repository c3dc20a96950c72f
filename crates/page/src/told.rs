//! What happens, in one sentence. Pure.

use crate::phase::Phase;
use crate::shown::Tiles;

/// A backlog that changes by less a second, as a part of the rate, stands still.
const STILL: f64 = 0.01;

/// Who makes the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maker {
    Driver,
    /// Another program.
    Another,
    /// Another one, which has sent nothing for some seconds.
    Silent,
}

/// What the sentence is made of.
#[derive(Debug)]
pub(crate) struct Now<'a> {
    pub(crate) phase: Phase,
    pub(crate) tiles: &'a Tiles,
    /// Users who are there, and how many there are to be.
    pub(crate) users: Option<(u32, u32)>,
    pub(crate) is_traced: bool,
    pub(crate) can_start: bool,
    pub(crate) maker: Maker,
    /// The most that p99 of arrival latency may be, where a load is to count as carried.
    pub(crate) limit_us: Option<u64>,
    /// What the report says first.
    pub(crate) verdict: Option<&'a str>,
    pub(crate) failure: Option<&'a str>,
}

/// The sentence, and whether it tells of harm.
pub(crate) fn sentence(now: &Now<'_>) -> (String, bool) {
    if let Some(failure) = now.failure {
        return (failure.to_owned(), true);
    }
    let text = match now.phase {
        Phase::Running => {
            return match harm(now) {
                Some(harm) => (harm, true),
                None => (well(now), false),
            };
        }
        Phase::Idle if now.can_start => "Nothing runs. Choose what to load, and start.".to_owned(),
        Phase::Idle | Phase::Preparing => "The pipeline is made ready.".to_owned(),
        Phase::Warmup if now.maker != Maker::Driver => "Waits for the first message of its run.".to_owned(),
        Phase::Warmup => "Warming up: this counts nowhere.".to_owned(),
        Phase::Spawning => match now.users {
            Some((here, 1)) => format!("{here} of 1 user is there."),
            Some((here, wanted)) if wanted > 0 => {
                format!("Users there: {} of {}.", number(here.into()), number(wanted.into()))
            }
            _ => "The load begins.".to_owned(),
        },
        Phase::Paused => "Paused: no load until somebody goes on.".to_owned(),
        Phase::Draining => match now.tiles.in_flight {
            Some(messages) if messages > 0 => {
                format!("The load has ended; {} are still to arrive.", messages_of(messages))
            }
            _ => "The load has ended, and all has arrived.".to_owned(),
        },
        Phase::Measuring => "Measuring, from all stamps of the level.".to_owned(),
        Phase::Done => now.verdict.unwrap_or("It has ended; nothing was measured.").to_owned(),
        Phase::Failed => return ("It has failed.".to_owned(), true),
    };
    (text, false)
}

/// What is wrong with the load under way; nothing where all is well.
fn harm(now: &Now<'_>) -> Option<String> {
    let tiles = now.tiles;
    let accepted = number(tiles.accepted.unwrap_or(0.0));
    if let Some(seconds) = tiles.stalled_s {
        return Some(format!(
            "Nothing arrives for {seconds:.0} s: {} are on their way{}.",
            messages_of(tiles.in_flight.unwrap_or(0)),
            trend(tiles).map_or_else(String::new, |trend| format!("; the backlog {trend}"))
        ));
    }
    if let Some(lost) = tiles.lost.filter(|lost| *lost > 0) {
        return Some(format!("Not arrived 5 s after their last hop began: {}.", messages_of(lost.unsigned_abs())));
    }
    if let Some(failed) = tiles.failed.filter(|failed| *failed > 0.0) {
        return Some(format!("{}/s fail, and {accepted}/s are accepted.", number(failed)));
    }
    let arrival = p99("arrival p99", tiles.arrival.p99_us);
    if backlog_grows(tiles) {
        let trend = trend(tiles).unwrap_or_default();
        return Some(format!("Does not keep up with {accepted}/s: {arrival}the backlog {trend}."));
    }
    if let Some(slope) = tiles.in_flight_per_s.filter(|_| in_flight_grows(tiles)) {
        let slope = number(slope);
        return Some(format!("Does not keep up with {accepted}/s: {arrival}{slope}/s more are on their way."));
    }
    let over = now.limit_us.zip(tiles.arrival.p99_us).filter(|(limit, p99)| now.is_traced && p99 > limit);
    over.map(|(limit, p99)| format!("Arrival p99 is {} at {accepted}/s: the limit is {}.", time(p99), time(limit)))
}

fn well(now: &Now<'_>) -> String {
    let tiles = now.tiles;
    let Some(accepted) = tiles.accepted.filter(|accepted| *accepted > 0.0) else {
        let text = if now.maker == Maker::Silent { "Nothing comes in." } else { "The load begins." };
        return text.to_owned();
    };
    if now.maker == Maker::Silent {
        return "Nothing comes in any more: it ends when that has lasted.".to_owned();
    }
    if !now.is_traced {
        return format!("Answers {}/s: {}none fails.", number(accepted), p99("p99", tiles.http.p99_us));
    }
    // What had piled up before is carried beside it.
    let carried = tiles.arrived.map_or(accepted, |arrived| arrived.min(accepted));
    format!("Carries {}/s: {}nothing piles up.", number(carried), p99("arrival p99", tiles.arrival.p99_us))
}

fn backlog_grows(tiles: &Tiles) -> bool {
    grows(tiles, tiles.backlog, tiles.backlog_per_s, STILL)
}

/// Counts come in ten times a second, so that those in flight are known to a tenth of the rate only.
fn in_flight_grows(tiles: &Tiles) -> bool {
    grows(tiles, tiles.in_flight, tiles.in_flight_per_s, 5.0 * STILL)
}

/// Whether messages become more. After a peak that is over the slope looks back at it: there must be as many as come in a second.
fn grows(tiles: &Tiles, messages: Option<u64>, per_s: Option<f64>, still: f64) -> bool {
    let (messages, slope) = (messages.unwrap_or(0) as f64, per_s.unwrap_or(0.0));
    slope > still * tiles.accepted.unwrap_or(0.0).max(100.0) && messages >= slope
}

/// `grows by 2,100/s`, `empties in 4 s`, or nothing where it stands still.
pub(crate) fn trend(tiles: &Tiles) -> Option<String> {
    let (backlog, slope) = (tiles.backlog? as f64, tiles.backlog_per_s?);
    let still = STILL * tiles.accepted.unwrap_or(0.0).max(100.0);
    if backlog_grows(tiles) {
        Some(format!("grows by {}/s", number(slope)))
    } else if slope < -still && backlog > 0.0 {
        Some(format!("empties in {} s", number((backlog / -slope).ceil())))
    } else {
        None
    }
}

fn p99(name: &str, us: Option<u64>) -> String {
    us.map_or_else(String::new, |us| format!("{name} {}; ", time(us)))
}

fn messages_of(count: u64) -> String {
    stamp::counted(number(count as f64), "message")
}

/// `640 µs`, `3.62 ms`, `12.5 s`: three significant digits.
pub(crate) fn time(us: u64) -> String {
    let us = us as f64;
    let digits = |value: f64| usize::from(value < 100.0) + usize::from(value < 10.0);
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e6 => format!("{:.*} ms", digits(us / 1e3), us / 1e3),
        us => format!("{:.*} s", digits(us / 1e6), us / 1e6),
    }
}

/// With commas between thousands; one digit after the point below 10.
pub(crate) fn number(value: f64) -> String {
    let text = if value < 10.0 && value.fract() != 0.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && grouped != "-" {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spread::Figures;

    fn told(change: impl Fn(&mut Tiles, &mut Now<'_>)) -> String {
        let mut tiles = Tiles {
            accepted: Some(5_000.0),
            arrived: Some(5_001.0),
            arrival: Figures { p99_us: Some(3_620), ..Figures::default() },
            http: Figures { p99_us: Some(640), ..Figures::default() },
            backlog: Some(2_500),
            backlog_per_s: Some(0.0),
            in_flight: Some(3_100),
            lost: Some(0),
            ..Tiles::default()
        };
        let empty = Tiles::default();
        let mut now = Now {
            phase: Phase::Running,
            tiles: &empty,
            users: Some((120, 500)),
            is_traced: true,
            can_start: true,
            maker: Maker::Driver,
            limit_us: Some(50_000),
            verdict: None,
            failure: None,
        };
        change(&mut tiles, &mut now);
        let (text, is_harm) = sentence(&Now { tiles: &tiles, ..now });
        if is_harm { format!("! {text}") } else { text }
    }

    #[test]
    fn sentences() {
        insta::assert_snapshot!(told(|_, _| {}), @"Carries 5,000/s: arrival p99 3.62 ms; nothing piles up.");
        insta::assert_snapshot!(told(|tiles, _| tiles.backlog_per_s = Some(2_100.0)), @"! Does not keep up with 5,000/s: arrival p99 3.62 ms; the backlog grows by 2,100/s.");
        insta::assert_snapshot!(told(|tiles, _| tiles.in_flight_per_s = Some(800.0)), @"! Does not keep up with 5,000/s: arrival p99 3.62 ms; 800/s more are on their way.");
        insta::assert_snapshot!(told(|tiles, _| (tiles.backlog_per_s, tiles.stalled_s) = (Some(1_000.0), Some(3.0))), @"! Nothing arrives for 3 s: 3,100 messages are on their way; the backlog grows by 1,000/s.");
        insta::assert_snapshot!(told(|tiles, _| tiles.lost = Some(1)), @"! Not arrived 5 s after their last hop began: 1 message.");
        insta::assert_snapshot!(told(|tiles, _| tiles.failed = Some(12.0)), @"! 12/s fail, and 5,000/s are accepted.");
        insta::assert_snapshot!(told(|tiles, _| tiles.arrival.p99_us = Some(3_500_000)), @"! Arrival p99 is 3.50 s at 5,000/s: the limit is 50.0 ms.");
        insta::assert_snapshot!(told(|tiles, now| (tiles.accepted, now.maker) = (Some(3_000.0), Maker::Silent)), @"Nothing comes in any more: it ends when that has lasted.");
        insta::assert_snapshot!(told(|tiles, _| tiles.accepted = None), @"The load begins.");
        insta::assert_snapshot!(told(|_, now| now.is_traced = false), @"Answers 5,000/s: p99 640 µs; none fails.");
        insta::assert_snapshot!(told(|_, now| now.phase = Phase::Spawning), @"Users there: 120 of 500.");
        insta::assert_snapshot!(told(|_, now| now.phase = Phase::Draining), @"The load has ended; 3,100 messages are still to arrive.");
        insta::assert_snapshot!(told(|_, now| (now.phase, now.failure) = (Phase::Draining, Some("redis ended unexpectedly"))), @"! redis ended unexpectedly");
        insta::assert_snapshot!(told(|_, now| (now.phase, now.verdict) = (Phase::Done, Some("It carries 5,000/s."))), @"It carries 5,000/s.");
    }

    #[test]
    fn trends() {
        let trend = |backlog, slope| {
            trend(&Tiles {
                backlog: Some(backlog),
                backlog_per_s: Some(slope),
                accepted: Some(1e4),
                ..Tiles::default()
            })
        };
        assert_eq!(trend(400, -110.0).as_deref(), Some("empties in 4 s"));
        assert_eq!(trend(2_400, 2_100.4).as_deref(), Some("grows by 2,100/s"));
        // A peak that is over.
        assert_eq!(trend(4, 2_100.4), None);
        assert_eq!(trend(400, 20.0), None);
    }

    #[test]
    fn numbers_and_times() {
        assert_eq!([0.25, 7.0, 999.0, 1_000.0, 1_234_567.0].map(number), ["0.2", "7", "999", "1,000", "1,234,567"]);
        let times = [7, 999, 1_000, 3_621, 36_210, 362_100, 3_621_000, 362_100_000].map(time);
        assert_eq!(times, ["7 µs", "999 µs", "1.00 ms", "3.62 ms", "36.2 ms", "362 ms", "3.62 s", "362 s"]);
    }
}
