//! `steps`: what answer and arrival take, step by step: THE gap that a load test of the API alone does not show.

use super::axis;
use super::bar::{Bar, HEADROOM, Slot};
use super::canvas::{Canvas, for_level};
use super::frame::{self, Head};
use super::legend::{Entry, Sample};
use super::levels::{self, Row};
use super::palette;
use super::panels::{self, Panel};
use super::{Area, Drawn, Picture};
use analysis::scenario::StepLoad;
use analysis::{Level, Report, distinct, number};

/// `steps`; only of a report of users.
pub(crate) struct Steps;

impl Picture for Steps {
    const NAME: &'static str = "steps";

    fn title(_report: &Report) -> &'static str {
        "What steps take: their answers, and the arrival of their messages"
    }

    fn size(_report: &Report) -> (u32, u32) {
        panels::size(3)
    }

    fn draw<DB: Canvas>(area: &Area<DB>, report: &Report) -> Drawn<DB> {
        let names = names(report);
        let row = Row::side_by_side(report);
        // One scale for both, so that the gap shows.
        let all = values(report, response_ms).chain(values(report, arrival_ms));
        let highest = all.flatten().fold(0.0, f64::max) * HEADROOM;
        let panel = |title: &str, of: fn(&Level, &StepLoad) -> Option<f64>| (axis::linear(title, highest, " ms"), of);
        let both = [panel("response p99 (ms)", response_ms), panel("arrival p99 (ms)", arrival_ms)];
        let frames: Vec<Panel> = both
            .iter()
            .map(|((_, left), _)| Panel { heading: String::new(), left: left.clone(), right: None, ground: None })
            .collect();
        let head = Head { title: Self::title(report), captions: &captions(report), legend: &legend(&names) };
        let plots = panels::draw(area, &head, &row.axis, &frames)?;
        let count = report.levels.len() * names.len().max(1);
        for (index, level) in report.levels.iter().enumerate() {
            for (plot, ((scale, _), of)) in plots.iter().zip(&both) {
                for (number, name) in names.iter().enumerate() {
                    let Some(value) = step(level, name).and_then(|step| of(level, step)) else { continue };
                    // Side by side within the level's own part of the axis.
                    let within = (number as f64 + 0.5) / names.len() as f64 - 0.5;
                    let place = row.places[index] + within * 0.9 / report.levels.len() as f64;
                    let slot = Slot::new(plot, place, count);
                    let bar = Bar { parts: vec![(palette::fill(number), value)] };
                    let label = number::measured_ms(value * 1e3);
                    for_level(area, index, || bar.draw(area, plot, &slot, *scale, &label))?;
                }
                Slot::new(plot, row.places[index], report.levels.len())
                    .spot(index, plot, told(report, index))
                    .draw(area)?;
            }
        }
        if values(report, arrival_ms).flatten().next().is_none() {
            plots[1].remark(area, "no step has enough sampled messages for a p99")?;
        }
        if names.is_empty() { plots[0].remark(area, "no step has been measured yet") } else { Ok(()) }
    }
}

/// The steps of all levels, in their order.
fn names(report: &Report) -> Vec<&str> {
    distinct(report.levels.iter().flat_map(Level::user_steps).map(|step| step.name.as_str()))
}

fn step<'l>(level: &'l Level, name: &str) -> Option<&'l StepLoad> {
    level.user_steps().iter().find(|step| step.name == name)
}

fn values(report: &Report, of: fn(&Level, &StepLoad) -> Option<f64>) -> impl Iterator<Item = Option<f64>> {
    report.levels.iter().flat_map(move |level| level.user_steps().iter().map(move |step| of(level, step)))
}

fn response_ms(_: &Level, step: &StepLoad) -> Option<f64> {
    step.response.p99_us.map(|us| us as f64 / 1e3)
}

/// Of a step whose messages are too few for a p99 their longest is no substitute.
fn arrival_ms(level: &Level, step: &StepLoad) -> Option<f64> {
    level.arrival_of(step)?.p99_us.map(|us| us as f64 / 1e3)
}

fn captions(report: &Report) -> Vec<String> {
    let response = "Response: from the moment at which a step was due to its whole answer.";
    let arrival = "Arrival: of the sampled messages of steps that are traced; no bar where there are too few.";
    frame::captions(report, &[response.to_owned(), arrival.to_owned()])
}

fn legend(names: &[&str]) -> Vec<Entry> {
    let entry =
        |(number, name): (usize, &&str)| Entry { name: (*name).to_owned(), sample: Sample::Box(palette::fill(number)) };
    names.iter().enumerate().map(entry).collect()
}

fn told(report: &Report, index: usize) -> String {
    let level = &report.levels[index];
    let ms = |ms: Option<f64>| ms.map_or_else(|| number::NOT_AVAILABLE.to_owned(), |ms| number::grouped(ms, 3));
    let told = level.user_steps().iter().map(|step| {
        let arrival = if step.traced { format!(", arrival {} ms", ms(arrival_ms(level, step))) } else { String::new() };
        format!("{}: response {} ms{arrival}", step.name, ms(response_ms(level, step)))
    });
    format!("{}, p99 of {}", levels::name(report, index), told.collect::<Vec<_>>().join("; "))
}
