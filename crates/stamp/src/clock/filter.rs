//! The clock filter: from probes to Redis time and a bound of its error. Pure; it knows no socket and no clock.
//!
//! A probe brackets one reading of Redis `TIME` between two readings of the local monotonic clock, so that the offset
//! between the clocks is known to lie in an interval as wide as the round trip (Cristian 1989). Intervals of a sliding
//! window are carried to the present, widened by what the drift may have done meanwhile, and intersected (Marzullo
//! 1985): slow probes widen nothing, and one quick way there and another quick way back are enough. The drift comes from
//! the narrowest probes of the two halves of the window. docs/method.md has the assumptions and the sources.

use std::collections::VecDeque;

/// How long a probe stays in the window.
const WINDOW_NS: i64 = 30_000_000_000;

/// The largest drift between two clocks that has to be reckoned with while it is not known, as a ratio: crystals stay
/// within 100 ppm, so that two differ by 200 at most.
const UNKNOWN_DRIFT: f64 = 200e-6;

/// How far the drift may wander in the time of one window, as a ratio.
const WANDER: f64 = 2e-6;

/// The fastest change that is still the work of a clock discipline (adjtime slews by up to 500 ppm, on either side): a
/// faster one is a step.
const FASTEST_SLEW: f64 = 1000e-6;

/// The shortest time between two probes that tell the drift.
const DRIFT_BASE_NS: i64 = 1_000_000_000;

/// One reading of Redis `TIME` between two of the local clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Local time before the command was sent, ns.
    pub sent_ns: i64,
    /// Local time after the answer was read, ns.
    pub received_ns: i64,
    /// What Redis said, µs since 1970-01-01 UTC.
    pub redis_us: i64,
}

/// The interval in which one probe has found the offset (Redis time less local time).
#[derive(Debug, Clone, Copy)]
struct Bounds {
    at_ns: i64,
    low_ns: i64,
    high_ns: i64,
}

/// How far the Redis clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// Forwards, µs.
    pub size_us: i64,
    /// The bound of its error, µs.
    pub error_us: i64,
}

/// What a probe has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It agrees with those before it.
    Agrees,
    /// It contradicts them by no more than a changed drift explains: they are forgotten.
    Drifted,
    /// The Redis clock was set: those before it are forgotten.
    Stepped(Step),
}

/// Redis time as a linear function of local time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// The local time that the other fields hold for, ns.
    pub at_ns: i64,
    /// Redis time less local time, ns.
    pub offset_ns: i64,
    /// The bound of the offset's error, ns.
    pub error_ns: i64,
    /// How much faster the Redis clock runs, as a ratio.
    pub drift: f64,
    /// The bound of the drift's error, as a ratio.
    pub drift_error: f64,
}

/// The filter's state: at most the probes of 30 s.
#[derive(Debug, Default)]
pub struct Filter {
    window: VecDeque<Bounds>,
    /// The best that is known about the drift: it outlives the probes that told it, but grows less certain.
    rate: Option<Rate>,
    line: Option<Line>,
    steps: u32,
}

/// A drift, the bound of its error, and when it was found.
#[derive(Debug, Clone, Copy)]
struct Rate {
    drift: f64,
    error: f64,
    at_ns: i64,
}

impl Line {
    /// Redis time at a local time, and the bound of its error, both ns.
    #[must_use]
    pub fn redis_ns(&self, local_ns: i64) -> (i64, i64) {
        let since = (local_ns - self.at_ns) as f64;
        let offset = self.offset_ns + round(self.drift * since);
        (local_ns + offset, self.error_ns + round((self.drift_error * since).abs()))
    }
}

impl Bounds {
    fn of(probe: &Probe) -> Self {
        let round_trip = probe.received_ns - probe.sent_ns;
        // TIME is cut to whole microseconds: Redis read it up to 1 µs after what it says. And while the probe was under
        // way the clocks drifted apart.
        let drifted = round(UNKNOWN_DRIFT * round_trip as f64);
        Self {
            at_ns: probe.sent_ns + round_trip / 2,
            low_ns: probe.redis_us * 1000 - probe.received_ns - drifted,
            high_ns: probe.redis_us * 1000 + 1000 - probe.sent_ns + drifted,
        }
    }

    fn width_ns(&self) -> i64 {
        self.high_ns - self.low_ns
    }

    fn middle_ns(&self) -> i64 {
        self.low_ns + self.width_ns() / 2
    }
}

impl Filter {
    /// Takes a probe in. Probes come in the order of their `sent_ns`.
    pub fn add(&mut self, probe: &Probe) -> Verdict {
        let bounds = Bounds::of(probe);
        let verdict = self.judge(&bounds);
        if verdict != Verdict::Agrees {
            self.window.clear();
            self.rate = None;
        }
        if matches!(verdict, Verdict::Stepped(_)) {
            self.steps += 1;
        }
        self.window.push_back(bounds);
        while self.window.front().is_some_and(|oldest| bounds.at_ns - oldest.at_ns > WINDOW_NS) {
            self.window.pop_front();
        }
        self.line = Some(self.fit(bounds.at_ns));
        verdict
    }

    /// Redis time as a function of local time; nothing before the first probe.
    #[must_use]
    pub fn line(&self) -> Option<Line> {
        self.line
    }

    /// How often the Redis clock has been set.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.steps
    }

    fn judge(&self, bounds: &Bounds) -> Verdict {
        let (Some(line), Some(newest)) = (self.line, self.window.back()) else { return Verdict::Agrees };
        let (redis_ns, error_ns) = line.redis_ns(bounds.at_ns);
        let expected = redis_ns - bounds.at_ns;
        let gap = (bounds.low_ns - (expected + error_ns)).max((expected - error_ns) - bounds.high_ns);
        if gap <= 0 {
            return Verdict::Agrees;
        }
        if gap as f64 <= FASTEST_SLEW * (bounds.at_ns - newest.at_ns) as f64 {
            return Verdict::Drifted;
        }
        let error_us = (error_ns + bounds.width_ns() / 2) / 1000 + 2;
        Verdict::Stepped(Step { size_us: (bounds.middle_ns() - expected) / 1000, error_us })
    }

    /// The line at the newest probe. Where the drift has changed too much for all probes to agree, the older half goes,
    /// until the rest agrees; one probe always does.
    fn fit(&mut self, at_ns: i64) -> Line {
        loop {
            let (drift, drift_error) = self.drift(at_ns);
            let (mut low, mut high) = (i64::MIN, i64::MAX);
            for bounds in &self.window {
                let age = (at_ns - bounds.at_ns) as f64;
                low = low.max(bounds.low_ns + round((drift - drift_error) * age));
                high = high.min(bounds.high_ns + round((drift + drift_error) * age));
            }
            if low <= high {
                let error_ns = (high - low) / 2 + 1;
                return Line { at_ns, offset_ns: low + (high - low) / 2, error_ns, drift, drift_error };
            }
            self.window.drain(..self.window.len().div_ceil(2));
            self.rate = None;
        }
    }

    /// The drift and the bound of its error: what the window tells, or what an earlier one told where that is still the
    /// more certain, as while all probes are slow.
    fn drift(&mut self, now_ns: i64) -> (f64, f64) {
        let aged = |rate: &Rate| rate.error + WANDER * (now_ns - rate.at_ns) as f64 / WINDOW_NS as f64;
        let told = self.rate_of_window(now_ns);
        if told.is_some_and(|told| self.rate.is_none_or(|known| told.error <= aged(&known))) {
            self.rate = told;
        }
        match self.rate {
            Some(rate) if aged(&rate) < UNKNOWN_DRIFT => (rate.drift, aged(&rate)),
            _ => (0.0, UNKNOWN_DRIFT),
        }
    }

    /// The drift from the narrowest probe of each half of the window.
    fn rate_of_window(&self, now_ns: i64) -> Option<Rate> {
        let (oldest, newest) = (self.window.front()?, self.window.back()?);
        let middle = oldest.at_ns + (newest.at_ns - oldest.at_ns) / 2;
        let narrowest = |newer: bool| {
            let half = self.window.iter().filter(|bounds| (bounds.at_ns > middle) == newer);
            half.min_by_key(|bounds| bounds.width_ns())
        };
        let (old, new) = (narrowest(false)?, narrowest(true)?);
        let between = new.at_ns - old.at_ns;
        if between < DRIFT_BASE_NS {
            return None;
        }
        let drift = (new.middle_ns() - old.middle_ns()) as f64 / between as f64;
        let error = (new.width_ns() + old.width_ns()) as f64 / 2.0 / between as f64 + WANDER;
        Some(Rate { drift, error, at_ns: now_ns })
    }
}

/// Rounds to whole nanoseconds; what is rounded here is far below the 2^53 up to which an f64 is exact.
#[allow(clippy::cast_possible_truncation)]
fn round(ns: f64) -> i64 {
    ns.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;
    const START: i64 = 1_763_000_000_000_000_000;

    /// A Redis server whose clock drifts, and is set now and then.
    #[derive(Debug, Clone)]
    struct Server {
        drift_ppm: i64,
        /// When, and by how much, ns.
        steps: Vec<(i64, i64)>,
    }

    impl Server {
        fn redis_ns(&self, local_ns: i64) -> i64 {
            let stepped: i64 = self.steps.iter().filter(|(at, _)| *at <= local_ns).map(|(_, size)| size).sum();
            START + local_ns + local_ns / 1_000_000 * self.drift_ppm + stepped
        }

        /// A probe that takes `there` and `back`, ns.
        fn probe(&self, sent_ns: i64, there: i64, back: i64) -> Probe {
            let redis_us = self.redis_ns(sent_ns + there).div_euclid(1000);
            Probe { sent_ns, received_ns: sent_ns + there + back, redis_us }
        }

        /// The error of the filter at a local time, and the bound that it states.
        fn error_ns(&self, filter: &Filter, local_ns: i64) -> (i64, i64) {
            let (redis_ns, bound) = filter.line().unwrap().redis_ns(local_ns);
            ((redis_ns - self.redis_ns(local_ns)).abs(), bound)
        }
    }

    fn delay() -> impl Strategy<Value = i64> {
        // Mostly tens of microseconds, at times many milliseconds.
        prop_oneof![8 => 10_000i64..60_000, 2 => 100_000i64..2_000_000, 1 => 5 * MS..80 * MS]
    }

    #[test]
    fn one_probe_gives_the_middle_of_its_round_trip() {
        let mut filter = Filter::default();
        filter.add(&Probe { sent_ns: 0, received_ns: 40_000, redis_us: 5_000 });
        let (redis_ns, bound) = filter.line().unwrap().redis_ns(20_000);
        assert_eq!(redis_ns, 5_000_500);
        assert!((20_500..20_600).contains(&bound), "{bound}");
    }

    #[test]
    fn a_quick_way_there_and_a_quick_way_back_are_enough() {
        let server = Server { drift_ppm: 0, steps: Vec::new() };
        let mut filter = Filter::default();
        // Each round trip takes a millisecond, so that the first alone leaves an error of nearly half of one.
        filter.add(&server.probe(0, 10_000, 990_000));
        let alone = server.error_ns(&filter, MS);
        filter.add(&server.probe(2 * MS, 990_000, 10_000));
        let together = server.error_ns(&filter, 4 * MS);
        assert!(alone.0 > 480_000 && together.0 < 5_000 && together.1 < 20_000, "{alone:?} {together:?}");
    }

    #[test]
    fn the_drift_is_learned() {
        for drift_ppm in [-100, -37, 0, 42, 100] {
            let server = Server { drift_ppm, steps: Vec::new() };
            let mut filter = Filter::default();
            for tick in 0..300 {
                filter.add(&server.probe(tick * 100 * MS, 15_000, 15_000));
            }
            let line = filter.line().unwrap();
            assert!((line.drift * 1e6 - drift_ppm as f64).abs() < 0.2, "{drift_ppm}: {line:?}");
            assert!(line.drift_error < 5e-6, "{line:?}");
        }
    }

    #[test]
    fn a_redis_that_is_away_widens_the_bound_and_nothing_else() {
        let server = Server { drift_ppm: 80, steps: Vec::new() };
        let mut filter = Filter::default();
        for tick in 0..100 {
            filter.add(&server.probe(tick * 100 * MS, 15_000, 15_000));
        }
        let back = 10_000 * MS + 60_000 * MS;
        let (error, bound) = server.error_ns(&filter, back);
        assert!(error <= bound && bound < 1_000_000, "{error} {bound}");
        assert_eq!(filter.add(&server.probe(back, 15_000, 15_000)), Verdict::Agrees);
        assert_eq!(filter.steps(), 0);
    }

    #[test]
    fn a_changed_drift_is_no_step() {
        let mut filter = Filter::default();
        let (before, after) =
            (Server { drift_ppm: -100, steps: Vec::new() }, Server { drift_ppm: 100, steps: Vec::new() });
        for tick in 0..200 {
            filter.add(&before.probe(tick * 100 * MS, 15_000, 15_000));
        }
        let change = 20_000 * MS;
        let joined = before.redis_ns(change) - after.redis_ns(change);
        for tick in 1..200 {
            let probe = after.probe(change + tick * 100 * MS, 15_000, 15_000);
            filter.add(&Probe { redis_us: probe.redis_us + joined / 1000, ..probe });
        }
        assert_eq!(filter.steps(), 0);
        assert!((filter.line().unwrap().drift * 1e6 - 100.0).abs() < 1.0, "{:?}", filter.line());
    }

    proptest! {
        /// Whatever the delays, and with any drift that crystals have, the true error is within the stated bound.
        #[test]
        fn the_bound_holds(
            drift_ppm in -100i64..=100,
            delays in prop::collection::vec((delay(), delay()), 1..400),
            period in 50 * MS..200 * MS,
        ) {
            let server = Server { drift_ppm, steps: Vec::new() };
            let mut filter = Filter::default();
            let mut now = 0;
            for (there, back) in delays {
                prop_assert_eq!(filter.add(&server.probe(now, there, back)), Verdict::Agrees);
                // Stamps are converted for moments before, at and after the newest probe.
                for moment in [now - 50 * MS, now + there, now + there + back, now + there + back + period] {
                    let (error, bound) = server.error_ns(&filter, moment);
                    prop_assert!(error <= bound, "{error} > {bound} at {moment}");
                }
                now += there + back + period;
            }
        }

        /// Bursts of slow probes leave the estimate as good as the quick ones around them made it.
        #[test]
        fn slow_probes_do_no_harm(drift_ppm in -100i64..=100, slow in prop::collection::vec((5 * MS..500 * MS, 5 * MS..500 * MS), 1..20)) {
            let server = Server { drift_ppm, steps: Vec::new() };
            let mut filter = Filter::default();
            let mut now = 0;
            for _ in 0..100 {
                filter.add(&server.probe(now, 15_000, 15_000));
                now += 100 * MS;
            }
            for (there, back) in slow {
                filter.add(&server.probe(now, there, back));
                now += there + back;
                let (error, bound) = server.error_ns(&filter, now);
                prop_assert!(error <= bound && bound < 400_000, "{error} {bound}");
            }
        }

        /// A step, forwards or backwards, is found by the next probe, with its size; from then on the bound holds again.
        #[test]
        fn a_step_is_found_and_measured(
            drift_ppm in -100i64..=100,
            size in prop_oneof![-10_000_000 * MS..-2 * MS, 2 * MS..10_000_000 * MS],
            quiet in 1i64..100,
        ) {
            let at = quiet * 100 * MS + 50 * MS;
            let server = Server { drift_ppm, steps: vec![(at, size)] };
            let mut filter = Filter::default();
            for tick in 0..=quiet {
                prop_assert_eq!(filter.add(&server.probe(tick * 100 * MS, 20_000, 20_000)), Verdict::Agrees);
            }
            let verdict = filter.add(&server.probe((quiet + 1) * 100 * MS, 20_000, 20_000));
            let Verdict::Stepped(Step { size_us: found_us, .. }) = verdict else { return Err(TestCaseError::fail(format!("{verdict:?}"))) };
            prop_assert!((found_us - size / 1000).abs() < 200, "{found_us} µs found, {size} ns made");
            for tick in 2..20 {
                let now = (quiet + tick) * 100 * MS;
                filter.add(&server.probe(now, 20_000, 20_000));
                let (error, bound) = server.error_ns(&filter, now + 60 * MS);
                prop_assert!(error <= bound && bound < 100_000, "{error} {bound}");
            }
            prop_assert_eq!(filter.steps(), 1);
        }
    }
}
