//! `hops.png`: where the time goes, hop by hop.

use super::axis::{self, Scale};
use super::frame::{self, Axes, Frame, Head, Plot};
use super::legend::{Entry, Sample};
use super::text::Text;
use super::{Area, ChartError, DrawError, SIZE, caption, marker, palette, picture};
use crate::{Level, Report, number};
use plotters::element::Rectangle;
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use stamp::Stage;

/// The widest that a bar gets, in units.
const BAR_WIDTH: i32 = 240;
/// Room above the highest bar for its label, as a factor.
const HEADROOM: f64 = 1.06;

/// Renders the picture as PNG.
pub(crate) fn render(report: &Report) -> Result<Vec<u8>, ChartError> {
    picture::png(SIZE, |area| draw(area, report))
}

fn draw<DB: DrawingBackend>(area: &Area<DB>, report: &Report) -> Result<(), DrawError<DB>> {
    let bars: Vec<Bar> = report.levels.iter().map(|level| Bar::new(report, level)).collect();
    let highest = bars.iter().map(Bar::total_us).fold(0.0, f64::max);
    let bottom = axis::slots(&report.levels);
    let (scale, left) = axis::linear("mean latency (ms)", highest / 1e3 * HEADROOM, " ms");
    let frame = Frame {
        head: Head {
            title: "Where the time goes, hop by hop",
            captions: &[
                caption::caption(report, |text| Text::CAPTION.width(text) <= frame::text_width()),
                "Each hop's mean, stacked: means add up, percentiles do not. A mean below 0 is drawn as 0.".to_owned(),
            ],
            legend: &legend(report),
        },
        axes: Axes { bottom: &bottom, left: &left, right: None },
    };
    let plot = frame.draw(area)?;
    let slot = (plot.right - plot.left) / i32::try_from(bars.len().max(1)).unwrap_or(i32::MAX);
    for (bar, tick) in bars.iter().zip(&bottom.ticks) {
        bar.draw(area, &plot, scale, (plot.x(tick.at), slot))?;
    }
    if bars.is_empty() {
        plot.remark(area, "no level has been measured yet")?;
    }
    Ok(())
}

fn legend(report: &Report) -> Vec<Entry> {
    let hops = report.path.windows(2).enumerate();
    let entry = |(index, pair): (usize, &[Stage])| Entry {
        name: format!("{} → {}", pair[0], pair[1]),
        sample: Sample::Box(palette::fill(index)),
    };
    hops.map(entry).collect()
}

/// The hops of one level in path order, µs; absent where nothing was measured.
struct Bar(Vec<Option<f64>>);

impl Bar {
    fn new(report: &Report, level: &Level) -> Self {
        let hops = report.path.iter().skip(1);
        let mean = |stage: &Stage| level.hops.iter().find(|hop| hop.stage == *stage)?.latency.mean_us;
        Self(hops.map(|stage| mean(stage).map(|mean| mean.max(0.0))).collect())
    }

    fn total_us(&self) -> f64 {
        self.0.iter().flatten().sum()
    }

    /// Draws it around this `x`, in a slot of this width.
    fn draw<DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        plot: &Plot,
        scale: Scale,
        (x, slot): (i32, i32),
    ) -> Result<(), DrawError<DB>> {
        if self.0.iter().all(Option::is_none) {
            return plot.not_available(area, x);
        }
        let half = (slot * 36 / 100).clamp(1, BAR_WIDTH / 2);
        let y = |us: f64| plot.y(scale.place(us / 1e3));
        let mut below = 0.0;
        for (index, hop) in self.0.iter().enumerate() {
            let above = below + hop.unwrap_or(0.0);
            if y(above) < y(below) {
                marker::draw_box(area, palette::fill(index), [(x - half, y(above)), (x + half, y(below))])?;
            }
            below = above;
        }
        self.draw_label(area, (x, y(below) - 12), slot)
    }

    /// Writes the total above the bar, where it fits, on a white ground that keeps grid lines from crossing it.
    fn draw_label<DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        (x, y): (i32, i32),
        slot: i32,
    ) -> Result<(), DrawError<DB>> {
        let label = number::measured_ms(self.total_us());
        let half = Text::NOTE.width(&label) / 2 + 3;
        if 2 * half > slot {
            return Ok(());
        }
        let height = 2 * Text::NOTE.half_height();
        area.draw(&Rectangle::new([(x - half, y - height - 4), (x + half, y + 4)], palette::PAPER.filled()))?;
        Text::NOTE.centred().coloured(palette::INK).write(area, &label, (x, y))
    }
}
