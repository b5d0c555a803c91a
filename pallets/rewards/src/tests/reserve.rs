//! What epochs emit, what rolls over, and who may change it.

use crate::{EpochLedger, Error, Event, Ledgers, RewardParameters, mock::*};
use chroom_primitives::{Balance, CHR, QosEpoch};
use frame_support::{assert_noop, assert_ok, traits::fungible::Mutate};
use sp_runtime::{DispatchError, Perbill};

fn ledger(epoch: u32) -> Option<EpochLedger> {
    Ledgers::<Test>::get(QosEpoch(epoch))
}

/// What an epoch emitted for nodes and attestors, and has not paid.
fn left(epoch: u32) -> Balance {
    ledger(epoch).unwrap().left
}

#[test]
fn an_epoch_emits_the_cap_or_a_share_of_what_is_free() {
    run(|| {
        let EpochLedger { media, attestors, left, burn, .. } = ledger(0).unwrap();
        assert_eq!((media, attestors, left, burn), (90 * CHR, 10 * CHR, 100 * CHR, 0));
    });
    externalities(REGISTRIES, 1_000).execute_with(|| {
        run_to(1);
        assert_eq!(left(0), 10 * CHR);
        run_to(first(1));
        // One per cent of what the first epoch left.
        assert_eq!(left(1), 9 * CHR + 9 * CHR / 10);
        assert_eq!(Rewards::free_reserve(), 1_000 * CHR - left(0) - left(1));
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
        let free = Rewards::free_reserve();
        // Half of four fifths of 90 CHR was paid; the attestors' four fifths of 10 were earned and not collected.
        assert_eq!(left(0), 100 * CHR - 36 * CHR);
        run_to(first(6));
        assert_eq!(ledger(0), None);
        let event = Event::LedgerClosed { epoch: QosEpoch(0), burnt: 0, returned: 64 * CHR };
        System::assert_has_event(event.into());
        assert_eq!(Rewards::free_reserve(), free + 64 * CHR - 100 * CHR);
        assert_eq!(Ledgers::<Test>::iter().count(), 6);
    });
}

#[test]
fn validators_and_treasury_have_their_shares_at_once() {
    run(|| {
        let shares = RewardParameters {
            validator_share: Perbill::from_percent(20),
            treasury_share: Perbill::from_percent(5),
            ..parameters()
        };
        assert_ok!(Rewards::set_parameters(RuntimeOrigin::root(), shares));
        let before = (Balances::free_balance(VALIDATORS), Balances::free_balance(TREASURY), Rewards::free_reserve());
        run_to(first(1));
        assert_eq!(Balances::free_balance(VALIDATORS), before.0 + 20 * CHR);
        assert_eq!(Balances::free_balance(TREASURY), before.1 + 5 * CHR);
        assert_eq!(Rewards::free_reserve(), before.2 - 100 * CHR);
        let EpochLedger { media, attestors, left, .. } = ledger(1).unwrap();
        assert_eq!((media, attestors, left), (65 * CHR, 10 * CHR, 75 * CHR));
        let (epoch, validators, treasury) = (QosEpoch(1), 20 * CHR, 5 * CHR);
        System::assert_has_event(Event::Emitted { epoch, media, attestors, validators, treasury }.into());
    });
}

#[test]
fn a_share_that_its_account_cannot_take_stays_in_the_reserve() {
    run(|| {
        let shares = RewardParameters {
            epoch_cap: ExistentialDeposit::get(),
            validator_share: Perbill::from_percent(20),
            ..parameters()
        };
        assert_ok!(Rewards::set_parameters(RuntimeOrigin::root(), shares));
        Balances::set_balance(&VALIDATORS, 0);
        let before = Rewards::free_reserve();
        run_to(first(1));
        assert_eq!(Balances::free_balance(VALIDATORS), 0);
        assert_eq!(before - Rewards::free_reserve(), ExistentialDeposit::get() * 8 / 10);
    });
}

#[test]
fn emission_decays_and_nothing_is_ever_issued() {
    externalities(REGISTRIES, 1_000).execute_with(|| {
        // All of the emission leaves for good, so that the reserve is seen to decay by a hundredth per epoch.
        let shares = RewardParameters {
            attestor_share: Perbill::zero(),
            validator_share: Perbill::from_percent(99),
            treasury_share: Perbill::from_percent(1),
            ..parameters()
        };
        assert_ok!(Rewards::set_parameters(RuntimeOrigin::root(), shares));
        let issued = Balances::total_issuance();
        let mut expected = 1_000 * CHR;
        for epoch in 0..50 {
            run_to(first(epoch));
            expected -= Perbill::from_percent(1).mul_floor(expected);
            // What the split of an emission leaves over comes back with its ledger.
            assert!(Rewards::free_reserve().abs_diff(expected) <= 100, "{epoch}");
            assert_eq!(Balances::total_issuance(), issued);
        }
        assert!(expected < 1_000 * CHR * 61 / 100);
        check();
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
        for attestor in (1..=REGISTRIES).map(id) {
            let collect = || Rewards::collect_attestor(signed(STRANGER), attestor);
            // Epochs 15 and 16 are in the ring's second half.
            if Rewards::attestor_earnings(attestor).iter().any(|(epoch, _)| *epoch < QosEpoch(17)) {
                assert_ok!(collect());
            }
            assert_noop!(collect(), Error::<Test>::NothingAccrued);
        }
        check();
    });
}

#[test]
fn only_the_admin_changes_the_parameters_within_their_ranges() {
    run(|| {
        let frugal = RewardParameters { epoch_cap: CHR, ..parameters() };
        assert_noop!(Rewards::set_parameters(signed(OPERATOR), frugal.clone()), DispatchError::BadOrigin);
        let percent = Perbill::from_percent;
        let bad = [
            RewardParameters { burn_share: percent(86), ..parameters() },
            RewardParameters { burn_share: Perbill::zero(), ..parameters() },
            RewardParameters { validator_share: percent(60), treasury_share: percent(31), ..parameters() },
            RewardParameters { minimum_uptime: 10_001, ..parameters() },
            RewardParameters { tolerance: 10_001, ..parameters() },
            RewardParameters { escrow_delay: 1, ..parameters() },
        ];
        for bad in bad {
            assert_noop!(Rewards::set_parameters(RuntimeOrigin::root(), bad), Error::<Test>::InvalidParameters);
        }
        assert_ok!(Rewards::set_parameters(RuntimeOrigin::root(), frugal));
        run_to(first(1));
        assert_eq!((left(0), left(1)), (100 * CHR, CHR));
    });
}

#[test]
fn an_epoch_is_settled_on_the_terms_that_it_began_with() {
    run(|| {
        assert_ok!(Rewards::deposit(signed(APP), APP, 100 * CHR));
        let strict = RewardParameters {
            burn_share: Perbill::from_percent(50),
            minimum_uptime: 10_000,
            tolerance: 0,
            ..parameters()
        };
        assert_ok!(Rewards::set_parameters(RuntimeOrigin::root(), strict));
        let view = |_, _| View { uptime: 9_000, usage: vec![used(APP, 10 << 30)], ..View::score(9_000) };
        let round = attested(view);
        let payout = Rewards::preview_claim(QosEpoch(0), id(SMALL), round.proofs(id(SMALL))).unwrap();
        assert_eq!((payout.fees, payout.subsidy), (8 * CHR, 18 * CHR));
        run_to(first(2));
        let next = Round::new(1, view);
        next.submit_all();
        let payout = Rewards::preview_claim(QosEpoch(1), id(SMALL), next.proofs(id(SMALL))).unwrap();
        assert_eq!((payout.fees, payout.subsidy), (35 * CHR / 10, 0));
    });
}
