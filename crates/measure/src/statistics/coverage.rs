//! Whether the intervals keep what they promise: over many samples with a known quantile, 95 of 100 hold it.

use super::{Distribution, Percentile, Random};

fn exponential(random: &mut Random, mean: f64) -> f64 {
    -mean * random.uniform().ln()
}

/// In how many of 100 runs the interval holds the true quantile.
fn coverage(runs: usize, percentile: Percentile, truth: f64, mut sample: impl FnMut(&mut Random) -> Vec<i64>) -> f64 {
    let mut random = Random::new(20_261_125);
    let holds = |_: &usize| {
        let interval = Distribution::of(&sample(&mut random), &[]).interval(percentile).unwrap();
        interval.low_us as f64 <= truth && interval.high_us.is_none_or(|high| high as f64 >= truth)
    };
    (0..runs).filter(holds).count() as f64 * 100.0 / runs as f64
}

#[allow(clippy::cast_possible_truncation)]
fn whole(us: f64) -> i64 {
    us.round() as i64
}

#[test]
fn intervals_of_independent_latencies_hold_the_truth_in_95_of_100_runs() {
    let mean = 1e6;
    for size in [400, 1000, 3000] {
        for percentile in [Percentile::P50, Percentile::P90, Percentile::P99] {
            let truth = -mean * (1.0 - percentile.quantile()).ln();
            let sample = |random: &mut Random| (0..size).map(|_| whole(exponential(random, mean))).collect();
            let found = coverage(1000, percentile, truth, sample);
            println!("{} of {size} values: {found} %", percentile.name());
            assert!((93.0..=97.0).contains(&found), "{} of {size}: {found} %", percentile.name());
        }
    }
}

#[test]
fn intervals_of_a_queue_s_latencies_are_not_much_too_narrow() {
    // Waiting times of an M/M/1 queue at 80 %: neighbours are very much alike. Time in system is exponential with mean 1 / (μ − λ).
    let (arrival_mean, service_mean) = (1250.0, 1000.0);
    let mean: f64 = 1.0 / (1.0 / service_mean - 1.0 / arrival_mean);
    let sample = |random: &mut Random| {
        let mut wait = 0.0f64;
        let mut step = |random: &mut Random| {
            let service = exponential(random, service_mean);
            let took = wait + service;
            wait = (took - exponential(random, arrival_mean)).max(0.0);
            whole(took)
        };
        // Not from an empty queue on.
        for _ in 0..2000 {
            step(random);
        }
        (0..10_000).map(|_| step(random)).collect()
    };
    for percentile in [Percentile::P50, Percentile::P90] {
        let truth = -mean * (1.0 - percentile.quantile()).ln();
        let found = coverage(200, percentile, truth, sample);
        assert!(found >= 85.0, "{}: {found} %", percentile.name());
    }
}
