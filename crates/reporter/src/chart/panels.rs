//! Several plots above each other, over one bottom axis.

use super::axis::Axis;
use super::frame::{self, Axes, Head};
use super::plot::Plot;
use super::text::Text;
use super::{Area, Drawn, SIZE};
use plotters::element::Rectangle;
use plotters::prelude::DrawingBackend;
use plotters::style::{Color, RGBColor};

/// For the heading above a plot.
const HEADING: i32 = 60;

/// For the labels below a plot that has another one below it.
const LABELS: i32 = 72;

/// What stands above the first plot and below the last one, and what each plot takes, in pixels.
const AROUND: u32 = 230;
const EACH: u32 = 270;

/// One of the plots.
#[derive(Debug)]
pub(super) struct Panel {
    /// Stands above it; it may be empty.
    pub(super) heading: String,
    pub(super) left: Axis,
    /// With the colour of what it belongs to.
    pub(super) right: Option<(Axis, RGBColor)>,
    /// What is behind the data, if not paper.
    pub(super) ground: Option<RGBColor>,
}

/// Width and height of a picture with so many of them, in pixels.
pub(super) fn size(count: usize) -> (u32, u32) {
    let count = u32::try_from(count).unwrap_or(1);
    (SIZE.0, SIZE.1.max(AROUND + EACH * count))
}

/// Draws what stands around the data, and returns where that belongs.
pub(super) fn draw<DB: DrawingBackend>(
    area: &Area<DB>,
    head: &Head,
    bottom: &Axis,
    panels: &[Panel],
) -> Drawn<DB, Vec<Plot>> {
    let untitled = Axis { title: String::new(), ticks: bottom.ticks.clone() };
    let top = head.draw(area)?;
    let axes = |index: usize| {
        let Panel { left, right, .. } = &panels[index];
        let bottom = if index + 1 == panels.len() { bottom } else { &untitled };
        Axes { bottom, left, right: right.as_ref().map(|(axis, colour)| (axis, *colour)) }
    };
    // All have the same width, so that what happens together stands above each other.
    let rooms = || (0..panels.len()).map(|index| axes(index).room());
    let room = (rooms().map(|room| room.0).max().unwrap_or(0), rooms().map(|room| room.1).max().unwrap_or(0));
    let count = i32::try_from(panels.len().max(1)).unwrap_or(i32::MAX);
    let height = (frame::lower_edge(area) - frame::BELOW - top + LABELS) / count;
    let mut plots = Vec::new();
    for (index, panel) in panels.iter().enumerate() {
        let heading = if panel.heading.is_empty() { 0 } else { HEADING - 20 };
        let upper = top + height * i32::try_from(index).unwrap_or(0);
        let plot = Axes::plot(room, (upper + heading, upper + height - LABELS));
        if let Some(ground) = panel.ground {
            area.draw(&Rectangle::new([(plot.left, plot.top), (plot.right, plot.bottom)], ground.filled()))?;
        }
        axes(index).draw(area, &plot)?;
        Text::HEADING.write(area, &panel.heading, (plot.left, plot.top - 16))?;
        plots.push(plot);
    }
    Ok(plots)
}
