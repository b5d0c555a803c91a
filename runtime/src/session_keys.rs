//! The keys that a validator puts in charge of a session.

use crate::{AccountId, AuthorityDiscovery, Babe, Grandpa};
use alloc::vec::Vec;
use frame_support::traits::OneSessionHandler;
use sp_consensus_beefy::ecdsa_crypto::AuthorityId as BeefyId;
use sp_runtime::{BoundToRuntimeAppPublic, impl_opaque_keys};

/// Holds BEEFY's place among the session keys until the chain is anchored in a parent chain, so that no validator has to
/// set its keys anew then. It takes the keys and does nothing with them.
pub struct ReservedBeefy;

impl BoundToRuntimeAppPublic for ReservedBeefy {
    type Public = BeefyId;
}

impl OneSessionHandler<AccountId> for ReservedBeefy {
    type Key = BeefyId;

    fn on_genesis_session<'a, I>(_: I)
    where
        I: Iterator<Item = (&'a AccountId, BeefyId)> + 'a,
    {
    }

    fn on_new_session<'a, I>(_: bool, _: I, _: I)
    where
        I: Iterator<Item = (&'a AccountId, BeefyId)> + 'a,
    {
    }

    fn on_disabled(_: u32) {}
}

impl_opaque_keys! {
    /// A validator's session keys.
    pub struct SessionKeys {
        /// Authors blocks (sr25519).
        pub babe: Babe,
        /// Votes on finality (ed25519).
        pub grandpa: Grandpa,
        /// Publishes the validator's addresses (sr25519).
        pub authority_discovery: AuthorityDiscovery,
        /// Reserved for BEEFY (ecdsa).
        pub beefy: ReservedBeefy,
    }
}
