//! Which QoS epoch a time lies in, by what the chain has finalised.

use chroom_primitives::{QosEpoch, UnixMs, epoch::EpochInfo};
use std::collections::BTreeMap;

/// Epochs whose beginning is remembered.
const REMEMBERED: usize = 8;
/// Without two epochs' beginnings, an epoch is taken to last this long per block: BABE's slot.
const BLOCK_MS: u64 = 6_000;

/// Where a time lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placed {
    /// In this epoch.
    In(QosEpoch),
    /// The chain hasn't come so far: ask again later.
    Later,
    /// Before all that is known.
    Gone,
}

/// Follows the epochs' beginnings.
#[derive(Clone, Debug, Default)]
pub struct EpochClock {
    starts: BTreeMap<QosEpoch, UnixMs>,
    length: u32,
}

impl EpochClock {
    /// Takes in the epoch as of a finalised block.
    pub fn observe(&mut self, info: &EpochInfo) {
        self.length = info.length;
        self.starts.insert(info.current, info.started_ms);
        while self.starts.len() > REMEMBERED {
            self.starts.pop_first();
        }
    }

    /// Where the time lies. In the current epoch only what is so early that no further epoch can have begun is placed: finality lags
    /// behind by some blocks.
    pub fn place(&self, at: UnixMs) -> Placed {
        let Some((current, started)) = self.starts.last_key_value() else { return Placed::Later };
        if at >= *started {
            let duration = current
                .previous()
                .and_then(|previous| self.starts.get(&previous))
                .map_or(u64::from(self.length) * BLOCK_MS, |before| started.saturating_sub(*before));
            // Two blocks less: epochs differ by the slots that had none.
            let safe = started + duration.saturating_sub(2 * BLOCK_MS);
            return if at < safe { Placed::In(*current) } else { Placed::Later };
        }
        self.starts
            .iter()
            .rev()
            .find(|(_, started)| at >= **started)
            .map_or(Placed::Gone, |(epoch, _)| Placed::In(*epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(current: u32, started_ms: u64) -> EpochInfo {
        EpochInfo {
            current: QosEpoch(current),
            started_at: current * 8 + 1,
            started_ms,
            length: 8,
            submit_window: 4,
            committee_size: 3,
        }
    }

    #[test]
    fn times_are_placed_once_the_chain_leaves_no_doubt() {
        let mut clock = EpochClock::default();
        assert_eq!(clock.place(1), Placed::Later);
        clock.observe(&info(5, 100_000));
        assert_eq!(clock.place(99_999), Placed::Gone);
        assert_eq!(clock.place(100_000), Placed::In(QosEpoch(5)));
        assert_eq!(clock.place(135_999), Placed::In(QosEpoch(5)));
        assert_eq!(clock.place(136_000), Placed::Later);
        clock.observe(&info(6, 150_000));
        assert_eq!(clock.place(149_999), Placed::In(QosEpoch(5)));
        assert_eq!(clock.place(150_000), Placed::In(QosEpoch(6)));
        assert_eq!(clock.place(150_000 + 50_000 - 12_000), Placed::Later, "epoch 5 lasted 50 s");
    }
}
