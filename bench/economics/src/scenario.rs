//! What is simulated: a population under rules in a market.

use crate::{
    market::Market,
    population::{AttestorStrategy, MediaStrategy},
    rules::Parameters,
};

/// One network to simulate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Name in tables.
    pub name: &'static str,
    /// The chain's rules.
    pub parameters: Parameters,
    /// The world around it.
    pub market: Market,
    /// Media nodes that are not honest, in thousandths.
    pub media: Vec<(MediaStrategy, u32)>,
    /// Attestors that are not honest, in thousandths.
    pub attestors: Vec<(AttestorStrategy, u32)>,
}

/// Name of the scenario without an attack, which the others are held against.
pub const BASELINE: &str = "all honest";
/// Name of the scenario with all populations at once.
pub const TOGETHER: &str = "all at once";

impl Scenario {
    /// A network under the `live` parameters in the usual market, all honest.
    pub fn honest(name: &'static str) -> Self {
        let (parameters, market) = (Parameters::live(), Market::default());
        Self { name, parameters, market, media: Vec::new(), attestors: Vec::new() }
    }

    /// The same in a network of so many media nodes ([`Parameters::scaled`]).
    pub fn scaled(mut self, nodes: usize) -> Self {
        self.parameters = self.parameters.scaled(nodes);
        self
    }

    /// The same with some media nodes of a strategy, in thousandths.
    pub fn with_media(mut self, strategy: MediaStrategy, share: u32) -> Self {
        self.media.push((strategy, share));
        self
    }

    /// The same with some attestors of a strategy, in thousandths.
    pub fn with_attestors(mut self, strategy: AttestorStrategy, share: u32) -> Self {
        self.attestors.push((strategy, share));
        self
    }
}

/// A network without attackers, one for each attack, and one with the populations that can live side by side.
pub fn catalogue() -> Vec<Scenario> {
    use {AttestorStrategy as A, MediaStrategy as M};
    vec![
        Scenario::honest(BASELINE),
        Scenario::honest("lazy").with_media(M::LowQuality, 100).with_media(M::LowUptime, 100),
        Scenario::honest("lying third").with_media(M::Friend, 50).with_attestors(A::Liar, 333),
        Scenario::honest("self-dealing").with_media(M::SelfDealer, 100).with_media(M::Ghost, 100),
        Scenario::honest("Sybil splitting").with_media(M::Splitter, 100),
        Scenario::honest("overcommitting")
            .with_media(M::Overcommitter, 50)
            .with_media(M::Capper, 50)
            .with_media(M::Overstater, 50),
        Scenario::honest("one machine twice").with_media(M::Twins, 50).with_media(M::Pair, 50),
        Scenario::honest("withholding third").with_attestors(A::Withholder, 333),
        Scenario::honest("root copying").with_attestors(A::Copier, 100),
        Scenario::honest("free riding").with_attestors(A::FreeRider, 100),
        Scenario::honest("equivocation").with_attestors(A::Equivocator, 50),
        Scenario::honest(TOGETHER)
            .with_media(M::LowQuality, 100)
            .with_media(M::LowUptime, 100)
            .with_media(M::SelfDealer, 50)
            .with_media(M::Ghost, 50)
            .with_media(M::Splitter, 50)
            .with_media(M::Friend, 50)
            .with_attestors(A::Liar, 333),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        population::Group,
        simulation::{Size, run},
    };
    use std::collections::BTreeSet;
    use {AttestorStrategy as A, MediaStrategy as M};

    #[test]
    fn honest_operators_out_earn_every_attack() {
        let size = Size { epochs: 96, nodes: 2_000, attestors: 60, seed: 11, threads: 2 };
        let scenarios: Vec<Scenario> = catalogue().into_iter().map(|one| one.scaled(size.nodes)).collect();
        for outcome in run(&size, &scenarios).unwrap() {
            for one in &outcome.groups {
                let honest = match one.group {
                    Group::Media(M::Honest) | Group::Attestors(A::Honest) => continue,
                    Group::Media(_) => outcome.return_on_bond(Group::Media(M::Honest)),
                    Group::Attestors(_) => outcome.return_on_bond(Group::Attestors(A::Honest)),
                };
                let attack = one.return_on_bond(outcome.epochs);
                assert!(attack < honest, "{}: {:?} {attack} {honest}", outcome.scenario, one.group);
            }
        }
    }

    #[test]
    fn each_strategy_has_a_scenario_and_each_scenario_a_name() {
        let all = catalogue();
        for strategy in MediaStrategy::ALL.into_iter().skip(1) {
            assert!(all.iter().any(|scenario| scenario.media.iter().any(|(one, _)| *one == strategy)), "{strategy:?}");
        }
        for strategy in AttestorStrategy::ALL.into_iter().skip(1) {
            assert!(all.iter().any(|one| one.attestors.iter().any(|(one, _)| *one == strategy)), "{strategy:?}");
        }
        assert_eq!(all.iter().map(|scenario| scenario.name).collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().any(|scenario| scenario.name == BASELINE));
    }
}
