//! `hops`: where the time goes, hop by hop, and which part of it is waiting.

use super::axis;
use super::bar::{Bar, HEADROOM, Slot};
use super::canvas::{Canvas, for_level};
use super::frame::{self, Head};
use super::legend::{Entry, Sample};
use super::levels::{self, Row};
use super::palette::{self, Fill};
use super::panels::{self, Panel};
use super::{Area, Drawn, Picture, SIZE, series};
use analysis::{Hop, Level, Report, number};
use stamp::Stage;

/// `hops`.
pub(crate) struct Hops;

/// A bar so many times as high as another one hides what that is made of.
const FAR: f64 = 12.0;

/// Steps of the axis of shares.
const SHARES: u32 = 5;

impl Picture for Hops {
    const NAME: &'static str = "hops";

    fn title(_report: &Report) -> &'static str {
        "Where the time goes, hop by hop"
    }

    fn size(report: &Report) -> (u32, u32) {
        if hides_bars(&bars(report)) { panels::size(3) } else { SIZE }
    }

    fn draw<DB: Canvas>(area: &Area<DB>, report: &Report) -> Drawn<DB> {
        let bars = bars(report);
        let highest = bars.iter().map(Bar::total).fold(0.0, f64::max);
        let row = Row::side_by_side(report);
        let (scale, left) = axis::linear("mean latency (ms)", highest * HEADROOM, " ms");
        let (share, share_left) = axis::linear_in(SHARES, "share of the mean", 100.0, " %");
        let panel = |left| Panel { heading: String::new(), left, right: None, ground: None };
        let mut panels = vec![panel(left)];
        if hides_bars(&bars) {
            panels.push(Panel { heading: "The same as shares".to_owned(), ..panel(share_left) });
        }
        let head = Head { title: Self::title(report), captions: &captions(report), legend: &legend(report) };
        let plots = panels::draw(area, &head, &row.axis, &panels)?;
        for (index, (bar, &place)) in bars.iter().zip(&row.places).enumerate() {
            let slot = Slot::new(&plots[0], place, bars.len());
            let label = number::measured_ms(bar.total() * 1e3);
            for_level(area, index, || {
                bar.draw(area, &plots[0], &slot, scale, &label)?;
                plots[1..].iter().try_for_each(|plot| bar.shares().draw(area, plot, &slot, share, ""))
            })?;
            for plot in &plots {
                slot.spot(index, plot, told(report, index)).draw(area)?;
            }
        }
        if bars.is_empty() { plots[0].remark(area, "no level has been measured yet") } else { Ok(()) }
    }
}

fn bars(report: &Report) -> Vec<Bar> {
    report.levels.iter().map(|level| bar(report, level)).collect()
}

/// Whether the highest bar leaves others too low to show their parts.
fn hides_bars(bars: &[Bar]) -> bool {
    let totals = || bars.iter().map(Bar::total).filter(|&total| total > 0.0);
    totals().fold(0.0, f64::max) > FAR * totals().fold(f64::INFINITY, f64::min)
}

fn captions(report: &Report) -> Vec<String> {
    let stacked = "Each hop's mean, stacked: means add up, percentiles do not.";
    let waiting = "Waiting: what a hop takes longer than for a message that has it to itself; where messages lie in a queue, all of it.";
    let means = || report.levels.iter().flat_map(|level| &level.hops).filter_map(|hop| hop.latency.mean_us);
    let below = means().any(|mean| mean < 0.0).then(|| "A mean below 0 is drawn as 0.".to_owned());
    let sentences = [Some(stacked.to_owned()), Some(waiting.to_owned()), below, series::star_means(report)];
    frame::captions(report, &sentences.into_iter().flatten().collect::<Vec<_>>())
}

fn legend(report: &Report) -> Vec<Entry> {
    let hops = report.path.windows(2).enumerate().map(|(index, pair)| Entry {
        name: format!("{} → {}", pair[0], pair[1]),
        sample: Sample::Box(palette::fill(index)),
    });
    let grey = Fill::plain(palette::FAINT_INK);
    let parts = [("service", grey), ("waiting", grey.hatched())];
    let parts = parts.map(|(name, fill)| Entry { name: name.to_owned(), sample: Sample::Box(fill) });
    hops.chain(parts).collect()
}

/// The hops of a level in path order: of each its service and then its waiting, ms. A mean below 0 has no height.
fn bar(report: &Report, level: &Level) -> Bar {
    let mut parts = Vec::new();
    for (index, stage) in report.path.iter().skip(1).enumerate() {
        let Some((service, waiting)) = hop_of(level, stage).and_then(parts_us) else { continue };
        let fill = palette::fill(index);
        parts.push((fill, service.max(0.0) / 1e3));
        parts.push((fill.hatched(), waiting.max(0.0) / 1e3));
    }
    Bar { parts }
}

fn hop_of<'a>(level: &'a Level, stage: &Stage) -> Option<&'a Hop> {
    level.hops.iter().find(|hop| hop.stage == *stage)
}

/// Service and waiting of a hop; their sum is its mean.
fn parts_us(hop: &Hop) -> Option<(f64, f64)> {
    let mean = hop.latency.mean_us?;
    let service = if hop.queued { 0.0 } else { hop.service_us.unwrap_or(mean) };
    let service = service.min(mean.max(0.0));
    Some((service, mean - service))
}

fn told(report: &Report, index: usize) -> String {
    let level = &report.levels[index];
    let ms = |us: f64| number::grouped(us / 1e3, 3);
    let hop = |stage: &Stage| {
        let (service, waiting) = hop_of(level, stage).and_then(parts_us)?;
        Some(format!("to {stage} {} ms ({} waiting)", ms(service + waiting), ms(waiting.max(0.0))))
    };
    let hops: Vec<String> = report.path.iter().skip(1).filter_map(hop).collect();
    let hops = if hops.is_empty() { "n/a".to_owned() } else { hops.join(", ") };
    format!("{}: {hops}", levels::name(report, index))
}
