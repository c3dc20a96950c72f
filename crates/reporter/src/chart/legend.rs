//! The legend: rows of entries above the plot, so that it covers no data.

use super::marker::{self, Look};
use super::palette::Fill;
use super::text::Text;
use super::{Area, Drawn};
use plotters::prelude::DrawingBackend;

pub(super) const ROW_HEIGHT: i32 = 52;
const LINE_WIDTH: i32 = 102;
const BOX_WIDTH: i32 = 40;
const GAP: i32 = 16;
const BETWEEN: i32 = 52;

/// What stands beside an entry's name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sample {
    Line(Look),
    /// A point without a line.
    Point(Look),
    Box(Fill),
}

impl Sample {
    fn width(self) -> i32 {
        match self {
            Self::Line(_) => LINE_WIDTH,
            Self::Point(_) | Self::Box(_) => BOX_WIDTH,
        }
    }

    fn draw<DB: DrawingBackend>(self, area: &Area<DB>, (x, y): (i32, i32)) -> Drawn<DB> {
        match self {
            Self::Line(look) => {
                look.draw_line(area, &[(x, y), (x + LINE_WIDTH, y)])?;
                look.draw_point(area, look.shape, (x + LINE_WIDTH / 2, y))
            }
            Self::Point(look) => look.draw_point(area, look.shape, (x + BOX_WIDTH / 2, y)),
            Self::Box(fill) => marker::draw_box(area, fill, [(x, y - 14), (x + BOX_WIDTH, y + 14)]),
        }
    }
}

/// One series.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) sample: Sample,
}

/// Draws the entries in rows from this position down and returns how high they are.
pub(super) fn draw<DB: DrawingBackend>(
    area: &Area<DB>,
    entries: &[Entry],
    (left, top): (i32, i32),
    width: i32,
) -> Drawn<DB, i32> {
    let widths: Vec<i32> =
        entries.iter().map(|entry| entry.sample.width() + GAP + Text::LABEL.width(&entry.name)).collect();
    let places = places(&widths, width);
    for (entry, &(x, row)) in entries.iter().zip(&places) {
        let (x, y) = (left + x, top + row * ROW_HEIGHT + ROW_HEIGHT / 2);
        entry.sample.draw(area, (x, y))?;
        Text::LABEL.write(area, &entry.name, (x + entry.sample.width() + GAP, y + Text::LABEL.half_height()))?;
    }
    Ok(places.last().map_or(0, |(_, row)| (row + 1) * ROW_HEIGHT))
}

/// Where each entry begins, and in which row: side by side while they fit.
fn places(widths: &[i32], room: i32) -> Vec<(i32, i32)> {
    let (mut x, mut row) = (0, 0);
    let place = |&width: &i32| {
        if x > 0 && x + width > room {
            (x, row) = (0, row + 1);
        }
        let place = (x, row);
        x += width + BETWEEN;
        place
    };
    widths.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_wrap() {
        assert_eq!(places(&[100, 100, 400, 100], 400), [(0, 0), (152, 0), (0, 1), (0, 2)]);
    }
}
