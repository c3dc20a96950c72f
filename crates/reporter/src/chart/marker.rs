//! Points, lines and filled boxes.

use super::palette::{self, Fill, Pattern};
use super::{Area, Drawn};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::prelude::DrawingBackend;
use plotters::style::{Color, RGBColor, ShapeStyle};

const LINE_WIDTH: u32 = 5;
const SPAN_WIDTH: u32 = 10;
const RADIUS: f64 = 12.0;
const RIM: f64 = 4.0;
const STRIPES_APART: usize = 16;
const STRIPE_WIDTH: u32 = 4;

/// A point's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The line has no points.
    None,
    Circle,
    Square,
    Diamond,
    Triangle,
    /// A small circle.
    Dot,
    /// Points downwards and is hollow: the value lies below the axis.
    Below,
}

/// Shapes that tell series apart where colours do not.
pub(super) const SHAPES: [Shape; 4] = [Shape::Circle, Shape::Square, Shape::Diamond, Shape::Triangle];

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
    pub(super) fn draw_line<DB: DrawingBackend>(self, area: &Area<DB>, points: &[(i32, i32)]) -> Drawn<DB> {
        let style = self.colour.stroke_width(LINE_WIDTH);
        if let Some((dash, gap)) = self.dashes {
            return area.draw(&DashedPathElement::new(points.to_vec(), dash, gap, style));
        }
        // Stretch by stretch: where a thick line turns sharply, plotters draws a spike.
        points.windows(2).try_for_each(|stretch| area.draw(&PathElement::new(stretch.to_vec(), style)))
    }

    /// Draws a broad, faint bar behind what else there is.
    pub(super) fn draw_span<DB: DrawingBackend>(self, area: &Area<DB>, ends: [(i32, i32); 2]) -> Drawn<DB> {
        area.draw(&PathElement::new(ends.to_vec(), self.colour.mix(0.3).stroke_width(SPAN_WIDTH)))
    }

    /// Fills the surface between a line and another one back, faintly.
    pub(super) fn draw_band<DB: DrawingBackend>(self, area: &Area<DB>, outline: Vec<(i32, i32)>) -> Drawn<DB> {
        area.draw(&Polygon::new(outline, self.colour.mix(0.18)))
    }

    /// Draws a point, with a white rim that sets it off from lines behind it.
    pub(super) fn draw_point<DB: DrawingBackend>(self, area: &Area<DB>, shape: Shape, at: (i32, i32)) -> Drawn<DB> {
        let radius = radius(shape);
        // A dot may lie on a point of another series, which is to be seen around it.
        if shape != Shape::Dot {
            draw_shape(area, shape, at, radius + RIM, palette::PAPER)?;
        }
        draw_shape(area, shape, at, radius, self.colour)?;
        if shape == Shape::Below {
            hollow(area, shape, at)?;
        }
        Ok(())
    }

    /// The same with paper in it.
    pub(super) fn draw_hollow_point<DB: DrawingBackend>(
        self,
        area: &Area<DB>,
        shape: Shape,
        at: (i32, i32),
    ) -> Drawn<DB> {
        self.draw_point(area, shape, at)?;
        hollow(area, shape, at)
    }
}

/// Puts paper into a point.
fn hollow<DB: DrawingBackend>(area: &Area<DB>, shape: Shape, at: (i32, i32)) -> Drawn<DB> {
    draw_shape(area, shape, at, radius(shape) / 2.0, palette::PAPER)
}

fn radius(shape: Shape) -> f64 {
    if shape == Shape::Dot { RADIUS / 2.0 } else { RADIUS }
}

/// Fills a shape around a point.
fn draw_shape<DB: DrawingBackend>(
    area: &Area<DB>,
    shape: Shape,
    (x, y): (i32, i32),
    radius: f64,
    colour: RGBColor,
) -> Drawn<DB> {
    // The number of corners, the angle of the first in degrees, and a factor that makes the shapes look equally large.
    let (corners, first, factor) = match shape {
        Shape::None => return Ok(()),
        Shape::Circle | Shape::Dot => return area.draw(&Circle::new((x, y), rounded(radius), colour.filled())),
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
    area.draw(&Polygon::new((0..corners).map(corner).collect::<Vec<_>>(), colour))
}

/// Fills a box from its upper left to its lower right corner.
pub(super) fn draw_box<DB: DrawingBackend>(area: &Area<DB>, fill: Fill, [from, to]: [(i32, i32); 2]) -> Drawn<DB> {
    let (ground, stripes) = match fill.pattern {
        Pattern::Plain => return area.draw(&Rectangle::new([from, to], fill.colour.filled())),
        Pattern::Striped => (fill.colour, palette::PAPER),
        Pattern::Hatched => (palette::pale(fill.colour, 0.7), fill.colour),
    };
    area.draw(&Rectangle::new([from, to], ground.filled()))?;
    draw_stripes(area, stripes, fill.pattern == Pattern::Hatched, [from, to])
}

/// Draws slanting stripes in a box, falling or rising to the right.
fn draw_stripes<DB: DrawingBackend>(
    area: &Area<DB>,
    colour: RGBColor,
    falling: bool,
    [from, to]: [(i32, i32); 2],
) -> Drawn<DB> {
    let style = ShapeStyle::from(colour).stroke_width(STRIPE_WIDTH);
    // The ends of a stripe are as broad as it is: they stay inside.
    let inset = STRIPE_WIDTH.cast_signed() / 2;
    let (left, top) = (from.0 + inset, from.1 + inset);
    let (width, height) = (to.0 - inset - left, to.1 - inset - top);
    for offset in (-height..width).step_by(STRIPES_APART) {
        let (begin, end) = (offset.max(0), (offset + height).min(width));
        if begin < end {
            let y = |along: i32| top + if falling { along - offset } else { height - (along - offset) };
            let points = vec![(left + begin, y(begin)), (left + end, y(end))];
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
