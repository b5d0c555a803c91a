//! Which pallets are measured, for `frame-omni-bencher`.
//!
//! A pallet is listed by the name of its crate and its type here. Sessions and offences have their benchmarks in crates that
//! need pallet-staking.

// The macros write public items that they give no documentation.
#![allow(missing_docs)]

use crate::{
    AllPalletsWithSystem, Anchor, Babe, Balances, Council, Enactment, Grandpa, Multisig, Nodes, Parameters, Pools,
    Preimage, Qos, Rewards, Runtime, SafeMode, Scheduler, Sudo, TechnicalCommittee, Timestamp, TransactionPayment,
    TxPause, Utility, Validators,
};
use alloc::{string::String, vec::Vec};
use frame_benchmarking::{BenchmarkBatch, BenchmarkConfig, BenchmarkList, baseline::Pallet as Baseline};
use frame_support::traits::{StorageInfo, StorageInfoTrait, WhitelistedStorageKeys};
use frame_system_benchmarking::{Pallet as SystemBench, extensions::Pallet as SystemExtensionsBench};

frame_benchmarking::define_benchmarks!(
    [frame_benchmarking, Baseline::<Runtime>]
    [frame_system, SystemBench::<Runtime>]
    [frame_system_extensions, SystemExtensionsBench::<Runtime>]
    [pallet_babe, Babe]
    [pallet_balances, Balances]
    [pallet_chroom_anchor, Anchor]
    [pallet_chroom_enactment, Enactment]
    [pallet_chroom_nodes, Nodes]
    [pallet_chroom_pools, Pools]
    [pallet_chroom_qos, Qos]
    [pallet_chroom_rewards, Rewards]
    [pallet_chroom_validators, Validators]
    [pallet_collective, Council]
    [pallet_collective, TechnicalCommittee]
    [pallet_grandpa, Grandpa]
    [pallet_multisig, Multisig]
    [pallet_parameters, Parameters]
    [pallet_preimage, Preimage]
    [pallet_safe_mode, SafeMode]
    [pallet_scheduler, Scheduler]
    [pallet_sudo, Sudo]
    [pallet_timestamp, Timestamp]
    [pallet_transaction_payment, TransactionPayment]
    [pallet_tx_pause, TxPause]
    [pallet_utility, Utility]
);

impl frame_benchmarking::baseline::Config for Runtime {}
impl frame_system_benchmarking::Config for Runtime {}
impl pallet_transaction_payment::BenchmarkConfig for Runtime {}

/// The benchmarks that there are, with the storage of all pallets.
pub fn list(extra: bool) -> (Vec<BenchmarkList>, Vec<StorageInfo>) {
    let mut list = Vec::new();
    list_benchmarks!(list, extra);
    (list, AllPalletsWithSystem::storage_info())
}

/// Runs one of them.
pub fn run(config: BenchmarkConfig) -> Result<Vec<BenchmarkBatch>, String> {
    let whitelist = AllPalletsWithSystem::whitelisted_storage_keys();
    let params = (&config, &whitelist);
    let mut batches = Vec::new();
    add_benchmarks!(params, batches);
    Ok(batches)
}
