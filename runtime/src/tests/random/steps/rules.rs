//! The council changes the rules while the chain runs.

use crate::{Runtime, tests::random::world::World};
use chroom_primitives::CHR;
use pallet_chroom_nodes::NodeParameters;
use pallet_chroom_rewards::RewardParameters;
use pallet_chroom_validators::EraParameters;
use sp_runtime::Perbill;

type NodesCall = pallet_chroom_nodes::Call<Runtime>;
type RewardsCall = pallet_chroom_rewards::Call<Runtime>;
type ValidatorsCall = pallet_chroom_validators::Call<Runtime>;

impl World {
    /// Sets rules, which may be out of their ranges.
    pub(super) fn change_rules(&mut self) {
        match self.dice.below(3) {
            0 => self.change_node_rules(),
            1 => self.change_pay(),
            _ => self.change_elections(),
        }
    }

    fn change_node_rules(&mut self) {
        let parameters = NodeParameters {
            media_bond: self.dice.pick(&[50, 100, 150]).unwrap() * CHR,
            orchestrator_bond: self.dice.pick(&[50, 100, 150]).unwrap() * CHR,
            registry_bond: self.dice.pick(&[100, 300, 500]).unwrap() * CHR,
            unbonding_period: 1 + self.dice.below(30),
            jail_period: 1 + self.dice.below(25),
            equivocation_slash: Perbill::from_percent(self.dice.pick(&[0, 1, 10, 10, 10, 50, 100]).unwrap()),
            reporter_share: self.dice.percent(55),
            treasury_share: self.dice.percent(55),
            deposit: self.chr(4),
        };
        self.command(NodesCall::set_parameters { parameters });
    }

    fn change_pay(&mut self) {
        let parameters = RewardParameters {
            epoch_cap: self.chr(150),
            epoch_rate: Perbill::from_parts(self.dice.below(600_000)),
            attestor_share: self.dice.percent(40),
            validator_share: self.dice.percent(40),
            treasury_share: self.dice.percent(30),
            burn_share: self.dice.percent(30),
            reserve_share: self.dice.percent(40),
            orchestrator_share: self.dice.percent(40),
            tolerance: self.dice.below(600) as u16,
            minimum_uptime: 4_000 + self.dice.below(6_001) as u16,
            escrow_delay: 1 + self.dice.below(5),
        };
        self.command(RewardsCall::set_parameters { parameters });
    }

    fn change_elections(&mut self) {
        let parameters = EraParameters {
            validators: 2 + self.dice.below(4),
            minimum_validators: 1 + self.dice.below(3),
            sessions_per_era: 1 + self.dice.below(3),
            unbonding_eras: self.dice.below(5),
            minimum_bond: self.dice.pick(&[500, 1_000, 2_000]).unwrap() * CHR,
            slash_defer_eras: self.dice.below(3),
            minimum_expected_blocks: 1 + self.dice.below(3),
            absences_until_chill: 1 + self.dice.below(3),
        };
        self.command(ValidatorsCall::set_parameters { parameters });
    }
}
