//! `compare.png` and `compare.svg`: several sweeps side by side, in three plots above each other.

use super::axis::{self, Axis, Scale};
use super::frame::{self, Axes, Head};
use super::legend::{Entry, Sample};
use super::marker::{Look, SHAPES, Shape};
use super::plot::Plot;
use super::text::Text;
use super::{Area, CANVAS_WIDTH, ChartError, Drawn, palette, picture};
use analysis::{Comparison, Measure, Series};
use plotters::prelude::DrawingBackend;

/// In pixels: as wide as the other pictures.
const SIZE: (u32, u32) = (CANVAS_WIDTH / 2, 1290);

/// From one plot's lower edge to the next one's upper edge: the labels of the levels.
const BETWEEN: i32 = 108;

/// Labels on a logarithmic axis at most: each plot is low.
const LOG_LABELS: usize = 6;

/// From a series' points to those of the next, in units: what is the same for both does not lie on top of each other.
const APART: i32 = 34;

/// One of the plots.
struct Panel {
    measure: Measure,
    axis: fn(&[f64]) -> (Scale, Axis),
}

/// One series in one of the plots.
struct Line {
    look: Look,
    /// Its place at each level; absent where it has no figure.
    places: Vec<Option<Place>>,
}

/// A figure with its bar.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: i32,
    value: f64,
    /// The ends of its interval, or of its spread.
    bar: (f64, f64),
}

const PANELS: [Panel; 3] = [
    Panel { measure: Measure::ArrivalP50Us, axis: |us| axis::logarithmic("arrival p50 (ms, log)", us, LOG_LABELS) },
    Panel { measure: Measure::ArrivalP99Us, axis: |us| axis::logarithmic("arrival p99 (ms, log)", us, LOG_LABELS) },
    Panel {
        measure: Measure::AcceptedPerSec,
        axis: |rates| axis::linear("accepted messages/s", rates.iter().copied().fold(0.0, f64::max) * 1.02, ""),
    },
];

/// Renders the picture as PNG.
pub(crate) fn png(comparison: &Comparison, title: &str) -> Result<Vec<u8>, ChartError> {
    picture::png(SIZE, |area| draw(area, comparison, title))
}

/// Renders the picture as SVG.
pub(crate) fn svg(comparison: &Comparison, title: &str) -> Result<String, ChartError> {
    picture::svg(SIZE, title, |area| draw(area, comparison, title))
}

fn draw<DB: DrawingBackend>(area: &Area<DB>, comparison: &Comparison, title: &str) -> Drawn<DB> {
    let panels: Vec<(&Panel, Scale, Axis)> = PANELS
        .iter()
        .map(|panel| {
            let (scale, left) = (panel.axis)(&panel.values(comparison));
            (panel, scale, left)
        })
        .collect();
    let bottom = axis::positions(&comparison.positions(), comparison.by_rate, |at| comparison.generator_limited(at));
    let untitled = Axis { title: String::new(), ticks: bottom.ticks.clone() };
    let covered = panels.iter().all(|(panel, scale, _)| panel.values(comparison).iter().all(|&us| scale.covers(us)));
    let top = Head {
        title: &fitted(Text::TITLE, title, frame::text_width()),
        captions: &captions(comparison, covered),
        legend: &legend(comparison),
    }
    .draw(area)?;
    let axes = |index: usize| Axes {
        bottom: if index + 1 == panels.len() { &bottom } else { &untitled },
        left: &panels[index].2,
        right: None,
    };
    // All of them begin at the same distance from the left, so that their levels stand above each other.
    let room = (0..panels.len()).map(|index| axes(index).room().0).max().unwrap_or_default();
    let height = (frame::lower_edge(area) - frame::BELOW - top - 2 * BETWEEN) / 3;
    let mut y = top;
    for (index, (panel, scale, _)) in panels.iter().enumerate() {
        let plot = Axes::plot((room, 0), (y, y + height));
        axes(index).draw(area, &plot)?;
        panel.draw(area, &plot, (*scale, &bottom), comparison)?;
        y += height + BETWEEN;
    }
    Ok(())
}

fn captions(comparison: &Comparison, covered: bool) -> Vec<String> {
    let measured = match comparison.repetitions() {
        (_, 0 | 1) => "Each level measured once; faint bars are 95 % confidence intervals".to_owned(),
        (least, most) => {
            let count = if least == most { most.to_string() } else { format!("{least} to {most}") };
            format!("Medians of {count} repetitions; faint bars reach from the least to the most of them")
        }
    };
    let mut captions = vec![format!("{measured}. At each level the series stand beside each other.")];
    if !covered {
        captions.push("▽ stands for a latency of 0 or below, which has no place on a logarithmic axis".to_owned());
    }
    if comparison.positions().into_iter().any(|position| comparison.generator_limited(position)) {
        captions.push("* generator-limited: the load generator, not the pipeline, could do no more".to_owned());
    }
    captions
}

fn legend(comparison: &Comparison) -> Vec<Entry> {
    let entry = |(index, series): (usize, &Series)| Entry {
        name: fitted(Text::LABEL, &series.label, frame::text_width() * 9 / 10),
        sample: Sample::Line(look(index)),
    };
    comparison.series.iter().enumerate().map(entry).collect()
}

/// How the series with this index looks: 28 differ.
fn look(index: usize) -> Look {
    Look { colour: palette::line(index), shape: SHAPES[index % SHAPES.len()], dashes: None }
}

/// As much of a text as there is room for.
fn fitted(style: Text, text: &str, room: i32) -> String {
    if style.width(text) <= room {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    let cut = |kept: &[char]| format!("{}…", kept.iter().collect::<String>());
    while !kept.is_empty() && style.width(&cut(&kept)) > room {
        kept.pop();
    }
    cut(&kept)
}

impl Panel {
    /// Everything that the panel's upright axis must cover.
    fn values(&self, comparison: &Comparison) -> Vec<f64> {
        let points = comparison.series.iter().flat_map(|series| &series.points);
        let figures = points.filter_map(|point| point.figure(self.measure));
        figures.flat_map(|figure| [figure.bar().0, figure.median, figure.bar().1]).collect()
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        plot: &Plot,
        (scale, bottom): (Scale, &Axis),
        comparison: &Comparison,
    ) -> Drawn<DB> {
        let positions = comparison.positions();
        let xs: Vec<i32> = bottom.ticks.iter().map(|tick| plot.x(tick.at)).collect();
        let y = |value: f64| plot.y(scale.place(value));
        let offsets = offsets(comparison.series.len(), &xs);
        let line = |(index, series): (usize, &Series)| {
            let place = |(&at, &x): (&f64, &i32)| {
                let figure = series.at(at)?.figure(self.measure)?;
                Some(Place { x: x + offsets[index], value: figure.median, bar: figure.bar() })
            };
            Line { look: look(index), places: positions.iter().zip(&xs).map(place).collect() }
        };
        let lines: Vec<Line> = comparison.series.iter().enumerate().map(line).collect();
        // What is drawn later lies above: no line crosses a point.
        for Line { look, places } in &lines {
            for &Place { x, bar: (low, high), .. } in places.iter().flatten().filter(|place| place.bar.1 > place.bar.0)
            {
                look.draw_span(area, [(x, y(low)), (x, y(high))])?;
            }
        }
        for Line { look, places } in &lines {
            for stretch in places.split(Option::is_none) {
                let points: Vec<(i32, i32)> = stretch.iter().flatten().map(|place| (place.x, y(place.value))).collect();
                look.draw_line(area, &points)?;
            }
        }
        for Line { look, places } in &lines {
            for &Place { x, value, .. } in places.iter().flatten() {
                let shape = if scale.covers(value) { look.shape } else { Shape::Below };
                look.draw_point(area, shape, (x, y(value)))?;
            }
        }
        let empty = |index: &usize| lines.iter().all(|line| line.places[*index].is_none());
        (0..xs.len()).filter(empty).try_for_each(|index| plot.not_available(area, xs[index]))
    }
}

/// How far each series stands to the left or right of its levels: beside each other, where levels leave the room.
fn offsets(series: usize, xs: &[i32]) -> Vec<i32> {
    let count = i32::try_from(series).unwrap_or(i32::MAX);
    let between_levels = xs.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(i32::MAX);
    let apart = APART.min(between_levels / 2 / count.max(1));
    (0..count).map(|index| (2 * index - (count - 1)) * apart / 2).collect()
}
