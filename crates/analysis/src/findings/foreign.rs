//! What is to be said of stages that are told by clocks which nobody has compared with the log store's.

use crate::number::ms;
use crate::{CausalBound, Distribution, ForeignLatency, Level, Report};
use std::collections::BTreeSet;

/// The stages that foreign clocks tell, separated by commas; nothing where there are none.
fn stages(report: &Report) -> Option<String> {
    let stages: Vec<&str> =
        report.stamping.iter().filter(|stage| stage.foreign > 0).map(|stage| stage.stage.as_str()).collect();
    (!stages.is_empty()).then(|| stages.join(", "))
}

/// That no latency depends on the error of the one foreign clock there is.
pub(super) fn of_one_clock(report: &Report) -> Option<String> {
    let stages = stages(report).filter(|_| report.levels.iter().all(|level| level.causality.is_empty()))?;
    Some(format!(
        "{stages}: timed by one foreign clock, that of the traced hosts. Its error is unknown, and latencies between these stages do not depend on it."
    ))
}

/// Which clocks tell latencies between them, and what is known of these: of each, where least is known.
pub(super) fn between_clocks(report: &Report) -> Vec<String> {
    let bounds = || report.levels.iter().flat_map(|level| level.causality.iter().map(move |bound| (level, bound)));
    let Some(stages) = stages(report).filter(|_| bounds().next().is_some()) else { return Vec::new() };
    let clocks: BTreeSet<&str> = bounds().flat_map(|(_, bound)| bound.clocks.iter().map(String::as_str)).collect();
    let clocks: Vec<&str> = clocks.into_iter().collect();
    let warning = format!(
        "{stages}: timed by foreign clocks, those of the traced hosts, whose errors are unknown. Latencies between two clocks ({}) are wrong by the difference of the two; only causality bounds them.",
        clocks.join(", ")
    );
    let mut told: Vec<&ForeignLatency> = Vec::new();
    for (_, bound) in bounds() {
        if !told.contains(&&bound.latency) {
            told.push(&bound.latency);
        }
    }
    let of_each = told.into_iter().filter_map(|latency| {
        let of_it = bounds().filter(|(_, bound)| &bound.latency == latency);
        of_it.max_by_key(|(_, bound)| bound.width_us()).and_then(|(level, bound)| sentence(level, bound))
    });
    std::iter::once(warning).chain(of_each).collect()
}

/// `The hop to worker at r.c05: the measured median is 5.20 ms; the true one lies between 0.10 ms and 5.40 ms.`
fn sentence(level: &Level, bound: &CausalBound) -> Option<String> {
    let (what, distribution): (String, &Distribution) = match &bound.latency {
        ForeignLatency::Arrival => ("Arrival latency".to_owned(), &level.arrival),
        ForeignLatency::User => ("User latency".to_owned(), &level.user),
        ForeignLatency::Hop(stage) => {
            (format!("The hop to {stage}"), &level.hops.iter().find(|hop| &hop.stage == stage)?.latency)
        }
    };
    let median = distribution.p50_us?;
    let known = match (bound.contradictory, bound.range_us(median)) {
        (true, _) => {
            "the clocks contradict each other: one was set or ran away, or the path has another order".to_owned()
        }
        (false, (None, None)) => "nothing bounds the true one".to_owned(),
        (false, (Some(least), None)) => format!("the true one is at least {}", ms(least as f64)),
        (false, (None, Some(most))) => format!("the true one is at most {}", ms(most as f64)),
        (false, (Some(least), Some(most))) => {
            format!("the true one lies between {} and {}", ms(least as f64), ms(most as f64))
        }
    };
    Some(format!("{what} at {}: the measured median is {}; {known}.", level.load.run, ms(median as f64)))
}

#[cfg(test)]
mod tests {
    use crate::fixture::report_of;
    use crate::{CausalBound, ForeignLatency, Margin, Stamping};

    #[test]
    fn what_is_known_of_foreign_clocks_is_told() {
        let mut report = report_of(&[1]);
        let bound = |latency, low_us, high_us| CausalBound {
            latency,
            clocks: vec!["log store".to_owned(), "web-1".to_owned()],
            low_us,
            high_us,
            contradictory: false,
        };
        let hop = |index: usize| ForeignLatency::Hop(report.levels[0].hops[index].stage.clone());
        let bounds = vec![
            bound(hop(2), Some(-4000), Some(300)),
            bound(hop(3), Some(-20), None),
            CausalBound { contradictory: true, ..bound(hop(1), None, None) },
        ];
        report.levels[0].causality = bounds;
        let stamping = Stamping {
            stage: report.path[3].clone(),
            stamps: 500,
            plain: 0,
            foreign: 500,
            lag: Margin::default(),
            err: Margin::default(),
            dropped: 0,
        };
        report.conclude(vec![stamping]);
        let told = super::between_clocks(&report).join("\n");
        insta::assert_snapshot!(told, @r"
        pushserver: timed by foreign clocks, those of the traced hosts, whose errors are unknown. Latencies between two clocks (log store, web-1) are wrong by the difference of the two; only causality bounds them.
        The hop to pushserver at 20261121-101500-k3f.c01: the measured median is 0.04 ms; the true one lies between 0.00 ms and 0.34 ms.
        The hop to publish at 20261121-101500-k3f.c01: the measured median is 0.04 ms; the true one is at least 0.02 ms.
        The hop to enqueue at 20261121-101500-k3f.c01: the measured median is 0.02 ms; the clocks contradict each other: one was set or ran away, or the path has another order.
        ");
    }
}
