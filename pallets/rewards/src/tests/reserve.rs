//! What epochs emit, what rolls over, and who may change it.

use crate::{Committed, Error, Pool, Pools, RewardParameters, mock::*};
use chroom_primitives::{Balance, CHR, QosEpoch};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::{DispatchError, Perbill};

fn pool(epoch: u32) -> Option<Pool> {
    Pools::<Test>::get(QosEpoch(epoch))
}

#[test]
fn an_epoch_emits_the_cap_or_a_share_of_what_is_free() {
    run(|| {
        assert_eq!(pool(0), Some(Pool { media: 90 * CHR, attestors: 10 * CHR, paid: 0 }));
    });
    externalities(REGISTRIES, 1_000).execute_with(|| {
        run_to(1);
        assert_eq!(pool(0).unwrap().remaining(), 10 * CHR);
        run_to(first(1));
        // One per cent of what the first epoch left.
        assert_eq!(pool(1).unwrap().remaining(), 9 * CHR + 9 * CHR / 10);
        assert_eq!(Rewards::free_reserve(), 1_000 * CHR - Committed::<Test>::get());
        check();
    });
}

#[test]
fn an_empty_reserve_emits_nothing_and_claims_still_settle() {
    externalities(REGISTRIES, 0).execute_with(|| {
        run_to(1);
        let round = attested(|_, _| View::score(10_000));
        assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
        assert_eq!(Rewards::last_reward(id(SMALL)), Some((QosEpoch(0), 0)));
        check();
    });
}

#[test]
fn what_nobody_earned_is_free_again_when_the_epoch_is_forgotten() {
    run(|| {
        let round = attested(|_, _| View::score(6_000));
        assert_ok!(claim(0, id(MEDIUM), round.proofs(id(MEDIUM))));
        run_to(first(6) - 1);
        let (free, left) = (Rewards::free_reserve(), pool(0).unwrap().remaining());
        // Half of four fifths of 90 CHR and the attestors' four fifths of 10 were paid.
        assert_eq!(left, 100 * CHR - 36 * CHR - 8 * CHR + 8 * CHR % 3);
        run_to(first(6));
        assert_eq!(pool(0), None);
        assert_eq!(Rewards::free_reserve(), free + left - 100 * CHR);
        assert_eq!(Pools::<Test>::iter().count(), 6);
    });
}

#[test]
fn the_reserve_never_pays_more_than_it_has_over_many_epochs() {
    externalities(REGISTRIES, 500).execute_with(|| {
        let mut earned: Balance = 0;
        for epoch in 0..20 {
            run_to(first(epoch + 1));
            let round = Round::new(epoch, |_, _| View::score(10_000));
            round.submit_all();
            for node in [id(SMALL), id(MEDIUM)] {
                assert_ok!(claim(epoch, node, round.proofs(node)));
                earned += Rewards::last_reward(node).unwrap().1;
            }
            check();
        }
        assert!(earned > 70 * CHR && earned < 500 * CHR, "{earned}");
        assert_ok!(Rewards::collect(signed(ATTESTORS)));
        assert_noop!(Rewards::collect(signed(ATTESTORS)), Error::<Test>::NothingAccrued);
        check();
    });
}

#[test]
fn only_the_admin_changes_the_parameters_within_their_ranges() {
    run(|| {
        let frugal = RewardParameters { epoch_cap: CHR, ..parameters() };
        assert_noop!(Rewards::set_parameters(signed(OPERATOR), frugal.clone()), DispatchError::BadOrigin);
        let greedy = RewardParameters { burn_share: Perbill::from_percent(96), ..parameters() };
        assert_noop!(Rewards::set_parameters(RuntimeOrigin::root(), greedy), Error::<Test>::InvalidParameters);
        let strict = RewardParameters { minimum_uptime: 10_001, ..parameters() };
        assert_noop!(Rewards::set_parameters(RuntimeOrigin::root(), strict), Error::<Test>::InvalidParameters);
        assert_ok!(Rewards::set_parameters(RuntimeOrigin::root(), frugal));
        run_to(first(1));
        assert_eq!(pool(1).unwrap().remaining(), CHR);
        assert_eq!(pool(0).unwrap().remaining(), 100 * CHR);
    });
}
