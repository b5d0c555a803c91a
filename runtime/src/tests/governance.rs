//! What the two houses can do, each alone and both together.

use super::chain::{author, author_up_to, local_chain};
use crate::{
    AccountId, AllPalletsWithSystem, Council, Enactment, Runtime, RuntimeCall, RuntimeEvent, RuntimeOrigin, System,
    TechnicalCommittee,
    governance::{CouncilCollective, MinEnactmentDelay, SilenceIsNo, TechnicalCollective},
    presets,
};
use codec::Encode;
use frame_support::{
    assert_ok,
    dispatch::GetDispatchInfo,
    traits::{IntegrityTest, fungible::Inspect},
};
use pallet_collective::DefaultVote;
use sp_keyring::Sr25519Keyring::{self, Alice, AliceStash, Bob, Charlie, Dave, Eve, Ferdie};
use sp_runtime::{
    DispatchError::{self, BadOrigin},
    DispatchResult,
    traits::{BlakeTwo256, Dispatchable, Hash as _},
};

/// Two of the local network's three councillors.
pub const COUNCILLORS: [Sr25519Keyring; 2] = [Alice, Bob];
/// Two of the local network's three committee members.
pub const EXPERTS: [Sr25519Keyring; 2] = [Dave, Eve];

/// An account with funds, and with no voice in any house.
pub const STRANGER: Sr25519Keyring = AliceStash;

pub fn signed(by: Sr25519Keyring) -> RuntimeOrigin {
    RuntimeOrigin::signed(by.to_account_id())
}

/// Dispatches a call as a transaction would, through the call filter.
pub fn dispatch(origin: RuntimeOrigin, call: RuntimeCall) -> DispatchResult {
    call.dispatch(origin).map(|_| ()).map_err(|error| error.error)
}

/// Carries a motion with just these votes, and returns what became of its call.
fn carry<I: 'static>(ayes: &[Sr25519Keyring], call: &RuntimeCall) -> DispatchResult
where
    Runtime: pallet_collective::Config<I, Proposal = RuntimeCall>,
    RuntimeCall: From<pallet_collective::Call<Runtime, I>>,
{
    use pallet_collective::{Call, ProposalCount};
    let (proposer, others) = ayes.split_first().unwrap();
    let index = ProposalCount::<Runtime, I>::get();
    let proposal_hash = BlakeTwo256::hash_of(call);
    let length_bound = call.encoded_size() as u32;
    let threshold = ayes.len() as u32;
    let propose = Call::<Runtime, I>::propose { threshold, proposal: Box::new(call.clone()), length_bound };
    dispatch(signed(*proposer), propose.into())?;
    if threshold > 1 {
        dispatch(signed(*proposer), Call::<Runtime, I>::vote { proposal: proposal_hash, index, approve: true }.into())?;
        for member in others {
            let vote = Call::<Runtime, I>::vote { proposal: proposal_hash, index, approve: true };
            dispatch(signed(*member), vote.into())?;
        }
        let proposal_weight_bound = call.get_dispatch_info().call_weight;
        let close = Call::<Runtime, I>::close { proposal_hash, index, proposal_weight_bound, length_bound };
        dispatch(signed(STRANGER), close.into())?;
    }
    System::events()
        .into_iter()
        .rev()
        .find_map(|record| match record.event {
            RuntimeEvent::Council(pallet_collective::Event::Executed { proposal_hash: hash, result })
            | RuntimeEvent::TechnicalCommittee(pallet_collective::Event::Executed { proposal_hash: hash, result })
                if hash == proposal_hash =>
            {
                Some(result)
            }
            _ => None,
        })
        .unwrap()
}

/// Carries a motion of the council.
pub fn council(ayes: &[Sr25519Keyring], call: &RuntimeCall) -> DispatchResult {
    carry::<CouncilCollective>(ayes, call)
}

/// Carries a motion of the technical committee.
pub fn committee(ayes: &[Sr25519Keyring], call: &RuntimeCall) -> DispatchResult {
    carry::<TechnicalCollective>(ayes, call)
}

/// The motion that approves a call.
fn approve(call: &RuntimeCall) -> RuntimeCall {
    RuntimeCall::Enactment(pallet_chroom_enactment::Call::approve { hash: BlakeTwo256::hash_of(call) })
}

fn veto(call: &RuntimeCall) -> RuntimeCall {
    RuntimeCall::Enactment(pallet_chroom_enactment::Call::veto { hash: BlakeTwo256::hash_of(call) })
}

/// Notes a call's preimage, as anybody may.
pub fn note(call: &RuntimeCall) {
    let note = pallet_preimage::Call::note_preimage { bytes: call.encode() };
    assert_ok!(dispatch(signed(STRANGER), RuntimeCall::Preimage(note)));
}

/// Has both houses approve a call in the present block. Returns the block in which it runs.
pub fn approve_by_both(call: &RuntimeCall) -> u32 {
    note(call);
    assert_ok!(council(&COUNCILLORS, &approve(call)));
    assert_ok!(committee(&EXPERTS, &approve(call)));
    Enactment::enacted_at(BlakeTwo256::hash_of(call)).unwrap()
}

/// A call that only root can make: it sets an account's balance.
fn endow(who: &AccountId, amount: u128) -> RuntimeCall {
    RuntimeCall::Balances(pallet_balances::Call::force_set_balance { who: who.clone().into(), new_free: amount })
}

fn set_members(of_council: bool, members: &[Sr25519Keyring]) -> RuntimeCall {
    let new_members = members.iter().map(|member| member.to_account_id()).collect();
    if of_council {
        RuntimeCall::Council(pallet_collective::Call::set_members { new_members, prime: None, old_count: 3 })
    } else {
        RuntimeCall::TechnicalCommittee(pallet_collective::Call::set_members { new_members, prime: None, old_count: 3 })
    }
}

#[test]
fn both_houses_together_make_a_root_call_after_the_delay() {
    local_chain().execute_with(|| {
        let poor = AccountId::new([7; 32]);
        let call = endow(&poor, crate::system::EXISTENTIAL_DEPOSIT * 5);
        let at = author(1, || approve_by_both(&call));
        assert_eq!(at, 1 + MinEnactmentDelay::get());
        author_up_to(at - 1);
        assert_eq!(crate::Balances::total_balance(&poor), 0);
        author_up_to(at);
        assert_eq!(crate::Balances::total_balance(&poor), crate::system::EXISTENTIAL_DEPOSIT * 5);
    });
}

#[test]
fn less_than_two_thirds_of_a_house_approve_nothing() {
    local_chain().execute_with(|| {
        author(1, || {
            let call = endow(&STRANGER.to_account_id(), 0);
            note(&call);
            for member in [Alice, Bob, Charlie] {
                assert_eq!(council(&[member], &approve(&call)), Err(BadOrigin));
            }
            for member in [Dave, Eve, Ferdie] {
                assert_eq!(committee(&[member], &approve(&call)), Err(BadOrigin));
            }
            assert!(Enactment::approvals().is_empty());
        });
    });
}

#[test]
fn no_house_makes_a_root_call_by_itself() {
    local_chain().execute_with(|| {
        author(1, || {
            let root = Box::new(crate::OriginCaller::system(frame_system::RawOrigin::Root));
            let endow = endow(&STRANGER.to_account_id(), 1);
            let dispatch_as = pallet_utility::Call::dispatch_as { as_origin: root, call: Box::new(endow.clone()) };
            let schedule = pallet_scheduler::Call::schedule {
                when: 5,
                maybe_periodic: None,
                priority: 0,
                call: Box::new(endow.clone()),
            };
            for call in [
                endow,
                RuntimeCall::Utility(dispatch_as),
                RuntimeCall::Scheduler(schedule),
                RuntimeCall::System(frame_system::Call::set_code { code: vec![1] }),
                RuntimeCall::System(frame_system::Call::authorize_upgrade { code_hash: Default::default() }),
                RuntimeCall::Enactment(pallet_chroom_enactment::Call::set_delay { delay: 20 }),
                RuntimeCall::Preimage(pallet_preimage::Call::request_preimage { hash: Default::default() }),
            ] {
                assert_eq!(council(&[Alice, Bob, Charlie], &call), Err(BadOrigin), "{call:?}");
                assert_eq!(committee(&[Dave, Eve, Ferdie], &call), Err(BadOrigin), "{call:?}");
                assert_eq!(dispatch(signed(STRANGER), call), Err(BadOrigin));
            }
        });
    });
}

#[test]
fn either_house_takes_back_what_both_approved() {
    local_chain().execute_with(|| {
        let amount = crate::system::EXISTENTIAL_DEPOSIT;
        for (index, by_council) in [true, false].into_iter().enumerate() {
            let poor = AccountId::new([index as u8 + 1; 32]);
            let call = endow(&poor, amount);
            let at = author(System::block_number() + 1, || approve_by_both(&call));
            author_up_to(at - 2);
            author(at - 1, || {
                // STRANGER of three is no more than a third.
                assert_eq!(council(&[Charlie], &veto(&call)), Err(BadOrigin));
                assert_eq!(committee(&[Ferdie], &veto(&call)), Err(BadOrigin));
                assert_ok!(if by_council {
                    council(&[Bob, Charlie], &veto(&call))
                } else {
                    committee(&[Eve, Ferdie], &veto(&call))
                });
            });
            author_up_to(at + 1);
            assert_eq!(crate::Balances::total_balance(&poor), 0);
        }
    });
}

#[test]
fn two_thirds_of_the_council_set_the_pallets_parameters_and_the_committee_does_not() {
    local_chain().execute_with(|| {
        author(1, || {
            let mut nodes = pallet_chroom_nodes::Parameters::<Runtime>::get();
            nodes.media_bond += 1;
            let mut eras = pallet_chroom_validators::Parameters::<Runtime>::get();
            eras.minimum_bond += 1;
            let calls = [
                RuntimeCall::Nodes(pallet_chroom_nodes::Call::set_parameters { parameters: nodes.clone() }),
                RuntimeCall::Validators(pallet_chroom_validators::Call::set_parameters { parameters: eras.clone() }),
            ];
            for call in calls {
                assert_eq!(committee(&[Dave, Eve, Ferdie], &call), Err(BadOrigin));
                assert_eq!(council(&[Alice], &call), Err(BadOrigin));
                assert_ok!(council(&COUNCILLORS, &call));
            }
            assert_eq!(pallet_chroom_nodes::Parameters::<Runtime>::get(), nodes);
            assert_eq!(pallet_chroom_validators::Parameters::<Runtime>::get(), eras);
        });
    });
}

#[test]
fn the_council_is_changed_by_both_houses_and_the_committee_also_by_the_whole_council() {
    local_chain().execute_with(|| {
        author(1, || {
            for call in [set_members(true, &[Alice, Bob, STRANGER]), set_members(false, &[Dave, Eve, STRANGER])] {
                assert_eq!(council(&COUNCILLORS, &call), Err(BadOrigin));
                assert_eq!(committee(&[Dave, Eve, Ferdie], &call), Err(BadOrigin));
            }
            assert_eq!(council(&[Alice, Bob, Charlie], &set_members(true, &[Alice])), Err(BadOrigin));
            assert_ok!(council(&[Alice, Bob, Charlie], &set_members(false, &[Dave, Eve, STRANGER])));
            let members = pallet_collective::Members::<Runtime, TechnicalCollective>::get();
            assert!(members.contains(&STRANGER.to_account_id()) && !members.contains(&Ferdie.to_account_id()));
        });
        let call = set_members(true, &[Alice, Bob, STRANGER]);
        let at = author(2, || approve_by_both(&call));
        author_up_to(at);
        assert!(Council::is_member(&STRANGER.to_account_id()) && !Council::is_member(&Charlie.to_account_id()));
        assert!(TechnicalCommittee::is_member(&STRANGER.to_account_id()));
    });
}

#[test]
fn strangers_do_not_vote() {
    local_chain().execute_with(|| {
        author(1, || {
            let call = veto(&endow(&STRANGER.to_account_id(), 1));
            let not_member: DispatchError = pallet_collective::Error::<Runtime, CouncilCollective>::NotMember.into();
            assert_eq!(council(&[Dave, Eve], &call), Err(not_member));
            let not_member: DispatchError = pallet_collective::Error::<Runtime, TechnicalCollective>::NotMember.into();
            assert_eq!(committee(&[Alice, Bob], &call), Err(not_member));
        });
    });
}

#[test]
fn who_does_not_vote_does_not_approve() {
    for prime in [None, Some(true), Some(false)] {
        assert!(!SilenceIsNo::default_vote(prime, 2, 0, 3));
    }
}

#[test]
fn the_constants_of_all_pallets_are_sound_in_every_network() {
    for preset in presets::names() {
        let genesis = super::chain::genesis_storage(&preset, None).unwrap();
        sp_io::TestExternalities::from(genesis).execute_with(<AllPalletsWithSystem as IntegrityTest>::integrity_test);
    }
}
