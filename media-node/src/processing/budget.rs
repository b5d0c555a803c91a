//! What processing may take of the machine. A job says before it begins what it costs; one that would cost more than is left is refused.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
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

/// What one thread can do at most.
pub const CORE: Millicores = Millicores(1_000);

/// The budget.
#[derive(Clone, Debug)]
pub struct Budget {
    total: Millicores,
    used: Arc<AtomicU32>,
    refused: Arc<AtomicU64>,
}

/// What is reserved on a thread, in thousandths of a core.
pub type Thread = Arc<AtomicU32>;

fn take(used: &AtomicU32, cost: Millicores, total: Millicores) -> Result<(), OverBudget> {
    let add = |used: u32| used.checked_add(cost.0).filter(|sum| *sum <= total.0);
    let left = |used: u32| Millicores(total.0.saturating_sub(used));
    let taken = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    taken.map(|_| ()).map_err(|used| OverBudget { asked: cost, left: left(used) })
}

impl Budget {
    /// A budget of so much.
    pub fn new(total: Millicores) -> Self {
        Self { total, used: Arc::default(), refused: Arc::default() }
    }

    /// All of it.
    pub fn total(&self) -> Millicores {
        self.total
    }

    /// What is reserved.
    pub fn used(&self) -> Millicores {
        Millicores(self.used.load(Ordering::Relaxed))
    }

    /// How often it was refused to reserve something.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Sets aside what a job costs on a thread, as long as the reservation is kept. A job runs on one thread, so a thread's jobs take no
    /// more than a core.
    pub fn reserve(&self, thread: &Thread, cost: Millicores) -> Result<Reservation, OverBudget> {
        let mut reservation = Reservation { cost: Millicores(0), budget: self.clone(), thread: thread.clone() };
        reservation.resize(cost)?;
        Ok(reservation)
    }

    fn take(&self, thread: &Thread, cost: Millicores) -> Result<(), OverBudget> {
        let taken = take(&self.used, cost, self.total).and_then(|()| {
            take(thread, cost, CORE).inspect_err(|_| {
                self.used.fetch_sub(cost.0, Ordering::Relaxed);
            })
        });
        taken.inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })
    }
}

/// A part of the budget that a job has.
#[derive(Debug)]
pub struct Reservation {
    cost: Millicores,
    budget: Budget,
    thread: Thread,
}

impl Reservation {
    /// What is set aside.
    pub fn cost(&self) -> Millicores {
        self.cost
    }

    /// Another part of the same budget, on the same thread.
    pub fn another(&self, cost: Millicores) -> Result<Reservation, OverBudget> {
        self.budget.reserve(&self.thread, cost)
    }

    /// Sets aside more, or less. If more is refused, it stays as it is.
    pub fn resize(&mut self, cost: Millicores) -> Result<(), OverBudget> {
        match cost.0.checked_sub(self.cost.0) {
            Some(more) => self.budget.take(&self.thread, Millicores(more))?,
            None => self.release(self.cost.0.saturating_sub(cost.0)),
        }
        self.cost = cost;
        Ok(())
    }

    fn release(&self, less: u32) {
        self.budget.used.fetch_sub(less, Ordering::Relaxed);
        self.thread.fetch_sub(less, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release(self.cost.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_over_the_budget_is_refused_and_what_ends_gives_its_part_back() {
        let (budget, thread) = (Budget::new(Millicores(500)), Thread::default());
        let mut first = budget.reserve(&thread, Millicores(300)).unwrap();
        let refused = budget.reserve(&thread, Millicores(201)).unwrap_err();
        assert_eq!(refused, OverBudget { asked: Millicores(201), left: Millicores(200) });
        assert!(refused.to_string().contains("200 thousandths of a core are left"));
        let second = first.another(Millicores(200)).unwrap();
        assert_eq!(budget.used(), Millicores(500));
        assert!(first.resize(Millicores(301)).is_err());
        assert_eq!(first.cost(), Millicores(300));
        first.resize(Millicores(100)).unwrap();
        first.resize(Millicores(250)).unwrap();
        assert_eq!(budget.used(), Millicores(450));
        drop(first);
        drop(second);
        assert_eq!((budget.used(), thread.load(Ordering::Relaxed)), (Millicores(0), 0));
        assert!(budget.reserve(&thread, Millicores(u32::MAX)).is_err());
        assert_eq!(budget.refused(), 3);
    }

    #[test]
    fn a_thread_has_no_more_than_a_core() {
        let (budget, threads) = (Budget::new(Millicores(1_600)), [Thread::default(), Thread::default()]);
        let _first = budget.reserve(&threads[0], Millicores(700)).unwrap();
        assert_eq!(budget.reserve(&threads[0], Millicores(400)).unwrap_err().left, Millicores(300));
        assert_eq!(budget.used(), Millicores(700), "what the thread refused is not kept");
        let _second = budget.reserve(&threads[1], Millicores(400)).unwrap();
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_taken_twice(steps in proptest::collection::vec((0usize..6, 0u32..700), 0..60)) {
            let (budget, thread) = (Budget::new(Millicores(800)), Thread::default());
            let mut kept: Vec<Option<Reservation>> = (0..6).map(|_| None).collect();
            for (at, cost) in steps {
                match &mut kept[at] {
                    Some(reservation) if cost > 0 => drop(reservation.resize(Millicores(cost))),
                    none @ None => *none = budget.reserve(&thread, Millicores(cost)).ok(),
                    some => *some = None,
                }
                let sum: u32 = kept.iter().flatten().map(|reservation| reservation.cost().0).sum();
                prop_assert_eq!((budget.used().0, thread.load(Ordering::Relaxed)), (sum, sum));
                prop_assert!(sum <= 800);
            }
        }
    }
}
