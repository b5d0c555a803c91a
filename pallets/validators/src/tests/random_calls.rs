//! Whatever is called in whatever order, the invariants hold and no token appears or disappears.

use crate::{ActiveEra, EraParameters, Exposures, Points, UnappliedSlashes, mock::*};
use chroom_primitives::Balance;
use frame_support::traits::fungible::Inspect;
use pallet_session::SessionInterface;
use proptest::prelude::*;
use sp_runtime::testing::UintAuthorityId;

#[derive(Clone, Debug)]
enum Step {
    Join(u64, u16),
    Unbond(u64, u16),
    Leave(u64),
    Withdraw(u64),
    SetPayee(u64, u64),
    Payout(u8, u64),
    Rules(u8, u8, u8, u8),
    Offend(Vec<u64>, u8, u64),
    Cancel(Option<u8>),
    Keys(u64, bool),
    Income(u16),
    Author(Vec<u64>, u8),
    Blocks(u8),
    Sessions(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1u64..=8;
    let some = proptest::collection::vec(who.clone(), 1..4);
    prop_oneof![
        4 => (who.clone(), 0u16..600).prop_map(|(a, b)| Step::Join(a, b)),
        2 => (who.clone(), 0u16..300).prop_map(|(a, b)| Step::Unbond(a, b)),
        2 => who.clone().prop_map(Step::Leave),
        3 => who.clone().prop_map(Step::Withdraw),
        1 => (who.clone(), 1u64..=12).prop_map(|(a, b)| Step::SetPayee(a, b)),
        4 => (0u8..6, who.clone()).prop_map(|(a, b)| Step::Payout(a, b)),
        1 => (1u8..5, 1u8..4, 0u8..4, 0u8..3).prop_map(|(a, b, c, d)| Step::Rules(a, b, c, d)),
        3 => (some.clone(), 0u8..=100, who.clone()).prop_map(|(a, b, c)| Step::Offend(a, b, c)),
        1 => proptest::option::of(0u8..4).prop_map(Step::Cancel),
        1 => (who, any::<bool>()).prop_map(|(a, b)| Step::Keys(a, b)),
        3 => any::<u16>().prop_map(Step::Income),
        4 => (some, 1u8..9).prop_map(|(a, b)| Step::Author(a, b)),
        1 => (1u8..3).prop_map(Step::Blocks),
        4 => (1u8..4).prop_map(Step::Sessions),
    ]
}

fn everything() -> Balance {
    (1..=12).chain([TREASURY, Validators::pot_account()]).map(|who| Balances::total_balance(&who)).sum()
}

fn apply(step: Step) {
    let era = ActiveEra::<Test>::get().index;
    // Many of the calls are refused: that is part of the test. A refusal must leave no trace, as in a block.
    let _ = frame_support::storage::with_storage_layer(|| match step {
        Step::Join(who, amount) => Validators::join(signed(who), amount.into()),
        Step::Unbond(who, amount) => Validators::unbond(signed(who), amount.into()),
        Step::Leave(who) => Validators::leave(signed(who)),
        Step::Withdraw(who) => {
            let left = Validators::withdraw(signed(who));
            // What waits to be slashed never gets away.
            if left.is_ok() {
                assert!(held(who) >= crate::PendingSlashes::<Test>::get(who));
            }
            left
        }
        Step::SetPayee(who, payee) => Validators::set_payee(signed(who), payee),
        Step::Payout(back, validator) => {
            let era = era.saturating_sub(back.into());
            let promised =
                Validators::pending_pay(validator).into_iter().find(|(owed, _)| *owed == era).map(|(_, amount)| amount);
            let pot = Balances::free_balance(Validators::pot_account());
            let paid = Validators::payout(signed(9), era, validator);
            if paid.is_ok() {
                assert_eq!(pot - Balances::free_balance(Validators::pot_account()), promised.unwrap());
                assert!(Points::<Test>::get(era, validator) > 0);
            }
            paid
        }
        Step::Rules(seats, minimum, unbonding, defer) => {
            let rules = EraParameters {
                validators: seats.into(),
                minimum_validators: minimum.into(),
                unbonding_eras: unbonding.into(),
                slash_defer_eras: defer.into(),
                ..parameters()
            };
            Validators::set_parameters(RuntimeOrigin::root(), rules)
        }
        Step::Offend(offenders, percent, reporter) => {
            let session = Session::current_index();
            let mut offenders: Vec<_> = offenders
                .into_iter()
                .filter_map(|who| Exposures::<Test>::get(era, who).map(|exposure| (who, exposure)))
                .collect();
            offenders.dedup();
            offend(&offenders, &[reporter], percent.into(), session);
            Ok(())
        }
        Step::Cancel(Some(id)) => {
            // Either a slash that waits, or one that does not exist.
            let (era, id) = UnappliedSlashes::<Test>::iter_keys().nth(id.into()).unwrap_or((era, u32::MAX));
            Validators::cancel_slash(signed(COUNCIL), era, vec![id].try_into().unwrap())
        }
        Step::Cancel(None) => Validators::cancel_slash(signed(1), era, Default::default()),
        Step::Keys(who, true) => {
            <Session as SessionInterface>::set_keys(&who, SessionKeys { dummy: UintAuthorityId(who) })
        }
        Step::Keys(who, false) => <Session as SessionInterface>::purge_keys(&who),
        Step::Income(amount) => {
            income(amount.into());
            Ok(())
        }
        Step::Author(who, blocks) => {
            // Only those in office can author.
            let authors: Vec<u64> = who.into_iter().filter(|who| in_office().contains(who)).collect();
            author(&authors, blocks.into());
            Ok(())
        }
        Step::Blocks(blocks) => {
            (0..blocks).for_each(|_| next_block(None));
            Ok(())
        }
        Step::Sessions(sessions) => {
            (0..sessions).for_each(|_| next_session());
            Ok(())
        }
    });
}

/// Runs of 200 steps; PROPTEST_CASES asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn invariants_hold(steps in proptest::collection::vec(step(), 200)) {
        new_chain(parameters()).execute_with(|| {
            for step in steps {
                let income = match &step { Step::Income(amount) => Balance::from(*amount), _ => 0 };
                let before = Balances::total_issuance();
                apply(step);
                Validators::do_try_state().unwrap();
                let after = Balances::total_issuance();
                assert!(after <= before + income, "nothing is issued; slashes burn");
                assert_eq!(everything(), after, "every token is somebody's");
            }
            // A run in which everything is refused would show nothing.
            assert!(Session::current_index() > 0);
        });
    }
}
