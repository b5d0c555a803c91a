//! Tokens change hands, so that nobody runs out of them.

use crate::{Balances, Rewards, Runtime, economy::TreasuryAccount, tests::random::world::World};
use chroom_primitives::CHR;

type BalancesCall = pallet_balances::Call<Runtime>;

impl World {
    pub(super) fn move_tokens(&mut self) {
        let node = self.dice.pick(&self.actors.nodes).unwrap().account();
        let who = self.someone();
        match self.dice.below(12) {
            0 | 1 => {
                // The treasury spends.
                let source = TreasuryAccount::get();
                let dest = if self.dice.once_in(2) { Rewards::reserve_account() } else { who };
                let value = Balances::free_balance(&source) / 2;
                self.command(BalancesCall::force_transfer { source: source.into(), dest: dest.into(), value });
            }
            2 => {
                // An account that nothing holds goes.
                self.send(node, BalancesCall::transfer_all { dest: who.into(), keep_alive: false });
            }
            _ => {
                let value = self.chr(2_000) + CHR;
                self.send(who, BalancesCall::transfer_allow_death { dest: node.into(), value });
            }
        }
    }
}
