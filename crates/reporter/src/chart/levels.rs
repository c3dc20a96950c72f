//! The levels of a report on an axis, the repetitions of one setting together. Pure.

use super::axis::{self, Axis, Tick};
use analysis::number;
use analysis::{Level, Report};
use stamp::counted;

/// The levels of one setting: its repetitions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    /// The index of the first of them in the report.
    first: usize,
    pub(super) levels: &'a [Level],
}

/// A report's settings in a row.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) settings: Vec<Setting<'a>>,
    /// A tick for each setting.
    pub(super) axis: Axis,
    /// The place of each level.
    pub(super) places: Vec<f64>,
}

impl<'a> Setting<'a> {
    /// The settings of a report, in its order. Loads of other programs have none, and each stands alone.
    pub(super) fn all(report: &'a Report) -> Vec<Self> {
        let same =
            |one: &Level, other: &Level| one.load.position().is_some() && one.load.position() == other.load.position();
        let mut first = 0;
        let setting = |levels: &'a [Level]| {
            let setting = Self { first, levels };
            first += levels.len();
            setting
        };
        report.levels.chunk_by(same).map(setting).collect()
    }

    /// Its rate, or else its concurrency.
    pub(super) fn position(&self) -> Option<f64> {
        self.levels[0].load.position()
    }

    /// The indices of its levels in the report.
    pub(super) fn indices(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.levels.len()
    }

    /// Whether it has more than one level.
    pub(super) fn is_repeated(&self) -> bool {
        self.levels.len() > 1
    }

    /// As it is called on an axis.
    fn label(&self) -> String {
        let position = self.position().map_or_else(|| "run".to_owned(), |position| number::grouped(position, 0));
        // The caption says what the star means.
        let limited = self.levels.iter().any(|level| level.load.generator_limited.is_some());
        if limited { format!("{position}*") } else { position }
    }
}

impl<'a> Row<'a> {
    /// Settings at their concurrency, or rate, where that rises in fairly even steps; otherwise side by side. Repetitions share a place.
    pub(super) fn by_position(report: &'a Report) -> Self {
        let settings = Setting::all(report);
        let count = settings.len() as f64;
        let even =
            |(index, setting): (usize, &Setting)| Tick { at: (index as f64 + 0.5) / count, label: setting.label() };
        let ticks = settings.iter().enumerate().map(even).collect();
        let known: Option<Vec<f64>> = settings.iter().map(Setting::position).collect();
        let axis = axis::spread(Axis { title: title(report).to_owned(), ticks }, &known.unwrap_or_default());
        let each = settings.iter().zip(&axis.ticks);
        let places = each.flat_map(|(setting, tick)| vec![tick.at; setting.levels.len()]).collect();
        Self { settings, axis, places }
    }

    /// Levels side by side, each in a slot of the same width; the tick of a setting stands in the middle of its levels' slots.
    pub(super) fn side_by_side(report: &'a Report) -> Self {
        let settings = Setting::all(report);
        let count = report.levels.len() as f64;
        let middle = |setting: &Setting| (setting.first as f64 + setting.levels.len() as f64 / 2.0) / count;
        let ticks = settings.iter().map(|setting| Tick { at: middle(setting), label: setting.label() }).collect();
        let repeated = if settings.iter().any(Setting::is_repeated) { ", each repetition by itself" } else { "" };
        let axis = Axis { title: format!("{}{repeated}", title(report)), ticks };
        let places = (0..report.levels.len()).map(|index| (index as f64 + 0.5) / count).collect();
        Self { settings, axis, places }
    }

    /// Each setting with its place on the axis.
    pub(super) fn placed(&self) -> impl Iterator<Item = (&Setting<'a>, f64)> {
        self.settings.iter().zip(self.axis.ticks.iter().map(|tick| tick.at))
    }

    /// The place of a concurrency or rate: between two settings in proportion to its distance from both. `None` beyond the ends.
    pub(super) fn place_of(&self, position: f64) -> Option<f64> {
        let known: Vec<(f64, f64)> =
            self.placed().filter_map(|(setting, place)| Some((setting.position()?, place))).collect();
        if let Some((_, place)) = known.iter().find(|(known, _)| (known - position).abs() < 1e-9) {
            return Some(*place);
        }
        let (before, after) = known
            .windows(2)
            .map(|pair| (pair[0], pair[1]))
            .find(|(before, after)| (before.0..after.0).contains(&position))?;
        Some(before.1 + (after.1 - before.1) * (position - before.0) / (after.0 - before.0))
    }
}

/// What a level is called in a sentence: `20 connections`, `5,000 requests/s, repetition 2`.
pub(super) fn name(report: &Report, index: usize) -> String {
    let load = &report.levels[index].load;
    let is_same = |level: &&Level| level.load.position().is_some() && level.load.position() == load.position();
    let repeated = report.levels.iter().filter(is_same).count() > 1;
    let setting = setting_name(report, index);
    if repeated { format!("{setting}, repetition {}", load.repeat) } else { setting }
}

/// The same without its repetition.
pub(super) fn setting_name(report: &Report, index: usize) -> String {
    let load = &report.levels[index].load;
    match (load.rate, load.concurrency) {
        (Some(rate), _) => {
            counted(number::grouped(rate, 0), if report.has_users() { "round" } else { "request" }) + "/s"
        }
        (None, Some(most)) => {
            let what = if report.has_users() { "user" } else { "connection" };
            counted(number::grouped(f64::from(most), 0), what)
        }
        (None, None) => load.run.to_string(),
    }
}

fn title(report: &Report) -> &'static str {
    if report.is_by_rate() {
        if report.has_users() { "rate (rounds/s)" } else { axis::RATE_TITLE }
    } else if report.has_users() {
        "users"
    } else if report.levels.is_empty() || report.levels.iter().any(|level| level.load.concurrency.is_some()) {
        axis::CONCURRENCY_TITLE
    } else {
        "run (driven by another program)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::tests::{repeated, report_of};

    #[test]
    fn settings_stand_at_their_concurrency_unless_it_is_uneven() {
        let places = |concurrencies: &[u32]| -> Vec<f64> {
            Row::by_position(&report_of(concurrencies)).axis.ticks.iter().map(|tick| tick.at).collect()
        };
        assert_eq!(places(&[]), [0.0; 0]);
        assert_eq!(places(&[8]), [0.5]);
        assert_eq!(places(&[10, 20, 40, 50]), [0.125, 0.3125, 0.6875, 0.875]);
        assert_eq!(places(&[1, 2, 4, 512]), [0.125, 0.375, 0.625, 0.875]);
        assert_eq!(places(&[5, 5]), [0.5]);
        assert_eq!(places(&[5, 5, 6, 6, 6]), [0.25, 0.75]);
    }

    #[test]
    fn side_by_side_a_setting_stands_in_the_middle_of_its_levels() {
        let report = repeated(&[1, 2, 2, 2]);
        let row = Row::side_by_side(&report);
        assert_eq!(row.axis.ticks.iter().map(|tick| tick.at).collect::<Vec<_>>(), [0.125, 0.625]);
        assert_eq!(row.places, [0.125, 0.375, 0.625, 0.875]);
        assert_eq!(row.axis.title, "concurrency (connections), each repetition by itself");
        assert_eq!(name(&report, 0), "1 connection");
        assert_eq!(name(&report, 2), "2 connections, repetition 2");
    }

    #[test]
    fn what_lies_between_settings_has_a_place() {
        let report = report_of(&[1, 2, 4, 512]);
        let row = Row::by_position(&report);
        let places = [1.0, 3.0, 258.0, 512.0, 513.0, 0.5].map(|position| row.place_of(position));
        assert_eq!(places, [Some(0.125), Some(0.5), Some(0.75), Some(0.875), None, None]);
    }
}
