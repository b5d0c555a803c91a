//! Accounts of several owners: founders', operators', members of a house.

use super::{
    chain::{author, local_chain},
    governance::{EXPERTS, committee, dispatch, signed},
};
use crate::{AccountId, Balances, Multisig, Runtime, RuntimeCall};
use chroom_primitives::CHR;
use frame_support::{assert_noop, assert_ok, dispatch::GetDispatchInfo};
use sp_keyring::Sr25519Keyring::{self, Alice, Bob, Charlie, Dave};

fn sorted(owners: &[Sr25519Keyring]) -> Vec<AccountId> {
    let mut accounts: Vec<AccountId> = owners.iter().map(|owner| owner.to_account_id()).collect();
    accounts.sort();
    accounts
}

/// The caller and two others own an account; two of them are enough for `call`.
fn as_multi(
    others: [Sr25519Keyring; 2],
    first: Option<pallet_multisig::Timepoint<u32>>,
    call: &RuntimeCall,
) -> RuntimeCall {
    RuntimeCall::Multisig(pallet_multisig::Call::as_multi {
        threshold: 2,
        other_signatories: sorted(&others),
        maybe_timepoint: first,
        call: Box::new(call.clone()),
        max_weight: call.get_dispatch_info().call_weight,
    })
}

#[test]
fn two_of_three_owners_spend_and_the_call_filter_holds_for_them_too() {
    local_chain().execute_with(|| {
        author(1, || {
            let account = Multisig::multi_account_id(&sorted(&[Alice, Bob, Charlie]), 2);
            let fill = pallet_balances::Call::transfer_allow_death { dest: account.clone().into(), value: 100 * CHR };
            assert_ok!(dispatch(signed(Alice), RuntimeCall::Balances(fill)));

            let spend = RuntimeCall::Balances(pallet_balances::Call::transfer_allow_death {
                dest: Dave.to_account_id().into(),
                value: 10 * CHR,
            });
            assert_ok!(dispatch(signed(Alice), as_multi([Bob, Charlie], None, &spend)));
            assert_eq!(Balances::free_balance(&account), 100 * CHR, "one owner is not enough");
            let first = Multisig::timepoint();
            assert_noop!(
                dispatch(signed(Dave), as_multi([Bob, Charlie], Some(first), &spend)),
                pallet_multisig::Error::<Runtime>::UnexpectedTimepoint
            );
            assert_ok!(dispatch(signed(Bob), as_multi([Alice, Charlie], Some(first), &spend)));
            assert_eq!(Balances::free_balance(&account), 90 * CHR);

            assert_ok!(committee(&EXPERTS, &RuntimeCall::SafeMode(pallet_safe_mode::Call::force_enter {})));
            assert_ok!(dispatch(signed(Alice), as_multi([Bob, Charlie], None, &spend)));
            assert_ok!(dispatch(signed(Bob), as_multi([Alice, Charlie], Some(first), &spend)));
            assert_eq!(Balances::free_balance(&account), 90 * CHR, "transfers have stopped");
        });
    });
}
