//! The committee pauses single calls, but none that the network or its governance lives by.

use super::{
    chain::{author, author_up_to, local_chain},
    governance::{COUNCILLORS, EXPERTS, STRANGER, committee, council, dispatch, signed},
};
use crate::{
    Runtime, RuntimeCall,
    call_filter::{UNPAUSABLE_CALLS, UNPAUSABLE_PALLETS},
};
use chroom_primitives::CHR;
use frame_support::{assert_noop, assert_ok, traits::GetCallMetadata};
use pallet_tx_pause::{Error, RuntimeCallNameOf};
use sp_keyring::Sr25519Keyring::{Alice, Bob, Charlie, Dave};
use sp_runtime::DispatchError::{self, BadOrigin};

fn name(pallet: &str, call: &str) -> RuntimeCallNameOf<Runtime> {
    (pallet.as_bytes().to_vec().try_into().unwrap(), call.as_bytes().to_vec().try_into().unwrap())
}

fn pause(pallet: &str, call: &str) -> RuntimeCall {
    RuntimeCall::TxPause(pallet_tx_pause::Call::pause { full_name: name(pallet, call) })
}

fn unpause(pallet: &str, call: &str) -> RuntimeCall {
    RuntimeCall::TxPause(pallet_tx_pause::Call::unpause { ident: name(pallet, call) })
}

fn transfer(keep_alive: bool) -> RuntimeCall {
    let dest = Bob.to_account_id().into();
    RuntimeCall::Balances(if keep_alive {
        pallet_balances::Call::transfer_keep_alive { dest, value: CHR }
    } else {
        pallet_balances::Call::transfer_allow_death { dest, value: CHR }
    })
}

#[test]
fn a_paused_call_is_refused_and_others_are_not_until_either_house_lets_it_go_on() {
    let filtered: DispatchError = frame_system::Error::<Runtime>::CallFiltered.into();
    local_chain().execute_with(|| {
        author(1, || {
            let (pause, unpause) =
                (pause("Balances", "transfer_allow_death"), unpause("Balances", "transfer_allow_death"));
            for by_council in [true, false] {
                assert_eq!(committee(&[Dave], &pause), Err(BadOrigin));
                assert_eq!(council(&[Alice, Bob, Charlie], &pause), Err(BadOrigin));
                assert_ok!(committee(&EXPERTS, &pause));
                assert_noop!(dispatch(signed(STRANGER), transfer(false)), filtered);
                let batch = pallet_utility::Call::batch_all { calls: vec![transfer(false)] };
                assert_noop!(dispatch(signed(STRANGER), RuntimeCall::Utility(batch)), filtered);
                assert_ok!(dispatch(signed(STRANGER), transfer(true)));
                assert_ok!(if by_council { council(&COUNCILLORS, &unpause) } else { committee(&EXPERTS, &unpause) });
                assert_ok!(dispatch(signed(STRANGER), transfer(false)));
            }
        });
    });
}

#[test]
fn what_the_network_and_its_governance_live_by_cannot_be_paused() {
    local_chain().execute_with(|| {
        author(1, || {
            let of_pallets = UNPAUSABLE_PALLETS
                .iter()
                .flat_map(|pallet| RuntimeCall::get_call_names(pallet).iter().map(move |call| (*pallet, *call)));
            for (pallet, call) in of_pallets.chain(UNPAUSABLE_CALLS) {
                let unpausable: DispatchError = Error::<Runtime>::Unpausable.into();
                assert_eq!(committee(&EXPERTS, &pause(pallet, call)), Err(unpausable), "{pallet}.{call}");
            }
        });
        author_up_to(2);
    });
}

#[test]
fn the_names_of_what_cannot_be_paused_exist() {
    for pallet in UNPAUSABLE_PALLETS {
        assert!(RuntimeCall::get_module_names().contains(&pallet), "{pallet}");
        assert!(!RuntimeCall::get_call_names(pallet).is_empty(), "{pallet}");
    }
    for (pallet, call) in UNPAUSABLE_CALLS {
        assert!(RuntimeCall::get_call_names(pallet).contains(&call), "{pallet}.{call}");
    }
}

#[test]
fn every_calls_name_is_short_enough_not_to_count_as_paused() {
    local_chain().execute_with(|| {
        for pallet in RuntimeCall::get_module_names() {
            for call in RuntimeCall::get_call_names(pallet) {
                assert!(!crate::TxPause::is_paused_unbound(pallet.as_bytes().to_vec(), call.as_bytes().to_vec()));
            }
        }
    });
}
