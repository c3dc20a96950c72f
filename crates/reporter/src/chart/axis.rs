//! Axes: where values stand and which of them are labelled. Pure.

use analysis::number;

/// Steps between labelled levels that are tried in turn.
const STRIDES: [usize; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/// Steps of a linear axis at most.
const LINEAR_STEPS: u32 = 10;

/// Lines between labels that an axis has at most, for each label that it has room for.
const LINES_PER_LABEL: usize = 5;

/// Labels on a logarithmic axis of a picture's whole height at most, before it takes fewer digits.
pub(super) const LOG_LABELS: usize = 10;

pub(super) const RATE_TITLE: &str = "rate (intended requests/s)";
pub(super) const CONCURRENCY_TITLE: &str = "concurrency (connections)";

/// The axis of percentiles reaches at least to this power of ten, and at most to that one: 99 % and 99.9999 %.
const NINES: (f64, f64) = (2.0, 6.0);

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Where it stands, from 0 at the axis' beginning to 1 at its end.
    pub(super) at: f64,
    /// Empty: a grid line alone.
    pub(super) label: String,
}

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) ticks: Vec<Tick>,
}

/// Turns values into places from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    /// The place of a value; what lies outside stands at the edge.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        place.clamp(0.0, 1.0)
    }

    /// Whether the value has a place of its own: a logarithmic axis has none for 0 and below.
    pub(super) fn covers(self, value: f64) -> bool {
        !self.logarithmic || value > 0.0
    }

    /// Whether it lies between both ends.
    pub(super) fn spans(self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    /// Whether it lies beyond the far end.
    pub(super) fn is_beyond(self, value: f64) -> bool {
        value > self.to
    }
}

/// A linear axis from 0 to a round number that is not below `max`, with ticks at multiples of 1, 2 or 5.
pub(super) fn linear(title: &str, max: f64, unit: &str) -> (Scale, Axis) {
    linear_in(LINEAR_STEPS, title, max, unit)
}

/// The same in so many steps at most, for a plot that is low.
pub(super) fn linear_in(most_steps: u32, title: &str, max: f64, unit: &str) -> (Scale, Axis) {
    let max = if max > 0.0 { max } else { 1.0 };
    let rough = max / f64::from(most_steps);
    let digit = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|mantissa| mantissa * digit).into_iter().find(|&step| step >= rough);
    let step = step.unwrap_or(10.0 * digit);
    let steps = (max / step - 1e-9).ceil().max(1.0);
    let decimals = (0..9).find(|&decimals| step * 10f64.powi(decimals) > 0.999).unwrap_or(9);
    let tick = |index: u32| {
        let decimals = if index == 0 { 0 } else { decimals.unsigned_abs() as usize };
        let label = number::grouped(f64::from(index) * step, decimals);
        Tick { at: f64::from(index) / steps, label: format!("{label}{unit}") }
    };
    let ticks = (0..=most_steps).take_while(|&index| f64::from(index) <= steps).map(tick).collect();
    (Scale { from: 0.0, to: step * steps, logarithmic: false }, Axis { title: title.to_owned(), ticks })
}

/// A linear axis from 0 that ends at `max`, between two ticks or at one.
pub(super) fn linear_to(title: &str, max: f64) -> (Scale, Axis) {
    let (round, mut axis) = linear(title, max, "");
    let scale = if max > 0.0 { Scale { to: max, ..round } } else { round };
    axis.ticks.retain_mut(|tick| {
        tick.at *= round.to / scale.to;
        tick.at <= 1.0 + 1e-9
    });
    (scale, axis)
}

/// A logarithmic axis of times in µs, labelled in ms. It begins and ends at 1, 2 or 5 times a power of ten and covers all
/// values above 0, with so many labels at most, unless it spans that many powers of ten.
pub(super) fn logarithmic(title: &str, values_us: &[f64], labels: usize) -> (Scale, Axis) {
    // Percentiles are whole µs, and an i64 of them is below 10^19.
    let round = |mantissas: &'static [u8]| {
        (-1..20).flat_map(move |exponent| mantissas.iter().map(move |&m| f64::from(m) * 10f64.powi(exponent)))
    };
    let positive = || values_us.iter().copied().filter(|&value| value > 0.0);
    let (min, max) = (positive().fold(f64::INFINITY, f64::min), positive().fold(0.0, f64::max));
    let (min, max) = if max > 0.0 { (min, max) } else { (110.0, 9_000.0) };
    // Some room on both sides keeps the markers off the edges.
    let from = round(&[1, 2, 5]).take_while(|&edge| edge <= min / 1.05).last().unwrap_or(0.1);
    let to = round(&[1, 2, 5]).find(|&edge| edge >= max * 1.05).unwrap_or(1e20);
    let scale = Scale { from, to, logarithmic: true };
    let inside = |value: &f64| (from * 0.999..=to * 1.001).contains(value);
    let labelled = [&[1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[1, 2, 5], &[1]]
        .into_iter()
        .find(|digits| round(digits).filter(inside).count() <= labels)
        .unwrap_or(&[1]);
    let all: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9];
    let lines = if round(all).filter(inside).count() <= labels * LINES_PER_LABEL { all } else { labelled };
    let ticks = round(lines).filter(inside).map(|value| {
        let is_labelled = round(labelled).any(|other| (other / value - 1.0).abs() < 1e-9);
        Tick { at: scale.place(value), label: if is_labelled { number::round_ms(value) } else { String::new() } }
    });
    (scale, Axis { title: title.to_owned(), ticks: ticks.collect() })
}

/// An axis of percentiles on which each further nine takes as much room as the one before, as HdrHistogram draws it: a quantile q stands at
/// log10(1 / (1 − q)). It reaches as far as the highest quantile; what it places are the values of [`nines`].
pub(super) fn percentiles(highest: f64) -> (Scale, Axis) {
    let to = nines(highest).ceil().clamp(NINES.0, NINES.1);
    let scale = Scale { from: 0.0, to, logarithmic: false };
    let labelled = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999];
    let inside = labelled.into_iter().filter(|&quantile| nines(quantile) <= to + 1e-6);
    let tick = |quantile: f64| Tick { at: scale.place(nines(quantile)), label: number::percent(quantile) };
    let title = "percentile: each further nine takes as much room as the one before".to_owned();
    (scale, Axis { title, ticks: inside.map(tick).collect() })
}

/// How many nines a quantile has: 2 for 0.99. There is no end to those of 1, which has as many as the axis takes.
pub(super) fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(10f64.powf(-NINES.1)).log10()
}

/// The levels that several sweeps have: at their concurrency, or rate, where that rises in fairly even steps; otherwise side by side, since a
/// sweep by doubling would crowd its first levels into a corner. A label with a star where `starred` says so.
pub(super) fn positions(positions: &[f64], by_rate: bool, starred: impl Fn(f64) -> bool) -> Axis {
    let width = 1.0 / positions.len().max(1) as f64;
    let label = |position: f64| number::grouped(position, 0) + if starred(position) { "*" } else { "" };
    let tick = |(index, &at): (usize, &f64)| Tick { at: (index as f64 + 0.5) * width, label: label(at) };
    let title = if by_rate { RATE_TITLE } else { CONCURRENCY_TITLE }.to_owned();
    spread(Axis { title, ticks: positions.iter().enumerate().map(tick).collect() }, positions)
}

/// Moves ticks that stand side by side to their positions, where those rise in fairly even steps.
pub(super) fn spread(mut axis: Axis, known: &[f64]) -> Axis {
    let steps = || known.windows(2).map(|pair| pair[1] - pair[0]);
    let (smallest, largest) = (steps().fold(f64::INFINITY, f64::min), steps().fold(0.0, f64::max));
    if known.len() >= 2 && smallest > 0.0 && largest / smallest <= 5.0 {
        // As much room at the sides as slots leave.
        let margin = 0.5 / known.len() as f64;
        let (first, last) = (known[0], known[known.len() - 1]);
        for (tick, position) in axis.ticks.iter_mut().zip(known) {
            tick.at = margin + (position - first) / (last - first) * (1.0 - 2.0 * margin);
        }
    } else if known.len() >= 2 {
        axis.title.push_str(", levels evenly spaced");
    }
    axis
}

/// Which labels are shown so that none touches the next: every one, every 2nd, every 5th, … Each has its centre and width
/// in units, from left to right.
pub(super) fn shown(labels: &[(i32, i32)], gap: i32) -> impl Fn(usize) -> bool {
    let kept = |stride: usize, index: usize| (index + 1).is_multiple_of(stride);
    let fits = |stride: &usize| {
        let mut right = i32::MIN;
        (0..labels.len()).filter(|&index| kept(*stride, index)).all(|index| {
            let (centre, width) = labels[index];
            let free = right <= centre - width / 2;
            right = centre + width / 2 + gap;
            free
        })
    };
    let stride = STRIDES.into_iter().find(fits).unwrap_or(STRIDES[STRIDES.len() - 1]);
    move |index| kept(stride, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        let cases: [(f64, &[&str]); 5] = [
            (0.0, &["0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]),
            (6.0, &["0", "1", "2", "3", "4", "5", "6"]),
            (0.61, &["0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]),
            (12_345.0, &["0", "2,000", "4,000", "6,000", "8,000", "10,000", "12,000", "14,000"]),
            (0.021, &["0", "0.005", "0.010", "0.015", "0.020", "0.025"]),
        ];
        for (max, expected) in cases {
            let (scale, axis) = linear("", max, "");
            assert_eq!(labels(&axis), expected, "{max}");
            assert!(scale.place(max) <= 1.0);
        }
    }

    #[test]
    fn an_axis_may_end_between_ticks() {
        let (scale, axis) = linear_to("", 2.5);
        assert_eq!(labels(&axis), ["0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!((scale.place(1.25).to_string(), axis.ticks[5].at.to_string()), ("0.5".to_owned(), "1".to_owned()));
        assert_eq!(labels(&linear_to("", 2.02).1), ["0", "0.5", "1.0", "1.5", "2.0"]);
        assert_eq!(linear_to("", 0.0), linear("", 0.0, ""));
    }

    #[test]
    fn logarithmic_ticks_fit_the_span() {
        let cases: [(&[f64], &[&str]); 4] = [
            (&[300.0, 330.0], &["0.2 ms", "0.3 ms", "0.4 ms", "0.5 ms"]),
            (&[130.0, 4_000.0], &["0.1 ms", "0.2 ms", "0.5 ms", "1 ms", "2 ms", "5 ms"]),
            (&[210.0, 14_000_000.0], &["1 ms", "10 ms", "100 ms", "1,000 ms", "10,000 ms"]),
            (&[-5.0, 0.0], &["0.1 ms", "0.2 ms", "0.5 ms", "1 ms", "2 ms", "5 ms", "10 ms"]),
        ];
        for (values, expected) in cases {
            assert_eq!(labels(&logarithmic("", values, LOG_LABELS).1), expected, "{values:?}");
        }
    }

    #[test]
    fn a_logarithmic_scale_keeps_what_is_outside_at_its_edge() {
        let (scale, _) = logarithmic("", &[110.0, 900.0], LOG_LABELS);
        let places = [-7.0, 0.0, 100.0, 1_000.0, f64::INFINITY].map(|value| scale.place(value));
        assert_eq!(places.map(|place| place.to_string()), ["0", "0", "0", "1", "1"]);
        let extremes = logarithmic("", &[1.0, i64::MAX as f64], LOG_LABELS);
        assert!(labels(&extremes.1).len() > 2);
    }

    #[test]
    fn each_nine_takes_as_much_room() {
        let (scale, axis) = percentiles(0.9995);
        assert_eq!(labels(&axis), ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        let places =
            [0.9, 0.99, 0.999, 0.9999, 1.0].map(|quantile| (scale.place(nines(quantile)) * 100.0).round().to_string());
        assert_eq!(places, ["25", "50", "75", "100", "100"]);
        assert_eq!(labels(&percentiles(0.0).1), ["0 %", "50 %", "90 %", "99 %"]);
    }

    #[test]
    fn crowded_labels_are_thinned_out() {
        let kept = |pitch: i32| {
            let labels: Vec<(i32, i32)> = (0..10).map(|index| (index * pitch, 20)).collect();
            let shown = shown(&labels, 4);
            (0..10).filter(|&index| shown(index)).collect::<Vec<_>>()
        };
        assert_eq!(kept(24).len(), 10);
        assert_eq!(kept(23), [1, 3, 5, 7, 9]);
        assert_eq!(kept(6), [4, 9]);
    }
}
