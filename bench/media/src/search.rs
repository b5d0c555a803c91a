//! The search for the greatest load that a server carries: in growing steps until one fails, then between the last good and the first bad.

/// The search. Sizes are counted from 1.
#[derive(Clone, Debug)]
pub struct Search {
    next: u32,
    growth: f64,
    good: Option<u32>,
    bad: Option<u32>,
    most: u32,
}

/// The gap between good and bad at which it is good enough, as a share of the good size.
const FINE: f64 = 0.05;

impl Search {
    /// Begins at `start`, grows by the factor `growth`, never goes beyond `most`.
    pub fn new(start: u32, growth: f64, most: u32) -> Self {
        Self { next: start.clamp(1, most.max(1)), growth: growth.max(1.01), good: None, bad: None, most }
    }

    /// The size to try; `None`: it is done.
    pub fn next(&self) -> Option<u32> {
        (self.next > 0).then_some(self.next)
    }

    /// The greatest size that was good.
    pub fn best(&self) -> Option<u32> {
        self.good
    }

    /// Takes in how the present size did.
    pub fn tell(&mut self, is_good: bool) {
        if is_good {
            self.good = self.good.max(Some(self.next));
        } else {
            self.bad = Some(self.bad.unwrap_or(u32::MAX).min(self.next));
        }
        let next = match (self.good, self.bad) {
            (Some(good), None) => ((f64::from(good) * self.growth) as u32).max(good + 1).min(self.most),
            (good, Some(bad)) => {
                let good = good.unwrap_or(0);
                let gap = bad.saturating_sub(good);
                let fine = (f64::from(good) * FINE) as u32;
                if gap <= fine.max(1) { 0 } else { good + gap / 2 }
            }
            (None, None) => 0,
        };
        self.next = if Some(next) == self.good { 0 } else { next };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The sizes that are tried for a server that carries `limit`.
    fn run(start: u32, most: u32, limit: u32) -> (Vec<u32>, Option<u32>) {
        let mut search = Search::new(start, 1.5, most);
        let mut tried = Vec::new();
        while let Some(size) = search.next() {
            tried.push(size);
            search.tell(size <= limit);
            assert!(tried.len() < 100, "{tried:?}");
        }
        (tried, search.best())
    }

    proptest! {
        #[test]
        fn the_limit_is_found_in_few_steps(start in 1u32..200, most in 1u32..5_000, limit in 0u32..6_000) {
            let (tried, best) = run(start, most, limit);
            prop_assert!(tried.len() <= 30, "{tried:?}");
            let truth = limit.min(most);
            match best {
                None => prop_assert_eq!(truth, 0),
                Some(best) => prop_assert!(best <= truth && f64::from(truth - best) <= (f64::from(best) * FINE).max(1.0)),
            }
            // No size is measured twice.
            let mut distinct = tried.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), tried.len());
        }
    }

    #[test]
    fn steps_grow_then_close_in() {
        assert_eq!(run(10, 1_000, 24).0, [10, 15, 22, 33, 27, 24, 25]);
        assert_eq!(run(10, 20, 1_000).0, [10, 15, 20]);
    }
}
