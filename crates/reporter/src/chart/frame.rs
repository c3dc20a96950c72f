//! What stands around the data: title, caption, legend and axes.

use super::axis::{self, Axis, Tick};
use super::legend::{self, Entry};
use super::marks::{self, Mark};
use super::plot::{MARGIN, Plot};
use super::text::Text;
use super::{Area, CANVAS_WIDTH, Drawn, caption, palette};
use analysis::Report;
use plotters::element::PathElement;
use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;

const TICK: i32 = 12;
const TITLE_BASELINE: i32 = 92;
const LINE_HEIGHT: i32 = 46;
/// From the plot's lower edge to the picture's: labels, the axis' title, and the margin.
pub(super) const BELOW: i32 = 156;

/// Everything around the data.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) head: Head<'a>,
    pub(super) axes: Axes<'a>,
    /// What is worth a line across the plot.
    pub(super) marks: &'a [Mark],
}

/// What stands above the data.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    pub(super) captions: &'a [String],
    pub(super) legend: &'a [Entry],
}

/// What stands at the sides of the data.
#[derive(Debug)]
pub(super) struct Axes<'a> {
    pub(super) bottom: &'a Axis,
    pub(super) left: &'a Axis,
    /// With the colour of the series that it belongs to.
    pub(super) right: Option<(&'a Axis, RGBColor)>,
}

/// The lines under a title: which sweep this is, and then these sentences, wrapped.
pub(super) fn captions(report: &Report, sentences: &[String]) -> Vec<String> {
    let sweep = caption::caption(report, |text| Text::CAPTION.width(text) <= text_width());
    let rest =
        if sentences.is_empty() { Vec::new() } else { Text::CAPTION.wrapped(&sentences.join(" "), text_width()) };
    std::iter::once(sweep).chain(rest).collect()
}

/// The room that a line of text has.
pub(super) fn text_width() -> i32 {
    CANVAS_WIDTH.cast_signed() - 2 * MARGIN
}

impl Frame<'_> {
    /// Draws it and returns where the data belongs.
    pub(super) fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB, Plot> {
        let top = self.head.draw(area)?;
        let mut plot = Axes::plot(self.axes.room(), (top, lower_edge(area) - BELOW));
        let marks = marks::arrange(&plot, self.marks);
        plot.top += marks.iter().map(marks::Placed::height).max().unwrap_or(0);
        self.axes.draw(area, &plot)?;
        marks.iter().try_for_each(|mark| mark.draw_line(area, &plot))?;
        marks.iter().try_for_each(|mark| mark.draw_label(area, &plot))?;
        Ok(plot)
    }
}

impl Head<'_> {
    /// Draws it on an empty canvas and returns where the first plot begins.
    pub(super) fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB, i32> {
        area.fill(&palette::PAPER)?;
        Text::TITLE.write(area, self.title, (MARGIN, TITLE_BASELINE))?;
        let mut y = TITLE_BASELINE + 10;
        for caption in self.captions {
            y += LINE_HEIGHT;
            Text::CAPTION.write(area, caption, (MARGIN, y))?;
        }
        y += 28;
        y += legend::draw(area, self.legend, (MARGIN, y), text_width())?;
        Ok(y + 44)
    }
}

/// The canvas' lower edge.
pub(super) fn lower_edge<DB: DrawingBackend>(area: &Area<DB>) -> i32 {
    area.dim_in_pixel().1.cast_signed()
}

impl Axes<'_> {
    /// How much the axes on the left and right need.
    pub(super) fn room(&self) -> (i32, i32) {
        let beside = |axis: &Axis| widest(&axis.ticks) + LINE_HEIGHT + 2 * TICK + 20;
        (beside(self.left), self.right.map_or(0, |(axis, _)| beside(axis)))
    }

    /// The plot takes what the axes leave.
    pub(super) fn plot(room: (i32, i32), (top, bottom): (i32, i32)) -> Plot {
        Plot { left: MARGIN + room.0, top, right: CANVAS_WIDTH.cast_signed() - MARGIN - room.1, bottom }
    }

    /// Draws them around a plot.
    pub(super) fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, plot: &Plot) -> Drawn<DB> {
        self.draw_left(area, plot)?;
        self.draw_right(area, plot)?;
        self.draw_bottom(area, plot)
    }

    fn draw_left<DB: DrawingBackend>(&self, area: &Area<DB>, plot: &Plot) -> Drawn<DB> {
        let text = Text::LABEL.to_the_left();
        for tick in &self.left.ticks {
            let y = plot.y(tick.at);
            let colour = if tick.label.is_empty() { palette::FAINT_GRID } else { palette::GRID };
            line(area, colour, [(plot.left, y), (plot.right, y)])?;
            text.write(area, &tick.label, (plot.left - TICK - 6, y + text.half_height()))?;
        }
        let middle = i32::midpoint(plot.top, plot.bottom);
        Text::LABEL.centred().write_upwards(area, &self.left.title, (MARGIN + 30, middle))
    }

    fn draw_right<DB: DrawingBackend>(&self, area: &Area<DB>, plot: &Plot) -> Drawn<DB> {
        let Some((axis, colour)) = self.right else { return Ok(()) };
        let text = Text::LABEL.coloured(colour);
        for tick in &axis.ticks {
            let y = plot.y(tick.at);
            line(area, colour, [(plot.right, y), (plot.right + TICK, y)])?;
            text.write(area, &tick.label, (plot.right + TICK + 10, y + text.half_height()))?;
        }
        let place = (CANVAS_WIDTH.cast_signed() - MARGIN, i32::midpoint(plot.top, plot.bottom));
        text.centred().write_upwards(area, &axis.title, place)
    }

    fn draw_bottom<DB: DrawingBackend>(&self, area: &Area<DB>, plot: &Plot) -> Drawn<DB> {
        line(area, palette::INK, [(plot.left, plot.bottom), (plot.right, plot.bottom)])?;
        let text = Text::LABEL.centred();
        let ticks = &self.bottom.ticks;
        let labels: Vec<(i32, i32)> = ticks.iter().map(|tick| (plot.x(tick.at), text.width(&tick.label))).collect();
        let shown = axis::shown(&labels, 24);
        for (index, tick) in ticks.iter().enumerate().filter(|(index, _)| shown(*index)) {
            let x = labels[index].0;
            line(area, palette::INK, [(x, plot.bottom), (x, plot.bottom + TICK)])?;
            // The last label of an axis that ends with a tick may reach beyond the plot, but not off the canvas.
            let furthest = CANVAS_WIDTH.cast_signed() - 8 - labels[index].1 / 2;
            text.write(area, &tick.label, (x.min(furthest), plot.bottom + TICK + 36))?;
        }
        let title = (i32::midpoint(plot.left, plot.right), plot.bottom + TICK + 94);
        text.write(area, &self.bottom.title, title)
    }
}

/// Draws an upright grid line at a place on the bottom axis.
pub(super) fn draw_upright<DB: DrawingBackend>(area: &Area<DB>, plot: &Plot, place: f64) -> Drawn<DB> {
    let x = plot.x(place);
    line(area, palette::GRID, [(x, plot.top), (x, plot.bottom - 2)])
}

fn widest(ticks: &[Tick]) -> i32 {
    ticks.iter().map(|tick| Text::LABEL.width(&tick.label)).max().unwrap_or(0)
}

fn line<DB: DrawingBackend>(area: &Area<DB>, colour: RGBColor, points: [(i32, i32); 2]) -> Drawn<DB> {
    area.draw(&PathElement::new(points.to_vec(), plotters::style::ShapeStyle::from(colour).stroke_width(2)))
}
