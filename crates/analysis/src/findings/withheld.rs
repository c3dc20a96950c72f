//! The load that users withhold while they wait: in a closed loop, whoever waits asks for nothing.

use crate::{Level, Report};
use serde::{Deserialize, Serialize};

/// What the users of a level would have asked for, had every answer come as soon as at the lowest level: by the response time law,
/// N / (Z + R₀) − X (E. D. Lazowska et al., Quantitative System Performance, 1984).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Withheld {
    /// N, the users.
    pub users: u32,
    /// Rounds a second that they would have begun: N / (Z + R₀).
    pub asked_per_sec: f64,
    /// X, the rounds a second that they went through: N / (Z + R), with R the mean of what their rounds waited, which has no edges; where
    /// rounds failed, those that began, by the clock.
    pub measured_per_sec: f64,
    /// The difference; 0 where they went through no fewer.
    pub withheld_per_sec: f64,
    /// Which part of their time they waited for answers, 0 to 1.
    pub waited_share: f64,
}

impl Withheld {
    /// One for each level, in their order; absent where nothing is withheld by nature, or too little is known.
    pub(crate) fn all(report: &Report) -> Vec<Option<Self>> {
        let first = report.levels.iter().find_map(waiting_us);
        report.levels.iter().map(|level| Self::of(level, first?)).collect()
    }

    fn of(level: &Level, first_us: f64) -> Option<Self> {
        let (scenario, http) = (level.load.scenario.as_ref()?, level.load.http.as_ref()?);
        let rounds = &scenario.all_rounds;
        let (mean_us, begun) = (rounds.waiting.mean_us?, rounds.begun);
        if !scenario.closed || scenario.staged || http.duration_us == 0 {
            return None;
        }
        let asked_per_sec = f64::from(scenario.users) * 1e6 / (rounds.pauses_us + first_us);
        let measured_per_sec = if rounds.failed == 0 {
            f64::from(scenario.users) * 1e6 / (rounds.pauses_us + mean_us)
        } else {
            begun as f64 * 1e6 / http.duration_us as f64
        };
        Some(Self {
            users: scenario.users,
            asked_per_sec,
            measured_per_sec,
            withheld_per_sec: (asked_per_sec - measured_per_sec).max(0.0),
            waited_share: mean_us / (mean_us + rounds.pauses_us),
        })
    }
}

/// R₀: the median of what rounds waited, µs.
fn waiting_us(level: &Level) -> Option<f64> {
    let scenario = level.load.scenario.as_ref()?;
    scenario.all_rounds.waiting.p50_us.map(|us| us as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{report_of, with_steps};

    #[test]
    fn users_who_wait_ask_for_less() {
        let mut report = with_steps(report_of(&[10, 100]));
        for (level, waiting_us, begun) in [(0, 100_000, 90), (1, 900_000, 525)] {
            let load = &mut report.levels[level].load;
            load.http.as_mut().unwrap().duration_us = 10_000_000;
            let rounds = &mut load.scenario.as_mut().unwrap().all_rounds;
            (rounds.begun, rounds.pauses_us) = (begun, 1e6);
            rounds.waiting.p50_us = Some(waiting_us);
            rounds.waiting.mean_us = Some(waiting_us as f64);
        }
        let [Some(low), Some(high)] = &Withheld::all(&report)[..] else { panic!("both are closed") };
        assert!(low.withheld_per_sec < 0.1 && (low.asked_per_sec - 9.09).abs() < 0.01, "{low:?}");
        // 100 / 1.1 s less 52.5/s; and by the law, less 100 / 1.9 s.
        assert!((high.withheld_per_sec - 38.41).abs() < 0.01 && (high.waited_share - 0.474).abs() < 0.001, "{high:?}");
        let rounds = &mut report.levels[1].load.scenario.as_mut().unwrap().all_rounds;
        rounds.failed = 0;
        let by_law = Withheld::all(&report)[1].clone().unwrap();
        assert!((by_law.withheld_per_sec - 38.28).abs() < 0.01, "{by_law:?}");
        report.levels[1].load.scenario.as_mut().unwrap().closed = false;
        assert_eq!(Withheld::all(&report)[1], None);
    }
}
