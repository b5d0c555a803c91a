use super::*;
use crate::session::{Failure, Fence};
use chroom_primitives::{H3Cell, NodeId, UnixMs};
use h3o::{LatLng, Resolution};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

fn node(n: u8) -> NodeId {
    NodeId([n; 20])
}

/// Where a node's pipes are.
fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 7_000))
}

fn cell((lat, lng): (f64, f64)) -> Option<H3Cell> {
    Some(H3Cell(u64::from(LatLng::new(lat, lng).unwrap().to_cell(Resolution::Five))))
}

const PLACES: [(f64, f64); 8] = [
    (52.5, 13.4),   // Berlin
    (48.9, 2.4),    // Paris
    (40.7, -74.0),  // New York
    (37.8, -122.4), // San Francisco
    (35.7, 139.7),  // Tokyo
    (1.35, 103.8),  // Singapore
    (-33.9, 151.2), // Sydney
    (-23.5, -46.6), // São Paulo
];

/// A media node: what it was told, as its cascade keeps it.
#[derive(Default)]
struct Media {
    fence: Fence,
    route: Option<Route>,
    /// The epoch by which it has that.
    since: Fence,
    alive: bool,
}

/// Media nodes around a tree. Orders wait, and may be lost, or their answers.
#[derive(Default)]
struct World {
    tree: Tree,
    media: BTreeMap<NodeId, Media>,
    wire: Vec<Order>,
    now: UnixMs,
    fence: u64,
}

impl World {
    fn join(&mut self, n: u8, place: (f64, f64)) {
        self.fence += 1;
        if self.tree.has(node(n)) {
            self.tree.stay(node(n));
            return;
        }
        self.tree.join(node(n), Fence(self.fence), cell(place));
        // The session that it comes for is opened there.
        let media = self.media.entry(node(n)).or_default();
        (media.alive, media.fence) = (true, Fence(self.fence));
    }

    /// The core heard that a node is dead: what was under way there has no outcome any more. Some only seem so, and keep what they know.
    fn dead(&mut self, n: u8, truly: bool) {
        if let Some(media) = self.media.get_mut(&node(n)).filter(|_| truly) {
            (media.alive, media.route) = (false, None);
        }
        self.wire.retain(|order| order.node != node(n));
        self.tree.remove(node(n));
    }

    fn look(&mut self) {
        for order in self.tree.orders(self.now) {
            assert!(!self.wire.iter().any(|other| other.node == order.node), "two orders at a time");
            self.wire.push(order);
        }
        self.check();
    }

    /// Lets an order through. It may be lost on its way, or its answer.
    fn step(&mut self, index: usize, lost: bool, mute: bool) {
        if self.wire.is_empty() {
            return;
        }
        let order = self.wire.remove(index % self.wire.len());
        let unreachable = Failure::Unreachable("lost".into());
        let mut named_children = None;
        let is_newest = self.tree.place(order.node).as_ref() == Some(&order.place);
        let let_in = self.media[&order.node].route.as_ref().map(|route| route.children.clone()).unwrap_or_default();
        let media = self.media.get_mut(&order.node).unwrap();
        let taken = if lost || !media.alive {
            Err(unreachable)
        } else if order.fence < media.fence {
            Err(Failure::Refused("fenced".into()))
        } else {
            media.fence = order.fence;
            media.route = match order.place {
                Place::Among(route) => {
                    let named: Vec<NodeId> = route
                        .parent
                        .iter()
                        .chain(&route.standby)
                        .map(|end| end.node)
                        .chain(route.children.iter().copied())
                        .chain([order.node])
                        .collect();
                    assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len(), "named twice: {route:?}");
                    named_children = Some(route.children.clone());
                    media.since = order.fence;
                    Some(route)
                }
                Place::Alone => None,
            };
            if mute { Err(unreachable) } else { Ok(Some(address(order.node.0[0]))) }
        };
        // Nobody is dropped who hasn't been told of another parent before.
        if let (Some(now), true) = (named_children, is_newest) {
            for (child, media) in self.media.iter().filter(|(child, _)| let_in.contains(child)) {
                let parent = media.route.as_ref().and_then(|route| route.parent.as_ref()).map(|end| end.node);
                let is_current = self.tree.seat(*child).is_some_and(|seat| seat.fence == media.since);
                let is_joined = parent == Some(order.node) && is_current && media.since >= order.fence;
                assert!(!is_joined || now.contains(child), "dropped too early");
            }
        }
        let result = match &taken {
            Ok(address) => Ok(*address),
            Err(failure) => Err(failure),
        };
        let unfit = self.tree.answered(order.node, order.fence, result, self.now);
        assert_eq!(unfit, None, "nodes refuse nothing that comes from one orchestrator");
        self.look();
    }

    /// What holds at any time.
    fn check(&self) {
        let seats = self.tree.seats();
        let age = |node: NodeId| self.tree.seat(node).unwrap().fence;
        for (at, seat) in seats.iter().enumerate() {
            assert_eq!(seat.parent.is_none(), at == 0, "one root, the oldest: {seats:#?}");
            let standby = self.tree.standby(seat.node);
            for above in seat.parent.iter().chain(&standby) {
                assert!(age(*above) < seat.fence, "younger above older");
            }
            assert!(standby.is_none() || standby != seat.parent);
            if let Some(standby) = standby {
                assert!(self.tree.seat(standby).unwrap().leaving.is_none());
                // Not below itself, by parents.
                let mut up = Some(standby);
                while let Some(at) = up {
                    assert_ne!(at, seat.node, "a standby below its node");
                    up = self.tree.seat(at).unwrap().parent;
                }
            }
        }
        // What the nodes were told, however mixed and old: no way up comes round. Whose epoch is behind is not let in: that is how one
        // that still has an earlier seat of a node above it is turned away there.
        let lets_in = |up: &NodeId, fence: Fence| self.media[up].fence <= fence;
        let above: BTreeMap<NodeId, Vec<NodeId>> = self
            .media
            .iter()
            .filter_map(|(node, media)| Some((*node, media.fence, media.route.as_ref()?)))
            .map(|(node, fence, route)| {
                let ways = route.parent.iter().chain(&route.standby).map(|end| end.node);
                (node, ways.filter(|up| lets_in(up, fence)).collect())
            })
            .collect();
        for start in above.keys() {
            let (mut seen, mut next) = (BTreeSet::new(), vec![*start]);
            while let Some(at) = next.pop() {
                for up in above.get(&at).into_iter().flatten() {
                    assert_ne!(up, start, "a loop");
                    if seen.insert(*up) {
                        next.push(*up);
                    }
                }
            }
        }
    }

    /// Everything that is sent arrives now.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.now += 1_000;
            self.tree.tick(self.now);
            self.look();
            while !self.wire.is_empty() {
                self.step(0, false, false);
            }
        }
        assert!(self.tree.is_laid(), "{:#?}", self.tree);
        let seats = self.tree.seats();
        if seats.len() < 2 {
            assert!(seats.iter().all(|seat| self.media[&seat.node].route.is_none()), "alone, and still in a cascade");
            return;
        }
        // Each child is let in where it goes, and all meet at the root.
        for seat in seats {
            let route = self.media[&seat.node].route.as_ref().expect("a route");
            assert_eq!(route.parent.as_ref().map(|end| end.node), seat.parent);
            for above in route.parent.iter().chain(&route.standby) {
                let there = self.media[&above.node].route.as_ref().unwrap();
                assert!(there.children.contains(&seat.node), "not let in");
                assert!(self.media[&seat.node].fence >= self.media[&above.node].fence, "the epoch is behind");
            }
            let (mut at, mut hops) = (seat.node, 0);
            while let Some(up) = self.media[&at].route.as_ref().unwrap().parent.as_ref() {
                (at, hops) = (up.node, hops + 1);
                assert!(hops <= seats.len(), "no way to the root");
            }
            assert_eq!(Some(at), self.tree.root());
        }
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Join(u8, usize),
    Leave(u8),
    Gone,
    Dies(u8, bool),
    Restarts(u8),
    ParentLost(u8, bool),
    ParentPoor(u8),
    Step(usize, bool, bool),
    Time(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (1..12u8, 0..PLACES.len()).prop_map(|(n, place)| Happening::Join(n, place)),
        2 => (1..12u8).prop_map(Happening::Leave),
        1 => Just(Happening::Gone),
        2 => (1..12u8, any::<bool>()).prop_map(|(n, truly)| Happening::Dies(n, truly)),
        1 => (1..12u8).prop_map(Happening::Restarts),
        1 => (1..12u8, any::<bool>()).prop_map(|(n, standby)| Happening::ParentLost(n, standby)),
        1 => (1..12u8).prop_map(Happening::ParentPoor),
        8 => (any::<usize>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2))
            .prop_map(|(at, lost, mute)| Happening::Step(at, lost, mute)),
        2 => (1..20_000u64).prop_map(Happening::Time),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_there_is_one_tree_and_orders_converge(
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let mut world = World::default();
        for happening in happenings {
            match happening {
                Happening::Join(n, place) => world.join(n, PLACES[place]),
                Happening::Leave(n) => world.tree.leave(node(n), world.now + 10_000),
                Happening::Gone => {
                    for gone in world.tree.due(world.now) {
                        // The room is closed there.
                        world.dead(gone.0[0], true);
                    }
                }
                Happening::Dies(n, truly) => world.dead(n, truly),
                Happening::Restarts(n) => {
                    // Whatever it is being told may come before or after.
                    if let Some(media) = world.media.get_mut(&node(n)).filter(|media| media.alive) {
                        media.route = None;
                        world.tree.reached(node(n));
                    }
                }
                Happening::ParentLost(n, standby) => {
                    let lost = match standby {
                        true => world.tree.standby(node(n)),
                        false => world.tree.seat(node(n)).and_then(|seat| seat.parent),
                    };
                    if let Some(lost) = lost {
                        world.tree.parent_lost(node(n), lost, world.now);
                    }
                }
                Happening::ParentPoor(n) => {
                    if let Some(parent) = world.tree.seat(node(n)).and_then(|seat| seat.parent) {
                        let moves = world.tree.parent_poor(node(n), parent, world.now);
                        let now = world.tree.seat(node(n)).and_then(|seat| seat.parent);
                        prop_assert_eq!(moves, now != Some(parent));
                    }
                }
                Happening::Step(at, lost, mute) => world.step(at, lost, mute),
                Happening::Time(ms) => {
                    world.now += ms;
                    world.tree.tick(world.now);
                }
            }
            world.look();
        }
        world.settle();
    }

    #[test]
    fn who_joins_disturbs_nobody_and_the_tree_stays_flat(places in prop::collection::vec(0..PLACES.len(), 1..17)) {
        let mut world = World::default();
        for (n, place) in (1..).zip(places) {
            let before: Vec<_> = world.tree.seats().iter().map(|seat| (seat.node, seat.parent)).collect();
            world.join(n, PLACES[place]);
            world.look();
            let after: Vec<_> = world.tree.seats().iter().map(|seat| (seat.node, seat.parent)).collect();
            prop_assert!(after.starts_with(&before));
            for seat in world.tree.seats() {
                let children = world.tree.seats().iter().filter(|other| other.parent == Some(seat.node)).count();
                prop_assert!(children <= MAX_CHILDREN, "{children} children");
                let (mut depth, mut at) = (0, seat.parent);
                while let Some(up) = at {
                    (depth, at) = (depth + 1, world.tree.seat(up).unwrap().parent);
                }
                prop_assert!(depth <= MAX_DEPTH, "{depth} deep");
            }
        }
    }

    #[test]
    fn a_tree_survives_its_text(places in prop::collection::vec(0..PLACES.len(), 0..8)) {
        let mut world = World::default();
        for (n, place) in (1..).zip(places) {
            world.join(n, PLACES[place]);
        }
        let text = serde_json::to_string(&world.tree).unwrap();
        let back: Tree = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &world.tree);
        // A new run tells all nodes anew.
        let mut again = World { tree: back, media: std::mem::take(&mut world.media), ..World::default() };
        again.settle();
    }
}

#[test]
fn a_room_on_one_node_needs_no_orders() {
    let mut world = World::default();
    world.join(1, PLACES[0]);
    assert_eq!(world.tree.orders(0), []);
    assert!(world.tree.is_laid());
}

#[test]
fn the_root_is_told_first_and_the_next_when_its_address_is_known() {
    let mut world = World::default();
    world.join(1, PLACES[0]);
    world.join(2, PLACES[2]);
    let first = world.tree.orders(0);
    let route = Route { children: vec![node(2)], ..Route::default() };
    assert_eq!(first, [Order { node: node(1), fence: Fence(1), place: Place::Among(route) }]);
    assert_eq!(world.tree.orders(0), [], "one at a time");
    world.tree.answered(node(1), Fence(1), Ok(Some(address(1))), 0);
    let second = world.tree.orders(0);
    let parent = End { node: node(1), address: address(1) };
    let route = Route { parent: Some(parent), ..Route::default() };
    assert_eq!(second, [Order { node: node(2), fence: Fence(2), place: Place::Among(route) }]);
    assert!(!world.tree.is_laid());
    world.tree.answered(node(2), Fence(2), Ok(Some(address(2))), 0);
    assert!(world.tree.is_laid());
}

#[test]
fn a_continents_second_node_joins_the_first() {
    let mut world = World::default();
    let [berlin, paris, new_york, san_francisco, ..] = PLACES;
    for (n, place) in (1..).zip([new_york, berlin, paris, san_francisco]) {
        world.join(n, place);
    }
    let parent = |n: u8| world.tree.seat(node(n)).unwrap().parent;
    assert_eq!((parent(1), parent(2), parent(3), parent(4)), (None, Some(node(1)), Some(node(2)), Some(node(1))));
    // Paris goes by Berlin, and to New York itself when Berlin is dead.
    assert_eq!(world.tree.standby(node(3)), Some(node(1)));
    assert_eq!(world.tree.standby(node(4)), Some(node(2)), "all meet at the second oldest when the root is dead");
    assert_eq!(world.tree.standby(node(2)), None);
}

#[test]
fn a_root_that_leaves_hands_over_before_it_goes() {
    let mut world = World::default();
    for n in 1..=4 {
        world.join(n, PLACES[0]);
    }
    world.settle();
    world.tree.leave(node(1), world.now + 10_000);
    let parent = |world: &World, n: u8| world.tree.seat(node(n)).unwrap().parent;
    // The heir stays connected to it; the others go to the heir.
    assert_eq!(
        (parent(&world, 2), parent(&world, 3), parent(&world, 4)),
        (Some(node(1)), Some(node(2)), Some(node(2)))
    );
    world.look();
    while !world.wire.is_empty() {
        world.step(0, false, false);
    }
    // It lets in those who had it until they have changed over.
    let let_in = |world: &World| world.media[&node(1)].route.as_ref().unwrap().children.clone();
    assert_eq!(let_in(&world), [node(2), node(3), node(4)]);
    world.settle();
    assert_eq!(let_in(&world), [node(2)]);
    assert_eq!(world.tree.due(world.now), [node(1)]);
    world.tree.remove(node(1));
    assert_eq!((world.tree.root(), parent(&world, 3)), (Some(node(2)), Some(node(2))));
    world.settle();
}

#[test]
fn who_lost_its_parent_stays_with_its_standby() {
    let mut world = World::default();
    for n in 1..=3 {
        world.join(n, PLACES[0]);
    }
    world.settle();
    assert_eq!(world.tree.standby(node(3)), Some(node(2)));
    world.tree.parent_lost(node(3), node(1), world.now);
    assert_eq!(world.tree.seat(node(3)).unwrap().parent, Some(node(2)));
    assert_eq!(world.tree.standby(node(3)), None, "the lost one does not come into question");
    // The second has no other choice than to go on trying.
    world.tree.parent_lost(node(2), node(1), world.now);
    assert_eq!(world.tree.seat(node(2)).unwrap().parent, Some(node(1)));
    // What it says of strangers is nothing.
    let before = world.tree.clone();
    world.tree.parent_lost(node(2), node(9), world.now);
    assert_eq!(world.tree, before);
    world.now += 60_000;
    world.tree.tick(world.now);
    assert_eq!(world.tree.standby(node(3)), Some(node(1)));
    world.settle();
}

#[test]
fn whose_pipe_is_bad_gets_another_parent_while_there_is_one() {
    let mut world = World::default();
    for n in 1..=3 {
        world.join(n, PLACES[0]);
    }
    world.settle();
    let parent = |world: &World, n| world.tree.seat(node(n)).unwrap().parent;
    assert_eq!(parent(&world, 3), Some(node(1)));
    assert!(!world.tree.parent_poor(node(3), node(2), world.now), "that is not its parent");
    assert!(world.tree.parent_poor(node(3), node(1), world.now));
    assert_eq!(parent(&world, 3), Some(node(2)));
    world.settle();
    assert!(!world.tree.parent_poor(node(3), node(2), world.now), "there is no third");
    assert!(!world.tree.parent_poor(node(2), node(1), world.now), "the second has no other choice");
    assert_eq!((parent(&world, 2), parent(&world, 3)), (Some(node(1)), Some(node(2))));
    // Later the first one may be tried again, if the second is bad as well.
    world.now += 600_000;
    world.tree.tick(world.now);
    assert_eq!(parent(&world, 3), Some(node(2)), "who has one that will do keeps it");
    assert!(world.tree.parent_poor(node(3), node(2), world.now));
    assert_eq!(parent(&world, 3), Some(node(1)));
    world.settle();
}

#[test]
fn a_node_that_refuses_its_place_again_and_again_is_not_fit() {
    let mut world = World::default();
    world.join(1, PLACES[0]);
    world.join(2, PLACES[0]);
    let refused = Failure::Refused("this node has no pipes".into());
    for round in 1..=5 {
        assert_eq!(world.tree.orders(world.now).len(), 1);
        let unfit = world.tree.answered(node(1), Fence(1), Err(&refused), world.now);
        assert_eq!(unfit.is_some(), round == 5);
        assert_eq!(world.tree.orders(world.now), [], "not at once again");
        world.now += 8_000;
    }
}
