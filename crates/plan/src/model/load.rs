//! How much load there is.

use std::time::Duration;

/// How much load there is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Load {
    /// How it is measured out.
    pub amount: Amount,
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
    /// By users, each of whom waits for answers.
    Users {
        /// How many.
        users: u32,
        /// How many begin a second; absent: all at once.
        spawn: Option<f64>,
    },
    /// By rounds a second, whatever the answers.
    Rate {
        /// Rounds a second.
        rate: f64,
        /// Users at the most.
        max_users: Option<u32>,
        /// How rounds are spaced.
        arrivals: Arrivals,
    },
    /// By a number of users that changes.
    Stages(Vec<Stage>),
    /// A level after another.
    Levels(Levels),
}

impl Default for Amount {
    fn default() -> Self {
        Self::Users { users: 1, spawn: None }
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

/// The levels of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub enum Levels {
    /// Users.
    Users(Vec<u32>),
    /// Rounds a second.
    Rates(Vec<f64>),
}
