//! Genesis presets: `dev` (one validator), `local` (two validators), `live` (production values, without authorities).
//!
//! A preset is a JSON patch of the default genesis. `live` has no keys and no balances, and so makes no chain by itself:
//! whoever starts a network adds its validators with a patch of the same form (docs/chain.md shows one). No account of it
//! can call sudo.

use crate::{AccountId, Balance, SessionKeys, consensus::BABE_GENESIS};
use alloc::{string::String, string::ToString, vec, vec::Vec};
use chroom_primitives::CHR;
use pallet_chroom_validators::EraParameters;
use serde_json::{Value, json};
use sp_consensus_beefy::ecdsa_crypto::AuthorityId as BeefyId;
use sp_core::crypto::get_public_from_string_or_panic;
use sp_genesis_builder::PresetId;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

/// One validator, Alice, with short epochs.
pub const DEV: &str = "dev";
/// Two validators, Alice and Bob, with short epochs.
pub const LOCAL: &str = "local";
/// Production values.
pub const LIVE: &str = "live";

/// What every developer's account has at the genesis.
const DEV_ENDOWMENT: Balance = 100_000_000 * CHR;
/// What every developer's validator has bonded at the genesis.
const DEV_BOND: Balance = 1_000_000 * CHR;

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

fn test_network(validators: &[Sr25519Keyring]) -> Value {
    let endowed: Vec<(AccountId, Balance)> = Sr25519Keyring::well_known()
        .map(|key| (key.to_account_id(), DEV_ENDOWMENT))
        .collect();
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
            },
            // Two minutes.
            "sessionLength": 20,
        },
        "sudo": { "key": Some(Sr25519Keyring::Alice.to_account_id()) },
    })
}

fn live() -> Value {
    json!({
        "babe": { "epochConfig": BABE_GENESIS },
        "validators": { "parameters": EraParameters { minimum_validators: 4, ..Default::default() } },
    })
}
