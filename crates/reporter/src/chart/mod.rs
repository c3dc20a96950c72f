//! The pictures.
//!
//! Each is drawn by a function that is generic over plotters' backends, on a canvas that is [`CANVAS_WIDTH`] units wide. [`picture`]
//! chooses the backend, a bitmap or [`mod@svg`], and makes the file. What to show is worked out apart from drawing: [`axis`], [`caption`],
//! [`levels`], [`ramp`] and [`selection`] are pure.

mod arrival;
mod axis;
mod bar;
mod canvas;
mod caption;
pub(crate) mod compare;
mod cpu;
mod frame;
mod heatmap;
mod hops;
mod legend;
mod levels;
mod marker;
mod marks;
mod palette;
mod panels;
mod percentiles;
mod picture;
mod plot;
mod ramp;
mod selection;
mod series;
mod steps;
mod svg;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod throughput;
mod timeline;
pub(crate) mod vary;

pub(crate) use arrival::Arrival;
pub(crate) use cpu::Cpu;
pub(crate) use heatmap::Heatmap;
pub(crate) use hops::Hops;
pub(crate) use percentiles::Percentiles;
pub(crate) use steps::Steps;
pub(crate) use throughput::Throughput;
pub(crate) use timeline::TimelinePicture as Timeline;

use analysis::Report;
use canvas::Canvas;
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

/// What comes of drawing on a backend.
type Drawn<DB, T = ()> = Result<T, DrawError<DB>>;

/// A picture of a report.
pub(crate) trait Picture {
    /// What its files are called, without their ending.
    const NAME: &'static str;

    /// What stands above it.
    fn title(report: &Report) -> &'static str;

    /// Width and height, in pixels.
    fn size(_report: &Report) -> (u32, u32) {
        SIZE
    }

    /// Draws it on an empty canvas.
    fn draw<DB: Canvas>(area: &Area<DB>, report: &Report) -> Drawn<DB>;
}

/// A picture as SVG, to stand in an HTML page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drawing {
    /// What its files are called, without their ending.
    pub(crate) name: &'static str,
    /// What stands above it.
    pub(crate) title: &'static str,
    /// The element `svg`, whole. What belongs to one level alone stands in groups `<g class="level" data-level="INDEX">`; the transparent
    /// shapes `class="spot"` at its end tell figures under the pointer.
    pub(crate) svg: String,
}

/// A picture as PNG.
pub(crate) fn png<P: Picture>(report: &Report) -> Result<Vec<u8>, ChartError> {
    picture::png(P::size(report), |area| P::draw(area, report))
}

/// A picture as SVG.
pub(crate) fn svg<P: Picture>(report: &Report) -> Result<String, ChartError> {
    picture::svg(P::size(report), P::title(report), |area| P::draw(area, report))
}

/// All pictures of a report as SVG, in the order in which one reads them.
pub(crate) fn svgs(report: &Report) -> Result<Vec<Drawing>, ChartError> {
    fn drawing<P: Picture>(report: &Report) -> Result<Drawing, ChartError> {
        Ok(Drawing { name: P::NAME, title: P::title(report), svg: svg::<P>(report)? })
    }
    let of_users: &[fn(&Report) -> _] = if report.has_users() { &[drawing::<Steps>] } else { &[] };
    let all = [
        drawing::<Arrival>,
        drawing::<Throughput>,
        drawing::<Hops>,
        drawing::<Percentiles>,
        drawing::<Timeline>,
        drawing::<Cpu>,
        drawing::<Heatmap>,
    ];
    of_users.iter().copied().chain(all).map(|drawing| drawing(report)).collect()
}

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
    Encode(#[from] raster::EncodingError),
}
