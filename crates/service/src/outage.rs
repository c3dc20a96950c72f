//! One line when a server goes away and one when it is back, however many connections a process has to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether an outage has been told. Cheap to clone; all clones are the same outage.
#[derive(Debug, Clone, Default)]
pub struct Outage {
    told: Arc<AtomicBool>,
}

impl Outage {
    /// A connection has failed: true when that is news.
    pub fn begins(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// A connection works: true when that is news.
    pub fn ends(&self) -> bool {
        // Most of the time there is nothing to change: a load costs less than a swap.
        self.told.load(Ordering::Relaxed) && self.told.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_its_end_is_told_once() {
        let (one, other) = (Outage::default(), Outage::default());
        let clone = one.clone();
        assert!(!one.ends());
        assert!(one.begins() && !clone.begins());
        assert!(clone.ends() && !one.ends());
        assert!(one.begins() && other.begins());
    }
}
