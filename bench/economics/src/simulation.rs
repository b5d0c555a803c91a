//! Runs networks side by side, epoch by epoch.
//!
//! All scenarios of a run share their node ids, the committees that are drawn and what befalls each node, so that their outcomes
//! differ by strategies and rules alone, and the draw, which costs most, is done once.

use crate::{
    ledger::{Account, Ledger, Shortage},
    market::clamp,
    measurement::{Claims, GroupClaims, Setting},
    outcome::{GroupOutcome, Outcome},
    population::{AttestorStrategy, Group, Population},
    random::Random,
    rules::Emission,
    scenario::Scenario,
    tally::Tally,
    turns::{Asked, NEIGHBOURHOOD, TURNS, spread},
};
use chroom_primitives::{Balance, CHR, Hash, NodeId, Score, committee};
use std::{collections::VecDeque, ops::Range, panic, thread};

/// Purposes of random streams.
const NODE_ID: u64 = 10;
const DRAW: u64 = 11;
const EQUIVOCATION: u64 = 12;

/// Chance that an equivocator signs a second root in an epoch, in parts per 10,000.
const EQUIVOCATIONS: u64 = 10;
/// What all applications, and each group of operators besides its bonds, have in their wallets.
const WALLET: Balance = 100_000_000 * CHR;
/// Points in a course.
const COURSE: u32 = 50;

/// How large a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Epochs.
    pub epochs: u32,
    /// Media nodes.
    pub nodes: usize,
    /// Registry nodes.
    pub attestors: usize,
    /// What all randomness comes from.
    pub seed: u64,
    /// Threads to work with; the outcome doesn't depend on it.
    pub threads: usize,
}

/// Why a run ended without an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// Scenarios that share a draw must have committees of one size.
    #[error("the scenarios of a run have committees of different sizes")]
    CommitteeSizes,
    /// Somebody should have paid more than it had.
    #[error(transparent)]
    Shortage(#[from] Shortage),
    /// Tokens appeared or disappeared: the simulation itself is wrong.
    #[error("after epoch {0} the tokens don't add up")]
    NotConserved(u32),
}

/// Runs the scenarios.
pub fn run(size: &Size, scenarios: &[Scenario]) -> Result<Vec<Outcome>, Failure> {
    let committee_size = scenarios.first().map_or(0, |scenario| scenario.parameters.committee_size);
    if scenarios.iter().any(|scenario| scenario.parameters.committee_size != committee_size) {
        return Err(Failure::CommitteeSizes);
    }
    let world = World::new(size, committee_size);
    let mut networks: Vec<Network> = scenarios.iter().map(|scenario| Network::new(size, scenario)).collect();
    for epoch in 0..size.epochs {
        for network in &mut networks {
            network.open()?;
        }
        let claims = world.measure(epoch, &networks);
        for (network, claims) in networks.iter_mut().zip(claims) {
            network.close(epoch, claims)?;
            if !network.ledger.is_conserved() {
                return Err(Failure::NotConserved(epoch));
            }
        }
    }
    Ok(networks.into_iter().map(|network| network.outcome(size.epochs)).collect())
}

/// What all networks of a run share.
struct World {
    size: Size,
    committee_size: u32,
    nodes: Vec<NodeId>,
}

impl World {
    fn new(size: &Size, committee_size: u32) -> Self {
        let id = |node| NodeId(Random::keyed(size.seed, [NODE_ID, node, 0]).bytes());
        Self { size: *size, committee_size, nodes: (0..size.nodes as u64).map(id).collect() }
    }

    /// What the claims of an epoch come to in each network.
    fn measure(&self, epoch: u32, networks: &[Network]) -> Vec<Claims> {
        let threads = self.size.threads.clamp(1, self.nodes.len().max(1));
        let calls = self.spread(epoch, networks, threads);
        let calls = &calls;
        let part = self.nodes.len().div_ceil(threads).max(1);
        let ranges = (0..threads).map(|index| index * part..((index + 1) * part).min(self.nodes.len()));
        let parts: Vec<Vec<Claims>> = thread::scope(|scope| {
            let workers: Vec<_> =
                ranges.map(|range| scope.spawn(move || self.measure_range(epoch, networks, calls, range))).collect();
            workers.into_iter().map(join).collect()
        });
        let mut all: Vec<Claims> = networks.iter().map(|_| Claims::none(self.size.attestors)).collect();
        for part in parts {
            for (claims, more) in all.iter_mut().zip(part) {
                claims.append(more);
            }
        }
        all
    }

    /// What falls to each node of each network.
    fn spread(&self, epoch: u32, networks: &[Network], threads: usize) -> Vec<Vec<[Asked; TURNS]>> {
        let part = networks.len().div_ceil(threads).max(1);
        let each = |networks: &[Network]| networks.iter().map(|network| network.spread(epoch)).collect::<Vec<_>>();
        thread::scope(|scope| {
            let workers: Vec<_> = networks.chunks(part).map(|some| scope.spawn(move || each(some))).collect();
            workers.into_iter().flat_map(join).collect()
        })
    }

    fn measure_range(
        &self,
        epoch: u32,
        networks: &[Network],
        calls: &[Vec<[Asked; TURNS]>],
        range: Range<usize>,
    ) -> Vec<Claims> {
        let Size { seed, attestors, .. } = self.size;
        let draw = Hash::from(Random::keyed(seed, [DRAW, epoch.into(), 0]).bytes::<32>());
        let mut all: Vec<Claims> = networks.iter().map(|_| Claims::none(attestors)).collect();
        let settings: Vec<Setting> = networks.iter().map(Network::setting).collect();
        for (node, id) in self.nodes.iter().enumerate().skip(range.start).take(range.len()) {
            let committee = committee::draw(&draw, id, attestors as u32, self.committee_size);
            for (((network, setting), claims), calls) in networks.iter().zip(&settings).zip(&mut all).zip(calls) {
                let (Some(seat), Some(last), Some(turns)) =
                    (network.population.media.get(node), network.last.get(node), calls.get(node))
                else {
                    continue;
                };
                let market = &network.scenario.market;
                let conditions = market.conditions(seed, epoch, node as u64, *turns, committee.len());
                claims.claim(setting, *seat, &conditions, &committee, *last);
            }
        }
        all
    }
}

fn join<T>(worker: thread::ScopedJoinHandle<T>) -> T {
    worker.join().unwrap_or_else(|why| panic::resume_unwind(why))
}

/// One simulated network.
struct Network {
    scenario: Scenario,
    population: Population,
    seed: u64,
    ledger: Ledger,
    tallies: Vec<Tally>,
    /// The last known median score of each node.
    last: Vec<Score>,
    emission: Emission,
    /// What remains of each epoch's pools while they are open.
    pools: VecDeque<Balance>,
    /// Epochs that each attestor still sits out.
    sentences: Vec<u32>,
    jailed: Vec<bool>,
    course: Vec<(u32, Vec<i128>)>,
    /// Epochs between two points of the course.
    stride: u32,
}

impl Network {
    fn new(size: &Size, scenario: &Scenario) -> Self {
        let Size { epochs, nodes, attestors, seed, .. } = *size;
        let population = Population::new(seed, nodes, attestors, &scenario.media, &scenario.attestors);
        let mut ledger = Ledger::default();
        ledger.endow(Account::Reserve, scenario.parameters.reserve);
        ledger.endow(Account::Applications, WALLET);
        let mut network = Self {
            population,
            seed,
            ledger,
            tallies: vec![Tally::default(); Group::COUNT],
            last: vec![Score(clamp(scenario.market.mean_score)); nodes],
            emission: Emission::default(),
            pools: VecDeque::new(),
            sentences: vec![0; attestors],
            jailed: vec![false; attestors],
            course: Vec::new(),
            stride: epochs.div_ceil(COURSE).max(1),
            scenario: scenario.clone(),
        };
        let bonds: Vec<(Group, Balance)> = network.groups().map(|group| (group, network.bond(group))).collect();
        for (group, bond) in bonds {
            network.ledger.endow(Account::Operators(group), bond + WALLET);
        }
        network
    }

    /// Bonds of a group's seats.
    fn bond(&self, group: Group) -> Balance {
        let parameters = &self.scenario.parameters;
        match group {
            Group::Media(strategy) => {
                let seats = self.population.media.iter().filter(|seat| seat.strategy == strategy);
                seats.map(|seat| parameters.media_bond * Balance::from(seat.class.weight())).sum()
            }
            Group::Attestors(_) => parameters.registry_bond * self.population.seats(group) as Balance,
        }
    }

    fn setting(&self) -> Setting<'_> {
        Setting {
            scenario: &self.scenario,
            total_weight: self.population.total_weight,
            attestors: &self.population.attestors,
            jailed: &self.jailed,
            emission: self.emission,
        }
    }

    /// What falls to each node in an epoch.
    fn spread(&self, epoch: u32) -> Vec<[Asked; TURNS]> {
        let neighbourhoods = self.population.media.chunks(NEIGHBOURHOOD).enumerate();
        neighbourhoods
            .flat_map(|(index, seats)| spread(&self.scenario.market, self.seed, epoch, index * NEIGHBOURHOOD, seats))
            .collect()
    }

    /// Begins an epoch: sets its pools aside.
    fn open(&mut self) -> Result<(), Failure> {
        let committed: Balance = self.pools.iter().sum();
        let free = self.ledger.balance(Account::Reserve).saturating_sub(committed);
        self.emission = self.scenario.parameters.emission(free);
        self.ledger.pay(Account::Reserve, Account::Validators, self.emission.validators)?;
        self.ledger.pay(Account::Reserve, Account::Treasury, self.emission.treasury)?;
        for (jailed, sentence) in self.jailed.iter_mut().zip(&mut self.sentences) {
            *jailed = *sentence > 0;
            *sentence = sentence.saturating_sub(1);
        }
        Ok(())
    }

    /// Ends an epoch: evidence, claims, attestors' pay.
    fn close(&mut self, epoch: u32, claims: Claims) -> Result<(), Failure> {
        let Claims { groups, mut attestation, scores } = claims;
        self.punish(epoch, &mut attestation)?;
        let mut earned = 0;
        for (group, claims) in Group::all().zip(&groups) {
            self.pay_media(group, claims)?;
            earned += claims.subsidy;
        }
        for (attestor, reward) in attestation.into_iter().enumerate() {
            self.pay_attestor(attestor, reward)?;
            earned += reward;
        }
        self.pools.push_back((self.emission.media + self.emission.attestors).saturating_sub(earned));
        while self.pools.len() > self.scenario.parameters.epoch_ring as usize {
            self.pools.pop_front();
        }
        self.last = scores;
        if (epoch + 1).is_multiple_of(self.stride) {
            let profits = self.groups().map(|group| self.tally(group).profit()).collect();
            self.course.push((epoch + 1, profits));
        }
        Ok(())
    }

    /// Slashes those who signed two roots for the epoch. The contradicting roots are in the open, so somebody honest reports them
    /// always. They forfeit the epoch's pay and sit out their sentence; then they top up their bonds.
    fn punish(&mut self, epoch: u32, attestation: &mut [Balance]) -> Result<(), Failure> {
        let parameters = &self.scenario.parameters;
        let (equivocators, honest) =
            (Group::Attestors(AttestorStrategy::Equivocator), Group::Attestors(AttestorStrategy::Honest));
        let each = self.population.attestors.iter().zip(attestation).zip(&self.jailed).zip(&mut self.sentences);
        for (attestor, (((strategy, earned), jailed), sentence)) in each.enumerate() {
            let mut random = Random::keyed(self.seed, [EQUIVOCATION, epoch.into(), attestor as u64]);
            if *strategy != AttestorStrategy::Equivocator || *jailed || random.below(10_000) >= EQUIVOCATIONS {
                continue;
            }
            let slash = parameters.slash(parameters.registry_bond);
            let offender = Account::Operators(equivocators);
            self.ledger.burn(offender, slash.burnt)?;
            self.ledger.pay(offender, Account::Treasury, slash.treasury)?;
            self.ledger.pay(offender, Account::Operators(honest), slash.reporter)?;
            *earned = 0;
            *sentence = parameters.jail_epochs;
            for (group, tally) in Group::all().zip(&mut self.tallies) {
                if group == equivocators {
                    tally.slashed += slash.taken;
                } else if group == honest {
                    tally.bounties += slash.reporter;
                }
            }
        }
        Ok(())
    }

    fn pay_media(&mut self, group: Group, claims: &GroupClaims) -> Result<(), Failure> {
        let GroupClaims { subsidy, usage, own_usage, cost } = *claims;
        let operators = Account::Operators(group);
        self.ledger.burn(Account::Applications, usage.burnt)?;
        self.ledger.pay(Account::Applications, Account::Reserve, usage.reserve)?;
        self.ledger.pay(Account::Applications, Account::Orchestrators, usage.orchestrator)?;
        self.ledger.pay(Account::Applications, operators, usage.operator)?;
        // The rest of what they pay themselves stays with them.
        self.ledger.burn(operators, own_usage.burnt)?;
        self.ledger.pay(operators, Account::Reserve, own_usage.reserve)?;
        self.ledger.pay(Account::Reserve, operators, subsidy)?;
        if let Some(tally) = self.tallies.get_mut(group.index()) {
            tally.subsidy += subsidy;
            tally.fees += usage.operator + own_usage.operator;
            tally.own_orchestrator += own_usage.orchestrator;
            tally.self_paid += own_usage.total();
            tally.cost += cost;
        }
        Ok(())
    }

    fn pay_attestor(&mut self, attestor: usize, reward: Balance) -> Result<(), Failure> {
        let Some(strategy) = self.population.attestors.get(attestor) else { return Ok(()) };
        let group = Group::Attestors(*strategy);
        self.ledger.pay(Account::Reserve, Account::Operators(group), reward)?;
        let measures = matches!(strategy, AttestorStrategy::Honest | AttestorStrategy::Equivocator);
        let jailed = self.jailed.get(attestor).copied().unwrap_or_default();
        let market = &self.scenario.market;
        if let Some(tally) = self.tallies.get_mut(group.index()) {
            tally.attestation += reward;
            tally.cost += market.identity_cost + if measures && !jailed { market.measuring_cost } else { 0 };
        }
        Ok(())
    }

    /// The groups that have seats.
    fn groups(&self) -> impl Iterator<Item = Group> {
        Group::all().filter(|group| self.population.seats(*group) > 0)
    }

    fn tally(&self, group: Group) -> Tally {
        self.tallies.get(group.index()).copied().unwrap_or_default()
    }

    fn outcome(self, epochs: u32) -> Outcome {
        let outcome = |group| {
            let (seats, bond) = (self.population.seats(group), self.bond(group));
            GroupOutcome { group, seats, bond, tally: self.tally(group) }
        };
        Outcome {
            scenario: self.scenario.name,
            epochs,
            groups: self.groups().map(outcome).collect(),
            burnt: self.ledger.burnt(),
            reserve: self.ledger.balance(Account::Reserve),
            course: self.course.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        population::MediaStrategy,
        scenario::{BASELINE, catalogue},
    };

    const SMALL: Size = Size { epochs: 30, nodes: 400, attestors: 60, seed: 7, threads: 2 };

    #[test]
    fn a_seed_has_one_outcome_whatever_the_threads() {
        let scenarios = catalogue();
        let outcome = run(&SMALL, &scenarios).unwrap();
        for threads in [1, 3, 1_000] {
            assert_eq!(run(&Size { threads, ..SMALL }, &scenarios).unwrap(), outcome);
        }
        assert_ne!(run(&Size { seed: 8, ..SMALL }, &scenarios).unwrap(), outcome);
    }

    #[test]
    fn a_scenario_has_one_outcome_whatever_runs_beside_it() {
        let scenarios = catalogue();
        let together = run(&SMALL, &scenarios).unwrap();
        let alone = run(&SMALL, &scenarios[2..3]).unwrap();
        assert_eq!(together[2..3], alone);
    }

    #[test]
    fn every_token_is_somewhere_and_each_profit_is_in_a_wallet() {
        // `run` checks after each epoch that the tokens add up; here, that the tallies tell the same story as the ledger.
        for scenario in catalogue() {
            let world = World::new(&SMALL, scenario.parameters.committee_size);
            let mut networks = [Network::new(&SMALL, &scenario)];
            for epoch in 0..SMALL.epochs {
                networks[0].open().unwrap();
                let claims = world.measure(epoch, &networks).remove(0);
                networks[0].close(epoch, claims).unwrap();
                assert!(networks[0].ledger.is_conserved());
            }
            let [network] = networks;
            for group in network.groups() {
                let (tally, begun) = (network.tally(group), network.bond(group) + WALLET);
                let balance = network.ledger.balance(Account::Operators(group));
                assert_eq!(balance + tally.spent(), begun + tally.received(), "{}: {group:?}", scenario.name);
            }
            let open: Balance = network.pools.iter().sum();
            assert!(network.ledger.balance(Account::Reserve) >= open, "{}", scenario.name);
        }
    }

    #[test]
    fn what_is_not_earned_stays_in_the_reserve() {
        let lying = Scenario::honest("lying").with_attestors(AttestorStrategy::Liar, 400);
        let outcomes = run(&SMALL, &[Scenario::honest(BASELINE), lying]).unwrap();
        assert!(outcomes[1].reserve > outcomes[0].reserve);
    }

    #[test]
    fn an_equivocator_is_slashed_sits_out_and_pays_who_reports() {
        let size = Size { epochs: 200, ..SMALL };
        let outcome =
            run(&size, &[Scenario::honest("").with_attestors(AttestorStrategy::Equivocator, 500)]).unwrap().remove(0);
        let of = |strategy| outcome.group(Group::Attestors(strategy)).unwrap().tally;
        let (equivocators, honest) = (of(AttestorStrategy::Equivocator), of(AttestorStrategy::Honest));
        assert!(equivocators.slashed > 0);
        assert_eq!(honest.bounties, equivocators.slashed / 5);
        assert!(equivocators.attestation < honest.attestation);
        assert!(equivocators.profit() < honest.profit());
    }

    #[test]
    fn networks_of_different_committees_cannot_share_a_draw() {
        let mut other = Scenario::honest("other");
        other.parameters.committee_size = 3;
        assert_eq!(run(&SMALL, &[Scenario::honest(""), other]), Err(Failure::CommitteeSizes));
        assert_eq!(run(&SMALL, &[]), Ok(Vec::new()));
    }

    #[test]
    fn who_cannot_pay_ends_the_run() {
        let mut dear = Scenario::honest("dear").with_media(MediaStrategy::SelfDealer, 100);
        dear.market.price_per_gib = WALLET;
        assert!(matches!(run(&SMALL, &[dear]), Err(Failure::Shortage(_))));
    }

    #[test]
    fn an_empty_network_emits_to_nobody() {
        let size = Size { nodes: 0, attestors: 0, ..SMALL };
        let outcome = run(&size, &[Scenario::honest("")]).unwrap().remove(0);
        assert!(outcome.groups.is_empty() && outcome.burnt == 0);
    }
}
