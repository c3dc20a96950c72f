//! Colours that are told apart with any kind of colour vision: M. Okabe & K. Ito, "Color Universal Design", 2008.

use plotters::style::RGBColor;

pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
pub(super) const VERMILLION: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
pub(super) const ORANGE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
const SKY: RGBColor = RGBColor(0x56, 0xB4, 0xE9);
pub(super) const PURPLE: RGBColor = RGBColor(0xCC, 0x79, 0xA7);
const YELLOW: RGBColor = RGBColor(0xF0, 0xE4, 0x42);

pub(super) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const FAINT_INK: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const GRID: RGBColor = RGBColor(0xD9, 0xD9, 0xD9);
pub(super) const FAINT_GRID: RGBColor = RGBColor(0xEE, 0xEE, 0xEE);

/// Neighbours differ in lightness, too.
const FILLS: [RGBColor; 7] = [BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW];

/// Yellow is too faint for a line, and ink stands in for it.
const LINES: [RGBColor; 7] = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK];

/// The colour of the line with this index: 7 differ.
pub(super) fn line(index: usize) -> RGBColor {
    LINES[index % LINES.len()]
}

/// How a surface is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) colour: RGBColor,
    pub(super) pattern: Pattern,
}

/// What tells surfaces of one colour apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    Plain,
    /// White stripes cross it.
    Striped,
    /// Pale, with stripes in its colour that run the other way.
    Hatched,
}

impl Fill {
    pub(super) const fn plain(colour: RGBColor) -> Self {
        Self { colour, pattern: Pattern::Plain }
    }

    /// The same colour, hatched.
    pub(super) const fn hatched(self) -> Self {
        Self { pattern: Pattern::Hatched, ..self }
    }
}

/// The fill of the surface with this index: 14 differ.
pub(super) fn fill(index: usize) -> Fill {
    let pattern = if (index / FILLS.len()) % 2 == 1 { Pattern::Striped } else { Pattern::Plain };
    Fill { colour: FILLS[index % FILLS.len()], pattern }
}

/// A colour with so much paper in it, from 0 to 1.
pub(super) fn pale(colour: RGBColor, paper: f64) -> RGBColor {
    between(colour, PAPER, paper)
}

/// The colour at this part of the way from one to the other, from 0 to 1.
pub(super) fn between(one: RGBColor, other: RGBColor, part: f64) -> RGBColor {
    // Between two numbers below 256.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let mix = |one: u8, other: u8| {
        (f64::from(one) + (f64::from(other) - f64::from(one)) * part.clamp(0.0, 1.0)).round() as u8
    };
    RGBColor(mix(one.0, other.0), mix(one.1, other.1), mix(one.2, other.2))
}
