//! How much load there is.

use std::time::Duration;

/// How much load there is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Load {
    /// How it is measured out.
    pub amount: Amount,
    /// How many users begin a second; absent: all at once.
    pub spawn: Option<f64>,
    /// Users at the most, where rounds are due by a rate.
    pub max_users: Option<u32>,
    /// How such rounds are spaced.
    pub arrivals: Arrivals,
    /// Before it, and counted nowhere.
    pub warmup: Option<Duration>,
    /// How long it lasts, from the moment at which all users are there.
    pub duration: Option<Duration>,
    /// It ends earlier when so many requests have been sent.
    pub requests: Option<u64>,
    /// How often each level is measured.
    pub repeat: u32,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// Seed of everything random.
    pub seed: Option<u64>,
}

/// How load is measured out.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    /// By users, each of whom waits for answers: a level for each number.
    Users(Vec<u32>),
    /// By rounds a second, whatever the answers: a level for each rate.
    Rates(Vec<f64>),
    /// By a number of users that changes.
    Stages(Vec<Stage>),
}

impl Default for Amount {
    fn default() -> Self {
        Self::Users(vec![1])
    }
}

impl Load {
    /// Users at the most, where rounds are due by a rate and nothing is said.
    pub const MAX_USERS: u32 = 1000;

    /// The most users at a time.
    pub fn most_users(&self) -> u32 {
        match &self.amount {
            Amount::Users(levels) => levels.iter().copied().max().unwrap_or(0),
            Amount::Rates(_) => self.max_users.unwrap_or(Self::MAX_USERS),
            Amount::Stages(stages) => stages.iter().map(|stage| stage.to).max().unwrap_or(0),
        }
    }
}

/// How rounds of an open loop are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// Evenly.
    #[default]
    Constant,
    /// As independent users come.
    Poisson,
}

/// The number of users changes to `to` over this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Users at its end.
    pub to: u32,
    /// How long it takes.
    pub over: Duration,
}
