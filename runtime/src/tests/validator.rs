//! An account becomes a validator with keys that its node made, is paid, and stops being one.

use super::chain::{author, author_up_to, genesis_storage, local_chain};
use crate::{
    AccountId, Authorship, Balance, Balances, Runtime, RuntimeCall, RuntimeOrigin, Session, SessionKeys, Validators,
    economy::{FeesAndTips, TreasuryAccount},
    presets,
    system::EXISTENTIAL_DEPOSIT,
};
use chroom_primitives::CHR;
use codec::Encode;
use frame_support::{
    assert_noop, assert_ok,
    traits::{
        OnUnbalanced,
        fungible::{Balanced, InspectHold, Mutate},
    },
};
use serde_json::json;
use sp_keyring::Sr25519Keyring;
use sp_keystore::{KeystoreExt, testing::MemoryKeystore};
use sp_runtime::traits::Dispatchable;

fn call(validators: pallet_chroom_validators::Call<Runtime>) -> RuntimeCall {
    RuntimeCall::Validators(validators)
}

#[test]
fn an_account_joins_with_its_nodes_keys_is_elected_and_leaves() {
    let mut chain = local_chain();
    chain.register_extension(KeystoreExt::new(MemoryKeystore::new()));
    chain.execute_with(|| {
        let charlie = Sr25519Keyring::Charlie.to_account_id();
        let bond = pallet_chroom_validators::HoldReason::Bond.into();
        author(1, || {
            let join = call(pallet_chroom_validators::Call::join { amount: 2_000_000 * CHR });
            assert!(join.clone().dispatch(RuntimeOrigin::signed(charlie.clone())).is_err(), "without keys");
            // What author_rotateKeysWithOwner does on the node.
            let generated = SessionKeys::generate(&charlie.encode(), None);
            let set = RuntimeCall::Session(pallet_session::Call::set_keys {
                keys: generated.keys,
                proof: generated.proof.encode(),
            });
            // Nobody else can take the keys for its own.
            let dave = Sr25519Keyring::Dave.to_account_id();
            assert_noop!(
                set.clone().dispatch(RuntimeOrigin::signed(dave)).map_err(|error| error.error),
                pallet_session::Error::<Runtime>::InvalidProof
            );
            assert_ok!(set.dispatch(RuntimeOrigin::signed(charlie.clone())));
            assert_ok!(join.dispatch(RuntimeOrigin::signed(charlie.clone())));
        });
        assert_eq!(Balances::balance_on_hold(&bond, &charlie), 2_000_000 * CHR);
        author_up_to(40);
        assert_eq!(Session::validators().len(), 2);
        author_up_to(41);
        assert_eq!(Session::validators().first(), Some(&charlie), "the highest bond comes first");
        assert_eq!(Session::validators().len(), 3);
        author(42, || {
            let leave = call(pallet_chroom_validators::Call::leave {});
            assert_ok!(leave.dispatch(RuntimeOrigin::signed(charlie.clone())));
        });
        author_up_to(81);
        assert_eq!(Session::validators().len(), 2);
        // Elected up to era 1, unbonding for two eras after it: free in era 4, which begins with block 161.
        let withdraw = || call(pallet_chroom_validators::Call::withdraw {});
        author_up_to(159);
        author(160, || assert!(withdraw().dispatch(RuntimeOrigin::signed(charlie.clone())).is_err(), "too early"));
        author_up_to(161);
        author(162, || {
            assert_ok!(withdraw().dispatch(RuntimeOrigin::signed(charlie.clone())));
        });
        assert_eq!(Balances::balance_on_hold(&bond, &charlie), 0);
    });
}

/// Pays fees as a transaction does: the fee and its tip.
fn pay_fees(fee: Balance, tip: Balance) {
    FeesAndTips::on_unbalanceds([fee, tip].map(<Balances as Balanced<AccountId>>::issue).into_iter());
}

#[test]
fn fees_are_shared_and_tips_are_the_authors() {
    local_chain().execute_with(|| {
        let pot = || Balances::free_balance(Validators::pot_account());
        let treasury = || Balances::free_balance(TreasuryAccount::get());
        author(1, || {
            let author = Authorship::author().unwrap();
            // Both have had their shares of the first epoch's emission.
            let emitted = pot();
            Balances::set_balance(&TreasuryAccount::get(), 0);
            let (issuance, before) = (Balances::total_issuance(), Balances::free_balance(&author));
            // The treasury has no account for a part that is too small for one.
            pay_fees(EXISTENTIAL_DEPOSIT, 0);
            assert_eq!((pot(), treasury()), (emitted + EXISTENTIAL_DEPOSIT, 0));
            pay_fees(1_000 * CHR, 7 * CHR);
            assert_eq!(pot(), emitted + EXISTENTIAL_DEPOSIT + 800 * CHR);
            assert_eq!(treasury(), 200 * CHR);
            assert_eq!(Balances::free_balance(&author), before + 7 * CHR);
            assert_eq!(Balances::total_issuance(), issuance + EXISTENTIAL_DEPOSIT + 1_007 * CHR);
        });
    });
}

/// What the first QoS epochs emit for validators: a fifth of a ten thousandth of what the reserve has left each time.
fn emitted_to_validators(epochs: u32) -> Balance {
    let mut reserve = 1_000_000 * CHR;
    let mut sum = 0;
    for _ in 0..epochs {
        let emission = reserve / 10_000;
        reserve -= emission;
        sum += emission / 5;
    }
    sum
}

#[test]
fn an_era_pays_its_validators() {
    local_chain().execute_with(|| {
        author(1, || pay_fees(1_000 * CHR, 0));
        author_up_to(41);
        let validators = [Sr25519Keyring::Alice, Sr25519Keyring::Bob].map(|key| key.to_account_id());
        let reward = pallet_chroom_validators::EraRewards::<Runtime>::get(0).unwrap();
        assert_eq!((reward.total, reward.points), (800 * CHR + emitted_to_validators(4), 41));
        author(42, || {
            for validator in &validators {
                let promised = Validators::pending_pay(validator.clone());
                let points = pallet_chroom_validators::Points::<Runtime>::get(0, validator);
                assert_eq!(promised, vec![(0, reward.total * u128::from(points) / 41)]);
                let before = Balances::free_balance(validator);
                let anybody = RuntimeOrigin::signed(Sr25519Keyring::Ferdie.to_account_id());
                let payout = call(pallet_chroom_validators::Call::payout { era: 0, validator: validator.clone() });
                assert_ok!(payout.dispatch(anybody));
                assert_eq!(Balances::free_balance(validator), before + promised[0].1);
            }
        });
        assert!(pallet_chroom_validators::Owed::<Runtime>::get() < 2, "no more than rounding leaves");
    });
}

#[test]
#[should_panic(expected = "fewer validators than validators.parameters.minimumValidators")]
fn a_genesis_with_too_few_founders_is_refused() {
    let _ =
        genesis_storage(presets::LOCAL, Some(json!({ "validators": { "parameters": { "minimumValidators": 3 } } })));
}

#[test]
#[should_panic(expected = "needs validators.minimumValidators in validators.validators, with keys in session.keys")]
fn a_genesis_with_a_founder_without_keys_is_refused() {
    let patch = json!({ "session": { "keys": [] } });
    let _ = genesis_storage(presets::LOCAL, Some(patch));
}
