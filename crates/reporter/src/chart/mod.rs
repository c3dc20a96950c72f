//! The pictures.
//!
//! Each is drawn by a function that is generic over plotters' backends, on a canvas that is [`CANVAS_WIDTH`] units wide. [`picture`]
//! chooses the backend and makes the file. What to show is worked out apart from drawing: [`axis`] and [`caption`] are
//! pure.

pub(crate) mod arrival;
mod axis;
mod caption;
pub(crate) mod compare;
mod frame;
pub(crate) mod hops;
mod legend;
mod marker;
mod palette;
mod picture;
#[cfg(test)]
pub(crate) mod tests;
mod text;

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{DrawingArea, DrawingBackend};

/// Width and height of a picture, in pixels. One with several plots is higher.
const SIZE: (u32, u32) = (1400, 840);

/// Width of the canvas, in units: two for each pixel. All positions and sizes in the code that draws are in these.
const CANVAS_WIDTH: u32 = SIZE.0 * 2;

/// What is drawn on: its positions are units of the canvas.
type Area<DB> = DrawingArea<DB, Shift>;

/// The error of drawing on a backend.
type DrawError<DB> = DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>;

/// A picture could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChartError {
    /// A font inside this program is damaged.
    #[error("a font inside this program cannot be read: build it again from a clean checkout")]
    Font,
    /// The backend failed.
    #[error("drawing failed: {0}")]
    Draw(String),
    /// The pixels could not be written as PNG.
    #[error("encoding as PNG failed: {0}")]
    Encode(#[from] png::EncodingError),
}
