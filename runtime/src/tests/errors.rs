//! Bad input: every call of this project's pallets refuses it, and every error has a test.

use super::{
    chain::{author_up_to, local_chain},
    governance::{dispatch, signed},
};
use crate::{Anchor, Enactment, Nodes, Pools, Qos, Rewards, Runtime, RuntimeCall, RuntimeOrigin, Validators};
use codec::Decode;
use frame_support::{
    assert_noop,
    traits::{GetCallMetadata, PalletInfoAccess},
};
use scale_info::{TypeDef, TypeInfo};
use sp_keyring::Sr25519Keyring;
use sp_runtime::DispatchError;
use std::{collections::BTreeSet, fs, path::Path};

/// Name and index of this project's pallets.
fn pallets() -> [(&'static str, usize); 7] {
    fn pallet<P: PalletInfoAccess>() -> (&'static str, usize) {
        (P::name(), P::index())
    }
    [
        pallet::<Anchor>(),
        pallet::<Enactment>(),
        pallet::<Nodes>(),
        pallet::<Pools>(),
        pallet::<Qos>(),
        pallet::<Rewards>(),
        pallet::<Validators>(),
    ]
}

/// Each call of these pallets, with arguments that are all zeros: no amounts, no lists, nobody's ids and signatures.
fn calls_of_zeros() -> Vec<RuntimeCall> {
    let mut all = Vec::new();
    for (name, pallet) in pallets() {
        // A pallet without calls is no module of the runtime's calls.
        let names: BTreeSet<&str> = if RuntimeCall::get_module_names().contains(&name) {
            RuntimeCall::get_call_names(name).iter().copied().collect()
        } else {
            BTreeSet::new()
        };
        let calls: Vec<RuntimeCall> = (0..=u8::MAX)
            .filter_map(|index| {
                let mut bytes = vec![0u8; 4_096];
                (bytes[0], bytes[1]) = (pallet as u8, index);
                RuntimeCall::decode(&mut &bytes[..]).ok()
            })
            .collect();
        let made: BTreeSet<&str> = calls.iter().map(|call| call.get_call_metadata().function_name).collect();
        assert_eq!(made, names, "a call of {name} cannot be made of zeros");
        all.extend(calls);
    }
    all
}

#[test]
fn nobody_and_nothing_are_refused_by_every_call() {
    local_chain().execute_with(|| {
        author_up_to(1);
        let calls = calls_of_zeros();
        assert!(calls.len() >= 40, "{}", calls.len());
        for call in calls {
            assert_noop!(dispatch(RuntimeOrigin::none(), call.clone()), DispatchError::BadOrigin);
            // An account that has neither node, escrow, delegation nor office. Which error it is, the pallets' own tests say.
            let refused = dispatch(signed(Sr25519Keyring::Ferdie), call.clone()).unwrap_err();
            assert_noop!(dispatch(signed(Sr25519Keyring::Ferdie), call), refused);
        }
    });
}

/// The names of a pallet's errors.
fn errors<E: TypeInfo>() -> BTreeSet<String> {
    let TypeDef::Variant(definition) = E::type_info().type_def else { panic!("errors are an enum") };
    definition.variants.iter().map(|variant| variant.name.to_string()).collect()
}

/// The errors that a pallet's tests name.
fn tested(pallet: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pallets").join(pallet).join("src/tests");
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let named = |text: String| -> Vec<String> {
        let named = text.split("Error::").skip(1).map(|rest| rest.strip_prefix("<Test>::").unwrap_or(rest));
        named.map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect()).collect()
    };
    files.flat_map(named).collect()
}

#[test]
fn every_error_of_every_pallet_has_a_test() {
    for (pallet, errors) in [
        ("enactment", errors::<pallet_chroom_enactment::Error<Runtime>>()),
        ("nodes", errors::<pallet_chroom_nodes::Error<Runtime>>()),
        ("pools", errors::<pallet_chroom_pools::Error<Runtime>>()),
        ("qos", errors::<pallet_chroom_qos::Error<Runtime>>()),
        ("rewards", errors::<pallet_chroom_rewards::Error<Runtime>>()),
        ("validators", errors::<pallet_chroom_validators::Error<Runtime>>()),
    ] {
        assert!(errors.len() >= 6, "{pallet}");
        let tested = tested(pallet);
        let missing: Vec<&String> = errors.difference(&tested).collect();
        assert!(missing.is_empty(), "no test of {pallet} names {missing:?}");
    }
}
