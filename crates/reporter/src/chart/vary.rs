//! `vary.png` and `vary.svg`: a figure over the values of the first parameter, a line for each combination of the others.

use super::axis::{self, Axis, LOG_LABELS, Scale, Tick};
use super::frame::{self, Axes, Head};
use super::legend::{Entry, Sample};
use super::marker::{Look, SHAPES};
use super::plot::Plot;
use super::text::Text;
use super::{Area, CANVAS_WIDTH, ChartError, Drawn, palette, picture};
use analysis::{Averaged, Combination, KeyFigureKind, Varied};
use plotters::prelude::DrawingBackend;
use stamp::counted;

/// In pixels: as wide as the other pictures.
const SIZE: (u32, u32) = (CANVAS_WIDTH / 2, 720);

/// Lines that can be told apart.
const MOST_LINES: usize = 12;

/// From a line's points to those of the next, in units.
const APART: i32 = 26;

/// Renders the picture as PNG; nothing where there is no figure to show.
pub(crate) fn png(varied: &Varied) -> Result<Option<Vec<u8>>, ChartError> {
    let Some(kind) = varied.kind() else { return Ok(None) };
    picture::png(SIZE, |area| draw(area, varied, kind)).map(Some)
}

/// Renders the picture as SVG.
pub(crate) fn svg(varied: &Varied) -> Result<Option<String>, ChartError> {
    let Some(kind) = varied.kind() else { return Ok(None) };
    picture::svg(SIZE, &title(varied, kind), |area| draw(area, varied, kind)).map(Some)
}

fn title(varied: &Varied, kind: KeyFigureKind) -> String {
    format!("{}: {}", varied.plan, kind.about)
}

/// Combinations that differ in the first parameter alone.
struct Line<'a> {
    name: String,
    points: Vec<(usize, &'a Averaged)>,
}

fn lines<'a>(varied: &'a Varied, figure: &str) -> Vec<Line<'a>> {
    let Some((_, firsts)) = varied.params.first() else { return Vec::new() };
    let mut lines: Vec<Line<'a>> = Vec::new();
    for combination in &varied.combinations {
        let Some(averaged) = combination.figures.get(figure) else { continue };
        let Some(at) = firsts.iter().position(|value| *value == combination.values[0]) else { continue };
        let name = rest_of(varied, combination);
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push((at, averaged)),
            None => lines.push(Line { name, points: vec![(at, averaged)] }),
        }
    }
    lines
}

/// The other parameters of a combination.
fn rest_of(varied: &Varied, combination: &Combination) -> String {
    let pairs = varied.params.iter().zip(&combination.values).skip(1);
    pairs.map(|((name, _), value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

fn draw<DB: DrawingBackend>(area: &Area<DB>, varied: &Varied, kind: KeyFigureKind) -> Drawn<DB> {
    let lines = lines(varied, kind.name);
    let ends =
        |(_, averaged): &(usize, &Averaged)| averaged.interval.map_or([averaged.mean; 2], |(low, high)| [low, high]);
    let values: Vec<f64> = lines.iter().flat_map(|line| line.points.iter().flat_map(ends)).collect();
    let highest = values.iter().copied().fold(0.0, f64::max);
    let (scale, left) = match kind.unit {
        "µs" => axis::logarithmic(&format!("{} (ms, log)", kind.about), &values, LOG_LABELS),
        unit => axis::linear(&format!("{} ({})", kind.about, unit.trim_start_matches('/')), highest * 1.04, ""),
    };
    let left = match kind.unit {
        "/s" => Axis { title: format!("{} (per second)", kind.about), ..left },
        _ => left,
    };
    let Some((name, firsts)) = varied.params.first() else { return Ok(()) };
    let place = |at: usize| (at as f64 + 0.5) / firsts.len() as f64;
    let ticks = firsts.iter().enumerate().map(|(at, value)| Tick { at: place(at), label: value.clone() }).collect();
    let bottom = Axis { title: name.clone(), ticks };
    let shown = &lines[..lines.len().min(MOST_LINES)];
    let legend: Vec<Entry> = shown
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.name.is_empty())
        .map(|(index, line)| Entry { name: line.name.clone(), sample: Sample::Line(look(index)) })
        .collect();
    let top =
        Head { title: &title(varied, kind), captions: &captions(varied, kind, &lines), legend: &legend }.draw(area)?;
    let axes = Axes { bottom: &bottom, left: &left, right: None };
    let plot = Axes::plot(axes.room(), (top, frame::lower_edge(area) - frame::BELOW));
    axes.draw(area, &plot)?;
    draw_lines(area, &plot, scale, shown, &place)
}

fn captions(varied: &Varied, kind: KeyFigureKind, lines: &[Line<'_>]) -> Vec<String> {
    let runs = varied.runs.iter().filter(|run| run.failed.is_none()).count();
    let is_repeated = varied.combinations.iter().any(|one| one.runs > 1);
    let bars = if is_repeated {
        "points are geometric means; bars are 95 % intervals, from how far repetitions lie apart"
    } else {
        "each combination was run once; bars are the intervals of single runs, where they have one"
    };
    let mut captions =
        vec![format!("{} of {}; {bars}", counted(runs, "run"), counted(varied.combinations.len(), "combination"))];
    if let at_least @ 1.. = varied.at_least(kind) {
        let points = counted(at_least, "point");
        captions.push(format!("{points}: at least so much, as a search ended before anything failed"));
    }
    if lines.len() > MOST_LINES {
        captions.push(format!(
            "{MOST_LINES} of {} combinations of the other parameters are shown: vary.tsv has all",
            lines.len()
        ));
    }
    captions
}

fn draw_lines<DB: DrawingBackend>(
    area: &Area<DB>,
    plot: &Plot,
    scale: Scale,
    lines: &[Line<'_>],
    place: &impl Fn(usize) -> f64,
) -> Drawn<DB> {
    let count = i32::try_from(lines.len()).unwrap_or(i32::MAX);
    let y = |value: f64| plot.y(scale.place(value));
    let x = |index: usize, at: usize| {
        let index = i32::try_from(index).unwrap_or(0);
        plot.x(place(at)) + (2 * index - (count - 1)) * APART / 2
    };
    // What is drawn later lies above: no line crosses a point.
    for (index, line) in lines.iter().enumerate() {
        for (at, averaged) in &line.points {
            if let Some((low, high)) = averaged.interval {
                look(index).draw_span(area, [(x(index, *at), y(low)), (x(index, *at), y(high))])?;
            }
        }
    }
    for (index, line) in lines.iter().enumerate() {
        let points: Vec<(i32, i32)> = line.points.iter().map(|(at, one)| (x(index, *at), y(one.mean))).collect();
        look(index).draw_line(area, &points)?;
    }
    for (index, line) in lines.iter().enumerate() {
        for (at, averaged) in &line.points {
            look(index).draw_point(area, look(index).shape, (x(index, *at), y(averaged.mean)))?;
        }
    }
    if lines.is_empty() {
        return Text::CAPTION.centred().write(
            area,
            "no figures",
            (i32::midpoint(plot.left, plot.right), i32::midpoint(plot.top, plot.bottom)),
        );
    }
    Ok(())
}

fn look(index: usize) -> Look {
    Look { colour: palette::line(index), shape: SHAPES[index % SHAPES.len()], dashes: None }
}
