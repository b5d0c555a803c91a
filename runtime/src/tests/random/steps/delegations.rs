//! Owners set the rules of pools, others delegate.

use crate::{Pools, Runtime, tests::random::world::World};
use chroom_primitives::NodeId;
use pallet_chroom_pools::{Beneficiary, PoolId, Rules};
use sp_runtime::Perbill;

type PoolsCall = pallet_chroom_pools::Call<Runtime>;

impl World {
    pub(super) fn delegate(&mut self) {
        match self.dice.below(10) {
            0 | 1 => self.set_pool_rules(),
            2..=4 => {
                let open: Vec<NodeId> =
                    self.registered.iter().filter(|node| Pools::rules(**node).open).copied().collect();
                let choices = if self.dice.once_in(8) { &self.registered } else { &open };
                let Some(node) = self.dice.pick(choices) else { return };
                let (who, amount) = (self.someone(), self.chr(500));
                let max_commission = if self.dice.once_in(8) { self.dice.percent(100) } else { Perbill::one() };
                self.send(who, PoolsCall::delegate { node, amount, max_commission });
            }
            _ => self.leave_pool(),
        }
    }

    fn set_pool_rules(&mut self) {
        let Some((node, owner)) = self.node() else { return };
        let beneficiaries: Vec<Beneficiary> = (0..self.dice.below(4))
            .map(|_| Beneficiary { account: self.anyone(), share: self.dice.percent(40) })
            .collect();
        let rules = Rules {
            commission: self.dice.percent(101),
            beneficiaries: beneficiaries.try_into().unwrap(),
            open: !self.dice.once_in(5),
        };
        self.send(owner, PoolsCall::set_rules { node, rules });
    }

    fn leave_pool(&mut self) {
        let who = self.someone();
        let delegations = Pools::delegations_of(who.clone(), None, 30);
        let now = crate::System::block_number();
        let leaving: Vec<PoolId> = delegations
            .iter()
            .filter(|own| own.node.is_none() || own.leaving > 0 && own.free_from <= now)
            .map(|own| own.pool)
            .collect();
        let own: Vec<PoolId> = delegations.into_iter().map(|own| own.pool).collect();
        let Some(pool) = self.dice.pick(&own) else { return };
        match self.dice.below(5) {
            0 | 1 => {
                let amount = if self.dice.once_in(3) { self.chr(5_000) } else { self.chr(300) };
                self.send(who, PoolsCall::undelegate { pool, amount });
            }
            2 | 3 => {
                let pool = self.dice.pick(&leaving).unwrap_or(pool);
                self.send(who, PoolsCall::withdraw_delegation { pool });
            }
            _ => {
                self.send(who, PoolsCall::collect { pool });
            }
        }
    }
}
