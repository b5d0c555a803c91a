//! Whatever is called in whatever order: no call runs without both houses, none before its time, none after a veto.

use crate::mock::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Note(u8),
    Unnote(u8),
    Approve(u64, u8),
    Veto(u8),
    SetDelay(u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let call = 0u8..5;
    prop_oneof![
        2 => call.clone().prop_map(Step::Note),
        1 => call.clone().prop_map(Step::Unnote),
        6 => (prop_oneof![Just(COUNCIL), Just(COMMITTEE), Just(STRANGER)], call.clone())
            .prop_map(|(house, call)| Step::Approve(house, call)),
        1 => call.prop_map(Step::Veto),
        1 => (0u64..=MAX_DELAY + 1).prop_map(Step::SetDelay),
        3 => (1u64..4).prop_map(Step::Wait),
    ]
}

/// What must be so, kept apart from the pallet.
#[derive(Default)]
struct Model {
    /// First approvals, with their last block.
    waiting: BTreeMap<u8, (u64, u64)>,
    /// Scheduled calls with their block.
    scheduled: BTreeMap<u8, u64>,
    /// Calls that have run.
    ran: std::collections::BTreeSet<u8>,
}

impl Model {
    fn approve(&mut self, house: u64, call: u8, now: u64, delay: u64) {
        match self.waiting.remove(&call) {
            Some((first, until)) if until >= now => {
                assert_ne!(first, house, "one house's approvals don't add up");
                self.scheduled.insert(call, now + delay);
            }
            _ => {
                self.waiting.insert(call, (house, now + LIFETIME));
            }
        }
    }

    fn go_to(&mut self, now: u64) {
        let ran = &mut self.ran;
        self.scheduled.retain(|call, at| {
            if *at <= now {
                ran.insert(*call);
            }
            *at > now
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn nothing_runs_that_must_not(steps in prop::collection::vec(step(), 1..60)) {
        run(|| {
            let mut model = Model::default();
            for step in steps {
                let now = System::block_number();
                match step {
                    Step::Note(call) => {
                        let bytes = codec::Encode::encode(&root_call(call));
                        let _ = Preimage::note_preimage(RuntimeOrigin::signed(STRANGER), bytes);
                    }
                    Step::Unnote(call) => {
                        let _ = Preimage::unnote_preimage(RuntimeOrigin::signed(STRANGER), hash_of(&root_call(call)));
                    }
                    Step::Approve(house, call) => {
                        let delay = Enactment::delay();
                        let done = Enactment::approve(RuntimeOrigin::signed(house), hash_of(&root_call(call)));
                        if done.is_ok() {
                            assert_ne!(house, STRANGER);
                            model.approve(house, call, now, delay);
                        }
                    }
                    Step::Veto(call) => {
                        if Enactment::veto(RuntimeOrigin::signed(VETO), hash_of(&root_call(call))).is_ok() {
                            model.waiting.remove(&call);
                            model.scheduled.remove(&call);
                        }
                    }
                    Step::SetDelay(delay) => {
                        let done = Enactment::set_delay(RuntimeOrigin::root(), delay);
                        assert_eq!(done.is_ok(), (MIN_DELAY..=MAX_DELAY).contains(&delay));
                    }
                    Step::Wait(blocks) => {
                        go_to(now + blocks);
                        model.go_to(now + blocks);
                    }
                }
                Enactment::do_try_state().unwrap();
                for call in 0..5 {
                    assert_eq!(has_run(call), model.ran.contains(&call), "call {call}");
                    assert_eq!(Enactment::enacted_at(hash_of(&root_call(call))), model.scheduled.get(&call).copied());
                }
            }
        });
    }
}
