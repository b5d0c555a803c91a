//! The genesis presets.

use super::chain::genesis_storage;
use crate::{
    AccountId, Babe, Balances, Enactment, Grandpa, Nodes, Qos, Rewards, Runtime, Session, SessionKeys, Validators,
    governance::{CouncilCollective, MinEnactmentDelay, TechnicalCollective},
    presets,
};
use chroom_primitives::CHR;
use frame_support::traits::fungible::{Inspect, InspectHold};
use pallet_chroom_validators::{HoldReason, Parameters, SessionLength};
use serde_json::json;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::Perbill;

#[test]
fn every_preset_builds() {
    for name in presets::names() {
        genesis_storage(&name, None).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert_eq!(presets::preset(&"unknown".into()), None);
}

#[test]
fn substrates_names_for_the_developers_networks_are_understood() {
    for (theirs, ours) in [("development", presets::DEV), ("local_testnet", presets::LOCAL)] {
        assert_eq!(presets::preset(&theirs.into()), presets::preset(&ours.into()));
    }
}

#[test]
fn the_developers_networks_have_their_validators_keys_and_sudo() {
    for (name, validators) in [(presets::DEV, 1), (presets::LOCAL, 2)] {
        let storage = genesis_storage(name, None).unwrap();
        sp_io::TestExternalities::from(storage).execute_with(|| {
            assert_eq!(Session::validators().len(), validators, "{name}");
            assert_eq!(Babe::authorities().len(), validators);
            assert_eq!(Grandpa::grandpa_authorities().len(), validators);
            assert_eq!(pallet_authority_discovery::Pallet::<Runtime>::current_authorities().len(), validators);
            assert_eq!(SessionLength::<Runtime>::get(), 20);
            let alice = Sr25519Keyring::Alice.to_account_id();
            assert_eq!(pallet_sudo::Key::<Runtime>::get().as_ref(), Some(&alice));
            assert_eq!(Enactment::delay(), MinEnactmentDelay::get());
            for members in [
                pallet_collective::Members::<Runtime, CouncilCollective>::get(),
                pallet_collective::Members::<Runtime, TechnicalCollective>::get(),
            ] {
                assert_eq!(members.len(), 3, "{name}");
            }
            assert_eq!(Balances::balance_on_hold(&HoldReason::Bond.into(), &alice), 1_000_000 * CHR);
            for key in Sr25519Keyring::well_known() {
                assert!(Balances::free_balance(key.to_account_id()) >= 9_000_000 * CHR, "{name}: {key:?} has funds");
            }
        });
    }
}

#[test]
fn session_keys_of_the_developers_are_those_that_their_nodes_have() {
    let preset: serde_json::Value = serde_json::from_slice(&presets::preset(&presets::LOCAL.into()).unwrap()).unwrap();
    let keys: Vec<(AccountId, AccountId, SessionKeys)> =
        serde_json::from_value(preset["session"]["keys"].clone()).unwrap();
    assert_eq!(keys[1].0, Sr25519Keyring::Bob.to_account_id());
    assert_eq!(keys[1].2.babe, Sr25519Keyring::Bob.public().into());
    assert_eq!(keys[1].2.grandpa, Ed25519Keyring::Bob.public().into());
    // The well-known ECDSA key of //Bob.
    assert_eq!(
        sp_core::hexdisplay::HexDisplay::from(&AsRef::<[u8]>::as_ref(&keys[1].2.beefy)).to_string(),
        "0390084fdbf27d2b79d26a4f13f0ccd982cb755a661969143c37cbc49ef5b91f27"
    );
}

#[test]
fn live_has_production_values_and_nobody_in_it() {
    let storage = genesis_storage(presets::LIVE, None).unwrap();
    sp_io::TestExternalities::from(storage).execute_with(|| {
        assert!(Session::validators().is_empty());
        assert_eq!(pallet_sudo::Key::<Runtime>::get(), None);
        assert!(pallet_collective::Members::<Runtime, CouncilCollective>::get().is_empty());
        assert!(pallet_collective::Members::<Runtime, TechnicalCollective>::get().is_empty());
        assert_eq!(Enactment::delay(), 2 * 14_400);
        for key in Sr25519Keyring::iter() {
            assert_eq!(Balances::total_balance(&key.to_account_id()), 0, "no developer's key has funds: {key:?}");
        }
        assert_eq!(SessionLength::<Runtime>::get(), 2_400);
        assert_eq!(Qos::epoch_info().length, 600);
        assert_eq!(Parameters::<Runtime>::get().unbonding_eras, 28);
        assert_eq!(pallet_chroom_nodes::Parameters::<Runtime>::get().unbonding_period, 28 * 14_400);
        assert!(Nodes::registrations(None, 1).is_empty());
    });
}

#[test]
fn every_preset_burns_of_fees_and_emits_from_its_reserve() {
    for name in presets::names() {
        let storage = genesis_storage(&name, None).unwrap();
        sp_io::TestExternalities::from(storage).execute_with(|| {
            let parameters = pallet_chroom_rewards::Parameters::<Runtime>::get();
            assert!(parameters.is_valid() && parameters.burn_share > Perbill::zero(), "{name}");
            // The cap is what the whole reserve emits at its rate, or less: from the first epoch on it decays.
            let reserve = Rewards::free_reserve();
            assert!(reserve > 0 && parameters.epoch_cap <= parameters.epoch_rate * reserve, "{name}");
            for account in [Rewards::escrow_account(), Rewards::pot_account()] {
                assert!(Balances::free_balance(account) > 0, "{name}");
            }
        });
    }
}

#[test]
fn live_with_founders_has_them_as_validators() {
    // Developers' keys stand in for the founders' here.
    let founders = [Sr25519Keyring::Alice, Sr25519Keyring::Bob, Sr25519Keyring::Charlie, Sr25519Keyring::Dave];
    let local: serde_json::Value = serde_json::from_slice(&presets::preset(&presets::LOCAL.into()).unwrap()).unwrap();
    let keys: Vec<serde_json::Value> = founders
        .iter()
        .map(|founder| {
            let account = founder.to_account_id();
            let mut keys = local["session"]["keys"][0][2].clone();
            keys["babe"] = json!(sp_core::crypto::Ss58Codec::to_ss58check(&founder.public()));
            keys["authority_discovery"] = keys["babe"].clone();
            let grandpa = match founder {
                Sr25519Keyring::Bob => Ed25519Keyring::Bob,
                Sr25519Keyring::Charlie => Ed25519Keyring::Charlie,
                Sr25519Keyring::Dave => Ed25519Keyring::Dave,
                _ => Ed25519Keyring::Alice,
            };
            keys["grandpa"] = json!(sp_core::crypto::Ss58Codec::to_ss58check(&grandpa.public()));
            keys["beefy"] =
                json!(sp_core::crypto::Ss58Codec::to_ss58check(&sp_core::crypto::get_public_from_string_or_panic::<
                    sp_core::ecdsa::Public,
                >(&format!("{founder}"))));
            json!([account, account, keys])
        })
        .collect();
    let all = |amount: u128| founders.iter().map(|f| json!([f.to_account_id(), amount])).collect::<Vec<_>>();
    let patch = json!({
        "balances": { "balances": all(100_000 * CHR) },
        "session": { "keys": keys },
        "validators": { "validators": all(50_000 * CHR) },
        "council": { "members": founders.map(|founder| founder.to_account_id()) },
        "technicalCommittee": { "members": founders.map(|founder| founder.to_account_id()) },
    });
    let storage = genesis_storage(presets::LIVE, Some(patch)).unwrap();
    sp_io::TestExternalities::from(storage).execute_with(|| {
        assert_eq!(Session::validators().len(), 4);
        assert_eq!(pallet_collective::Members::<Runtime, CouncilCollective>::get().len(), 4);
        assert_eq!(pallet_collective::Members::<Runtime, TechnicalCollective>::get().len(), 4);
        assert_eq!(Validators::reporting_sessions(), 28 * 6);
        assert_eq!(Babe::authorities().len(), 4);
        assert_eq!(pallet_sudo::Key::<Runtime>::get(), None);
    });
}
