//! The pallets that the runtime is made of, with their indices, which never change.

// The macro writes public items that it gives no documentation.
#![allow(missing_docs)]

use crate::{Block, UncheckedExtrinsic};
use alloc::vec::Vec;

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Runtime;

    #[runtime::pallet_index(0)]
    pub type System = frame_system::Pallet<Runtime>;
    #[runtime::pallet_index(1)]
    pub type Utility = pallet_utility::Pallet<Runtime>;

    // BABE comes before whatever reads the slot.
    #[runtime::pallet_index(2)]
    pub type Babe = pallet_babe::Pallet<Runtime>;
    #[runtime::pallet_index(3)]
    pub type Timestamp = pallet_timestamp::Pallet<Runtime>;

    #[runtime::pallet_index(4)]
    pub type Balances = pallet_balances::Pallet<Runtime>;
    #[runtime::pallet_index(5)]
    pub type TransactionPayment = pallet_transaction_payment::Pallet<Runtime>;

    // Authorship comes before the session, so that it finds a block's author in the session's validators; the validators'
    // genesis comes before the session's, which holds the first election.
    #[runtime::pallet_index(6)]
    pub type Authorship = pallet_authorship::Pallet<Runtime>;
    #[runtime::pallet_index(7)]
    pub type Validators = pallet_chroom_validators::Pallet<Runtime>;
    #[runtime::pallet_index(8)]
    pub type Offences = pallet_offences::Pallet<Runtime>;
    #[runtime::pallet_index(9)]
    pub type Historical = crate::consensus::historical::Pallet<Runtime>;
    #[runtime::pallet_index(10)]
    pub type Session = pallet_session::Pallet<Runtime>;
    #[runtime::pallet_index(11)]
    pub type Grandpa = pallet_grandpa::Pallet<Runtime>;
    #[runtime::pallet_index(12)]
    pub type AuthorityDiscovery = pallet_authority_discovery::Pallet<Runtime>;

    #[runtime::pallet_index(13)]
    pub type Sudo = pallet_sudo::Pallet<Runtime>;

    // Nodes come before the epochs that count them, epochs before the rewards that they emit.
    #[runtime::pallet_index(20)]
    pub type Nodes = pallet_chroom_nodes::Pallet<Runtime>;
    #[runtime::pallet_index(21)]
    pub type Qos = pallet_chroom_qos::Pallet<Runtime>;
    #[runtime::pallet_index(22)]
    pub type Rewards = pallet_chroom_rewards::Pallet<Runtime>;
    #[runtime::pallet_index(23)]
    pub type Anchor = pallet_chroom_anchor::Pallet<Runtime>;
    #[runtime::pallet_index(24)]
    pub type Pools = pallet_chroom_pools::Pallet<Runtime>;

    #[runtime::pallet_index(30)]
    pub type Council = pallet_collective::Pallet<Runtime, Instance1>;
    #[runtime::pallet_index(31)]
    pub type TechnicalCommittee = pallet_collective::Pallet<Runtime, Instance2>;
    #[runtime::pallet_index(32)]
    pub type Preimage = pallet_preimage::Pallet<Runtime>;
    #[runtime::pallet_index(33)]
    pub type Scheduler = pallet_scheduler::Pallet<Runtime>;
    #[runtime::pallet_index(34)]
    pub type Enactment = pallet_chroom_enactment::Pallet<Runtime>;
    #[runtime::pallet_index(35)]
    pub type Parameters = pallet_parameters::Pallet<Runtime>;
    #[runtime::pallet_index(36)]
    pub type SafeMode = pallet_safe_mode::Pallet<Runtime>;
    #[runtime::pallet_index(37)]
    pub type TxPause = pallet_tx_pause::Pallet<Runtime>;
    #[runtime::pallet_index(38)]
    pub type Multisig = pallet_multisig::Pallet<Runtime>;
}

// The macro's trait for inherents is private to this module.

/// The inherent extrinsics that an author has to put into its block.
pub(crate) fn inherent_extrinsics(data: &sp_inherents::InherentData) -> Vec<UncheckedExtrinsic> {
    data.create_extrinsics()
}

/// Whether a block's inherent extrinsics agree with what this node sees.
pub(crate) fn check_inherents(
    data: &sp_inherents::InherentData,
    block: &<Block as sp_runtime::traits::Block>::LazyBlock,
) -> sp_inherents::CheckInherentsResult {
    data.check_extrinsics(block)
}
