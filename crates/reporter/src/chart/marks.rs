//! Lines across a plot: upright ones at places worth naming, and a level one for a limit.

use super::axis::Scale;
use super::plot::{MARGIN, Plot};
use super::text::Text;
use super::{Area, CANVAS_WIDTH, Drawn, palette};
use plotters::element::{DashedPathElement, PathElement, Rectangle};
use plotters::prelude::DrawingBackend;
use plotters::style::{Color, ShapeStyle};

/// A label's height, with the gap above it.
const ROW: i32 = 42;

/// Between two labels in a row.
const GAP: i32 = 30;

const STYLE: Text = Text::NOTE;

/// A place on the bottom axis that has a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// From 0 to 1.
    pub(super) place: f64,
    pub(super) label: String,
}

/// A mark and where its label stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    x: i32,
    label: String,
    /// Where the label begins, and how wide it is.
    left: i32,
    width: i32,
    /// Counted from the plot upwards.
    row: i32,
}

/// Finds places for the labels above the plot, in as few rows as keep them apart. Marks at one place share a line.
pub(super) fn arrange(plot: &Plot, marks: &[Mark]) -> Vec<Placed> {
    let mut by_place: Vec<(i32, String)> = Vec::new();
    let mut sorted: Vec<&Mark> = marks.iter().collect();
    sorted.sort_by(|one, other| one.place.total_cmp(&other.place));
    for mark in sorted {
        let x = plot.x(mark.place);
        match by_place.last_mut() {
            Some((last, label)) if (x - *last).abs() <= 4 => *label = format!("{label}, {}", mark.label),
            _ => by_place.push((x, mark.label.clone())),
        }
    }
    let mut ends: Vec<i32> = Vec::new();
    let place = |(x, label): (i32, String)| {
        let width = STYLE.width(&label);
        let left = (x - width / 2).min(CANVAS_WIDTH.cast_signed() - MARGIN - width).max(MARGIN);
        let row = ends.iter().position(|&end| end + GAP <= left).unwrap_or(ends.len());
        ends.resize(ends.len().max(row + 1), 0);
        ends[row] = left + width;
        Placed { x, label, left, width, row: i32::try_from(row).unwrap_or(i32::MAX) }
    };
    by_place.into_iter().map(place).collect()
}

impl Placed {
    /// What it needs above the plot.
    pub(super) fn height(&self) -> i32 {
        (self.row + 1) * ROW
    }

    /// Draws the line, from the label down.
    pub(super) fn draw_line<DB: DrawingBackend>(&self, area: &Area<DB>, plot: &Plot) -> Drawn<DB> {
        let style = ShapeStyle::from(palette::FAINT_INK).stroke_width(3);
        area.draw(&PathElement::new(vec![(self.x, self.baseline(plot) + 8), (self.x, plot.bottom)], style))
    }

    /// Writes the label on a ground that hides the lines of labels above it.
    pub(super) fn draw_label<DB: DrawingBackend>(&self, area: &Area<DB>, plot: &Plot) -> Drawn<DB> {
        write_on_paper(area, &self.label, (self.left, self.baseline(plot)))
    }

    fn baseline(&self, plot: &Plot) -> i32 {
        plot.top - 16 - self.row * ROW
    }
}

/// Draws a level, dashed line at a value inside the axis, and says above its left end what it is.
pub(super) fn draw_limit<DB: DrawingBackend>(
    area: &Area<DB>,
    plot: &Plot,
    scale: Scale,
    (value, label): (f64, &str),
) -> Drawn<DB> {
    let y = plot.y(scale.place(value));
    let style = ShapeStyle::from(palette::INK).stroke_width(3);
    area.draw(&DashedPathElement::new(vec![(plot.left, y), (plot.right, y)], 18, 12, style))?;
    // Below the line where there is no room above it.
    let baseline = if y - plot.top < ROW { y + 2 * STYLE.half_height() + 14 } else { y - 10 };
    write_on_paper(area, label, (plot.left + 14, baseline))
}

fn write_on_paper<DB: DrawingBackend>(area: &Area<DB>, text: &str, (left, baseline): (i32, i32)) -> Drawn<DB> {
    let upper = baseline - 2 * STYLE.half_height() - 6;
    let ground = [(left - 6, upper), (left + STYLE.width(text) + 6, baseline + 8)];
    area.draw(&Rectangle::new(ground, palette::PAPER.filled()))?;
    STYLE.coloured(palette::INK).write(area, text, (left, baseline))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLOT: Plot = Plot { left: 200, top: 300, right: 2700, bottom: 1500 };

    fn mark(place: f64, label: &str) -> Mark {
        Mark { place, label: label.to_owned() }
    }

    #[test]
    fn labels_keep_apart_and_inside() {
        super::super::text::register_fonts().unwrap();
        let marks = [
            mark(0.52, "a knee in the curve"),
            mark(0.5, "a peak of the curve"),
            mark(0.9, "far away"),
            mark(1.0, "at the very end"),
        ];
        let placed = arrange(&PLOT, &marks);
        let rows: Vec<(&str, i32)> = placed.iter().map(|mark| (mark.label.as_str(), mark.row)).collect();
        assert_eq!(
            rows,
            [("a peak of the curve", 0), ("a knee in the curve", 1), ("far away", 0), ("at the very end", 0)]
        );
        assert!(placed.iter().all(|mark| mark.left + mark.width <= 2800 - MARGIN));
    }

    #[test]
    fn marks_at_one_place_share_a_line() {
        let placed = arrange(&PLOT, &[mark(0.5, "knee"), mark(0.5, "capacity")]);
        assert_eq!(placed.iter().map(|mark| mark.label.as_str()).collect::<Vec<_>>(), ["knee, capacity"]);
        assert_eq!(arrange(&PLOT, &[]), []);
    }
}
