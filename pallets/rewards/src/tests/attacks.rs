//! What the economics are made against. Each test is named after the attack; docs/economics.md tells of them.

use crate::{Error, Ledgers, RewardParameters, mock::*};
use chroom_primitives::{Balance, CHR, NodeId, QosEpoch, evidence::LeafOmission, merkle::Root};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::Perbill;

const GIB: u64 = 1 << 30;

/// What a self-dealer has: a node, an application with its own orchestrator, and what they are owed.
fn wealth() -> i128 {
    let accounts = Balances::free_balance(OPERATOR) + Balances::free_balance(APP);
    (accounts + Rewards::escrow(APP) + Rewards::accrued(APP) + Rewards::accrued(OPERATOR)) as i128
}

/// What the self-dealer gains in an epoch in which its application pays its node for `gib`, and what burnt and reserve shares took.
fn deal(shares: &RewardParameters, gib: u64) -> (i128, i128) {
    let mut outcome = (0, 0);
    externalities(REGISTRIES, 1_000_000).execute_with(|| {
        assert_ok!(Rewards::set_parameters(RuntimeOrigin::root(), shares.clone()));
        run_to(1);
        assert_ok!(Rewards::deposit(signed(APP), APP, 5_000 * CHR));
        let before = wealth();
        let usage = if gib > 0 { vec![used(APP, gib * GIB)] } else { vec![] };
        let round = attested(|_, _| View { usage: usage.clone(), ..View::score(9_000) });
        let fees_before = Rewards::escrow(APP);
        assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
        let ledger = Ledgers::<Test>::get(QosEpoch(0)).unwrap();
        // Emission and fees came in, the subsidy and the dealer's parts went out: the rest is not the dealer's.
        let kept = ledger.left + ledger.media / 5 - ledger.media - ledger.attestors;
        outcome = (wealth() - before, kept as i128);
        assert_eq!(fees_before - Rewards::escrow(APP), Balance::from(gib) * CHR);
        check();
    });
    outcome
}

#[test]
fn self_dealing_never_pays() {
    let percent = Perbill::from_percent;
    for (burn, reserve, orchestrator) in [(5, 5, 10), (1, 0, 0), (1, 0, 99), (50, 50, 0), (20, 30, 50)] {
        let shares = RewardParameters {
            burn_share: percent(burn),
            reserve_share: percent(reserve),
            orchestrator_share: percent(orchestrator),
            ..parameters()
        };
        let (idle, nothing) = deal(&shares, 0);
        assert_eq!((idle, nothing), (18 * CHR as i128, 0));
        for gib in [1, 7, 100, 5_000] {
            let (gain, kept) = deal(&shares, gib);
            // The subsidy is the same; of the fees all comes back but what is burnt and the reserve's.
            assert_eq!(gain + kept, idle, "{burn} {reserve} {orchestrator} {gib}");
            assert_eq!(kept, i128::from(gib) * CHR as i128 * i128::from(burn + reserve) / 100);
            assert!(gain < idle);
        }
    }
}

#[test]
fn sybil_nodes_earn_no_more_than_one_of_their_weight() {
    run(|| {
        let bonded =
            |nodes: &[NodeId]| nodes.iter().map(|node| Nodes::registration(*node).unwrap().bond).sum::<Balance>();
        let sybils: Vec<NodeId> = (11..15).map(register).collect();
        let one = [id(MEDIUM)];
        assert_eq!(bonded(&sybils), bonded(&one));
        run_to(first(2) + 1);
        let nodes: Vec<NodeId> = sybils.iter().chain(&one).chain(&[id(SMALL)]).copied().collect();
        let round = Round::of(1, &nodes, |_, _| View::score(9_000));
        round.submit_all();
        let paid = |nodes: &[NodeId]| -> Balance {
            let before = Balances::free_balance(OPERATOR);
            for node in nodes {
                assert_ok!(claim(1, *node, round.proofs(*node)));
            }
            Balances::free_balance(OPERATOR) - before
        };
        let (many, single) = (paid(&sybils), paid(&one));
        // Divisions cost the many a little.
        assert!(many <= single && single - many < 4, "{many} {single}");
        assert_eq!(single, 40 * CHR);
    });
}

#[test]
fn a_third_of_a_committee_colluding_moves_no_pay() {
    let usage = |gib| vec![used(APP, gib * GIB)];
    let honest = View { usage: usage(10), ..View::score(7_000) };
    let lies = [
        View::score(0),
        View { usage: usage(1_000), ..View::score(10_000) },
        View { uptime: 0, usage: usage(0), ..View::score(3_000) },
    ];
    for lie in lies {
        for liar in 0..3 {
            run(|| {
                assert_ok!(Rewards::deposit(signed(APP), APP, 5_000 * CHR));
                let round = attested(|place, _| if place == liar { lie.clone() } else { honest.clone() });
                let payout = Rewards::preview_claim(QosEpoch(0), id(SMALL), round.proofs(id(SMALL))).unwrap();
                assert_eq!((payout.score.0, payout.fees, payout.subsidy), (7_000, 8 * CHR, 18 * CHR * 3 / 4));
                assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
                // The lie costs the liar its share.
                let liar = Qos::committee(QosEpoch(0), id(SMALL))[liar];
                assert!(Rewards::attestor_earnings(liar).is_empty());
            });
        }
    }
}

#[test]
fn withholding_harms_who_withholds_alone() {
    run(|| {
        run_to(first(1));
        let round = Round::new(0, |_, _| View::score(9_000));
        let committee = Qos::committee(QosEpoch(0), id(SMALL));
        // One never sends its root.
        round.submit_but(committee[1]);
        run_to(closed(0));
        let proofs = vec![round.proof(committee[0], id(SMALL)), round.proof(committee[2], id(SMALL))];
        assert_ok!(claim(0, id(SMALL), proofs));
        assert_eq!(Rewards::last_reward(id(SMALL)), Some((QosEpoch(0), 18 * CHR)));
        assert!(Rewards::attestor_earnings(committee[1]).is_empty());
        assert_eq!(Rewards::attestor_earnings(committee[0]).len(), 1);
    });
    run(|| {
        // One sends it, and serves no leaves.
        let round = attested(|_, _| View::score(9_000));
        let committee = Qos::committee(QosEpoch(0), id(SMALL));
        run_to(closed(0));
        let proofs = vec![round.proof(committee[0], id(SMALL)), round.proof(committee[2], id(SMALL))];
        assert_ok!(claim(0, id(SMALL), proofs));
        assert_eq!(Rewards::last_reward(id(SMALL)), Some((QosEpoch(0), 18 * CHR)));
        assert!(Rewards::attestor_earnings(committee[1]).is_empty());
    });
}

#[test]
fn copying_anothers_root_earns_nothing() {
    run(|| {
        run_to(first(1));
        let round = Round::new(0, |_, _| View::score(9_000));
        let committee = Qos::committee(QosEpoch(0), id(SMALL));
        let (copied, copier) = (committee[0], committee[1]);
        round.submit_but(copier);
        let root = round.tree(copied).root();
        assert_ok!(Qos::submit_root(signed(copier.account()), QosEpoch(0), root, Root::default()));
        // The leaves are served now, to whoever asks: they say whose they are.
        run_to(closed(0));
        let mut stolen = round.proof(copied, id(SMALL));
        stolen.attestor = copier;
        let proofs = |other| vec![round.proof(copied, id(SMALL)), other, round.proof(committee[2], id(SMALL))];
        assert_noop!(claim(0, id(SMALL), proofs(stolen.clone())), Error::<Test>::ForeignLeaf);
        stolen.quality.0.attestor = copier;
        assert_noop!(claim(0, id(SMALL), proofs(stolen)), Error::<Test>::InvalidProof);
        let honest = vec![round.proof(copied, id(SMALL)), round.proof(committee[2], id(SMALL))];
        assert_ok!(claim(0, id(SMALL), honest));
        assert_eq!(Rewards::last_reward(id(SMALL)), Some((QosEpoch(0), 18 * CHR)));
        assert!(Rewards::attestor_earnings(copier).is_empty());
        // And it may be reported: to the copier's own nodes its tree says nothing.
        let leaf = round.proof(copied, id(SMALL)).quality;
        let evidence = Box::new(LeafOmission::Void((chroom_primitives::Leaf::Qos(leaf.0), leaf.1)));
        assert_ok!(Qos::report_omission(signed(STRANGER), QosEpoch(0), copier, id(SMALL), evidence));
    });
}

#[test]
fn a_late_reveal_comes_too_late() {
    run(|| {
        run_to(first(1));
        let round = Round::new(0, |_, _| View::score(9_000));
        let committee = Qos::committee(QosEpoch(0), id(SMALL));
        round.submit_but(committee[0]);
        // Leaves are served when no more roots are taken: who waits for them to know the median is late.
        run_to(closed(0));
        assert_noop!(round.submit(committee[0]), pallet_chroom_qos::Error::<Test>::WindowClosed);
        let late = round.proofs(id(SMALL));
        assert_noop!(claim(0, id(SMALL), late.clone()), Error::<Test>::NoRoot);
        assert_ok!(claim(0, id(SMALL), late[1..].to_vec()));
        assert!(Rewards::attestor_earnings(committee[0]).is_empty());
    });
}

#[test]
fn choosing_a_committee_by_trying_keys_earns_nothing() {
    run(|| {
        assert_ok!(Rewards::deposit(signed(APP), APP, 100 * CHR));
        // The seed of epoch 0 is known, and somebody finds a key whose committee suits it.
        let node = register(9);
        run_to(first(1) + 1);
        let usage = vec![used(APP, 50 * GIB)];
        let round = Round::of(0, &[node], |_, _| View { usage: usage.clone(), ..View::score(10_000) });
        round.submit_all();
        assert_noop!(claim(0, node, round.proofs(node)), Error::<Test>::NotRegisteredInEpoch);
        assert_eq!(Rewards::escrow(APP), 100 * CHR);
    });
}

#[test]
fn draining_anothers_escrow_through_ones_own_orchestrator_gets_nothing() {
    run(|| {
        assert_ok!(Rewards::deposit(signed(APP), APP, 100 * CHR));
        let usage = vec![(APP, id(FOREIGN), 50 * GIB)];
        let round = attested(|_, _| View { usage: usage.clone(), ..View::score(1_000) });
        assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
        assert_eq!((Rewards::escrow(APP), Rewards::accrued(GRANTER)), (100 * CHR, 0));
    });
}

#[test]
fn usage_pay_never_exceeds_the_fees_that_were_paid() {
    for (deposit, gib) in [(1, 50), (10, 10), (1_000, 3)] {
        run(|| {
            assert_ok!(Rewards::deposit(signed(APP), APP, deposit * CHR));
            let round = attested(|_, _| View { usage: vec![used(APP, gib * GIB)], ..View::score(1_000) });
            let settlement = Rewards::settle(QosEpoch(0), id(SMALL), &round.proofs(id(SMALL))).unwrap();
            let paid: Balance = settlement.purses.iter().flat_map(|purse| &purse.debits).map(|(_, sum)| sum).sum();
            let out = settlement.payout.fees + settlement.burnt + settlement.accrued.values().sum::<Balance>();
            assert!(out < paid && paid <= deposit * CHR);
        });
    }
}
