//! What is read from outside.

use crate::{Terms, mock::*};
use chroom_primitives::{CHR, CapacityClass, QosEpoch, Role};
use codec::{Decode, Encode};
use frame_support::view_functions::{DispatchViewFunction, ViewFunction};

/// Asks as a client does: by the function's id and encoded arguments.
fn ask<F: ViewFunction + Encode>(function: F) -> F::ReturnType
where
    F::ReturnType: Decode,
{
    let mut output = Vec::new();
    Nodes::dispatch_view_function(&F::id(), &mut &function.encode()[..], &mut output).unwrap();
    Decode::decode(&mut &output[..]).unwrap()
}

#[test]
fn the_register_can_be_read_by_view_functions() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        Nodes::add_bond(signed(ALICE), node, 50 * CHR).unwrap();
        Nodes::reduce_bond(signed(ALICE), node, 20 * CHR).unwrap();
        rotate(ALICE, node, 2).unwrap();
        let new = Key::new(2).id();
        use crate::pallet as nodes;
        assert_eq!(ask(nodes::RegistrationViewFunction::<Test>::new(new)).unwrap().bond, 130 * CHR);
        assert_eq!(ask(nodes::NodeInfoViewFunction::<Test>::new(new)).unwrap().key_epoch, 1);
        let mut owned = ask(nodes::NodesOfViewFunction::<Test>::new(ALICE));
        owned.sort();
        let mut both = vec![node, new];
        both.sort();
        assert_eq!(owned, both);
        let terms = Terms { from: QosEpoch(1), weight: 1, price_per_gib: CHR };
        assert_eq!(ask(nodes::TermsOfViewFunction::<Test>::new(new, QosEpoch(1))), Some(terms));
        assert_eq!(ask(nodes::KeyProofNonceViewFunction::<Test>::new(new)), 1);
        assert_eq!(ask(nodes::AuthorizationNonceViewFunction::<Test>::new(new)), 0);
        assert_eq!(ask(nodes::UnbondingViewFunction::<Test>::new(new)).len(), 1);
        assert_eq!(ask(nodes::SuccessorViewFunction::<Test>::new(node)), Some(new));
        let minimum = nodes::MinimumBondViewFunction::<Test>::new(Role::Media, CapacityClass::Large);
        assert_eq!(ask(minimum), 1_600 * CHR);
    });
}
