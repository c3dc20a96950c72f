//! From drawing to a file's bytes.

use super::{Area, CANVAS, ChartError, DrawError, SIZE, text};
use plotters::prelude::{BitMapBackend, IntoDrawingArea};

/// Red, green, blue.
const CHANNELS: usize = 3;

/// Draws on a bitmap and returns it as PNG.
///
/// Four units of the bitmap become one pixel of the picture by averaging: plotters draws thick lines
/// and polygons with hard edges, and this makes them smooth.
pub(super) fn png<D>(draw: D) -> Result<Vec<u8>, ChartError>
where
    D: for<'a> FnOnce(&Area<BitMapBackend<'a>>) -> Result<(), DrawError<BitMapBackend<'a>>>,
{
    text::register_fonts()?;
    let mut canvas = vec![0; CANVAS.0 as usize * CANVAS.1 as usize * CHANNELS];
    {
        let area = BitMapBackend::with_buffer(&mut canvas, CANVAS).into_drawing_area();
        draw(&area).and_then(|()| area.present()).map_err(|error| ChartError::Draw(error.to_string()))?;
    }
    encode(&averaged(&canvas))
}

/// Makes one pixel of each square of two by two units.
fn averaged(canvas: &[u8]) -> Vec<u8> {
    let row = CANVAS.0 as usize * CHANNELS;
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

fn encode(pixels: &[u8]) -> Result<Vec<u8>, ChartError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}
