//! Text on a picture, in a font that this program brings along.

use super::marker::rounded;
use super::{Area, ChartError, Drawn, palette};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, RGBColor, TextStyle, register_font};
use std::sync::OnceLock;

const FAMILY: &str = "DejaVu Sans";
static REGULAR: &[u8] = include_bytes!("../../assets/DejaVuSans-subset.ttf");
static BOLD: &[u8] = include_bytes!("../../assets/DejaVuSans-Bold-subset.ttf");

/// How a text looks and on which side of its position it stands.
#[derive(Clone, Copy)]
pub(super) struct Text {
    /// The height from the lowest to the highest letter, in units.
    size: i32,
    style: FontStyle,
    colour: RGBColor,
    align: HPos,
}

impl Text {
    pub(super) const TITLE: Self = Self { size: 58, style: FontStyle::Bold, colour: palette::INK, align: HPos::Left };
    pub(super) const CAPTION: Self =
        Self { size: 34, style: FontStyle::Normal, colour: palette::FAINT_INK, align: HPos::Left };
    pub(super) const LABEL: Self = Self { size: 34, style: FontStyle::Normal, colour: palette::INK, align: HPos::Left };
    pub(super) const NOTE: Self = Self { size: 28, ..Self::CAPTION };
    /// Stands above one of several plots.
    pub(super) const HEADING: Self = Self { style: FontStyle::Bold, ..Self::LABEL };

    pub(super) const fn centred(self) -> Self {
        Self { align: HPos::Center, ..self }
    }

    pub(super) const fn to_the_left(self) -> Self {
        Self { align: HPos::Right, ..self }
    }

    pub(super) const fn coloured(self, colour: RGBColor) -> Self {
        Self { colour, ..self }
    }

    /// How far below the middle of its digits a text's baseline lies.
    pub(super) fn half_height(self) -> i32 {
        self.size * 31 / 100
    }

    /// Its width in units.
    pub(super) fn width(self, text: &str) -> i32 {
        let font = (FAMILY, self.size, self.style).into_font();
        // Without the font nothing could be drawn, and `register_fonts` has said so.
        font.box_size(text).map_or(0, |(width, _)| i32::try_from(width).unwrap_or(i32::MAX))
    }

    /// Writes with the baseline at this height.
    pub(super) fn write<DB: DrawingBackend>(self, area: &Area<DB>, text: &str, (x, baseline): (i32, i32)) -> Drawn<DB> {
        area.draw_text(text, &self.style(FontTransform::None), (x, baseline + self.descent()))
    }

    /// Writes from below upwards with the baseline at this `x`.
    pub(super) fn write_upwards<DB: DrawingBackend>(
        self,
        area: &Area<DB>,
        text: &str,
        (x, y): (i32, i32),
    ) -> Drawn<DB> {
        area.draw_text(text, &self.style(FontTransform::Rotate270), (x + self.descent(), y))
    }

    /// The text in lines that have this much room.
    pub(super) fn wrapped(self, text: &str, room: i32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split(' ') {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= room => *line = format!("{line} {word}"),
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }

    /// How far below the baseline plotters takes the lower edge of a text of this size to be: its box is size / 1.24 high, and the
    /// baseline lies at half the size.
    pub(super) fn descent_of(size: f64) -> i32 {
        rounded(size * 0.306)
    }

    /// The size of a text as CSS has it: the height of the font from its highest to its lowest letter is 1.164 em.
    pub(super) fn em(size: f64) -> f64 {
        size / 1.164
    }

    fn descent(self) -> i32 {
        Self::descent_of(f64::from(self.size))
    }

    fn style(self, transform: FontTransform) -> TextStyle<'static> {
        let font = (FAMILY, self.size, self.style).into_font().transform(transform);
        TextStyle { font, color: self.colour.to_backend_color(), pos: Pos::new(self.align, VPos::Bottom) }
    }
}

/// Makes the fonts known to plotters, once.
pub(super) fn register_fonts() -> Result<(), ChartError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let register = || {
        register_font(FAMILY, FontStyle::Normal, REGULAR).is_ok()
            && register_font(FAMILY, FontStyle::Bold, BOLD).is_ok()
    };
    if *REGISTERED.get_or_init(register) { Ok(()) } else { Err(ChartError::Font) }
}
