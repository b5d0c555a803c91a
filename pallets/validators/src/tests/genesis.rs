//! The founders.

use crate::{ActiveEra, ExposureOf, PlannedEra, Standing, mock::*};
use sp_runtime::traits::Convert;

#[test]
fn the_genesis_validators_are_in_office_with_their_bonds_held() {
    run(|| {
        assert_eq!(in_office(), vec![1, 2, 3]);
        assert_eq!((held(1), held(2), held(3)), (500, 400, 300));
        assert_eq!(ExposureOf::<Test>::convert(2), Some(400));
        assert_eq!(ActiveEra::<Test>::get().index, 0);
        assert_eq!(Standing::<Test>::get(), 3);
        assert_eq!(Balances::free_balance(Validators::pot_account()), ED, "the pot is alive, and has nothing to pay");
    });
}

#[test]
fn a_network_may_begin_without_anybody() {
    // An empty range of keys.
    #[allow(clippy::reversed_empty_ranges)]
    genesis(Vec::new(), parameters(), 1..=0).execute_with(|| {
        assert!(in_office().is_empty());
        assert_eq!(PlannedEra::<Test>::get(), None);
        Validators::do_try_state().unwrap();
    });
}

#[test]
#[should_panic(expected = "fewer validators than validators.parameters.minimumValidators")]
fn too_few_founders_are_refused() {
    let _ = genesis(vec![(1, 500)], parameters(), 1..=6);
}

#[test]
#[should_panic(expected = "needs validators.minimumValidators in validators.validators, with keys")]
fn founders_without_keys_are_refused() {
    let _ = genesis(vec![(1, 500), (2, 400)], parameters(), 1..=1);
}

#[test]
#[should_panic(expected = "needs validators.minimumValidators in validators.validators, with keys")]
fn keys_without_bonds_are_refused() {
    let _ = genesis(Vec::new(), parameters(), 1..=3);
}

#[test]
#[should_panic(expected = "listed once, with at least the minimum bond")]
fn founders_without_a_bond_are_refused() {
    let _ = genesis(vec![(1, 500), (2, 99)], parameters(), 1..=6);
}

#[test]
#[should_panic(expected = "listed once, with at least the minimum bond")]
fn a_founder_that_is_listed_twice_is_refused() {
    let _ = genesis(vec![(1, 500), (1, 500)], parameters(), 1..=6);
}

#[test]
#[should_panic(expected = "a validator of the genesis cannot bond")]
fn founders_who_cannot_pay_are_refused() {
    let _ = genesis(vec![(1, 500), (2, ENDOWMENT * 2)], parameters(), 1..=6);
}

#[test]
#[should_panic(expected = "validators.parameters of the genesis are out of range")]
fn unsound_rules_are_refused() {
    let _ = genesis(Vec::new(), crate::EraParameters { slash_defer_eras: 2, ..parameters() }, 1..=6);
}
