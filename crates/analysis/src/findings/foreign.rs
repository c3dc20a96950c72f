//! What is to be said of stages that are told by clocks which nobody has compared with the log store's.

use super::verdict::ms;
use crate::{CausalBound, Distribution, ForeignLatency, Level, Report};
use std::collections::BTreeSet;

/// Which clocks these are, and what is known of the latencies between them: of the level where the least is known of each.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let bounds = || report.levels.iter().flat_map(|level| level.causality.iter().map(move |bound| (level, bound)));
    let stamps: u64 = report.stamping.iter().map(|stage| stage.foreign).sum();
    if stamps == 0 {
        return Vec::new();
    }
    let stages: Vec<&str> =
        report.stamping.iter().filter(|stage| stage.foreign > 0).map(|stage| stage.stage.as_str()).collect();
    let stages = stages.join(", ");
    let clocks: BTreeSet<&str> = bounds().flat_map(|(_, bound)| bound.clocks.iter().map(String::as_str)).collect();
    if clocks.is_empty() {
        return vec![format!(
            "{stages}: told by one foreign clock, that of the traces; its error is unknown, and latencies between these stages do not depend on it."
        )];
    }
    let clocks: Vec<&str> = clocks.into_iter().collect();
    let warning = format!(
        "{stages}: told by foreign clocks, those of the traces, whose errors are unknown. Latencies between two clocks ({}) are wrong by the difference of the two; only causality bounds them.",
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

/// `Latency of hop worker: a median of 5.2 ms was measured, and it lies between 0.1 and 5.4 ms.`
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
            "and the clocks contradict each other: one was set or ran away, or the path has another order".to_owned()
        }
        (false, (None, None)) => "and nothing bounds it".to_owned(),
        (false, (Some(least), None)) => format!("and it is at least {}", ms(least as f64)),
        (false, (None, Some(most))) => format!("and it is at most {}", ms(most as f64)),
        (false, (Some(least), Some(most))) => {
            format!("and it lies between {} and {}", ms(least as f64), ms(most as f64))
        }
    };
    Some(format!("{what} at {}: a median of {} was measured, {known}.", level.load.run, ms(median as f64)))
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
        let told = super::sentences(&report).join("\n");
        insta::assert_snapshot!(told, @r"
        pushserver: told by foreign clocks, those of the traces, whose errors are unknown. Latencies between two clocks (log store, web-1) are wrong by the difference of the two; only causality bounds them.
        The hop to pushserver at 20261121-101500-k3f.c01: a median of 0.04 ms was measured, and it lies between 0.00 ms and 0.34 ms.
        The hop to publish at 20261121-101500-k3f.c01: a median of 0.04 ms was measured, and it is at least 0.02 ms.
        The hop to enqueue at 20261121-101500-k3f.c01: a median of 0.02 ms was measured, and the clocks contradict each other: one was set or ran away, or the path has another order.
        ");
    }
}
