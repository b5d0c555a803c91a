//! What followers and other pallets read: counters, indices, pages, the generation.

use crate::{ActiveMediaWeight, ActiveNodes, ActiveRegistries, Generation, RegistrySet, mock::*};
use chroom_primitives::{CHR, NodeId, Role};
use frame_support::assert_ok;

#[test]
fn active_nodes_are_counted_by_role() {
    run(|| {
        let media = register(ALICE, 1, Role::Media);
        register(ALICE, 2, Role::Media);
        register(BOB, 3, Role::Orchestrator);
        let registry = register(BOB, 4, Role::Registry);
        assert_eq!(Role::ALL.map(ActiveNodes::<Test>::get), [2, 1, 1]);
        assert_eq!(ActiveMediaWeight::<Test>::get(), 2);
        assert_eq!(ActiveRegistries::<Test>::get().to_vec(), vec![registry]);
        assert_ok!(Nodes::drain(signed(ALICE), media));
        assert_ok!(Nodes::unbond(signed(BOB), registry));
        assert_eq!(Role::ALL.map(ActiveNodes::<Test>::get), [1, 1, 0]);
        assert_eq!(ActiveMediaWeight::<Test>::get(), 1);
        assert!(ActiveRegistries::<Test>::get().is_empty());
    });
}

#[test]
fn the_generation_grows_with_each_change_and_the_set_with_registry_nodes_only() {
    run(|| {
        let media = register(ALICE, 1, Role::Media);
        let (generation, set) = (Generation::<Test>::get(), RegistrySet::<Test>::get());
        assert_ok!(Nodes::update(signed(ALICE), media, None, None, Some("[::1]:7".parse().unwrap()), None));
        assert_ok!(Nodes::drain(signed(ALICE), media));
        assert_eq!(Generation::<Test>::get(), generation + 2);
        assert_eq!(RegistrySet::<Test>::get(), set);
        let registry = register(ALICE, 2, Role::Registry);
        assert_eq!(RegistrySet::<Test>::get(), set + 1);
        assert_ok!(Nodes::add_bond(signed(ALICE), registry, CHR));
        assert_eq!(RegistrySet::<Test>::get(), set + 1);
    });
}

#[test]
fn pages_cover_all_nodes_once() {
    run(|| {
        let mut registered: Vec<NodeId> = (1..=7).map(|seed| register(ALICE, seed, Role::Orchestrator)).collect();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = Nodes::registrations(after, 3);
            assert!(page.len() <= 3);
            let Some(last) = page.last() else { break };
            after = Some(last.node);
            seen.extend(page.iter().map(|registration| registration.node));
        }
        seen.sort();
        registered.sort();
        assert_eq!(seen, registered);
        let mut owned = Nodes::nodes_of(ALICE);
        owned.sort();
        assert_eq!(owned, registered);
        assert!(Nodes::registrations(None, 0).is_empty());
    });
}
