//! Whatever happens in whatever order, the invariants hold.

use crate::{Roots, mock::*};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Submit { seed: u8, back: u32, quality: u8 },
    Drain(u8),
    Resume(u8),
    Unbond(u8),
    Blocks(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let seed = prop_oneof![1u8..=7, 100u8..=103];
    prop_oneof![
        5 => (seed.clone(), 0u32..3, 0u8..2).prop_map(|(seed, back, quality)| Step::Submit { seed, back, quality }),
        2 => seed.clone().prop_map(Step::Drain),
        2 => seed.clone().prop_map(Step::Resume),
        1 => (1u8..=7).prop_map(Step::Unbond),
        4 => (1u32..6).prop_map(Step::Blocks),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn invariants_hold(steps in proptest::collection::vec(step(), 200)) {
        externalities(6, 3).execute_with(|| {
            run_to(1);
            let mut sent = 0;
            for step in steps {
                let owner = RuntimeOrigin::signed(OWNER);
                // A refusal must leave no trace, as in a block.
                let _ = frame_support::storage::with_storage_layer(|| match step {
                    Step::Submit { seed, back, quality } => {
                        let epoch = Qos::epoch_info().current.0.saturating_sub(back);
                        submit(seed, epoch, quality).map(|_| sent += 1).map_err(|refusal| refusal.error)
                    }
                    Step::Drain(seed) => Nodes::drain(owner, id(seed)),
                    Step::Resume(seed) => Nodes::resume(owner, id(seed)),
                    Step::Unbond(seed) => Nodes::unbond(owner, id(seed)),
                    Step::Blocks(blocks) => {
                        run_to(Nodes::now() + blocks);
                        Ok(())
                    }
                });
                check();
                // An epoch's committees are of its own attestors, whatever became of these.
                let epoch = Qos::epoch_info().current;
                for member in Qos::committee(epoch, id(100)) {
                    assert!(Qos::assignments(epoch, member).contains(&id(100)));
                }
            }
            assert!(Roots::<Test>::iter().count() <= sent);
        });
    }
}
