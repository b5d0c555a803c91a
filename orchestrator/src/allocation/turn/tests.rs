use super::*;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

const COMMITTED: f64 = 50_000.0;

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn endpoints(count: u8) -> Vec<Endpoint> {
    (1..=count).map(|n| endpoint(&format!("10.0.{n}.1:7400"))).collect()
}

fn candidates(endpoints: &[Endpoint]) -> Vec<Candidate<'_>> {
    let one = |(n, endpoint)| Candidate {
        node: NodeId([n; 20]),
        endpoint,
        rtt_ms: 5.0,
        score: Some(Score(9_200)),
        loss: 0,
        failed: false,
        carried_kbps: 0.0,
        committed_kbps: COMMITTED,
    };
    (1..).zip(endpoints).map(one).collect()
}

fn choice(turn: u64, candidates: &[Candidate<'_>]) -> Option<Choice> {
    choose(Turn(turn), candidates, &mut StdRng::seed_from_u64(1))
}

fn get<'a, 'b>(candidates: &'a mut [Candidate<'b>], node: NodeId) -> &'a mut Candidate<'b> {
    candidates.iter_mut().find(|one| one.node == node).unwrap()
}

#[test]
fn nodes_are_filled_one_after_the_other() {
    let endpoints = endpoints(10);
    let mut all = candidates(&endpoints);
    let mut order = Vec::new();
    // To 30 %: three nodes full, a fourth begun.
    for _ in 0..60 {
        let node = choice(7, &all).unwrap().node;
        get(&mut all, node).carried_kbps += 2_500.0;
        if !order.contains(&node) {
            order.push(node);
        }
    }
    let carried: Vec<f64> = order.iter().map(|node| get(&mut all, *node).carried_kbps / COMMITTED).collect();
    assert_eq!(carried.iter().map(|part| (part * 100.0) as u32).collect::<Vec<_>>(), [95, 95, 95, 15]);
    let mut ranked = all.clone();
    ranked.sort_by_key(|one| Turn(7).rank(&one.node, one.endpoint));
    assert_eq!(ranked.iter().take(4).map(|one| one.node).collect::<Vec<_>>(), order);
    let places = choice(7, &all).unwrap().places;
    assert_eq!(places[&order[0]], Place::Filled);
    assert_eq!(places[&order[3]], Place::InTurn);
    assert_eq!(places.values().filter(|place| **place == Place::Later).count(), 6);
}

#[test]
fn everybody_has_turns_and_no_order_repeats_the_one_before() {
    let endpoints = endpoints(10);
    let all = candidates(&endpoints);
    let mut first: BTreeMap<NodeId, u32> = BTreeMap::new();
    for turn in 0..1_000 {
        *first.entry(choice(turn, &all).unwrap().node).or_default() += 1;
    }
    assert!(first.len() == 10 && first.values().all(|times| (60..=140).contains(times)), "{first:?}");
}

#[test]
fn large_and_small_nodes_get_as_much_for_what_they_are_committed_to() {
    let endpoints = endpoints(20);
    let mut all = candidates(&endpoints);
    for (one, weight) in all.iter_mut().zip([[1.0; 14].as_slice(), &[4.0; 5], &[16.0]].concat()) {
        one.committed_kbps = COMMITTED * weight;
    }
    let mut carried = [0.0; 20];
    let turns = 1_000;
    for turn in 0..turns {
        for one in &mut all {
            one.carried_kbps = 0.0;
        }
        // A quarter of 50 units of weight.
        for _ in 0..50 {
            let node = choice(turn, &all).unwrap().node;
            get(&mut all, node).carried_kbps += 12_500.0;
        }
        for (sum, one) in carried.iter_mut().zip(&all) {
            *sum += one.carried_kbps / COMMITTED;
        }
    }
    let of = |nodes: std::ops::Range<usize>, weight: f64| {
        carried[nodes.clone()].iter().sum::<f64>() / nodes.len() as f64 / weight / turns as f64
    };
    for part in [of(0..14, 1.0), of(14..19, 4.0), of(19..20, 16.0)] {
        assert!((0.2..0.3).contains(&part), "{part} {carried:?}");
    }
}

#[test]
fn a_busy_neighbourhood_and_a_few_nodes_have_no_turns() {
    let endpoints = endpoints(8);
    let mut all = candidates(&endpoints);
    for one in &mut all {
        one.carried_kbps = 0.5 * COMMITTED;
    }
    assert_eq!(choice(1, &all), None);
    all[0].carried_kbps = 0.4 * COMMITTED;
    assert!(choice(1, &all).is_some());
    assert_eq!(choice(1, &all[..3]), None);
    assert_eq!(choice(1, &[]), None);
}

#[test]
fn who_fails_its_callers_loses_its_place_until_the_next_turn() {
    let endpoints = endpoints(6);
    let mut all = candidates(&endpoints);
    let first = choice(3, &all).unwrap().node;
    get(&mut all, first).failed = true;
    let next = choice(3, &all).unwrap();
    assert_eq!(next.places[&first], Place::Failing);
    assert_ne!(next.node, first);
    get(&mut all, next.node).loss = FAILING_LOSS;
    assert!(![first, next.node].contains(&choice(3, &all).unwrap().node));
    for one in &mut all {
        one.failed = true;
    }
    assert_eq!(choice(3, &all), None);
}

#[test]
fn one_machine_behind_one_address_has_one_turn() {
    let mut places = endpoints(20);
    places[3] = endpoint("10.0.9.200:7401");
    places[8] = endpoint("10.0.9.7:7400");
    let all = candidates(&places);
    for turn in 0..100 {
        let mut ranked: Vec<&Candidate<'_>> = all.iter().collect();
        ranked.sort_by_key(|one| Turn(turn).rank(&one.node, one.endpoint));
        let at = |n: u8| ranked.iter().position(|one| one.node == NodeId([n; 20])).unwrap();
        assert_eq!(at(4).abs_diff(at(9)), 1);
    }
}

#[test]
fn networks_are_told_from_addresses_and_names() {
    for (text, expected) in [
        ("203.0.113.7:7400", "203.0.113.0/24"),
        ("[2001:db8:1:2::3]:7400", "2001:db8:1::/48"),
        ("a.Media.Example:1", "media.example"),
        ("b.media.example:2", "media.example"),
        ("localhost:7400", ".localhost"),
    ] {
        assert_eq!(network(&endpoint(text)), expected);
    }
}

#[test]
fn the_order_is_the_same_everywhere() {
    // As Python's hashlib has it: another implementation must come to the same order.
    let rank = Turn(1_500_000).rank(&NodeId([7; 20]), &endpoint("203.0.113.7:7400"));
    assert_eq!((rank.network, rank.node), (8123661247148128819, 17499522234833406271));
    assert_eq!(Turn::at(1_800_000_000_000), Turn(1_500_000));
}

proptest! {
    #[test]
    fn turns_choose_only_among_the_near_and_the_good(
        nodes in prop::collection::vec((0.0f64..60.0, prop::option::of(0u16..=10_000), 0u16..600, 0.0f64..1.2, any::<bool>()), 0..40),
        turn: u64, seed: u64,
    ) {
        let endpoints = endpoints(40);
        let mut all = candidates(&endpoints);
        all.truncate(nodes.len());
        for (one, (rtt_ms, score, loss, carried, failed)) in all.iter_mut().zip(&nodes) {
            (one.rtt_ms, one.score, one.loss, one.failed) = (*rtt_ms, score.map(Score), *loss, *failed);
            one.carried_kbps = carried * COMMITTED;
        }
        let choice = choose(Turn(turn), &all, &mut StdRng::seed_from_u64(seed));
        if let Some(choice) = choice {
            let chosen = *all.iter().find(|one| one.node == choice.node).unwrap();
            let nearest = all.iter().map(|one| one.rtt_ms).min_by(f64::total_cmp).unwrap();
            prop_assert!(chosen.rtt_ms <= nearest + NEARLY_AS_NEAR_MS);
            let near = all.iter().filter(|one| one.rtt_ms <= nearest + NEARLY_AS_NEAR_MS);
            let best = near.filter_map(|one| one.score).max().unwrap_or_default();
            prop_assert!(chosen.score.is_none_or(|score| score.0 + NEARLY_AS_GOOD >= best.0));
            prop_assert!(!chosen.failed && chosen.loss < FAILING_LOSS);
            prop_assert!(chosen.carried_kbps < FILLED * COMMITTED);
            prop_assert_eq!(choice.places[&choice.node], Place::InTurn);
        }
    }
}
