use super::*;
use crate::{index::Load, simulated};
use chroom_primitives::{Balance, CapacityClass, Score};
use h3o::{LatLng, Resolution};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

const NOW: UnixMs = 1_800_000_000_000;

fn cell(lat: f64, lng: f64) -> H3Cell {
    H3Cell(u64::from(LatLng::new(lat, lng).unwrap().to_cell(Resolution::Five)))
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn node(n: u8, place: H3Cell) -> NodeView {
    simulated::media_node(n, place, NOW)
}

fn load(node: &mut NodeView) -> &mut Load {
    node.load.as_mut().unwrap()
}

fn reason(decision: &Decision, n: u8) -> String {
    let entry = decision.explanation.considered.iter().find(|c| c.node == NodeId([n; 20])).unwrap();
    match &entry.verdict {
        Verdict::PassedOver { reason } => reason.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_near_node_is_taken_over_the_far_one() {
    let berlin = cell(52.52, 13.40);
    let nodes = [node(1, cell(48.86, 2.35)), node(2, cell(-33.87, 151.21))];
    let search = Search { cell: Some(berlin), ..Default::default() };
    for seed in 0..200 {
        let decision = allocate(&search, &nodes, &Reservations::default(), NOW, &mut StdRng::seed_from_u64(seed));
        assert_eq!(decision.node, Some(NodeId([1; 20])));
    }
}

#[test]
fn equal_nodes_share_the_rooms() {
    let nodes = [node(1, cell(50.0, 8.0)), node(2, cell(50.0, 8.0))];
    let search = Search { cell: Some(cell(50.0, 8.0)), ..Default::default() };
    let mut rng = rng();
    let first = (0..1_000)
        .filter(|_| allocate(&search, &nodes, &Reservations::default(), NOW, &mut rng).node == Some(NodeId([1; 20])))
        .count();
    assert!((400..600).contains(&first), "{first}");
}

#[test]
fn each_obstacle_is_named() {
    let place = cell(50.0, 8.0);
    let mut nodes: Vec<NodeView> = (1..=10).map(|n| node(n, place)).collect();
    nodes[0].registration.role = Role::Registry;
    nodes[1].registration.status = NodeStatus::Draining;
    nodes[2].load = None;
    load(&mut nodes[3]).made_ms = NOW - FRESH_MS - 1_000;
    load(&mut nodes[4]).report.accepting = false;
    load(&mut nodes[5]).report.cpu = 9_900;
    nodes[6].record.version = b"0.0.1".to_vec().try_into().unwrap();
    nodes[8].registration.cell = cell(-33.87, 151.21);
    nodes[9].registration.price_per_gib = 2;
    let search = Search {
        cell: Some(place),
        constraints: Constraints {
            residency: Some([place.base_cell()].into()),
            min_version: Some(semver::Version::new(0, 1, 0)),
        },
        budget: Budget::Known { limit: 1, escrow: 1 },
        avoid: [(NodeId([8; 20]), "contact lost".to_owned())].into(),
    };
    let decision = allocate(&search, &nodes, &Reservations::default(), NOW, &mut rng());
    assert_eq!(decision.node, None);
    for (n, part) in [
        (1, "not a media node"),
        (2, "draining"),
        (3, "has not reported"),
        (4, "16 s old"),
        (5, "does not accept"),
        (6, "no headroom"),
        (7, "older than 0.1.0"),
        (8, "contact lost"),
        (9, "residency"),
        (10, "price above the application's limit"),
    ] {
        assert!(reason(&decision, n).contains(part), "{n}: {}", reason(&decision, n));
    }
}

#[test]
fn what_the_application_cannot_pay_is_left_out() {
    let place = cell(50.0, 8.0);
    let mut nodes: Vec<NodeView> = (1..=4).map(|n| node(n, place)).collect();
    for (node, price) in nodes.iter_mut().zip([30, 20, 10, 5]) {
        node.registration.price_per_gib = price;
    }
    // The cheapest of all is of no use anyway.
    load(&mut nodes[3]).report.accepting = false;
    let decide = |nodes: &[NodeView], limit, escrow| {
        let search = Search { cell: Some(place), budget: Budget::Known { limit, escrow }, ..Default::default() };
        allocate(&search, nodes, &Reservations::default(), NOW, &mut rng())
    };
    for _ in 0..20 {
        assert_eq!(decide(&nodes, 10, 1).node, Some(NodeId([3; 20])));
    }
    assert_eq!(decide(&nodes, 30, 1).too_dear, None);
    let none = decide(&nodes, 9, 1);
    assert_eq!(none.node, None);
    assert_eq!(none.too_dear, Some(Offer { node: NodeId([3; 20]), price: 10 }));
    assert!(reason(&none, 1).starts_with("price above the application's limit"), "{}", reason(&none, 1));
    assert!(reason(&none, 4).contains("does not accept"));
    let empty = decide(&nodes, Balance::MAX, 0);
    assert!(empty.node.is_none() && reason(&empty, 3).contains("escrow is empty"));
    // A node that asks nothing serves whoever comes, whatever is known of them.
    nodes[0].registration.price_per_gib = 0;
    assert_eq!(decide(&nodes, 0, 0).node, Some(NodeId([1; 20])));
    let unknown = Search { cell: Some(place), ..Default::default() };
    let unknown = allocate(&unknown, &nodes, &Reservations::default(), NOW, &mut rng());
    assert_eq!(unknown.node, Some(NodeId([1; 20])));
    assert!(reason(&unknown, 2).contains("not known yet"));
}

proptest! {
    #[test]
    fn nobody_is_placed_above_the_limit(
        prices in prop::collection::vec(0u128..6, 1..12), limit in 0u128..6, escrow in 0u128..2, seed: u64,
    ) {
        let place = cell(50.0, 8.0);
        let nodes: Vec<NodeView> = prices
            .iter()
            .zip(1u8..)
            .map(|(price, n)| {
                let mut node = node(n, place);
                node.registration.price_per_gib = *price;
                node
            })
            .collect();
        let ceiling = if escrow == 0 { 0 } else { limit };
        let search = Search { cell: Some(place), budget: Budget::Known { limit, escrow }, ..Default::default() };
        let decision =
            allocate(&search, &nodes, &Reservations::default(), NOW, &mut StdRng::seed_from_u64(seed));
        let price_of = |id: NodeId| nodes.iter().find(|n| n.id() == id).unwrap().registration.price_per_gib;
        prop_assert_eq!(decision.node.is_some(), prices.iter().any(|price| *price <= ceiling));
        prop_assert!(decision.node.is_none_or(|id| price_of(id) <= ceiling));
        let cheapest = prices.iter().filter(|price| **price > ceiling).min().copied();
        prop_assert_eq!(decision.too_dear.map(|offer| offer.price), cheapest);
        prop_assert!(decision.too_dear.is_none_or(|offer| price_of(offer.node) == offer.price));
    }
}

#[test]
fn rooms_on_their_way_use_up_headroom() {
    let place = cell(50.0, 8.0);
    let mut only = node(1, place);
    load(&mut only).report.egress_limit_kbps = 100_000;
    let mut reservations = Reservations::default();
    let search = Search { cell: Some(place), ..Default::default() };
    let mut placed = 0;
    while allocate(&search, std::slice::from_ref(&only), &reservations, NOW, &mut rng()).node.is_some() {
        reservations.add(only.id(), NOW);
        placed += 1;
        assert!(placed < 1_000, "headroom never ran out");
    }
    assert!((30..=40).contains(&placed), "{placed}");
}

#[test]
fn a_poor_score_loses_against_a_good_one_nearby() {
    let place = cell(50.0, 8.0);
    let mut nodes = [node(1, place), node(2, place)];
    nodes[0].score = Some(Score(2_000));
    nodes[1].score = Some(Score(9_500));
    let search = Search { cell: Some(place), ..Default::default() };
    let mut rng = rng();
    for _ in 0..200 {
        let decision = allocate(&search, &nodes, &Reservations::default(), NOW, &mut rng);
        assert_eq!(decision.node, Some(NodeId([2; 20])));
    }
}

prop_compose! {
    fn any_node(n: u8)(
        lat in -80.0f64..80.0, lng in -179.0f64..179.0, cpu in 0u16..12_000, egress in 0u32..200_000,
        limit in 0u32..200_000, loss in 0u16..12_000, accepting: bool, age in 0u64..40_000, loaded: bool,
        score in proptest::option::of(0u16..12_000), status in 0usize..4, role in 0usize..3,
    ) -> NodeView {
        let mut node = node(n, cell(lat, lng));
        node.registration.status =
            [NodeStatus::Active, NodeStatus::Draining, NodeStatus::Unbonding, NodeStatus::Jailed][status];
        node.registration.role = Role::ALL[role];
        node.registration.class = CapacityClass::Small;
        node.score = score.map(Score);
        let made = load(&mut node);
        made.made_ms = NOW - age;
        made.report.cpu = cpu;
        made.report.egress_kbps = egress;
        made.report.egress_limit_kbps = limit;
        made.report.loss = loss;
        made.report.accepting = accepting;
        if !loaded {
            node.load = None;
        }
        node
    }
}

fn any_nodes() -> impl Strategy<Value = Vec<NodeView>> {
    (0u8..8).prop_flat_map(|count| (1..=count).map(any_node).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn only_fit_nodes_are_chosen_and_all_are_explained(nodes in any_nodes(), seed: u64, lat in -80.0f64..80.0) {
        let search = Search { cell: Some(cell(lat, 10.0)), ..Default::default() };
        let decision =
            allocate(&search, &nodes, &Reservations::default(), NOW, &mut StdRng::seed_from_u64(seed));
        prop_assert_eq!(decision.explanation.considered.len(), nodes.len());
        match decision.node {
            Some(id) => {
                let node = nodes.iter().find(|n| n.id() == id).unwrap();
                let load = node.load.as_ref().unwrap();
                prop_assert_eq!(node.registration.role, Role::Media);
                prop_assert_eq!(node.registration.status, NodeStatus::Active);
                prop_assert!(load.report.accepting && NOW - load.made_ms <= FRESH_MS);
                prop_assert!(load.report.egress_kbps <= load.report.egress_limit_kbps.max(1));
            }
            // Without a choice, each node has its reason.
            None => {
                let explained =
                    |c: &Considered| matches!(&c.verdict, Verdict::PassedOver { reason } if !reason.is_empty());
                prop_assert!(decision.explanation.considered.iter().all(explained));
            }
        }
    }

    #[test]
    fn the_same_input_gives_the_same_decision(nodes in any_nodes(), seed: u64) {
        let search = Search::default();
        let once = allocate(&search, &nodes, &Reservations::default(), NOW, &mut StdRng::seed_from_u64(seed));
        let mut shuffled = nodes.clone();
        shuffled.reverse();
        let again = allocate(&search, &shuffled, &Reservations::default(), NOW, &mut StdRng::seed_from_u64(seed));
        prop_assert_eq!(once, again);
    }

    #[test]
    fn an_avoided_node_is_never_chosen(nodes in any_nodes(), seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let free = allocate(&Search::default(), &nodes, &Reservations::default(), NOW, &mut rng);
        if let Some(chosen) = free.node {
            let search = Search { avoid: [(chosen, "tried".to_owned())].into(), ..Default::default() };
            let other = allocate(&search, &nodes, &Reservations::default(), NOW, &mut rng);
            prop_assert_ne!(other.node, Some(chosen));
        }
    }
}

/// The class of a neighbourhood's nodes.
const CLASS: CapacityClass = CapacityClass::Medium;

/// Nodes in one place whose load reports are as old as they are in a real network, and callers who come and go.
struct Neighbourhood {
    nodes: Vec<NodeView>,
    /// Each call's node and end.
    calls: Vec<(usize, UnixMs)>,
    reservations: Reservations,
    now: UnixMs,
    rng: StdRng,
}

impl Neighbourhood {
    const CALL_MS: u64 = turn::TURN_MS;

    fn new(count: u8) -> Self {
        let mut nodes: Vec<NodeView> = (1..=count).map(|n| node(n, cell(50.0, 8.0))).collect();
        for (node, n) in nodes.iter_mut().zip(1..) {
            node.registration.class = CLASS;
            node.registration.endpoint = format!("10.0.{n}.1:7400").parse().unwrap();
            load(node).report.egress_limit_kbps = CLASS.egress_kbps();
        }
        Self { nodes, calls: Vec::new(), reservations: Reservations::default(), now: NOW, rng: rng() }
    }

    fn calls_on(&self, node: usize) -> usize {
        self.calls.iter().filter(|(at, _)| *at == node).count()
    }

    /// Lets callers come for a while so that `share` of what all nodes are committed to is used, and looks at the loads each minute.
    fn run(&mut self, share: f64, duration_ms: u64, mut look: impl FnMut(&Self)) {
        let capacity = self.nodes.len() as f64 * f64::from(CLASS.committed_kbps());
        let calls = capacity * share / f64::from(SESSION_KBPS);
        let search = Search { cell: Some(cell(50.0, 8.0)), ..Default::default() };
        let end = self.now + duration_ms;
        let mut due = 0.0;
        while self.now < end {
            self.now += 1_000;
            let now = self.now;
            self.calls.retain(|(_, until)| *until > now);
            if now.is_multiple_of(5_000) {
                let loads: Vec<usize> = (0..self.nodes.len()).map(|node| self.calls_on(node)).collect();
                for (node, calls) in self.nodes.iter_mut().zip(loads) {
                    let load = load(node);
                    load.made_ms = now;
                    load.report.egress_kbps = calls as u32 * SESSION_KBPS;
                    load.report.cpu = (500 + calls * 20) as u16;
                }
            }
            due += calls * 1_000.0 / Self::CALL_MS as f64;
            while due >= 1.0 {
                due -= 1.0;
                let decision = allocate(&search, &self.nodes, &self.reservations, now, &mut self.rng);
                let chosen = decision.node.unwrap();
                self.reservations.add(chosen, now);
                let at = self.nodes.iter().position(|node| node.id() == chosen).unwrap();
                let length = self.rng.random_range(Self::CALL_MS / 2..=Self::CALL_MS * 3 / 2);
                self.calls.push((at, now + length));
            }
            if now.is_multiple_of(60_000) {
                look(self);
            }
        }
    }
}

#[test]
fn few_callers_fill_one_node_after_the_other_and_none_too_much() {
    let mut network = Neighbourhood::new(20);
    let full = CLASS.committed_kbps() / SESSION_KBPS;
    let mut most = [0; 20];
    network.run(0.1, 24 * turn::TURN_MS, |network| {
        for (node, most) in most.iter_mut().enumerate() {
            *most = network.calls_on(node).max(*most);
        }
    });
    assert!(most.iter().all(|calls| *calls * 100 <= full as usize * 106), "{most:?}");
    let tested = most.iter().filter(|calls| **calls * 100 >= full as usize * 92).count();
    assert!(tested >= 15, "in eight hours at a tenth of the load: {most:?}");
}

#[test]
fn a_busy_neighbourhood_is_balanced() {
    let mut network = Neighbourhood::new(20);
    network.run(0.7, 2 * Neighbourhood::CALL_MS, |_| {});
    let mut worst: f64 = 0.0;
    network.run(0.7, Neighbourhood::CALL_MS, |network| {
        let mean = network.calls.len() as f64 / 20.0;
        let most = (0..20).map(|node| network.calls_on(node)).max().unwrap();
        worst = worst.max(most as f64 / mean);
    });
    assert!(worst <= 1.15, "{worst}");
}

#[test]
fn a_turn_is_part_of_the_explanation() {
    let place = cell(50.0, 8.0);
    let mut nodes: Vec<NodeView> = (1..=6).map(|n| node(n, place)).collect();
    let search = Search { cell: Some(place), ..Default::default() };
    let decide = |nodes: &[NodeView]| allocate(&search, nodes, &Reservations::default(), NOW, &mut rng());
    let first = decide(&nodes);
    assert!(first.explanation.summary().contains("its turn)"), "{}", first.explanation.summary());
    assert!(first.explanation.summary().contains(", later)"));
    let chosen = first.node.unwrap();
    nodes.iter_mut().find(|node| node.id() == chosen).unwrap().failed_in = Some(turn::Turn::at(NOW));
    let second = decide(&nodes);
    assert_ne!(second.node, Some(chosen));
    assert!(second.explanation.summary().contains("failed in its turn"), "{}", second.explanation.summary());
    // In the next turn it has another chance.
    nodes.iter_mut().for_each(|node| node.failed_in = node.failed_in.map(|turn| turn::Turn(turn.0 - 1)));
    assert_eq!(decide(&nodes).node, Some(chosen));
}
