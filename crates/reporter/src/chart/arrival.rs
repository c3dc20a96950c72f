//! `arrival`: arrival latency and throughput by concurrency, and how sure they are.

use super::axis::{self, Scale};
use super::canvas::Canvas;
use super::frame::{self, Axes, Frame, Head};
use super::legend::{Entry, Sample};
use super::levels::Row;
use super::marker::{Look, Shape};
use super::marks::{self, Mark};
use super::palette::{self, Fill};
use super::series::{self, Figure, Series};
use super::{Area, Drawn, Picture};
use analysis::Percentile;
use analysis::{Http, Level, Report, number};

/// `arrival`.
pub(crate) struct Arrival;

const P50: Look = Look { colour: palette::BLUE, shape: Shape::Circle, dashes: None };
const P99: Look = Look { colour: palette::VERMILLION, shape: Shape::Square, dashes: Some((26, 12)) };
const RATE: Look = Look { colour: palette::GREEN, shape: Shape::Diamond, dashes: Some((6, 12)) };

impl Picture for Arrival {
    const NAME: &'static str = "arrival";

    fn title(report: &Report) -> &'static str {
        if report.is_by_rate() { "Arrival latency by rate" } else { "Arrival latency by concurrency" }
    }

    fn draw<DB: Canvas>(area: &Area<DB>, report: &Report) -> Drawn<DB> {
        let row = Row::by_position(report);
        let latencies = latencies(&report.levels);
        let rates = || report.levels.iter().filter_map(requests_per_sec);
        let with_rate = rates().next().is_some();
        let (latency, left) = axis::logarithmic("arrival latency (ms, logarithmic)", &latencies, axis::LOG_LABELS);
        let (rate, right) = axis::linear("requests/s", rates().fold(0.0, f64::max) * 1.02, "");
        let captions = frame::captions(report, &sentences(report, &row, latency, &latencies));
        let frame = Frame {
            head: Head { title: Self::title(report), captions: &captions, legend: &legend(with_rate) },
            axes: Axes { bottom: &row.axis, left: &left, right: with_rate.then_some((&right, RATE.colour)) },
            marks: &knees(report, &row),
        };
        let plot = frame.draw(area)?;
        let limit = report.p99_limit_us as f64;
        if latency.spans(limit) {
            marks::draw_limit(area, &plot, latency, (limit, &format!("p99 limit {}", number::round_ms(limit))))?;
        }
        let of = |percentile| move |level: &Level| latency_figure(level, percentile);
        let p50 = Series::new(report, P50, latency, of(Percentile::P50));
        let p99 = Series::new(report, P99, latency, of(Percentile::P99));
        let all = [Series::new(report, RATE, rate, rate_figure), p50, p99];
        all.iter().try_for_each(|series| series.draw_band(area, &plot, &row))?;
        all.iter().try_for_each(|series| series.draw_line(area, &plot, &row))?;
        all.iter().try_for_each(|series| series.draw_points(area, &plot, &row, report))?;
        for (setting, place) in row.placed() {
            if setting.levels.iter().all(|level| level.arrival.p50_us.is_none()) {
                plot.not_available(area, plot.x(place))?;
            }
        }
        if report.levels.is_empty() { plot.remark(area, "no level has been measured yet") } else { Ok(()) }
    }
}

fn legend(with_rate: bool) -> Vec<Entry> {
    let line = |name: &str, look| Entry { name: name.to_owned(), sample: Sample::Line(look) };
    let band = Entry { name: "95 % confidence".to_owned(), sample: Sample::Box(Fill::plain(palette::GRID)) };
    let rate = with_rate.then(|| line("requests/s (right axis)", RATE));
    [line("arrival p50", P50), line("arrival p99", P99), band].into_iter().chain(rate).collect()
}

fn sentences(report: &Report, row: &Row, scale: Scale, latencies: &[f64]) -> Vec<String> {
    let limit = report.p99_limit_us as f64;
    let side = if scale.is_beyond(limit) { "above" } else { "below" };
    let outside = || format!("The limit of p99, {}, lies {side} this axis.", number::round_ms(limit));
    let below = || "▽ stands for a latency of 0 or below, which has no place on a logarithmic axis.".to_owned();
    let small = || "p99 is absent where fewer than 368 messages were sampled.".to_owned();
    let open = |level: &Level| level.arrival.ci95.p99.is_some_and(|interval| interval.high_us.is_none());
    let open_means =
        || "A band up to the upper edge has no upper end: too few independent messages tell it.".to_owned();
    let lacks_p99 = |level: &Level| level.arrival.p99_us.is_none() && level.arrival.p50_us.is_some();
    let all = [
        series::line_means(row),
        series::hollow_means(report),
        (!scale.spans(limit)).then(outside),
        report.levels.iter().any(open).then(open_means),
        report.levels.iter().any(lacks_p99).then(small),
        (!latencies.iter().all(|&us| scale.covers(us))).then(below),
        series::star_means(report),
    ];
    all.into_iter().flatten().collect()
}

/// Everything that the axis of latency must cover.
fn latencies(levels: &[Level]) -> Vec<f64> {
    let of = |level: &Level, percentile| {
        let interval = level.arrival.interval(percentile);
        let ends = [interval.map(|interval| interval.low_us), interval.and_then(|interval| interval.high_us)];
        // The percentile alone decides about what lies below 0.
        let ends = ends.into_iter().flatten().filter(|&us| us > 0);
        level.arrival.percentile(percentile).into_iter().chain(ends).map(|us| us as f64).collect::<Vec<_>>()
    };
    levels.iter().flat_map(|level| [of(level, Percentile::P50), of(level, Percentile::P99)]).flatten().collect()
}

fn latency_figure(level: &Level, percentile: Percentile) -> Option<Figure> {
    let us = level.arrival.percentile(percentile)?;
    let interval = level.arrival.interval(percentile);
    let text = format!("{} {} ms", percentile.name(), number::exact_ms(us));
    let text = match interval {
        None => text,
        Some(interval) => {
            let high = interval.high_us.map_or_else(|| "…".to_owned(), number::exact_ms);
            format!("{text} [{}, {high}]", number::exact_ms(interval.low_us))
        }
    };
    let interval = interval.map(|interval| (interval.low_us as f64, interval.high_us.map(|us| us as f64)));
    Some(Figure { value: us as f64, interval, text })
}

fn rate_figure(level: &Level) -> Option<Figure> {
    let value = requests_per_sec(level)?;
    Some(Figure { value, interval: None, text: format!("{} requests/s", number::grouped(value, 0)) })
}

fn requests_per_sec(level: &Level) -> Option<f64> {
    level.load.http.as_ref().and_then(Http::accepted_per_sec)
}

fn knees(report: &Report, row: &Row) -> Vec<Mark> {
    let knee = |knee: &analysis::Knee| {
        let of = if knee.of == "arrival_p99" { "arrival p99" } else { knee.of.as_str() };
        Some(Mark { place: row.place_of(knee.position)?, label: format!("knee of {of}") })
    };
    report.findings.knees.iter().filter_map(knee).collect()
}
