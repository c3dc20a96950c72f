//! From drawing to a file's bytes.

use super::svg::{Sheet, SvgBackend};
use super::{Area, ChartError, DrawError, text};
use plotters::prelude::{BitMapBackend, IntoDrawingArea};

/// Red, green, blue.
const CHANNELS: usize = 3;

/// Draws a picture of this size in pixels as SVG, for which a title says what it shows.
pub(super) fn svg<D>(size: (u32, u32), title: &str, draw: D) -> Result<String, ChartError>
where
    D: for<'a> FnOnce(&Area<SvgBackend<'a>>) -> Result<(), DrawError<SvgBackend<'a>>>,
{
    text::register_fonts()?;
    let mut sheet = Sheet::new((size.0 * 2, size.1 * 2));
    {
        let area = SvgBackend(&mut sheet).into_drawing_area();
        draw(&area).map_err(|error| ChartError::Draw(error.to_string()))?;
    }
    Ok(sheet.finish(title))
}

/// Draws on a bitmap for a picture of this size in pixels and returns it as PNG.
///
/// Four units of the bitmap become one pixel of the picture by averaging: plotters draws thick lines
/// and polygons with hard edges, and this makes them smooth.
pub(super) fn png<D>(size: (u32, u32), draw: D) -> Result<Vec<u8>, ChartError>
where
    D: for<'a> FnOnce(&Area<BitMapBackend<'a>>) -> Result<(), DrawError<BitMapBackend<'a>>>,
{
    text::register_fonts()?;
    let units = (size.0 * 2, size.1 * 2);
    let mut canvas = vec![0; units.0 as usize * units.1 as usize * CHANNELS];
    {
        let area = BitMapBackend::with_buffer(&mut canvas, units).into_drawing_area();
        draw(&area).and_then(|()| area.present()).map_err(|error| ChartError::Draw(error.to_string()))?;
    }
    encode(&averaged(&canvas, units.0), size)
}

/// Makes one pixel of each square of two by two units.
fn averaged(canvas: &[u8], width: u32) -> Vec<u8> {
    let row = width as usize * CHANNELS;
    let mut pixels = Vec::with_capacity(canvas.len() / 4);
    for rows in canvas.chunks_exact(2 * row) {
        let (upper, lower) = rows.split_at(row);
        for (upper, lower) in upper.chunks_exact(2 * CHANNELS).zip(lower.chunks_exact(2 * CHANNELS)) {
            for channel in 0..CHANNELS {
                let mean = |pair: &[u8]| u8::midpoint(pair[channel], pair[channel + CHANNELS]);
                pixels.push(u8::midpoint(mean(upper), mean(lower)));
            }
        }
    }
    pixels
}

fn encode(pixels: &[u8], size: (u32, u32)) -> Result<Vec<u8>, ChartError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}
