//! The points of the charts: one a second for an hour, then one in two seconds, and so on. Pure.

use serde::Serialize;

/// Points at the most; where there are more, neighbours become one.
const MOST: usize = 3600;

/// How the cells of neighbours become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Of rates: their mean.
    Mean,
    /// Of counts: their sum.
    Sum,
    /// Of percentiles, maxima and depths: the higher one. No percentile of both together can be had from theirs.
    Higher,
}

/// The cells of a row, by name.
const CELLS: [(&str, How); Cell::NUMBER] = [
    ("asked", How::Mean),
    ("sent", How::Mean),
    ("accepted", How::Mean),
    ("arrived", How::Mean),
    ("failed", How::Mean),
    ("users", How::Higher),
    ("http_n", How::Sum),
    ("http_p50_us", How::Higher),
    ("http_p90_us", How::Higher),
    ("http_p99_us", How::Higher),
    ("http_max_us", How::Higher),
    ("arrival_n", How::Sum),
    ("arrival_p50_us", How::Higher),
    ("arrival_p90_us", How::Higher),
    ("arrival_p99_us", How::Higher),
    ("arrival_max_us", How::Higher),
    ("user_p99_us", How::Higher),
    ("backlog", How::Higher),
    ("in_flight", How::Higher),
    ("missing", How::Higher),
    ("generator_cpu", How::Higher),
];

/// A cell of a row: rates are a second, latencies in µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    Asked,
    Sent,
    Accepted,
    Arrived,
    Failed,
    Users,
    HttpN,
    HttpP50,
    HttpP90,
    HttpP99,
    HttpMax,
    ArrivalN,
    ArrivalP50,
    ArrivalP90,
    ArrivalP99,
    ArrivalMax,
    UserP99,
    Backlog,
    InFlight,
    Missing,
    GeneratorCpu,
}

impl Cell {
    const NUMBER: usize = 21;

    /// All names, in the order of cells.
    pub(crate) fn names() -> [&'static str; Self::NUMBER] {
        CELLS.map(|(name, _)| name)
    }
}

/// One point of all charts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Seconds since the session began, at its end.
    pub(crate) t: f64,
    /// The level it belongs to, counted from 1.
    pub(crate) level: usize,
    pub(crate) cells: [Option<f64>; Cell::NUMBER],
    /// Mean of each hop, µs, in path order.
    pub(crate) hops: Vec<Option<f64>>,
    /// Arrival latencies: bins as those of the report's timeline, and how many fell into each.
    pub(crate) heat: Vec<(usize, u64)>,
}

impl Row {
    pub(crate) fn set(&mut self, cell: Cell, value: Option<f64>) {
        self.cells[cell as usize] = value;
    }

    pub(crate) fn get(&self, cell: Cell) -> Option<f64> {
        self.cells[cell as usize]
    }

    /// Both as one. They are of one level.
    fn join(&mut self, later: &Self) {
        self.t = later.t;
        for ((cell, other), (_, how)) in self.cells.iter_mut().zip(later.cells).zip(CELLS) {
            *cell = match (*cell, other) {
                (Some(one), Some(other)) => Some(match how {
                    How::Mean => f64::midpoint(one, other),
                    How::Sum => one + other,
                    How::Higher => one.max(other),
                }),
                (one, other) => one.or(other),
            };
        }
        for (hop, other) in self.hops.iter_mut().zip(&later.hops) {
            *hop = match (*hop, *other) {
                (Some(one), Some(other)) => Some(f64::midpoint(one, other)),
                (one, other) => one.or(other),
            };
        }
        for &(bin, count) in &later.heat {
            match self.heat.iter_mut().find(|(known, _)| *known == bin) {
                Some((_, known)) => *known += count,
                None => self.heat.push((bin, count)),
            }
        }
    }
}

/// The points of a session.
#[derive(Debug)]
pub(crate) struct Series {
    rows: Vec<Row>,
    /// Seconds that a row stands for.
    step: u32,
    /// A row that is not full, and how many seconds it has.
    pending: Option<(Row, u32)>,
}

/// What has become of a second that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits for its neighbour.
    Pending,
    /// A row was added.
    Added,
    /// A row was added, and all have become half as many.
    Halved,
}

impl Default for Series {
    fn default() -> Self {
        Self { rows: Vec::new(), step: 1, pending: None }
    }
}

impl Series {
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn step(&self) -> u32 {
        self.step
    }

    /// Adds a second.
    pub(crate) fn push(&mut self, row: Row) -> Pushed {
        let (row, seconds) = match self.pending.take() {
            Some((mut pending, seconds)) if pending.level == row.level => {
                pending.join(&row);
                (pending, seconds + 1)
            }
            // A level has ended in the middle of a row.
            Some((pending, _)) => {
                self.rows.push(pending);
                (row, 1)
            }
            None => (row, 1),
        };
        if seconds < self.step {
            self.pending = Some((row, seconds));
            return Pushed::Pending;
        }
        self.rows.push(row);
        if self.rows.len() <= MOST {
            return Pushed::Added;
        }
        let mut halved: Vec<Row> = Vec::with_capacity(MOST);
        let mut open = false;
        for row in self.rows.drain(..) {
            if let Some(last) = halved.last_mut().filter(|last| open && last.level == row.level) {
                last.join(&row);
                open = false;
            } else {
                halved.push(row);
                open = true;
            }
        }
        self.rows = halved;
        self.step *= 2;
        Pushed::Halved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(t: u32, level: usize) -> Row {
        let mut row = Row { t: t.into(), level, heat: vec![(3, 1)], ..Row::default() };
        row.set(Cell::Sent, Some(f64::from(t)));
        row.set(Cell::HttpN, Some(1.0));
        row.set(Cell::HttpP99, Some(f64::from(t % 7)));
        row
    }

    #[test]
    fn eight_hours_stay_bounded_and_lose_no_count() {
        let mut series = Series::default();
        let mut halved = 0;
        for second in 1..=28_800 {
            halved += u32::from(series.push(row(second, 1)) == Pushed::Halved);
            assert!(series.rows().len() <= MOST);
        }
        assert_eq!((halved, series.step()), (3, 8));
        let counted: f64 = series.rows().iter().filter_map(|row| row.get(Cell::HttpN)).sum();
        let pending = series.pending.as_ref().and_then(|(row, _)| row.get(Cell::HttpN)).unwrap_or(0.0);
        assert!((counted + pending - 28_800.0).abs() < 0.5, "{counted} {pending}");
        let first = &series.rows()[0];
        assert_eq!((first.t, first.get(Cell::Sent), first.get(Cell::HttpP99)), (8.0, Some(4.5), Some(6.0)));
        assert_eq!(first.heat, [(3, 8)]);
    }

    #[test]
    fn rows_of_two_levels_are_never_one() {
        let mut series = Series::default();
        for second in 1..=3601 {
            series.push(row(second, usize::from(second > 1801)));
        }
        let of_first = series.rows().iter().filter(|row| row.level == 0).count();
        assert_eq!((of_first, series.rows().len()), (901, 1801));
        assert_eq!(series.push(row(3602, 1)), Pushed::Pending);
        assert_eq!(series.push(row(3603, 2)), Pushed::Pending);
        assert_eq!(series.rows().len(), 1802);
    }
}
