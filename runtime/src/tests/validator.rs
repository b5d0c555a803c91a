//! An account becomes a validator with keys that its node made, and stops being one.

use super::chain::{author, author_up_to, local_chain};
use crate::{Balances, Runtime, RuntimeCall, RuntimeOrigin, Session, SessionKeys};
use chroom_primitives::CHR;
use codec::Encode;
use frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold};
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
