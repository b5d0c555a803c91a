//! The network stops what it need not do, goes on with what it must, and comes back.

use super::{
    chain::{author, author_up_to, local_chain, slot_of},
    governance::{COUNCILLORS, EXPERTS, STRANGER, approve_by_both, committee, council, dispatch, signed},
};
use crate::{Balances, Runtime, RuntimeCall, SafeMode, Session, System, Timestamp, call_filter::SafeModeDuration};
use chroom_primitives::{CHR, NodeId, QosEpoch};
use frame_support::{assert_noop, assert_ok};
use pallet_safe_mode::{Call, EnteredUntil, Error};
use sp_keyring::Sr25519Keyring::{Bob, Charlie, Dave, Eve, Ferdie};
use sp_runtime::DispatchError::{self, BadOrigin};

fn call(call: Call<Runtime>) -> RuntimeCall {
    RuntimeCall::SafeMode(call)
}

fn filtered() -> DispatchError {
    frame_system::Error::<Runtime>::CallFiltered.into()
}

fn transfer() -> RuntimeCall {
    RuntimeCall::Balances(pallet_balances::Call::transfer_allow_death { dest: Bob.to_account_id().into(), value: CHR })
}

fn batch(calls: Vec<RuntimeCall>) -> RuntimeCall {
    RuntimeCall::Utility(pallet_utility::Call::batch_all { calls })
}

#[test]
fn two_thirds_of_the_committee_enter_it_and_transfers_stop() {
    local_chain().execute_with(|| {
        author(1, || {
            assert_ok!(dispatch(signed(STRANGER), transfer()));
            assert_eq!(committee(&[Dave], &call(Call::force_enter {})), Err(BadOrigin));
            assert_eq!(council(&COUNCILLORS, &call(Call::force_enter {})), Err(BadOrigin));
            assert_ok!(committee(&EXPERTS, &call(Call::force_enter {})));
            assert_eq!(EnteredUntil::<Runtime>::get(), Some(1 + SafeModeDuration::get()));
            assert_noop!(dispatch(signed(STRANGER), transfer()), filtered());
            // Nor inside of what goes on.
            assert_noop!(dispatch(signed(STRANGER), batch(vec![transfer()])), filtered());
        });
    });
}

#[test]
fn nobody_buys_it() {
    local_chain().execute_with(|| {
        author(1, || {
            let not_configured = Error::<Runtime>::NotConfigured;
            assert_noop!(dispatch(signed(STRANGER), call(Call::enter {})), not_configured);
            assert_ok!(committee(&EXPERTS, &call(Call::force_enter {})));
            assert_noop!(dispatch(signed(STRANGER), call(Call::extend {})), Error::<Runtime>::NotConfigured);
        });
    });
}

#[test]
fn blocks_and_sessions_go_on_in_it() {
    local_chain().execute_with(|| {
        author(1, || committee(&EXPERTS, &call(Call::force_enter {}))).unwrap();
        author_up_to(42);
        assert!(SafeMode::is_entered());
        assert_eq!(Session::current_index(), 2);
        assert_eq!(Timestamp::get(), slot_of(42) * crate::SLOT_MS);
    });
}

#[test]
fn what_takes_ones_own_out_or_would_be_lost_goes_on_in_it() {
    let node = NodeId([1; 20]);
    let goes_on = [
        RuntimeCall::Validators(pallet_chroom_validators::Call::leave {}),
        RuntimeCall::Validators(pallet_chroom_validators::Call::withdraw {}),
        RuntimeCall::Nodes(pallet_chroom_nodes::Call::drain { node }),
        RuntimeCall::Nodes(pallet_chroom_nodes::Call::unbond { node }),
        RuntimeCall::Nodes(pallet_chroom_nodes::Call::withdraw { node }),
        RuntimeCall::Rewards(pallet_chroom_rewards::Call::claim {
            epoch: QosEpoch(0),
            node,
            proofs: Default::default(),
        }),
        RuntimeCall::Session(pallet_session::Call::purge_keys {}),
        RuntimeCall::Preimage(pallet_preimage::Call::note_preimage { bytes: vec![1] }),
        RuntimeCall::System(frame_system::Call::apply_authorized_upgrade { code: vec![1] }),
    ];
    let stops = [
        transfer(),
        RuntimeCall::Validators(pallet_chroom_validators::Call::join { amount: CHR }),
        RuntimeCall::Nodes(pallet_chroom_nodes::Call::resume { node }),
        RuntimeCall::System(frame_system::Call::remark { remark: vec![1] }),
    ];
    local_chain().execute_with(|| {
        author(1, || {
            assert_ok!(committee(&EXPERTS, &call(Call::force_enter {})));
            for call in goes_on {
                assert_ne!(dispatch(signed(Charlie), call.clone()), Err(filtered()), "{call:?}");
            }
            for call in stops {
                assert_eq!(dispatch(signed(Charlie), call.clone()), Err(filtered()), "{call:?}");
            }
        });
    });
}

#[test]
fn either_house_ends_it() {
    local_chain().execute_with(|| {
        author(1, || {
            let exit = call(Call::force_exit {});
            for by_council in [true, false] {
                assert_ok!(committee(&EXPERTS, &call(Call::force_enter {})));
                assert_eq!(committee(&[Ferdie], &exit), Err(BadOrigin));
                assert_eq!(council(&[Charlie], &exit), Err(BadOrigin));
                assert_ok!(if by_council { council(&COUNCILLORS, &exit) } else { committee(&EXPERTS, &exit) });
                assert_ok!(dispatch(signed(STRANGER), transfer()));
            }
        });
    });
}

#[test]
fn it_ends_by_itself_unless_the_committee_extends_it() {
    local_chain().execute_with(|| {
        author(1, || {
            assert_ok!(committee(&EXPERTS, &call(Call::force_enter {})));
            assert_ok!(committee(&[Eve, Ferdie], &call(Call::force_extend {})));
            assert_eq!(EnteredUntil::<Runtime>::get(), Some(1 + 2 * SafeModeDuration::get()));
            // Days later.
            EnteredUntil::<Runtime>::put(3);
        });
        author_up_to(3);
        assert!(SafeMode::is_entered());
        author(4, || dispatch(signed(STRANGER), transfer())).unwrap();
        assert!(!SafeMode::is_entered());
    });
}

#[test]
fn governance_goes_on_in_it_and_its_root_calls_are_not_filtered() {
    local_chain().execute_with(|| {
        author(1, || committee(&EXPERTS, &call(Call::force_enter {}))).unwrap();
        let poor = crate::AccountId::new([9; 32]);
        let endow = RuntimeCall::Balances(pallet_balances::Call::force_set_balance {
            who: poor.clone().into(),
            new_free: 2 * CHR,
        });
        let at = author(2, || approve_by_both(&endow));
        author_up_to(at);
        assert!(SafeMode::is_entered());
        assert_eq!(Balances::free_balance(&poor), 2 * CHR);
        assert_eq!(System::block_number(), at);
    });
}
