//! The answers of one level: moments that no message waits for, beside its way.

use super::{Evidence, latency::Negative};
use crate::join::MISSING;
use crate::statistics::Survival;
use crate::{Answer, Distribution};
use stamp::Stage;

/// The answers that are looked for on this path, each with the index of the stage that it answers. In the order in which a file of raw
/// stamps holds them, by name, so that it is read once.
pub(crate) fn of(path: &[Stage]) -> Vec<(usize, Stage)> {
    let place = |stage: &Stage| path.iter().position(|on_path| on_path == stage);
    let answers = Stage::ANSWERS.into_iter().filter(|(_, answer)| place(answer).is_none());
    let mut answers: Vec<(usize, Stage)> =
        answers.filter_map(|(stage, answer)| place(&stage).map(|at| (at, answer))).collect();
    answers.sort_by(|one, other| one.1.cmp(&other.1));
    answers
}

/// How long each of these answers took, where any was stamped, in path order. Their columns stand behind those of the path.
pub(crate) fn all(evidence: &Evidence<'_>, negative: &mut Negative) -> Vec<Answer> {
    let Evidence { path, join, order, .. } = *evidence;
    let mut told: Vec<(usize, Answer)> = Vec::new();
    for (index, (from, stage)) in of(path).into_iter().enumerate() {
        let column = path.len() + index;
        let mut measured = Vec::new();
        for (_, row) in order.iter() {
            let (begin, end) = (join.time(from, row), join.time(column, row));
            if begin != MISSING && end != MISSING {
                negative.note(end - begin, join.error(from, column, row));
                measured.push(end - begin);
            }
        }
        if !measured.is_empty() {
            let latency = Distribution::with(&measured, &Survival::new(measured.clone(), Vec::new()));
            told.push((from, Answer { from: path[from].clone(), stage, latency }));
        }
    }
    told.sort_by_key(|(from, _)| *from);
    told.into_iter().map(|(_, answer)| answer).collect()
}
