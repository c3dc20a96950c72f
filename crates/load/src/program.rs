//! What users do, compiled: names have become numbers, texts templates.

use crate::answer::Expected;
use crate::status::StatusSet;
use crate::stream::Endpoint;
use crate::table::Table;
use crate::template::{Part, Source, Template};
use crate::value::Slot;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Who makes a load, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Program {
    /// Where requests go.
    pub sites: Vec<Endpoint>,
    /// All steps. Their numbers here are those in the ids of their messages, where ids are by step.
    pub steps: Vec<Step>,
    /// The kinds of users.
    pub kinds: Vec<Kind>,
    /// Tables of values.
    pub tables: Vec<Table>,
    /// What users keep.
    pub slots: Vec<Slot>,
    /// Whether ids are by step, and figures told for each step. Else they are by user, of whom there are [`stamp::MsgId::CONNECTIONS`] at most.
    pub by_step: bool,
}

/// One request of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// What figures call it.
    pub name: String,
    /// What is sent.
    pub template: Template,
    /// Where to: the number of a site.
    pub site: usize,
    /// Whether it is a traced message.
    pub traced: bool,
    /// What must be answered, and what is kept of that.
    pub expected: Expected,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The shortest and the longest pause before it.
    pub think: Option<(Duration, Duration)>,
    /// Answers that are asked for again: with these statuses, so often.
    pub retry: Option<(StatusSet, u32)>,
    /// It is sent after a failure of its round, too, where all that it needs was kept.
    pub always: bool,
    /// How often it is sent, one after another.
    pub repeat: u32,
    /// It is left out unless this is kept.
    pub when: Option<usize>,
}

/// A kind of user. Steps are numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kind {
    /// How many of all users are of it.
    pub share: Share,
    /// The tables that its users take rows of.
    pub tables: Vec<usize>,
    /// A round is due each time that so much has passed.
    pub pace: Option<Duration>,
    /// Whether cookies are kept and sent.
    pub cookies: bool,
    /// When a user begins.
    pub on_start: Vec<usize>,
    /// What it does, round after round.
    pub tasks: Vec<Task>,
    /// When it stops.
    pub on_stop: Vec<usize>,
    /// What a failed step ends.
    pub on_failure: OnFailure,
}

/// How many users are of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Share {
    /// In proportion to the weights of the others.
    Weight(f64),
    /// So many.
    Count(u32),
}

/// What a failed step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// Its round.
    Round,
    /// Nothing: the next step follows.
    Next,
    /// Its user.
    User,
    /// The load.
    Load,
}

/// Steps one after another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// What figures call it.
    pub name: String,
    /// How often it is drawn, in proportion to the others of its kind.
    pub weight: f64,
    /// Its steps.
    pub steps: Vec<usize>,
}

impl Program {
    /// The same request again and again.
    pub fn single(
        endpoint: Endpoint,
        template: Template,
        accept: StatusSet,
        timeout: Duration,
        think: Option<(Duration, Duration)>,
    ) -> Self {
        let step = Step {
            name: String::new(),
            template,
            site: 0,
            traced: true,
            expected: Expected::status(accept),
            timeout,
            think,
            retry: None,
            always: false,
            repeat: 1,
            when: None,
        };
        let task = Task { name: String::new(), weight: 1.0, steps: vec![0] };
        let kind = Kind { tasks: vec![task], on_failure: OnFailure::Next, ..Kind::default() };
        Self {
            sites: vec![endpoint],
            steps: vec![step],
            kinds: vec![kind],
            tables: Vec::new(),
            slots: Vec::new(),
            by_step: false,
        }
    }

    /// How many users of each kind each of several generators has, where these have so many users: in the sum each kind has its share as exactly as whole
    /// users allow, and so it is with each generator.
    pub(crate) fn counts_of(&self, users: &[u32]) -> Vec<Vec<u32>> {
        let counts = shares(&self.kinds.iter().map(|kind| kind.share).collect::<Vec<_>>(), users.iter().sum());
        let mut of_each = vec![vec![0; self.kinds.len()]; users.len()];
        let mut kinds = counts.iter().enumerate().flat_map(|(kind, &count)| (0..count).map(move |_| kind));
        for generator in mixed(users) {
            if let Some(kind) = kinds.next() {
                of_each[generator][kind] += 1;
            }
        }
        of_each
    }

    /// How many of these users, so many of each kind, take rows of a table.
    pub(crate) fn takers(&self, table: usize, counts: &[u32]) -> u32 {
        counts.iter().zip(&self.kinds).filter(|(_, kind)| kind.tables.contains(&table)).map(|(count, _)| count).sum()
    }

    /// How many of so many users take rows of this table.
    pub fn users_with(&self, table: usize, users: u32) -> u32 {
        let counts = shares(&self.kinds.iter().map(|kind| kind.share).collect::<Vec<_>>(), users);
        self.takers(table, &counts)
    }

    /// Whether users of this kind need a key of their own.
    pub(crate) fn proves(&self, kind: &Kind) -> bool {
        let is_proof = |part: &Part| matches!(part, Part::Value { source: Source::Proof { .. }, .. });
        kind.steps().any(|step| self.steps[step].template.parts().any(is_proof))
    }
}

impl Default for Kind {
    /// Users who do nothing.
    fn default() -> Self {
        Self {
            share: Share::Weight(1.0),
            tables: Vec::new(),
            pace: None,
            cookies: false,
            on_start: Vec::new(),
            tasks: Vec::new(),
            on_stop: Vec::new(),
            on_failure: OnFailure::Round,
        }
    }
}

impl Kind {
    /// The numbers of all its steps.
    fn steps(&self) -> impl Iterator<Item = usize> {
        let tasks = self.tasks.iter().flat_map(|task| &task.steps);
        self.on_start.iter().chain(tasks).chain(&self.on_stop).copied()
    }
}

/// What there is so many times each, evenly mixed; by number.
pub(crate) fn mixed(counts: &[u32]) -> impl Iterator<Item = usize> {
    let places = counts
        .iter()
        .enumerate()
        .flat_map(|(which, &count)| (0..count).map(move |at| ((f64::from(at) + 0.5) / f64::from(count), which)));
    let mut places: Vec<(f64, usize)> = places.collect();
    places.sort_by(|one, other| one.0.total_cmp(&other.0));
    places.into_iter().map(|(_, which)| which)
}

/// How many of so many users are of each kind: first the counts, then the weights by largest remainder.
fn shares(all: &[Share], users: u32) -> Vec<u32> {
    let mut left = users;
    let mut counts: Vec<u32> = all
        .iter()
        .map(|share| match share {
            Share::Count(count) => {
                let count = (*count).min(left);
                left -= count;
                count
            }
            Share::Weight(_) => 0,
        })
        .collect();
    let weight = |share: &Share| if let Share::Weight(weight) = share { *weight } else { 0.0 };
    let sum: f64 = all.iter().map(weight).sum();
    if sum <= 0.0 {
        return counts;
    }
    let exact: Vec<f64> = all.iter().map(|share| f64::from(left) * weight(share) / sum).collect();
    // Both are at most the number of users.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = |exact: f64| exact.floor() as u32;
    for (count, exact) in counts.iter_mut().zip(&exact) {
        *count += whole(*exact);
    }
    let mut rest = left - exact.iter().map(|&exact| whole(exact)).sum::<u32>().min(left);
    let mut by_remainder: Vec<usize> = (0..all.len()).filter(|&at| exact[at] > 0.0).collect();
    by_remainder.sort_by(|&one, &other| exact[other].fract().total_cmp(&exact[one].fract()));
    for at in by_remainder {
        counts[at] += rest.min(1);
        rest = rest.saturating_sub(1);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn users_are_shared_out_as_exactly_as_whole_ones_allow() {
        use Share::{Count, Weight};
        assert_eq!(shares(&[Weight(1.0), Weight(2.0)], 100), [33, 67]);
        assert_eq!(shares(&[Count(3), Weight(1.0), Weight(1.0)], 10), [3, 4, 3]);
        assert_eq!(shares(&[Count(30)], 10), [10]);
        assert_eq!(shares(&[Weight(1.0), Weight(1.0), Weight(1.0)], 1), [1, 0, 0]);
    }

    #[test]
    fn every_generator_has_users_of_every_kind() {
        let kind = |share| Kind { share, ..Kind::default() };
        let kinds = vec![kind(Share::Weight(1.0)), kind(Share::Weight(1.0)), kind(Share::Count(3))];
        let program = Program {
            sites: Vec::new(),
            steps: Vec::new(),
            kinds,
            tables: Vec::new(),
            slots: Vec::new(),
            by_step: true,
        };
        // In a row, every other user is of the first kind: those of two generators must nevertheless be mixed.
        assert_eq!(program.counts_of(&[10, 9]), [[4, 4, 2], [4, 4, 1]]);
        assert_eq!(program.counts_of(&[1, 1, 1, 0]), [[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]]);
    }

    proptest! {
        #[test]
        fn no_user_is_lost(weights in prop::collection::vec(0.1f64..10.0, 1..6), users in 0u32..5000) {
            let all: Vec<Share> = weights.iter().copied().map(Share::Weight).collect();
            let counts = shares(&all, users);
            prop_assert_eq!(counts.iter().sum::<u32>(), users);
            let sum: f64 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!((f64::from(*count) - f64::from(users) * weight / sum).abs() < 1.0 + 1e-6);
            }
        }
    }
}
