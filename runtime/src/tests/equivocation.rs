//! A validator that authors two blocks in one slot loses its bond.

use super::chain::{author, author_up_to, local_chain, slot_of};
use crate::{
    Balances, Header, Historical, Runtime, RuntimeCall, RuntimeEvent, RuntimeOrigin, Session, System,
    economy::TreasuryAccount,
};
use chroom_primitives::CHR;
use codec::Encode;
use frame_support::traits::{KeyOwnerProofSystem, fungible::InspectHold};
use sp_consensus_babe::{
    AuthorityId, AuthoritySignature, BABE_ENGINE_ID, EquivocationProof, KEY_TYPE,
    digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest},
};
use sp_keyring::Sr25519Keyring;
use sp_runtime::{
    DigestItem,
    traits::{Dispatchable, Header as _},
    transaction_validity::TransactionSource,
};

/// A header of the slot of block `number`, sealed by `by`; `state` makes it different from others.
fn sealed(by: Sr25519Keyring, number: u32, state: u8) -> Header {
    let authority_index = Session::validators().iter().position(|who| *who == by.to_account_id()).unwrap() as u32;
    let pre_digest =
        PreDigest::SecondaryPlain(SecondaryPlainPreDigest { slot: slot_of(number).into(), authority_index });
    let mut header = Header::new(
        number,
        Default::default(),
        [state; 32].into(),
        Default::default(),
        sp_runtime::Digest { logs: vec![DigestItem::PreRuntime(BABE_ENGINE_ID, pre_digest.encode())] },
    );
    let signature: AuthoritySignature = by.sign(header.hash().as_ref()).into();
    header.digest_mut().push(DigestItem::babe_seal(signature));
    header
}

fn report(first: Header, second: Header, number: u32) -> pallet_babe::Call<Runtime> {
    let offender: AuthorityId = Sr25519Keyring::Bob.public().into();
    let key_owner_proof = Historical::prove((KEY_TYPE, offender.clone())).unwrap();
    pallet_babe::Call::report_equivocation_unsigned {
        equivocation_proof: Box::new(EquivocationProof {
            offender,
            slot: slot_of(number).into(),
            first_header: first,
            second_header: second,
        }),
        key_owner_proof,
    }
}

#[test]
fn two_blocks_in_one_slot_cost_the_bond_and_the_seat() {
    local_chain().execute_with(|| {
        author_up_to(4);
        let bob = Sr25519Keyring::Bob.to_account_id();
        let bond = pallet_chroom_validators::HoldReason::Bond.into();
        assert_eq!(Balances::balance_on_hold(&bond, &bob), 1_000_000 * CHR);
        let issuance = Balances::total_issuance();
        let treasury = Balances::free_balance(TreasuryAccount::get());
        author(5, || {
            let call = report(sealed(Sr25519Keyring::Bob, 3, 1), sealed(Sr25519Keyring::Bob, 3, 2), 3);
            pallet_babe::Pallet::<Runtime>::validate_unsigned(TransactionSource::Local, &call).unwrap();
            RuntimeCall::Babe(call).dispatch(RuntimeOrigin::none()).unwrap();
        });
        // One of two validators: (3 × 1 / 2)² is more than the whole.
        assert_eq!(Balances::balance_on_hold(&bond, &bob), 0);
        assert_eq!(Balances::free_balance(TreasuryAccount::get()) - treasury, 450_000 * CHR);
        assert_eq!(issuance - Balances::total_issuance(), 450_000 * CHR, "a tenth went to the reporting author");
        assert!(System::events().iter().any(|record| matches!(
            &record.event,
            RuntimeEvent::Validators(pallet_chroom_validators::Event::Slashed { who, .. }) if *who == bob
        )));
        // Bob is not elected for the next era.
        author_up_to(41);
        assert_eq!(Session::validators(), vec![Sr25519Keyring::Alice.to_account_id()]);
    });
}

#[test]
fn what_is_no_equivocation_is_refused() {
    local_chain().execute_with(|| {
        author_up_to(4);
        let same = sealed(Sr25519Keyring::Bob, 3, 1);
        let by_alice = sealed(Sr25519Keyring::Alice, 3, 2);
        for (first, second) in [(same.clone(), same.clone()), (same, by_alice)] {
            let call = report(first, second, 3);
            author(System::block_number() + 1, || {
                assert!(RuntimeCall::Babe(call).dispatch(RuntimeOrigin::none()).is_err());
            });
        }
        let bond = pallet_chroom_validators::HoldReason::Bond.into();
        assert_eq!(Balances::balance_on_hold(&bond, &Sr25519Keyring::Bob.to_account_id()), 1_000_000 * CHR);
    });
}
