//! What processing may take of the machine. A job says before it begins what it costs; one that would cost more than is left is refused.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Thousandths of a core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Millicores(pub u32);

impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} thousandths of a core", self.0)
    }
}

/// A job would cost more than is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it would take {asked}, and {left} are left for processing on this node: use another node")]
pub struct OverBudget {
    /// What it would cost.
    pub asked: Millicores,
    /// What is left.
    pub left: Millicores,
}

/// The budget.
#[derive(Clone, Debug)]
pub struct Budget {
    total: Millicores,
    used: Arc<AtomicU32>,
}

impl Budget {
    /// A budget of so much.
    pub fn new(total: Millicores) -> Self {
        Self { total, used: Arc::default() }
    }

    /// All of it.
    pub fn total(&self) -> Millicores {
        self.total
    }

    /// What is reserved.
    pub fn used(&self) -> Millicores {
        Millicores(self.used.load(Ordering::Relaxed))
    }

    /// Sets aside what a job costs, as long as the reservation is kept.
    pub fn reserve(&self, cost: Millicores) -> Result<Reservation, OverBudget> {
        let take = |used: u32| used.checked_add(cost.0).filter(|sum| *sum <= self.total.0);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(Reservation { cost, used: self.used.clone() }),
            Err(used) => Err(OverBudget { asked: cost, left: Millicores(self.total.0.saturating_sub(used)) }),
        }
    }
}

/// A part of the budget that a job has.
#[derive(Debug)]
pub struct Reservation {
    cost: Millicores,
    used: Arc<AtomicU32>,
}

impl Reservation {
    /// What is set aside.
    pub fn cost(&self) -> Millicores {
        self.cost
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.used.fetch_sub(self.cost.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_budget_is_refused_and_what_ends_gives_its_part_back() {
        let budget = Budget::new(Millicores(500));
        let first = budget.reserve(Millicores(300)).unwrap();
        let refused = budget.reserve(Millicores(201)).unwrap_err();
        assert_eq!(refused, OverBudget { asked: Millicores(201), left: Millicores(200) });
        assert!(refused.to_string().contains("200 thousandths of a core are left"));
        let second = budget.reserve(Millicores(200)).unwrap();
        assert_eq!(budget.used(), Millicores(500));
        drop(first);
        drop(second);
        assert_eq!(budget.used(), Millicores(0));
        assert!(budget.reserve(Millicores(u32::MAX)).is_err());
    }
}
