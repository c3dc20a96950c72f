//! The distribution of latencies of which some are only known to be longer than so much.

/// Latencies by size, with the part of all messages that had arrived by then.
#[derive(Debug)]
pub struct Survival {
    /// Measured latencies, rising.
    sorted: Vec<i64>,
    /// For each of them the part of all messages that take no longer; absent where nothing is censored and the rank tells it.
    arrived: Option<Vec<f64>>,
    censored: usize,
}

impl Survival {
    /// Estimates it as E. L. Kaplan and P. Meier (1958) do: a censored message counts as under way up to when it was last seen, and no
    /// longer. Without censored ones that is the share of ranks.
    pub fn new(mut measured: Vec<i64>, mut censored: Vec<i64>) -> Self {
        measured.sort_unstable();
        censored.sort_unstable();
        let arrived = (!censored.is_empty()).then(|| product_limit(&measured, &censored));
        Self { sorted: measured, arrived, censored: censored.len() }
    }

    /// All messages, measured and censored.
    pub fn len(&self) -> usize {
        self.sorted.len() + self.censored
    }

    pub fn censored(&self) -> usize {
        self.censored
    }

    /// The longest that was measured.
    pub fn max(&self) -> Option<i64> {
        self.sorted.last().copied()
    }

    /// The smallest latency that at least this part of all messages do not exceed (Hyndman & Fan 1996, definition 1). `None` where it lies
    /// beyond what was measured.
    pub fn quantile(&self, level: f64) -> Option<i64> {
        let index = match &self.arrived {
            // What only rounding has put above a whole rank is that rank.
            None => index_of((level * self.sorted.len() as f64 - 1e-9).ceil()),
            Some(arrived) => arrived.partition_point(|&part| part < level - 1e-12),
        };
        self.sorted.get(index).copied()
    }

    /// The latency at a level between two ranks: the line between their values, rounded by `round`. `None` where it lies beyond what
    /// was measured.
    pub fn at(&self, level: f64, round: fn(f64) -> f64) -> Option<i64> {
        if self.arrived.is_some() {
            return self.quantile(level);
        }
        let rank = (level * self.sorted.len() as f64).max(1.0);
        let (below, above) = (self.sorted.get(index_of(rank.floor()))?, self.sorted.get(index_of(rank.ceil()))?);
        let rest = round(rank.fract() * (above - below) as f64);
        // Between two values that are there.
        #[allow(clippy::cast_possible_truncation)]
        Some(below + rest as i64)
    }
}

/// The index of a rank, which counts from 1.
fn index_of(rank: f64) -> usize {
    // Beyond the end of all lists where it is infinite.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rank = rank.max(1.0) as usize;
    rank - 1
}

fn product_limit(measured: &[i64], censored: &[i64]) -> Vec<f64> {
    let mut under_way = 1.0;
    let mut at_risk = measured.len() + censored.len();
    let mut last_seen = censored.iter().peekable();
    measured
        .iter()
        .map(|latency| {
            // Who was last seen at the moment of an arrival was still under way then.
            while last_seen.next_if(|&seen| seen < latency).is_some() {
                at_risk -= 1;
            }
            under_way *= 1.0 - 1.0 / at_risk as f64;
            at_risk -= 1;
            1.0 - under_way
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_a_textbook() {
        // Remission times of the treated group in Freireich et al. (1963): S(6) = 0.857, S(10) = 0.753, S(23) = 0.448.
        let measured = vec![6, 6, 6, 7, 10, 13, 16, 22, 23];
        let censored = vec![6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
        let survival = Survival::new(measured, censored);
        let arrived = survival.arrived.as_ref().unwrap();
        for (index, expected) in [(2, 0.857), (4, 0.753), (8, 0.448)] {
            assert!((1.0 - arrived[index] - expected).abs() < 5e-4, "{arrived:?}");
        }
        assert_eq!((survival.quantile(0.5), survival.quantile(0.9)), (Some(23), None));
    }

    #[test]
    fn what_never_arrives_takes_longer_than_all_that_does() {
        let survival = Survival::new((1..=90).collect(), vec![1000; 10]);
        assert_eq!(
            (survival.quantile(0.5), survival.quantile(0.9), survival.quantile(0.91)),
            (Some(50), Some(90), None)
        );
    }

    proptest! {
        #[test]
        fn without_censoring_both_ways_agree(measured in prop::collection::vec(-1000i64..1000, 1..200), per_mille in 1u32..=1000) {
            let level = f64::from(per_mille) / 1000.0;
            let plain = Survival::new(measured.clone(), Vec::new());
            let mut sorted = measured;
            sorted.sort_unstable();
            let product = Survival { arrived: Some(product_limit(&sorted, &[])), sorted: sorted.clone(), censored: 0 };
            prop_assert_eq!(plain.quantile(level), product.quantile(level));
            // And with the definition.
            let found = plain.quantile(level).unwrap();
            let share = |count: usize| count * 1000;
            prop_assert!(share(sorted.iter().filter(|&&v| v <= found).count()) >= per_mille as usize * sorted.len());
            prop_assert!(share(sorted.iter().filter(|&&v| v < found).count()) < per_mille as usize * sorted.len());
        }
    }
}
