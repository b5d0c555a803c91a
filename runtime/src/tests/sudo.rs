//! Where there is no sudo key, nobody uses sudo.

use super::{
    chain::{author, genesis_storage, local_chain},
    governance::{dispatch, signed},
};
use crate::{Runtime, RuntimeCall, RuntimeOrigin, presets};
use frame_support::{assert_noop, assert_ok, traits::UnfilteredDispatchable, weights::Weight};
use pallet_sudo::{Call, Error, Key};
use sp_keyring::Sr25519Keyring::{self, Alice};
use sp_runtime::DispatchError;

/// Each call of the pallet, to the good of `who`.
fn calls(who: Sr25519Keyring) -> Vec<RuntimeCall> {
    let remark = || Box::new(RuntimeCall::System(frame_system::Call::remark_with_event { remark: vec![1] }));
    let account = who.to_account_id();
    vec![
        RuntimeCall::Sudo(Call::sudo { call: remark() }),
        RuntimeCall::Sudo(Call::sudo_unchecked_weight { call: remark(), weight: Weight::zero() }),
        RuntimeCall::Sudo(Call::set_key { new: account.clone().into() }),
        RuntimeCall::Sudo(Call::sudo_as { who: account.into(), call: remark() }),
        RuntimeCall::Sudo(Call::remove_key {}),
    ]
}

#[test]
fn in_a_live_network_no_account_can_make_any_sudo_call() {
    let filtered: DispatchError = frame_system::Error::<Runtime>::CallFiltered.into();
    let live = genesis_storage(presets::LIVE, None).unwrap();
    sp_io::TestExternalities::from(live).execute_with(|| {
        assert!(!Key::<Runtime>::exists());
        for who in Sr25519Keyring::iter() {
            for call in calls(who) {
                assert_noop!(dispatch(signed(who), call.clone()), filtered);
                let batch = pallet_utility::Call::batch_all { calls: vec![call.clone()] };
                assert_noop!(dispatch(signed(who), RuntimeCall::Utility(batch)), filtered);
                // The filter only says earlier what the pallet says anyway.
                assert_noop!(
                    call.dispatch_bypass_filter(signed(who)).map_err(|error| error.error),
                    Error::<Runtime>::RequireSudo
                );
            }
        }
        assert_noop!(dispatch(RuntimeOrigin::none(), calls(Alice).remove(0)), filtered);
        assert!(!Key::<Runtime>::exists());
    });
}

#[test]
fn a_developers_network_loses_sudo_with_its_key() {
    local_chain().execute_with(|| {
        author(1, || {
            for call in calls(Alice) {
                assert_ok!(dispatch(signed(Alice), call));
            }
            assert!(!Key::<Runtime>::exists());
            for call in calls(Alice) {
                assert_noop!(dispatch(signed(Alice), call), frame_system::Error::<Runtime>::CallFiltered);
            }
        });
    });
}
