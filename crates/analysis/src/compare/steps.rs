//! The steps of a level, over its repetitions. Pure.

use crate::{Level, Spread, distinct};
use serde::Serialize;

/// A step of a level: the median of each of its figures over the repetitions, µs; absent where none has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepFigures {
    /// The step.
    pub step: String,
    /// Median response time.
    pub response_p50_us: Option<f64>,
    /// 99th percentile of the response time.
    pub response_p99_us: Option<f64>,
    /// Median arrival latency of its messages.
    pub arrival_p50_us: Option<f64>,
    /// 99th percentile of it.
    pub arrival_p99_us: Option<f64>,
    /// Requests that failed, in all repetitions together.
    pub errors: u64,
}

impl StepFigures {
    /// The steps that these levels, repetitions of one setting, have, in the order of the first.
    pub(crate) fn all(levels: &[(f64, &Level)]) -> Vec<Self> {
        let names = levels.iter().flat_map(|(_, level)| level.user_steps()).map(|step| step.name.as_str());
        distinct(names).into_iter().map(|name| Self::of(name, levels)).collect()
    }

    fn of(name: &str, levels: &[(f64, &Level)]) -> Self {
        let loads = || levels.iter().flat_map(|(_, level)| level.user_steps()).filter(|step| step.name == name);
        let arrivals = || levels.iter().flat_map(|(_, level)| &level.steps).filter(|step| step.name == name);
        let median = |values: &mut dyn Iterator<Item = f64>| Spread::of(values).map(|spread| spread.median);
        Self {
            step: name.to_owned(),
            response_p50_us: median(&mut loads().filter_map(|step| step.response.p50_us).map(|us| us as f64)),
            response_p99_us: median(&mut loads().filter_map(|step| step.response.p99_us).map(|us| us as f64)),
            arrival_p50_us: median(&mut arrivals().filter_map(|step| step.arrival.p50_us).map(|us| us as f64)),
            arrival_p99_us: median(&mut arrivals().filter_map(|step| step.arrival.p99_us).map(|us| us as f64)),
            errors: loads().flat_map(|step| step.errors.values()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{report_of, with_steps};

    #[test]
    fn a_step_is_the_median_of_its_repetitions() {
        let mut report = with_steps(report_of(&[4, 4, 4]));
        for (level, us) in report.levels.iter_mut().zip([100, 900, 300]) {
            level.load.scenario.as_mut().unwrap().steps[0].response.p99_us = Some(us);
            level.steps[0].arrival.p99_us = Some(us.cast_signed() * 10);
        }
        let levels: Vec<(f64, &Level)> = report.levels.iter().map(|level| (4.0, level)).collect();
        let [add, look] = &StepFigures::all(&levels)[..] else { panic!("there are two") };
        assert_eq!((add.step.as_str(), add.response_p99_us, add.arrival_p99_us), ("add", Some(300.0), Some(3000.0)));
        assert_eq!((look.errors, look.arrival_p50_us), (9, None));
        assert!(StepFigures::all(&[(4.0, &report_of(&[4]).levels[0])]).is_empty());
    }
}
