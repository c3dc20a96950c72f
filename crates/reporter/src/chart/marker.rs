//! Points, lines and filled boxes.

use super::palette::{self, Fill};
use super::{Area, DrawError};
use plotters::element::{DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::prelude::DrawingBackend;
use plotters::style::{Color, RGBColor, ShapeStyle};

const LINE_WIDTH: u32 = 5;
const SPAN_WIDTH: u32 = 10;
const RADIUS: f64 = 12.0;
const STRIPES_APART: usize = 16;

/// A point's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
    /// Points downwards and is hollow: the value lies below the axis.
    Below,
}

/// How a series looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    pub(super) shape: Shape,
    /// Lengths of a dash and the gap after it; `None`: the line is whole.
    pub(super) dashes: Option<(i32, i32)>,
}

impl Look {
    /// Draws the line from point to point.
    pub(super) fn draw_line<DB: DrawingBackend>(
        self,
        area: &Area<DB>,
        points: &[(i32, i32)],
    ) -> Result<(), DrawError<DB>> {
        let style = self.colour.stroke_width(LINE_WIDTH);
        if let Some((dash, gap)) = self.dashes {
            return area.draw(&DashedPathElement::new(points.to_vec(), dash, gap, style));
        }
        // Stretch by stretch: where a thick line turns sharply, plotters draws a spike.
        points.windows(2).try_for_each(|stretch| area.draw(&PathElement::new(stretch.to_vec(), style)))
    }

    /// Draws a broad, faint bar behind what else there is.
    pub(super) fn draw_span<DB: DrawingBackend>(
        self,
        area: &Area<DB>,
        ends: [(i32, i32); 2],
    ) -> Result<(), DrawError<DB>> {
        area.draw(&PathElement::new(ends.to_vec(), self.colour.mix(0.3).stroke_width(SPAN_WIDTH)))
    }

    /// Draws a point, with a white rim that sets it off from lines behind it.
    pub(super) fn draw_point<DB: DrawingBackend>(
        self,
        area: &Area<DB>,
        shape: Shape,
        at: (i32, i32),
    ) -> Result<(), DrawError<DB>> {
        area.draw(&Polygon::new(outline(shape, at, RADIUS + 4.0), palette::PAPER))?;
        area.draw(&Polygon::new(outline(shape, at, RADIUS), self.colour))?;
        if shape == Shape::Below {
            area.draw(&Polygon::new(outline(shape, at, RADIUS - 6.0), palette::PAPER))?;
        }
        Ok(())
    }
}

/// The corners of a shape.
fn outline(shape: Shape, (x, y): (i32, i32), radius: f64) -> Vec<(i32, i32)> {
    // Corners, the angle of the first in degrees, and a factor that makes the shapes look equally large.
    let (corners, first, factor) = match shape {
        Shape::Circle => (32, 0.0, 1.0),
        Shape::Square => (4, 45.0, 1.25),
        Shape::Diamond => (4, 0.0, 1.25),
        Shape::Triangle => (3, -90.0, 1.35),
        Shape::Below => (3, 90.0, 1.5),
    };
    let corner = |index: u32| {
        let angle = (first + 360.0 * f64::from(index) / f64::from(corners)).to_radians();
        let along = |share: f64| rounded(share * radius * factor);
        (x + along(angle.cos()), y + along(angle.sin()))
    };
    (0..corners).map(corner).collect()
}

/// Fills a box from its upper left to its lower right corner.
pub(super) fn draw_box<DB: DrawingBackend>(
    area: &Area<DB>,
    fill: Fill,
    [from, to]: [(i32, i32); 2],
) -> Result<(), DrawError<DB>> {
    area.draw(&Rectangle::new([from, to], fill.colour.filled()))?;
    if !fill.striped {
        return Ok(());
    }
    let style = ShapeStyle::from(palette::PAPER).stroke_width(4);
    let (width, height) = (to.0 - from.0, to.1 - from.1);
    for offset in (-height..width).step_by(STRIPES_APART) {
        let (begin, end) = (offset.max(0), (offset + height).min(width));
        if begin < end {
            let points = vec![(from.0 + begin, to.1 - (begin - offset)), (from.0 + end, to.1 - (end - offset))];
            area.draw(&PathElement::new(points, style))?;
        }
    }
    Ok(())
}

/// The nearest whole unit; numbers beyond an i32 become its ends.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn rounded(value: f64) -> i32 {
    value.round() as i32
}
