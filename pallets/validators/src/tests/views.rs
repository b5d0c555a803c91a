//! What those outside read.

use crate::{Era, EraInfo, mock::*};
use frame_support::assert_ok;

#[test]
fn the_era_is_shown_with_what_it_earned() {
    run(|| {
        income(90);
        author(&[1, 2, 3], 1);
        let active = Era { index: 0, first_session: 0 };
        assert_eq!(
            Validators::era_info(),
            EraInfo { active, next: None, ends_before: 2, points: 3, accrued: 90, owed: 0 }
        );
        reach_session(1);
        let next = Era { index: 1, first_session: 2 };
        assert_eq!(
            Validators::era_info(),
            EraInfo { active, next: Some(next), ends_before: 2, points: 3, accrued: 90, owed: 0 }
        );
        reach_session(2);
        assert_eq!(
            Validators::era_info(),
            EraInfo { active: next, next: None, ends_before: 4, points: 0, accrued: 0, owed: 90 }
        );
    });
}

#[test]
fn pay_that_waits_is_shown_by_era() {
    run(|| {
        for (session, authors) in [(2, &[1, 2][..]), (4, &[2][..]), (6, &[1][..])] {
            income(100);
            author(authors, 1);
            reach_session(session);
        }
        assert_eq!(Validators::pending_pay(1), vec![(0, 50), (2, 100)]);
        assert_eq!(Validators::pending_pay(3), vec![]);
        assert_ok!(Validators::payout(signed(1), 0, 1));
        assert_eq!(Validators::pending_pay(1), vec![(2, 100)]);
    });
}

#[test]
fn slashes_and_sentences_are_shown_by_account() {
    run(|| {
        assert_eq!(Validators::sentence(1), None);
        offend(&[(1, 500), (2, 400)], &[], 20, 0);
        reach_session(1);
        offend(&[(1, 500)], &[], 30, 1);
        let mut slashes: Vec<_> =
            Validators::pending_slashes(1).into_iter().map(|(era, id, slash)| (era, id, slash.amount)).collect();
        slashes.sort();
        assert_eq!(slashes, vec![(2, 0, 100), (2, 2, 50)]);
        assert_eq!(Validators::pending_slashes(3), vec![]);
        let sentence = Validators::sentence(1).unwrap();
        assert_eq!((sentence.until, sentence.offences), (7, 2));
        reach_session(7);
        assert_eq!(Validators::sentence(1), None, "it is over");
    });
}
