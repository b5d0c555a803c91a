//! What a machine carries of the calls that fall to it, and what attestors can tell of its capacity from that.
//!
//! Everything is in parts per 10,000 of what the node's class commits it to. The rules are those of the registry's `qos::capacity`.

use crate::{
    market::{Conditions, clamp},
    population::MediaStrategy,
    turns::{Asked, FILLED, TURNS},
};
use chroom_primitives::{CapacityClass, Score};

/// Kb/s of one caller, for counting how many a load is.
const CALLER_KBPS: u64 = 2_500;
/// Fewest callers whose word shows that a machine is full.
const FEWEST_CALLERS: u64 = 4;
/// Load beyond what a machine can carry from which on nearly all of its callers get clearly less than they want.
const OVERLOADED: u64 = 10_500;
/// Share of what a node carries that callers confirm, in percent: the rest is repairs and feedback.
const CONFIRMED: u64 = 95;
/// Share of what a node says that it carries, in percent, that they must confirm.
const TO_CONFIRM: u64 = 90;

/// What a machine carries in one turn, in parts per 10,000 of what the node's class commits it to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Turn {
    /// What callers want of the node.
    wanted: u64,
    /// What they get.
    got: u64,
    /// What the machine has for the node while this falls to it.
    has: u64,
}

/// What a machine carries in an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carried([Turn; TURNS]);

impl Carried {
    /// What the machine of a node of this strategy carries under these conditions. An overcommitter's is registered for `overcommitment`
    /// hundredths of what it can carry.
    pub fn by(strategy: MediaStrategy, overcommitment: u64, conditions: &Conditions) -> Self {
        let machine = match strategy {
            MediaStrategy::Overcommitter | MediaStrategy::Capper | MediaStrategy::Overstater => {
                1_000_000 / overcommitment.max(100)
            }
            _ => 10_000,
        };
        Self(conditions.turns.map(|Asked { load, sibling }| {
            // Beyond its limit a machine gives each caller the same part of what is wanted.
            let sum = (load + sibling).max(1);
            let has = if sum > machine { machine * load / sum } else { machine };
            Turn { wanted: load, got: load.min(has), has }
        }))
    }

    fn loads(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|turn| turn.got)
    }

    /// Sum of the turns' loads.
    pub fn total(&self) -> u64 {
        self.loads().sum()
    }

    /// The score of an honest attestor: callers' scores, over the time that they called, and no more than the part of its class allows that
    /// the node showed to have.
    pub fn score(&self, strategy: MediaStrategy, class: CapacityClass, conditions: &Conditions) -> u16 {
        let wanted: u64 = self.0.iter().map(|turn| turn.wanted).sum();
        let part = (10_000 * self.loads().sum::<u64>()).checked_div(wanted).unwrap_or(10_000);
        let callers = u64::from(clamp(conditions.score)) * part / 10_000;
        let shown = self.0.iter().map(|turn| turn.shown(strategy, class, conditions)).min().unwrap_or(10_000);
        callers.min(Score::of_part(shown as u16).0.into()) as u16
    }
}

impl Turn {
    /// What an attestor takes the node to have had in the turn, by its load reports and its callers' receipts.
    fn shown(&self, strategy: MediaStrategy, class: CapacityClass, conditions: &Conditions) -> u64 {
        let committed = u64::from(class.committed_kbps());
        let callers = self.wanted * committed / 10_000 / CALLER_KBPS;
        let is_overloaded = 10_000 * self.wanted > OVERLOADED * self.got;
        if (is_overloaded || conditions.fails) && callers >= FEWEST_CALLERS {
            // Nearly all of them are served badly at once.
            return self.got;
        }
        match strategy {
            // It says that it is full.
            MediaStrategy::Capper if self.wanted >= self.has => self.has,
            // It says that it carries what a full turn is.
            MediaStrategy::Overstater if self.wanted >= FILLED * self.has / 10_000 => {
                let confirmed = self.got * CONFIRMED / 100;
                if confirmed * 100 < FILLED * TO_CONFIRM { confirmed * 100 / TO_CONFIRM } else { 10_000 }
            }
            _ => 10_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Market, Service};
    use chroom_primitives::CHR;

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
    fn an_overcommitted_machine_shows_it_in_its_turn_alone() {
        let honest = serve(MediaStrategy::Honest, 100);
        let idle = serve(MediaStrategy::Overcommitter, 200);
        assert_eq!((idle.score, idle.bytes, idle.cost), (honest.score, honest.bytes, 62 * CHR / 1_000));
        // Callers want 6,500 of 5,000: half of the class is shown, and that is paid as nothing.
        let full = in_turn(MediaStrategy::Overcommitter, 200, 6_500);
        assert_eq!(full.score, Score::of_part(5_000).0);
        let nearly = in_turn(MediaStrategy::Overcommitter, 120, 9_800);
        assert_eq!(nearly.score, Score::of_part(8_333).0);
        // Too few callers to tell a bad machine from bad luck: their own scores count.
        let few = in_turn(MediaStrategy::Overcommitter, 10_000, 130);
        assert_eq!(few.score, 6_922);
    }

    #[test]
    fn who_turns_calls_away_or_invents_them_is_believed_that_it_has_no_more() {
        for (strategy, load, score) in [
            (MediaStrategy::Capper, 5_000, Score::of_part(5_000).0),
            (MediaStrategy::Capper, 4_900, 9_000),
            (MediaStrategy::Overstater, 4_900, Score::of_part(5_172).0),
            (MediaStrategy::Overstater, 4_800, 9_000),
        ] {
            assert_eq!(in_turn(strategy, 200, load).score, score, "{strategy:?} {load}");
        }
        // Callers confirm nearly as much as it says: so little is within what measuring may be off.
        assert_eq!(in_turn(MediaStrategy::Overstater, 105, 9_333).score, 9_000);
    }

    #[test]
    fn two_nodes_on_one_machine_share_it() {
        let both = |sibling| {
            let turns = first(Asked { load: 6_000, sibling });
            let conditions = Conditions { turns, ..conditions([0; TURNS]) };
            Market::default().serve(MediaStrategy::Twins, CapacityClass::Medium, &conditions)
        };
        assert_eq!(both(4_000).score, 9_000);
        assert_eq!(both(6_000).score, Score::of_part(5_000).0);
        assert_eq!(both(0).cost, 62 * CHR / 1_000);
    }

    #[test]
    fn an_honest_node_that_fails_all_its_callers_shows_no_more_than_they_got() {
        let fails = Conditions {
            fails: true,
            score: 6_000,
            turns: first(Asked { load: 4_000, sibling: 0 }),
            ..conditions([0; TURNS])
        };
        let of = |class| Market::default().serve(MediaStrategy::Honest, class, &fails).score;
        assert_eq!(of(CapacityClass::Medium), Score::of_part(4_000).0);
        let alone = Conditions { turns: first(Asked { load: 1_000, sibling: 0 }), ..fails.clone() };
        assert_eq!(Market::default().serve(MediaStrategy::Honest, CapacityClass::Small, &alone).score, 6_000);
    }
}
