//! Nodes are paid for epochs.

use crate::{Nodes, Qos, Rewards, Runtime, tests::random::world::World};
use chroom_primitives::{QosEpoch, runtime_api::MemberProof};

type RewardsCall = pallet_chroom_rewards::Call<Runtime>;

impl World {
    pub(super) fn claim(&mut self) {
        let most = if self.dice.once_in(4) { 66 } else { 5 };
        let epoch = QosEpoch(Qos::epoch_info().current.0.saturating_sub(1 + self.dice.below(most)));
        let Some(round) = self.rounds.get(&epoch) else { return };
        let Some(node) = self.dice.pick(&round.nodes()) else { return };
        let mut proofs = round.proofs(&node);
        if self.dice.once_in(10) {
            proofs.pop();
        }
        if self.dice.once_in(20)
            && let Some(proof) = proofs.first_mut()
        {
            proof.quality.0.samples += 1;
        }
        let who = match self.dice.below(6) {
            0 => node.account(),
            1 => self.someone(),
            _ => Nodes::owner(&node).unwrap_or_else(|| node.account()),
        };
        let preview = |proofs: &[MemberProof]| Rewards::preview_claim(epoch, node, proofs.to_vec());
        let foretold = self.dice.once_in(4).then(|| preview(&proofs));
        let Ok(proofs) = proofs.try_into() else { return };
        if self.send(who, RewardsCall::claim { epoch, node, proofs })
            && let Some(payout) = foretold
        {
            let amount = payout.map(|payout| payout.fees + payout.subsidy).unwrap();
            assert_eq!(Rewards::last_reward(node), Some((epoch, amount)), "a claim pays what was foretold");
        }
    }
}
