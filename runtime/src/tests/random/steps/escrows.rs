//! Applications fill and empty their escrows, orchestrators and attestors collect.

use crate::{Nodes, Rewards, Runtime, tests::random::world::World};
use chroom_primitives::{NodeId, Role};

type RewardsCall = pallet_chroom_rewards::Call<Runtime>;

impl World {
    pub(super) fn escrow(&mut self) {
        let applications = self.actors.applications().to_vec();
        let application = self.dice.pick(&applications).unwrap();
        match self.dice.below(12) {
            0..=2 => {
                let (who, amount) = (self.someone(), self.chr(1_000));
                self.send(who, RewardsCall::deposit { application, amount });
            }
            3 => {
                let most = if self.dice.once_in(3) { self.chr(300) } else { Rewards::escrow(application.clone()) / 2 };
                self.send(application, RewardsCall::request_withdraw { amount: most });
            }
            4..=6 => {
                self.send(application, RewardsCall::withdraw {});
            }
            7 => {
                let orchestrator = self.orchestrator();
                let max_price_per_gib = if self.dice.once_in(4) { None } else { Some(self.chr(3)) };
                self.send(application, RewardsCall::authorize { orchestrator, max_price_per_gib });
            }
            8 => {
                let owner = Nodes::owner(&self.orchestrator()).unwrap_or(application);
                self.send(owner, RewardsCall::collect {});
            }
            _ => {
                let registries: Vec<NodeId> =
                    self.registered.iter().filter(|node| Self::has_role(node, Role::Registry)).copied().collect();
                let Some(attestor) = self.dice.pick(&registries) else { return };
                let who = self.someone();
                self.send(who, RewardsCall::collect_attestor { attestor });
            }
        }
    }

    /// One that is registered, or the genesis's.
    fn orchestrator(&mut self) -> NodeId {
        let registered: Vec<NodeId> =
            self.registered.iter().filter(|node| Self::has_role(node, Role::Orchestrator)).copied().collect();
        self.dice.pick(&registered).unwrap_or(self.actors.orchestrator())
    }
}
