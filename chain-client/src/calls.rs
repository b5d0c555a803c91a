//! The transactions that operators and nodes send.

use crate::{
    ChainClient, Signer, SubmitError, TxOutcome,
    config::subxt_account,
    runtime::{runtime_types::bounded_collections::bounded_vec::BoundedVec, transactions as calls},
};
use chroom_primitives::{
    AccountId, Balance, CapacityClass, Endpoint, EthereumSignature, H3Cell, NodeId, QosEpoch, Role, Signed,
    merkle::Root, record::KeyProof, runtime_api::MemberProof, typed_data::NodeRegistration,
};
use chroom_wallet::Wallet;
use subxt::utils::Static;

/// Blocks for which a key proof made by [`ChainClient::register`] holds.
const KEY_PROOF_BLOCKS: u32 = 100;
/// Blocks for which an owner's authorisation holds: it may have to travel. The chain takes 1,200 at most.
const AUTHORIZATION_BLOCKS: u32 = 1_000;

/// A node to be registered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewNode {
    /// What it will do.
    pub role: Role,
    /// Capacity class.
    pub class: CapacityClass,
    /// Where it is.
    pub cell: H3Cell,
    /// Its gRPC interface.
    pub endpoint: Endpoint,
    /// Price of usage in the smallest unit per GiB; 0 for other roles than media.
    pub price_per_gib: Balance,
    /// Bond that the owner puts on hold, in the smallest unit.
    pub bond: Balance,
}

/// An owner's word that a node may register itself, with the owner's signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Authorization {
    /// The EVM address of the owner, who signed.
    pub owner: NodeId,
    /// What it signed.
    pub registration: NodeRegistration,
    /// The signature.
    pub signature: EthereumSignature,
}

/// Changes to a registration; `None` leaves an attribute as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeUpdate {
    /// Capacity class, from the next epoch on.
    pub class: Option<CapacityClass>,
    /// Where it is.
    pub cell: Option<H3Cell>,
    /// Its gRPC interface.
    pub endpoint: Option<Endpoint>,
    /// Price of usage in the smallest unit per GiB, from the next epoch on.
    pub price_per_gib: Option<Balance>,
}

impl ChainClient {
    /// Makes the proof that a node's key agrees to be registered by `owner`.
    pub async fn key_proof(
        &self,
        node: &Wallet,
        owner: AccountId,
        role: Role,
    ) -> Result<Signed<KeyProof>, SubmitError> {
        let nonce = self.key_proof_nonce(node.node_id()).await?;
        let expires_at = self.membership().borrow().block.saturating_add(KEY_PROOF_BLOCKS);
        let proof = KeyProof { node: node.node_id(), owner, role, nonce, expires_at };
        Ok(node.sign(proof, &self.genesis_hash()))
    }

    /// Registers the node with this key; `owner` bonds for it.
    pub async fn register(&self, owner: &Signer, node: &Wallet, new: NewNode) -> Result<TxOutcome, SubmitError> {
        let proof = self.key_proof(node, owner.account(), new.role).await?;
        self.register_with_proof(owner, new, &proof).await
    }

    /// As [`ChainClient::register`], with a proof that was made elsewhere: the node's key need not be on the owner's machine.
    pub async fn register_with_proof(
        &self,
        owner: &Signer,
        new: NewNode,
        proof: &Signed<KeyProof>,
    ) -> Result<TxOutcome, SubmitError> {
        let call = calls().nodes().register(
            Static(proof.payload.node),
            Static(new.role),
            Static(new.class),
            Static(new.cell),
            Static(new.endpoint),
            new.price_per_gib,
            new.bond,
            proof.payload.expires_at,
            Static(proof.signature),
        );
        self.submit(owner, &call).await
    }

    /// What `owner` has to sign, as typed data, so that `node` may register itself now.
    pub async fn authorizable(
        &self,
        owner: NodeId,
        node: NodeId,
        role: Role,
        class: CapacityClass,
        bond: Balance,
    ) -> Result<NodeRegistration, SubmitError> {
        let nonce = self.authorization_nonce(owner).await?;
        let expires_at = self.membership().borrow().block.saturating_add(AUTHORIZATION_BLOCKS);
        Ok(NodeRegistration { node, role, class, bond, nonce, expires_at })
    }

    /// Registers the node that signs for the owner who authorised it; the owner's account bonds, the node's pays the fee.
    pub async fn register_authorized(
        &self,
        node: &Signer,
        authorization: &Authorization,
        cell: H3Cell,
        endpoint: Endpoint,
        price_per_gib: Balance,
    ) -> Result<TxOutcome, SubmitError> {
        let Authorization { owner, registration, signature } = *authorization;
        let call = calls().nodes().register_authorized(
            Static(owner),
            Static(registration.role),
            Static(registration.class),
            Static(cell),
            Static(endpoint),
            price_per_gib,
            registration.bond,
            registration.expires_at,
            Static(signature),
        );
        self.submit(node, &call).await
    }

    /// Gives a registration the key that made `proof`.
    pub async fn rotate_key(
        &self,
        owner: &Signer,
        node: NodeId,
        proof: &Signed<KeyProof>,
    ) -> Result<TxOutcome, SubmitError> {
        let KeyProof { node: new_node, expires_at, .. } = proof.payload;
        let call = calls().nodes().rotate_key(Static(node), Static(new_node), expires_at, Static(proof.signature));
        self.submit(owner, &call).await
    }

    /// Changes a node's attributes.
    pub async fn update(&self, owner: &Signer, node: NodeId, update: NodeUpdate) -> Result<TxOutcome, SubmitError> {
        let call = calls().nodes().update(
            Static(node),
            update.class.map(Static),
            update.cell.map(Static),
            update.endpoint.map(Static),
            update.price_per_gib,
        );
        self.submit(owner, &call).await
    }

    /// Puts more bond on hold for a node.
    pub async fn add_bond(&self, owner: &Signer, node: NodeId, amount: Balance) -> Result<TxOutcome, SubmitError> {
        self.submit(owner, &calls().nodes().add_bond(Static(node), amount)).await
    }

    /// Takes back a part of a node's bond; it can be withdrawn after the unbonding period.
    pub async fn reduce_bond(&self, owner: &Signer, node: NodeId, amount: Balance) -> Result<TxOutcome, SubmitError> {
        self.submit(owner, &calls().nodes().reduce_bond(Static(node), amount)).await
    }

    /// Releases the parts of a node's bond whose unbonding period is over.
    pub async fn withdraw_reduced(&self, owner: &Signer, node: NodeId) -> Result<TxOutcome, SubmitError> {
        self.submit(owner, &calls().nodes().withdraw_reduced(Static(node))).await
    }

    /// Takes a node out of service; what it carries goes on. By its owner or the node itself.
    pub async fn drain(&self, signer: &Signer, node: NodeId) -> Result<TxOutcome, SubmitError> {
        self.submit(signer, &calls().nodes().drain(Static(node))).await
    }

    /// Puts a draining node, or one whose jail period is over, back into service. By its owner or the node itself.
    pub async fn resume(&self, signer: &Signer, node: NodeId) -> Result<TxOutcome, SubmitError> {
        self.submit(signer, &calls().nodes().resume(Static(node))).await
    }

    /// Begins to take a node off the register.
    pub async fn unbond(&self, owner: &Signer, node: NodeId) -> Result<TxOutcome, SubmitError> {
        self.submit(owner, &calls().nodes().unbond(Static(node))).await
    }

    /// Removes a node whose unbonding period is over and releases its bond.
    pub async fn withdraw(&self, owner: &Signer, node: NodeId) -> Result<TxOutcome, SubmitError> {
        self.submit(owner, &calls().nodes().withdraw(Static(node))).await
    }

    /// Sends an attestor's roots for an epoch: over its quality leaves, and over its register.
    pub async fn submit_root(
        &self,
        attestor: &Signer,
        epoch: QosEpoch,
        quality: Root,
        snapshot: Root,
    ) -> Result<TxOutcome, SubmitError> {
        self.submit(attestor, &calls().qos().submit_root(Static(epoch), Static(quality), Static(snapshot))).await
    }

    /// Claims a node's pay for an epoch with the proofs of its committee. The owner is paid, whoever signs.
    pub async fn claim(
        &self,
        signer: &Signer,
        epoch: QosEpoch,
        node: NodeId,
        proofs: Vec<MemberProof>,
    ) -> Result<TxOutcome, SubmitError> {
        let proofs = BoundedVec(proofs.into_iter().map(Static).collect());
        self.submit(signer, &calls().rewards().claim(Static(epoch), Static(node), proofs)).await
    }

    /// Adds to an application's escrow, from which its usage is paid.
    pub async fn deposit_escrow(
        &self,
        signer: &Signer,
        application: &AccountId,
        amount: Balance,
    ) -> Result<TxOutcome, SubmitError> {
        self.submit(signer, &calls().rewards().deposit(subxt_account(application), amount)).await
    }

    /// Sends tokens; the sender's account stays alive.
    pub async fn transfer(&self, from: &Signer, to: &AccountId, amount: Balance) -> Result<TxOutcome, SubmitError> {
        self.submit(from, &calls().balances().transfer_keep_alive(subxt_account(to).into(), amount)).await
    }

    /// Pays the signer what its orchestrators earned.
    pub async fn collect(&self, owner: &Signer) -> Result<TxOutcome, SubmitError> {
        self.submit(owner, &calls().rewards().collect()).await
    }

    /// Pays the owner of an attestor what it earned in the epochs that are beyond dispute, whoever signs.
    pub async fn collect_attestor(&self, signer: &Signer, attestor: NodeId) -> Result<TxOutcome, SubmitError> {
        self.submit(signer, &calls().rewards().collect_attestor(Static(attestor))).await
    }

    /// Lets an orchestrator spend from the signer's escrow at nodes up to a price per GiB; without one it may spend nothing any more.
    pub async fn authorize(
        &self,
        application: &Signer,
        orchestrator: NodeId,
        max_price_per_gib: Option<Balance>,
    ) -> Result<TxOutcome, SubmitError> {
        self.submit(application, &calls().rewards().authorize(Static(orchestrator), max_price_per_gib)).await
    }

    /// Asks for `amount` of the signer's escrow back; it can be had after the delay that lets claims come first.
    pub async fn request_escrow(&self, application: &Signer, amount: Balance) -> Result<TxOutcome, SubmitError> {
        self.submit(application, &calls().rewards().request_withdraw(amount)).await
    }

    /// Pays out the withdrawal from its escrow that the signer requested.
    pub async fn withdraw_escrow(&self, application: &Signer) -> Result<TxOutcome, SubmitError> {
        self.submit(application, &calls().rewards().withdraw()).await
    }
}
