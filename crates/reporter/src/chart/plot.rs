//! The part of a picture that data is drawn in.

use super::marker::rounded;
use super::text::Text;
use super::{Area, Drawn};
use plotters_backend::DrawingBackend;

/// From the picture's edges to what is drawn.
pub(super) const MARGIN: i32 = 56;

/// The part of the picture that data is drawn in, in units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

impl Plot {
    /// The `x` of a place on the bottom axis.
    pub(super) fn x(&self, place: f64) -> i32 {
        self.left + rounded(place * f64::from(self.right - self.left))
    }

    /// The `y` of a place on an upright axis.
    pub(super) fn y(&self, place: f64) -> i32 {
        self.bottom - rounded(place * f64::from(self.bottom - self.top))
    }

    /// Says in its middle why it is empty.
    pub(super) fn remark<DB: DrawingBackend>(&self, area: &Area<DB>, text: &str) -> Drawn<DB> {
        Text::CAPTION.centred().write(
            area,
            text,
            (i32::midpoint(self.left, self.right), i32::midpoint(self.top, self.bottom)),
        )
    }

    /// Says above the bottom axis that there is nothing to show at this place.
    pub(super) fn not_available<DB: DrawingBackend>(&self, area: &Area<DB>, x: i32) -> Drawn<DB> {
        Text::NOTE.centred().write(area, "n/a", (x, self.bottom - 14))
    }
}
