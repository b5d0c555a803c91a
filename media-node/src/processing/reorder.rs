//! Packets in order again.
//!
//! The router gives a receiver continuous sequence numbers; what was lost before it stays a gap until its repair comes. A gap is waited
//! for, but not for ever.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Longest time that a missing packet is waited for.
const PATIENCE: Duration = Duration::from_millis(300);
/// Most packets that wait behind a gap.
const MAX_WAITING: usize = 512;

/// The packets of one stream.
pub struct Reorder<T> {
    waiting: BTreeMap<u64, (Instant, T)>,
    next: Option<u64>,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), next: None }
    }
}

impl<T> Reorder<T> {
    /// Takes a packet in, and gives what is in order now, each with whether packets before it are missing for good.
    pub fn push(&mut self, now: Instant, seq: u64, item: T) -> Vec<(bool, T)> {
        let next = *self.next.get_or_insert(seq);
        if seq >= next {
            self.waiting.entry(seq).or_insert((now, item));
        }
        let mut out = Vec::new();
        self.advance(false, &mut out);
        // Each turn jumps over one gap.
        while let Some((first, (arrival, _))) = self.waiting.first_key_value()
            && (now.saturating_duration_since(*arrival) >= PATIENCE || self.waiting.len() > MAX_WAITING)
        {
            self.next = Some(*first);
            self.advance(true, &mut out);
        }
        out
    }

    fn advance(&mut self, mut gap: bool, out: &mut Vec<(bool, T)>) {
        while let Some(next) = self.next
            && let Some((_, item)) = self.waiting.remove(&next)
        {
            self.next = Some(next + 1);
            out.push((std::mem::take(&mut gap), item));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_is_waited_for_and_then_told() {
        let start = Instant::now();
        let mut reorder = Reorder::default();
        let mut push = |ms: u64, seq: u64| reorder.push(start + Duration::from_millis(ms), seq, seq);
        assert_eq!(push(0, 5), [(false, 5)]);
        assert_eq!(push(10, 7), []);
        assert_eq!(push(20, 6), [(false, 6), (false, 7)]);
        assert_eq!(push(30, 9), []);
        assert_eq!(push(40, 12), []);
        assert_eq!(push(330, 13), [(true, 9)]);
        assert_eq!(push(345, 8), [(true, 12), (false, 13)], "too late itself");
    }

    proptest! {
        #[test]
        fn everything_comes_out_once_in_order(order in Just((0u64..60).collect::<Vec<_>>()).prop_shuffle()) {
            let now = Instant::now();
            let mut reorder = Reorder { next: Some(0), ..Reorder::default() };
            let out: Vec<_> = order.into_iter().flat_map(|seq| reorder.push(now, seq, seq)).collect();
            prop_assert_eq!(out, (0..60).map(|seq| (false, seq)).collect::<Vec<_>>());
        }
    }
}
