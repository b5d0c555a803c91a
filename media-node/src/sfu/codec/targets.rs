//! Decode targets: the qualities that a receiver may choose inside one stream.

/// Most decode targets of a stream: what a dependency descriptor can name (5 bits).
pub const MAX_TARGETS: usize = 32;

/// A quality inside one stream: all layers up to these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Target {
    /// Spatial layer, 0 the smallest.
    pub spatial: u8,
    /// Temporal layer, 0 the slowest.
    pub temporal: u8,
}

impl Target {
    /// The lowest quality.
    pub const LOWEST: Self = Self { spatial: 0, temporal: 0 };
    /// Everything that there is, and will be.
    pub const ALL: Self = Self { spatial: u8::MAX, temporal: u8::MAX };
}

/// A set of decode targets, by their number in the stream's layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Targets(pub u32);

impl Targets {
    /// Of no target.
    pub const NONE: Self = Self(0);

    /// The first `count` targets.
    pub fn first(count: usize) -> Self {
        Self(u32::try_from((1u64 << count.min(MAX_TARGETS)) - 1).unwrap_or(u32::MAX))
    }

    /// Only this one.
    pub fn one(index: usize) -> Self {
        Self(if index < MAX_TARGETS { 1 << index } else { 0 })
    }

    /// Whether a target is in it.
    pub fn contains(self, index: usize) -> bool {
        self.0 & Self::one(index).0 != 0
    }

    /// Puts a target in.
    pub fn insert(&mut self, index: usize) {
        self.0 |= Self::one(index).0;
    }

    /// Whether all of `other` are in it.
    pub fn includes(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Those in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers in it, in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(self.0), |left| Some(left & left.wrapping_sub(1)))
            .take_while(|left| *left != 0)
            .map(|left| left.trailing_zeros() as usize)
    }
}

/// The decode targets of one stream, and how they lie in each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    targets: Vec<Target>,
    /// For each target those whose frames it has all.
    includes: Vec<Targets>,
}

impl Default for Layout {
    /// A stream without layers.
    fn default() -> Self {
        Self::grid(1, 1, false)
    }
}

impl Layout {
    /// Targets with the frames of each: frame kind by frame kind, the set of targets that need it.
    pub fn new(targets: Vec<Target>, needed: impl Iterator<Item = Targets> + Clone) -> Self {
        let count = targets.len().min(MAX_TARGETS);
        let includes = (0..count)
            .map(|one| {
                let mut within = Targets::first(count);
                // A frame that `one` lacks rules out all that need it.
                for frame in needed.clone().filter(|frame| !frame.contains(one)) {
                    within = Targets(within.0 & !frame.0);
                }
                within
            })
            .collect();
        Self { targets, includes }
    }

    /// Layers that build upon each other, `spatials` times `temporals` of them, numbered row by row. With `apart`, spatial layers use
    /// each other in key pictures only, so that none has all frames of a lower one.
    pub fn grid(spatials: u8, temporals: u8, apart: bool) -> Self {
        let targets: Vec<Target> = (0..spatials)
            .flat_map(|spatial| (0..temporals).map(move |temporal| Target { spatial, temporal }))
            .take(MAX_TARGETS)
            .collect();
        let within = |one: &Target, other: &Target| {
            other.temporal <= one.temporal
                && if apart { other.spatial == one.spatial } else { other.spatial <= one.spatial }
        };
        let includes = targets
            .iter()
            .map(|one| {
                let mut set = Targets::NONE;
                targets.iter().enumerate().filter(|(_, other)| within(one, other)).for_each(|(i, _)| set.insert(i));
                set
            })
            .collect();
        Self { targets, includes }
    }

    /// The targets in the order of their numbers.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// A target by its number.
    pub fn get(&self, index: usize) -> Target {
        self.targets.get(index).copied().unwrap_or_default()
    }

    /// The number of the best target that is not above the wanted one.
    pub fn best(&self, wanted: Target) -> usize {
        self.targets
            .iter()
            .enumerate()
            .filter(|(_, target)| target.spatial <= wanted.spatial && target.temporal <= wanted.temporal)
            .max_by_key(|(_, target)| **target)
            .map_or(0, |(index, _)| index)
    }

    /// Whether whoever gets `one` has all frames of `other` already.
    pub fn includes(&self, one: usize, other: usize) -> bool {
        self.within(one).contains(other)
    }

    /// The targets whose frames whoever gets `one` has all.
    pub fn within(&self, one: usize) -> Targets {
        self.includes.get(one).copied().unwrap_or_default()
    }

    /// All targets.
    pub fn all(&self) -> Targets {
        Targets::first(self.targets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_target_is_not_above_what_is_wanted() {
        let layout = Layout::grid(3, 3, false);
        let best = |spatial, temporal| layout.get(layout.best(Target { spatial, temporal }));
        assert_eq!(best(1, 1), Target { spatial: 1, temporal: 1 });
        assert_eq!(layout.get(layout.best(Target::ALL)), Target { spatial: 2, temporal: 2 });
        assert_eq!(best(7, 0), Target { spatial: 2, temporal: 0 });
        assert_eq!(Layout::default().best(Target::ALL), 0);
    }

    #[test]
    fn lower_targets_lie_in_higher_ones_unless_layers_stand_apart() {
        let nested = Layout::grid(2, 2, false);
        assert!(nested.includes(3, 0) && nested.includes(3, 1) && nested.includes(3, 2) && !nested.includes(0, 1));
        assert!(!nested.includes(1, 2), "faster is not taller");
        let apart = Layout::grid(2, 2, true);
        assert!(apart.includes(3, 2) && !apart.includes(3, 1) && apart.includes(1, 0));
    }

    #[test]
    fn sets_list_their_numbers() {
        assert_eq!(Targets(0b1001_0010).iter().collect::<Vec<_>>(), [1, 4, 7]);
        assert_eq!(Targets::first(32).iter().count(), 32);
        assert_eq!(Targets::first(3), Targets(0b111));
        assert!(Targets::one(40).is_empty());
    }
}
