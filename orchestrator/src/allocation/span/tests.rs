use super::*;
use crate::{
    allocation::{Budget, Constraints},
    simulated::media_node,
};
use chroom_primitives::{NodeStatus, Score};
use h3o::{LatLng, Resolution};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

const NOW: UnixMs = 1_800_000_000_000;
const BERLIN: (f64, f64) = (52.5, 13.4);
const PARIS: (f64, f64) = (48.9, 2.4);
const NEW_YORK: (f64, f64) = (40.7, -74.0);
const TOKYO: (f64, f64) = (35.7, 139.7);

fn cell((lat, lng): (f64, f64)) -> H3Cell {
    H3Cell(u64::from(LatLng::new(lat, lng).unwrap().to_cell(Resolution::Five)))
}

fn node(n: u8) -> NodeId {
    NodeId([n; 20])
}

fn nodes(places: &[(f64, f64)]) -> Vec<NodeView> {
    (1..).zip(places).map(|(n, place)| media_node(n, cell(*place), NOW)).collect()
}

fn from(place: (f64, f64)) -> Search {
    Search { cell: Some(cell(place)), ..Search::default() }
}

fn decide(search: &Search, own: &[u8], nodes: &[NodeView]) -> Seated {
    let own: Vec<NodeId> = own.iter().map(|n| node(*n)).collect();
    seat(search, &own, MAX_NODES, nodes, &Reservations::default(), NOW, &mut StdRng::seed_from_u64(1))
}

fn reason(seated: &Seated, n: u8) -> String {
    match &seated.explanation.considered.iter().find(|one| one.node == node(n)).unwrap().verdict {
        Verdict::PassedOver { reason } => reason.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_call_on_one_continent_stays_on_one_node() {
    let nodes = nodes(&[BERLIN, PARIS, PARIS]);
    let seated = decide(&from(PARIS), &[1], &nodes);
    assert_eq!((seated.node, seated.is_further), (Some(node(1)), false));
    assert!(reason(&seated, 2).contains("not 60 ms further"), "{}", reason(&seated, 2));
    assert!(reason(&seated, 1).contains("Chosen"));
}

#[test]
fn a_call_over_oceans_has_a_node_on_each_side() {
    let nodes = nodes(&[BERLIN, PARIS, NEW_YORK, TOKYO]);
    let seated = decide(&from(NEW_YORK), &[1], &nodes);
    assert_eq!((seated.node, seated.is_further), (Some(node(3)), true));
    // The next one finds it there, and the nearest of several is taken.
    let seated = decide(&from(NEW_YORK), &[1, 3], &nodes);
    assert_eq!((seated.node, seated.is_further), (Some(node(3)), false));
    assert_eq!(decide(&from(PARIS), &[3, 1], &nodes).node, Some(node(1)));
    assert_eq!(decide(&from(TOKYO), &[1, 3], &nodes).node, Some(node(4)));
}

#[test]
fn who_comes_second_stays_with_the_first_though_a_worse_node_is_nearer() {
    let mut nodes = nodes(&[BERLIN, NEW_YORK]);
    let load = nodes[1].load.as_mut().unwrap();
    load.report.loss = 1_000;
    nodes[1].score = Some(Score(4_600));
    nodes[0].score = Some(Score(9_900));
    let here = from((45.0, -60.0));
    let alone = decide(&here, &[1], &nodes);
    assert_eq!((alone.node, alone.is_further), (Some(node(1)), false), "{}", alone.explanation.summary());
    assert!(reason(&alone, 2).contains("worse all in all"), "{}", reason(&alone, 2));
    nodes[1].load.as_mut().unwrap().report.loss = 0;
    nodes[1].score = Some(Score(9_900));
    assert_eq!(decide(&here, &[1], &nodes).node, Some(node(2)), "it is well again");
}

#[test]
fn a_room_whose_nodes_are_full_spills_over() {
    let mut nodes = nodes(&[BERLIN, PARIS, TOKYO]);
    type Fill = fn(&mut NodeView);
    let full: [(&str, Fill); 4] = [
        ("no headroom", |node| node.load.as_mut().unwrap().report.egress_kbps = 960_000),
        ("no headroom", |node| node.load.as_mut().unwrap().report.cpu = 9_900),
        ("does not accept", |node| node.load.as_mut().unwrap().report.accepting = false),
        ("draining", |node| node.registration.status = NodeStatus::Draining),
    ];
    for (why, make) in full {
        let fresh = nodes[0].clone();
        make(&mut nodes[0]);
        let seated = decide(&from(BERLIN), &[1], &nodes);
        assert_eq!((seated.node, seated.is_further), (Some(node(2)), true));
        assert!(reason(&seated, 1).contains(why), "{}", reason(&seated, 1));
        nodes[0] = fresh;
    }
    let mut search = from(BERLIN);
    search.avoid.insert(node(1), "contact lost".into());
    assert_eq!(decide(&search, &[1], &nodes).node, Some(node(2)));
}

#[test]
fn sessions_on_their_way_count() {
    let nodes = nodes(&[BERLIN, BERLIN]);
    let mut reservations = Reservations::default();
    (0..400).for_each(|_| reservations.add(node(1), NOW));
    let own = [node(1)];
    let seated = seat(&from(BERLIN), &own, MAX_NODES, &nodes, &reservations, NOW, &mut StdRng::seed_from_u64(1));
    assert_eq!(seated.node, Some(node(2)));
}

#[test]
fn no_news_is_no_refusal() {
    let mut nodes = nodes(&[BERLIN, BERLIN]);
    nodes[0].load.as_mut().unwrap().made_ms = NOW - 60_000;
    assert_eq!(decide(&from(BERLIN), &[1], &nodes).node, Some(node(1)));
    nodes[0].load = None;
    assert_eq!(decide(&from(BERLIN), &[1], &nodes).node, Some(node(1)));
    // Nor is it if the registries have no entry at the moment.
    assert_eq!(decide(&from(BERLIN), &[1], &nodes[1..]).node, Some(node(1)));
    // Where callers are is not always known.
    let seated = decide(&Search::default(), &[1], &nodes);
    assert_eq!((seated.node, seated.is_further), (Some(node(1)), false));
}

#[test]
fn a_room_has_its_bound_and_the_last_word_is_its_nodes() {
    let mut nodes = nodes(&[BERLIN, NEW_YORK, TOKYO]);
    let own = [node(1), node(2)];
    let mut rng = StdRng::seed_from_u64(1);
    let none = Reservations::default();
    let seated = seat(&from(TOKYO), &own, 2, &nodes, &none, NOW, &mut rng);
    assert!(!seated.is_further && own.contains(&seated.node.unwrap()));
    assert!(reason(&seated, 3).contains("2 nodes already"));
    // All are full: the nearest decides itself. One that drains is not asked.
    for view in &mut nodes {
        view.load.as_mut().unwrap().report.accepting = false;
    }
    let seated = seat(&from(NEW_YORK), &own, 2, &nodes, &none, NOW, &mut rng);
    assert_eq!(seated.node, Some(node(2)));
    nodes[1].registration.status = NodeStatus::Draining;
    assert_eq!(seat(&from(NEW_YORK), &own, 2, &nodes, &none, NOW, &mut rng).node, Some(node(1)));
    nodes[0].registration.status = NodeStatus::Draining;
    let seated = seat(&from(NEW_YORK), &own, 2, &nodes, &none, NOW, &mut rng);
    assert_eq!((seated.node, seated.explanation.considered.len()), (None, 3));
}

#[test]
fn further_nodes_have_to_be_within_budget_and_residency() {
    let mut nodes = nodes(&[BERLIN, NEW_YORK]);
    for view in &mut nodes {
        view.registration.price_per_gib = 7;
    }
    let mut search = Search { budget: Budget::Known { limit: 6, escrow: 1 }, ..from(NEW_YORK) };
    let seated = decide(&search, &[1], &nodes);
    assert_eq!((seated.node, seated.too_dear), (Some(node(1)), Some(Offer { node: node(2), price: 7 })));
    search.budget = Budget::Known { limit: 7, escrow: 1 };
    assert_eq!(decide(&search, &[1], &nodes).node, Some(node(2)));
    let here = nodes[0].registration.cell.base_cell();
    search.constraints = Constraints { residency: Some([here].into()), ..Constraints::default() };
    assert_eq!(decide(&search, &[1], &nodes).node, Some(node(1)));
}

proptest! {
    #[test]
    fn a_further_node_is_taken_only_for_a_reason(
        places in prop::collection::vec((-60.0..60.0f64, -180.0..180.0f64, any::<bool>(), 0..1_100_000u32), 1..8),
        own in prop::collection::btree_set(1..8u8, 1..5),
        caller in (-60.0..60.0f64, -180.0..180.0f64),
        max_nodes in 1..6usize,
        seed: u64,
    ) {
        let mut views = nodes(&places.iter().map(|(lat, lng, ..)| (*lat, *lng)).collect::<Vec<_>>());
        for (view, (_, _, accepting, egress)) in views.iter_mut().zip(&places) {
            let report = &mut view.load.as_mut().unwrap().report;
            (report.accepting, report.egress_kbps) = (*accepting, *egress);
        }
        let own: Vec<NodeId> = own.into_iter().map(node).filter(|id| views.iter().any(|view| view.id() == *id)).collect();
        let none = Reservations::default();
        let mut rng = StdRng::seed_from_u64(seed);
        let search = from(caller);
        let seated = seat(&search, &own, max_nodes, &views, &none, NOW, &mut rng);
        let rtt = |id: NodeId| {
            let view = views.iter().find(|view| view.id() == id).unwrap();
            distance::between(search.cell.unwrap(), view.registration.cell).unwrap().rtt_ms()
        };
        let open = |id: &NodeId| {
            let report = &views.iter().find(|view| view.id() == *id).unwrap().load.as_ref().unwrap().report;
            report.accepting && report.egress_kbps <= 950_000
        };
        prop_assert_eq!(seated.explanation.considered.len(), views.len(), "each is explained");
        let near = own.iter().filter(|id| open(id)).map(|id| rtt(*id)).min_by(f64::total_cmp);
        match seated.node {
            Some(id) if seated.is_further => {
                prop_assert!(!own.contains(&id) && own.len() < max_nodes && open(&id));
                prop_assert!(near.is_none_or(|near| rtt(id) + NEARER_MS <= near));
            }
            Some(id) => {
                prop_assert!(own.contains(&id));
                prop_assert!(near.is_none_or(|near| rtt(id) <= near));
                // Nobody clearly nearer was passed over.
                for view in views.iter().filter(|view| !own.contains(&view.id()) && open(&view.id())) {
                    let is_nearer = near.is_none_or(|near| rtt(view.id()) + NEARER_MS <= near);
                    prop_assert!(own.len() >= max_nodes || !is_nearer);
                }
            }
            None => prop_assert!(own.is_empty() && !views.iter().any(|view| open(&view.id()))),
        }
    }
}
