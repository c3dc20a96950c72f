//! What each picture makes of reports.

mod svg;

pub(crate) use analysis::fixture::report_of;

use super::{Arrival, ChartError, Cpu, Heatmap, Hops, Percentiles, Picture, SIZE, Throughput, Timeline, compare, png};
use analysis::fixture::{distribution, level};
use analysis::{Comparison, Distribution, Level, Report, Slice, Stability};

/// A picture as PNG, its size, and its name.
type Made = fn(&Report) -> (&'static str, (u32, u32), Result<Vec<u8>, ChartError>);

const PICTURES: [Made; 7] = [
    made::<Arrival>,
    made::<Throughput>,
    made::<Hops>,
    made::<Percentiles>,
    made::<Timeline>,
    made::<Cpu>,
    made::<Heatmap>,
];

fn made<P: Picture>(report: &Report) -> (&'static str, (u32, u32), Result<Vec<u8>, ChartError>) {
    (P::NAME, P::size(report), png::<P>(report))
}

/// A report in which a concurrency that comes again is a repetition.
pub(super) fn repeated(levels: &[u32]) -> Report {
    let mut report = report_of(levels);
    for index in 1..levels.len() {
        if levels[index] == levels[index - 1] {
            report.levels[index].load.repeat = report.levels[index - 1].load.repeat + 1;
        }
    }
    report
}

/// A slice of which so many messages arrived.
fn slice(count: u64, p50_us: i64, in_flight: u64) -> Slice {
    let (p99_us, max_us) = (p50_us * 3, p50_us * 4);
    let mut slice = Slice {
        entered: count,
        count,
        p50_us: Some(p50_us),
        p99_us: Some(p99_us),
        max_us: Some(max_us),
        in_flight,
        bins: Vec::new(),
    };
    for message in 0..i64::try_from(count).unwrap() {
        let late = if message % 20 == 0 { 150 } else { 0 };
        let bin = analysis::Timeline::bin_of(p50_us * (60 + message * 37 % 90 + late) / 100);
        slice.bins.resize(slice.bins.len().max(bin + 1), 0);
        slice.bins[bin] += 1;
    }
    slice
}

/// Turns a level into one of which nothing arrived.
fn lose(level: &mut Level) {
    level.curve.clear();
    level.timeline.slices.iter_mut().for_each(|slice| *slice = Slice { entered: slice.entered, ..Slice::default() });
    level.arrival = Distribution::default();
    level.user = Distribution::default();
    level.hops.iter_mut().for_each(|hop| hop.latency = Distribution::default());
}

/// Turns a level into one that another program drove.
fn anonymise(level: &mut Level) {
    level.load.concurrency = None;
    level.load.http = None;
    level.load.usage.clear();
    level.timeline = analysis::Timeline::default();
    level.curve.clear();
}

/// Turns a level into one that did not keep up: messages gather, and each waits longer than the one before.
fn overload(level: &mut Level) {
    level.stability = Stability {
        unstable: Some("messages in flight grew by 4,000 a second".to_owned()),
        growth_per_sec: 4000.0,
        growing: Some(stamp::Stage::PUSHSERVER),
    };
    retime(level, 900_000);
    for (index, made) in level.timeline.slices.iter_mut().enumerate() {
        let index = i64::try_from(index).unwrap();
        *made = slice(made.count, 1_000 + 30_000 * index, 400 * index.unsigned_abs());
    }
}

/// Replaces a level's latencies.
fn retime(level: &mut Level, p50_us: i64) {
    level.arrival = distribution(level.arrival.count, p50_us);
    level.hops.iter_mut().for_each(|hop| hop.latency = distribution(1, p50_us / 5));
}

/// Checks that all pictures are PNGs of the right size with something on them, and returns how many pixels are not white; and that they are
/// sound as SVG, too.
///
/// With `STAMPEDE_CHART_DIR` set it also keeps them there, for the eye to judge.
#[track_caller]
fn check(name: &str, report: &Report) -> [usize; 7] {
    svg::check(name, report);
    PICTURES.map(|made| {
        let (picture, expected, bytes) = made(report);
        let bytes = bytes.unwrap();
        keep(&format!("{picture}-{name}.png"), &bytes);
        let (size, inked) = decoded(bytes);
        assert_eq!(size, expected);
        assert!(inked > 5_000, "{picture}: only {inked} pixels are not white");
        inked
    })
}

/// Keeps a picture for the eye to judge, where `STAMPEDE_CHART_DIR` says.
fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("STAMPEDE_CHART_DIR") {
        std::fs::write(std::path::Path::new(&folder).join(name), bytes).unwrap();
    }
}

/// Width and height of a PNG, and how many of its pixels are not white.
fn decoded(bytes: Vec<u8>) -> ((u32, u32), usize) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    ((info.width, info.height), pixels.chunks_exact(3).filter(|pixel| **pixel != [0xFF; 3]).count())
}

/// Checks the picture of a comparison in the same way.
#[track_caller]
fn check_comparison(name: &str, title: &str, reports: &[(&str, Report)]) -> usize {
    let reports: Vec<(String, Report)> = reports
        .iter()
        .enumerate()
        .map(|(index, (label, report))| {
            ((*label).to_owned(), Report { sweep: format!("sweep-{index}"), ..report.clone() })
        })
        .collect();
    let comparison = Comparison::new(&reports).unwrap();
    let drawing = compare::svg(&comparison, title).unwrap();
    svg::sound("compare", &drawing, title);
    keep(&format!("compare-{name}.svg"), drawing.as_bytes());
    let bytes = compare::png(&comparison, title).unwrap();
    keep(&format!("compare-{name}.png"), &bytes);
    let (size, inked) = decoded(bytes);
    assert_eq!(size.0, SIZE.0);
    assert!(inked > 20_000, "only {inked} pixels are not white");
    inked
}

#[test]
fn any_number_of_levels() {
    check("empty", &report_of(&[]));
    let one = check("one", &report_of(&[8]));
    check("three", &report_of(&[1, 2, 3]));
    check("doubling", &report_of(&[1, 2, 4, 8, 16, 32, 64, 128, 256, 512]));
    check("twenty", &report_of(&(1..=20).collect::<Vec<_>>()));
    check("hundred", &report_of(&(1..=100).collect::<Vec<_>>()));
    let forty = check("forty", &report_of(&(1..=40).collect::<Vec<_>>()));
    for (index, (one, forty)) in one.iter().zip(&forty).enumerate().take(4) {
        assert!(one < forty, "picture {index}: more levels make more ink");
    }
}

#[test]
fn repeated_and_unstable_levels() {
    let twice: Vec<u32> = (1..=20).flat_map(|concurrency| [concurrency; 2]).collect();
    let mut report = repeated(&twice);
    for (index, level) in report.levels.iter_mut().enumerate() {
        let p50_us = level.arrival.p50_us.unwrap() * (10 + i64::try_from(index * 7 % 3).unwrap()) / 10;
        retime(level, p50_us);
    }
    report.levels[34..].iter_mut().for_each(overload);
    report.levels[30].arrival.ci95.p99.as_mut().unwrap().high_us = None;
    report.conclude(Vec::new());
    check("repeated", &report);
    let mut report = report_of(&(1..=6).collect::<Vec<_>>());
    overload(&mut report.levels[5]);
    report.conclude(Vec::new());
    let unstable = check("unstable", &report);
    assert_ne!(unstable, check("stable", &report_of(&(1..=6).collect::<Vec<_>>())));
}

#[test]
fn an_outage_shows_as_a_gap_and_a_slope() {
    let whole = report_of(&[4]);
    let mut report = whole.clone();
    let slices = &mut report.levels[0].timeline.slices;
    for (index, made) in slices[40..60].iter_mut().enumerate() {
        // The broker stood still for two seconds: what was taken in meanwhile arrived when it went on, but for the last half second.
        let waited = 2_000_000 - 100_000 * i64::try_from(index).unwrap();
        *made = slice(made.count, waited, 2_000 * index as u64);
        if index >= 15 {
            *made = Slice { entered: 20, in_flight: made.in_flight, ..Slice::default() };
        }
    }
    assert_ne!(check("outage", &report)[4], check("no-outage", &whole)[4]);
}

#[test]
fn a_throughput_with_a_peak() {
    let mut report = report_of(&(1..=20).collect::<Vec<_>>());
    for level in &mut report.levels {
        let n = f64::from(level.load.concurrency.unwrap());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let messages = (90_000.0 * n / (1.0 + 0.05 * (n - 1.0) + 0.008 * n * (n - 1.0))) as u64;
        level.books.arrived = messages;
        level.load.http.as_mut().unwrap().accepted = messages * 101 / 100;
    }
    report.levels[15..].iter_mut().for_each(overload);
    report.conclude(Vec::new());
    let peak = report.findings.usl.fit().unwrap().peak_concurrency.unwrap();
    assert!((10.0..12.0).contains(&peak), "{peak}");
    check("peak", &report);
}

#[test]
fn a_sweep_over_rates() {
    let mut report = report_of(&[1, 2, 4, 8]);
    for (index, level) in report.levels.iter_mut().enumerate() {
        level.load.rate = Some(5_000.0 * (index + 1) as f64);
        level.load.generator_limited = (index == 3).then(|| "its thread was busy".to_owned());
    }
    report.p99_limit_us = 500;
    report.conclude(Vec::new());
    check("rates", &report);
}

#[test]
fn levels_without_values() {
    let mut report = report_of(&[1, 2, 3, 4, 5, 6]);
    let whole = check("whole", &report);
    lose(&mut report.levels[2]);
    report.levels[2].hops.clear();
    lose(&mut report.levels[5]);
    let gaps = check("gaps", &report);
    assert_ne!(whole, gaps);
    report.levels.iter_mut().for_each(lose);
    check("nothing-arrived", &report);
}

#[test]
fn levels_that_another_program_drove() {
    let mut report = report_of(&[1, 2]);
    anonymise(&mut report.levels[0]);
    check("mixed", &report);
    anonymise(&mut report.levels[1]);
    check("anonymous", &report);
    report.levels.truncate(1);
    check("wrk", &report);
}

#[test]
fn latencies_at_and_below_zero() {
    let mut report = report_of(&[1, 2, 3, 4]);
    report.levels[1].arrival.p50_us = Some(-40);
    report.levels[2].arrival.p50_us = Some(0);
    report.levels[1].hops[2].latency.mean_us = Some(-3.5);
    check("negative", &report);
    report.levels.iter_mut().for_each(|level| retime(level, -40));
    check("all-negative", &report);
}

#[test]
fn wide_narrow_and_absurd_spans() {
    let mut report = report_of(&(1..=20).collect::<Vec<_>>());
    let mut p50_us = 200;
    for level in &mut report.levels {
        retime(level, p50_us);
        p50_us = (p50_us * 172 / 100).min(3_500_000);
    }
    check("wide", &report);
    for (index, level) in report.levels.iter_mut().enumerate() {
        level.arrival = distribution(100, 300 + i64::try_from(index).unwrap());
        level.arrival.p99_us = level.arrival.p50_us.map(|p50| p50 + 20);
    }
    check("narrow", &report);
    report.levels[3].arrival.p99_us = Some(i64::MAX);
    report.levels[4].arrival.p50_us = Some(i64::MIN);
    report.levels[5].hops[0].latency.mean_us = Some(i64::MAX as f64);
    report.levels[6].load.http.as_mut().unwrap().accepted = u64::MAX;
    report.levels[7].load.usage[0].cpu_us = u64::MAX;
    report.levels[8].timeline.slices[3].in_flight = u64::MAX;
    report.levels[9].curve[3].us = i64::MIN;
    check("absurd", &report);
}

#[test]
fn other_paths() {
    for (name, stages) in [("two-stages", 2), ("thirteen-stages", 13)] {
        let stage = |index: usize| format!("stage-{index}-of-the-pipeline").parse().unwrap();
        let mut report = report_of(&[1, 2, 4]);
        report.path = (0..stages).map(stage).collect();
        report.levels = [1, 2, 4].map(|concurrency| level(&report.path, concurrency)).into();
        report.settings.extend((0..20).map(|index| (format!("setting-{index}"), "some value".to_owned())));
        check(name, &report);
    }
}

/// Latency and throughput of a made-up variant: `slower` thousandths of the usual, wavering from repetition to repetition.
fn variant(levels: &[u32], slower: i64) -> Report {
    let repeated: Vec<u32> = levels.iter().flat_map(|&concurrency| [concurrency; 3]).collect();
    let mut report = report_of(&repeated);
    for (index, level) in report.levels.iter_mut().enumerate() {
        let waver = 1000 + 40 * i64::try_from(index % 3).unwrap() * (1 + i64::try_from(index % 2).unwrap());
        let p50_us = level.arrival.p50_us.unwrap() * slower / 1000 * waver / 1000;
        level.arrival = distribution(1000, p50_us);
        level.arrival.p99_us = Some(p50_us * 3 + p50_us * (waver - 1000) / 200);
        let http = level.load.http.as_mut().unwrap();
        http.accepted = http.accepted * 1000 / u64::try_from(slower).unwrap();
    }
    report
}

#[test]
fn two_to_eight_sweeps() {
    let levels = [1, 4, 8, 16, 20];
    let title = "Inline against decoupled forwarder";
    let two =
        check_comparison("two", title, &[("inline", variant(&levels, 1700)), ("channel", variant(&levels, 1000))]);
    let close = [1000, 1012, 1025, 1040, 1055].map(|slower| variant(&levels, slower));
    let labels = ["batch 1", "batch 8", "batch 32", "batch 128", "batch 512"];
    let close: Vec<(&str, Report)> = labels.into_iter().zip(close).collect();
    let five = check_comparison("close", "Batch sizes", &close);
    assert!(two < five, "more series make more ink");
    let long = "a label that says everything about the pipeline, its queue, its broker, its subscriber, and the weather of the day on which all of this was measured, and the day before";
    let many: Vec<(&str, Report)> = (0..8).map(|index| (long, variant(&levels, 1000 + 300 * index))).collect();
    let labelled: Vec<(String, Report)> =
        many.into_iter().enumerate().map(|(index, (label, report))| (format!("{index}: {label}"), report)).collect();
    let eight: Vec<(&str, Report)> = labelled.iter().map(|(label, report)| (label.as_str(), report.clone())).collect();
    check_comparison("eight", long, &eight);
}

#[test]
fn sweeps_that_lie_far_apart() {
    let levels = [1, 2, 4, 8, 16, 32, 64];
    let mut slow = variant(&levels, 1000);
    let mut p50_us = 200;
    for level in &mut slow.levels {
        level.arrival = distribution(1000, p50_us);
        p50_us = p50_us * 3 / 2;
    }
    slow.levels[20].load.generator_limited = Some("its thread was busy".to_owned());
    slow.levels[0].arrival.p50_us = Some(-30);
    check_comparison("far", "One BRPOP a message", &[("slow", slow), ("quick", variant(&levels, 1000))]);
}

#[test]
fn sweeps_with_gaps() {
    let levels = [1, 2, 3, 4];
    let mut gaps = variant(&levels, 1200);
    gaps.levels[3..6].iter_mut().for_each(lose);
    let mut lacks = variant(&levels, 1000);
    lacks.levels.drain(3..6);
    lacks.levels.iter_mut().for_each(|level| level.load.http = None);
    let whole = check_comparison("whole", "Gaps", &[("a", variant(&levels, 1200)), ("b", variant(&levels, 1000))]);
    let broken = check_comparison("gaps", "Gaps", &[("a", gaps), ("b", lacks)]);
    assert!(broken < whole, "a gap takes ink away");
    check_comparison("one-level", "One level", &[("a", report_of(&[8])), ("b", report_of(&[8]))]);
}
