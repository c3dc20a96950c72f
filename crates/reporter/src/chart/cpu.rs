//! `cpu`: what each component spends on a message, and how busy it is.

use super::axis::{self, Axis};
use super::bar::{Bar, HEADROOM, Slot};
use super::canvas::{Canvas, for_level};
use super::frame::{self, Head};
use super::legend::{Entry, Sample};
use super::levels::{self, Row};
use super::marker::{Look, SHAPES, Shape};
use super::palette::{self, Fill};
use super::panels::{self, Panel};
use super::series::{self, Figure, Series};
use super::{Area, Drawn, Picture, marks};
use analysis::{Level, Report, Usage, distinct, number};

/// `cpu`.
pub(crate) struct Cpu;

/// Everything on the driver's host together: it holds the others, and is in no sum.
const HOST: &str = Usage::HOST;

/// The load generator: it stands behind the pipeline's own parts.
const DRIVER: &str = Usage::DRIVER;

/// Steps of an axis of one plot.
const STEPS: u32 = 6;

/// A component and how it looks.
struct Component<'a> {
    name: &'a str,
    look: Look,
}

impl Picture for Cpu {
    const NAME: &'static str = "cpu";

    fn title(_report: &Report) -> &'static str {
        "Processor time by component"
    }

    fn size(_report: &Report) -> (u32, u32) {
        panels::size(3)
    }

    fn draw<DB: Canvas>(area: &Area<DB>, report: &Report) -> Drawn<DB> {
        let components = components(report);
        let bars: Vec<Bar> = report.levels.iter().map(|level| bar(&components, level)).collect();
        let row = Row::side_by_side(report);
        let highest = bars.iter().map(Bar::total).fold(0.0, f64::max);
        let (cost, left) = axis::linear_in(STEPS, "CPU-µs a message", highest * HEADROOM, "");
        let used = report.levels.iter().flat_map(|level| &level.load.usage).map(Usage::utilization);
        let (percent, lower_left) =
            axis::linear_in(STEPS, "utilisation", used.fold(1.0, f64::max) * 100.0 * HEADROOM, " %");
        let panel = |heading: &str, left: Axis| Panel { heading: heading.to_owned(), left, right: None, ground: None };
        let panels = [
            panel("CPU time of each accepted message", left),
            panel(
                "How busy: the part of the processors that a component can use; of several instances the busiest",
                lower_left,
            ),
        ];
        let captions = frame::captions(report, &sentences(report, &components, &row));
        let head = Head { title: Self::title(report), captions: &captions, legend: &legend(&components) };
        let plots = panels::draw(area, &head, &row.axis, &panels)?;
        let [upper, lower] = [plots[0], plots[1]];
        for (index, (bar, &place)) in bars.iter().zip(&row.places).enumerate() {
            let slot = Slot::new(&upper, place, bars.len());
            let label = number::grouped(bar.total(), 1);
            for_level(area, index, || bar.draw(area, &upper, &slot, cost, &label))?;
            slot.spot(index, &upper, told(report, &components, index)).draw(area)?;
            if bar.parts.is_empty() {
                lower.not_available(area, lower.x(place))?;
            }
        }
        marks::draw_limit(area, &lower, percent, (100.0, "fully used"))?;
        let all: Vec<Series> = components
            .iter()
            .map(|component| Series::new(report, component.look, percent, |level| component.utilization(level)))
            .collect();
        all.iter().try_for_each(|series| series.draw_line(area, &lower, &row))?;
        all.iter().try_for_each(|series| series.draw_points(area, &lower, &row, report))?;
        if bars.is_empty() { upper.remark(area, "no level has been measured yet") } else { Ok(()) }
    }
}

/// In the order in which they appear, the load generator and the host last.
fn components(report: &Report) -> Vec<Component<'_>> {
    let usages = report.levels.iter().flat_map(|level| &level.load.usage);
    let mut names = distinct(usages.map(|usage| usage.component.as_str()));
    names.sort_by_key(|name| match *name {
        HOST => 2,
        DRIVER => 1,
        _ => 0,
    });
    let look = |(index, name): (usize, &str)| match name {
        HOST => Look { colour: palette::INK, shape: Shape::None, dashes: None },
        DRIVER => Look { colour: palette::FAINT_INK, shape: Shape::Triangle, dashes: Some((26, 12)) },
        _ => Look { colour: palette::line(index), shape: SHAPES[index % SHAPES.len()], dashes: None },
    };
    names.iter().enumerate().map(|(index, name)| Component { name, look: look((index, name)) }).collect()
}

fn legend(components: &[Component]) -> Vec<Entry> {
    let entry = |component: &Component| {
        let name = match component.name {
            HOST => "host, everything on it",
            DRIVER => "driver, the load generator",
            name => name,
        };
        Entry { name: name.to_owned(), sample: Sample::Line(component.look) }
    };
    components.iter().map(entry).collect()
}

fn sentences(report: &Report, components: &[Component], row: &Row) -> Vec<String> {
    let has = |name: &str| components.iter().any(|component| component.name == name);
    let all = [
        (!components.is_empty())
            .then(|| "What was spent while the load ran, all instances of a component together.".to_owned()),
        has(HOST).then(|| "The host holds all of it, and stands in the lower plot alone.".to_owned()),
        series::line_means(row),
        series::hollow_means(report),
        series::star_means(report),
    ];
    all.into_iter().flatten().collect()
}

/// What each component spent on an accepted message, µs; nothing where nobody knows.
fn bar(components: &[Component], level: &Level) -> Bar {
    let stacked = components.iter().filter(|component| component.name != HOST);
    let part = |component: &Component| Some((Fill::plain(component.look.colour), component.cost_us(level)?));
    Bar { parts: stacked.filter_map(part).collect() }
}

fn told(report: &Report, components: &[Component], index: usize) -> String {
    let part = |component: &Component| {
        Some(format!("{} {}", component.name, number::grouped(component.cost_us(&report.levels[index])?, 1)))
    };
    let parts: Vec<String> = components.iter().filter(|component| component.name != HOST).filter_map(part).collect();
    let parts = if parts.is_empty() { "n/a".to_owned() } else { format!("{} CPU-µs a message", parts.join(", ")) };
    format!("{}: {parts}", levels::name(report, index))
}

impl Component<'_> {
    fn usages<'a>(&self, level: &'a Level) -> impl Iterator<Item = &'a Usage> {
        level.load.usage.iter().filter(|usage| usage.component == self.name)
    }

    fn cost_us(&self, level: &Level) -> Option<f64> {
        let accepted = level.books.accepted;
        (accepted > 0 && self.usages(level).next().is_some())
            .then(|| self.usages(level).map(|usage| usage.cpu_us as f64).sum::<f64>() / accepted as f64)
    }

    /// Of the busiest instance.
    fn utilization(&self, level: &Level) -> Option<Figure> {
        let value = self.usages(level).map(Usage::utilization).reduce(f64::max)? * 100.0;
        let text = format!("{} {} %", self.name, number::grouped(value, 0));
        Some(Figure { value, interval: None, text })
    }
}
