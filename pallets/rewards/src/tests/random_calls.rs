//! Whatever happens in whatever order: no token appears or disappears, the accounts cover what is owed, and a claim pays what
//! its preview said.

use crate::{Event, mock::*};
use chroom_primitives::{AccountId, Balance, CHR, QosEpoch};
use pallet_chroom_nodes::Discipline;
use proptest::{prelude::*, test_runner::TestRunner};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Blocks(u32),
    /// The attestors in `who` (a set of bits) send what they measured in the epoch before.
    Attest {
        who: u8,
        scores: [u16; 3],
        uptime: u16,
        gib: [u8; 3],
    },
    /// Claims an epoch `back` for a node with the proofs of the members in `members` (a set of bits).
    Claim {
        back: u32,
        medium: bool,
        members: u8,
        who: u8,
        spoil: bool,
    },
    Deposit(bool, u16),
    Request(bool, u16),
    Withdraw(bool),
    Collect,
    Drain(bool),
    Resume(bool),
    Price(bool, u8),
    Jail(bool),
    DrainAttestor(u8),
    ResumeAttestor(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u32..7).prop_map(Step::Blocks),
        6 => (prop_oneof![2 => Just(u8::MAX), 1 => any::<u8>()], any::<[u16; 3]>(), 8_500u16..=10_000, any::<[u8; 3]>()).prop_map(|(who, scores, uptime, gib)| {
            Step::Attest { who, scores: scores.map(|score| score % 10_001), uptime, gib }
        }),
        8 => (
            prop_oneof![Just(1u32), 1u32..7],
            any::<bool>(),
            prop_oneof![2 => Just(u8::MAX), 1 => any::<u8>()],
            0u8..3,
            0u8..8,
        ).prop_map(|(back, medium, members, who, spoil)| {
            Step::Claim { back, medium, members, who, spoil: spoil == 0 }
        }),
        2 => (any::<bool>(), any::<u16>()).prop_map(|(app, amount)| Step::Deposit(app, amount)),
        1 => (any::<bool>(), any::<u16>()).prop_map(|(app, amount)| Step::Request(app, amount)),
        1 => any::<bool>().prop_map(Step::Withdraw),
        1 => Just(Step::Collect),
        1 => any::<bool>().prop_map(Step::Drain),
        1 => any::<bool>().prop_map(Step::Resume),
        1 => (any::<bool>(), any::<u8>()).prop_map(|(node, price)| Step::Price(node, price)),
        1 => any::<bool>().prop_map(Step::Jail),
        1 => (1u8..=REGISTRIES).prop_map(Step::DrainAttestor),
        1 => (1u8..=REGISTRIES).prop_map(Step::ResumeAttestor),
    ]
}

/// What the steps need to remember.
#[derive(Default)]
struct Network {
    rounds: BTreeMap<u32, Round>,
    paid: usize,
}

impl Network {
    fn apply(&mut self, step: Step) -> sp_runtime::DispatchResult {
        let application = |first: bool| -> AccountId { if first { APP } else { OTHER_APP } };
        let media = |medium: bool| id(if medium { MEDIUM } else { SMALL });
        let current = Qos::epoch_info().current.0;
        match step {
            Step::Blocks(blocks) => run_to(Nodes::now() + blocks),
            Step::Attest { who, scores, uptime, gib } => {
                let Some(epoch) = current.checked_sub(1) else { return Ok(()) };
                let round = self.rounds.entry(epoch).or_insert_with(|| {
                    Round::new(epoch, |place, _| View {
                        score: scores[place],
                        uptime,
                        usage: vec![(APP, u64::from(gib[place]) << 30), (OTHER_APP, u64::from(gib[0]) << 27)],
                    })
                });
                for seed in (1..=REGISTRIES).filter(|seed| who >> seed & 1 == 1) {
                    let _ = round.submit(id(seed));
                }
            }
            Step::Claim { back, medium, members, who, spoil } => {
                let node = media(medium);
                let Some(epoch) = current.checked_sub(back) else { return Ok(()) };
                let Some(round) = self.rounds.get(&epoch) else { return Ok(()) };
                let mut proofs: Vec<_> = round
                    .proofs(node)
                    .into_iter()
                    .enumerate()
                    .filter(|(place, _)| members >> place & 1 == 1)
                    .map(|(_, proof)| proof)
                    .collect();
                if let Some(proof) = proofs.first_mut().filter(|_| spoil) {
                    proof.quality.0.samples += 1;
                }
                let spoilt = spoil && !proofs.is_empty();
                let who = [OPERATOR, node.account(), STRANGER][usize::from(who)].clone();
                let preview = Rewards::preview_claim(QosEpoch(epoch), node, proofs.clone());
                let before = Balances::free_balance(OPERATOR);
                let claimed = frame_support::storage::with_storage_layer(|| {
                    claim_by(who.clone(), epoch, node, proofs).map_err(|refusal| refusal.error)
                });
                match (claimed, preview) {
                    (Ok(_), Ok(payout)) => {
                        assert!(!spoilt, "a spoilt proof was taken");
                        assert_eq!(Balances::free_balance(OPERATOR) - before, payout.fees + payout.subsidy);
                        self.paid += usize::from(payout.fees + payout.subsidy > 0);
                    }
                    (Err(refusal), Err(name)) => {
                        let message = format!("{refusal:?}");
                        assert!(message.contains(core::str::from_utf8(&name).unwrap()), "{message}");
                    }
                    (claimed, preview) => assert!(who == STRANGER && claimed.is_err(), "{claimed:?} {preview:?}"),
                }
            }
            Step::Deposit(app, amount) => {
                Rewards::deposit(signed(application(app)), application(app), u128::from(amount) * CHR / 100)?;
            }
            Step::Request(app, amount) => {
                Rewards::request_withdraw(signed(application(app)), u128::from(amount) * CHR / 100)?;
            }
            Step::Withdraw(app) => Rewards::withdraw(signed(application(app)))?,
            Step::Collect => Rewards::collect(signed(ATTESTORS))?,
            Step::Drain(medium) => Nodes::drain(signed(OPERATOR), media(medium))?,
            Step::Resume(medium) => Nodes::resume(signed(OPERATOR), media(medium))?,
            Step::Price(medium, price) => {
                let price = Some(u128::from(price) * CHR / 50);
                Nodes::update(signed(OPERATOR), media(medium), None, None, None, price)?;
            }
            Step::Jail(medium) => {
                Nodes::jail(&media(medium), 3);
            }
            Step::DrainAttestor(seed) => Nodes::drain(signed(ATTESTORS), id(seed))?,
            Step::ResumeAttestor(seed) => Nodes::resume(signed(ATTESTORS), id(seed))?,
        }
        Ok(())
    }
}

/// Tokens burnt according to the events.
fn burnt() -> Balance {
    System::events()
        .iter()
        .map(|record| match &record.event {
            RuntimeEvent::Rewards(Event::Claimed { burnt, .. }) => *burnt,
            _ => 0,
        })
        .sum()
}

#[test]
fn invariants_hold() {
    let paid = core::cell::Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) });
    let tried = runner.run(&proptest::collection::vec(step(), 250), |steps| {
        externalities(REGISTRIES, 10_000).execute_with(|| {
            run_to(1);
            let issued = Balances::total_issuance();
            let mut network = Network::default();
            for step in steps {
                // A refusal must leave no trace, as in a block.
                let _ = frame_support::storage::with_storage_layer(|| network.apply(step));
                check();
                assert_eq!(Balances::total_issuance() + burnt(), issued);
            }
            paid.set(paid.get() + network.paid);
        });
        Ok(())
    });
    tried.unwrap();
    // Runs in which nothing is paid would show nothing.
    assert!(paid.get() > 30, "{} claims were paid", paid.get());
}
