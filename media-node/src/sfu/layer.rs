//! Which quality of each video a receiver gets.
//!
//! A receiver says how tall a picture it can use; the congestion controller says what its link carries. Every video gets its lowest
//! quality first. Then the videos are raised in turn while the sum fits, those of higher priority before others. Where the link gets
//! narrower, frame rate is given up before size. Raising needs more room than keeping, so that the choice doesn't swing.

/// One quality that a publisher sends: a layer of simulcast, or layers inside a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offered {
    /// Bit rate in kb/s.
    pub kbps: u32,
    /// Height in pixels, if known.
    pub height: Option<u16>,
    /// Number of its picture size among the publisher's, from 0: qualities that differ in frame rate only share it.
    pub size: u8,
    /// Whether packets come at present.
    pub alive: bool,
}

/// One video that a receiver wants.
#[derive(Clone, Debug)]
pub struct Want {
    /// The publisher's qualities, lowest first: by size, then by frame rate.
    pub layers: Vec<Offered>,
    /// Height that the receiver can use; 0 for all.
    pub max_height: u32,
    /// The quality that is forwarded or waited for.
    pub current: Option<usize>,
    /// Videos of higher priority are raised first; of the same, those wanted taller.
    pub priority: u8,
}

/// Height of a picture size that isn't known yet: the usual scaling by 2 from 720 lines down.
pub fn usual_height(size: u8, sizes: u8) -> u16 {
    720 >> sizes.saturating_sub(1).saturating_sub(size).min(3)
}

/// Whether pictures of this height are all that a receiver can use. Encoders round: nine tenths are enough.
pub fn is_enough(height: u16, wanted: u32) -> bool {
    wanted != 0 && u64::from(height) * 10 >= u64::from(wanted) * 9
}

impl Want {
    /// The qualities that may be chosen, lowest first: alive ones up to the first size that is tall enough.
    fn ladder(&self) -> Vec<usize> {
        let mut ladder = Vec::with_capacity(self.layers.len());
        let sizes = self.layers.last().map_or(0, |layer| layer.size.saturating_add(1));
        let mut enough = None;
        for (index, layer) in self.layers.iter().enumerate().filter(|(_, layer)| layer.alive) {
            if enough.is_some_and(|size| layer.size != size) {
                break;
            }
            ladder.push(index);
            if is_enough(layer.height.unwrap_or_else(|| usual_height(layer.size, sizes)), self.max_height) {
                enough = Some(layer.size);
            }
        }
        ladder
    }

    fn kbps(&self, layer: usize) -> u32 {
        self.layers.get(layer).map_or(0, |layer| layer.kbps)
    }

    /// Its place in the order of raising, smallest first.
    fn rank(&self) -> (std::cmp::Reverse<u8>, std::cmp::Reverse<u32>) {
        let height = if self.max_height == 0 { u32::MAX } else { self.max_height };
        (std::cmp::Reverse(self.priority), std::cmp::Reverse(height))
    }
}

/// The result for a receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// A quality per want, `None` where nothing comes from the publisher.
    pub layers: Vec<Option<usize>>,
    /// Bit rate of all that was wanted, in kb/s: what the congestion controller should try to find.
    pub desired_kbps: u32,
}

/// Share of the estimate that layers may fill when raised, in percent; what is forwarded already may fill all of it.
const RAISE_PERCENT: u64 = 85;

/// Chooses qualities for all of a receiver's videos within `budget_kbps` (`None`: no estimate yet, so no limit).
pub fn choose(wants: &[Want], budget_kbps: Option<u32>) -> Choice {
    let ladders: Vec<Vec<usize>> = wants.iter().map(Want::ladder).collect();
    let desired_kbps = wants
        .iter()
        .zip(&ladders)
        .filter_map(|(want, ladder)| ladder.last().map(|top| want.kbps(*top)))
        .fold(0u32, u32::saturating_add);
    let mut used: u64 = wants
        .iter()
        .zip(&ladders)
        .filter_map(|(want, ladder)| ladder.first().map(|low| u64::from(want.kbps(*low))))
        .sum();
    let budget = budget_kbps.map_or(u64::MAX / 200, u64::from);
    let mut climbers: Vec<Climber<'_>> =
        wants.iter().zip(&ladders).map(|(want, ladder)| Climber { want, ladder, step: 0 }).collect();
    let mut order: Vec<usize> = (0..climbers.len()).collect();
    order.sort_by_key(|index| wants.get(*index).map(Want::rank));
    let mut rest = order.as_slice();
    // Those of one priority take turns until none of them can be raised.
    while let Some(first) = rest.first().and_then(|first| wants.get(*first)) {
        let equals = rest.iter().take_while(|i| wants.get(**i).is_some_and(|want| want.priority == first.priority));
        let (class, others) = rest.split_at(equals.count());
        let mut raised = true;
        while raised {
            raised = false;
            for climber in class {
                raised |= climbers.get_mut(*climber).is_some_and(|climber| climber.raise(&mut used, budget));
            }
        }
        rest = others;
    }
    let layers = climbers.iter().map(|climber| climber.ladder.get(climber.step).copied()).collect();
    Choice { layers, desired_kbps }
}

struct Climber<'a> {
    want: &'a Want,
    ladder: &'a [usize],
    step: usize,
}

impl Climber<'_> {
    /// Goes up by one if that fits.
    fn raise(&mut self, used: &mut u64, budget: u64) -> bool {
        let (Some(present), Some(next)) = (self.ladder.get(self.step), self.ladder.get(self.step + 1)) else {
            return false;
        };
        let raised = used.saturating_sub(self.want.kbps(*present).into()) + u64::from(self.want.kbps(*next));
        let keeps = self.want.current.is_some_and(|current| *next <= current);
        let limit = if keeps { budget } else { budget * RAISE_PERCENT / 100 };
        if raised > limit {
            return false;
        }
        *used = raised;
        self.step += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn simulcast(max_height: u32, current: Option<usize>) -> Want {
        let layer = |size, kbps, height| Offered { kbps, height: Some(height), size, alive: true };
        let layers = vec![layer(0, 150, 180), layer(1, 500, 360), layer(2, 1_500, 720)];
        Want { layers, max_height, current, priority: 0 }
    }

    /// Two sizes with three frame rates each.
    fn temporal(max_height: u32) -> Want {
        let layers = [(0, 75, 180), (0, 110, 180), (0, 150, 180), (1, 300, 360), (1, 420, 360), (1, 600, 360)]
            .map(|(size, kbps, height)| Offered { kbps, height: Some(height), size, alive: true });
        Want { layers: layers.into(), max_height, current: None, priority: 0 }
    }

    #[test]
    fn frame_rate_is_given_up_before_size() {
        for (budget, layer) in [(800, 5), (600, 4), (400, 3), (200, 2), (130, 1), (90, 0), (10, 0)] {
            assert_eq!(choose(&[temporal(0)], Some(budget)).layers, [Some(layer)], "{budget}");
        }
    }

    #[test]
    fn the_height_bounds_the_size_but_not_the_frame_rate() {
        assert_eq!(choose(&[temporal(180)], None).layers, [Some(2)]);
        assert_eq!(choose(&[temporal(360)], None).layers, [Some(5)]);
    }

    #[test]
    fn priority_comes_before_turns_and_wanted_size_decides_among_equals() {
        let first = Want { priority: 1, ..simulcast(0, None) };
        let choice = choose(&[simulcast(0, None), first.clone(), simulcast(0, None)], Some(2_200));
        assert_eq!(choice.layers, [Some(0), Some(2), Some(0)], "all of it, while everyone keeps the lowest");
        let choice = choose(&[simulcast(360, None), simulcast(720, None)], Some(800));
        assert_eq!(choice.layers, [Some(0), Some(1)]);
        assert_eq!(choose(&[first, simulcast(0, None)], Some(100)).layers, [Some(0); 2]);
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
