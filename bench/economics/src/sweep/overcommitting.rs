//! Machines that are registered for more than they can carry.

use super::{ATTACKERS, Sweep, line};
use crate::{
    population::{Group, MediaStrategy},
    scenario::Scenario,
    simulation::{Failure, Size},
};

/// Machines that are registered for more than they can carry, by how many times as much: one sweep for each way to get along with it.
pub fn overcommitment(size: &Size) -> Result<Vec<Sweep>, Failure> {
    let ways = [
        (
            MediaStrategy::Overcommitter,
            "overcommitment",
            "Registered for more than it can carry: takes all calls, fails them",
        ),
        (MediaStrategy::Capper, "overcommitment-capped", "Registered for more than it can carry: turns calls away"),
        (
            MediaStrategy::Overstater,
            "overcommitment-overstated",
            "Registered for more than it can carry: overstates its load",
        ),
    ];
    let sweep = |(strategy, name, title)| {
        let lines = [10, 15, 25, 40].map(|load| {
            let scenario = |factor: f64| {
                let mut scenario = Scenario::honest("overcommitment").with_media(strategy, ATTACKERS);
                scenario.market.overcommitment = (factor * 100.0) as u64;
                scenario.market.utilisation = 100 * load;
                scenario
            };
            let values = [1.0, 1.05, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0];
            line(size, format!("mean load {load} %"), Group::Media(strategy), &values, scenario)
        });
        Ok(Sweep {
            name,
            title,
            x: "registered capacity, times the real one",
            y: "overcommitters' profit, % of an honest node's",
            lines: lines.into_iter().collect::<Result<_, _>>()?,
        })
    };
    ways.into_iter().map(sweep).collect()
}

/// Machines that are registered twice, by how much the network is used.
pub fn twice(size: &Size) -> Result<Sweep, Failure> {
    let lines =
        [(MediaStrategy::Twins, "behind one address"), (MediaStrategy::Pair, "behind two")].map(|(strategy, name)| {
            let scenario = |percent: u32| {
                let mut scenario = Scenario::honest("twice").with_media(strategy, ATTACKERS);
                scenario.market.utilisation = 100 * u64::from(percent);
                scenario
            };
            let values: Vec<u32> = (0..=10).map(|step| 5 * step).collect();
            line(size, name.to_owned(), Group::Media(strategy), &values, scenario)
        });
    Ok(Sweep {
        name: "twice",
        title: "One machine registered twice",
        x: "mean load of honest machines, %",
        y: "profit, % of an honest node's",
        lines: lines.into_iter().collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::tests::SMALL;

    #[test]
    fn overcommitting_pays_neither_who_fails_callers_nor_who_turns_them_away() {
        for sweep in overcommitment(&SMALL).unwrap() {
            for line in sweep.lines {
                // Once is honest, up to the sample's noise.
                let honest = line.points[0].1;
                assert!((honest - 100.0).abs() < 5.0, "{} {}: {:?}", sweep.name, line.name, line.points);
                // Receipts tell no less than a twentieth apart, and a machine of an eighth of a small node has too few callers to tell.
                for (factor, profit) in &line.points {
                    let most = if (1.2..8.0).contains(factor) { honest } else { honest + 4.0 };
                    assert!(*profit < most, "{} {}: {factor} times, {profit}", sweep.name, line.name);
                }
            }
        }
    }

    #[test]
    fn one_machine_registered_twice_pays_only_behind_two_addresses_where_few_call() {
        let sweep = twice(&SMALL).unwrap();
        let (one, two) = (sweep.lines[0].crossings(), sweep.lines[1].crossings());
        assert!(one.len() == 1 && one[0] < 12.0, "{one:?}");
        assert!(two.len() == 1 && two[0] < 30.0, "{two:?}");
    }
}
