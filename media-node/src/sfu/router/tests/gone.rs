//! Clients that don't come up, or have gone.

use super::*;

#[test]
fn sessions_that_never_come_up_or_lose_consent_are_closed() {
    let mut f = Fixture::new();
    let (pending, _) = f.router.open(f.now, opening(1)).unwrap();
    let up = f.join(2, vec![line("a", Kind::Audio, true, &[])], &[], &[]);
    assert!(f.pass(29_900).is_empty());
    assert_eq!(f.pass(200), [(pending, CloseReason::ConnectTimeout)]);
    f.router.consent(f.now, up, false);
    assert!(!f.pass(4_900).iter().any(|(key, _)| *key == up));
    f.router.consent(f.now, up, true);
    assert!(!f.pass(5_000).iter().any(|(key, _)| *key == up), "it came back");
    f.router.consent(f.now, up, false);
    assert!(f.pass(5_000).contains(&(up, CloseReason::ConnectionLost)));
}

#[test]
fn whoever_is_heard_may_lose_consent_checks_for_half_a_minute() {
    let mut f = Fixture::new();
    let lines = || vec![line("a", Kind::Audio, true, &[]), line("0", Kind::Audio, false, &[])];
    let sender = f.join(1, lines(), &[publish("a", "mic")], &[]);
    let reporter = f.join(2, lines(), &[], &[subscribe("0", "mic", 0)]);
    let silent = f.join(3, lines(), &[], &[]);
    f.pass(15_000);
    // ICE reports it lost after 15 s.
    for key in [sender, reporter, silent] {
        f.router.consent(f.now, key, false);
    }
    let mut closed = Vec::new();
    for second in 1..=20u64 {
        f.audio(sender, second, 30);
        if second % 5 == 0 {
            f.router.path(f.now, reporter, PathReport { expected: second, ..PathReport::default() });
        }
        closed.extend(f.pass(1_000).into_iter().map(|(key, reason)| (second, key, reason)));
        for (_, key, reason) in closed.iter().filter(|(at, ..)| *at == second) {
            f.router.close(*key, reason.clone(), &mut f.out);
        }
    }
    let lost = |second, key| (second, key, CloseReason::ConnectionLost);
    assert_eq!(closed, [lost(5, silent), lost(15, sender), lost(15, reporter)]);
}
