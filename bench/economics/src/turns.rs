//! How orchestrators spread calls over media nodes that are near each other: in turns while there are few, evenly otherwise.
//!
//! Everything is in parts per 10,000 of what a node's class commits it to carry.

use crate::{
    market::{Market, hour},
    population::{MediaStrategy, Seat},
    random::Random,
};

/// Nodes among which orchestrators choose for a caller.
pub const NEIGHBOURHOOD: usize = 100;
/// Turns in an epoch. A turn lasts 20 minutes, and about as long as that the calls stay that it brought.
pub const TURNS: usize = 3;

/// Load of a neighbourhood from which on turns have no effect.
const BUSY: u64 = 5_000;
/// How full a node becomes in its turn, on average.
pub const FILLED: u64 = 9_800;
/// Standard deviation of that: rooms grow and shrink after they were placed.
const FILLED_DEVIATION: i64 = 300;
/// Share of the calls that don't follow the turns, in parts per 10,000: applications with demands of their own, callers in between.
const STRAY: u64 = 1_500;
/// Load beyond what a machine can carry at which its callers' scores have fallen so far (to 70 points) that orchestrators place no more on it.
pub const FAILING: u64 = 13_100;

/// Purposes of random streams.
const DEMAND: u64 = 20;
const RANK: u64 = 21;
const SHARE: u64 = 22;

/// What falls to a node in one turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Load that it takes.
    pub load: u64,
    /// Load that another node of its class takes on the same machine, if its operator has one there.
    pub sibling: u64,
}

/// What falls to each node of a neighbourhood in each turn of an epoch, if `seats` are the neighbourhood's and the first of them is
/// number `first` of its network.
pub fn spread(market: &Market, seed: u64, epoch: u32, first: usize, seats: &[Seat]) -> Vec<[Asked; TURNS]> {
    let mut random = Random::keyed(seed, [DEMAND, epoch.into(), first as u64]);
    let demand = market.utilisation * hour(epoch) * (800 + random.below(401)) / 1_000_000;
    let mut all = vec![[Asked::default(); TURNS]; seats.len()];
    for turn in 0..TURNS {
        let number = u64::from(epoch) * TURNS as u64 + turn as u64;
        let asked = if demand < BUSY {
            in_turn(market, seed, number, first, seats, demand)
        } else {
            evenly(market, seed, number, first, seats, demand)
        };
        for (all, asked) in all.iter_mut().zip(asked) {
            if let Some(place) = all.get_mut(turn) {
                *place = asked;
            }
        }
    }
    all
}

fn evenly(market: &Market, seed: u64, turn: u64, first: usize, seats: &[Seat], demand: u64) -> Vec<Asked> {
    let one = |(place, seat): (usize, &Seat)| {
        let mut random = Random::keyed(seed, [SHARE, turn, (first + place) as u64]);
        let mut part = || (demand * (700 + random.below(601)) / 1_000).min(10_000);
        let (load, sibling) = (part(), part());
        together(market, seat.strategy, load, sibling)
    };
    seats.iter().enumerate().map(one).collect()
}

fn in_turn(market: &Market, seed: u64, turn: u64, first: usize, seats: &[Seat], demand: u64) -> Vec<Asked> {
    // Callers go where somebody serves them.
    let serving = |seat: &&Seat| !matches!(seat.strategy, MediaStrategy::Ghost | MediaStrategy::Friend);
    let calls: u64 = demand * seats.iter().filter(serving).map(weight).sum::<u64>();
    let stray = demand * STRAY / 10_000;
    let mut left = calls * (10_000 - STRAY) / 10_000;

    let all_weights = seats.iter().map(weight).map(i128::from).sum::<i128>().max(1);
    let mut order: Vec<(i128, usize, u64)> = (0..seats.len())
        .map(|place| {
            let mut random = Random::keyed(seed, [RANK, turn, (first + place) as u64]);
            let filled = FILLED as i64 + random.deviation(FILLED_DEVIATION);
            // Who is larger stands half of its size further ahead, as calls end in it more often.
            let ahead = i128::from(seats.get(place).map_or(0, weight)) * i128::from(u64::MAX) / (2 * all_weights);
            (i128::from(random.word()) - ahead, place, filled.clamp(0, 10_400) as u64)
        })
        .collect();
    order.sort_unstable();
    // A quarter of those that the calls fill at a time, each to the same part.
    let at_once = (demand as usize * seats.len()).div_ceil(40_000).max(1);
    let weights = |order: &[(i128, usize, u64)]| -> u64 {
        order.iter().filter_map(|(_, place, _)| seats.get(*place)).map(weight).sum()
    };
    let mut all = vec![Asked::default(); seats.len()];
    for group in order.chunks(at_once) {
        let rooms = group.iter().filter_map(|(_, place, filled)| {
            let seat = seats.get(*place).filter(serving)?;
            Some(filled.saturating_sub(stray) * weight(seat))
        });
        let part = (10_000 * left).checked_div(rooms.sum()).unwrap_or(0).min(10_000);
        for (_, place, filled) in group {
            let Some(seat) = seats.get(*place) else { continue };
            let room = filled.saturating_sub(stray);
            let load = room * part / 10_000;
            let sibling = match seat.strategy {
                // Behind one address both have their turn together.
                MediaStrategy::Twins => load,
                // Behind two addresses the other's turn is any node's of the class.
                MediaStrategy::Pair => {
                    let mut random = Random::keyed(seed, [RANK, turn, u64::MAX - (first + place) as u64]);
                    let before = random.below(order.len() as u64) as usize / at_once * at_once;
                    let (before, group) = order.split_at(before);
                    let left = (calls * (10_000 - STRAY) / 10_000).saturating_sub(weights(before) * room);
                    let group = weights(group.get(..at_once).unwrap_or(group));
                    room.min(left.checked_div(group).unwrap_or(0))
                }
                _ => 0,
            };
            let asked = together(market, seat.strategy, load + stray, sibling + stray);
            // What it doesn't take goes to the next.
            left = left.saturating_sub(asked.load.saturating_sub(stray) * weight(seat));
            if let Some(entry) = all.get_mut(*place) {
                *entry = asked;
            }
        }
    }
    all
}

/// What a node takes of a load before it has no more place for rooms, or has lost its place in the turn.
fn together(market: &Market, strategy: MediaStrategy, load: u64, sibling: u64) -> Asked {
    let factor = market.overcommitment.max(100);
    match strategy {
        MediaStrategy::Ghost | MediaStrategy::Friend => Asked::default(),
        MediaStrategy::Overcommitter => Asked { load: load.min(FAILING * 100 / factor), sibling: 0 },
        MediaStrategy::Capper => Asked { load: load.min(1_000_000 / factor), sibling: 0 },
        // It says that it carries so many times what it does.
        MediaStrategy::Overstater => Asked { load: load.min(FILLED * 100 / factor), sibling: 0 },
        MediaStrategy::Twins | MediaStrategy::Pair => {
            let sum = (load + sibling).max(1);
            let taken = sum.min(FAILING);
            Asked { load: load * taken / sum, sibling: sibling * taken / sum }
        }
        _ => Asked { load, sibling: 0 },
    }
}

fn weight(seat: &Seat) -> u64 {
    u64::from(seat.class.weight())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::Population;

    fn seats(strategy: MediaStrategy) -> Vec<Seat> {
        Population::new(1, NEIGHBOURHOOD, 3, &[(strategy, 1_000)], &[]).media
    }

    fn market(utilisation: u64) -> Market {
        Market { utilisation, ..Market::default() }
    }

    /// Mean load by weight over many epochs, and the share of loads that are a turn's.
    fn mean(market: &Market, strategy: MediaStrategy) -> (u64, u64) {
        let seats = seats(strategy);
        let (mut carried, mut all, mut full, mut count) = (0, 0, 0, 0);
        for epoch in 0..240 {
            for (seat, turns) in seats.iter().zip(spread(market, 1, epoch, 0, &seats)) {
                for asked in turns {
                    carried += asked.load * weight(seat);
                    all += weight(seat);
                    full += u64::from(asked.load > 7_000);
                    count += 1;
                }
            }
        }
        (carried / all, full * 10_000 / count)
    }

    #[test]
    fn the_mean_load_is_the_same_with_turns_and_few_nodes_carry_it() {
        for (utilisation, in_turn) in [(1_000, 700..1_300), (2_500, 1_800..3_200)] {
            let (mean, full) = mean(&market(utilisation), MediaStrategy::Honest);
            assert!(mean.abs_diff(utilisation) < utilisation / 20, "{mean} {utilisation}");
            assert!(in_turn.contains(&full), "{full}");
        }
    }

    #[test]
    fn a_busy_neighbourhood_shares_evenly() {
        let seats = seats(MediaStrategy::Honest);
        for turns in spread(&market(4_000), 1, 6, 0, &seats) {
            for asked in turns {
                assert!((3_000..=10_000).contains(&asked.load), "{asked:?}");
            }
        }
    }

    #[test]
    fn who_is_not_filled_leaves_the_calls_to_the_next() {
        let market = Market { overcommitment: 400, ..market(1_000) };
        let mut mixed = seats(MediaStrategy::Honest);
        for seat in mixed.iter_mut().take(20) {
            seat.strategy = MediaStrategy::Capper;
        }
        for epoch in 0..24 {
            let demand: u64 = spread(&market, 1, epoch, 0, &seats(MediaStrategy::Honest))
                .iter()
                .zip(&mixed)
                .map(|(turns, seat)| turns[0].load * weight(seat))
                .sum();
            let turns = spread(&market, 1, epoch, 0, &mixed);
            let carried: u64 = turns.iter().zip(&mixed).map(|(turns, seat)| turns[0].load * weight(seat)).sum();
            assert!(turns.iter().take(20).all(|turns| turns[0].load <= 2_500));
            assert!(carried.abs_diff(demand) <= demand / 20, "{carried} {demand}");
        }
    }

    #[test]
    fn two_nodes_of_one_address_are_filled_together() {
        let seats = seats(MediaStrategy::Twins);
        let all: Vec<Asked> = (0..24).flat_map(|epoch| spread(&market(1_000), 1, epoch, 0, &seats)).flatten().collect();
        let full: Vec<&Asked> = all.iter().filter(|asked| asked.load > 5_000).collect();
        let both = full.iter().filter(|asked| asked.sibling > 4_000).count();
        assert!(both * 10 > full.len() * 8, "{both} {}", full.len());
        assert!(all.iter().all(|asked| asked.load + asked.sibling <= FAILING));
    }

    #[test]
    fn nobody_calls_where_nobody_serves() {
        let seats = seats(MediaStrategy::Ghost);
        assert!(spread(&market(2_500), 1, 0, 0, &seats).iter().flatten().all(|asked| asked.load == 0));
    }
}
