//! `heatmap`: how many messages took how long over the time of the load, for some of the levels.

use super::axis::{self, Axis, Scale};
use super::canvas::{Canvas, Place, Spot, for_level};
use super::frame::{self, Head};
use super::legend::{Entry, Sample};
use super::levels;
use super::palette::Fill;
use super::panels::{self, Panel};
use super::plot::Plot;
use super::ramp::Classes;
use super::selection;
use super::timeline::{remark, seconds, told};
use super::{Area, Drawn, Picture};
use analysis::{Report, Slice, Timeline};
use plotters::element::Rectangle;
use plotters::prelude::DrawingBackend;
use plotters::style::{Color, RGBColor};

/// `heatmap`.
pub(crate) struct Heatmap;

/// Labels on the latency axis of one plot at most.
const LOG_LABELS: usize = 5;

/// Behind the cells: on a dark screen, too, so that few messages stay near the ground and many far from it.
const GROUND: RGBColor = RGBColor(0xF7, 0xF7, 0xF7);

impl Picture for Heatmap {
    const NAME: &'static str = "heatmap";

    fn title(_report: &Report) -> &'static str {
        "How many messages took how long, over the time of a load"
    }

    fn size(report: &Report) -> (u32, u32) {
        panels::size(selection::selected(report).len())
    }

    fn draw<DB: Canvas>(area: &Area<DB>, report: &Report) -> Drawn<DB> {
        let selected = selection::selected(report);
        let timelines: Vec<&Timeline> = selected.iter().map(|level| &report.levels[level.index].timeline).collect();
        let slices = || timelines.iter().flat_map(|timeline| &timeline.slices);
        let (upright, left) = latency(slices());
        let (across, bottom) = seconds(&timelines);
        let classes = Classes::up_to(slices().flat_map(|slice| &slice.bins).copied().max().unwrap_or(1));
        let panel = |heading: String| Panel { heading, left: left.clone(), right: None, ground: Some(GROUND) };
        let headings = selected.iter().map(|level| level.heading.clone());
        let panels: Vec<Panel> = headings.chain(selected.is_empty().then(String::new)).map(panel).collect();
        let sentences = [
            report.every.map_or_else(
                || "Colours: sampled messages in a cell.".to_owned(),
                |every| format!("Colours: sampled messages in a cell, each of which stands for {every}."),
            ),
            "A slice of time holds what was taken in during it.".to_owned(),
        ];
        let captions = frame::captions(report, &sentences);
        let legend = if selected.is_empty() { Vec::new() } else { legend(&classes) };
        let head = Head { title: Self::title(report), captions: &captions, legend: &legend };
        let plots = panels::draw(area, &head, &bottom, &panels)?;
        for (level, plot) in selected.iter().zip(&plots) {
            let index = level.index;
            let map = Map { plot: *plot, across, upright, timeline: &report.levels[index].timeline, classes: &classes };
            for_level(area, index, || map.draw(area))?;
            map.draw_spots(area, index, &levels::name(report, index))?;
        }
        if selected.is_empty() { plots[0].remark(area, remark(report)) } else { Ok(()) }
    }
}

/// An axis from the shortest to the longest latency that anything took.
fn latency<'a>(slices: impl Iterator<Item = &'a Slice>) -> (Scale, Axis) {
    let filled = |slice: &'a Slice| slice.bins.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bin, _)| bin);
    let ends = |bin: usize| [Timeline::bin_from_us(bin), Timeline::bin_from_us(bin + 1)];
    let latencies: Vec<f64> = slices.flat_map(filled).flat_map(ends).collect();
    axis::logarithmic("arrival (ms, log)", &latencies, LOG_LABELS)
}

/// The key of the colours.
fn legend(classes: &Classes) -> Vec<Entry> {
    let entry = |(class, name)| Entry { name, sample: Sample::Box(Fill::plain(classes.colour(class))) };
    classes.labels().into_iter().enumerate().map(entry).collect()
}

/// One level and where it is drawn.
struct Map<'a> {
    plot: Plot,
    across: Scale,
    upright: Scale,
    timeline: &'a Timeline,
    classes: &'a Classes,
}

/// Neighbouring slices with the same class in one bin.
struct Run {
    class: usize,
    bin: usize,
    slices: std::ops::Range<usize>,
}

impl Map<'_> {
    /// The `x` of the beginning of a slice.
    fn x(&self, slice: usize) -> i32 {
        self.plot.x(self.across.place(self.timeline.slice_us as f64 * slice as f64 / 1e6))
    }

    /// The `y` of the lower edge of a bin.
    fn y(&self, bin: usize) -> i32 {
        self.plot.y(self.upright.place(Timeline::bin_from_us(bin)))
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB> {
        let mut runs = runs(self.timeline, self.classes);
        // What has one colour becomes one path in SVG.
        runs.sort_by_key(|run| run.class);
        for Run { class, bin, slices } in runs {
            let (upper, lower) = (self.y(bin + 1), self.y(bin).max(self.y(bin + 1) + 1));
            let corners = [(self.x(slices.start), upper), (self.x(slices.end), lower)];
            area.draw(&Rectangle::new(corners, self.classes.colour(class).filled()))?;
        }
        Ok(())
    }

    fn draw_spots<DB: Canvas>(&self, area: &Area<DB>, level: usize, name: &str) -> Drawn<DB> {
        for (index, slice) in self.timeline.slices.iter().enumerate() {
            let place = Place::Box([(self.x(index), self.plot.top), (self.x(index + 1), self.plot.bottom)]);
            Spot { level, place, text: told(name, self.timeline, index, slice) }.draw(area)?;
        }
        Ok(())
    }
}

fn runs(timeline: &Timeline, classes: &Classes) -> Vec<Run> {
    let class = |slice: &Slice, bin: usize| classes.of(slice.bins.get(bin).copied().unwrap_or(0));
    let bins = timeline.slices.iter().map(|slice| slice.bins.len()).max().unwrap_or(0);
    let mut runs = Vec::new();
    for bin in 0..bins {
        let mut begin = 0;
        for alike in timeline.slices.chunk_by(|one, other| class(one, bin) == class(other, bin)) {
            let slices = begin..begin + alike.len();
            begin = slices.end;
            runs.extend(class(&alike[0], bin).map(|class| Run { class, bin, slices }));
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_colour_are_one_box() {
        let slice = |bins: &[u32]| Slice { bins: bins.to_vec(), ..Slice::default() };
        let slices = vec![slice(&[1, 0, 9]), slice(&[1, 2]), slice(&[]), slice(&[1, 2])];
        let timeline = Timeline { slice_us: 100_000, slices };
        let runs: Vec<(usize, usize, std::ops::Range<usize>)> =
            runs(&timeline, &Classes::up_to(9)).into_iter().map(|run| (run.bin, run.class, run.slices)).collect();
        // Of nine counts each would be a class, which are too many: 1, 2–4 and 5–9.
        assert_eq!(runs, [(0, 0, 0..2), (0, 0, 3..4), (1, 1, 1..2), (1, 1, 3..4), (2, 2, 0..1)]);
    }
}
