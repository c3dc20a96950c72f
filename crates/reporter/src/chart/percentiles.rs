//! `percentiles`: arrival latency by percentile, a line for each level.

use super::axis::{self, Scale};
use super::canvas::{Canvas, Place, Spot, for_level};
use super::frame::{self, Axes, Frame, Head};
use super::legend::{Entry, Sample};
use super::levels::{self, Setting};
use super::marker::{Look, Shape};
use super::marks;
use super::plot::Plot;
use super::{Area, Drawn, Picture, palette, ramp, series};
use analysis::{CurvePoint, Level, Report, number};

/// `percentiles`.
pub(crate) struct Percentiles;

/// More settings than there are colours that one tells apart are coloured in their order.
const COLOURS: usize = 7;

/// So many lines have a name in the legend at most.
const NAMES: usize = 10;

/// A line whose level is unstable.
const UNSTABLE: (i32, i32) = (14, 10);

/// What a line tells under the pointer.
const TOLD: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];

impl Picture for Percentiles {
    const NAME: &'static str = "percentiles";

    fn title(_report: &Report) -> &'static str {
        "Arrival latency by percentile"
    }

    fn draw<DB: Canvas>(area: &Area<DB>, report: &Report) -> Drawn<DB> {
        let points = || report.levels.iter().flat_map(|level| &level.curve);
        let latencies: Vec<f64> = points().map(|point| point.us as f64).collect();
        let quantiles = report.levels.iter().flat_map(|level| level.curve.iter().map(|point| shown(level, *point)));
        let (across, bottom) = axis::percentiles(quantiles.fold(0.0, f64::max));
        let (upright, left) = axis::logarithmic("arrival latency (ms, logarithmic)", &latencies, axis::LOG_LABELS);
        let settings = Setting::all(report);
        let captions = frame::captions(report, &sentences(report, &settings));
        let frame = Frame {
            head: Head { title: Self::title(report), captions: &captions, legend: &legend(report, &settings) },
            axes: Axes { bottom: &bottom, left: &left, right: None },
            marks: &[],
        };
        let plot = frame.draw(area)?;
        for tick in &bottom.ticks {
            frame::draw_upright(area, &plot, tick.at)?;
        }
        let limit = report.p99_limit_us as f64;
        if upright.spans(limit) {
            marks::draw_limit(area, &plot, upright, (limit, &format!("p99 limit {}", number::round_ms(limit))))?;
        }
        let curves = Curves { plot, across, upright };
        for (number, setting) in settings.iter().enumerate() {
            for index in setting.indices() {
                curves.draw(area, report, index, look(report, (number, settings.len()), index))?;
            }
        }
        if points().next().is_some() { Ok(()) } else { plot.remark(area, "no level has been measured yet") }
    }
}

/// How the line of a level looks: its setting is this one of so many.
fn look(report: &Report, (number, count): (usize, usize), index: usize) -> Look {
    let colour = if count > COLOURS { ramp::line(number, count) } else { palette::line(number) };
    let unstable = report.levels[index].stability.unstable.is_some();
    Look { colour, shape: Shape::None, dashes: unstable.then_some(UNSTABLE) }
}

fn sentences(report: &Report, settings: &[Setting]) -> Vec<String> {
    let unstable =
        || "Dashed: unstable, the pipeline did not keep up, and a longer load gives higher latencies.".to_owned();
    let repeated = || "Repetitions have a line each, in one colour.".to_owned();
    let lacking: Vec<String> = (0..report.levels.len())
        .filter(|&index| report.levels[index].curve.is_empty())
        .map(|index| levels::name(report, index))
        .collect();
    let lacking_names = || match &lacking[..] {
        [some @ .., last] if some.len() < 4 => {
            let before = some.join(", ");
            format!("n/a: {}.", if before.is_empty() { last.clone() } else { format!("{before} and {last}") })
        }
        all => format!("n/a: {} levels.", all.len()),
    };
    let all = [
        report.levels.iter().any(|level| level.stability.unstable.is_some()).then(unstable),
        settings.iter().any(Setting::is_repeated).then(repeated),
        (!lacking.is_empty()).then(lacking_names),
        series::star_means(report),
    ];
    all.into_iter().flatten().collect()
}

/// Every line; or where they are many, some of them with the first and the last.
fn legend(report: &Report, settings: &[Setting]) -> Vec<Entry> {
    let entry = |number: usize| {
        let index = settings[number].indices().start;
        let look = look(report, (number, settings.len()), index);
        Entry { name: levels::setting_name(report, index), sample: Sample::Line(Look { dashes: None, ..look }) }
    };
    named(settings.len()).into_iter().map(entry).collect()
}

/// Which of so many have a name: evenly spread, the first and the last among them.
fn named(count: usize) -> Vec<usize> {
    if count <= NAMES {
        return (0..count).collect();
    }
    (0..NAMES).map(|place| (place * (count - 1) + (NAMES - 1) / 2) / (NAMES - 1)).collect()
}

/// Where lines are drawn.
struct Curves {
    plot: Plot,
    across: Scale,
    upright: Scale,
}

impl Curves {
    fn draw<DB: Canvas>(&self, area: &Area<DB>, report: &Report, index: usize, look: Look) -> Drawn<DB> {
        let level = &report.levels[index];
        let line: Vec<(i32, i32)> = level.curve.iter().map(|point| self.at(level, *point)).collect();
        for_level(area, index, || match line[..] {
            [at] => look.draw_point(area, Shape::Dot, at),
            _ => look.draw_line(area, &line),
        })?;
        let name = levels::name(report, index);
        for (what, point) in told(level) {
            let text = format!("{name}: {what} {} ms", number::exact_ms(point.us));
            Spot { level: index, place: Place::Point(self.at(level, point)), text }.draw(area)?;
        }
        Ok(())
    }

    fn at(&self, level: &Level, point: CurvePoint) -> (i32, i32) {
        let across = self.across.place(axis::nines(shown(level, point)));
        (self.plot.x(across), self.plot.y(self.upright.place(point.us as f64)))
    }
}

/// Where a point stands. The longest latency has no end of nines: it stands half a message from the end.
fn shown(level: &Level, point: CurvePoint) -> f64 {
    point.quantile.min(1.0 - 0.5 / level.arrival.count.max(1) as f64)
}

/// The points that tell something under the pointer, and what: percentiles, as far as the sample goes, and the longest.
fn told(level: &Level) -> Vec<(String, CurvePoint)> {
    let percentile = |quantile: &f64| {
        let point = level.curve.iter().find(|point| point.quantile >= quantile - 1e-9 && point.quantile < 1.0)?;
        Some((format!("{} arrived within", number::percent(*quantile)), *point))
    };
    let longest = level.curve.last().filter(|point| point.quantile >= 1.0);
    let longest = longest.map(|point| ("the longest took".to_owned(), *point));
    TOLD.iter().filter_map(percentile).chain(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_line_have_a_name() {
        assert_eq!(named(3), [0, 1, 2]);
        assert_eq!(named(20), [0, 2, 4, 6, 8, 11, 13, 15, 17, 19]);
        assert_eq!(named(400).last(), Some(&399));
    }
}
