//! The pixels of pictures. They are millions, so these few lines are optimised even where what draws them is built as quickly as possible.

pub use png::EncodingError;

/// Red, green, blue.
pub const CHANNELS: usize = 3;

/// The picture of this size in pixels as PNG, of a canvas that is twice as wide and twice as high.
///
/// Four units of the canvas become one pixel of the picture by averaging: plotters draws thick lines
/// and polygons with hard edges, and this makes them smooth.
///
/// # Errors
/// When the canvas is not of that size.
pub fn encode(canvas: &[u8], size: (u32, u32)) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&averaged(canvas, 2 * size.0))?;
    Ok(bytes)
}

/// Makes one pixel of each square of two by two units.
fn averaged(canvas: &[u8], width: u32) -> Vec<u8> {
    let row = width as usize * CHANNELS;
    let mut pixels = vec![0; canvas.len() / 4];
    for (rows, averages) in canvas.chunks_exact(2 * row).zip(pixels.chunks_exact_mut(row / 2)) {
        let (upper, lower) = rows.split_at(row);
        let pairs = upper.as_chunks::<{ 2 * CHANNELS }>().0.iter().zip(lower.as_chunks::<{ 2 * CHANNELS }>().0);
        for (pixel, (upper, lower)) in averages.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(pairs) {
            for (channel, value) in pixel.iter_mut().enumerate() {
                let mean = |pair: &[u8; 2 * CHANNELS]| u8::midpoint(pair[channel], pair[channel + CHANNELS]);
                *value = u8::midpoint(mean(upper), mean(lower));
            }
        }
    }
    pixels
}
