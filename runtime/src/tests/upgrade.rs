//! A new runtime, by governance alone.

use super::{
    chain::{author, author_up_to, local_chain},
    governance::{approve_by_both, dispatch, signed},
};
use crate::{Runtime, RuntimeCall, RuntimeEvent, System, VERSION};
use codec::Encode;
use frame_support::{assert_noop, assert_ok};
use sp_core::{
    storage::well_known_keys::CODE,
    traits::{ReadRuntimeVersion, ReadRuntimeVersionExt},
};
use sp_keyring::Sr25519Keyring::Ferdie;
use sp_runtime::traits::{BlakeTwo256, Hash as _};
use sp_version::RuntimeVersion;

/// Reads the version of a "runtime" that is nothing but its version number.
struct NumberIsVersion;

impl ReadRuntimeVersion for NumberIsVersion {
    fn read_runtime_version(&self, code: &[u8], _: &mut dyn sp_core::traits::Externalities) -> Result<Vec<u8>, String> {
        let spec_version = u32::from_le_bytes(code.try_into().map_err(|_| "no runtime")?);
        Ok(RuntimeVersion { spec_version, ..VERSION }.encode())
    }
}

fn runtime(spec_version: u32) -> Vec<u8> {
    spec_version.to_le_bytes().to_vec()
}

fn apply(code: Vec<u8>) -> sp_runtime::DispatchResult {
    // Nobody special: the hash says what may be applied.
    dispatch(signed(Ferdie), RuntimeCall::System(frame_system::Call::apply_authorized_upgrade { code }))
}

/// A local chain on which both houses have authorised a runtime, and the delay is over.
fn authorised(code: &[u8], test: impl FnOnce(u32)) {
    let mut chain = local_chain();
    chain.register_extension(ReadRuntimeVersionExt::new(NumberIsVersion));
    chain.execute_with(|| {
        let code_hash = BlakeTwo256::hash(code);
        let call = RuntimeCall::System(frame_system::Call::authorize_upgrade { code_hash });
        let at = author(1, || {
            let at = approve_by_both(&call);
            assert_noop!(apply(code.to_vec()), frame_system::Error::<Runtime>::NothingAuthorized);
            at
        });
        author_up_to(at - 1);
        assert!(System::authorized_upgrade().is_none());
        author_up_to(at);
        assert_eq!(System::authorized_upgrade().unwrap().code_hash(), &code_hash);
        test(at + 1);
    });
}

#[test]
fn a_runtime_that_both_houses_authorised_is_applied_by_anybody() {
    let code = runtime(VERSION.spec_version + 1);
    authorised(&code, |block| {
        author(block, || {
            assert_noop!(apply(runtime(VERSION.spec_version + 2)), frame_system::Error::<Runtime>::Unauthorized);
            assert_ok!(apply(code.clone()));
            assert_eq!(sp_io::storage::get(CODE).unwrap(), code);
            System::assert_has_event(RuntimeEvent::System(frame_system::Event::CodeUpdated {
                hash: BlakeTwo256::hash(&code),
            }));
            assert_noop!(apply(code.clone()), frame_system::Error::<Runtime>::NothingAuthorized);
        });
        author_up_to(block + 1);
    });
}

// When it is built for benchmarks, frame-system takes any version.
#[cfg(not(feature = "runtime-benchmarks"))]
#[test]
fn a_runtime_that_does_not_raise_its_version_is_rejected_even_if_it_was_authorised() {
    let code = runtime(VERSION.spec_version);
    authorised(&code, |block| {
        author(block, || {
            let before = sp_io::storage::get(CODE);
            assert_ok!(apply(code.clone()));
            assert_eq!(sp_io::storage::get(CODE), before);
            assert!(System::authorized_upgrade().is_none());
            System::assert_has_event(RuntimeEvent::System(frame_system::Event::RejectedInvalidAuthorizedUpgrade {
                code_hash: BlakeTwo256::hash(&code),
                error: frame_system::Error::<Runtime>::SpecVersionNeedsToIncrease.into(),
            }));
        });
    });
}
