//! What a load of users measured beside its HTTP side as a whole: its steps, its rounds, its failures.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A load by users who go through steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// The most users at a time, without those whose start failed.
    pub users: u32,
    /// A user waits for its answers before it goes on, and nothing makes a round due: load may be withheld.
    pub closed: bool,
    /// Its steps, in the order of the plan; `on_start` and `on_stop` are not among them.
    pub steps: Vec<StepLoad>,
    /// Rounds by task, in the order of the plan.
    pub rounds: Vec<Rounds>,
    /// Rounds of all tasks together; its task is empty.
    pub all_rounds: Rounds,
    /// From the intended send to the actual one, of all requests: what the generator was late.
    #[serde(default)]
    pub send_delay: Times,
    /// What went wrong, most frequent first; at most 100 kinds, then "others".
    pub failures: Vec<Failure>,
    /// Spawning, `on_start`, warm-up and `on_stop`: beside the measured time.
    pub around: Around,
    /// The level is of stages: the number of users changed while it was measured, so that its percentiles are told over time only.
    #[serde(default)]
    pub staged: bool,
}

/// One step of all users.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepLoad {
    /// Its name.
    pub name: String,
    /// Its number: the bits of message ids above the sequence.
    pub number: u16,
    /// Whether its requests are traced messages.
    pub traced: bool,
    /// Requests, those that were asked for again once.
    pub requests: u64,
    /// Requests whose answer was as expected.
    pub accepted: u64,
    /// Answers that were asked for again.
    pub retries: u64,
    /// Failures by kind, without the step's name.
    pub errors: BTreeMap<String, u64>,
    /// From the intended send to the whole answer, of accepted requests.
    pub response: Times,
}

/// Rounds of one task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rounds {
    /// The task.
    pub task: String,
    /// Rounds that began, also those that the end of the load cut before their first request.
    #[serde(default)]
    pub begun: u64,
    /// Rounds that were ended, well or not.
    pub ended: u64,
    /// Those in which a step failed.
    pub failed: u64,
    /// From the intended start to the end, pauses included, of rounds without a failure.
    pub whole: Times,
    /// Of these the time that was spent waiting for answers.
    pub waiting: Times,
    /// Mean of the pauses of a round, µs.
    pub pauses_us: f64,
}

/// Times, µs; absent where there were none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Their mean.
    pub mean_us: Option<f64>,
    /// Their median.
    pub p50_us: Option<u64>,
    /// Their 99th percentile.
    pub p99_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
}

/// One kind of failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `add: status 409`.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first answer of the kind: 4 KB at most, secrets masked; absent where there was none.
    pub answer: Option<String>,
}

/// What happened beside the measured time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Around {
    /// From the first user's start until all were there, µs; with the warm-up.
    pub spawn_us: u64,
    /// Steps of `on_start`, of rounds before the measured time, and of `on_stop`.
    pub steps: Vec<StepLoad>,
}
