//! What may happen next.

mod accounts;
mod attestations;
mod claims;
mod delegations;
mod escrows;
mod nodes;
mod rules;
mod validators;

use super::world::World;
use crate::{AccountId, Balance};
use chroom_primitives::{CHR, H3Cell};

/// Resolution 3.
pub const CELL: H3Cell = H3Cell(0x0831_f8df_ffff_ffff);

impl World {
    /// Does one thing.
    pub fn step(&mut self) {
        match self.dice.below(100) {
            0..=3 => self.register(),
            4..=23 => self.change_node(),
            24 => self.accuse_node(),
            25..=40 => self.attest(),
            41..=56 => self.claim(),
            57..=67 => self.escrow(),
            68..=84 => self.delegate(),
            85..=94 => self.validate(),
            95 => self.offend(),
            96..=98 => self.move_tokens(),
            _ => self.change_rules(),
        }
    }

    fn someone(&mut self) -> AccountId {
        self.dice.pick(&self.actors.people).unwrap()
    }

    /// Somebody, or a node's account, which may not exist.
    fn anyone(&mut self) -> AccountId {
        if self.dice.once_in(3) { self.dice.pick(&self.actors.nodes).unwrap().account() } else { self.someone() }
    }

    /// Less than `most` tokens; often whole ones, sometimes odd amounts.
    fn chr(&mut self, most: u32) -> Balance {
        let whole = Balance::from(self.dice.below(most)) * CHR;
        if self.dice.once_in(3) { whole + Balance::from(self.dice.below(1_000_000_007)) } else { whole }
    }
}
