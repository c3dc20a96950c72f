//! What a backend must know beyond drawing: which level something belongs to, and what it tells under the pointer.

use super::{Area, Drawn};
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::{BitMapBackend, DrawingBackend};
use plotters_backend::{BackendCoord, DrawingErrorKind};

/// A backend that pictures are drawn on. A bitmap has neither layers nor a pointer, and leaves them out.
pub(crate) trait Canvas: DrawingBackend {
    /// What is drawn from here on belongs to the level with this index alone; `None`: to the whole picture.
    fn assign(&mut self, _level: Option<usize>) {}

    /// Adds a place that tells more under the pointer.
    fn add_spot(&mut self, _spot: &Spot) {}
}

impl Canvas for BitMapBackend<'_> {}

/// A place that tells more under the pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The index of the level that it belongs to.
    pub(super) level: usize,
    pub(super) place: Place,
    /// What it tells.
    pub(super) text: String,
}

/// Where a spot is, in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Around a point.
    Point((i32, i32)),
    /// From the upper left to the lower right corner.
    Box([(i32, i32); 2]),
}

impl Spot {
    /// Adds it to the picture.
    pub(super) fn draw<DB: Canvas>(self, area: &Area<DB>) -> Drawn<DB> {
        area.draw(&Note::Spot(self))
    }
}

/// Draws what belongs to one level alone, so that it can be hidden together.
pub(super) fn for_level<DB: Canvas>(area: &Area<DB>, level: usize, draw: impl FnOnce() -> Drawn<DB>) -> Drawn<DB> {
    area.draw(&Note::Level(Some(level)))?;
    draw()?;
    area.draw(&Note::Level(None))
}

/// What is told to the backend: plotters lets elements alone have it.
enum Note {
    Level(Option<usize>),
    Spot(Spot),
}

impl<'a> PointCollection<'a, (i32, i32)> for &'a Note {
    type Point = (i32, i32);
    type IntoIter = std::iter::Empty<(i32, i32)>;

    fn point_iter(self) -> Self::IntoIter {
        std::iter::empty()
    }
}

impl<DB: Canvas> Drawable<DB> for Note {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        _: I,
        backend: &mut DB,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
        match self {
            Self::Level(level) => backend.assign(*level),
            Self::Spot(spot) => backend.add_spot(spot),
        }
        Ok(())
    }
}
