//! Whatever happens in whatever order: every delegator has what it put in, less its share of the slashes, and its share of the
//! pay, as a model with fractions of units computes it; no token appears or disappears; everybody can leave in the end.

use crate::{Delegations, Pool, PoolId, PoolOf, Pools as Stored, mock::*};
use chroom_primitives::{
    AccountId, Balance, CHR, NodeId, NodeStatus,
    pool::{NodePools, OnBondSlashed},
};
use frame_support::storage::with_storage_layer;
use proptest::{prelude::*, test_runner::TestRunner};
use sp_core::U512;
use sp_runtime::{DispatchResult, Perbill};
use std::collections::BTreeMap;

const DELEGATORS: [AccountId; 3] = [ALICE, BOB, CAROL];
/// Keys of the nodes.
const SEEDS: [u8; 3] = [9, 10, 11];

#[derive(Clone, Debug)]
enum Step {
    Blocks(u32),
    /// Commission, share of a beneficiary and of one without an account in percent, whether open.
    Rules(usize, u32, [u32; 2], bool),
    /// Who, node, hundredths of a CHR.
    Delegate(usize, usize, u16),
    /// Who, which of its delegations, hundredths of a CHR or all.
    Undelegate(usize, usize, Option<u16>),
    Withdraw(usize, usize),
    Collect(usize, usize),
    /// Node, thousandths of a CHR.
    Pay(usize, u16),
    /// Node, parts of a billion, whether somebody reported.
    Slash(usize, u32, bool),
    AddBond(usize, u16),
    Drain(usize),
    Unbond(usize),
    WithdrawNode(usize),
    Register(usize),
    HandOver(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..DELEGATORS.len();
    let node = 0..SEEDS.len();
    let parts = prop_oneof![
        6 => 0u32..300_000_000,
        2 => 900_000_000u32..1_000_000_000,
        1 => Just(1_000_000_000u32),
    ];
    prop_oneof![
        4 => (1u32..12).prop_map(Step::Blocks),
        4 => (node.clone(), 0u32..=100, (0u32..60, 0u32..60), prop_oneof![3 => Just(true), 1 => Just(false)])
            .prop_map(|(a, b, (c, d), e)| Step::Rules(a, b / 3, [c, d], e)),
        8 => (who.clone(), node.clone(), any::<u16>()).prop_map(|(a, b, c)| Step::Delegate(a, b, c)),
        5 => (who.clone(), 0usize..3, proptest::option::of(any::<u16>()))
            .prop_map(|(a, b, c)| Step::Undelegate(a, b, c)),
        5 => (who.clone(), 0usize..3).prop_map(|(a, b)| Step::Withdraw(a, b)),
        3 => (who, 0usize..3).prop_map(|(a, b)| Step::Collect(a, b)),
        8 => (node.clone(), any::<u16>()).prop_map(|(a, b)| Step::Pay(a, b)),
        3 => (node.clone(), parts, any::<bool>()).prop_map(|(a, b, c)| Step::Slash(a, b, c)),
        1 => (node.clone(), any::<u16>()).prop_map(|(a, b)| Step::AddBond(a, b)),
        1 => node.clone().prop_map(Step::Drain),
        1 => node.clone().prop_map(Step::Unbond),
        2 => node.clone().prop_map(Step::WithdrawNode),
        4 => node.clone().prop_map(Step::Register),
        1 => (node.clone(), node).prop_map(|(a, b)| Step::HandOver(a, b)),
    ]
}

/// Units with 128 binary digits after the point.
fn fixed(units: Balance) -> U512 {
    U512::from(units) << 128
}

fn units(fixed: U512) -> Balance {
    (fixed >> 128).try_into().unwrap()
}

/// What a delegator has by right.
#[derive(Clone, Copy, Default)]
struct Entry {
    active: U512,
    leaving: U512,
    rewards: U512,
}

/// The pools as they should be, computed without shares.
struct Model {
    nodes: [NodeId; 3],
    entries: BTreeMap<(PoolId, AccountId), Entry>,
    /// By how much rounding may have moved a stake, and what a delegator earned, in units.
    stake_slack: Balance,
    reward_slack: Balance,
    /// What the run has shown: pays to delegators, slashes of delegations, pools retired with delegators, withdrawals.
    seen: [u32; 4],
}

impl Model {
    fn new() -> Self {
        Self { nodes: SEEDS.map(register), entries: BTreeMap::new(), stake_slack: 0, reward_slack: 0, seen: [0; 4] }
    }

    fn pool_of_delegator(&self, who: &AccountId, which: usize) -> Option<PoolId> {
        let pools: Vec<PoolId> = Delegations::<Test>::iter_key_prefix(who).collect();
        pools.get(which % pools.len().max(1)).copied()
    }

    fn of_pool(&mut self, pool: PoolId) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().filter(move |((id, _), _)| *id == pool).map(|(_, entry)| entry)
    }

    fn delegate(&mut self, who: &AccountId, node: NodeId, amount: Balance) -> DispatchResult {
        Pools::delegate(signed(who.clone()), node, amount, Perbill::one())?;
        let pool = Pools::pool_of(node).unwrap();
        self.entries.entry((pool, who.clone())).or_default().active += fixed(amount);
        Ok(())
    }

    fn undelegate(&mut self, who: &AccountId, pool: PoolId, amount: Balance) -> DispatchResult {
        Pools::undelegate(signed(who.clone()), pool, amount)?;
        let entry = self.entries.get_mut(&(pool, who.clone())).unwrap();
        let all = Delegations::<Test>::get(who, pool).unwrap().active_shares == 0;
        let amount = if all { entry.active } else { fixed(amount).min(entry.active) };
        entry.active -= amount;
        entry.leaving += amount;
        Ok(())
    }

    fn withdraw(&mut self, who: &AccountId, pool: PoolId) -> DispatchResult {
        let before = free(who.clone());
        let retired = Stored::<Test>::get(pool).is_some_and(|pool| pool.node.is_none());
        Pools::withdraw_delegation(signed(who.clone()), pool)?;
        let entry = self.entries.get_mut(&(pool, who.clone())).unwrap();
        let mut due = core::mem::take(&mut entry.leaving) + core::mem::take(&mut entry.rewards);
        if retired {
            due += core::mem::take(&mut entry.active);
        }
        let paid = free(who.clone()) - before;
        assert!(paid.abs_diff(units(due)) <= self.stake_slack + self.reward_slack, "{paid} {}", units(due));
        if Delegations::<Test>::get(who, pool).is_none() {
            self.entries.remove(&(pool, who.clone()));
        }
        self.seen[3] += 1;
        Ok(())
    }

    fn collect(&mut self, who: &AccountId, pool: PoolId) -> DispatchResult {
        let before = free(who.clone());
        Pools::collect(signed(who.clone()), pool)?;
        let due = core::mem::take(&mut self.entries.get_mut(&(pool, who.clone())).unwrap().rewards);
        let paid = free(who.clone()) - before;
        assert!(paid.abs_diff(units(due)) <= self.reward_slack, "{paid} {}", units(due));
        Ok(())
    }

    fn pay(&mut self, node: NodeId, amount: Balance) -> DispatchResult {
        let balances = || [SOURCE, OWNER, REPORTER, EMPTY, Pools::account()].map(free);
        let before = balances();
        Pools::pay(&node, &OWNER, &SOURCE, amount)?;
        let after = balances();
        assert_eq!(before[0] - after[0], amount);
        let received: Balance = (1..5).map(|index| after[index] - before[index]).sum();
        assert_eq!(received, amount);

        let Some(pool) = Pools::pool_of(node) else { return Ok(()) };
        let live = Stored::<Test>::get(pool).unwrap().node.unwrap();
        let bond = Nodes::registration(live).unwrap().bond;
        let net = amount - Pools::rules(node).commission.mul_floor(amount);
        let active = self.of_pool(pool).fold(U512::zero(), |sum, entry| sum + entry.active);
        if active.is_zero() {
            assert_eq!(after[4], before[4]);
            return Ok(());
        }
        for entry in self.of_pool(pool) {
            entry.rewards += fixed(net) * entry.active / (fixed(bond) + active);
        }
        // An error in what is at stake is one in what it earns, in proportion.
        self.reward_slack += 4 + 4 * self.stake_slack * (net / bond + 1);
        self.seen[0] += 1;
        Ok(())
    }

    fn slash(&mut self, node: NodeId, share: Perbill, reporter: Option<&AccountId>) {
        let stakes = || Stored::<Test>::iter_values().map(|pool| pool.stake).sum::<Balance>();
        // Only under the id that has the bond.
        let served = |pool: &PoolId| Stored::<Test>::get(pool).is_some_and(|pool| pool.node == Some(node));
        let pool = Pools::pool_of(node).filter(served);
        let (stake, issued) = (stakes(), Balances::total_issuance());
        let before = [free(TREASURY), free(REPORTER)];
        Pools::bond_slashed(&node, share, reporter);
        let taken = stake - stakes();
        let given = [free(TREASURY) - before[0], free(REPORTER) - before[1]];
        assert_eq!(given[0], Perbill::from_percent(30).mul_floor(taken));
        assert_eq!(given[1], if reporter.is_some() { Perbill::from_percent(20).mul_floor(taken) } else { 0 });
        assert_eq!(issued - Balances::total_issuance(), taken - given[0] - given[1]);

        let Some(pool) = pool else {
            assert_eq!(taken, 0);
            return;
        };
        let left = U512::from(1_000_000_000 - share.deconstruct());
        for entry in self.of_pool(pool) {
            entry.active = entry.active * left / 1_000_000_000;
            entry.leaving = entry.leaving * left / 1_000_000_000;
        }
        self.seen[1] += u32::from(taken > 0);
        self.seen[2] += u32::from(taken > 0 && Pools::pool_of(node) != Some(pool));
    }

    fn apply(&mut self, step: Step) -> DispatchResult {
        let nodes = self.nodes;
        let node = |index: usize| nodes[index];
        match step {
            Step::Blocks(blocks) => at(Nodes::now() + blocks),
            Step::Rules(index, commission, shares, open) => {
                let named: Vec<_> = [REPORTER, EMPTY].into_iter().zip(shares).filter(|(_, share)| *share > 0).collect();
                let rules = rules(commission, &named, open);
                Pools::set_rules(signed(OWNER), node(index), rules)?;
            }
            Step::Delegate(who, index, amount) => {
                self.delegate(&DELEGATORS[who], node(index), Balance::from(amount) * CHR / 100)?;
            }
            Step::Undelegate(who, which, amount) => {
                let Some(pool) = self.pool_of_delegator(&DELEGATORS[who], which) else { return Ok(()) };
                let amount = amount.map_or(Balance::MAX, |amount| Balance::from(amount) * CHR / 100 + 7);
                self.undelegate(&DELEGATORS[who], pool, amount)?;
            }
            Step::Withdraw(who, which) => {
                let Some(pool) = self.pool_of_delegator(&DELEGATORS[who], which) else { return Ok(()) };
                self.withdraw(&DELEGATORS[who], pool)?;
            }
            Step::Collect(who, which) => {
                let Some(pool) = self.pool_of_delegator(&DELEGATORS[who], which) else { return Ok(()) };
                self.collect(&DELEGATORS[who], pool)?;
            }
            Step::Pay(index, amount) => self.pay(node(index), Balance::from(amount) * CHR / 1_000 + 3)?,
            Step::Slash(index, parts, reported) => {
                let reporter = REPORTER;
                self.slash(node(index), Perbill::from_parts(parts), reported.then_some(&reporter));
            }
            Step::AddBond(index, amount) => {
                Nodes::add_bond(signed(OWNER), node(index), Balance::from(amount) * CHR / 1_000)?;
            }
            Step::Drain(index) => Nodes::drain(signed(OWNER), node(index))?,
            Step::Unbond(index) => Nodes::unbond(signed(OWNER), node(index))?,
            Step::WithdrawNode(index) => Nodes::withdraw(signed(OWNER), node(index))?,
            Step::Register(index) => {
                let registration = Nodes::registration(node(index));
                match registration.map(|registration| registration.status) {
                    None => {
                        register(SEEDS[index]);
                    }
                    Some(NodeStatus::Draining) => Nodes::resume(signed(OWNER), node(index))?,
                    Some(_) => {}
                }
            }
            Step::HandOver(from, to) => {
                let (from, to) = (node(from), node(to));
                // A node's successor is new.
                if Nodes::registration(to).is_some() && PoolOf::<Test>::get(to).is_none() {
                    Pools::hand_over(&from, to);
                }
            }
        }
        Ok(())
    }

    /// Compares what every delegator has with what it has by right.
    fn compare(&self) {
        assert_eq!(self.entries.len(), Delegations::<Test>::iter().count());
        for ((pool, who), entry) in &self.entries {
            let info = Pools::delegation(*pool, who.clone()).unwrap();
            let slack = self.stake_slack;
            assert!(info.active.abs_diff(units(entry.active)) <= slack, "{info:?} {}", units(entry.active));
            assert!(info.leaving.abs_diff(units(entry.leaving)) <= slack, "{info:?} {}", units(entry.leaving));
            let rewards = units(entry.rewards);
            assert!(info.rewards.abs_diff(rewards) <= self.reward_slack, "{info:?} {rewards}");
        }
    }

    /// All leave, and nothing remains.
    fn empty(&mut self) {
        for who in DELEGATORS {
            let pools: Vec<PoolId> = Delegations::<Test>::iter_key_prefix(&who).collect();
            for pool in &pools {
                let _ = with_storage_layer(|| self.undelegate(&who, *pool, Balance::MAX));
            }
            at(Nodes::now() + UNBONDING);
            for pool in pools {
                self.withdraw(&who, pool).unwrap();
                check();
            }
        }
        assert!(Delegations::<Test>::iter().next().is_none());
        assert!(Stored::<Test>::iter_values().all(|pool: Pool| pool.node.is_some()));
        assert_eq!(Pools::owed(), 0);
    }
}

#[test]
fn everybody_has_what_is_due() {
    let seen = core::cell::Cell::new([0u32; 4]);
    // More by hand than in CI.
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32);
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) });
    let tried = runner.run(&proptest::collection::vec(step(), 200), |steps| {
        externalities().execute_with(|| {
            let mut model = Model::new();
            for step in steps {
                // Each step may round what somebody has by a unit, and what the others gain by it by another.
                model.stake_slack += 2;
                model.reward_slack += 2;
                let issued = Balances::total_issuance();
                let may_burn = matches!(step, Step::Slash(..) | Step::Withdraw(..));
                // Many of the calls are refused: that is part of the test. A refusal must leave no trace, as in a block.
                let _ = with_storage_layer(|| model.apply(step));
                check();
                model.compare();
                let burnt = issued - Balances::total_issuance();
                assert!(may_burn || burnt == 0, "{burnt}");
            }
            model.empty();
            let mut sum = seen.get();
            sum.iter_mut().zip(model.seen).for_each(|(sum, more)| *sum += more);
            seen.set(sum);
        });
        Ok(())
    });
    tried.unwrap();
    // Runs in which nothing happens would show nothing.
    let [pays, slashes, retired, withdrawals] = seen.get();
    assert!(pays > 100 && slashes > 30 && retired > 3 && withdrawals > 50, "{:?}", seen.get());
}
