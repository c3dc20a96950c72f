//! One figure of one plan from run to run, as lines and points of a drawing. Pure.

use crate::figure::about;
use crate::marks::{before, change, marks};
use crate::{Better, Row};

/// The drawing, in units of which one is about a pixel.
pub(crate) const WIDTH: f64 = 400.0;
pub(crate) const HEIGHT: f64 = 168.0;
pub(crate) const LEFT: f64 = 66.0;
pub(crate) const RIGHT: f64 = WIDTH - 12.0;
const TOP: f64 = 10.0;
pub(crate) const BOTTOM: f64 = HEIGHT - 24.0;

/// Lines across, more or less.
const LINES: f64 = 4.0;

/// A figure over runs.
#[derive(Debug)]
pub(crate) struct Trend {
    /// What it is.
    pub(crate) about: String,
    /// Its unit as the axis has it.
    pub(crate) unit: &'static str,
    /// Which way is better.
    pub(crate) direction: &'static str,
    /// Its newest value.
    pub(crate) latest: String,
    /// How that has changed; may be empty.
    pub(crate) change: String,
    /// What that is beside all earlier runs: `good`, `bad` or empty.
    pub(crate) look: &'static str,
    /// Lines across, with their values.
    pub(crate) grid: Vec<Grid>,
    /// Lines from point to point, as coordinates: those of one host and version belong together.
    pub(crate) lines: Vec<String>,
    /// The runs.
    pub(crate) points: Vec<Point>,
    /// When the first and the last of them were.
    pub(crate) ends: (String, String),
}

/// A line across.
#[derive(Debug)]
pub(crate) struct Grid {
    pub(crate) y: String,
    pub(crate) text: String,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) x: String,
    pub(crate) y: String,
    /// The ends of its interval, where it has one.
    pub(crate) bar: Option<(String, String)>,
    /// What it looks like: `hollow` where it was on another host or of another version, `missed` where a threshold was.
    pub(crate) look: String,
    /// What is told to those who point at it.
    pub(crate) hint: String,
}

/// The ends of the axis, and the distance of its lines.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Round numbers around these values.
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        // What changes by less than a quarter is not blown up to fill the picture.
        let room = ((high - low) * 0.08).max((high.abs() * 0.25 - (high - low)) / 2.0).max(f64::MIN_POSITIVE);
        let (low, high) = (if low < 0.0 { low - room } else { (low - room).max(0.0) }, high + room);
        let rough = (high - low) / LINES;
        let power = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough).unwrap_or(rough);
        Self { low, high, step }
    }

    fn y(self, value: f64) -> String {
        let part = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        format!("{:.1}", BOTTOM - part * (BOTTOM - TOP))
    }

    /// The lines, with their values in the unit that is shown, of which one has so many of the figure's.
    fn lines(self, unit: f64) -> Vec<Grid> {
        let digits = (-(self.step / unit).log10().floor()).clamp(0.0, 6.0);
        // Between 0 and 6.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let digits = digits as usize;
        let first = (self.low / self.step).ceil() * self.step;
        std::iter::successors(Some(first), |at| Some(at + self.step))
            .take_while(|at| *at <= self.high + self.step * 1e-9)
            .take(12)
            .map(|at| Grid { y: self.y(at), text: short(at / unit, digits) })
            .collect()
    }
}

/// A value beside its line: thousands as `k`.
fn short(value: f64, digits: usize) -> String {
    if digits == 0 && value.abs() >= 10_000.0 {
        let thousands = value / 1000.0;
        let digits = usize::from((thousands - thousands.round()).abs() > 1e-6);
        return format!("{thousands:.digits$} k");
    }
    analysis::number::grouped(value, digits)
}

impl Trend {
    /// Of a figure over the runs of one plan, the newest last; absent where none has it.
    pub(crate) fn of(name: &str, rows: &[&Row], look: &'static str) -> Option<Self> {
        let having: Vec<(usize, &Row)> =
            rows.iter().copied().enumerate().filter(|(_, row)| row.figures.contains_key(name)).collect();
        let (&(_, first), &(last_at, last)) = (having.first()?, having.last()?);
        let newest = rows.last()?;
        let axis = Axis::around(having.iter().flat_map(|(_, row)| {
            let figure = &row.figures[name];
            [Some(figure.value), figure.low, figure.high].into_iter().flatten()
        }));
        let width = (having.len().max(2) - 1) as f64;
        let x = |place: usize| {
            let part = if having.len() == 1 { 0.5 } else { place as f64 / width };
            format!("{:.1}", LEFT + 8.0 + part * (RIGHT - LEFT - 16.0))
        };
        let mut points = Vec::new();
        let mut lines: Vec<String> = Vec::new();
        let mut line = Vec::new();
        let mut of_line = None;
        for (place, &(at, row)) in having.iter().enumerate() {
            let figure = &row.figures[name];
            let is_other = !marks(row, newest).is_empty();
            let (x, y) = (x(place), axis.y(figure.value));
            // A line leads from run to run only where both can be compared.
            let place_of = Some((&row.host.id, row.series()));
            if of_line != place_of {
                lines.push(std::mem::take(&mut line).join(" "));
                of_line = place_of;
            }
            line.push(format!("{x},{y}"));
            points.push(Point {
                bar: figure.low.zip(figure.high).map(|(low, high)| (axis.y(low), axis.y(high))),
                look: [(is_other, "hollow"), (row.verdict == crate::Verdict::Missed, "missed")]
                    .into_iter()
                    .filter_map(|(is_so, look)| is_so.then_some(look))
                    .collect::<Vec<_>>()
                    .join(" "),
                hint: hint(name, rows, at),
                x,
                y,
            });
        }
        lines.push(line.join(" "));
        // A point alone is no line.
        lines.retain(|line| line.contains(' '));
        let figure = &last.figures[name];
        let scale = figure.scale(axis.high);
        let change = change(name, last, before(rows, last_at));
        Some(Self {
            about: about(name),
            unit: scale.unit.trim(),
            direction: if figure.better == Better::Higher { "higher is better" } else { "lower is better" },
            latest: figure.told(),
            change,
            look,
            grid: axis.lines(scale.of_unit),
            lines,
            points,
            ends: (first.minute(), if having.len() > 1 { last.minute() } else { String::new() }),
        })
    }
}

/// What is told of a run: its figure, commit, parameters and marks.
fn hint(name: &str, rows: &[&Row], at: usize) -> String {
    let row = rows[at];
    let figure = &row.figures[name];
    let level = figure.level.as_ref().map_or_else(String::new, |level| format!(" at {level}"));
    let params: Vec<String> = row
        .params
        .iter()
        .chain(row.combination.iter().flatten())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let lines = [
        format!("{}: {}{level}", about(name), figure.told()),
        format!("{} UTC, {}", row.minute(), row.verdict.word()),
        if row.commit().is_empty() { String::new() } else { format!("commit {}", row.commit()) },
        params.join(", "),
        rows.last().map(|newest| marks(row, newest).join(", ")).unwrap_or_default(),
    ];
    lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn a_line_ends_where_runs_cannot_be_compared() {
        let mut rows: Vec<Row> = (0..5).map(|number| row("a", number, 30_000.0 + number as f64, 12_000.0)).collect();
        for row in &mut rows[..2] {
            row.host.id = "other".to_owned();
        }
        let rows: Vec<&Row> = rows.iter().collect();
        let trend = Trend::of("capacity", &rows, "").unwrap();
        assert_eq!((trend.points.len(), trend.lines.len()), (5, 2));
        let hollow: Vec<bool> = trend.points.iter().map(|point| point.look.contains("hollow")).collect();
        assert_eq!(hollow, [true, true, false, false, false]);
        assert!(trend.points[0].hint.contains("other host"), "{}", trend.points[0].hint);
        assert!(Trend::of("none", &rows, "").is_none());
    }

    #[test]
    fn axes_have_round_lines() {
        let texts = |values: &[f64], unit: f64| -> Vec<String> {
            Axis::around(values.iter().copied()).lines(unit).into_iter().map(|line| line.text).collect()
        };
        assert_eq!(texts(&[30_000.0, 40_000.0], 1.0), ["30 k", "35 k", "40 k"]);
        assert!(!texts(&[0.0, 0.0], 1.0).is_empty());
        assert!(texts(&[1200.0, 1210.0], 1e3).len() >= 2);
    }
}
