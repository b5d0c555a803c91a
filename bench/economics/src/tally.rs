//! What a group of operators got and spent.

use chroom_primitives::Balance;

/// Sums over a group, in the smallest unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Availability subsidies.
    pub subsidy: Balance,
    /// Usage fees that came in.
    pub fees: Balance,
    /// What it had back as its own orchestrator of what it paid itself.
    pub own_orchestrator: Balance,
    /// Usage fees that it paid itself with.
    pub self_paid: Balance,
    /// Attestors' pay.
    pub attestation: Balance,
    /// Reporters' shares of slashes.
    pub bounties: Balance,
    /// What was slashed.
    pub slashed: Balance,
    /// What running cost, outside of the chain.
    pub cost: Balance,
}

impl Tally {
    /// What came in on the chain.
    pub fn received(&self) -> Balance {
        self.subsidy + self.fees + self.own_orchestrator + self.attestation + self.bounties
    }

    /// What went out on the chain.
    pub fn spent(&self) -> Balance {
        self.self_paid + self.slashed
    }

    /// What remains after all costs.
    pub fn profit(&self) -> i128 {
        signed(self.received()) - signed(self.spent()) - signed(self.cost)
    }

    /// Adds another's sums.
    pub fn add(&mut self, other: &Self) {
        self.subsidy += other.subsidy;
        self.fees += other.fees;
        self.own_orchestrator += other.own_orchestrator;
        self.self_paid += other.self_paid;
        self.attestation += other.attestation;
        self.bounties += other.bounties;
        self.slashed += other.slashed;
        self.cost += other.cost;
    }
}

/// All tokens that there are fit.
fn signed(amount: Balance) -> i128 {
    i128::try_from(amount).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profit_is_what_came_in_less_what_went_out() {
        let mut tally = Tally { subsidy: 10, fees: 5, self_paid: 3, cost: 20, ..Default::default() };
        assert_eq!(tally.profit(), -8);
        tally.add(&Tally { own_orchestrator: 1, attestation: 30, bounties: 2, slashed: 4, ..Default::default() });
        assert_eq!((tally.received(), tally.spent(), tally.profit()), (48, 7, 21));
    }
}
