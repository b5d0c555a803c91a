//! How a registration begins, by key proof or by authorisation, and ends.

use crate::{
    AuthorizationNonces, Config, Error, Event, GenesisNode, KeyProofNonces, NodeInfo, Nodes, OnNodeRemoved, Pallet,
    Parameters, Successors, Unbonding,
    types::{MAX_PRICE_PER_GIB, NewNode},
};
use chroom_primitives::{
    AccountId, EthereumSignature, NodeId, Role, Signed, record::KeyProof, typed_data::NodeRegistration,
};
use frame_support::{ensure, traits::Get};
use sp_runtime::DispatchResult;

impl<T: Config> Pallet<T> {
    pub(crate) fn check_key_proof(proof: KeyProof, signature: EthereumSignature) -> Result<(), Error<T>> {
        let now = Self::now();
        ensure!(proof.expires_at >= now, Error::<T>::KeyProofExpired);
        ensure!(proof.expires_at <= now.saturating_add(T::KeyProofLifetime::get()), Error::<T>::KeyProofTooLong);
        let node = proof.node;
        let signer = Signed { payload: proof, signature }.signer(&Self::genesis_hash());
        ensure!(signer == Some(node), Error::<T>::InvalidKeyProof);
        Ok(())
    }

    pub(crate) fn check_authorization(
        owner: NodeId,
        authorized: &NodeRegistration,
        signature: &EthereumSignature,
    ) -> Result<(), Error<T>> {
        let now = Self::now();
        let last = now.saturating_add(T::KeyProofLifetime::get());
        ensure!(authorized.expires_at >= now, Error::<T>::AuthorizationExpired);
        ensure!(authorized.expires_at <= last, Error::<T>::AuthorizationTooLong);
        let signer = authorized.signer(signature, &Self::genesis_hash());
        ensure!(signer == Some(owner), Error::<T>::InvalidAuthorization);
        Ok(())
    }

    pub(crate) fn spend_authorization_nonce(owner: NodeId) -> DispatchResult {
        let nonce = AuthorizationNonces::<T>::get(owner).checked_add(1).ok_or(Error::<T>::Overflow)?;
        AuthorizationNonces::<T>::insert(owner, nonce);
        Ok(())
    }

    pub(crate) fn spend_key_proof_nonce(node: NodeId) -> DispatchResult {
        let nonce = KeyProofNonces::<T>::get(node).checked_add(1).ok_or(Error::<T>::Overflow)?;
        KeyProofNonces::<T>::insert(node, nonce);
        Ok(())
    }

    pub(crate) fn check_attributes(info: &NodeInfo) -> Result<(), Error<T>> {
        ensure!(info.endpoint.is_well_formed(), Error::<T>::InvalidEndpoint);
        ensure!(info.cell.is_plausible(), Error::<T>::InvalidCell);
        let highest = if info.role == Role::Media { MAX_PRICE_PER_GIB } else { 0 };
        ensure!(info.price_per_gib <= highest, Error::<T>::InvalidPrice);
        ensure!(info.bond >= Self::minimum_bond(info.role, info.class), Error::<T>::BondTooLow);
        Ok(())
    }

    /// Registers a node, whose key and owner agreed to it.
    pub(crate) fn do_register(node: NodeId, owner: AccountId, new: NewNode) -> DispatchResult {
        let (role, bond, deposit) = (new.role, new.bond, Parameters::<T>::get().deposit);
        let info = NodeInfo::new(owner.clone(), new, deposit, Self::now());
        Self::check_attributes(&info)?;
        Self::spend_key_proof_nonce(node)?;
        Self::hold(&owner, bond)?;
        Self::hold_deposit(&owner, deposit)?;
        Self::replace(node, None, Some(info))?;
        Self::deposit_event(Event::Registered { node, owner, role, bond });
        Ok(())
    }

    pub(crate) fn register_at_genesis(genesis: &GenesisNode) -> DispatchResult {
        let GenesisNode { node, owner, role, class, cell, endpoint, price_per_gib } = genesis.clone();
        ensure!(!Nodes::<T>::contains_key(node), Error::<T>::AlreadyRegistered);
        let bond = Self::minimum_bond(role, class);
        Self::do_register(node, owner, NewNode { role, class, cell, endpoint, price_per_gib, bond })
    }

    /// Removes a node with all that is kept of it, and releases what is on hold for it.
    pub(crate) fn do_withdraw(node: NodeId, before: NodeInfo) -> DispatchResult {
        let (owner, deposit) = (before.owner.clone(), before.deposit);
        let bond = Self::stake(&node, &before);
        Self::release(&owner, bond)?;
        Self::release_deposit(&owner, deposit)?;
        Unbonding::<T>::remove(node);
        if let Some(successor) = Successors::<T>::take(node) {
            Nodes::<T>::mutate(successor, |info| {
                if let Some(info) = info {
                    info.predecessor = None;
                }
            });
        }
        Self::replace(node, Some(before), None)?;
        T::OnRemoved::removed(&node);
        Self::deposit_event(Event::Withdrawn { node, owner, bond, deposit });
        Ok(())
    }
}
