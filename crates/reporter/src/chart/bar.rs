//! Bars: one for each level, of parts on top of each other.

use super::axis::Scale;
use super::canvas::{Place, Spot};
use super::palette::{self, Fill};
use super::plot::Plot;
use super::text::Text;
use super::{Area, Drawn, marker};
use plotters::element::Rectangle;
use plotters::prelude::DrawingBackend;
use plotters::style::Color;

/// The widest that a bar gets, in units.
const BAR_WIDTH: i32 = 240;

/// Room above the highest bar for its label, as a factor.
pub(super) const HEADROOM: f64 = 1.06;

/// Parts on top of each other.
pub(super) struct Bar {
    /// From below; none where nothing was measured.
    pub(super) parts: Vec<(Fill, f64)>,
}

/// Where a bar stands.
pub(super) struct Slot {
    x: i32,
    width: i32,
}

impl Slot {
    /// Around this place, one of so many.
    pub(super) fn new(plot: &Plot, place: f64, count: usize) -> Self {
        let count = i32::try_from(count.max(1)).unwrap_or(i32::MAX);
        Self { x: plot.x(place), width: (plot.right - plot.left) / count }
    }

    /// Half the width of the bar in it.
    fn half(&self) -> i32 {
        (self.width * 36 / 100).clamp(1, BAR_WIDTH / 2)
    }

    /// The whole column tells this under the pointer.
    pub(super) fn spot(&self, level: usize, plot: &Plot, text: String) -> Spot {
        let half = (self.width / 2).max(1);
        Spot { level, place: Place::Box([(self.x - half, plot.top), (self.x + half, plot.bottom)]), text }
    }
}

impl Bar {
    pub(super) fn total(&self) -> f64 {
        self.parts.iter().map(|(_, height)| height).sum()
    }

    /// Its parts as shares of the whole, in per cent.
    pub(super) fn shares(&self) -> Self {
        let total = self.total().max(f64::MIN_POSITIVE);
        Self { parts: self.parts.iter().map(|&(fill, height)| (fill, height * 100.0 / total)).collect() }
    }

    /// Draws it, with a label above it.
    pub(super) fn draw<DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        plot: &Plot,
        slot: &Slot,
        scale: Scale,
        label: &str,
    ) -> Drawn<DB> {
        if self.parts.is_empty() {
            return plot.not_available(area, slot.x);
        }
        let y = |value: f64| plot.y(scale.place(value));
        let mut below = 0.0;
        for &(fill, height) in &self.parts {
            let above = below + height;
            if y(above) < y(below) {
                let corners = [(slot.x - slot.half(), y(above)), (slot.x + slot.half(), y(below))];
                marker::draw_box(area, fill, corners)?;
            }
            below = above;
        }
        draw_label(area, label, (slot.x, y(below) - 12), slot.width)
    }
}

/// Writes above a bar, where it fits, on a white ground that keeps grid lines from crossing it.
fn draw_label<DB: DrawingBackend>(area: &Area<DB>, label: &str, (x, y): (i32, i32), room: i32) -> Drawn<DB> {
    let half = Text::NOTE.width(label) / 2 + 3;
    if label.is_empty() || 2 * half > room {
        return Ok(());
    }
    let height = 2 * Text::NOTE.half_height();
    area.draw(&Rectangle::new([(x - half, y - height - 4), (x + half, y + 4)], palette::PAPER.filled()))?;
    Text::NOTE.centred().coloured(palette::INK).write(area, label, (x, y))
}
