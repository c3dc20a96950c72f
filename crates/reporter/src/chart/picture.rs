//! From drawing to a file's bytes.

use super::svg::{Sheet, SvgBackend};
use super::{Area, ChartError, Drawn, text};
use plotters::prelude::{BitMapBackend, IntoDrawingArea};
use raster::CHANNELS;

/// Draws a picture of this size in pixels as SVG, for which a title says what it shows.
pub(super) fn svg<D>(size: (u32, u32), title: &str, draw: D) -> Result<String, ChartError>
where
    D: for<'a> FnOnce(&Area<SvgBackend<'a>>) -> Drawn<SvgBackend<'a>>,
{
    text::register_fonts()?;
    let mut sheet = Sheet::new((size.0 * 2, size.1 * 2));
    {
        let area = SvgBackend(&mut sheet).into_drawing_area();
        draw(&area).map_err(|error| ChartError::Draw(error.to_string()))?;
    }
    Ok(sheet.finish(title))
}

/// Draws on a canvas of twice this size, and returns a picture of this size in pixels as PNG.
pub(super) fn png<D>(size: (u32, u32), draw: D) -> Result<Vec<u8>, ChartError>
where
    D: for<'a> FnOnce(&Area<BitMapBackend<'a>>) -> Drawn<BitMapBackend<'a>>,
{
    text::register_fonts()?;
    let units = (size.0 * 2, size.1 * 2);
    let mut canvas = vec![0; units.0 as usize * units.1 as usize * CHANNELS];
    {
        let area = BitMapBackend::with_buffer(&mut canvas, units).into_drawing_area();
        draw(&area).and_then(|()| area.present()).map_err(|error| ChartError::Draw(error.to_string()))?;
    }
    Ok(raster::encode(&canvas, size)?)
}
