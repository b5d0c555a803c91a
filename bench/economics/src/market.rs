//! The world outside of the chain: what machines cost, how much callers use, how good a line is.
//!
//! These are assumptions, and the sweeps move those that matter. Amounts are per epoch of an hour.

use crate::{
    capacity::Carried,
    population::MediaStrategy,
    random::Random,
    rules::GIB,
    turns::{Asked, TURNS},
};
use chroom_primitives::{Balance, CHR, CapacityClass, Score};

/// Load over a day, in thousandths of the mean: 1 + 0.6 × sin.
const DAY: [u64; 24] = [
    1_000, 1_155, 1_300, 1_424, 1_520, 1_580, 1_600, 1_580, 1_520, 1_424, 1_300, 1_155, 1_000, 845, 700, 576, 480, 420,
    400, 420, 480, 576, 700, 845,
];

/// Purposes of random streams.
const NODE: u64 = 2;
const EPOCH: u64 = 3;

/// What costs, demand and lines are like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Market {
    /// What media nodes ask for a GiB, in the smallest unit.
    pub price_per_gib: Balance,
    /// What a machine can carry in an epoch, in GiB for each unit of its class's weight.
    pub capacity_gib: u64,
    /// Mean load of an honest machine, in parts per 10,000 of what it can carry.
    pub utilisation: u64,
    /// What a machine costs for each unit of its weight.
    pub machine_cost: Balance,
    /// What a registered node costs besides its machine: its process, keeping its key, sending its claims.
    pub identity_cost: Balance,
    /// What measuring costs an attestor: probes, storage and traffic of receipts.
    pub measuring_cost: Balance,
    /// Mean score of an honest machine, in hundredths of a point.
    pub mean_score: i64,
    /// Standard deviation of the score between nodes.
    pub score_between_nodes: i64,
    /// Standard deviation of a node's score between epochs.
    pub score_between_epochs: i64,
    /// Standard deviation between what two attestors see of one node in one epoch.
    pub score_between_attestors: i64,
    /// Chance of an incident in an epoch (half of them cost quality, half uptime), in parts per 10,000.
    pub incidents: u64,
    /// What a self-dealer pays itself for, in GiB for each unit of weight. A ghost invents a hundredth of it.
    pub self_dealt_gib: u64,
    /// How many times what it can carry an overcommitter registers its machine for, in hundredths.
    pub overcommitment: u64,
}

impl Default for Market {
    fn default() -> Self {
        Self {
            price_per_gib: CHR / 100,
            capacity_gib: 20,
            utilisation: 2_500,
            machine_cost: 3 * CHR / 100,
            identity_cost: 2 * CHR / 1_000,
            measuring_cost: CHR / 10,
            mean_score: 9_200,
            score_between_nodes: 300,
            score_between_epochs: 200,
            score_between_attestors: 50,
            incidents: 100,
            self_dealt_gib: 5,
            overcommitment: 200,
        }
    }
}

/// What befalls a node in an epoch, the same whatever its strategy is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conditions {
    /// The score that an honest machine would deserve.
    pub score: i64,
    /// Its uptime, in parts per 10,000.
    pub uptime: u16,
    /// Whether it has an incident that all its callers notice.
    pub fails: bool,
    /// What falls to it in each turn.
    pub turns: [Asked; TURNS],
    /// How far off each member of its committee sees the score.
    pub views: Vec<i64>,
}

/// What a node really does in an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    /// The score that it deserves, or has callers invented for it.
    pub score: u16,
    /// Its uptime, in parts per 10,000.
    pub uptime: u16,
    /// What others' callers used.
    pub bytes: u64,
    /// What it had itself pay for.
    pub own_bytes: u64,
    /// What it cost.
    pub cost: Balance,
}

impl Market {
    /// How far a node's line is off the mean, for good.
    pub fn temperament(&self, seed: u64, node: u64) -> i64 {
        Random::keyed(seed, [NODE, node, 0]).deviation(self.score_between_nodes)
    }

    /// What befalls a node in an epoch in which this falls to it.
    pub fn conditions(&self, seed: u64, epoch: u32, node: u64, turns: [Asked; TURNS], committee: usize) -> Conditions {
        let temperament = self.temperament(seed, node);
        let mut random = Random::keyed(seed, [EPOCH, epoch.into(), node]);
        let mut score = self.mean_score + temperament + random.deviation(self.score_between_epochs);
        let mut uptime = 9_900 + random.below(101) as u16;
        let mut fails = false;
        if random.below(10_000) < self.incidents {
            fails = random.below(2) == 0;
            if fails { score -= 3_000 } else { uptime = 7_000 + random.below(2_000) as u16 }
        }
        let views = (0..committee).map(|_| random.deviation(self.score_between_attestors)).collect();
        Conditions { score, uptime, fails, turns, views }
    }

    /// What a node of this strategy and class does under these conditions.
    pub fn serve(&self, strategy: MediaStrategy, class: CapacityClass, conditions: &Conditions) -> Service {
        let weight = u64::from(class.weight());
        let machine = self.machine_cost * Balance::from(weight);
        let capacity = self.capacity_gib * GIB * weight;
        let own_bytes = self.self_dealt_gib * GIB * weight;
        let carried = Carried::by(strategy, self.overcommitment, conditions);
        let honest = Service {
            score: carried.score(strategy, class, conditions),
            uptime: conditions.uptime,
            bytes: capacity / 10_000 * carried.total() / TURNS as u64,
            own_bytes: 0,
            cost: machine + self.identity_cost,
        };
        match strategy {
            MediaStrategy::Honest | MediaStrategy::Splitter => honest,
            MediaStrategy::LowQuality => Service {
                score: honest.score.saturating_sub(3_200),
                // What callers confirm falls with what arrives.
                bytes: honest.bytes * 6 / 10,
                cost: machine / 2 + self.identity_cost,
                ..honest
            },
            MediaStrategy::LowUptime => Service {
                uptime: (u32::from(conditions.uptime) * 6 / 7) as u16,
                bytes: honest.bytes * 6 / 7,
                cost: machine * 6 / 7 + self.identity_cost,
                ..honest
            },
            MediaStrategy::SelfDealer => Service { own_bytes, ..honest },
            MediaStrategy::Ghost => Service {
                score: Score::MAX.0,
                uptime: 10_000,
                bytes: 0,
                own_bytes: own_bytes / 100,
                cost: self.identity_cost,
            },
            MediaStrategy::Overcommitter | MediaStrategy::Capper | MediaStrategy::Overstater => Service {
                cost: machine * 100 / Balance::from(self.overcommitment.max(100)) + self.identity_cost,
                ..honest
            },
            MediaStrategy::Twins | MediaStrategy::Pair => Service { cost: machine / 2 + self.identity_cost, ..honest },
            MediaStrategy::Friend => Service { score: 0, uptime: 0, bytes: 0, own_bytes: 0, cost: 0 },
        }
    }
}

/// Load at an hour of the day, in thousandths of the mean.
pub fn hour(epoch: u32) -> u64 {
    DAY.get(epoch as usize % DAY.len()).copied().unwrap_or(1_000)
}

/// A score within its range.
pub fn clamp(score: i64) -> u16 {
    score.clamp(0, i64::from(Score::MAX.0)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(loads: [u64; TURNS]) -> Conditions {
        let turns = loads.map(|load| Asked { load, sibling: 0 });
        Conditions { score: 9_000, uptime: 9_950, fails: false, turns, views: Vec::new() }
    }

    /// All load in the first turn.
    fn first(asked: Asked) -> [Asked; TURNS] {
        let mut turns = [Asked::default(); TURNS];
        turns[0] = asked;
        turns
    }

    fn in_turn(strategy: MediaStrategy, overcommitment: u64, load: u64) -> Service {
        let conditions = Conditions { turns: first(Asked { load, sibling: 0 }), ..conditions([0; TURNS]) };
        Market { overcommitment, ..Market::default() }.serve(strategy, CapacityClass::Medium, &conditions)
    }

    fn serve(strategy: MediaStrategy, overcommitment: u64) -> Service {
        let market = Market { overcommitment, ..Market::default() };
        market.serve(strategy, CapacityClass::Medium, &conditions([3_000; TURNS]))
    }

    #[test]
    fn honest_machines_carry_their_load_at_their_cost() {
        let service = serve(MediaStrategy::Honest, 100);
        assert_eq!(service.bytes, 80 * GIB / 10_000 * 3_000);
        assert_eq!(service.cost, 122 * CHR / 1_000);
        assert_eq!((service.score, service.uptime, service.own_bytes), (9_000, 9_950, 0));
        assert_eq!(serve(MediaStrategy::Splitter, 100), service);
        assert_eq!(in_turn(MediaStrategy::Honest, 100, 9_000), service);
    }

    #[test]
    fn what_lazy_ones_save_shows_in_score_or_uptime() {
        let (quality, uptime) = (serve(MediaStrategy::LowQuality, 100), serve(MediaStrategy::LowUptime, 100));
        let honest = serve(MediaStrategy::Honest, 100);
        assert!(quality.cost < honest.cost && quality.score == 5_800 && quality.bytes < honest.bytes);
        assert!(uptime.cost < honest.cost && uptime.uptime < 9_000 && uptime.bytes < honest.bytes);
    }

    #[test]
    fn conditions_depend_on_seed_epoch_and_node_alone() {
        let market = Market::default();
        let of = |seed, epoch, node| market.conditions(seed, epoch, node, Default::default(), 7);
        assert_eq!(of(1, 2, 3), of(1, 2, 3));
        assert!(of(1, 2, 3) != of(2, 2, 3) && of(1, 2, 3) != of(1, 3, 3) && of(1, 2, 3) != of(1, 2, 4));
        assert_eq!(of(1, 2, 3).views.len(), 7);
    }

    #[test]
    fn a_day_has_its_mean() {
        assert_eq!((0..24).map(hour).sum::<u64>(), 24_000);
        assert_eq!(hour(24), hour(0));
    }
}
