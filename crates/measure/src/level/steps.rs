//! Arrival latency of each traced step.

use super::Evidence;
use super::latency::{self, Negative};
use super::order::Order;
use crate::StepArrival;

/// One for each traced step of the load, in its order; none where the load had no steps.
pub(crate) fn all(evidence: &Evidence<'_>) -> Vec<StepArrival> {
    let steps = evidence.load.scenario.iter().flat_map(|scenario| &scenario.steps).filter(|step| step.traced);
    let arrival = |step: &crate::scenario::StepLoad| {
        let order = evidence.order.of_step(evidence.join, step.number);
        let part = Evidence { order: &order, ..*evidence };
        // What is below zero is counted with the whole.
        let (arrival, ..) = latency::between(&part, evidence.first(), evidence.last(), &mut Negative::default());
        let sampled = order.iter().len() as u64;
        StepArrival { name: step.name.clone(), number: step.number, sampled, arrival }
    };
    steps.map(arrival).collect()
}

impl Order {
    /// The messages of one step alone.
    fn of_step(&self, join: &crate::join::Join, step: u16) -> Self {
        self.filtered(|row| join.id(row).is_some_and(|id| id.connection() == step))
    }
}
