//! How much each part of a pipeline carries by itself, and how many of each a target takes. Pure.

use crate::statistics::student;
use serde::Serialize;

/// What one part carries, one process of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartCapacity {
    /// `apiserver`, `pushserver`, `mqttclient`.
    pub part: String,
    /// Messages a second, each time that it was measured.
    pub measured: Vec<f64>,
    /// Their geometric mean.
    pub per_sec: f64,
    /// The 95 % interval of that, by Student's t on logarithms; absent where it was measured once.
    pub interval: Option<(f64, f64)>,
    /// Processor time for each message, µs; absent where nobody tells.
    pub cpu_us_per_message: Option<f64>,
    /// Processors that it can keep busy.
    pub cores: f64,
    /// Messages a second that these processors would carry by that time: the second opinion.
    pub by_cpu_per_sec: Option<f64>,
}

impl PartCapacity {
    /// From what was measured, each time in messages a second and µs of processor time a message. None where nothing was.
    pub fn new(part: &str, cores: f64, measured: &[(f64, Option<f64>)]) -> Option<Self> {
        let rates: Vec<f64> = measured.iter().map(|(rate, _)| *rate).filter(|rate| *rate > 0.0).collect();
        if rates.is_empty() {
            return None;
        }
        let count = rates.len() as f64;
        let mean = rates.iter().map(|rate| rate.ln()).sum::<f64>() / count;
        let squares: f64 = rates.iter().map(|rate| (rate.ln() - mean).powi(2)).sum();
        let interval = (rates.len() > 1).then(|| {
            let half = student::two_sided_95(count - 1.0) * (squares / (count - 1.0) / count).sqrt();
            ((mean - half).exp(), (mean + half).exp())
        });
        let spent: Vec<f64> = measured.iter().filter_map(|(_, cpu_us)| *cpu_us).filter(|us| *us > 0.0).collect();
        let cpu_us = (!spent.is_empty()).then(|| spent.iter().sum::<f64>() / spent.len() as f64);
        Some(Self {
            part: part.to_owned(),
            per_sec: mean.exp(),
            interval,
            cpu_us_per_message: cpu_us,
            cores,
            by_cpu_per_sec: cpu_us.map(|us| cores * 1e6 / us),
            measured: rates,
        })
    }
}

/// How many of each part a target takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sizing {
    /// Messages a second.
    pub target_per_sec: f64,
    /// The part of its capacity at which each process is to run, 0 to 1.
    pub headroom: f64,
    /// The parts, in the order of the stream.
    pub parts: Vec<PartCapacity>,
    /// So many of each: ceil(target / (capacity × headroom)).
    pub replicas: Vec<u32>,
    /// The same as a ratio: `1:29:3`.
    pub ratio: String,
    /// How the whole did at the target, with so many of each; absent where that was not tried.
    pub confirmed: Option<Confirmed>,
}

/// How the whole pipeline did at the target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confirmed {
    /// Everything held.
    pub verified: bool,
    /// What did not; absent where everything did.
    pub why: Option<String>,
    /// The part that fell short; absent where none did, or nobody can tell.
    pub weakest: Option<String>,
    /// The id of its report.
    pub report: String,
}

impl Sizing {
    /// How many of these parts a target takes.
    pub fn new(target_per_sec: f64, headroom: f64, parts: Vec<PartCapacity>) -> Self {
        let needed = |part: &PartCapacity| replicas(target_per_sec, part.per_sec, headroom);
        let replicas: Vec<u32> = parts.iter().map(needed).collect();
        let ratio = replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(":");
        Self { target_per_sec, headroom, parts, replicas, ratio, confirmed: None }
    }

    /// How many of a part.
    pub fn of(&self, part: &str) -> Option<u32> {
        let at = self.parts.iter().position(|one| one.part == part)?;
        self.replicas.get(at).copied()
    }

    /// The processors that all these processes can keep busy together.
    pub fn cores(&self) -> f64 {
        self.parts.iter().zip(&self.replicas).map(|(part, count)| part.cores * f64::from(*count)).sum()
    }
}

/// ceil(target / (capacity × headroom)), 1 at least.
fn replicas(target: f64, capacity: f64, headroom: f64) -> u32 {
    // What a division leaves beyond a whole number by rounding alone takes no further process.
    let needed = (target / (capacity * headroom) - 1e-9).ceil().clamp(1.0, f64::from(u32::MAX));
    // Clamped to what a u32 holds.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let needed = needed as u32;
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, rate: f64) -> PartCapacity {
        PartCapacity::new(name, 1.0, &[(rate, None)]).unwrap()
    }

    #[test]
    fn a_published_ratio_is_short_of_one() {
        // Capacities of 10,000, 350 and 3,500 messages a second were published as 1:28:3, which carries 28 × 350 = 9,800 of 10,000.
        let parts = vec![part("apiserver", 10_000.0), part("pushserver", 350.0), part("mqttclient", 3500.0)];
        assert_eq!(Sizing::new(10_000.0, 1.0, parts.clone()).ratio, "1:29:3");
        assert_eq!(Sizing::new(10_000.0, 0.8, parts).ratio, "2:36:4");
    }

    #[test]
    fn repetitions_give_an_interval_and_processor_time_a_second_opinion() {
        let part =
            PartCapacity::new("pushserver", 0.5, &[(990.0, Some(400.0)), (1000.0, Some(500.0)), (1010.0, Some(600.0))])
                .unwrap();
        let (low, high) = part.interval.unwrap();
        assert!((part.per_sec - 1000.0).abs() < 1.0 && low < 990.0 && high > 1010.0, "{part:?}");
        assert_eq!((part.cpu_us_per_message, part.by_cpu_per_sec), (Some(500.0), Some(1000.0)));
        assert_eq!(PartCapacity::new("pushserver", 0.5, &[]), None);
    }
}
