//! Whatever happens in whatever order, the invariants hold.

use crate::{Attestations, Standing, mock::*};
use chroom_primitives::{
    QosEpoch,
    evidence::{LeafOmission, RootEquivocation},
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Submit { seed: u8, back: u32, quality: u8 },
    Drain(u8),
    Resume(u8),
    Unbond(u8),
    Contradict { back: u32, against_chain: bool },
    Omit { seed: u8, back: u32, media: u8 },
    Blocks(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let seed = prop_oneof![1u8..=7, 100u8..=103];
    prop_oneof![
        5 => (seed.clone(), 0u32..3, 0u8..2).prop_map(|(seed, back, quality)| Step::Submit { seed, back, quality }),
        2 => seed.clone().prop_map(Step::Drain),
        2 => seed.clone().prop_map(Step::Resume),
        1 => (1u8..=7).prop_map(Step::Unbond),
        1 => (0u32..6, any::<bool>()).prop_map(|(back, against_chain)| Step::Contradict { back, against_chain }),
        2 => (1u8..=7, 0u32..6, 99u8..=103).prop_map(|(seed, back, media)| Step::Omit { seed, back, media }),
        4 => (1u32..6).prop_map(Step::Blocks),
    ]
}

/// How many random runs are tried: 16, or what `CHROOM_CASES` says.
fn cases() -> u32 {
    std::env::var("CHROOM_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn invariants_hold(steps in proptest::collection::vec(step(), 200)) {
        run_with_signer(|| {
            let mut punished = 0;
            for step in steps {
                let owner = RuntimeOrigin::signed(OWNER);
                let reporter = RuntimeOrigin::signed(REPORTER);
                let ago = |back: u32| Qos::epoch_info().current.0.saturating_sub(back);
                // A refusal must leave no trace, as in a block.
                let _ = frame_support::storage::with_storage_layer(|| match step {
                    // Empty trees, which leave out everything, and others.
                    Step::Submit { seed, back, quality } => {
                        let epoch = ago(back);
                        let who = if seed == 7 { signer() } else { id(seed) };
                        let mut quality = root(quality);
                        quality.leaves = u32::from(seed % 2);
                        Qos::submit_root(RuntimeOrigin::signed(who.account()), QosEpoch(epoch), quality, root(200))
                            .map(|_| ()).map_err(|refusal| refusal.error)
                    }
                    Step::Drain(seed) => Nodes::drain(owner, id(seed)),
                    Step::Resume(seed) => Nodes::resume(owner, id(seed)),
                    Step::Unbond(seed) => Nodes::unbond(owner, id(seed)),
                    Step::Contradict { back, against_chain } => {
                        let epoch = ago(back);
                        let evidence = if against_chain {
                            RootEquivocation::AgainstChain(statement(epoch, 0, 1))
                        } else {
                            RootEquivocation::Statements { first: statement(epoch, 1, 1), second: statement(epoch, 2, 1) }
                        };
                        Qos::report_equivocation(reporter, Box::new(evidence))
                            .map(|_| punished += 1).map_err(|refusal| refusal.error)
                    }
                    Step::Omit { seed, back, media } => {
                        let (epoch, evidence) = (QosEpoch(ago(back)), Box::new(LeafOmission::Empty));
                        Qos::report_omission(reporter, epoch, id(seed), id(media), evidence)
                            .map(|_| punished += 1).map_err(|refusal| refusal.error)
                    }
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
            // Nobody loses an epoch's earnings twice.
            let mut forfeited = Forfeited::get();
            let times = forfeited.len();
            forfeited.sort();
            forfeited.dedup();
            assert_eq!(times, forfeited.len());
            let bad = Attestations::<Test>::iter_values().filter(|known| known.standing > Standing::Good).count();
            assert!(bad <= times && punished <= 2 * times);
        });
    }
}
