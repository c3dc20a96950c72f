//! What a plan is read from. Nothing is read behind its back, so that tests need neither files nor an environment.

use crate::model::Amount;
use std::path::PathBuf;

/// A plan file, and what is set from outside.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Its name, as errors show it.
    pub name: String,
    /// Its text.
    pub text: &'a str,
    /// The folder that the files which it names are looked for in.
    pub folder: PathBuf,
    /// `--set NAME=VALUE`, over the file's `params`; the last of a name counts.
    pub set: Vec<(String, String)>,
    /// A log store is named from outside (`--redis`, `STAMPEDE_REDIS`): messages are traced although the plan names none.
    pub traced: bool,
    /// How much load there is, instead of what the file says.
    pub amount: Option<Amount>,
    /// What is wrong with a threshold, where something is. Figures of steps and rounds are checked by the plan itself.
    pub threshold: fn(&str) -> Option<String>,
    /// The value of a variable of the environment.
    pub environment: fn(&str) -> Option<String>,
}

impl<'a> Input<'a> {
    /// A text alone: no variables, files beside the current folder.
    pub fn new(name: &str, text: &'a str) -> Self {
        Self {
            name: name.to_owned(),
            text,
            folder: PathBuf::from("."),
            set: Vec::new(),
            traced: false,
            amount: None,
            threshold: |_| None,
            environment: |_| None,
        }
    }
}
