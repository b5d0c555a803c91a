//! A validator that votes for two blocks in one round of GRANDPA pays for it as one that authors two blocks in a slot does.

use super::chain::{author, author_up_to, local_chain};
use crate::{
    Balances, BlockNumber, Hash, Historical, Runtime, RuntimeCall, RuntimeOrigin, Session, System, Validators,
};
use chroom_primitives::CHR;
use finality_grandpa::{Equivocation as Pair, Message, Precommit, Prevote};
use frame_support::traits::{KeyOwnerProofSystem, fungible::InspectHold};
use sp_consensus_grandpa::{
    AuthorityId, AuthoritySignature, Equivocation, EquivocationProof, KEY_TYPE, RoundNumber, SetId, localized_payload,
};
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::{traits::Dispatchable, transaction_validity::TransactionSource};

/// The round of the votes.
const ROUND: RoundNumber = 4;

type Vote = (Hash, BlockNumber);
type Call = pallet_grandpa::Call<Runtime>;

fn signed(by: Ed25519Keyring, message: &Message<Hash, BlockNumber>, set: SetId) -> AuthoritySignature {
    by.sign(&localized_payload(ROUND, set, message)).into()
}

fn prevotes(by: Ed25519Keyring, set: SetId, votes: [Vote; 2]) -> Equivocation<Hash, BlockNumber> {
    let [first, second] = votes.map(|(target_hash, target_number)| {
        let vote = Prevote { target_hash, target_number };
        (vote.clone(), signed(by, &Message::Prevote(vote), set))
    });
    Equivocation::Prevote(Pair { round_number: ROUND, identity: by.public().into(), first, second })
}

fn precommits(by: Ed25519Keyring, set: SetId, votes: [Vote; 2]) -> Equivocation<Hash, BlockNumber> {
    let [first, second] = votes.map(|(target_hash, target_number)| {
        let vote = Precommit { target_hash, target_number };
        (vote.clone(), signed(by, &Message::Precommit(vote), set))
    });
    Equivocation::Precommit(Pair { round_number: ROUND, identity: by.public().into(), first, second })
}

fn report(by: Ed25519Keyring, set: SetId, equivocation: Equivocation<Hash, BlockNumber>) -> Call {
    let key_owner_proof = Historical::prove((KEY_TYPE, AuthorityId::from(by.public()))).unwrap();
    let equivocation_proof = Box::new(EquivocationProof::new(set, equivocation));
    Call::report_equivocation_unsigned { equivocation_proof, key_owner_proof }
}

/// Dispatches a report in the next block, as its author would put it there.
fn send(call: Call) -> bool {
    let mut taken = false;
    author(System::block_number() + 1, || {
        taken = pallet_grandpa::Pallet::<Runtime>::validate_unsigned(TransactionSource::Local, &call).is_ok()
            && RuntimeCall::Grandpa(call).dispatch(RuntimeOrigin::none()).is_ok();
    });
    taken
}

fn bobs_bond() -> u128 {
    Balances::balance_on_hold(&pallet_chroom_validators::HoldReason::Bond.into(), &Sr25519Keyring::Bob.to_account_id())
}

const ONE: Vote = (Hash::repeat_byte(1), 2);
const OTHER: Vote = (Hash::repeat_byte(2), 2);

#[test]
fn two_votes_in_one_round_cost_the_seat_and_after_a_while_the_bond() {
    for votes in [prevotes, precommits] {
        local_chain().execute_with(|| {
            author_up_to(4);
            let bob = Sr25519Keyring::Bob.to_account_id();
            let set = pallet_grandpa::CurrentSetId::<Runtime>::get();
            let call = report(Ed25519Keyring::Bob, set, votes(Ed25519Keyring::Bob, set, [ONE, OTHER]));
            assert!(send(call.clone()));
            assert_eq!(Validators::pending_slashes(bob.clone()).len(), 1);
            assert!(!send(call), "once is enough");
            author_up_to(41);
            assert_eq!(Session::validators(), vec![Sr25519Keyring::Alice.to_account_id()]);
            assert_eq!(bobs_bond(), 1_000_000 * CHR);
            author_up_to(82);
            assert_eq!(bobs_bond(), 0);
        });
    }
}

#[test]
fn votes_of_an_earlier_set_are_proven_by_the_session_that_it_had() {
    local_chain().execute_with(|| {
        author_up_to(4);
        let set = pallet_grandpa::CurrentSetId::<Runtime>::get();
        let call = report(Ed25519Keyring::Bob, set, prevotes(Ed25519Keyring::Bob, set, [ONE, OTHER]));
        author_up_to(44);
        assert!(send(call));
        let waiting = Validators::pending_slashes(Sr25519Keyring::Bob.to_account_id());
        assert_eq!((waiting.len(), waiting[0].2.session), (1, 0));
    });
}

#[test]
fn what_is_no_equivocation_is_refused() {
    local_chain().execute_with(|| {
        author_up_to(4);
        let bob = Ed25519Keyring::Bob;
        let set = pallet_grandpa::CurrentSetId::<Runtime>::get();
        // The same vote twice, votes of another's key, votes of a set that is yet to come.
        assert!(!send(report(bob, set, prevotes(bob, set, [ONE, ONE]))));
        assert!(!send(report(bob, set, prevotes(Ed25519Keyring::Alice, set, [ONE, OTHER]))));
        assert!(!send(report(bob, set + 1, prevotes(bob, set + 1, [ONE, OTHER]))));
        // Signed for one set, shown as of another.
        assert!(!send(report(bob, set, prevotes(bob, set + 1, [ONE, OTHER]))));
        assert_eq!(bobs_bond(), 1_000_000 * CHR);
        assert!(Validators::pending_slashes(Sr25519Keyring::Bob.to_account_id()).is_empty());
    });
}
