//! Whatever happens in whatever order: no token appears or disappears, the accounts hold what is owed to the last unit, and a claim
//! pays what its preview said.

use crate::{Accrued, Escrows, Event, Ledgers, RewardParameters, mock::*};
use chroom_primitives::{AccountId, Balance, CHR, Hash, QosEpoch, evidence::LeafOmission, merkle::Root};
use frame_support::traits::fungible::Inspect;
use pallet_chroom_nodes::Discipline;
use proptest::{prelude::*, test_runner::TestRunner};
use sp_runtime::Perbill;
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
    /// An attestor sends some other root for the epoch before, for which it may have sent one.
    Contradict(u8),
    /// An attestor sends an empty tree for the epoch before.
    Omit(u8),
    /// Somebody says that an attestor left out a node.
    Report {
        back: u32,
        medium: bool,
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
    Authorize {
        first: bool,
        orchestrator: u8,
        price: u8,
    },
    Collect(u8),
    CollectAttestors,
    Shares([u8; 6]),
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
        2 => (any::<bool>(), OWN..=FOREIGN, 0u8..80).prop_map(|(first, orchestrator, price)| {
            Step::Authorize { first, orchestrator, price }
        }),
        1 => (0u8..3).prop_map(Step::Collect),
        2 => Just(Step::CollectAttestors),
        1 => any::<[u8; 6]>().prop_map(Step::Shares),
        1 => (1u8..=REGISTRIES).prop_map(Step::Contradict),
        3 => (1u8..=REGISTRIES).prop_map(Step::Omit),
        3 => (0u32..7, any::<bool>()).prop_map(|(back, medium)| Step::Report { back, medium }),
        1 => any::<bool>().prop_map(Step::Drain),
        1 => any::<bool>().prop_map(Step::Resume),
        1 => (any::<bool>(), any::<u8>()).prop_map(|(node, price)| Step::Price(node, price)),
        1 => any::<bool>().prop_map(Step::Jail),
        1 => (1u8..=REGISTRIES).prop_map(Step::DrainAttestor),
        3 => (1u8..=REGISTRIES).prop_map(Step::ResumeAttestor),
    ]
}

/// What the steps need to remember.
#[derive(Default)]
struct Network {
    rounds: BTreeMap<u32, Round>,
    paid: usize,
    collected: usize,
    forfeited: usize,
}

/// Sends a root that belongs to no tree for the epoch before the `current` one.
fn send(seed: u8, current: u32, leaves: u32) -> sp_runtime::DispatchResult {
    let Some(epoch) = current.checked_sub(1) else { return Ok(()) };
    let quality = Root { hash: Hash::repeat_byte(7), leaves };
    let sent = Qos::submit_root(signed(id(seed).account()), QosEpoch(epoch), quality, Root::default());
    sent.map(|_| ()).map_err(|refusal| refusal.error)
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
                        usage: vec![
                            used(APP, u64::from(gib[place]) << 30),
                            (APP, id(FOREIGN), u64::from(gib[1]) << 28),
                            used(OTHER_APP, u64::from(gib[0]) << 27),
                            (OTHER_APP, id(OWN), u64::from(gib[2]) << 27),
                        ],
                    })
                });
                for attestor in (1..=REGISTRIES).filter(|seed| who >> seed & 1 == 1).map(id) {
                    // Contradictions are a step of their own.
                    if Qos::attestation(QosEpoch(epoch), attestor).is_none() {
                        let _ = round.submit(attestor);
                    }
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
            Step::Authorize { first, orchestrator, price } => {
                let price = (price > 20).then(|| Balance::from(price) * CHR / 40);
                Rewards::authorize(signed(application(first)), id(orchestrator), price)?;
            }
            Step::Collect(who) => Rewards::collect(signed([APP, OTHER_APP, GRANTER][usize::from(who)].clone()))?,
            Step::CollectAttestors => {
                for attestor in (1..=REGISTRIES).map(id) {
                    let collect = || Rewards::collect_attestor(signed(STRANGER), attestor);
                    self.collected += usize::from(frame_support::storage::with_storage_layer(collect).is_ok());
                }
            }
            Step::Shares(shares) => {
                let percent = |index: usize| Perbill::from_percent(u32::from(shares[index]) % 40);
                let changed = RewardParameters {
                    attestor_share: percent(0),
                    validator_share: percent(1),
                    treasury_share: percent(2),
                    burn_share: percent(3),
                    reserve_share: percent(4),
                    orchestrator_share: percent(5),
                    ..parameters()
                };
                Rewards::set_parameters(RuntimeOrigin::root(), changed)?;
            }
            Step::Contradict(seed) => send(seed, current, 3)?,
            Step::Omit(seed) => send(seed, current, 0)?,
            Step::Report { back, medium } => {
                let Some(epoch) = current.checked_sub(back) else { return Ok(()) };
                for attestor in (1..=REGISTRIES).map(id) {
                    let evidence = Box::new(LeafOmission::Empty);
                    let shown = frame_support::storage::with_storage_layer(|| {
                        Qos::report_omission(signed(STRANGER), QosEpoch(epoch), attestor, media(medium), evidence)
                            .map_err(|refusal| refusal.error)
                    });
                    self.forfeited += usize::from(shown.is_ok());
                }
            }
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
            Step::ResumeAttestor(seed) => {
                // A slash takes a tenth of 500 CHR at most.
                let _ = Nodes::add_bond(signed(ATTESTORS), id(seed), 50 * CHR);
                Nodes::resume(signed(ATTESTORS), id(seed))?;
            }
        }
        Ok(())
    }
}

/// Tokens that closed ledgers burnt, and tokens that slashes took, according to the events.
fn burnt_and_slashed() -> (Balance, Balance) {
    System::events().iter().fold((0, 0), |(burnt, slashed), record| match &record.event {
        RuntimeEvent::Rewards(Event::LedgerClosed { burnt: more, .. }) => (burnt + more, slashed),
        RuntimeEvent::Nodes(pallet_chroom_nodes::Event::Slashed { amount, .. }) => (burnt, slashed + amount),
        _ => (burnt, slashed),
    })
}

/// Each account has what it owes, to the last unit: nothing else comes to them here.
fn accounts_are_exact() {
    let existence = ExistentialDeposit::get();
    let escrows: Balance = Escrows::<Test>::iter_values().map(|escrow| escrow.balance).sum();
    assert_eq!(Balances::balance(&Rewards::escrow_account()), existence + escrows);
    let ledgers: Balance = Ledgers::<Test>::iter_values().map(|ledger| ledger.left).sum();
    let accrued: Balance = Accrued::<Test>::iter_values().sum();
    assert_eq!(Balances::balance(&Rewards::pot_account()), existence + ledgers + accrued);
}

/// How many random runs are tried: 16, or what `CHROOM_CASES` says.
fn cases() -> u32 {
    std::env::var("CHROOM_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(16)
}

#[test]
fn invariants_hold() {
    let paid = core::cell::Cell::new((0, 0, 0, 0));
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) });
    let tried = runner.run(&proptest::collection::vec(step(), 250), |steps| {
        externalities(REGISTRIES, 10_000).execute_with(|| {
            run_to(1);
            let issued = Balances::total_issuance();
            let mut network = Network::default();
            // What the treasury has of slashes is not burnt.
            let mut saved = 0;
            for step in steps {
                let treasury = Balances::free_balance(TREASURY);
                let blocks = matches!(step, Step::Blocks(_));
                // A refusal must leave no trace, as in a block.
                let _ = frame_support::storage::with_storage_layer(|| network.apply(step));
                if !blocks {
                    saved += Balances::free_balance(TREASURY) - treasury;
                }
                check();
                accounts_are_exact();
                let (burnt, slashed) = burnt_and_slashed();
                assert_eq!(Balances::total_issuance() + burnt + slashed, issued + saved);
            }
            let (claims, collected, forfeited, slashes) = paid.get();
            paid.set((
                claims + network.paid,
                collected + network.collected,
                forfeited + network.forfeited,
                slashes + usize::from(burnt_and_slashed().1 > 0),
            ));
        });
        Ok(())
    });
    tried.unwrap();
    // Runs in which nothing is paid, lost or burnt would show nothing.
    let (claims, collected, forfeited, slashes) = paid.get();
    assert!(claims > 10 && collected > 0 && forfeited > 0 && slashes > 0, "{:?}", paid.get());
}
