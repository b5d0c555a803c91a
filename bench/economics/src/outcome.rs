//! What came of a scenario.

use crate::{population::Group, tally::Tally};
use chroom_primitives::{Balance, CHR};

/// What came of one scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: &'static str,
    /// Epochs that were simulated.
    pub epochs: u32,
    /// Each group that has seats.
    pub groups: Vec<GroupOutcome>,
    /// After some epochs (their number first), the profit so far of each group in `groups`.
    pub course: Vec<(u32, Vec<i128>)>,
    /// Tokens that were burnt.
    pub burnt: Balance,
    /// What is left in the reserve.
    pub reserve: Balance,
}

/// What came of one group of operators.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GroupOutcome {
    /// The group.
    pub group: Group,
    /// Registered nodes.
    pub seats: usize,
    /// Their bonds in all.
    pub bond: Balance,
    /// What they got and spent.
    pub tally: Tally,
}

impl GroupOutcome {
    /// Mean profit of an epoch in CHR for each 1,000 CHR of bond.
    pub fn return_on_bond(&self, epochs: u32) -> f64 {
        per_thousand(self.tally.profit(), self.bond, epochs)
    }

    /// Mean profit of an epoch in CHR for each seat.
    pub fn profit_per_seat(&self, epochs: u32) -> f64 {
        chr(self.tally.profit()) / (self.seats.max(1) as f64) / f64::from(epochs.max(1))
    }

    /// Profit for each unit of cost, what it paid itself and was slashed included; none without cost.
    pub fn return_on_cost(&self) -> Option<f64> {
        let cost = self.tally.cost + self.tally.spent();
        (cost > 0).then(|| self.tally.profit() as f64 / cost as f64)
    }
}

impl Outcome {
    /// The outcome of a group; none if it has no seats.
    pub fn group(&self, group: Group) -> Option<&GroupOutcome> {
        self.groups.iter().find(|one| one.group == group)
    }

    /// [`GroupOutcome::return_on_bond`] of a group; 0 if it has no seats.
    pub fn return_on_bond(&self, group: Group) -> f64 {
        self.group(group).map_or(0.0, |one| one.return_on_bond(self.epochs))
    }

    /// Each group's course in CHR for each 1,000 CHR of bond, by epoch.
    pub fn courses(&self) -> Vec<(Group, Vec<(f64, f64)>)> {
        let course = |place: usize, one: &GroupOutcome| {
            let point = |(epoch, profits): &(u32, Vec<i128>)| {
                let profit = profits.get(place).copied().unwrap_or_default();
                (f64::from(*epoch), per_thousand(profit, one.bond, 1))
            };
            (one.group, self.course.iter().map(point).collect())
        };
        self.groups.iter().enumerate().map(|(place, one)| course(place, one)).collect()
    }
}

/// An amount in CHR.
pub fn chr(amount: i128) -> f64 {
    amount as f64 / CHR as f64
}

fn per_thousand(profit: i128, bond: Balance, epochs: u32) -> f64 {
    if bond == 0 { 0.0 } else { profit as f64 * 1_000.0 / bond as f64 / f64::from(epochs.max(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::MediaStrategy;

    #[test]
    fn returns_are_per_bond_and_epoch() {
        let tally = Tally { subsidy: 30 * CHR, cost: 10 * CHR, ..Default::default() };
        let group = Group::Media(MediaStrategy::Honest);
        let one = GroupOutcome { group, seats: 2, bond: 4_000 * CHR, tally };
        assert_eq!((one.return_on_bond(10), one.profit_per_seat(10), one.return_on_cost()), (0.5, 1.0, Some(2.0)));
        let idle = GroupOutcome { tally: Tally::default(), bond: 0, ..one };
        assert_eq!((idle.return_on_bond(10), idle.return_on_cost()), (0.0, None));
        let outcome = Outcome {
            scenario: "",
            epochs: 10,
            groups: vec![one],
            course: vec![(5, vec![10 * i128::try_from(CHR).unwrap()])],
            burnt: 0,
            reserve: 0,
        };
        assert_eq!(outcome.return_on_bond(group), 0.5);
        assert_eq!(outcome.return_on_bond(Group::Media(MediaStrategy::Ghost)), 0.0);
        assert_eq!(outcome.courses(), [(group, vec![(5.0, 2.5)])]);
    }
}
