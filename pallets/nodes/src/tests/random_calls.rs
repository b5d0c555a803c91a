//! Whatever is called in whatever order, the invariants hold.

use crate::{Discipline, NodeParameters, mock::*};
use chroom_primitives::{AccountId, CHR, CapacityClass, Role};
use proptest::prelude::*;
use sp_runtime::Perbill;

#[derive(Clone, Debug)]
enum Step {
    Register(bool, u8, u8, u8),
    Update(bool, u8, Option<u8>, Option<u8>),
    AddBond(bool, u8, u16),
    Drain(bool, u8),
    Resume(bool, u8),
    Unbond(bool, u8),
    Withdraw(bool, u8),
    Slash(u8, u8),
    Jail(u8, u8),
    Parameters(u8),
    Blocks(u8),
    Epochs(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<bool>();
    let node = 1u8..10;
    prop_oneof![
        4 => (who, node.clone(), 0u8..3, 0u8..3).prop_map(|(a, b, c, d)| Step::Register(a, b, c, d)),
        2 => (who, node.clone(), proptest::option::of(0u8..3), proptest::option::of(any::<u8>()))
            .prop_map(|(a, b, c, d)| Step::Update(a, b, c, d)),
        1 => (who, node.clone(), any::<u16>()).prop_map(|(a, b, c)| Step::AddBond(a, b, c)),
        2 => (who, node.clone()).prop_map(|(a, b)| Step::Drain(a, b)),
        2 => (who, node.clone()).prop_map(|(a, b)| Step::Resume(a, b)),
        1 => (who, node.clone()).prop_map(|(a, b)| Step::Unbond(a, b)),
        2 => (who, node.clone()).prop_map(|(a, b)| Step::Withdraw(a, b)),
        1 => (node.clone(), 0u8..=100).prop_map(|(a, b)| Step::Slash(a, b)),
        1 => (node, 0u8..20).prop_map(|(a, b)| Step::Jail(a, b)),
        1 => (50u8..150).prop_map(Step::Parameters),
        2 => (1u8..8).prop_map(Step::Blocks),
        1 => (1u8..3).prop_map(Step::Epochs),
    ]
}

fn class(index: u8) -> CapacityClass {
    [CapacityClass::Small, CapacityClass::Medium, CapacityClass::Large][usize::from(index)]
}

fn apply(step: Step) {
    let owner = |first: bool| -> AccountId { if first { ALICE } else { BOB } };
    let id = |seed: u8| Key::new(seed).id();
    // Many of the calls are refused: that is part of the test. A refusal must leave no trace, as in a block.
    let _ = frame_support::storage::with_storage_layer(|| match step {
        Step::Register(who, seed, role, size) => {
            let role = Role::ALL[usize::from(role)];
            let class = class(size);
            let bond = crate::Parameters::<Test>::get().minimum_bond(role, class);
            Form { class, bond, ..Form::new(owner(who), seed, role) }.send()
        }
        Step::Update(who, seed, size, price) => {
            Nodes::update(signed(owner(who)), id(seed), size.map(class), None, None, price.map(u128::from))
        }
        Step::AddBond(who, seed, amount) => {
            Nodes::add_bond(signed(owner(who)), id(seed), u128::from(amount) * CHR / 10)
        }
        Step::Drain(who, seed) => Nodes::drain(signed(owner(who)), id(seed)),
        Step::Resume(who, seed) => Nodes::resume(signed(owner(who)), id(seed)),
        Step::Unbond(who, seed) => Nodes::unbond(signed(owner(who)), id(seed)),
        Step::Withdraw(who, seed) => Nodes::withdraw(signed(owner(who)), id(seed)),
        Step::Slash(seed, percent) => {
            Nodes::slash(&id(seed), Perbill::from_percent(percent.into()), Some(&PAUPER));
            Ok(())
        }
        Step::Jail(seed, blocks) => {
            Nodes::jail(&id(seed), blocks.into());
            Ok(())
        }
        Step::Parameters(bond) => {
            let parameters = NodeParameters { media_bond: u128::from(bond) * CHR, ..parameters() };
            Nodes::set_parameters(RuntimeOrigin::root(), parameters)
        }
        Step::Blocks(blocks) => {
            System::set_block_number(System::block_number() + u64::from(blocks));
            Ok(())
        }
        Step::Epochs(epochs) => {
            Epoch::mutate(|epoch| *epoch += u32::from(epochs));
            Ok(())
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn invariants_hold(steps in proptest::collection::vec(step(), 150)) {
        externalities(Vec::new()).execute_with(|| {
            for step in steps {
                apply(step);
                Nodes::do_try_state().unwrap();
            }
            // A run in which everything is refused would show nothing.
            assert!((1..10).any(|seed| Nodes::key_proof_nonce(Key::new(seed).id()) > 0));
        });
    }
}
