//! A part of the service's readiness that several clients hold together: there when each of them has it.

use service::Part;
use std::sync::{Arc, Mutex, PoisonError};

/// One client's share in a part.
#[derive(Debug)]
pub(crate) struct Member {
    part: Part,
    missing: Arc<Mutex<usize>>,
    there: bool,
}

/// Splits a part among `count` clients, none of which has it yet.
pub(crate) fn split(part: &Part, count: usize) -> impl Iterator<Item = Member> + use<> {
    let (part, missing) = (part.clone(), Arc::new(Mutex::new(count)));
    (0..count).map(move |_| Member { part: part.clone(), missing: missing.clone(), there: false })
}

impl Member {
    /// Says whether this client has it now.
    pub(crate) fn set(&mut self, there: bool) {
        if there == self.there {
            return;
        }
        self.there = there;
        // Held until the part knows: else two clients on two threads could tell it in the wrong order.
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        *missing = if there { *missing - 1 } else { *missing + 1 };
        self.part.set(*missing == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::Readiness;

    #[test]
    fn a_part_is_there_when_each_member_has_it() {
        let readiness = Readiness::default();
        let part = readiness.part("mqtt");
        let mut members: Vec<Member> = split(&part, 2).collect();
        let waits = || readiness.waiting_for().contains(&"mqtt");
        members[0].set(true);
        members[0].set(true);
        assert!(waits());
        members[1].set(true);
        assert!(!waits());
        members[0].set(false);
        members[1].set(false);
        members[0].set(true);
        assert!(waits());
        members[1].set(true);
        assert!(!waits());
    }
}
