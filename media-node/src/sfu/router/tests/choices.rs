//! When layers are chosen without cause.

use super::*;

#[test]
fn choices_are_spread_over_ticks_and_each_session_has_its_own_in_time() {
    let mut f = Fixture::new();
    let keys: Vec<SessionKey> = (0..40).map(|number| f.join(number, Vec::new(), &[], &[])).collect();
    let begin = f.now;
    let mut chosen: HashMap<SessionKey, Vec<Duration>> = HashMap::new();
    for _ in 0..20 {
        f.now += TICK;
        let Fixture { router, out, now } = &mut f;
        router.tick(*now, out);
        let of_now: Vec<SessionKey> =
            keys.iter().copied().filter(|key| router.sessions[key.0].chosen == *now).collect();
        assert_eq!(of_now.len(), keys.len() / CHOICE_TICKS);
        of_now.iter().for_each(|key| chosen.entry(*key).or_default().push(*now - begin));
    }
    assert_eq!(chosen.len(), keys.len());
    let steady = |times: &Vec<Duration>| times.windows(2).all(|pair| pair[1] - pair[0] == CHOICE_INTERVAL);
    assert!(chosen.values().all(|times| times.len() == 4 && steady(times)), "{chosen:?}");
}

#[test]
fn ticks_that_come_late_leave_nobody_out() {
    let mut f = Fixture::new();
    let keys: Vec<SessionKey> = (0..10).map(|number| f.join(number, Vec::new(), &[], &[])).collect();
    for _ in 0..3 {
        f.now += CHOICE_INTERVAL * 2;
        let Fixture { router, out, now } = &mut f;
        router.tick(*now, out);
        assert!(keys.iter().all(|key| router.sessions[key.0].chosen == *now));
    }
}
