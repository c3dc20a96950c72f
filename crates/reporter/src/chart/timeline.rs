//! `timeline`: arrival latency and messages in flight over the time of the load, for some of the levels.

use super::axis::{self, Axis, Scale};
use super::canvas::{Canvas, Place, Spot, for_level};
use super::frame::{self, Head};
use super::legend::{Entry, Sample};
use super::levels;
use super::marker::{Look, Shape};
use super::palette::{self, Fill};
use super::panels::{self, Panel};
use super::plot::Plot;
use super::selection::{self, Selected};
use super::{Area, Drawn, Picture};
use analysis::{Report, Slice, Timeline, number};
use plotters::prelude::DrawingBackend;

/// `timeline`.
pub(crate) struct TimelinePicture;

/// Labels on the axes of one plot.
const LOG_LABELS: usize = 5;
const STEPS: u32 = 4;

/// A line goes on over so many slices in which no message was sampled: a small sample does not tell.
const BRIDGED: usize = 8;

const P50: Look = Look { colour: palette::BLUE, shape: Shape::None, dashes: None };
const P99: Look = Look { colour: palette::VERMILLION, shape: Shape::None, dashes: None };
/// Dots alone: in a small sample the longest one is the 99th percentile, too.
const MAX: Look = Look { colour: palette::PURPLE, shape: Shape::Dot, dashes: None };
const IN_FLIGHT: Look = Look { colour: palette::FAINT_INK, shape: Shape::None, dashes: None };

/// The figures of a slice that are drawn.
const FIGURES: [fn(&Slice) -> Option<i64>; 3] = [|slice| slice.p50_us, |slice| slice.p99_us, |slice| slice.max_us];

impl Picture for TimelinePicture {
    const NAME: &'static str = "timeline";

    fn title(_report: &Report) -> &'static str {
        "Arrival latency over the time of a load"
    }

    fn size(report: &Report) -> (u32, u32) {
        panels::size(selection::selected(report).len())
    }

    fn draw<DB: Canvas>(area: &Area<DB>, report: &Report) -> Drawn<DB> {
        let selected = selection::selected(report);
        let timelines: Vec<&Timeline> = selected.iter().map(|level| &report.levels[level.index].timeline).collect();
        let slices = || timelines.iter().flat_map(|timeline| &timeline.slices);
        let latencies: Vec<f64> =
            slices().flat_map(|slice| FIGURES.map(|figure| figure(slice))).flatten().map(|us| us as f64).collect();
        let (upright, left) = axis::logarithmic("arrival (ms, log)", &latencies, LOG_LABELS);
        let (across, bottom) = seconds(&timelines);
        let most = |timeline: &Timeline| timeline.slices.iter().map(|slice| slice.in_flight).max().unwrap_or(0);
        let (scales, rights): (Vec<Scale>, Vec<Axis>) = timelines
            .iter()
            .map(|timeline| axis::linear_in(STEPS, "in flight", most(timeline).max(1) as f64, ""))
            .unzip();
        let panels = panels_of(&selected, &left, rights);
        let sentences = [
            "A slice holds what was taken in during it: a gap stands where nothing of that arrived.".to_owned(),
            report.every.map_or_else(
                || "In flight: of the sample alone.".to_owned(),
                |every| format!("In flight: by the sample, 1 in {every}."),
            ),
        ];
        let captions = frame::captions(report, &sentences);
        let head = Head { title: Self::title(report), captions: &captions, legend: &legend() };
        let plots = panels::draw(area, &head, &bottom, &panels)?;
        for ((level, plot), in_flight) in selected.iter().zip(&plots).zip(scales) {
            let index = level.index;
            let scene = Scene { plot: *plot, across, upright, in_flight, timeline: &report.levels[index].timeline };
            for_level(area, index, || scene.draw(area))?;
            scene.draw_spots(area, index, &levels::name(report, index))?;
        }
        if selected.is_empty() { plots[0].remark(area, remark(report)) } else { Ok(()) }
    }
}

/// Time since the beginning of the load, as far as any of them goes.
pub(super) fn seconds(timelines: &[&Timeline]) -> (Scale, Axis) {
    let lasted_us = |timeline: &&Timeline| timeline.slice_us as f64 * timeline.slices.len() as f64;
    let longest = timelines.iter().map(lasted_us).fold(0.0, f64::max);
    axis::linear_to("time since the load began (s)", longest / 1e6)
}

/// Why there is nothing to show.
pub(super) fn remark(report: &Report) -> &'static str {
    if report.levels.is_empty() { "no level has been measured yet" } else { "no level tells how it went over time" }
}

fn panels_of(selected: &[Selected], left: &Axis, rights: Vec<Axis>) -> Vec<Panel> {
    let empty = Panel { heading: String::new(), left: left.clone(), right: None, ground: None };
    if selected.is_empty() {
        return vec![empty];
    }
    let panel = |(level, right): (&Selected, Axis)| Panel {
        heading: level.heading.clone(),
        left: left.clone(),
        right: Some((right, IN_FLIGHT.colour)),
        ground: None,
    };
    selected.iter().zip(rights).map(panel).collect()
}

fn legend() -> Vec<Entry> {
    let entry = |name: &str, sample| Entry { name: name.to_owned(), sample };
    vec![
        entry("p50", Sample::Line(P50)),
        entry("p99", Sample::Line(P99)),
        entry("longest", Sample::Point(MAX)),
        entry("in flight (right axis)", Sample::Box(Fill::plain(palette::GRID))),
    ]
}

/// One level and where it is drawn.
struct Scene<'a> {
    plot: Plot,
    across: Scale,
    upright: Scale,
    in_flight: Scale,
    timeline: &'a Timeline,
}

impl Scene<'_> {
    /// The `x` of a moment, in slices since the beginning.
    fn x(&self, slices: f64) -> i32 {
        self.plot.x(self.across.place(slices * self.timeline.slice_us as f64 / 1e6))
    }

    fn y(&self, us: i64) -> i32 {
        self.plot.y(self.upright.place(us as f64))
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB> {
        let slices = &self.timeline.slices;
        let height = |slice: &Slice| self.plot.y(self.in_flight.place(slice.in_flight as f64));
        let ends = slices.iter().enumerate().map(|(index, slice)| (self.x(index as f64 + 1.0), height(slice)));
        let begin = (self.x(0.0), self.plot.bottom);
        let end = (self.x(slices.len() as f64), self.plot.bottom);
        IN_FLIGHT.draw_band(area, std::iter::once(begin).chain(ends).chain([end]).collect())?;
        for (look, figure) in [MAX, P99, P50].into_iter().zip(FIGURES.into_iter().rev()) {
            self.draw_figure(area, look, figure)?;
        }
        Ok(())
    }

    /// The line, broken where nothing arrived; a stretch of one slice is a dash.
    fn draw_figure<DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        look: Look,
        figure: fn(&Slice) -> Option<i64>,
    ) -> Drawn<DB> {
        let place = |&(index, us): &(usize, i64)| (self.x(index as f64 + 0.5), self.y(us));
        let half = (self.x(0.5) - self.x(0.0)).max(4);
        for stretch in stretches(&self.timeline.slices, figure) {
            let line: Vec<(i32, i32)> = stretch.iter().map(place).collect();
            match line[..] {
                _ if look.shape != Shape::None => {
                    line.iter().try_for_each(|&at| look.draw_point(area, look.shape, at))?;
                }
                [(x, y)] => look.draw_line(area, &[(x - half, y), (x + half, y)])?,
                _ => look.draw_line(area, &line)?,
            }
        }
        Ok(())
    }

    fn draw_spots<DB: Canvas>(&self, area: &Area<DB>, level: usize, name: &str) -> Drawn<DB> {
        for (index, slice) in self.timeline.slices.iter().enumerate() {
            let corners = [(self.x(index as f64), self.plot.top), (self.x(index as f64 + 1.0), self.plot.bottom)];
            let text = told(name, self.timeline, index, slice);
            Spot { level, place: Place::Box(corners), text }.draw(area)?;
        }
        Ok(())
    }
}

/// What a slice tells under the pointer.
pub(super) fn told(name: &str, timeline: &Timeline, index: usize, slice: &Slice) -> String {
    let at = number::grouped(timeline.slice_us as f64 * index as f64 / 1e6, 2);
    let measured = slice.p50_us.zip(slice.p99_us).zip(slice.max_us);
    let figures = measured.map_or_else(
        || "nothing of it arrived".to_owned(),
        |((p50, p99), max)| {
            let [p50, p99, max] = [p50, p99, max].map(number::exact_ms);
            format!("p50 {p50} ms, p99 {p99} ms, longest {max} ms")
        },
    );
    let in_flight = number::grouped(slice.in_flight as f64, 0);
    format!("{name}, {at} s: {} sampled, {figures}, {in_flight} in flight at its end", slice.entered)
}

/// The slices that a line joins, with their values, µs: it is broken where nothing arrived, and where no message was sampled for long.
fn stretches(slices: &[Slice], figure: fn(&Slice) -> Option<i64>) -> Vec<Vec<(usize, i64)>> {
    let indexed: Vec<(usize, &Slice)> = slices.iter().enumerate().collect();
    let alike = indexed.chunk_by(|(_, one), (_, other)| (one.entered == 0) == (other.entered == 0));
    let told = alike.filter(|chunk| chunk[0].1.entered > 0 || chunk.len() > BRIDGED);
    let values: Vec<Option<(usize, i64)>> =
        told.flatten().map(|&(index, slice)| Some((index, figure(slice)?))).collect();
    let stretches = values.split(Option::is_none).filter(|stretch| !stretch.is_empty());
    stretches.map(|stretch| stretch.iter().flatten().copied().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_nothing_arrived_and_not_where_little_was_sampled() {
        let slice = |entered, p50_us| Slice { entered, p50_us, ..Slice::default() };
        let (arrived, lost, unsampled) = (slice(3, Some(7)), slice(3, None), slice(0, None));
        let indices = |slices: &[&Slice]| -> Vec<Vec<usize>> {
            let slices: Vec<Slice> = slices.iter().map(|&slice| slice.clone()).collect();
            let stretches = stretches(&slices, |slice| slice.p50_us).into_iter();
            stretches.map(|stretch| stretch.into_iter().map(|(index, _)| index).collect()).collect()
        };
        assert_eq!(indices(&[&arrived, &unsampled, &arrived, &lost, &arrived]), [vec![0, 2], vec![4]]);
        let mut long = vec![&unsampled; BRIDGED + 3];
        (long[0], long[BRIDGED + 2]) = (&arrived, &arrived);
        assert_eq!(indices(&long), [vec![0], vec![BRIDGED + 2]]);
        assert_eq!(indices(&[]), [[0; 0]; 0]);
    }
}
