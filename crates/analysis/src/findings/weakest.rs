//! What gives way first when the load rises.

use super::noise::{Curve, shares_of_the_highest};
use crate::{Level, Percentile, Report, Usage};
use serde::{Deserialize, Serialize};
use stamp::Stage;

/// A component is busy when it uses this part of what it can.
const BUSY: f64 = 0.9;

/// The part of the pipeline that gives way first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weakest {
    /// At which level: its rate, or else its concurrency; absent where another program made the load.
    pub position: Option<f64>,
    /// The stage at the end of the hop where messages gather or their time goes.
    pub hop: Stage,
    /// The stage before it.
    pub from: Stage,
    /// Whether messages piled up there for as long as the load lasted. Else the pipeline kept up, and `compared` says why this hop is named.
    pub overloaded: bool,
    /// Whether a lower level was measured since which times may have grown; else it is the hop that takes the largest part of them.
    #[serde(default = "yes")]
    pub compared: bool,
    /// Its share of the mean arrival latency at that level, 0 to 1.
    pub share: f64,
    /// The component that used its processor up at that level, if one did: a service, `redis`, `mosquitto`, or `host`.
    pub saturated: Option<String>,
    /// How busy that was, 0 to 1.
    pub utilization: Option<f64>,
    /// The hop whose time grew as much, as far as the noise between levels lets one tell.
    #[serde(default)]
    pub rival: Option<Rival>,
}

/// A hop that cannot be told apart from the weakest one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// The stage before it.
    pub from: Stage,
    /// The stage at its end.
    pub hop: Stage,
    /// Its share of the mean arrival latency at the same level, 0 to 1.
    pub share: f64,
}

fn yes() -> bool {
    true
}

/// A hop is named alone where its time grew most in this share of resamples.
const ALONE: f64 = 0.8;

impl Weakest {
    /// Why it is named.
    pub fn why(&self) -> &'static str {
        match (self.overloaded, self.compared) {
            (true, _) => "messages pile up there",
            (false, true) => "its time grows most",
            (false, false) => "it takes longest",
        }
    }

    /// The part that gives way, by its name: what used its processor up, or else who takes messages at the end of the hop.
    pub fn part(&self) -> String {
        let by_hop = match self.hop.as_str() {
            "enqueue" => "apiserver",
            "publish" => "pushserver",
            hop => hop,
        };
        let whole = |component: &&String| component.as_str() != Usage::HOST;
        self.saturated.as_ref().filter(whole).filter(|_| !self.overloaded).cloned().unwrap_or_else(|| by_hop.to_owned())
    }

    /// The first level that is unstable tells; where none is, the first that was not carried; where all were, the highest one.
    pub(crate) fn of(report: &Report) -> Option<Self> {
        let measured = || report.levels.iter().filter(|level| is_measured(level));
        let unstable = measured().find(|level| level.stability.unstable.is_some());
        let failed = || measured().find(|level| level.is_within(report.p99_limit_us) == Some(false));
        let level = unstable.or_else(failed).or_else(|| measured().next_back())?;
        let lowest = measured().next()?;
        // Its times would be those of the clocks.
        if level.has_foreign_hops() || lowest.has_foreign_hops() {
            return None;
        }
        let arrival_begins = crate::arrival_begins(&report.path);
        let hops = || level.hops.iter().enumerate().skip(arrival_begins);
        let mean =
            |level: &Level, index: usize| level.hops.get(index).and_then(|hop| hop.latency.mean_us).unwrap_or(0.0);
        let compared = level.load.position() != lowest.load.position();
        let growth = |index: usize| mean(level, index) - if compared { mean(lowest, index) } else { 0.0 };
        let overloaded = level.stability.growing.as_ref();
        let index = match overloaded {
            Some(stage) => hops().find(|(_, hop)| hop.stage == *stage)?.0,
            None => hops().map(|(index, _)| index).max_by(|&one, &other| growth(one).total_cmp(&growth(other)))?,
        };
        let total = level.arrival.mean_us.filter(|&total| total > 0.0)?;
        let share = |index: usize| (mean(level, index) / total).clamp(0.0, 1.0);
        let candidates: Vec<usize> = hops().map(|(index, _)| index).collect();
        let rival = if overloaded.is_some() { None } else { rival(report, level, index, &candidates) };
        let saturated = saturated(&level.load.usage);
        Some(Self {
            position: level.load.position(),
            hop: report.path[index + 1].clone(),
            from: report.path[index].clone(),
            overloaded: overloaded.is_some(),
            compared,
            share: share(index),
            rival: rival.map(|index| Rival {
                from: report.path[index].clone(),
                hop: report.path[index + 1].clone(),
                share: share(index),
            }),
            saturated: saturated.map(|usage| usage.component.clone()),
            utilization: saturated.map(Usage::utilization),
        })
    }
}

/// Fewer messages than a median takes are no mean to go by.
fn is_measured(level: &Level) -> bool {
    level.arrival.count >= Percentile::P50.least_count()
}

/// The hop, of these, that would have been named in the place of `named` most often, where that one is not clear of it.
fn rival(report: &Report, level: &Level, named: usize, hops: &[usize]) -> Option<usize> {
    let end = report.levels.iter().rposition(|other| other.load.position() <= level.load.position())?;
    let levels = &report.levels[..=end];
    let mean = |index: usize| {
        move |level: &Level| Some(level.hops.get(index).filter(|_| is_measured(level))?.latency.mean_us?.max(1.0).ln())
    };
    let curves: Vec<Curve> = hops.iter().map(|&index| Curve::of(levels, mean(index), |_| None)).collect();
    let growth = |values: &[f64]| match values {
        [] => f64::NEG_INFINITY,
        [only] => only.exp(),
        [lowest, .., highest] => highest.exp() - lowest.exp(),
    };
    let shares = shares_of_the_highest(&curves, growth);
    let share = |index: usize| hops.iter().position(|&hop| hop == index).map_or(0.0, |at| shares[at]);
    if share(named) >= ALONE {
        return None;
    }
    hops.iter().copied().filter(|&hop| hop != named).max_by(|&one, &other| share(one).total_cmp(&share(other)))
}

/// The busiest component, if it is busy: a process before the host, of which it is a part.
fn saturated(usage: &[Usage]) -> Option<&Usage> {
    let busiest = |of_host: bool| {
        let those = usage.iter().filter(|usage| (usage.component == "host") == of_host && usage.utilization() >= BUSY);
        those.max_by(|one, other| one.utilization().total_cmp(&other.utilization()))
    };
    busiest(false).or_else(|| busiest(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::report_of;

    #[test]
    fn a_single_setting_shows_no_growth() {
        let mut report = report_of(&[4, 4]);
        let verdict = |report: &Report| super::super::Findings::of(report).verdict.join(" ");
        assert!(verdict(&report).contains("The hop that takes longest is"), "{}", verdict(&report));
        assert!(verdict(&report_of(&[1, 4])).contains("whose time grows most"));
        for level in &mut report.levels {
            level.arrival.count = 5;
        }
        assert_eq!(Weakest::of(&report), None);
    }
}
