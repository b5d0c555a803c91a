//! Whatever is called in whatever order while blocks, epochs, sessions and eras go by: each pallet's invariants hold, its accounts have
//! what they owe, all accounts together have what is issued, and nothing is issued.
//!
//! A run follows from its seed. By hand, `CHROOM_SEED` and `CHROOM_STEPS` ask for other runs and longer ones. `CHROOM_CHECK=7` checks after every
//! seventh block only, which takes a long run less time; `CHROOM_CHECK=steps` after each step, to find the one that broke an invariant.

mod actors;
mod authors;
mod dice;
mod invariants;
mod round;
mod state;
mod steps;
mod tally;
mod world;

use world::{Checks, World};

/// Steps of a run whose invariants are checked after each block.
const MANY: u64 = 50_000;
/// Steps of a run whose invariants are checked after each step.
const FEW: u64 = 2_000;
/// Each of [`CALLS`] succeeds in so many steps, or the run would show nothing of it.
const STEPS_PER_SUCCESS: u64 = 5_000;

/// The calls of all pallets of ours that take part, and offences.
const CALLS: [&str; 40] = [
    "Nodes::add_bond",
    "Nodes::drain",
    "Nodes::reduce_bond",
    "Nodes::register",
    "Nodes::register_authorized",
    "Nodes::report_equivocation",
    "Nodes::resume",
    "Nodes::rotate_key",
    "Nodes::set_parameters",
    "Nodes::unbond",
    "Nodes::update",
    "Nodes::withdraw",
    "Nodes::withdraw_reduced",
    "Pools::collect",
    "Pools::delegate",
    "Pools::set_rules",
    "Pools::undelegate",
    "Pools::withdraw_delegation",
    "Qos::report_equivocation",
    "Qos::report_omission",
    "Qos::submit_root",
    "Rewards::authorize",
    "Rewards::claim",
    "Rewards::collect",
    "Rewards::collect_attestor",
    "Rewards::deposit",
    "Rewards::request_withdraw",
    "Rewards::set_parameters",
    "Rewards::withdraw",
    "Session::purge_keys",
    "Session::set_keys",
    "Validators::cancel_slash",
    "Validators::join",
    "Validators::leave",
    "Validators::on_offence",
    "Validators::payout",
    "Validators::set_parameters",
    "Validators::set_payee",
    "Validators::unbond",
    "Validators::withdraw",
];

fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn run(seed: u64, steps: u64, checks: Checks) {
    let steps = asked("CHROOM_STEPS").unwrap_or(steps);
    let checks = match std::env::var("CHROOM_CHECK") {
        Ok(when) if when == "steps" => Checks::Steps,
        Ok(blocks) => Checks::Blocks(blocks.parse().expect("a number of blocks")),
        Err(_) => checks,
    };
    let mut world = World::new(asked("CHROOM_SEED").unwrap_or(seed));
    world.run(steps, checks);
    for call in CALLS {
        let succeeded = world.tally.succeeded(call);
        assert!(succeeded >= steps / STEPS_PER_SUCCESS, "{call} succeeded {succeeded} times only");
    }
}

#[test]
fn invariants_hold_whatever_is_called() {
    run(1, MANY, Checks::Blocks(1));
}

#[test]
fn invariants_hold_in_another_run() {
    run(2, MANY, Checks::Blocks(1));
}

#[test]
fn invariants_hold_after_each_step() {
    run(3, FEW, Checks::Steps);
}

#[test]
fn a_run_leaves_the_same_without_a_trie() {
    let one = World::new(4).run_on_trie(500, Checks::Blocks(1));
    let other = World::new(4).run(500, Checks::Blocks(1));
    assert!(one.len() > 300, "{} entries", one.len());
    assert!(one == other, "the states differ");
}
