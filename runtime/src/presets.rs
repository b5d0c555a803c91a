//! Genesis presets: `dev` (one validator), `local` (two validators), `live` (production values, without authorities).
//!
//! A preset is a JSON patch of the default genesis. `live` has no keys and no balances, and so makes no chain by itself:
//! whoever starts a network adds its validators and the members of its council and technical committee with a patch of the
//! same form (docs/chain.md shows one). No account of it can call sudo.

use crate::{AccountId, Balance, SessionKeys, consensus::BABE_GENESIS, governance::MinEnactmentDelay};
use alloc::{string::String, string::ToString, vec, vec::Vec};
use chroom_primitives::CHR;
use pallet_chroom_nodes::NodeParameters;
use pallet_chroom_qos::EpochParameters;
use pallet_chroom_rewards::RewardParameters;
use pallet_chroom_validators::EraParameters;
use serde_json::{Value, json};
use sp_consensus_beefy::ecdsa_crypto::AuthorityId as BeefyId;
use sp_core::crypto::get_public_from_string_or_panic;
use sp_genesis_builder::PresetId;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::Perbill;

/// One validator, Alice, with short epochs.
pub const DEV: &str = "dev";
/// Two validators, Alice and Bob, with short epochs.
pub const LOCAL: &str = "local";
/// Production values.
pub const LIVE: &str = "live";

/// What every developer's account has at the genesis. JSON's numbers end at 2⁶⁴, which is 18 million CHR.
const DEV_ENDOWMENT: Balance = 10_000_000 * CHR;
/// What every developer's validator has bonded at the genesis.
const DEV_BOND: Balance = 1_000_000 * CHR;

/// The developers' council.
const DEV_COUNCIL: [Sr25519Keyring; 3] = [Sr25519Keyring::Alice, Sr25519Keyring::Bob, Sr25519Keyring::Charlie];
/// The developers' technical committee: nobody who is in the council too.
const DEV_COMMITTEE: [Sr25519Keyring; 3] = [Sr25519Keyring::Dave, Sr25519Keyring::Eve, Sr25519Keyring::Ferdie];

/// Blocks in a day.
const DAY: u32 = 14_400;

/// The presets' names.
pub fn names() -> Vec<PresetId> {
    vec![PresetId::from(DEV), PresetId::from(LOCAL), PresetId::from(LIVE)]
}

/// The preset as JSON. Substrate's usual names for the developers' networks are understood too.
pub fn preset(id: &PresetId) -> Option<Vec<u8>> {
    let patch = match id.as_str() {
        DEV | sp_genesis_builder::DEV_RUNTIME_PRESET => test_network(&[Sr25519Keyring::Alice]),
        LOCAL | sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET => {
            test_network(&[Sr25519Keyring::Alice, Sr25519Keyring::Bob])
        }
        LIVE => live(),
        _ => return None,
    };
    Some(patch.to_string().into_bytes())
}

/// The session keys that `--alice` and the like put into a node's keystore.
fn dev_session_keys(validator: Sr25519Keyring) -> SessionKeys {
    let name: String = <&'static str>::from(validator).into();
    let grandpa = match validator {
        Sr25519Keyring::Bob => Ed25519Keyring::Bob,
        _ => Ed25519Keyring::Alice,
    };
    SessionKeys {
        babe: validator.public().into(),
        grandpa: grandpa.public().into(),
        authority_discovery: validator.public().into(),
        beefy: get_public_from_string_or_panic::<BeefyId>(&name),
    }
}

fn accounts(keys: &[Sr25519Keyring]) -> Vec<AccountId> {
    keys.iter().map(|key| key.to_account_id()).collect()
}

fn test_network(validators: &[Sr25519Keyring]) -> Value {
    let endowed: Vec<(AccountId, Balance)> =
        Sr25519Keyring::well_known().map(|key| (key.to_account_id(), DEV_ENDOWMENT)).collect();
    let keys: Vec<(AccountId, AccountId, SessionKeys)> = validators
        .iter()
        .map(|validator| (validator.to_account_id(), validator.to_account_id(), dev_session_keys(*validator)))
        .collect();
    let bonds: Vec<(AccountId, Balance)> =
        validators.iter().map(|validator| (validator.to_account_id(), DEV_BOND)).collect();
    json!({
        "balances": { "balances": endowed },
        "babe": { "epochConfig": BABE_GENESIS },
        "session": { "keys": keys },
        "validators": {
            "validators": bonds,
            "parameters": EraParameters {
                validators: 10,
                minimum_validators: 1,
                sessions_per_era: 2,
                unbonding_eras: 2,
                minimum_bond: 1_000 * CHR,
                // The most that two eras of unbonding allow, so that slashes wait here as they do on the live network.
                slash_defer_eras: 1,
                // A session has 20 blocks: up to five validators are missed.
                minimum_expected_blocks: 4,
                absences_until_chill: 3,
            },
            // Two minutes.
            "sessionLength": 20,
        },
        // Bonds that a test can pay many times over; two minutes of unbonding.
        "nodes": {
            "parameters": NodeParameters {
                media_bond: 100 * CHR,
                orchestrator_bond: 100 * CHR,
                registry_bond: 500 * CHR,
                unbonding_period: 20,
                jail_period: 20,
                ..Default::default()
            },
        },
        // A minute. Attestors learn of an epoch's end when it is final, two or three blocks late, and wait for the last
        // receipts; their roots still have to get in.
        "qos": { "parameters": EpochParameters { length: 10, submit_window: 7, committee_size: 3 } },
        "rewards": { "parameters": RewardParameters::default(), "reserveChr": 1_000_000 },
        // A minute between approval and enactment.
        "enactment": { "delay": MinEnactmentDelay::get() },
        "council": { "members": accounts(&DEV_COUNCIL) },
        "technicalCommittee": { "members": accounts(&DEV_COMMITTEE) },
        "sudo": { "key": Some(Sr25519Keyring::Alice.to_account_id()) },
    })
}

fn live() -> Value {
    json!({
        "babe": { "epochConfig": BABE_GENESIS },
        "validators": { "parameters": EraParameters { minimum_validators: 4, ..Default::default() } },
        "nodes": {
            "parameters": NodeParameters {
                media_bond: 1_000 * CHR,
                orchestrator_bond: 5_000 * CHR,
                registry_bond: 25_000 * CHR,
                // 28 days, as validators unbond.
                unbonding_period: 28 * DAY,
                jail_period: DAY,
                equivocation_slash: Perbill::from_percent(10),
                // Half of what is slashed is burnt.
                reporter_share: Perbill::from_percent(20),
                treasury_share: Perbill::from_percent(30),
                // For about 2 kB: a registration with its terms of 64 epochs, its nonces and indices.
                deposit: 10 * CHR,
            },
        },
        // An hour, with ten minutes for the roots.
        "qos": { "parameters": EpochParameters { length: 600, submit_window: 100, committee_size: 7 } },
        // A tenth of a thousandth of what is left in the reserve per hour: halved in about nine and a half months.
        "rewards": {
            "parameters": RewardParameters {
                epoch_cap: 2_000 * CHR,
                epoch_rate: Perbill::from_parts(100_000),
                attestor_share: Perbill::from_percent(10),
                validator_share: Perbill::from_percent(20),
                treasury_share: Perbill::from_percent(5),
                burn_share: Perbill::from_percent(5),
                reserve_share: Perbill::from_percent(5),
                orchestrator_share: Perbill::from_percent(10),
                tolerance: 200,
                minimum_uptime: 9_000,
                escrow_delay: 48,
            },
            "reserveChr": 20_000_000,
        },
        // Two days in which everybody can read what is about to happen, and either house can take it back.
        "enactment": { "delay": 2 * DAY },
    })
}
