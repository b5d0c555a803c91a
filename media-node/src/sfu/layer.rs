//! Which simulcast layer each receiver gets.
//!
//! A receiver says how tall a picture it can use; the congestion controller says what its link carries. Every video gets its
//! lowest layer first, then the layers are raised in turn while the sum fits. Raising needs more room than keeping, so that the choice
//! doesn't swing.

/// One layer that a publisher sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offered {
    /// Bit rate in kb/s.
    pub kbps: u32,
    /// Height in pixels, if known.
    pub height: Option<u16>,
    /// Whether packets come at present.
    pub alive: bool,
}

/// One video that a receiver wants.
#[derive(Clone, Debug)]
pub struct Want {
    /// The publisher's layers, lowest first.
    pub layers: Vec<Offered>,
    /// Height that the receiver can use; 0 for all.
    pub max_height: u32,
    /// The layer that is forwarded or waited for.
    pub current: Option<usize>,
}

impl Want {
    /// The layers that may be chosen, lowest first: alive ones up to the first that is tall enough.
    fn ladder(&self) -> Vec<usize> {
        let alive: Vec<usize> =
            self.layers.iter().enumerate().filter(|(_, layer)| layer.alive).map(|(index, _)| index).collect();
        if self.max_height == 0 {
            return alive;
        }
        let count = self.layers.len();
        let enough = alive.iter().position(|index| {
            let layer = self.layers.get(*index);
            let height = layer.and_then(|layer| layer.height).map_or_else(
                // Unknown yet: the usual scaling by 2 from 720 lines down.
                || 720u32 >> (count - 1 - index).min(3),
                u32::from,
            );
            // Encoders round: a layer counts as tall enough from 90 % on.
            u64::from(height) * 10 >= u64::from(self.max_height) * 9
        });
        match enough {
            Some(position) => alive.get(..=position).unwrap_or_default().to_vec(),
            None => alive,
        }
    }

    fn kbps(&self, layer: usize) -> u32 {
        self.layers.get(layer).map_or(0, |layer| layer.kbps)
    }
}

/// The result for a receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// A layer per want, `None` where nothing comes from the publisher.
    pub layers: Vec<Option<usize>>,
    /// Bit rate of all that was wanted, in kb/s: what the congestion controller should try to find.
    pub desired_kbps: u32,
}

/// Share of the estimate that layers may fill when raised, in percent; what is forwarded already may fill all of it.
const RAISE_PERCENT: u64 = 85;

/// Chooses layers for all of a receiver's videos within `budget_kbps` (`None`: no estimate yet, so no limit).
pub fn choose(wants: &[Want], budget_kbps: Option<u32>) -> Choice {
    let ladders: Vec<Vec<usize>> = wants.iter().map(Want::ladder).collect();
    let desired_kbps = wants
        .iter()
        .zip(&ladders)
        .filter_map(|(want, ladder)| ladder.last().map(|top| want.kbps(*top)))
        .fold(0u32, u32::saturating_add);
    let mut steps: Vec<usize> = vec![0; wants.len()];
    let mut used: u64 = wants
        .iter()
        .zip(&ladders)
        .filter_map(|(want, ladder)| ladder.first().map(|low| u64::from(want.kbps(*low))))
        .sum();
    let budget = budget_kbps.map_or(u64::MAX / 200, u64::from);
    let mut raised = true;
    while raised {
        raised = false;
        for ((want, ladder), step) in wants.iter().zip(&ladders).zip(&mut steps) {
            let (Some(present), Some(next)) = (ladder.get(*step), ladder.get(*step + 1)) else { continue };
            let more = u64::from(want.kbps(*next).saturating_sub(want.kbps(*present)));
            let keeps = want.current.is_some_and(|current| *next <= current);
            let limit = if keeps { budget } else { budget * RAISE_PERCENT / 100 };
            if used + more <= limit {
                used += more;
                *step += 1;
                raised = true;
            }
        }
    }
    let layers = ladders.iter().zip(&steps).map(|(ladder, step)| ladder.get(*step).copied()).collect();
    Choice { layers, desired_kbps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn simulcast(max_height: u32, current: Option<usize>) -> Want {
        let layer = |kbps, height| Offered { kbps, height: Some(height), alive: true };
        Want { layers: vec![layer(150, 180), layer(500, 360), layer(1_500, 720)], max_height, current }
    }

    #[test]
    fn the_height_bounds_the_layer() {
        for (height, layer) in [(0, 2), (720, 2), (360, 1), (240, 1), (180, 0), (90, 0)] {
            assert_eq!(choose(&[simulcast(height, None)], None).layers, [Some(layer)], "{height}");
        }
    }

    #[test]
    fn the_estimate_bounds_the_sum_and_everyone_gets_the_lowest() {
        let wants = vec![simulcast(0, None); 3];
        assert_eq!(choose(&wants, Some(100)).layers, [Some(0); 3]);
        assert_eq!(choose(&wants, Some(2_000)).layers, [Some(1); 3]);
        assert_eq!(choose(&wants, Some(3_000)).layers, [Some(2), Some(1), Some(1)]);
        assert_eq!(choose(&wants, Some(3_000)).desired_kbps, 4_500);
    }

    #[test]
    fn raising_needs_more_room_than_keeping() {
        assert_eq!(choose(&[simulcast(0, Some(2))], Some(1_550)).layers, [Some(2)]);
        assert_eq!(choose(&[simulcast(0, Some(1))], Some(1_550)).layers, [Some(1)]);
    }

    #[test]
    fn dead_layers_are_passed_over() {
        let mut want = simulcast(720, Some(2));
        want.layers[2].alive = false;
        assert_eq!(choose(&[want.clone()], None).layers, [Some(1)]);
        want.layers.iter_mut().for_each(|layer| layer.alive = false);
        assert_eq!(choose(&[want], None).layers, [None]);
    }

    proptest! {
        #[test]
        fn the_sum_fits_whenever_the_lowest_layers_do(
            budget in 0u32..20_000,
            wants in proptest::collection::vec((0u32..1_200, proptest::option::of(0usize..3)), 0..10),
        ) {
            let wants: Vec<Want> = wants.into_iter().map(|(height, current)| simulcast(height, current)).collect();
            let choice = choose(&wants, Some(budget));
            let sum: u32 = wants.iter().zip(&choice.layers).map(|(want, layer)| want.kbps(layer.unwrap())).sum();
            prop_assert!(sum <= budget.max(150 * wants.len() as u32));
            prop_assert!(sum <= choice.desired_kbps);
        }
    }
}
