//! A figure over the levels of a sweep: a line through its settings, a point for each level, and how sure it is.

use super::axis::Scale;
use super::canvas::{Canvas, Place, Spot, for_level};
use super::levels::{self, Row};
use super::marker::{Look, Shape};
use super::plot::Plot;
use super::{Area, Drawn};
use analysis::Spread;
use analysis::{Level, Report};
use plotters::prelude::DrawingBackend;

/// Half the width of a confidence interval that has no neighbours.
const HALF_BAR: i32 = 12;

/// A figure of one level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub(super) value: f64,
    /// From where to where it may lie; an absent end lies beyond the axis.
    pub(super) interval: Option<(f64, Option<f64>)>,
    /// What it tells under the pointer, without the level's name.
    pub(super) text: String,
}

/// A figure over the levels of a sweep.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) look: Look,
    scale: Scale,
    /// One for each level; absent where it has none.
    figures: Vec<Option<Figure>>,
}

impl Series {
    pub(super) fn new(report: &Report, look: Look, scale: Scale, figure: impl Fn(&Level) -> Option<Figure>) -> Self {
        Self { look, scale, figures: report.levels.iter().map(figure).collect() }
    }

    /// Fills the surface between the ends of the intervals: over all repetitions of a setting.
    pub(super) fn draw_band<DB: DrawingBackend>(&self, area: &Area<DB>, plot: &Plot, row: &Row) -> Drawn<DB> {
        let ends: Vec<Option<(i32, (i32, i32))>> = row
            .placed()
            .map(|(setting, place)| {
                let intervals =
                    || self.figures[setting.indices()].iter().flatten().filter_map(|figure| figure.interval);
                let low = intervals().map(|(low, _)| low).reduce(f64::min)?;
                let high = intervals().map(|(_, high)| high.unwrap_or(f64::INFINITY)).reduce(f64::max)?;
                let y = |value: f64| plot.y(self.scale.place(value));
                Some((plot.x(place), (y(low), y(high))))
            })
            .collect();
        for stretch in ends.split(Option::is_none) {
            let stretch: Vec<(i32, (i32, i32))> = stretch.iter().flatten().copied().collect();
            let outline = match stretch[..] {
                [] => continue,
                [(x, (low, high))] => {
                    vec![(x - HALF_BAR, low), (x - HALF_BAR, high), (x + HALF_BAR, high), (x + HALF_BAR, low)]
                }
                _ => {
                    let upper = stretch.iter().map(|&(x, (_, high))| (x, high));
                    upper.chain(stretch.iter().rev().map(|&(x, (low, _))| (x, low))).collect()
                }
            };
            self.look.draw_band(area, outline)?;
        }
        Ok(())
    }

    /// Draws the line through the medians of the settings, broken where one has no value.
    pub(super) fn draw_line<DB: DrawingBackend>(&self, area: &Area<DB>, plot: &Plot, row: &Row) -> Drawn<DB> {
        let points: Vec<Option<(i32, i32)>> = row
            .placed()
            .map(|(setting, place)| {
                let values = self.figures[setting.indices()].iter().flatten().map(|figure| figure.value);
                Some((plot.x(place), plot.y(self.scale.place(Spread::of(values)?.median))))
            })
            .collect();
        for stretch in points.split(Option::is_none) {
            let line: Vec<(i32, i32)> = stretch.iter().flatten().copied().collect();
            self.look.draw_line(area, &line)?;
        }
        Ok(())
    }

    /// Draws a point for each level: hollow where it is unstable, and in another shape at the lower edge where a logarithmic axis has no
    /// place for it.
    pub(super) fn draw_points<DB: Canvas>(
        &self,
        area: &Area<DB>,
        plot: &Plot,
        row: &Row,
        report: &Report,
    ) -> Drawn<DB> {
        for (index, (figure, &place)) in self.figures.iter().zip(&row.places).enumerate() {
            let Some(figure) = figure else { continue };
            let at = (plot.x(place), plot.y(self.scale.place(figure.value)));
            let unstable = report.levels[index].stability.unstable.is_some();
            for_level(area, index, || {
                if !self.scale.covers(figure.value) {
                    self.look.draw_point(area, Shape::Below, at)
                } else if unstable {
                    self.look.draw_hollow_point(area, self.look.shape, at)
                } else {
                    self.look.draw_point(area, self.look.shape, at)
                }
            })?;
            let unstable = if unstable { " (unstable)" } else { "" };
            let text = format!("{}{unstable}: {}", levels::name(report, index), figure.text);
            Spot { level: index, place: Place::Point(at), text }.draw(area)?;
        }
        Ok(())
    }
}

/// Whether a level of the report is unstable, so that points are hollow.
pub(super) fn hollow_means(report: &Report) -> Option<String> {
    let unstable = report.levels.iter().any(|level| level.stability.unstable.is_some());
    unstable.then(|| {
        "Hollow points: unstable, the pipeline did not keep up, and a longer load gives higher latencies.".to_owned()
    })
}

/// What the star beside a level means, if there is one.
pub(super) fn star_means(report: &Report) -> Option<String> {
    let limited = report.levels.iter().any(|level| level.load.generator_limited.is_some());
    limited.then(|| "* generator-limited: the load generator, not the pipeline, could do no more.".to_owned())
}

/// What the line means, where levels are repeated.
pub(super) fn line_means(row: &Row) -> Option<String> {
    let repeated = row.settings.iter().any(levels::Setting::is_repeated);
    repeated.then(|| "Lines join the medians of repetitions; each point is one of them.".to_owned())
}
