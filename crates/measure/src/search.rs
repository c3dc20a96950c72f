//! What a search for the highest load that holds has found: a part of the report.

use serde::{Deserialize, Serialize};
use stamp::counted;

/// The highest load under which everything held, as an interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What was raised from trial to trial.
    pub over: Over,
    /// What had to hold, as it was written.
    pub hold: Vec<String>,
    /// The lower end of the 95 % interval: requests or rounds a second, or users. Absent where not even the lowest load held.
    pub low: Option<f64>,
    /// Its upper end; absent where nothing that was tried failed, or the generator could do no more.
    pub high: Option<f64>,
    /// How the search ended.
    pub ended: Ended,
    /// Why more than that does not hold, or why nobody knows.
    pub limited_by: Option<String>,
    /// Where a lower load failed after a higher one had held.
    pub not_monotonic: Option<String>,
    /// The interval was to be no wider than this part of its lower end.
    pub within: f64,
    /// From the first trial to the last one, µs.
    pub took_us: u64,
    /// All trials, in the order in which they were made.
    pub trials: Vec<Trial>,
}

/// What a search raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// Requests, or rounds, a second: an open loop.
    #[default]
    Rate,
    /// Users, or connections, each of whom waits for answers: a closed loop.
    Users,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It was ended before it had an answer.
    #[default]
    Interrupted,
    /// With an interval as narrow as was asked for.
    Found,
    /// With a wider one, after as many trials as were allowed.
    Wide,
    /// The highest load that was allowed holds: the answer is "at least".
    HighestHolds,
    /// The generator could make no more: the answer is "at least".
    GeneratorLimited,
    /// The lowest load fails already.
    LowestFails,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Requests or rounds a second, or users.
    pub load: f64,
    /// How long it loaded, µs.
    pub duration_us: u64,
    /// What it says.
    pub verdict: TrialVerdict,
    /// How likely it is that everything held, 0 to 1, by the intervals of what was measured.
    pub chance: f64,
    /// What failed, or is in doubt; absent where everything held.
    pub why: Option<String>,
    /// The run of its level.
    pub run: String,
}

/// What a trial says of its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialVerdict {
    /// Everything held, and the intervals lie below the limits.
    Carried,
    /// Something did not hold.
    Not,
    /// A limit lies within the interval of its figure.
    Doubtful,
    /// The generator did not make this load: nothing is known of it.
    GeneratorLimited,
}

impl TrialVerdict {
    /// As people read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Not => "not carried",
            Self::Doubtful => "doubtful",
            Self::GeneratorLimited => "generator-limited",
        }
    }
}

impl Over {
    /// What it is counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Rate => "/s",
            Self::Users => " users",
        }
    }
}

impl Found {
    /// The middle of the interval, or the load that holds at least. Absent where none does.
    pub fn middle(&self) -> Option<f64> {
        let low = self.low?;
        Some(self.high.map_or(low, |high| (low * high).sqrt()))
    }

    /// The answer in a sentence, with its reason.
    pub fn sentence(&self) -> String {
        let unit = self.over.unit();
        let number = |load: f64| format!("{}{unit}", thousands(load));
        let minutes = format!("{}, {}", counted(self.trials.len(), "trial"), span(self.took_us));
        let why = self.limited_by.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        match (self.low, self.high, self.ended) {
            (Some(low), Some(high), Ended::Found) => {
                format!(
                    "The highest load that holds lies between {} and {} ({minutes}). Above that{why}.",
                    thousands(low),
                    number(high)
                )
            }
            (Some(low), Some(high), Ended::Wide) => format!(
                "The highest load that holds lies between {} and {} ({minutes}), wider than the {} % asked for: more trials (--most-trials) narrow it. Above that{why}.",
                thousands(low),
                number(high),
                (self.within * 1000.0).round() / 10.0
            ),
            (Some(low), None, Ended::Wide) => format!(
                "The highest load that holds is at least {} ({minutes}): nothing that was tried failed, and no more trials were allowed (--most-trials).",
                number(low)
            ),
            (Some(low), _, Ended::HighestHolds) => {
                format!(
                    "The highest load that holds is at least {} ({minutes}): the search ends there (raise --to).",
                    number(low)
                )
            }
            (Some(low), _, Ended::GeneratorLimited) => {
                format!("The highest load that holds is at least {} ({minutes}). More was not tried{why}.", number(low))
            }
            (None, _, Ended::GeneratorLimited) => {
                format!("No answer: the generator did not make even the lowest load ({minutes}){why}.")
            }
            (_, _, Ended::LowestFails) => {
                let lowest = self.trials.first().map_or(0.0, |trial| trial.load);
                format!("Not even the lowest load, {}, holds ({minutes}){why}. Give a lower --from.", number(lowest))
            }
            (Some(low), Some(high), _) => {
                format!(
                    "Ended early: the highest load that holds lies between {} and {} ({minutes}).",
                    thousands(low),
                    number(high)
                )
            }
            (Some(low), None, _) => {
                format!("Ended early: the highest load that holds is at least {} ({minutes}).", number(low))
            }
            (None, ..) => format!("Ended early, without an answer ({minutes})."),
        }
    }
}

/// `38,200`; `20.5`, and below ten `2.25`.
pub fn thousands(number: f64) -> String {
    if number < 99.95 {
        let unit = if number < 10.0 { 100.0 } else { 10.0 };
        return format!("{}", (number * unit).round() / unit);
    }
    let digits = format!("{number:.0}");
    let mut told = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

fn span(us: u64) -> String {
    let seconds = us / 1_000_000;
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {:02} s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_in_words() {
        let found = Found {
            low: Some(38_200.0),
            high: Some(39_400.0),
            ended: Ended::Found,
            limited_by: Some("arrival.p99 was 61.2 ms at 40,000/s".to_owned()),
            within: 0.03,
            took_us: 372_000_000,
            ..Found::default()
        };
        insta::assert_snapshot!(found.sentence(), @"The highest load that holds lies between 38,200 and 39,400/s (0 trials, 6 min 12 s). Above that: arrival.p99 was 61.2 ms at 40,000/s.");
        let found = Found { high: None, ended: Ended::HighestHolds, limited_by: None, ..found };
        insta::assert_snapshot!(found.sentence(), @"The highest load that holds is at least 38,200/s (0 trials, 6 min 12 s): the search ends there (raise --to).");
        let wide = Found { ended: Ended::Wide, low: Some(20.46), high: None, ..found.clone() };
        insta::assert_snapshot!(wide.sentence(), @"The highest load that holds is at least 20.5/s (0 trials, 6 min 12 s): nothing that was tried failed, and no more trials were allowed (--most-trials).");
        let found = Found { over: Over::Users, ended: Ended::Interrupted, low: Some(2.5), ..found };
        insta::assert_snapshot!(found.sentence(), @"Ended early: the highest load that holds is at least 2.5 users (0 trials, 6 min 12 s).");
        let found = Found {
            ended: Ended::GeneratorLimited,
            low: None,
            limited_by: Some("at 10 requests were late".to_owned()),
            ..found
        };
        insta::assert_snapshot!(found.sentence(), @"No answer: the generator did not make even the lowest load (0 trials, 6 min 12 s): at 10 requests were late.");
    }
}
