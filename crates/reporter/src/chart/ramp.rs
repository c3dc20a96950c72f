//! Colours for what has an order: rising figures get darker ones. Pure.

use super::palette;
use plotters::style::RGBColor;

/// Viridis by S. van der Walt and N. Smith (matplotlib, 2015), from its dark end: each step looks equally large, with any kind of colour
/// vision and without colours.
const VIRIDIS: [RGBColor; 9] = [
    RGBColor(0x44, 0x01, 0x54),
    RGBColor(0x47, 0x2D, 0x7B),
    RGBColor(0x3B, 0x52, 0x8B),
    RGBColor(0x2C, 0x72, 0x8E),
    RGBColor(0x21, 0x90, 0x8C),
    RGBColor(0x27, 0xAD, 0x81),
    RGBColor(0x5D, 0xC8, 0x63),
    RGBColor(0xAA, 0xDC, 0x32),
    RGBColor(0xFD, 0xE7, 0x25),
];

/// The ends that are too faint for a line: on white paper, and on a dark screen.
const FAINT: (f64, f64) = (0.12, 0.1);

/// So many classes of counts at most: their colours are still told apart.
const CLASSES: usize = 8;

/// The colour of a surface, from light at 0 to dark at 1.
pub(super) fn surface(place: f64) -> RGBColor {
    let along = (1.0 - place.clamp(0.0, 1.0)) * (VIRIDIS.len() - 1) as f64;
    // From 0 to the number of colours.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = (along as usize).min(VIRIDIS.len() - 2);
    palette::between(VIRIDIS[index], VIRIDIS[index + 1], along - index as f64)
}

/// The colour of line `index` of `count`, from light to dark.
pub(super) fn line(index: usize, count: usize) -> RGBColor {
    let place = if count < 2 { 1.0 } else { index as f64 / (count - 1) as f64 };
    surface(FAINT.0 + place * (1.0 - FAINT.0 - FAINT.1))
}

/// Counts in classes of equal width on a logarithmic scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Classes {
    /// The smallest count of each, rising from 1.
    from: Vec<u32>,
}

impl Classes {
    /// As few as show counts up to this one, with round bounds.
    pub(super) fn up_to(most: u32) -> Self {
        let decades = |mantissas: &'static [u32]| {
            let bounds =
                (0..10).flat_map(move |exponent| mantissas.iter().map(move |&m| m.checked_mul(10u32.pow(exponent))));
            bounds.map_while(|bound| bound).take_while(move |&bound| bound <= most.max(1)).collect::<Vec<u32>>()
        };
        let fine = [&[1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[1, 2, 5], &[1, 3], &[1]].map(decades);
        let [.., coarsest] = &fine;
        let from = fine.iter().find(|bounds| bounds.len() <= CLASSES).unwrap_or(coarsest).clone();
        Self { from }
    }

    /// The class of a count; `None` for none at all.
    pub(super) fn of(&self, count: u32) -> Option<usize> {
        self.from.partition_point(|&from| from <= count).checked_sub(1)
    }

    /// The colour of a class.
    pub(super) fn colour(&self, class: usize) -> RGBColor {
        if self.from.len() < 2 { surface(0.5) } else { surface(class as f64 / (self.from.len() - 1) as f64) }
    }

    /// What each holds, as in `2–4`.
    pub(super) fn labels(&self) -> Vec<String> {
        let grouped = |count: u32| analysis::number::grouped(f64::from(count), 0);
        let label = |(index, &from): (usize, &u32)| match self.from.get(index + 1) {
            Some(&next) if next == from + 1 => grouped(from),
            Some(&next) => format!("{}–{}", grouped(from), grouped(next - 1)),
            None if from == 1 => grouped(from),
            None => format!("{} or more", grouped(from)),
        };
        self.from.iter().enumerate().map(label).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fall_into_classes_with_round_bounds() {
        let labels = |most: u32| Classes::up_to(most).labels();
        assert_eq!(labels(1), ["1"]);
        assert_eq!(labels(3), ["1", "2", "3 or more"]);
        assert_eq!(labels(90), ["1", "2–4", "5–9", "10–19", "20–49", "50 or more"]);
        assert_eq!(labels(2_000), ["1–2", "3–9", "10–29", "30–99", "100–299", "300–999", "1,000 or more"]);
        assert!(labels(u32::MAX).len() <= 10);
        let classes = Classes::up_to(90);
        assert_eq!(
            [0, 1, 4, 5, 50, 90].map(|count| classes.of(count)),
            [None, Some(0), Some(1), Some(2), Some(5), Some(5)]
        );
    }

    #[test]
    fn the_ramp_runs_from_light_to_dark() {
        assert_eq!((surface(0.0), surface(1.0), surface(7.0)), (VIRIDIS[8], VIRIDIS[0], VIRIDIS[0]));
        assert_eq!(surface(0.5), VIRIDIS[4]);
        let light = |colour: RGBColor| u32::from(colour.0) * 3 + u32::from(colour.1) * 6 + u32::from(colour.2);
        let lights: Vec<u32> = (0..20).map(|index| light(line(index, 20))).collect();
        assert!(lights.is_sorted_by(|one, other| one > other), "{lights:?}");
        assert_eq!(line(0, 1), line(6, 7));
    }
}
