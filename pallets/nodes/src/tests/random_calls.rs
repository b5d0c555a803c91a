//! Whatever is called in whatever order, the invariants hold and no token appears or disappears.

use crate::{Discipline, Event, HoldReason, NodeParameters, Nodes as NodesMap, mock::*};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, NodeId, Role, Signed, evidence::RecordEquivocation, record::NodeRecord,
};
use frame_support::traits::fungible::{Inspect, InspectHold};
use proptest::{prelude::*, test_runner::TestRunner};
use sp_runtime::Perbill;
use std::collections::BTreeMap;

/// Owners are 0 to 2, keys 1 to 9, roles and classes 0 to 2.
#[derive(Clone, Debug)]
enum Step {
    Register(u8, u8, u8, u8),
    /// Node, role.
    RegisterAuthorized(u8, u8),
    Update(u8, u8, Option<u8>, Option<u8>),
    AddBond(u8, u8, u16),
    ReduceBond(u8, u8, u16),
    WithdrawReduced(u8, u8),
    Rotate(u8, u8, u8),
    Drain(u8, u8),
    Resume(u8, u8),
    Unbond(u8, u8),
    Withdraw(u8, u8),
    /// Key and sequence number of the records, who reports.
    Report(u8, u8, u8),
    Slash(u8, u8),
    Jail(u8, u8),
    Parameters(u8, u8),
    Blocks(u8),
    Epochs(u8),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let who = 0u8..3;
    let node = 1u8..10;
    let pair = (who.clone(), node.clone());
    prop_oneof![
        4 => (who.clone(), node.clone(), 0u8..3, 0u8..3).prop_map(|(a, b, c, d)| Register(a, b, c, d)),
        2 => (node.clone(), 0u8..3).prop_map(|(a, b)| RegisterAuthorized(a, b)),
        2 => (who.clone(), node.clone(), proptest::option::of(0u8..3), proptest::option::of(any::<u8>()))
            .prop_map(|(a, b, c, d)| Update(a, b, c, d)),
        2 => (who.clone(), node.clone(), any::<u16>()).prop_map(|(a, b, c)| AddBond(a, b, c)),
        3 => (who.clone(), node.clone(), 0u16..2_000).prop_map(|(a, b, c)| ReduceBond(a, b, c)),
        2 => pair.clone().prop_map(|(a, b)| WithdrawReduced(a, b)),
        3 => (who.clone(), node.clone(), node.clone()).prop_map(|(a, b, c)| Rotate(a, b, c)),
        2 => pair.clone().prop_map(|(a, b)| Drain(a, b)),
        2 => pair.clone().prop_map(|(a, b)| Resume(a, b)),
        1 => pair.clone().prop_map(|(a, b)| Unbond(a, b)),
        3 => pair.prop_map(|(a, b)| Withdraw(a, b)),
        1 => (node.clone(), any::<u8>(), who).prop_map(|(a, b, c)| Report(a, b, c)),
        1 => (node.clone(), 0u8..=100).prop_map(|(a, b)| Slash(a, b)),
        1 => (node, 0u8..20).prop_map(|(a, b)| Jail(a, b)),
        1 => (50u8..150, 0u8..12).prop_map(|(a, b)| Parameters(a, b)),
        3 => (1u8..8).prop_map(Blocks),
        1 => (1u8..3).prop_map(Epochs),
    ]
}

fn class(index: u8) -> CapacityClass {
    CapacityClass::ALL[usize::from(index)]
}

fn owner(index: u8) -> AccountId {
    match index {
        0 => ALICE,
        1 => BOB,
        _ => Key::new(COLD).id().account(),
    }
}

fn id(seed: u8) -> NodeId {
    Key::new(seed).id()
}

fn apply(step: Step) -> sp_runtime::DispatchResult {
    match step {
        Step::Register(who, seed, role, size) => {
            let (role, class) = (Role::ALL[usize::from(role)], class(size));
            let bond = Nodes::minimum_bond(role, class);
            Form { class, bond, ..Form::new(owner(who), seed, role) }.send()
        }
        Step::RegisterAuthorized(seed, role) => AuthorizedForm::new(COLD, seed, Role::ALL[usize::from(role)]).send(),
        Step::Update(who, seed, size, price) => {
            Nodes::update(signed(owner(who)), id(seed), size.map(class), None, None, price.map(u128::from))
        }
        Step::AddBond(who, seed, amount) => {
            Nodes::add_bond(signed(owner(who)), id(seed), u128::from(amount) * CHR / 10)
        }
        Step::ReduceBond(who, seed, amount) => {
            Nodes::reduce_bond(signed(owner(who)), id(seed), u128::from(amount) * CHR / 10)
        }
        Step::WithdrawReduced(who, seed) => Nodes::withdraw_reduced(signed(owner(who)), id(seed)),
        Step::Rotate(who, seed, new) => rotate(owner(who), id(seed), new),
        Step::Drain(who, seed) => Nodes::drain(signed(owner(who)), id(seed)),
        Step::Resume(who, seed) => Nodes::resume(signed(owner(who)), id(seed)),
        Step::Unbond(who, seed) => Nodes::unbond(signed(owner(who)), id(seed)),
        Step::Withdraw(who, seed) => Nodes::withdraw(signed(owner(who)), id(seed)),
        Step::Report(seed, seq, who) => {
            let by = |payload: NodeRecord| Signed { signature: Key::new(seed).sign(&payload), payload };
            let (one, other) = (record(seed, seq.into()), NodeRecord { left: true, ..record(seed, seq.into()) });
            let evidence = Box::new(RecordEquivocation { first: by(one), second: by(other) });
            Nodes::report_equivocation(signed(owner(who)), evidence).map(|_| ()).map_err(|refusal| refusal.error)
        }
        Step::Slash(seed, percent) => {
            Nodes::slash(&id(seed), Perbill::from_percent(percent.into()), Some(&PAUPER));
            Ok(())
        }
        Step::Jail(seed, blocks) => {
            Nodes::jail(&id(seed), blocks.into());
            Ok(())
        }
        Step::Parameters(bond, period) => {
            let (media_bond, unbonding_period) = (u128::from(bond) * CHR, period.into());
            let parameters = NodeParameters { media_bond, unbonding_period, deposit: u128::from(bond), ..parameters() };
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
    }
}

/// Tokens burnt according to the events, which are forgotten.
fn burnt() -> Balance {
    let sum = System::events()
        .iter()
        .map(|record| match &record.event {
            RuntimeEvent::Nodes(Event::Slashed { burnt, .. }) => *burnt,
            _ => 0,
        })
        .sum();
    System::reset_events();
    sum
}

/// What an owner has on hold is what its nodes say, for those without nodes too.
fn check_owners() {
    for who in [0, 1, 2].map(owner) {
        let nodes: Vec<_> = NodesMap::<Test>::iter().filter(|(_, info)| info.owner == who).collect();
        let bonds: Balance = nodes.iter().map(|(node, info)| Nodes::stake(node, info)).sum();
        let deposits: Balance = nodes.iter().map(|(_, info)| info.deposit).sum();
        assert_eq!(Balances::balance_on_hold(&HoldReason::Bond.into(), &who), bonds);
        assert_eq!(Balances::balance_on_hold(&HoldReason::Deposit.into(), &who), deposits);
    }
}

/// How many sequences are tried: more when PROPTEST_CASES says so.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(48)
}

#[test]
fn invariants_hold() {
    let done = core::cell::RefCell::new(BTreeMap::<String, u32>::new());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) };
    let tried = TestRunner::new(config).run(&proptest::collection::vec(step(), 250), |steps| {
        externalities(Vec::new()).execute_with(|| {
            let mut issuance = Balances::total_issuance();
            for step in steps {
                let name = format!("{step:?}").split('(').next().unwrap_or_default().to_owned();
                // Many of the calls are refused: that is part of the test. A refusal must leave no trace, as in a block.
                if frame_support::storage::with_storage_layer(|| apply(step)).is_ok() {
                    *done.borrow_mut().entry(name).or_default() += 1;
                }
                Nodes::do_try_state().unwrap();
                check_owners();
                issuance -= burnt();
                assert_eq!(Balances::total_issuance(), issuance);
            }
            let everybody = [ALICE, BOB, PAUPER, TREASURY, owner(2)];
            let all: Balance = everybody.iter().map(Balances::total_balance).sum();
            assert_eq!(all, issuance);
        });
        Ok(())
    });
    tried.unwrap();
    // A run in which a call is always refused would show nothing of it.
    assert_eq!(done.borrow().len(), 17, "{done:?}");
}
