//! Nodes come, change and go, and are reported.

use super::CELL;
use crate::{AccountId, Nodes, Runtime, Timestamp, tests::random::world::World};
use chroom_primitives::{
    CapacityClass, EthereumSignature, NodeId, NodeStatus, Role, Signable,
    record::{KeyProof, Registration},
    typed_data::NodeRegistration,
};
use frame_support::traits::Time;

type NodesCall = pallet_chroom_nodes::Call<Runtime>;

impl World {
    /// A registered node and who owns it, or for once somebody else.
    pub(super) fn node(&mut self) -> Option<(NodeId, AccountId)> {
        let node = self.dice.pick(&self.registered)?;
        let owner = Nodes::owner(&node)?;
        Some((node, if self.dice.once_in(15) { self.someone() } else { owner }))
    }

    fn key_proof(&mut self, node: NodeId, owner: &AccountId, role: Role) -> (u32, EthereumSignature) {
        let expires_at = Nodes::now() + 50;
        let nonce = Nodes::key_proof_nonce(node) + u32::from(self.dice.once_in(30));
        let proof = KeyProof { node, owner: owner.clone(), role, nonce, expires_at };
        (expires_at, self.actors.key(&node).sign_hash(&proof.signing_hash(&Nodes::genesis_hash())))
    }

    /// A key that is not registered, most often.
    fn unregistered(&mut self) -> NodeId {
        let free: Vec<NodeId> =
            self.actors.nodes.iter().filter(|node| !self.registered.contains(node)).copied().collect();
        let choices = if self.dice.once_in(6) { &self.actors.nodes } else { &free };
        self.dice.pick(choices).unwrap_or(self.actors.nodes[0])
    }

    pub(super) fn register(&mut self) {
        let node = self.unregistered();
        let role = match self.dice.below(8) {
            0..=2 => Role::Registry,
            3 => Role::Orchestrator,
            _ => Role::Media,
        };
        let class = if self.dice.once_in(5) { CapacityClass::Medium } else { CapacityClass::Small };
        let price_per_gib = if role == Role::Media { self.chr(2) } else { 0 };
        let bond = if self.dice.once_in(10) { self.chr(500) } else { Nodes::minimum_bond(role, class) + self.chr(400) };
        let (cell, endpoint) = (CELL, "127.0.0.1:7100".parse().unwrap());
        if self.dice.once_in(3) {
            // The owner is another of the keys, an EVM wallet.
            let owner = self.dice.pick(&self.actors.nodes).unwrap();
            let expires_at = Nodes::now() + 50;
            let nonce = Nodes::authorization_nonce(owner) + u32::from(self.dice.once_in(30));
            let word = NodeRegistration { node, role, class, bond, nonce, expires_at };
            let authorization = self.actors.key(&owner).sign_hash(&word.signing_hash(&Nodes::genesis_hash()));
            let call = NodesCall::register_authorized {
                owner,
                role,
                class,
                cell,
                endpoint,
                price_per_gib,
                bond,
                expires_at,
                authorization,
            };
            self.send(node.account(), call);
        } else {
            let owner = self.someone();
            let (expires_at, key_proof) = self.key_proof(node, &owner, role);
            let call =
                NodesCall::register { node, role, class, cell, endpoint, price_per_gib, bond, expires_at, key_proof };
            self.send(owner, call);
        }
    }

    pub(super) fn change_node(&mut self) {
        let Some((node, who)) = self.node() else { return };
        let Some(Registration { role, status, .. }) = Nodes::registration(node) else { return };
        let amount = self.chr(300);
        // Mostly something that the node's status lets pass.
        let kind = match status {
            _ if self.dice.once_in(6) => self.dice.below(16),
            NodeStatus::Unbonding => self.dice.pick(&[7, 13, 14]).unwrap(),
            NodeStatus::Draining | NodeStatus::Jailed => self.dice.pick(&[2, 2, 9, 9, 9, 9, 9, 12]).unwrap(),
            NodeStatus::Active => self.dice.pick(&[0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 12, 15]).unwrap(),
        };
        let call = match kind {
            0 | 1 => {
                let class = self.dice.pick(&[None, Some(CapacityClass::Small), Some(CapacityClass::Medium)]).unwrap();
                let price_per_gib = (role == Role::Media || self.dice.once_in(9)).then(|| self.chr(2));
                NodesCall::update { node, class, cell: None, endpoint: None, price_per_gib }
            }
            2 | 3 => NodesCall::add_bond { node, amount },
            4 | 5 => NodesCall::reduce_bond { node, amount: amount / 3 },
            6 | 7 => NodesCall::withdraw_reduced { node },
            8 => NodesCall::drain { node },
            9..=11 => NodesCall::resume { node },
            12 => NodesCall::unbond { node },
            13 | 14 => NodesCall::withdraw { node },
            _ => {
                let new_node = self.unregistered();
                let (expires_at, key_proof) = self.key_proof(new_node, &who, role);
                NodesCall::rotate_key { node, new_node, expires_at, key_proof }
            }
        };
        self.send(who, call);
    }

    pub(super) fn accuse_node(&mut self) {
        let Some((node, _)) = self.node() else { return };
        let made_ms = <Timestamp as Time>::now().saturating_sub(self.dice.below(100_000).into());
        let evidence = crate::tests::nodes::evidence(self.actors.key(&node), made_ms);
        let who = self.anyone();
        self.send(who, NodesCall::report_equivocation { evidence });
    }
}
