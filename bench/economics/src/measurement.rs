//! What the attestors of a network make of its nodes in an epoch, and what the claims come to.

use crate::{
    market::{Conditions, Service, clamp},
    population::{AttestorStrategy, Group, MediaStrategy, Seat},
    rules::{Emission, Fee, fee_due, lower_median},
    scenario::Scenario,
};
use chroom_primitives::{Balance, Score};

/// What an attestor shows of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Report {
    score: u16,
    uptime: u16,
    bytes: u64,
    own_bytes: u64,
}

/// The state of a network in which an epoch's nodes are measured.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Rules and market.
    pub scenario: &'a Scenario,
    /// Weight of all media nodes.
    pub total_weight: u64,
    /// How each attestor behaves.
    pub attestors: &'a [AttestorStrategy],
    /// Which attestors are out of service.
    pub jailed: &'a [bool],
    /// What the epoch emits.
    pub emission: Emission,
}

/// What the claims of a group's nodes come to, and what running them cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GroupClaims {
    /// Availability subsidies.
    pub subsidy: Balance,
    /// What applications of others pay for usage.
    pub usage: Fee,
    /// What the operators pay for usage by themselves; they are node and orchestrator of it.
    pub own_usage: Fee,
    /// What running cost, outside of the chain.
    pub cost: Balance,
}

/// What the claims of some nodes come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// By group.
    pub groups: Vec<GroupClaims>,
    /// What each attestor earned.
    pub attestation: Vec<Balance>,
    /// The median score of each node.
    pub scores: Vec<Score>,
}

impl Claims {
    /// No claims, in a network with so many attestors.
    pub fn none(attestors: usize) -> Self {
        Self { groups: vec![GroupClaims::default(); Group::COUNT], attestation: vec![0; attestors], scores: Vec::new() }
    }

    /// Adds the claims of the nodes that follow.
    pub fn append(&mut self, other: Self) {
        for (group, more) in self.groups.iter_mut().zip(&other.groups) {
            group.add(more);
        }
        for (earned, more) in self.attestation.iter_mut().zip(&other.attestation) {
            *earned += more;
        }
        self.scores.extend(other.scores);
    }

    /// Adds the claim of one more node, which `committee` was drawn for and whose last known score was `last`.
    pub fn claim(&mut self, setting: &Setting, seat: Seat, conditions: &Conditions, committee: &[u32], last: Score) {
        let Setting { scenario, total_weight, emission, .. } = *setting;
        let Scenario { parameters, market, .. } = scenario;
        let service = market.serve(seat.strategy, seat.class, conditions);
        let reports = reports(setting, seat, &service, conditions, committee, last);

        let mut scores: Vec<Score> = reports.iter().map(|(_, report)| Score(report.score)).collect();
        let score = Score::committee_median(&mut scores, committee.len());
        let median = |value: fn(&Report) -> u64| {
            let mut values: Vec<u64> = reports.iter().map(|(_, report)| value(report)).collect();
            lower_median(&mut values, committee.len())
        };
        let fee = |bytes| parameters.split_fee(fee_due(bytes, market.price_per_gib));
        let weight = seat.class.weight();
        let uptime = median(|report| report.uptime.into());
        let own_bytes = if service.own_bytes > 0 { median(|report| report.own_bytes) } else { 0 };
        let claim = GroupClaims {
            subsidy: parameters.subsidy(emission.media, weight, total_weight, score, uptime),
            usage: fee(median(|report| report.bytes)),
            own_usage: fee(own_bytes),
            cost: service.cost,
        };
        if let Some(group) = self.groups.get_mut(Group::Media(seat.strategy).index()) {
            group.add(&claim);
        }

        let reward = parameters.attestor_reward(emission.attestors, weight, total_weight, committee.len());
        for (attestor, report) in &reports {
            if parameters.agrees(Score(report.score), score)
                && let Some(earned) = self.attestation.get_mut(*attestor)
            {
                *earned += reward;
            }
        }
        self.scores.push(score);
    }
}

impl GroupClaims {
    fn add(&mut self, other: &Self) {
        self.subsidy += other.subsidy;
        self.usage.add(&other.usage);
        self.own_usage.add(&other.own_usage);
        self.cost += other.cost;
    }
}

/// What the members of a committee show of a node, by attestor. Who is absent isn't in it.
fn reports(
    setting: &Setting,
    seat: Seat,
    service: &Service,
    conditions: &Conditions,
    committee: &[u32],
    last: Score,
) -> Vec<(usize, Report)> {
    let report = |(member, view): (&u32, &i64)| {
        let member = *member as usize;
        if setting.jailed.get(member).copied().unwrap_or(true) {
            return None;
        }
        let strategy = *setting.attestors.get(member)?;
        Some((member, observe(strategy, seat.strategy, service, *view, last)?))
    };
    committee.iter().zip(&conditions.views).filter_map(report).collect()
}

/// What one attestor shows of a node, if anything.
fn observe(
    strategy: AttestorStrategy,
    node: MediaStrategy,
    service: &Service,
    view: i64,
    last: Score,
) -> Option<Report> {
    let Service { bytes, own_bytes, uptime, .. } = *service;
    match strategy {
        AttestorStrategy::Honest | AttestorStrategy::Equivocator => {
            Some(Report { score: clamp(i64::from(service.score) + view), uptime, bytes, own_bytes })
        }
        AttestorStrategy::Liar if node == MediaStrategy::Friend => {
            Some(Report { score: Score::MAX.0, uptime: 10_000, bytes, own_bytes })
        }
        AttestorStrategy::Liar => Some(Report { score: 0, uptime: 0, bytes: 0, own_bytes: 0 }),
        // It has no receipts, so it shows no usage.
        AttestorStrategy::FreeRider => Some(Report { score: last.0, uptime: 10_000, bytes: 0, own_bytes: 0 }),
        // A withheld root proves nothing; and a leaf names the attestor that it was made by, so neither does a copied one.
        AttestorStrategy::Withholder | AttestorStrategy::Copier => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rules::GIB,
        turns::{Asked, TURNS},
    };
    use chroom_primitives::CapacityClass;

    const SEAT: Seat = Seat { strategy: MediaStrategy::Honest, class: CapacityClass::Small };
    const HONEST: [AttestorStrategy; 7] = [AttestorStrategy::Honest; 7];

    fn claims(seat: Seat, attestors: &[AttestorStrategy]) -> Claims {
        let scenario = Scenario::honest("test");
        let jailed = vec![false; attestors.len()];
        let emission = Emission { media: 1_000, attestors: 700, validators: 0, treasury: 0 };
        let setting = Setting { scenario: &scenario, total_weight: 10, attestors, jailed: &jailed, emission };
        let committee: Vec<u32> = (0..attestors.len() as u32).collect();
        let views = vec![0; attestors.len()];
        let turns = [Asked { load: 2_500, sibling: 0 }; TURNS];
        let conditions = Conditions { score: 9_000, uptime: 9_950, fails: false, turns, views };
        let mut claims = Claims::none(attestors.len());
        claims.claim(&setting, seat, &conditions, &committee, Score(9_100));
        claims
    }

    fn of(claims: &Claims, strategy: MediaStrategy) -> GroupClaims {
        claims.groups[Group::Media(strategy).index()]
    }

    /// A committee with `count` members of a strategy, the others honest.
    fn with(strategy: AttestorStrategy, count: usize) -> [AttestorStrategy; 7] {
        let mut attestors = HONEST;
        attestors[..count].fill(strategy);
        attestors
    }

    #[test]
    fn an_honest_committee_pays_the_node_and_itself() {
        let claims = claims(SEAT, &HONEST);
        let node = of(&claims, MediaStrategy::Honest);
        assert_eq!((claims.scores.as_slice(), node.subsidy), ([Score(9_000)].as_slice(), 100));
        assert_eq!(claims.attestation, [10; 7]);
        let market = Scenario::honest("").market;
        let due = fee_due(market.capacity_gib * GIB / 4, market.price_per_gib);
        assert!(node.usage.total().abs_diff(due) <= due / 1_000 && node.usage.burnt > 0, "{node:?} {due}");
        assert_eq!(node.own_usage, Fee::default());
    }

    #[test]
    fn a_lying_minority_moves_nothing_and_earns_nothing() {
        let few = claims(SEAT, &with(AttestorStrategy::Liar, 3));
        assert_eq!(few.groups, claims(SEAT, &HONEST).groups);
        assert_eq!(few.attestation, [0, 0, 0, 10, 10, 10, 10]);
        let many = claims(SEAT, &with(AttestorStrategy::Liar, 4));
        let node = of(&many, MediaStrategy::Honest);
        assert_eq!((node.subsidy, node.usage.total()), (0, 0));
        assert_eq!(many.attestation, [10, 10, 10, 10, 0, 0, 0]);
    }

    #[test]
    fn friends_are_paid_only_where_liars_are_the_majority() {
        let friend = Seat { strategy: MediaStrategy::Friend, ..SEAT };
        let subsidy = |liars| of(&claims(friend, &with(AttestorStrategy::Liar, liars)), MediaStrategy::Friend).subsidy;
        assert_eq!((subsidy(3), subsidy(4)), (0, 100));
    }

    #[test]
    fn who_is_absent_earns_nothing_and_counts_as_zero() {
        for strategy in [AttestorStrategy::Withholder, AttestorStrategy::Copier] {
            let few = claims(SEAT, &with(strategy, 3));
            assert_eq!(of(&few, MediaStrategy::Honest).subsidy, 100);
            assert_eq!(few.attestation, [0, 0, 0, 10, 10, 10, 10]);
            assert_eq!(of(&claims(SEAT, &with(strategy, 4)), MediaStrategy::Honest).subsidy, 0);
        }
    }

    #[test]
    fn a_free_rider_near_the_median_is_paid() {
        assert_eq!(claims(SEAT, &with(AttestorStrategy::FreeRider, 1)).attestation, [10; 7]);
    }

    #[test]
    fn who_deals_with_itself_loses_what_is_burnt_and_what_the_reserve_gets() {
        let seat = Seat { strategy: MediaStrategy::SelfDealer, ..SEAT };
        let dealer = of(&claims(seat, &HONEST), MediaStrategy::SelfDealer);
        let honest = of(&claims(SEAT, &HONEST), MediaStrategy::Honest);
        assert_eq!(GroupClaims { own_usage: Fee::default(), ..dealer }, honest);
        let Fee { burnt, reserve, orchestrator, operator } = dealer.own_usage;
        assert!(burnt > 0 && reserve > 0 && orchestrator + operator < dealer.own_usage.total());
    }

    #[test]
    fn claims_add_up() {
        let one = claims(SEAT, &HONEST);
        let mut both = Claims::none(7);
        both.append(one.clone());
        both.append(one.clone());
        assert_eq!(both.scores.len(), 2);
        assert_eq!(both.attestation, [20; 7]);
        let (one, both) = (of(&one, MediaStrategy::Honest), of(&both, MediaStrategy::Honest));
        assert_eq!((both.subsidy, both.cost), (2 * one.subsidy, 2 * one.cost));
        assert_eq!(both.usage.total(), 2 * one.usage.total());
    }
}
