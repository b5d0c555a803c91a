//! A validator that authors two blocks in one slot loses its seat, then its bond.

use super::chain::{author, author_up_to, local_chain, slot_of};
use crate::{
    Balances, Header, Historical, Runtime, RuntimeCall, RuntimeEvent, RuntimeOrigin, Session, System, Validators,
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

/// Dispatches a report in the next block, as its author would put it there.
fn send(call: pallet_babe::Call<Runtime>) {
    author(System::block_number() + 1, || {
        pallet_babe::Pallet::<Runtime>::validate_unsigned(TransactionSource::Local, &call).unwrap();
        RuntimeCall::Babe(call).dispatch(RuntimeOrigin::none()).unwrap();
    });
}

fn bobs_bond() -> u128 {
    Balances::balance_on_hold(&pallet_chroom_validators::HoldReason::Bond.into(), &Sr25519Keyring::Bob.to_account_id())
}

#[test]
fn two_blocks_in_one_slot_cost_the_seat_and_after_a_while_the_bond() {
    local_chain().execute_with(|| {
        author_up_to(4);
        let bob = Sr25519Keyring::Bob.to_account_id();
        assert_eq!(bobs_bond(), 1_000_000 * CHR);
        let issuance = Balances::total_issuance();
        send(report(sealed(Sr25519Keyring::Bob, 3, 1), sealed(Sr25519Keyring::Bob, 3, 2), 3));
        assert!(System::events().iter().any(|record| matches!(
            &record.event,
            RuntimeEvent::Validators(pallet_chroom_validators::Event::Offended { who, .. }) if *who == bob
        )));
        // One of two validators: (3 × 1 / 2)² is more than the whole. It waits for an era.
        let waiting = Validators::pending_slashes(bob.clone());
        assert_eq!(waiting.len(), 1);
        assert_eq!((waiting[0].0, waiting[0].2.amount), (2, 1_000_000 * CHR));
        assert_eq!(bobs_bond(), 1_000_000 * CHR);
        // Two eras of unbonding and one more, of two sessions each.
        assert_eq!(Validators::sentence(bob.clone()).unwrap().until, 6);
        // Bob is not elected for the next era.
        author_up_to(41);
        assert_eq!(Session::validators(), vec![Sr25519Keyring::Alice.to_account_id()]);
        author_up_to(81);
        assert_eq!(bobs_bond(), 1_000_000 * CHR);
        // Its share of each QoS epoch's emission comes besides.
        let treasury = Balances::free_balance(TreasuryAccount::get());
        author_up_to(82);
        assert_eq!(bobs_bond(), 0);
        assert_eq!(Balances::free_balance(TreasuryAccount::get()) - treasury, 300_000 * CHR);
        assert_eq!(issuance - Balances::total_issuance(), 500_000 * CHR, "a fifth went to the reporting author");
        assert!(System::events().iter().any(|record| matches!(
            &record.event,
            RuntimeEvent::Validators(pallet_chroom_validators::Event::Slashed { who, .. }) if *who == bob
        )));
    });
}

#[test]
fn evidence_of_an_earlier_era_is_proven_by_the_root_of_its_session() {
    local_chain().execute_with(|| {
        author_up_to(4);
        let call = report(sealed(Sr25519Keyring::Bob, 3, 1), sealed(Sr25519Keyring::Bob, 3, 2), 3);
        author_up_to(44);
        assert_eq!(pallet_chroom_validators::ActiveEra::<Runtime>::get().index, 1);
        send(call.clone());
        let waiting = Validators::pending_slashes(Sr25519Keyring::Bob.to_account_id());
        assert_eq!((waiting[0].0, waiting[0].2.session), (3, 0));
        // Once is enough.
        assert!(pallet_babe::Pallet::<Runtime>::validate_unsigned(TransactionSource::Local, &call).is_err());
        author_up_to(121);
        assert_eq!(bobs_bond(), 1_000_000 * CHR);
        author_up_to(122);
        assert_eq!(bobs_bond(), 0);
    });
}

#[test]
fn governance_can_cancel_a_slash_that_waits() {
    local_chain().execute_with(|| {
        author_up_to(4);
        let bob = Sr25519Keyring::Bob.to_account_id();
        send(report(sealed(Sr25519Keyring::Bob, 3, 1), sealed(Sr25519Keyring::Bob, 3, 2), 3));
        author(6, || {
            let cancel = RuntimeCall::Validators(pallet_chroom_validators::Call::cancel_slash {
                era: 2,
                ids: vec![0].try_into().unwrap(),
            });
            assert!(cancel.clone().dispatch(RuntimeOrigin::signed(bob.clone())).is_err());
            cancel.dispatch(RuntimeOrigin::root()).unwrap();
            let join = RuntimeCall::Validators(pallet_chroom_validators::Call::join { amount: 0 });
            join.dispatch(RuntimeOrigin::signed(bob.clone())).unwrap();
        });
        author_up_to(82);
        assert_eq!(bobs_bond(), 1_000_000 * CHR);
        assert!(Session::validators().contains(&bob));
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
        assert_eq!(bobs_bond(), 1_000_000 * CHR);
    });
}
