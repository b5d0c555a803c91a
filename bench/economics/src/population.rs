//! Who takes part, and by which strategy.

use crate::random::Random;
use chroom_primitives::CapacityClass;

/// Media nodes that are assigned a strategy together: every block has the same mix of classes.
pub const BLOCK: usize = 20;

/// Purpose of a random stream: who is assigned which strategy.
const ASSIGNMENT: u64 = 1;

/// How the operator of a media node behaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MediaStrategy {
    /// Runs a machine of the declared class and keeps it up.
    Honest,
    /// Runs a machine that is overbooked or badly connected: it costs less and scores about 60 points.
    LowQuality,
    /// Switches the machine off for a seventh of the time, and saves its cost.
    LowUptime,
    /// Runs an honest machine, and an application and an orchestrator that pay it for calls with itself.
    SelfDealer,
    /// Has no machine behind a process that answers probes; its own orchestrator invents a few perfect calls.
    Ghost,
    /// Registers one machine of class medium as four small nodes.
    Splitter,
    /// Registers a machine for a multiple of what it can carry, takes all calls, and fails them when there are too many.
    Overcommitter,
    /// Does so too, and turns away what is too much.
    Capper,
    /// Does so too, and says that it carries as many times more than it does, so that it has enough early.
    Overstater,
    /// Registers one machine twice with its full class, behind one address.
    Twins,
    /// Registers one machine twice with its full class, behind two addresses.
    Pair,
    /// Has no machine at all; attestors of its cartel vouch for it.
    Friend,
}

impl MediaStrategy {
    /// All of them, honest first.
    pub const ALL: [Self; 12] = [
        Self::Honest,
        Self::LowQuality,
        Self::LowUptime,
        Self::SelfDealer,
        Self::Ghost,
        Self::Splitter,
        Self::Overcommitter,
        Self::Capper,
        Self::Overstater,
        Self::Twins,
        Self::Pair,
        Self::Friend,
    ];

    /// Name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::LowQuality => "low quality",
            Self::LowUptime => "low uptime",
            Self::SelfDealer => "self-dealer",
            Self::Ghost => "ghost",
            Self::Splitter => "Sybil splitter",
            Self::Overcommitter => "overcommitter",
            Self::Capper => "capped overcommitter",
            Self::Overstater => "overstating overcommitter",
            Self::Twins => "twice at one address",
            Self::Pair => "twice at two addresses",
            Self::Friend => "liars' friend",
        }
    }

    /// Whether the operator pays itself for usage.
    pub const fn deals_with_itself(self) -> bool {
        matches!(self, Self::SelfDealer | Self::Ghost)
    }
}

/// How the operator of a registry node attests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AttestorStrategy {
    /// Measures and reports what it saw.
    Honest,
    /// Votes its friends up to the maximum and everybody else down to nothing.
    Liar,
    /// Sends no root.
    Withholder,
    /// Sends another attestor's root as its own.
    Copier,
    /// Measures nothing and reports each node's last known median.
    FreeRider,
    /// Reports honestly, and now and then signs a second root for the same epoch.
    Equivocator,
}

impl AttestorStrategy {
    /// All of them, honest first.
    pub const ALL: [Self; 6] =
        [Self::Honest, Self::Liar, Self::Withholder, Self::Copier, Self::FreeRider, Self::Equivocator];

    /// Name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Liar => "liar",
            Self::Withholder => "withholder",
            Self::Copier => "root copier",
            Self::FreeRider => "free rider",
            Self::Equivocator => "equivocator",
        }
    }
}

/// All operators of one role and strategy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    /// Operators of media nodes.
    Media(MediaStrategy),
    /// Operators of registry nodes.
    Attestors(AttestorStrategy),
}

impl Group {
    /// Number of groups.
    pub const COUNT: usize = MediaStrategy::ALL.len() + AttestorStrategy::ALL.len();

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let attestors = AttestorStrategy::ALL.into_iter().map(Self::Attestors);
        MediaStrategy::ALL.into_iter().map(Self::Media).chain(attestors)
    }

    /// Place of the group in a list of all.
    pub const fn index(self) -> usize {
        match self {
            Self::Media(strategy) => strategy as usize,
            Self::Attestors(strategy) => MediaStrategy::ALL.len() + strategy as usize,
        }
    }

    /// The role's name.
    pub const fn role(self) -> &'static str {
        match self {
            Self::Media(_) => "media",
            Self::Attestors(_) => "attestor",
        }
    }

    /// The strategy's name.
    pub const fn strategy(self) -> &'static str {
        match self {
            Self::Media(strategy) => strategy.name(),
            Self::Attestors(strategy) => strategy.name(),
        }
    }
}

/// A registered media node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat {
    /// How it behaves.
    pub strategy: MediaStrategy,
    /// What it is registered as.
    pub class: CapacityClass,
}

/// Everybody, with shares in thousandths; who is in no share is honest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Population {
    /// Media nodes.
    pub media: Vec<Seat>,
    /// Registry nodes.
    pub attestors: Vec<AttestorStrategy>,
    /// Sum of the media nodes' weights.
    pub total_weight: u64,
}

impl Population {
    /// Assigns strategies. Which nodes deviate depends on the seed alone, and a larger share holds all of a smaller one, so that scenarios
    /// can be compared seat by seat.
    pub fn new(
        seed: u64,
        nodes: usize,
        attestors: usize,
        media_shares: &[(MediaStrategy, u32)],
        attestor_shares: &[(AttestorStrategy, u32)],
    ) -> Self {
        let strategies = assign(seed, 0, nodes.div_ceil(BLOCK), MediaStrategy::Honest, media_shares);
        let media: Vec<Seat> = (0..nodes)
            .zip(strategies.iter().flat_map(|strategy| [*strategy; BLOCK]))
            .map(|(node, strategy)| Seat { strategy, class: class(node, strategy) })
            .collect();
        let total_weight = media.iter().map(|seat| u64::from(seat.class.weight())).sum();
        let attestors = assign(seed, 1, attestors, AttestorStrategy::Honest, attestor_shares);
        Self { media, attestors, total_weight }
    }

    /// Number of a group's seats.
    pub fn seats(&self, group: Group) -> usize {
        match group {
            Group::Media(strategy) => self.media.iter().filter(|seat| seat.strategy == strategy).count(),
            Group::Attestors(strategy) => self.attestors.iter().filter(|one| **one == strategy).count(),
        }
    }
}

/// Of twenty machines fourteen are small, five medium, one large. A splitter's nodes are small, whatever its machines are.
fn class(node: usize, strategy: MediaStrategy) -> CapacityClass {
    match node % BLOCK {
        _ if strategy == MediaStrategy::Splitter => CapacityClass::Small,
        0..14 => CapacityClass::Small,
        14..19 => CapacityClass::Medium,
        _ => CapacityClass::Large,
    }
}

fn assign<S: Copy>(seed: u64, role: u64, count: usize, honest: S, shares: &[(S, u32)]) -> Vec<S> {
    let mut order: Vec<usize> = (0..count).collect();
    Random::keyed(seed, [ASSIGNMENT, role, 0]).shuffle(&mut order);
    let mut strategies = vec![honest; count];
    let mut places = order.into_iter();
    for (strategy, thousandths) in shares {
        for place in places.by_ref().take(count * (*thousandths as usize) / 1_000) {
            if let Some(assigned) = strategies.get_mut(place) {
                *assigned = *strategy;
            }
        }
    }
    strategies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_numbered_in_their_order() {
        let indices: Vec<usize> = Group::all().map(Group::index).collect();
        assert_eq!(indices, (0..Group::COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn shares_are_exact_and_have_the_mix_of_classes_of_all() {
        let lazy = MediaStrategy::LowQuality;
        let population = Population::new(1, 1_000, 300, &[(lazy, 100)], &[(AttestorStrategy::Liar, 333)]);
        assert_eq!(population.seats(Group::Media(lazy)), 100);
        assert_eq!(population.seats(Group::Media(MediaStrategy::Honest)), 900);
        assert_eq!(population.seats(Group::Attestors(AttestorStrategy::Liar)), 99);
        let of = |class| population.media.iter().filter(|s| s.strategy == lazy && s.class == class).count();
        assert_eq!([CapacityClass::Small, CapacityClass::Medium, CapacityClass::Large].map(of), [70, 25, 5]);
        assert_eq!(population.total_weight, 50 * (14 + 5 * 4 + 16));
    }

    #[test]
    fn a_larger_share_holds_the_smaller_one() {
        let liars = |share| Population::new(9, 20, 300, &[], &[(AttestorStrategy::Liar, share)]).attestors;
        let (few, many) = (liars(100), liars(500));
        assert!(few.iter().zip(&many).all(|(few, many)| *few == AttestorStrategy::Honest || few == many));
        assert_eq!(liars(0), [AttestorStrategy::Honest; 300]);
    }

    #[test]
    fn a_splitters_nodes_are_small() {
        let population = Population::new(1, 40, 3, &[(MediaStrategy::Splitter, 1_000)], &[]);
        assert!(population.media.iter().all(|seat| seat.class == CapacityClass::Small));
        assert_eq!(population.total_weight, 40);
    }
}
