//! `throughput`: what was accepted and what was delivered by concurrency, with the Universal Scalability Law.

use super::axis::{self, Scale};
use super::canvas::Canvas;
use super::frame::{self, Axes, Frame, Head};
use super::legend::{Entry, Sample};
use super::levels::Row;
use super::marker::{Look, Shape};
use super::marks::Mark;
use super::plot::Plot;
use super::series::{self, Figure, Series};
use super::{Area, Drawn, Picture, palette};
use analysis::{Capacity, Fit, Usl};
use analysis::{Http, Level, Report, number};
use plotters::prelude::DrawingBackend;

/// `throughput`.
pub(crate) struct Throughput;

const DELIVERED: Look = Look { colour: palette::GREEN, shape: Shape::Circle, dashes: None };
/// Mostly it is the same, and lies above it: small, so that both are seen.
const ACCEPTED: Look = Look { colour: palette::ORANGE, shape: Shape::Dot, dashes: Some((20, 20)) };
/// It has no points of its own.
const LAW: Look = Look { colour: palette::INK, shape: Shape::None, dashes: Some((6, 10)) };

/// So many stretches make the curve smooth.
const STRETCHES: u32 = 120;

impl Picture for Throughput {
    const NAME: &'static str = "throughput";

    fn title(report: &Report) -> &'static str {
        if report.is_by_rate() { "Throughput by rate" } else { "Throughput by concurrency" }
    }

    fn draw<DB: Canvas>(area: &Area<DB>, report: &Report) -> Drawn<DB> {
        let row = Row::by_position(report);
        let fit = report.findings.usl.fit();
        let curve = fit.map(|fit| curve(fit, &row)).unwrap_or_default();
        let measured = report.levels.iter().flat_map(|level| [accepted_per_sec(level), level.delivered_per_sec()]);
        let highest = measured.flatten().chain(curve.iter().map(|&(_, value)| value)).fold(0.0, f64::max);
        let (scale, left) = axis::linear("messages/s", highest * 1.02, "");
        let captions = frame::captions(report, &sentences(report, &row));
        let frame = Frame {
            head: Head { title: Self::title(report), captions: &captions, legend: &legend(fit) },
            axes: Axes { bottom: &row.axis, left: &left, right: None },
            marks: &marks(report, &row),
        };
        let plot = frame.draw(area)?;
        let series = [
            Series::new(report, DELIVERED, scale, |level| figure(level.delivered_per_sec()?, "delivered")),
            Series::new(report, ACCEPTED, scale, |level| figure(accepted_per_sec(level)?, "accepted")),
        ];
        series.iter().try_for_each(|series| series.draw_line(area, &plot, &row))?;
        draw_curve(area, &plot, scale, &curve)?;
        series.iter().try_for_each(|series| series.draw_points(area, &plot, &row, report))?;
        for (setting, place) in row.placed() {
            let has_none = |level: &Level| accepted_per_sec(level).or(level.delivered_per_sec()).is_none();
            if setting.levels.iter().all(has_none) {
                plot.not_available(area, plot.x(place))?;
            }
        }
        if report.levels.is_empty() { plot.remark(area, "no level has been measured yet") } else { Ok(()) }
    }
}

/// Places on the bottom axis and what the law gives there, from the first level to the last.
fn curve(fit: &Fit, row: &Row) -> Vec<(f64, f64)> {
    let positions = || fit.points.iter().map(|(position, _)| *position);
    let (first, last) = (positions().fold(f64::INFINITY, f64::min), positions().fold(0.0, f64::max));
    // Even steps on a logarithmic scale: the curve bends most at its beginning.
    let position = |index: u32| first * (last / first).powf(f64::from(index) / f64::from(STRETCHES));
    let point = |position: f64| Some((row.place_of(position)?, fit.at(position)));
    let between = (1..STRETCHES).map(position).filter_map(point);
    point(first).into_iter().chain(between).chain(point(last)).collect()
}

fn draw_curve<DB: DrawingBackend>(area: &Area<DB>, plot: &Plot, scale: Scale, curve: &[(f64, f64)]) -> Drawn<DB> {
    let points: Vec<(i32, i32)> =
        curve.iter().map(|&(place, value)| (plot.x(place), plot.y(scale.place(value)))).collect();
    LAW.draw_line(area, &points)
}

fn legend(fit: Option<&Fit>) -> Vec<Entry> {
    let line = |name: &str, look| Entry { name: name.to_owned(), sample: Sample::Line(look) };
    let law = fit.map(|_| line("Universal Scalability Law, fitted to delivered", LAW));
    [line("delivered", DELIVERED), line("accepted", ACCEPTED)].into_iter().chain(law).collect()
}

fn sentences(report: &Report, row: &Row) -> Vec<String> {
    let law = match &report.findings.usl {
        Usl::Refused(why) => format!("Universal Scalability Law not fitted: {why}."),
        Usl::Fitted(fit) => {
            let law = format!(
                "Universal Scalability Law: λ = {}/s a connection, contention σ = {:.4}, coherency κ = {:.6}, R² = {:.3}.",
                number::grouped(fit.lambda.value, 0),
                fit.sigma.value,
                fit.kappa.value,
                fit.r_squared
            );
            match (fit.peak_concurrency, fit.peak_per_sec) {
                (Some(at), Some(rate)) if row.place_of(at).is_none() => {
                    let (at, rate) = (number::grouped(at, 0), number::grouped(rate, 0));
                    format!("{law} Its peak, {rate}/s at {at} connections, lies outside this axis.")
                }
                (None, _) => format!("{law} The levels tell no peak."),
                _ => law,
            }
        }
    };
    let delivered = "Delivered: what arrived, over the load and its drain.".to_owned();
    let all =
        [Some(law), Some(delivered), series::line_means(row), series::hollow_means(report), series::star_means(report)];
    all.into_iter().flatten().collect()
}

/// Where the report finds something: the capacity, the peak of the law, the knee.
fn marks(report: &Report, row: &Row) -> Vec<Mark> {
    let findings = &report.findings;
    let mark = |position: f64, label: String| Some(Mark { place: row.place_of(position)?, label });
    let capacity = findings.capacity.as_ref().and_then(|capacity| mark(capacity.position, capacity_label(capacity)));
    let peak = findings.usl.fit().and_then(|fit| {
        mark(fit.peak_concurrency?, format!("peak of the law {}/s", number::grouped(fit.peak_per_sec?, 0)))
    });
    let knee = findings.knees.iter().find(|knee| knee.of == "throughput");
    let knee = knee.and_then(|knee| mark(knee.position, "knee of throughput".to_owned()));
    [capacity, peak, knee].into_iter().flatten().collect()
}

fn capacity_label(capacity: &Capacity) -> String {
    let least = if capacity.bounded { "" } else { "at least " };
    let doubt = if capacity.doubtful { ", doubtful" } else { "" };
    let p99 = number::measured_ms(capacity.p99_us as f64);
    format!("capacity {least}{}/s (p99 {p99} ms{doubt})", number::grouped(capacity.delivered_per_sec, 0))
}

#[allow(clippy::unnecessary_wraps, reason = "a series asks for a figure that may be absent")]
fn figure(value: f64, what: &str) -> Option<Figure> {
    Some(Figure { value, interval: None, text: format!("{} messages/s {what}", number::grouped(value, 0)) })
}

fn accepted_per_sec(level: &Level) -> Option<f64> {
    level.load.http.as_ref().and_then(Http::accepted_per_sec)
}
