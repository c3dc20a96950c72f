//! `arrival.png`: arrival latency and throughput by concurrency.

use super::axis::{self, Scale};
use super::frame::{self, Axes, Frame, Head, Plot};
use super::legend::{Entry, Sample};
use super::marker::{Look, Shape};
use super::text::Text;
use super::{Area, ChartError, DrawError, SIZE, caption, palette, picture};
use crate::{Http, Level, Report};
use plotters::prelude::DrawingBackend;

/// One line of the picture.
struct Series {
    name: &'static str,
    look: Look,
    value: fn(&Level) -> Option<f64>,
}

const P50: Series = Series {
    name: "arrival p50",
    look: Look { colour: palette::BLUE, shape: Shape::Circle, dashes: None },
    value: |level| level.arrival.p50_us.map(|us| us as f64),
};

const P99: Series = Series {
    name: "arrival p99",
    look: Look { colour: palette::VERMILLION, shape: Shape::Square, dashes: Some((26, 12)) },
    value: |level| level.arrival.p99_us.map(|us| us as f64),
};

const RATE: Series = Series {
    name: "requests/s (right axis)",
    look: Look { colour: palette::GREEN, shape: Shape::Diamond, dashes: Some((6, 12)) },
    value: |level| level.load.http.as_ref().map(Http::requests_per_sec),
};

/// Renders the picture as PNG.
pub(crate) fn render(report: &Report) -> Result<Vec<u8>, ChartError> {
    picture::png(SIZE, |area| draw(area, report))
}

fn draw<DB: DrawingBackend>(area: &Area<DB>, report: &Report) -> Result<(), DrawError<DB>> {
    let levels = &report.levels;
    let latencies: Vec<f64> =
        levels.iter().flat_map(|level| [(P50.value)(level), (P99.value)(level)]).flatten().collect();
    let rates = || levels.iter().filter_map(RATE.value);
    let bottom = axis::concurrency(levels);
    let (latency, left) = axis::logarithmic("arrival latency (ms, logarithmic)", &latencies, axis::LOG_LABELS);
    let (rate, right) = axis::linear("requests/s", rates().fold(0.0, f64::max) * 1.02, "");
    let with_rate = rates().next().is_some();
    let series = [(RATE, rate), (P50, latency), (P99, latency)];
    let mut captions = vec![caption::caption(report, |text| Text::CAPTION.width(text) <= frame::text_width())];
    if !latencies.iter().all(|&us| latency.covers(us)) {
        captions.push("▽ stands for a latency of 0 or below, which has no place on a logarithmic axis".to_owned());
    }
    if levels.iter().any(|level| level.load.generator_limited.is_some()) {
        captions.push("* generator-limited: the load generator, not the pipeline, could do no more".to_owned());
    }
    let by_rate = levels.iter().any(|level| level.load.rate.is_some());
    let frame = Frame {
        head: Head {
            title: if by_rate { "Arrival latency by rate" } else { "Arrival latency by concurrency" },
            captions: &captions,
            legend: &legend(with_rate),
        },
        axes: Axes { bottom: &bottom, left: &left, right: with_rate.then_some((&right, RATE.look.colour)) },
    };
    let plot = frame.draw(area)?;
    let xs: Vec<i32> = bottom.ticks.iter().map(|tick| plot.x(tick.at)).collect();
    for (series, scale) in &series {
        series.draw(area, &plot, *scale, levels.iter().zip(&xs))?;
    }
    for (_, &x) in levels.iter().zip(&xs).filter(|(level, _)| level.arrival.count == 0) {
        plot.not_available(area, x)?;
    }
    if levels.is_empty() {
        plot.remark(area, "no level has been measured yet")?;
    }
    Ok(())
}

fn legend(with_rate: bool) -> Vec<Entry> {
    let series = [Some(P50), Some(P99), with_rate.then_some(RATE)];
    let entry = |series: Series| Entry { name: series.name.to_owned(), sample: Sample::Line(series.look) };
    series.into_iter().flatten().map(entry).collect()
}

impl Series {
    /// Draws the line, broken where a level has no value, and its points.
    fn draw<'a, DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        plot: &Plot,
        scale: Scale,
        levels: impl Iterator<Item = (&'a Level, &'a i32)>,
    ) -> Result<(), DrawError<DB>> {
        let points: Vec<Option<(Shape, (i32, i32))>> = levels
            .map(|(level, &x)| {
                let value = (self.value)(level)?;
                Some((self.shape(scale, value), (x, plot.y(scale.place(value)))))
            })
            .collect();
        for stretch in points.split(Option::is_none) {
            let line: Vec<(i32, i32)> = stretch.iter().flatten().map(|&(_, at)| at).collect();
            self.look.draw_line(area, &line)?;
        }
        points.iter().flatten().try_for_each(|&(shape, at)| self.look.draw_point(area, shape, at))
    }

    /// A latency of 0 or below has no place on a logarithmic axis: it stands at the lower edge in another shape.
    fn shape(&self, scale: Scale, value: f64) -> Shape {
        if scale.covers(value) { self.look.shape } else { Shape::Below }
    }
}
